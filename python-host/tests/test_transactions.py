"""Blocks that commit, or undo everything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import ferro
from models import User

pytestmark = pytest.mark.usefixtures("db")


class Undo(Exception):
    pass


async def names() -> list[str]:
    return [user.name for user in await User.select().order_by("name").all()]


async def test_a_block_commits_when_it_ends_well() -> None:
    async with ferro.transaction():
        await User.create(name="Ada")
        assert await names() == ["Ada"]
    assert await names() == ["Ada"]
    assert ferro.pool_stats().acquired == 0


async def test_p1_an_exception_undoes_all_of_it() -> None:
    with pytest.raises(Undo):
        async with ferro.transaction():
            await User.create(name="Ada")
            await ferro.execute("insert into users (name, age, active) values ('Ben', 1, true)")
            raise Undo
    assert await names() == []
    assert ferro.pool_stats().acquired == 0


async def test_a_failed_statement_undoes_all_of_it() -> None:
    with pytest.raises(ferro.UniqueViolation):
        async with ferro.transaction():
            await User.create(id=1, name="Ada")
            await User.create(id=1, name="Ben")
    assert await names() == []


async def test_a_block_inside_a_block_is_a_savepoint() -> None:
    async with ferro.transaction():
        await User.create(name="Ada")
        with pytest.raises(ferro.UniqueViolation):
            async with ferro.transaction():
                await User.create(name="Ben", email="x")
                await User.create(name="Cyd", email="x")
        assert await names() == ["Ada"], "an inner failure leaves the outer block usable"
        async with ferro.transaction():
            await User.create(name="Dee")
    assert await names() == ["Ada", "Dee"]


@pytest.mark.parametrize(
    ("option", "value"), [("isolation", "serializable"), ("read_only", True), ("deferrable", True)]
)
async def test_a_savepoint_takes_no_options_of_a_transaction(option: str, value: Any) -> None:
    async with ferro.transaction():
        with pytest.raises(ferro.TransactionError, match=f"a savepoint, and takes no `{option}`"):
            async with ferro.transaction(**{option: value}):
                pass
        async with ferro.transaction(immediate=True):
            await User.create(name="Ada")
    assert await names() == ["Ada"]


async def test_the_outer_block_undoes_what_an_inner_one_committed() -> None:
    with pytest.raises(Undo):
        async with ferro.transaction():
            async with ferro.transaction():
                await User.create(name="Ada")
            raise Undo
    assert await names() == []


async def test_y2_cancellation_undoes_all_of_it_and_frees_the_connection() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with ferro.transaction():
            await User.create(name="Ada")
            begun.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await names() == []
    assert ferro.pool_stats().acquired == 0
    await User.create(name="Ben")


async def test_y3_a_child_task_is_outside_unless_it_is_given_the_transaction() -> None:
    async def look() -> int:
        return await User.select().count()

    async def write(transaction: ferro.Transaction) -> None:
        await User.using(transaction).create(name="Ben")

    with pytest.raises(Undo):
        async with ferro.transaction() as transaction:
            await User.create(name="Ada")
            assert await asyncio.create_task(look()) == 0
            await asyncio.create_task(write(transaction))
            assert await names() == ["Ada", "Ben"]
            raise Undo
    assert await names() == []


async def test_y3_transactions_of_tasks_are_apart() -> None:
    async def add(number: int) -> None:
        async with ferro.transaction(immediate=True):
            count = await User.select().count()
            await User.create(name=f"user {number}", age=count)

    await asyncio.gather(*(add(number) for number in range(8)))
    assert await User.select().count() == 8


async def test_naming_another_connection_inside_raises() -> None:
    await ferro.connect("sqlite::memory:", "other", auto_migrate=True)
    elsewhere = await User.using("other").create(name="Eve")
    async with ferro.transaction():
        with pytest.raises(ferro.TransactionError, match="`other` cannot be used"):
            await User.using("other").create(name="Ada")
        with pytest.raises(ferro.TransactionError, match="`other` cannot be used"):
            await ferro.execute("select 1", using="other")
        with pytest.raises(ferro.TransactionError, match="`other` cannot be used"):
            async with ferro.transaction(using="other"):
                pass
        with pytest.raises(ferro.TransactionError, match="`other` cannot be used"):
            await elsewhere.delete()
        await User.using("default").create(name="Ada")
    assert await names() == ["Ada"]


async def test_a_transaction_of_another_connection_is_not_named_inside() -> None:
    await ferro.connect("sqlite::memory:", "other", auto_migrate=True)
    began: asyncio.Future[ferro.Transaction] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def elsewhere() -> None:
        async with ferro.transaction(using="other") as transaction:
            began.set_result(transaction)
            await done.wait()

    task = asyncio.create_task(elsewhere())
    transaction = await began
    async with ferro.transaction():
        with pytest.raises(ferro.TransactionError, match="`other` cannot be used"):
            await User.using(transaction).create(name="Ada")
    await User.using(transaction).create(name="Ben")
    done.set()
    await task
    assert [user.name for user in await User.using("other").all()] == ["Ben"]


async def test_no_tables_are_created_inside_a_transaction() -> None:
    async with ferro.transaction():
        await User.create(name="Ada")
        with pytest.raises(ferro.TransactionError, match="no tables are created"):
            await ferro.create_tables()
    assert await names() == ["Ada"]


async def test_operations_inside_inherit_the_connection() -> None:
    await ferro.connect("sqlite::memory:", "other", auto_migrate=True)
    async with ferro.transaction(using="other"):
        await User.create(name="Ada")
        assert await names() == ["Ada"]
    assert await names() == []
    assert [user.name for user in await User.using("other").all()] == ["Ada"]


async def test_y3_a_handle_used_after_its_block_ended_raises() -> None:
    async with ferro.transaction() as transaction:
        pass
    with pytest.raises(ferro.TransactionError, match="ended"):
        await User.using(transaction).create(name="Ada")
    with pytest.raises(ferro.TransactionError, match="once"):
        async with transaction:
            pass


async def test_a_transaction_does_not_disconnect_what_it_runs_on() -> None:
    with pytest.raises(ferro.TransactionError, match="disconnecting would wait"):
        async with ferro.transaction():
            await User.create(name="Ada")
            await ferro.disconnect()
    assert await names() == []
    await ferro.connect("sqlite::memory:", "other")
    async with ferro.transaction():
        await ferro.disconnect("other")


async def test_t8_a_read_only_transaction_refuses_writes() -> None:
    with pytest.raises(ferro.ReadOnlyError):
        async with ferro.transaction(read_only=True):
            await User.create(name="Ada")
    assert await names() == []


async def test_an_unknown_isolation_is_refused() -> None:
    with pytest.raises(ferro.ConfigurationError, match="takes one of `read-committed`"):
        async with ferro.transaction(isolation="chaos"):  # type: ignore[arg-type]
            pass
    async with ferro.transaction(isolation="serializable"):
        await User.create(name="Ada")
    assert await names() == ["Ada"]


async def test_y2_cancellation_at_any_point_is_a_cancellation_and_undoes_all_of_it() -> None:
    async def work(number: int) -> None:
        async with ferro.transaction():
            user = await User.create(name=f"outer {number}")
            async with ferro.transaction():
                await User.create(name=f"inner {number}")
            user.age = 5
            await user.save()

    ended = 0
    for number in range(60):
        task = asyncio.create_task(work(number))
        await asyncio.sleep(number / 5_000)
        task.cancel()
        try:
            await task
            ended += 1
        except asyncio.CancelledError:
            pass
    await User.create(name="last")
    stored = await names()
    outer = {name.removeprefix("outer ") for name in stored if name.startswith("outer")}
    inner = {name.removeprefix("inner ") for name in stored if name.startswith("inner")}
    assert outer == inner, "a transaction is all or nothing"
    assert len(outer) >= ended
    assert ferro.pool_stats().acquired == 0
    async with ferro.transaction():
        await User.create(name="after")


async def test_the_error_of_a_block_is_not_hidden_by_the_one_of_its_rollback() -> None:
    with pytest.raises(Undo):
        async with ferro.transaction() as transaction:
            transaction.session.close()
            raise Undo
