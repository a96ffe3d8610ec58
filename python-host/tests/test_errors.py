"""What the databases refuse, and what the exceptions say of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import ferro

pytestmark = pytest.mark.usefixtures("db")


class Room(ferro.Model, table="err_room", uniques=[("floor", "door")]):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str = ferro.Field(default="", db_check=lambda name: name != "bad")
    code: str | None = ferro.Field(default=None, unique=True)
    floor: int | None = None
    door: int | None = None
    inside: ferro.Relation[Room | None] = ferro.ForeignKey(on_delete="restrict")


Named = tuple[str | None, str | None, str | None]
"""Constraint, table and column."""

REFUSED: list[tuple[str, type[ferro.FerroError], Named, Named]] = [
    (
        "insert into err_room (name, code) values ('', 'a')",
        ferro.UniqueViolation,
        (None, "err_room", "code"),
        ("err_room_code_key", "err_room", "code"),
    ),
    (
        "insert into err_room (name, floor, door) values ('', 1, 2)",
        ferro.UniqueViolation,
        (None, "err_room", "floor, door"),
        ("err_room_floor_door_key", "err_room", "floor, door"),
    ),
    (
        "insert into err_room (name, inside_id) values ('', 99)",
        ferro.ForeignKeyViolation,
        (None, None, None),
        ("err_room_inside_id_fkey", "err_room", "inside_id"),
    ),
    (
        "delete from err_room where id = 70",
        ferro.ForeignKeyViolation,
        (None, None, None),
        ("err_room_inside_id_fkey", "err_room", None),
    ),
    (
        "update err_room set name = null",
        ferro.NotNullViolation,
        (None, "err_room", "name"),
        (None, "err_room", "name"),
    ),
    (
        "update err_room set name = 'bad'",
        ferro.CheckViolation,
        ("err_room_check", None, None),
        ("err_room_check", "err_room", None),
    ),
    ("select * from nowhere", ferro.UndefinedObject, (None, "nowhere", None), (None, None, None)),
    (
        "select nope from err_room",
        ferro.UndefinedObject,
        (None, None, "nope"),
        (None, None, None),
    ),
]


async def test_what_is_refused_is_named_as_far_as_the_database_does(dialect: str) -> None:
    await Room.create(id=70, code="a", floor=1, door=2)
    await Room.create(id=71, inside_id=70)
    for sql, kind, on_sqlite, on_postgres in REFUSED:
        with pytest.raises(kind) as raised:
            await ferro.execute(sql)
        error = raised.value
        assert type(error) is kind, sql
        named = on_sqlite if dialect == "sqlite" else on_postgres
        assert (error.constraint, error.table, error.column) == named, sql
        assert error.code is not None
        assert not error.retryable, "it fails again as long as the rows are what they are"


async def test_who_lost_against_another_transaction_may_try_again(db: str) -> None:
    await ferro.connect(db, "other")
    await Room.create(id=1)

    async def meanwhile() -> None:
        await Room.using("other").where(id=1).update(floor=1)

    with pytest.raises(ferro.SerializationError) as raised:
        async with ferro.transaction(isolation="repeatable-read"):
            assert await Room.select().count() == 1
            await asyncio.create_task(meanwhile())
            await Room.where(id=1).update(floor=2)
    assert raised.value.retryable
    assert (await Room.get(1)).floor == 1


async def test_who_finds_a_lock_taken_may_try_again(db: str, dialect: str) -> None:
    await ferro.connect(db, "other", sqlite=ferro.SqliteConfig(busy_timeout=0.05))
    await Room.create(id=1)
    lock = "select * from err_room for update nowait"
    sql = lock if dialect == "postgres" else "update err_room set floor = 1"
    async with ferro.transaction():
        await Room.where(id=1).update(floor=2)
        with pytest.raises(ferro.BusyError, match="lock") as raised:
            await asyncio.create_task(in_transaction(lambda: ferro.execute(sql), using="other"))
    assert (type(raised.value), raised.value.retryable) == (ferro.BusyError, True)


async def test_one_of_two_that_wait_for_each_other_may_try_again(dialect: str) -> None:
    only_on_postgres(dialect)
    await Room.bulk_create([Room(id=1), Room(id=2)])
    locked: set[int] = set()
    both = asyncio.Event()

    async def lock(first: int, second: int) -> None:
        await ferro.execute("set local deadlock_timeout = '10ms'")
        await Room.where(id=first).update(floor=1)
        locked.add(first)
        if len(locked) == 2:
            both.set()
        await both.wait()
        await Room.where(id=second).update(floor=1)

    work = (in_transaction(lambda: lock(1, 2)), in_transaction(lambda: lock(2, 1)))
    ended = await asyncio.gather(*work, return_exceptions=True)
    (error,) = (it for it in ended if it is not None)
    assert isinstance(error, ferro.DeadlockError)
    assert error.retryable


async def test_rows_that_exclude_each_other_are_an_exclusion_violation(dialect: str) -> None:
    only_on_postgres(dialect)
    await ferro.execute("create table stay (days int4range, exclude using gist (days with &&))")
    await ferro.execute("insert into stay values ('[1,5)')")
    with pytest.raises(ferro.ExclusionViolation) as raised:
        await ferro.execute("insert into stay values ('[4,6)')")
    assert (raised.value.constraint, raised.value.table) == ("stay_days_excl", "stay")
    assert not raised.value.retryable


async def test_a_statement_that_the_server_ends_says_who_ended_it(db: str, dialect: str) -> None:
    only_on_postgres(dialect)
    await ferro.connect(db, "other")
    with pytest.raises(ferro.QueryCancelled) as raised:
        async with ferro.transaction() as transaction:
            row = await ferro.fetch_one("select pg_backend_pid() as pid")
            assert row is not None
            sleep = ferro.execute("select pg_sleep(60)", using=transaction)
            sleeping = asyncio.create_task(sleep)
            # It may not sleep yet.
            while not sleeping.done():
                cancel = "select pg_cancel_backend(?::int)"
                await asyncio.create_task(ferro.execute(cancel, row["pid"], using="other"))
                await asyncio.wait([sleeping], timeout=0.05)
            await sleeping
    assert (raised.value.sqlstate, raised.value.retryable) == ("57014", False)

    async def late() -> None:
        await ferro.execute("set local statement_timeout = '20ms'")
        await ferro.execute("select pg_sleep(60)")

    with pytest.raises(ferro.QueryTimeout):
        await in_transaction(late)


async def in_transaction(work: Callable[[], Awaitable[Any]], using: str | None = None) -> None:
    """Work in a transaction of its own."""
    async with ferro.transaction(using=using):
        await work()


def only_on_postgres(dialect: str) -> None:
    if dialect == "sqlite":
        pytest.skip("SQLite has nothing of the kind")
