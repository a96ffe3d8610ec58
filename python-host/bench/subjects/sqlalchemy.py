"""SQLAlchemy 2 with its asynchronous sessions, on asyncpg and aiosqlite.

A session is kept where an application would keep one: for reads that follow each other, and for a
transaction. Objects are expunged, or `get` would answer from the session's memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any

from data import FIELDS, PAGE, POOL, Row
from sqlalchemy import BigInteger, Integer, delete, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


Number = BigInteger().with_variant(Integer, "sqlite")


class Person(Base):
    __tablename__ = "person"

    id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    name: Mapped[str]
    email: Mapped[str]
    age: Mapped[int] = mapped_column(Number)
    score: Mapped[float]
    active: Mapped[bool]
    visits: Mapped[int] = mapped_column(Number)
    note: Mapped[str | None]


def make(dialect: str) -> Any:
    """The subject for a database."""
    return Subject()


class Subject:
    async def open(self, url: str) -> None:
        url = url.replace("postgresql:", "postgresql+asyncpg:", 1)
        url = url.replace("sqlite:", "sqlite+aiosqlite:///", 1)
        self.engine = create_async_engine(url, pool_size=POOL)
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self.session: AsyncSession | None = None

    async def close(self) -> None:
        await self.engine.dispose()

    async def create_table(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    async def delete_from(self, first: int) -> None:
        async with self.sessions.begin() as session:
            await session.execute(delete(Person).where(Person.id >= first))

    def made(self, rows: Sequence[Row]) -> list[Any]:
        return [Person(**dict(zip(FIELDS, row, strict=True))) for row in rows]

    async def bulk_insert(self, made: list[Any]) -> None:
        async with self.sessions.begin() as session:
            session.add_all(made)

    async def fetch(self) -> list[Any]:
        async with self.sessions() as session:
            return list(await session.scalars(select(Person)))

    async def get(self, key: int) -> Any:
        async with self.sessions() as session:
            return await session.get(Person, key)

    async def page(self, after: int) -> list[Any]:
        found = select(Person).where(Person.id > after, Person.active).order_by(Person.id)
        async with self.sessions() as session:
            return list(await session.scalars(found.limit(PAGE)))

    async def create(self, row: Row) -> None:
        made = Person(**dict(zip(FIELDS, row, strict=True)))
        if self.session is not None:
            self.session.add(made)
            await self.session.flush()
            return
        async with self.sessions.begin() as session:
            session.add(made)

    async def save(self, row: Any) -> None:
        assert self.session is not None, "saved in a transaction"
        self.session.add(row)
        row.age += 1
        await self.session.flush()

    get_at_once = get

    @asynccontextmanager
    async def transaction(self) -> Any:
        async with self.sessions.begin() as self.session:
            yield
        self.session = None

    def values(self, row: Any) -> Row:
        return tuple(getattr(row, name) for name in FIELDS)
