"""`for_update`: rows that nobody else changes until the transaction ends."""

from __future__ import annotations

import asyncio

import pytest

import ferro
from models import User


async def names(query: ferro.Select[User]) -> list[str]:
    return [user.name for user in await query.order_by("name")]


@pytest.fixture
async def users(db: str) -> None:
    await User.bulk_create([User(name=name, age=age) for age, name in enumerate(("Ada", "Ben"))])


@pytest.mark.usefixtures("users")
async def test_workers_take_different_rows(dialect: str) -> None:
    waiting = User.select().order_by("name").for_update(skip_locked=True)
    async with ferro.transaction():
        first = await waiting.first()
        assert first is not None

        async def other() -> list[str]:
            async with ferro.transaction(read_only=dialect == "sqlite"):
                return [user.name for user in await waiting]

        # SQLite locks no rows: who reads sees what there was before.
        expected = ["Ben"] if dialect == "postgres" else ["Ada", "Ben"]
        assert await asyncio.create_task(other()) == expected
        first.name = "Done"
        await first.save()
    assert await names(User.select()) == ["Ben", "Done"]


@pytest.mark.usefixtures("users")
async def test_who_does_not_wait_is_busy_and_who_waits_sees_the_change(dialect: str) -> None:
    if dialect == "sqlite":
        pytest.skip("SQLite locks no rows")
    locked, released = asyncio.Event(), asyncio.Event()

    async def change() -> None:
        async with ferro.transaction():
            ada = await User.where(name="Ada").for_update().one()
            locked.set()
            await released.wait()
            ada.age = 7
            await ada.save()

    async def read() -> int | None:
        async with ferro.transaction():
            return (await User.where(name="Ada").for_update().one()).age

    changing = asyncio.create_task(change())
    await locked.wait()
    with pytest.raises(ferro.BusyError):
        async with ferro.transaction():
            await User.where(name="Ada").for_update(nowait=True).all()
    reading = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    assert not reading.done()
    released.set()
    assert await reading == 7
    await changing


@pytest.mark.usefixtures("users")
async def test_a_lock_that_is_shared_keeps_out_who_writes_and_nobody_else(dialect: str) -> None:
    query = User.where(name="Ada").for_share(nowait=True)
    sql, _ = query.sql()
    assert sql.endswith(' FOR SHARE OF "t0" NOWAIT') == (dialect == "postgres")

    async def other(query: ferro.Select[User]) -> User:
        async with ferro.transaction(read_only=dialect == "sqlite"):
            return await query.one()

    async with ferro.transaction():
        ada = await query.one()
        assert await asyncio.create_task(other(query)) == ada
        if dialect == "postgres":
            with pytest.raises(ferro.BusyError):
                await asyncio.create_task(other(User.where(name="Ada").for_update(nowait=True)))


@pytest.mark.usefixtures("users")
async def test_a_lock_goes_with_every_way_to_read_rows(dialect: str) -> None:
    async with ferro.transaction() as transaction:
        query = User.where(name="Ada").for_update()
        ada = await query.one()
        assert await query.get(ada.id) == ada
        assert [user.id async for user in query.stream()] == [ada.id]
        assert await query.values("name") == [{"name": "Ada"}]
        assert await User.using(transaction).where(name="Ada").for_update().first() == ada
    sql, _ = User.select().for_update(nowait=True).sql()
    assert sql.endswith(' FOR UPDATE OF "t0" NOWAIT') == (dialect == "postgres")


@pytest.mark.usefixtures("users")
async def test_what_cannot_be_locked_is_told() -> None:
    query = User.select().for_update()
    for read in (query.all, query.first, query.one, query.stream().__anext__):
        with pytest.raises(ferro.TransactionError, match="`async with ferro.transaction"):
            await read()
    with pytest.raises(ferro.TransactionError, match="`for_share` locks rows until"):
        await User.select().for_share().all()
    for locked in (User.select().for_update, User.select().for_share):
        with pytest.raises(ferro.InvalidQuery, match=f"`{locked.__name__}` takes .*, not both"):
            locked(skip_locked=True, nowait=True)
    with pytest.raises(ferro.InvalidQuery, match="locks by itself: leave out `for_share`"):
        await User.select().for_share().delete()
    for name in ("count", "exists"):
        with pytest.raises(
            ferro.InvalidQuery, match=(f"`{name}` does not read rows that it could lock")
        ):
            await getattr(query, name)()
    with pytest.raises(
        ferro.InvalidQuery, match="`max` .* does not lock them: leave out `for_update`"
    ):
        await query.max("age")
    with pytest.raises(ferro.InvalidQuery, match="`nowait` takes True or False"):
        User.select().for_update(nowait=1)  # type: ignore[arg-type]
    async with ferro.transaction():
        with pytest.raises(ferro.InvalidQuery, match="`lock` is for the rows of a model"):
            await query.distinct()
