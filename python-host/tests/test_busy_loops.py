"""Event loops that are busy, closed or gone: pools do not depend on them."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from pathlib import Path

import pytest
from test_connections import run

import ferro
from models import User


async def test_connections_age_while_no_loop_runs(url: str) -> None:
    """Timers of a pool do not depend on loops."""
    pool = ferro.PoolConfig(max_connections=2, min_connections=0, idle_timeout=0.2)
    await ferro.connect(url, pool=pool, auto_migrate=True)
    await asyncio.gather(User.select().count(), User.select().count())
    assert ferro.pool_stats().size > 0
    for _ in range(500):
        if ferro.pool_stats().size == 0:
            break
        time.sleep(0.01)  # noqa: ASYNC251
    assert ferro.pool_stats().size == 0


async def test_timers_run_while_a_loop_waits_for_other_threads(tmp_path: Path) -> None:
    """Long statements of SQLite end on threads of their own, and no socket is ready meanwhile."""
    pool = ferro.PoolConfig(max_connections=1, acquire_timeout=0.3)
    await ferro.connect(f"sqlite:{tmp_path}/timers.db?mode=rwc", pool=pool, auto_migrate=True)
    long = (
        "with recursive c(x) as (select 1 union all select x + 1 from c where x < ?) "
        "select count(*) as n from c"
    )
    outside = contextvars.copy_context()
    async with ferro.transaction():
        began = time.monotonic()
        waits = outside.run(asyncio.create_task, User.select().count())
        while not waits.done() and time.monotonic() < began + 10:
            await ferro.fetch_all(long, 20_000)
        with pytest.raises(ferro.PoolTimeout):
            await waits
        assert time.monotonic() < began + 5


async def test_what_a_closed_loop_has_left_gives_its_connection_back(url: str) -> None:
    pool = ferro.PoolConfig(max_connections=1, acquire_timeout=10)
    await ferro.connect(url, pool=pool, auto_migrate=True)
    left: list[asyncio.Task[int]] = []

    async def begin() -> None:
        left.append(asyncio.create_task(User.select().count()))
        left.append(asyncio.create_task(User.create(name="left")))  # type: ignore[arg-type]
        await asyncio.sleep(0)

    def of_its_own() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(begin())
        loop.close()

    thread = threading.Thread(target=of_its_own)
    thread.start()
    thread.join()
    assert await asyncio.wait_for(User.select().count(), 10) <= 1
    await asyncio.wait_for(ferro.disconnect(), 10)


async def test_a_busy_loop_keeps_no_connection_of_a_query_that_has_ended(url: str) -> None:
    pool = ferro.PoolConfig(max_connections=1, acquire_timeout=10)
    await ferro.connect(url, pool=pool, auto_migrate=True)
    begun, answered = threading.Event(), threading.Event()

    async def busy() -> int:
        counting = asyncio.create_task(User.select().count())
        await asyncio.sleep(0)
        begun.set()
        answered.wait(10)
        return await counting

    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(busy())))
    thread.start()
    await asyncio.to_thread(begun.wait)
    assert await User.select().count() == 0
    answered.set()
    await asyncio.to_thread(thread.join)
    assert found == [0]


async def test_y2_loops_of_several_threads_share_a_pool(url: str) -> None:
    await ferro.connect(url, pool=ferro.PoolConfig(max_connections=3), auto_migrate=True)
    user = await User.create(name="Ada")
    found: list[str] = []

    async def read(at_once: int) -> None:
        for _ in range(100 // at_once):
            rows = await asyncio.gather(*(User.get(user.id) for _ in range(at_once)))
            found.extend(row.name for row in rows)

    # Those that wait for few queries drive them themselves, if no other loop does.
    threads = [
        threading.Thread(target=lambda at_once=at_once: asyncio.run(read(at_once)))
        for at_once in (1, 2, 5, 20)
    ]
    for thread in threads:
        thread.start()
    await read(10)
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    assert found == ["Ada"] * 500
    assert ferro.pool_stats().acquired == 0


async def test_y2_loops_that_wait_take_no_processor_time(url: str) -> None:
    await ferro.connect(url, auto_migrate=True)
    async with ferro.transaction():
        await asyncio.gather(*(User.select().count() for _ in range(20)))
        before = time.process_time()
        await asyncio.sleep(1)
        assert time.process_time() - before < 0.2


async def test_a_loop_waits_until_it_can_look_at_sockets(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the thread that has looked at them goes, turns would be in vain, and hold it up."""
    await ferro.connect(url, auto_migrate=True)
    await User.bulk_create([User(name=f"user {number}") for number in range(5_000)])
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    select, turns = selector.select, 0

    def counted(timeout: float | None) -> object:
        nonlocal turns
        turns += 1
        return select(timeout)

    monkeypatch.setattr(selector, "select", counted)
    for _ in range(20):
        assert len(await User.all()) == 5_000
    assert turns < 20 * 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_y2_a_child_takes_nothing_that_its_parent_awaits_from_postgres() -> None:
    code = """
        import asyncio, os, sys, warnings, ferro
        warnings.simplefilter("ignore")
        async def main():
            await ferro.connect(sys.argv[1], pool=ferro.PoolConfig(max_connections=8))
            for _ in range(10):
                waiting = [
                    ferro.fetch_all("select pg_sleep(0.05), ? as n", number) for number in range(8)
                ]
                tasks = [asyncio.create_task(it) for it in waiting]
                await asyncio.sleep(0.002)
                child = os.fork()
                if child == 0:
                    for it in waiting:
                        it.close()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
                rows = await asyncio.wait_for(asyncio.gather(*tasks), 20)
                assert [row["n"] for (row,) in rows] == list(range(8))
        asyncio.run(main())
    """
    done = run(code, os.environ["FERRO_TEST_POSTGRES_URL"])
    assert (done.returncode, done.stderr) == (0, "")
