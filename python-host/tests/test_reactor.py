"""Which thread waits for databases: the event loop's, and one that stands in for it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ferro
from conftest import eventually
from models import User


def switches() -> int:
    """How often the thread that stands in has waited for something."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text().strip() == "ferro":
            lines = dict(it.split(":\t") for it in (task / "status").read_text().splitlines())
            found.append(int(lines["voluntary_ctxt_switches"]))
    return sum(found)


@pytest.mark.skipif(sys.platform != "linux", reason="finds threads in /proc")
async def test_an_answer_wakes_the_loop_and_no_other_thread(db: str) -> None:
    user = await User.create(name="asked")
    await asyncio.sleep(0.1)
    await User.get(user.id)
    began, before = time.monotonic(), switches()
    for _ in range(1_000):
        await User.get(user.id)
    looked = (time.monotonic() - began) / 0.01
    assert switches() - before < looked + 100, "it only looks now and then whether it is needed"


async def test_a_loop_that_takes_no_turns_is_served_all_the_same(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread stands in for it: a loop may be busy, or closed."""

    def careless(loop: asyncio.SelectorEventLoop) -> Callable[..., None]:
        def add_reader(descriptor: int, callback: Callable[..., Any], *arguments: Any) -> None:
            match callback.__name__:
                case "drive":
                    told.append(descriptor)
                case _:
                    add(descriptor, callback, *arguments)

        add = loop.add_reader
        return add_reader

    told: list[int] = []
    counted: list[int] = []

    async def work() -> None:
        async with ferro.transaction():
            await User.create(name="careless")
        counted.extend(await asyncio.gather(*(User.select().count() for _ in range(20))))

    def of_its_own() -> None:
        loop = asyncio.SelectorEventLoop()
        monkeypatch.setattr(loop, "add_reader", careless(loop))
        try:
            loop.run_until_complete(work())
        finally:
            loop.close()

    await ferro.connect(url, auto_migrate=True)
    thread = threading.Thread(target=of_its_own)
    thread.start()
    # This loop takes no turn either.
    thread.join(60)
    assert counted == [1] * 20
    assert len(told) == (1 if sys.platform == "linux" else 0)


async def test_what_is_cancelled_is_gone_at_once(url: str) -> None:
    """It is dropped by whoever cancels it, and not some time later by another thread."""
    await ferro.connect(url, pool=ferro.PoolConfig(max_connections=1), auto_migrate=True)
    outside = contextvars.copy_context()
    async with ferro.transaction():
        waits = outside.run(asyncio.create_task, User.select().count())
        await eventually(lambda: ferro.pool_stats().waiting == 1)
        waits.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waits
        assert ferro.pool_stats().waiting == 0


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
