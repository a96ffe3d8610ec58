"""Cancellation, concurrency, event loops: what asyncio does to those who hold connections."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import time

import pytest
from test_connections import run

import ferro
from models import User


async def test_y2_cancellation_at_random_points_leaves_pool_and_transactions_clean(
    url: str,
) -> None:
    """Three thousand tasks, each cancelled somewhere: before, between and inside of its awaits."""
    pool = ferro.PoolConfig(max_connections=3, acquire_timeout=30)
    await ferro.connect(url, pool=pool, auto_migrate=True)
    counter = await User.create(name="counter")
    chance = random.Random(7)

    async def work() -> None:
        async with ferro.transaction(immediate=True):
            user = await User.where(id=counter.id).for_update().one()
            await User.create(name="one")
            user.age += 1
            await user.save()
            await User.create(name="other")

    async def read() -> None:
        async for _ in User.where(name="counter").stream(batch=1):
            await User.select().count()

    ended = cancelled = 0
    for _ in range(60):
        tasks = [asyncio.create_task(chance.choice((work, read))()) for _ in range(50)]
        for task in tasks:
            asyncio.get_running_loop().call_later(chance.random() * 0.05, task.cancel)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            assert result is None or isinstance(result, asyncio.CancelledError), repr(result)
            ended += result is None
            cancelled += result is not None
    assert ended + cancelled == 3_000
    assert cancelled > 500, "or the test proves nothing"

    for _ in range(1_000):
        if ferro.pool_stats().acquired == 0:
            break
        await asyncio.sleep(0.01)
    assert ferro.pool_stats().acquired == 0
    # In one statement: SQLite may still be ending one that was abandoned.
    [found] = await User.select().values(
        written=User.age.sum(where=User.id == counter.id),
        ones=ferro.count(where=User.name == "one"),
        others=ferro.count(where=User.name == "other"),
    )
    assert found["ones"] == found["others"] == found["written"], "a transaction is all or nothing"
    async with ferro.transaction(immediate=True):
        await User.create(name="after")


async def test_a_thousand_queries_at_once_are_all_answered(url: str) -> None:
    pool = ferro.PoolConfig(max_connections=10, acquire_timeout=60)
    await ferro.connect(url, pool=pool, auto_migrate=True)
    users = [User(id=number, name=f"user {number}") for number in range(1, 1_001)]
    await User.bulk_create(users)
    found = await asyncio.wait_for(asyncio.gather(*(User.get(it.id) for it in users)), 60)
    assert [user.id for user in found] == [user.id for user in users]
    assert ferro.pool_stats().acquired == 0


async def test_y2_what_is_cancelled_is_let_go_though_its_error_is_kept(url: str) -> None:
    """A task keeps its error, and the traceback of that all that was awaited."""
    await ferro.connect(url, pool=ferro.PoolConfig(max_connections=1), auto_migrate=True)
    begun = asyncio.Event()

    async def read() -> None:
        await begun.wait()
        async for _ in User.select().stream():
            pass

    async def waiting(callers: int) -> None:
        for _ in range(1_000):
            if ferro.pool_stats().waiting == callers:
                return
            await asyncio.sleep(0.01)
        pytest.fail(f"{ferro.pool_stats()} after ten seconds")

    reading = asyncio.create_task(read())
    async with ferro.transaction():
        begun.set()
        await waiting(1)
        reading.cancel()
        await asyncio.wait({reading})
        await waiting(0)
    assert reading.cancelled()


async def test_y2_an_answer_that_came_before_the_cancellation_is_let_go(url: str) -> None:
    await ferro.connect(url, pool=ferro.PoolConfig(max_connections=1), auto_migrate=True)
    await User.bulk_create([User(name=f"user {number}") for number in range(2_000)])

    async def read() -> None:
        async for _ in User.select().stream(batch=1):
            pass

    for attempt in range(20):
        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        # The answer comes meanwhile, and the loop has no turn to see it.
        time.sleep(0.001 * attempt)  # noqa: ASYNC251
        reading.cancel()
        await asyncio.wait({reading})
        assert await asyncio.wait_for(User.select().count(), 10) == 2_000


async def test_a_stream_that_only_a_kept_error_keeps_does_not_hold_up_disconnecting(
    url: str,
) -> None:
    await ferro.connect(url, auto_migrate=True)
    await User.bulk_create([User(name=f"user {number}") for number in range(2_000)])

    async def read() -> None:
        stream = User.select().stream(batch=1)
        async for _ in stream:
            raise RuntimeError("the row is not as it should be")

    [error] = await asyncio.gather(read(), return_exceptions=True)
    assert isinstance(error, RuntimeError)
    assert ferro.pool_stats().acquired == 1
    await asyncio.wait_for(ferro.disconnect(), 10)


async def test_disconnecting_waits_for_streams_until_their_tasks_have_ended(url: str) -> None:
    await ferro.connect(url, auto_migrate=True)
    await User.bulk_create([User(name=f"user {number}") for number in range(2_000)])
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def read() -> int:
        # Each row is read by a task of its own.
        stream = User.select().stream(batch=10)
        read = [await asyncio.create_task(anext(stream)) for _ in range(10)]
        begun.release()
        await go_on.wait()
        return len(read) + len([user async for user in stream])

    async def fail() -> None:
        stream = User.select().stream(batch=1)
        async for _ in stream:
            begun.release()
            await go_on.wait()
            raise RuntimeError("the row is not as it should be")

    tasks = [asyncio.create_task(read()), asyncio.create_task(fail())]
    for _ in tasks:
        await asyncio.wait_for(begun.acquire(), 10)
    disconnecting = asyncio.create_task(ferro.disconnect())
    await asyncio.sleep(0.3)
    assert not disconnecting.done()
    go_on.set()
    number, error = await asyncio.gather(*tasks, return_exceptions=True)
    assert number == 2_000
    assert isinstance(error, RuntimeError)
    await asyncio.wait_for(disconnecting, 10)


def test_y2_a_stream_of_a_loop_that_was_closed_is_let_go() -> None:
    done = run("""
        import asyncio, gc, ferro
        class Thing(ferro.Model):
            id: int | None = ferro.Field(default=None, primary_key=True)
        async def connect():
            pool = ferro.PoolConfig(max_connections=1, acquire_timeout=5)
            await ferro.connect("sqlite::memory:", pool=pool, auto_migrate=True)
            await Thing.bulk_create([Thing(id=number) for number in range(2_000)])
        async def leave():
            stream = Thing.select().stream(batch=1)
            async for _ in stream:
                break
            return stream
        loop = asyncio.new_event_loop()
        loop.run_until_complete(connect())
        stream = loop.run_until_complete(leave())
        assert ferro.pool_stats().acquired == 1
        loop.close()
        del stream
        gc.collect()
        assert asyncio.run(Thing.select().count()) == 2_000
        print("ended")
    """)
    assert done.stdout.strip() == "ended", done.stderr


async def test_y2_leaving_a_stream_early_gives_the_connection_back(url: str) -> None:
    await ferro.connect(url, pool=ferro.PoolConfig(max_connections=1), auto_migrate=True)
    await User.bulk_create([User(name=f"user {number}") for number in range(100)])
    stream = User.select().stream(batch=10)
    async for user in stream:
        assert user.name == "user 0"
        break
    await stream.aclose()
    assert await User.select().count() == 100


async def test_y2_a_stream_that_nobody_has_any_more_is_let_go(url: str) -> None:
    await ferro.connect(url, pool=ferro.PoolConfig(max_connections=1), auto_migrate=True)
    await User.bulk_create([User(name=f"user {number}") for number in range(100)])

    async def reading() -> None:
        stream = User.select().stream(batch=1)
        assert (await anext(aiter(stream))).name == "user 0"

    await asyncio.create_task(reading())
    gc.collect()
    assert await User.select().count() == 100
    assert ferro.pool_stats().acquired == 0


@pytest.mark.parametrize("policy", ["asyncio", "uvloop"])
def test_y2_several_loops_one_after_another_and_a_clean_exit(policy: str) -> None:
    done = run(f"""
        import asyncio, {policy}, ferro
        new = {policy}.new_event_loop
        class Thing(ferro.Model):
            id: int | None = ferro.Field(default=None, primary_key=True)
        async def work():
            async with ferro.transaction():
                await Thing.create()
            return await asyncio.gather(*(Thing.select().count() for _ in range(50)))
        loop = new()
        loop.run_until_complete(ferro.connect("sqlite::memory:", auto_migrate=True))
        loop.close()
        for number in range(1, 4):
            loop = new()
            assert loop.run_until_complete(work()) == [number] * 50
            loop.close()
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_y2_loops_of_several_threads_at_once() -> None:
    done = run("""
        import asyncio, threading, ferro
        asyncio.run(ferro.connect("sqlite::memory:"))
        found = []
        async def work():
            for number in range(50):
                row = await ferro.fetch_one("select ? as n", number)
                assert row == {"n": number}
            found.append(True)
        threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert len(found) == 4
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_answers_that_are_there_at_once_leave_the_loop_to_others(url: str) -> None:
    await ferro.connect(url, auto_migrate=True)
    await User.create(id=1, name="Ada")
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    for _ in range(1_000):
        await User.get(1)
    assert turns >= 5, "on SQLite no query has to wait, and none may keep the loop for long"
    task.cancel()
    await ferro.disconnect()


async def test_rows_of_many_batches_come_in_order_beside_other_work(url: str) -> None:
    pool = ferro.PoolConfig(acquire_timeout=60, max_connections=5)
    await ferro.connect(url, pool=pool, auto_migrate=True)
    count = 9_000
    await User.bulk_create([User(id=number, name=f"{number}") for number in range(1, count + 1)])
    found = await asyncio.gather(
        *(User.select().order_by("id") for _ in range(3)), *(User.get(it) for it in range(1, 60))
    )
    for rows in found[:3]:
        assert [row.id for row in rows] == list(range(1, count + 1))
    # It may be done before anybody looks at the clock.
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(User.select().order_by("name").all(), 0.000_001)
    assert await User.select().count() == count
    await ferro.disconnect()
