"""Piccolo, on asyncpg and aiosqlite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data import FIELDS, PAGE, POOL, Row
from piccolo.columns import BigInt, Boolean, DoublePrecision, Text
from piccolo.engine.postgres import PostgresEngine
from piccolo.engine.sqlite import SQLiteEngine
from piccolo.table import Table

# SQLite takes so many values in one statement.
_MOST_VALUES = 32_766


class Person(Table, tablename="person"):
    id = BigInt(primary_key=True)
    name = Text()
    email = Text()
    age = BigInt()
    score = DoublePrecision()
    active = Boolean()
    visits = BigInt()
    note = Text(null=True, default=None)


def make(dialect: str) -> Any:
    """The subject for a database."""
    return Subject()


class Subject:
    async def open(self, url: str) -> None:
        if url.startswith("sqlite:"):
            self.engine: Any = SQLiteEngine(path=url.removeprefix("sqlite:"))
        else:
            self.engine = PostgresEngine(config={"dsn": url})
            await self.engine.start_connection_pool(min_size=1, max_size=POOL)
        Person._meta._db = self.engine

    async def close(self) -> None:
        if isinstance(self.engine, PostgresEngine):
            await self.engine.close_connection_pool()

    async def create_table(self) -> None:
        await Person.create_table()

    async def delete_from(self, first: int) -> None:
        await Person.delete().where(Person.id >= first)

    def made(self, rows: Sequence[Row]) -> list[Any]:
        return [Person(**dict(zip(FIELDS, row, strict=True))) for row in rows]

    async def bulk_insert(self, made: list[Any]) -> None:
        step = _MOST_VALUES // len(FIELDS)
        async with self.engine.transaction():
            for start in range(0, len(made), step):
                await Person.insert(*made[start : start + step])

    async def fetch(self) -> list[Any]:
        return await Person.objects()

    async def get(self, key: int) -> Any:
        return await Person.objects().get(Person.id == key)

    async def page(self, after: int) -> list[Any]:
        found = Person.objects().where(Person.id > after, Person.active.eq(True))
        return await found.order_by(Person.id).limit(PAGE)

    async def create(self, row: Row) -> None:
        await Person.insert(Person(**dict(zip(FIELDS, row, strict=True))))

    async def save(self, row: Any) -> None:
        row.age += 1
        await row.save(columns=[Person.age])

    get_at_once = get

    def transaction(self) -> Any:
        return self.engine.transaction()

    def values(self, row: Any) -> Row:
        return tuple(getattr(row, name) for name in FIELDS)
