"""The bare asynchronous drivers: asyncpg and aiosqlite, rows as they give them.

What comes one after the other uses one connection that is held, which is the least that it can
cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any

from data import FIELDS, PAGE, POOL, TABLE, Row

COLUMNS = ", ".join(FIELDS)


def make(dialect: str) -> Any:
    """The subject for a database."""
    return Postgres() if dialect == "postgres" else Sqlite()


class Postgres:
    async def open(self, url: str) -> None:
        import asyncpg

        self.pool = await asyncpg.create_pool(url, min_size=1, max_size=POOL)
        self.held = await self.pool.acquire()

    async def close(self) -> None:
        await self.pool.release(self.held)
        await self.pool.close()

    async def create_table(self) -> None:
        await self.held.execute(f"create table person ({TABLE['postgres']})")

    async def delete_from(self, first: int) -> None:
        await self.held.execute("delete from person where id >= $1", first)

    def made(self, rows: Sequence[Row]) -> Sequence[Row]:
        return rows

    async def bulk_insert(self, rows: Sequence[Row]) -> None:
        await self.held.copy_records_to_table("person", records=rows, columns=FIELDS)

    async def fetch(self) -> list[Any]:
        return await self.held.fetch(f"select {COLUMNS} from person")

    async def get(self, key: int) -> Any:
        return await self.held.fetchrow(f"select {COLUMNS} from person where id = $1", key)

    async def page(self, after: int) -> list[Any]:
        return await self.held.fetch(
            f"select {COLUMNS} from person where id > $1 and active order by id limit $2",
            after,
            PAGE,
        )

    async def create(self, row: Row) -> None:
        places = ", ".join(f"${number}" for number in range(1, len(FIELDS) + 1))
        await self.held.execute(f"insert into person ({COLUMNS}) values ({places})", *row)

    async def save(self, row: Any) -> None:
        await self.held.execute("update person set age = $1 where id = $2", row["age"] + 1, row[0])

    async def get_at_once(self, key: int) -> Any:
        async with self.pool.acquire() as connection:
            return await connection.fetchrow(f"select {COLUMNS} from person where id = $1", key)

    def transaction(self) -> Any:
        return self.held.transaction()

    def values(self, row: Any) -> Row:
        return tuple(row)


class Sqlite:
    async def open(self, url: str) -> None:
        import aiosqlite

        path = url.removeprefix("sqlite:")
        self.free: asyncio.Queue[Any] = asyncio.Queue()
        self.all = [await aiosqlite.connect(path, isolation_level=None) for _ in range(POOL)]
        for connection in self.all:
            self.free.put_nowait(connection)
        self.held = self.all[0]

    async def close(self) -> None:
        for connection in self.all:
            await connection.close()

    async def create_table(self) -> None:
        await self.held.execute(f"create table person ({TABLE['sqlite']})")

    async def delete_from(self, first: int) -> None:
        await self.held.execute("delete from person where id >= ?", (first,))

    def made(self, rows: Sequence[Row]) -> Sequence[Row]:
        return rows

    async def bulk_insert(self, rows: Sequence[Row]) -> None:
        places = ", ".join("?" for _ in FIELDS)
        async with self.transaction():
            await self.held.executemany(f"insert into person ({COLUMNS}) values ({places})", rows)

    async def fetch(self) -> list[Any]:
        return await self._all(self.held, f"select {COLUMNS} from person", ())

    async def get(self, key: int) -> Any:
        return await self._one(self.held, key)

    async def page(self, after: int) -> list[Any]:
        sql = f"select {COLUMNS} from person where id > ? and active order by id limit ?"
        return await self._all(self.held, sql, (after, PAGE))

    async def create(self, row: Row) -> None:
        places = ", ".join("?" for _ in FIELDS)
        await self.held.execute(f"insert into person ({COLUMNS}) values ({places})", row)

    async def save(self, row: Any) -> None:
        await self.held.execute("update person set age = ? where id = ?", (row[3] + 1, row[0]))

    async def get_at_once(self, key: int) -> Any:
        connection = await self.free.get()
        try:
            return await self._one(connection, key)
        finally:
            self.free.put_nowait(connection)

    @asynccontextmanager
    async def transaction(self) -> Any:
        await self.held.execute("begin")
        yield
        await self.held.execute("commit")

    def values(self, row: Any) -> Row:
        return tuple(row)

    @staticmethod
    async def _all(connection: Any, sql: str, values: tuple[Any, ...]) -> list[Any]:
        return list(await connection.execute_fetchall(sql, values))

    async def _one(self, connection: Any, key: int) -> Any:
        sql = f"select {COLUMNS} from person where id = ?"
        (row,) = await self._all(connection, sql, (key,))
        return row
