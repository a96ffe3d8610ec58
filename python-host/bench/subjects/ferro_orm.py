"""The package `ferro-orm`, whose module has the name of ours: it has an environment of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data import FIELDS, PAGE, POOL, Row

import ferro


class Person(ferro.Model):
    id: int = ferro.Field(primary_key=True)
    name: str
    email: str
    age: int
    score: float
    active: bool
    visits: int
    note: str | None = None


def make(dialect: str) -> Any:
    """The subject for a database."""
    return Subject()


class Subject:
    async def open(self, url: str) -> None:
        pool = ferro.PoolConfig(max_connections=POOL)
        # With an identity map a row would be made once, and not again by each query.
        await ferro.connect(url, pool=pool, identity_map=False)
        self._session = ferro.engines.session()
        await self._session.__aenter__()

    async def close(self) -> None:
        await self._session.__aexit__(None, None, None)
        ferro.reset_engine()

    async def create_table(self) -> None:
        await ferro.create_tables()

    async def delete_from(self, first: int) -> None:
        await Person.where(lambda person: person.id >= first).delete()

    def made(self, rows: Sequence[Row]) -> list[Any]:
        return [Person(**dict(zip(FIELDS, row, strict=True))) for row in rows]

    async def bulk_insert(self, made: list[Any]) -> None:
        await Person.bulk_create(made)

    async def fetch(self) -> list[Any]:
        return await Person.all()

    async def get(self, key: int) -> Any:
        return await Person.get(key)

    async def page(self, after: int) -> list[Any]:
        found = Person.where(lambda person: (person.id > after) & (person.active == True))  # noqa: E712
        return await found.order_by(lambda person: person.id).limit(PAGE).all()

    async def create(self, row: Row) -> None:
        await Person.create(**dict(zip(FIELDS, row, strict=True)))

    async def save(self, row: Any) -> None:
        row.age += 1
        await row.save()

    async def get_at_once(self, key: int) -> Any:
        async with ferro.engines.session():
            return await Person.get(key)

    def transaction(self) -> Any:
        return ferro.transaction()

    def values(self, row: Any) -> Row:
        return tuple(getattr(row, name) for name in FIELDS)
