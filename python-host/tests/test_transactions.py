"""Blocks that commit, or undo everything."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ferro
from ferro._connections.engine import engine
from ferro._connections.transaction import current_transaction, together
from ferro._tables.registry import registry
from ferro._tables.table import Table, table_of
from models import User

pytestmark = pytest.mark.usefixtures("db")


SLOW = (
    "with recursive counted (n) as (select 1 union all select n + 1 from counted where n < 2000000)"
    " select count(*) as n from counted"
)


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


@pytest.fixture
def later() -> Iterator[Callable[[], type[Any]]]:
    """Defines a model when it is called: as importing its module does."""
    found: list[Table] = []

    def define() -> type[Any]:
        class Later(ferro.Model, table="imported_later"):
            id: int | None = ferro.Field(default=None, primary_key=True)
            user: ferro.Relation[User] = ferro.ForeignKey(related_name="laters")

        found.append(table_of(Later))
        return Later

    yield define
    for table in found:
        registry.remove(table)


async def test_a_model_that_is_imported_in_a_transaction_is_known_there(
    later: Callable[[], type[Any]], dialect: str
) -> None:
    key = "integer primary key" if dialect == "sqlite" else "serial primary key"
    await ferro.execute(f"create table imported_later (id {key}, user_id integer)")
    async with ferro.transaction() as outer:
        user = await User.create(name="Ada")
        async with ferro.transaction():
            model = later()
            made = await model.create(user=user)
            assert [it.id for it in await user.laters] == [made.id]
        assert await model.using(outer).get(made.id) == made
    assert await model.where(lambda it: it.user.name == "Ada").count() == 1


async def test_a_model_that_is_imported_beside_a_statement_waits_for_it(
    later: Callable[[], type[Any]],
) -> None:
    async with ferro.transaction() as transaction:
        work = asyncio.ensure_future(ferro.fetch_one(SLOW, using=transaction))
        await asyncio.sleep(0.05)
        later()
        with pytest.raises(ferro.BusyError, match="a model was defined.*await the statement first"):
            await User.select().count()
        await work
        assert await User.select().count() == 0


async def test_a_transaction_ends_whatever_was_imported_in_it() -> None:
    with pytest.raises(ferro.SchemaError, match="Nowhere"):
        async with ferro.transaction():
            await User.create(name="Ada")

            class Lost(ferro.Model, table="imported_lost"):
                id: int | None = ferro.Field(default=None, primary_key=True)
                end: ferro.Relation[Nowhere] = ferro.ForeignKey()  # type: ignore[name-defined]  # noqa: F821

            try:
                await User.select().count()
            finally:
                table = Lost.__ferro_table__
                registry.remove(table)
    assert ferro.pool_stats().acquired == 0
    assert await names() == []


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


async def test_a_statement_that_is_cancelled_in_a_savepoint_ends_the_whole_transaction() -> None:
    async def work(slow: Callable[[], Any]) -> None:
        task: Any = asyncio.current_task()
        async with ferro.transaction():
            await User.create(name="Ada")
            with pytest.raises(asyncio.CancelledError):
                async with ferro.transaction():
                    await User.create(name="Ben")
                    asyncio.get_running_loop().call_later(0.1, task.cancel)
                    await slow()
            await User.create(name="Cyd")

    with pytest.raises(ferro.QueryCancelled):
        await asyncio.create_task(work(lambda: ferro.fetch_all(SLOW)))
    assert await names() == []
    # Between statements, it is the savepoint only.
    await asyncio.create_task(work(lambda: asyncio.sleep(60)))
    assert await names() == ["Ada", "Cyd"]


@pytest.mark.parametrize(
    ("option", "value"), [("isolation", "serializable"), ("read_only", True), ("deferrable", True)]
)
async def test_a_savepoint_takes_no_options_of_a_transaction(option: str, value: Any) -> None:
    async with ferro.transaction():
        with pytest.raises(
            ferro.TransactionError, match=(f"a savepoint, and does not support `{option}`")
        ):
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


async def test_what_follows_a_cancelled_statement_is_told_of_it_at_once() -> None:
    async def give_up(transaction: ferro.Transaction) -> None:
        task = asyncio.create_task(ferro.fetch_all(SLOW, using=transaction))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for _ in range(15):
        with pytest.raises(ferro.QueryCancelled, match="cancelled halfway"):
            async with ferro.transaction() as transaction:
                await give_up(transaction)
                with pytest.raises(ferro.QueryCancelled, match="cancelled halfway"):
                    await names()
        with pytest.raises(ferro.QueryCancelled, match="cancelled halfway"):
            async with ferro.transaction(), ferro.transaction() as savepoint:
                await give_up(savepoint)
        assert ferro.pool_stats().acquired == 0


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


async def test_a_child_task_that_writes_outside_is_told_of_once(
    caplog: pytest.LogCaptureFixture, dialect: str
) -> None:
    ada, ben = await User.create(name="Ada"), User(name="Ben", email="b@x.org")
    ada.age = 1
    # A write of SQLite would wait for the one of the transaction.
    async with ferro.transaction(read_only=dialect == "sqlite"):
        async with ferro.transaction():
            await asyncio.gather(ada.save(), ben.save(), User.bulk_create([User(name="Cyd")]))
        await asyncio.create_task(User.select().count())
        await User.select().count()
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("ferro.transaction", "WARNING")
    for part in ("connection `default`", "Model.save", "`user.save(using=transaction)`"):
        assert part in record.getMessage()


@pytest.mark.parametrize("work", ["a block", "many rows", "a stream", "SQL"])
async def test_whatever_a_child_task_does_outside_is_told_of(
    caplog: pytest.LogCaptureFixture, work: str
) -> None:
    async def child() -> None:
        if work == "a block":
            async with ferro.transaction():
                pass
        elif work == "many rows":
            await User.bulk_create([User(name="Ada"), User(name="Ben")])
        elif work == "a stream":
            _ = [user async for user in User.select().stream()]
        else:
            await ferro.fetch_all("select 1")

    async with ferro.transaction():
        await asyncio.create_task(child())
        await asyncio.create_task(child())
    assert len(caplog.records) == 1


async def test_tasks_that_do_what_was_meant_are_not_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await ferro.connect("sqlite::memory:", "other", auto_migrate=True)
    ended = asyncio.Event()

    async def later() -> None:
        await ended.wait()
        await User.create(name="Ada")

    async with ferro.transaction() as transaction:
        await asyncio.create_task(User.using(transaction).create(name="Ben"))
        await asyncio.create_task(User.using(transaction).bulk_create([User(name="Cyd")]))
        await asyncio.create_task(User.using("other").create(name="Dan"))
        task = asyncio.create_task(later())
    ended.set()
    await task
    assert await names() == ["Ada", "Ben", "Cyd"]
    assert caplog.records == []


async def test_a_rollback_undoes_all_of_it_and_the_block_ends_well() -> None:
    ada, ben = await User.create(name="Ada"), User(name="Ben")
    async with ferro.transaction() as transaction:
        ada.age = 5
        await ada.save()
        await ben.save()
        assert await User.select().count() == 2
        await transaction.rollback()
        assert ferro.pool_stats().acquired == 0
        assert ben.id is None
        for work in (
            User.create(name="Cyd"),
            User.using(transaction).all(),
            User.bulk_create([User(name="Dan")]),
            ferro.fetch_all("select 1"),
            transaction.rollback(),
        ):
            with pytest.raises(ferro.TransactionError, match="was rolled back: no further"):
                await work
        with pytest.raises(ferro.TransactionError, match="was rolled back"):
            async with ferro.transaction():
                pass
        assert ferro.current_transaction() is transaction
    assert ferro.current_transaction() is None
    assert await names() == ["Ada"]
    await ada.save()
    assert (await User.get(ada.id)).age == 5, "what was undone is a change"
    with pytest.raises(ferro.TransactionError, match="has ended"):
        await transaction.rollback()
    with pytest.raises(Undo):
        async with ferro.transaction() as transaction:
            await transaction.rollback()
            raise Undo


async def test_a_savepoint_that_is_rolled_back_leaves_the_outer_block() -> None:
    async with ferro.transaction() as outer:
        await User.create(name="Ada")
        async with ferro.transaction() as inner:
            await User.create(name="Ben")
            with pytest.raises(
                ferro.TransactionError, match="a block inside .* is still open: end it"
            ):
                await outer.rollback()
            await inner.rollback()
        assert ferro.current_transaction() is outer
        await User.create(name="Cyd")
    assert await names() == ["Ada", "Cyd"]


async def test_a_rollback_by_another_task_is_one_for_all() -> None:
    async with ferro.transaction() as transaction:
        await User.create(name="Ada")
        await asyncio.create_task(transaction.rollback())
        with pytest.raises(ferro.TransactionError, match="was rolled back"):
            await User.create(name="Ben")
    assert await names() == []


@pytest.mark.parametrize("who", ["another task", "the owner"])
async def test_a_rollback_is_refused_while_any_task_is_in_a_block_inside(who: str) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def work(outer: ferro.Transaction) -> None:
        async with together(outer):
            inside.set()
            await go_on.wait()

    async with ferro.transaction() as outer:
        await User.create(name="Ada")
        task = asyncio.create_task(work(outer))
        await inside.wait()
        with pytest.raises(ferro.TransactionError, match="a block inside .* is still open: end it"):
            await (
                outer.rollback() if who == "the owner" else asyncio.create_task(outer.rollback())
            )
        go_on.set()
        await task
        assert await names() == ["Ada"]
        await outer.rollback()
        assert ferro.pool_stats().acquired == 0
    assert await names() == []


async def test_a_rollback_ends_streams() -> None:
    await User.bulk_create([User(name=f"{it}") for it in range(50)])
    async with ferro.transaction() as transaction:
        await User.select().update(age=3)
        users = User.select().stream(batch=3)
        await anext(users)
        await transaction.rollback()
    assert await User.where(age=3).count() == 0
    assert ferro.pool_stats().acquired == 0


async def test_what_waits_for_a_commit_is_called_after_it_and_once() -> None:
    called: list[Any] = []

    async def count() -> None:
        called.append(await User.select().count())

    def note(name: str) -> Callable[[], None]:
        return lambda: called.append((name, ferro.current_transaction()))

    async with ferro.transaction() as outer:
        outer.on_commit(note("outer"))
        await User.create(name="Ada")
        async with ferro.transaction() as inner:
            inner.on_commit(note("inner"))
            inner.on_commit(count)
            outer.on_commit(note("before the end of the inner one"))
        async with ferro.transaction() as undone:
            undone.on_commit(note("undone"))
            await undone.rollback()
        with pytest.raises(Undo):
            async with ferro.transaction() as failed:
                failed.on_commit(note("failed"))
                raise Undo
        outer.on_commit(note("last"))
        assert called == []
    before = ("before the end of the inner one", None)
    assert called == [("outer", None), before, ("inner", None), 1, ("last", None)]
    called.clear()
    with pytest.raises(Undo):
        async with ferro.transaction() as outer:
            outer.on_commit(count)
            async with ferro.transaction() as inner:
                inner.on_commit(count)
            raise Undo
    with pytest.raises(ferro.TransactionError, match="has ended"):
        outer.on_commit(count)
    assert called == []


async def test_what_fails_after_a_commit_is_logged_and_the_others_are_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    called: list[int] = []

    async def fails() -> None:
        raise ferro.BusyError("no", retryable=True)

    async def work() -> None:
        await User.create(name="Ada")
        transaction = ferro.current_transaction()
        assert transaction is not None
        transaction.on_commit(fails)
        transaction.on_commit(lambda: called.append(1))

    await ferro.retry(work)
    assert (await names(), called) == (["Ada"], [1]), "not once more"
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("ferro.transaction", "ERROR")
    assert "test_what_fails_after_a_commit" in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
async def test_what_ends_the_program_after_a_commit_ends_it_when_the_others_were_called(
    ending: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    called: list[int] = []

    def stop() -> None:
        raise ending

    with pytest.raises(ending):
        async with ferro.transaction() as transaction:
            await User.create(name="Ada")
            transaction.on_commit(stop)
            transaction.on_commit(lambda: called.append(1))
    assert (await names(), called) == (["Ada"], [1])
    assert [it.name for it in caplog.records] == ["ferro.transaction"]


async def test_a_decorator_needs_no_parentheses() -> None:
    @ferro.transaction
    async def work(name: str) -> str:
        """What it does."""
        await User.create(name=name)
        if name == "Ben":
            raise Undo
        transaction = ferro.current_transaction()
        assert transaction is not None
        return transaction.label

    assert (await work("Ada"), work.__doc__) == ("default", "What it does.")
    with pytest.raises(Undo):
        await work(name="Ben")
    assert await names() == ["Ada"]
    wrong: Any
    for wrong in ("archive", len, lambda: None):
        with pytest.raises(ferro.ConfigurationError, match="is for a coroutine function"):
            ferro.transaction(wrong)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks do not tell that they are cancelled")
@pytest.mark.parametrize("by", ["the caller", "the function"])
async def test_what_is_cancelled_after_a_commit_is_logged_and_the_others_are_called(
    caplog: pytest.LogCaptureFixture, by: str
) -> None:
    called: list[str] = []

    async def stopped() -> None:
        waiting: Any = asyncio.current_task()
        if by == "the function":
            waiting = asyncio.ensure_future(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(waiting.cancel)
        await (asyncio.sleep(60) if by == "the caller" else waiting)

    async def last() -> None:
        await asyncio.sleep(0)
        called.append("last")

    async def work() -> None:
        async with ferro.transaction() as transaction:
            await User.create(name="Ada")
            transaction.on_commit(stopped)
            transaction.on_commit(last)
        called.append("the rest")

    task = asyncio.create_task(work())
    await asyncio.wait([task])
    assert task.cancelled() == (by == "the caller")
    assert called == (["last"] if by == "the caller" else ["last", "the rest"])
    assert await names() == ["Ada"]
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("ferro.transaction", "ERROR")
    assert "stopped" in record.getMessage()


async def test_a_coroutine_function_is_a_block_each_time_it_is_called() -> None:
    @ferro.transaction(immediate=True)
    async def add(name: str, *, fails: bool = False) -> ferro.Transaction | None:
        """Adds one."""
        await User.create(name=name)
        if fails:
            raise Undo
        return ferro.current_transaction()

    assert (add.__name__, add.__doc__) == ("add", "Adds one.")
    first, second = await add("Ada"), await add(name="Ben")
    assert first is not None
    assert second not in (None, first)
    with pytest.raises(Undo):
        await add("Cyd", fails=True)
    async with ferro.transaction() as outer:
        await add("Dan")
        await outer.rollback()
    assert await names() == ["Ada", "Ben"]


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
        with pytest.raises(ferro.TransactionError, match="tables cannot be created"):
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


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("read committed", "off", "off")),
        ({"isolation": "read-committed"}, ("read committed", "off", "off")),
        ({"isolation": "repeatable-read"}, ("repeatable read", "off", "off")),
        ({"isolation": "serializable"}, ("serializable", "off", "off")),
        ({"read_only": True}, ("read committed", "on", "off")),
        ({"deferrable": True}, ("read committed", "off", "on")),
    ],
)
async def test_what_a_transaction_is_asked_to_be_reaches_postgres(
    dialect: str, options: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    if dialect == "sqlite":
        pytest.skip("SQLite has one isolation, and tells nothing of a transaction")
    names = ("isolation", "read_only", "deferrable")
    settings = ", ".join(f"current_setting('transaction_{it}') as {it}" for it in names)
    async with ferro.transaction(**options):
        row = await ferro.fetch_one(f"select {settings}")
    assert row == dict(zip(names, expected, strict=True))


async def test_immediate_takes_the_lock_of_sqlite_before_the_first_write(
    db: str, dialect: str
) -> None:
    await ferro.connect(db, "other", sqlite=ferro.SqliteConfig(busy_timeout=0.05))

    async def write() -> None:
        await User.using("other").create(name="Ada")

    async with ferro.transaction():
        await asyncio.create_task(write())
    async with ferro.transaction(immediate=True):
        writing = asyncio.create_task(write())
        if dialect == "sqlite":
            with pytest.raises(ferro.BusyError):
                await writing
        else:
            await writing
    assert await User.select().count() == (1 if dialect == "sqlite" else 2)


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
            transaction._renewed_session().close()
            raise Undo


@pytest.mark.parametrize("nested", [False, True])
async def test_what_was_undone_is_written_again_by_the_next_try(nested: bool) -> None:
    ada, old = await User.create(name="Ada"), await User.create(name="old")
    ben = User(name="Ben")
    many = [User(name="many 1"), User(name="many 2")]
    keyed = [User(id=50, name="keyed")]

    async def write() -> None:
        ada.age += 1
        await ada.save()
        ada.name = "Ada again"
        await ada.save()
        await ben.save()
        ben.age = 5
        await User.bulk_update([ben])
        await User.bulk_create(many, return_keys=True)
        await User.bulk_create(keyed)
        await old.delete()

    async def attempt(fails: bool) -> None:
        async with ferro.transaction():
            if nested:
                async with ferro.transaction():
                    await write()
            else:
                await write()
            if fails:
                raise Undo

    with pytest.raises(Undo):
        await attempt(True)
    assert (ada.age, ada.name) == (1, "Ada again"), "values stay"
    assert [user.id for user in (ben, *many, *keyed)] == [None, None, None, 50]
    await attempt(False)
    stored = {user.name: user for user in await User.all()}
    assert sorted(stored) == ["Ada again", "Ben", "keyed", "many 1", "many 2"]
    assert (stored["Ada again"].age, stored["Ben"].age) == (2, 5)
    assert stored["Ben"] == ben


async def test_a_savepoint_that_is_undone_leaves_what_the_outer_block_has_stored() -> None:
    ada, ben = await User.create(name="Ada"), User(name="Ben")
    async with ferro.transaction():
        ada.age = 1
        await ada.save()
        with pytest.raises(Undo):
            async with ferro.transaction():
                ada.age = 2
                await ada.save()
                await ben.save()
                raise Undo
        await ada.save()
        await ben.save()
    assert [(user.name, user.age) for user in await User.select().order_by("name")] == [
        ("Ada", 2),
        ("Ben", 0),
    ]
    with pytest.raises(Undo):
        async with ferro.transaction():
            ada.age = 3
            await ada.save()
            async with ferro.transaction():
                ada.age = 4
                await ada.save()
            raise Undo
    await ada.save()
    assert (await User.get(ada.id)).age == 4


async def test_what_a_cancelled_block_or_a_failed_commit_undid_is_written_again() -> None:
    ada, ben = await User.create(name="Ada"), User(name="Ben")
    written = asyncio.Event()

    async def work() -> None:
        async with ferro.transaction():
            ada.age = 1
            await ada.save()
            await ben.save()
            written.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ada.save()
    await ben.save()
    assert (await User.get(ada.id)).age == 1
    ada.age = 2
    with pytest.raises(ferro.TransactionError, match="ended"):
        async with ferro.transaction() as transaction:
            await ada.save()
            await ben.delete()
            transaction._renewed_session().close()
    await ada.save()
    await ben.delete()
    assert [(user.name, user.age) for user in await User.all()] == [("Ada", 2)]


async def test_bulk_create_undoes_its_own_first_half() -> None:
    await User.create(id=7, name="taken")
    rows = [User(name="Ada"), User(id=7, name="Ben")]
    with pytest.raises(ferro.UniqueViolation):
        await User.bulk_create(rows, return_keys=True)
    rows[1].id = None
    assert await User.bulk_create(rows, return_keys=True) == 2
    assert await names() == ["Ada", "Ben", "taken"]


async def test_a_key_that_was_set_after_an_insert_that_was_undone_stays() -> None:
    user = User(name="Ada")
    with pytest.raises(Undo):
        async with ferro.transaction():
            await user.save()
            user.id = 70
            raise Undo
    await user.save()
    assert [row.id for row in await User.all()] == [70]


async def test_rows_that_are_written_in_another_task_are_written_again_too() -> None:
    ada = await User.create(name="Ada")
    with pytest.raises(Undo):
        async with ferro.transaction() as transaction:
            ada.age = 1
            await asyncio.create_task(ada.save(using=transaction))
            raise Undo
    await ada.save()
    assert (await User.get(ada.id)).age == 1


async def test_a_transaction_keeps_no_rows_that_nobody_has() -> None:
    async with ferro.transaction() as transaction:
        rows = [User(name=f"{number}") for number in range(10)]
        await User.bulk_create(rows, return_keys=True)
        one = weakref.ref(rows[0])
        del rows
        for number in range(20):
            async with ferro.transaction():
                await User.create(name=f"of a savepoint {number}")
        kept = await User.create(name="kept")
        for age in range(20):
            kept.age = age
            await kept.save()
        gc.collect()
        assert one() is None
        assert len(transaction._undo_log) == 1, "one row is left, with one memory"
    assert len(transaction._undo_log) == 0
    assert await User.select().count() == 31


async def test_rows_of_upserts_that_were_undone_are_new_again() -> None:
    made = []
    with pytest.raises(Undo):
        async with ferro.transaction():
            made += [(await User.get_or_create(id=81, name="Ada"))[0]]
            made += [await User.upsert(User(id=82, name="Ben"), conflict="id")]
            made += [(await User.update_or_create({"age": 3}, id=83, name="Cyd"))[0]]
            raise Undo
    assert await names() == []
    for row in made:
        await row.save()
    assert await names() == ["Ada", "Ben", "Cyd"]

    ada = made[0]
    with pytest.raises(Undo):
        async with ferro.transaction():
            ada, _ = await User.update_or_create({"age": 9}, id=ada.id)
            raise Undo
    await ada.save()
    assert (await User.get(ada.id)).age == 9, "what was undone is a change"


async def test_y3_a_transaction_that_is_passed_leaves_the_own_one_in_place() -> None:
    began: asyncio.Future[ferro.Transaction] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def elsewhere() -> None:
        async with ferro.transaction() as transaction:
            began.set_result(transaction)
            await done.wait()

    task = asyncio.create_task(elsewhere())
    passed = await began
    async with ferro.transaction() as own:
        await User.using(passed).update_or_create({"age": 1}, name="Ada", email="a@x.org")
        assert current_transaction() is own
    done.set()
    await task
    assert await names() == ["Ada"]


async def test_y3_what_takes_several_statements_runs_in_the_transaction_that_it_is_given() -> None:
    ada = await User.create(name="Ada", email="a@x.org")

    async def write(transaction: ferro.Transaction) -> None:
        here = User.using(transaction)
        ada.age = 1
        assert await here.bulk_update([ada]) == 1
        assert await here.bulk_create([User(id=50, name="Ben"), User(name="Cyd")]) == 2
        await here.update_or_create({"active": False}, email="a@x.org")
        assert await here.where(active=True).count() == 2

    with pytest.raises(Undo):
        async with ferro.transaction(immediate=True) as transaction:
            await asyncio.create_task(write(transaction))
            assert await names() == ["Ada", "Ben", "Cyd"]
            raise Undo
    (stored,) = await User.all()
    assert (stored.age, stored.active) == (0, True)
    await ada.save()
    assert (await User.get(ada.id)).age == 1, "nor is it known as stored"


async def test_a_thread_that_has_the_context_of_a_transaction_can_look_at_queries() -> None:
    async with ferro.transaction():
        text = await asyncio.to_thread(lambda: User.where(age=1).sql()[0])
    assert "WHERE" in text


async def test_y3_an_error_ends_a_transaction_though_a_stream_of_it_is_kept() -> None:
    ada = await User.create(name="Ada", email="a@x.org")
    await User.bulk_create([User(name=f"{it}") for it in range(50)])
    kept: list[Any] = []
    with pytest.raises(Undo):
        async with ferro.transaction():
            await User.where(id=ada.id).update(age=5)
            kept.append(User.select().stream(batch=3))
            async for _ in kept[0]:
                raise Undo
    assert await asyncio.wait_for(User.where(id=ada.id).update(age=6), 5) == 1
    assert ferro.pool_stats().acquired == 0
    assert not engine.streams_on(engine.label(None)), "so that disconnecting waits for none"
    with pytest.raises(ferro.InvalidQuery, match="this stream is closed: its transaction or"):
        async for _ in kept[0]:
            pass
