"""Tortoise, on asyncpg and aiosqlite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data import FIELDS, PAGE, POOL, Row
from tortoise import Tortoise, fields
from tortoise.models import Model
from tortoise.transactions import in_transaction


class Person(Model):
    id = fields.BigIntField(primary_key=True, generated=False)
    name = fields.TextField()
    email = fields.TextField()
    age = fields.BigIntField()
    score = fields.FloatField()
    active = fields.BooleanField()
    visits = fields.BigIntField()
    note = fields.TextField(null=True)


def make(dialect: str) -> Any:
    """The subject for a database."""
    return Subject()


class Subject:
    async def open(self, url: str) -> None:
        url = url.replace("postgresql:", "asyncpg:", 1).replace("sqlite:", "sqlite://", 1)
        if url.startswith("asyncpg:"):
            url += f"?minsize=1&maxsize={POOL}"
        await Tortoise.init(db_url=url, modules={"models": [__name__]})

    async def close(self) -> None:
        await Tortoise.close_connections()

    async def create_table(self) -> None:
        await Tortoise.generate_schemas()

    async def delete_from(self, first: int) -> None:
        await Person.filter(id__gte=first).delete()

    def made(self, rows: Sequence[Row]) -> list[Any]:
        return [Person(**dict(zip(FIELDS, row, strict=True))) for row in rows]

    async def bulk_insert(self, made: list[Any]) -> None:
        await Person.bulk_create(made)

    async def fetch(self) -> list[Any]:
        return await Person.all()

    async def get(self, key: int) -> Any:
        return await Person.get(id=key)

    async def page(self, after: int) -> list[Any]:
        return await Person.filter(id__gt=after, active=True).order_by("id").limit(PAGE)

    async def create(self, row: Row) -> None:
        await Person.create(**dict(zip(FIELDS, row, strict=True)))

    async def save(self, row: Any) -> None:
        row.age += 1
        await row.save(update_fields=["age"])

    get_at_once = get

    def transaction(self) -> Any:
        return in_transaction()

    def values(self, row: Any) -> Row:
        return tuple(getattr(row, name) for name in FIELDS)
