"""Event loops that are busy, closed or gone: pools do not depend on them."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from pathlib import Path

import pytest

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
