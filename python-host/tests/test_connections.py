"""Connections by name: how they are made, used, measured and closed."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

import ferro
from conftest import eventually
from ferro import _native
from ferro._connections.engine import engine
from ferro._rows.identity import _place
from ferro._tables import table as tables
from ferro._tables.registry import registry
from models import Counter, User


async def test_connect_makes_a_default_connection(url: str) -> None:
    await ferro.connect(url)
    assert await ferro.fetch_all("select 1 as one") == [{"one": 1}]
    assert 0 < await ferro.check_connection() < 5
    await ferro.disconnect()
    with pytest.raises(ferro.ConfigurationError, match="no default connection"):
        await ferro.fetch_all("select 1")


async def test_a_named_connection_is_the_default_only_if_it_says_so(url: str) -> None:
    await ferro.connect(url, "app")
    with pytest.raises(ferro.ConfigurationError, match=r"no default connection"):
        await ferro.fetch_all("select 1")
    assert await ferro.fetch_one("select 1 as one", using="app") == {"one": 1}
    await ferro.connect("sqlite::memory:", name="service", default=True)
    assert await ferro.fetch_one("select 2 as two") == {"two": 2}
    with pytest.raises(
        ferro.ConfigurationError, match=r"no connection `sevrice`.*`app`.*`service`"
    ):
        await User.using("sevrice").all()


async def test_a_name_is_taken_until_it_is_disconnected(url: str) -> None:
    await ferro.connect(url, "app")
    with pytest.raises(ferro.ConfigurationError, match="app"):
        await ferro.connect(url, "app")
    await ferro.disconnect("app")
    await ferro.connect(url, "app")


async def test_connections_are_apart_and_using_names_them(url: str) -> None:
    await ferro.connect(url, auto_migrate=True)
    await ferro.connect("sqlite::memory:", "service")
    await ferro.create_tables(using="service")
    job = await User.using("service").create(name="job")
    assert await User.all() == []
    assert await User.using("service").all() == [job]
    assert await User.using("service").select().where(name="job").count() == 1
    job.age = 5
    await job.save()
    assert (await User.using("service").get(job.id)).age == 5, "a row goes where it came from"
    assert await ferro.execute("delete from users", using="service") == 1


async def test_rows_of_several_connections_are_not_updated_together_unless_one_is_named(
    url: str,
) -> None:
    await ferro.connect(url, auto_migrate=True)
    await ferro.connect("sqlite::memory:", "service", auto_migrate=True)
    here, there = await User.create(name="here"), await User.using("service").create(name="there")
    assert here.id == there.id
    for user in (here, there):
        user.age = 5
    with pytest.raises(ferro.InvalidQuery, match="`default` and `service`"):
        await User.bulk_update([there, here])
    assert [user.age for user in [*await User.all(), *await User.using("service").all()]] == [0, 0]
    assert await User.bulk_update([there]) == 1
    assert [user.age for user in await User.using("service").all()] == [5]
    # As `save` does: of a row of another connection, all fields.
    there.name = "moved"
    assert await User.using("default").bulk_update([there]) == 1
    assert [(user.name, user.age) for user in await User.all()] == [("moved", 5)]


@pytest.mark.parametrize("many", [False, True])
async def test_a_row_that_is_saved_on_another_connection_is_written_whole(
    url: str, many: bool
) -> None:
    async def save(user: User) -> None:
        await (User.using("app").bulk_update([user]) if many else user.save(using="app"))

    await ferro.connect("sqlite::memory:", auto_migrate=True)
    await ferro.connect(url, "app", auto_migrate=True)
    ada = await User.create(name="Ada", age=1)
    with pytest.raises(ferro.DoesNotExist):
        await save(ada)
    assert await User.using("app").create(id=ada.id, name="other", age=100) != ada
    ada.age = 2
    async with ferro.session() as session:
        session._track(_place("default", User.__ferro_table__, ada), ada)
        await save(ada)
        assert await User.using("app").get(ada.id) is ada
        assert (await User.get(ada.id)).age == 1, "it is an object of its own"
    (stored,) = await User.using("app").all()
    assert (stored.name, stored.age) == ("Ada", 2)
    ada.name = "Eve"
    await ada.save()
    assert [it.name for it in await User.using("app").all()] == ["Eve"], "it is a row of `app` now"
    assert [it.name for it in await User.all()] == ["Ada"]
    assert await User.using("app").bulk_update([ada]) == 0, "it is as it is stored"


async def test_a_row_of_nothing_but_a_key_is_looked_for_on_another_connection(url: str) -> None:
    await ferro.connect("sqlite::memory:", auto_migrate=True)
    await ferro.connect(url, "app", auto_migrate=True)
    counter = await Counter.create()
    with pytest.raises(ferro.DoesNotExist):
        await counter.save(using="app")
    with pytest.raises(ferro.DoesNotExist):
        await Counter.using("app").bulk_update([counter])
    await Counter.using("app").create(number=counter.number)
    await counter.save(using="app")
    await counter.delete()
    assert await Counter.using("app").all() == []


async def test_auto_migrate_creates_tables_once_and_keeps_rows(url: str) -> None:
    await ferro.connect(url, auto_migrate=True)
    await User.create(name="Ada")
    await ferro.disconnect()
    await ferro.connect(url, auto_migrate=True)
    assert [user.name for user in await User.all()] == ["Ada"]


async def test_a_connection_whose_tables_cannot_be_made_leaves_all_as_it_was(url: str) -> None:
    class Shelf(ferro.Model):
        id: int | None = ferro.Field(default=None, primary_key=True)
        room: str = ferro.Field(index=True)

    try:
        await ferro.connect(url)
        await ferro.execute("create table shelf (id integer primary key not null)")
        await ferro.execute("insert into shelf (id) values (1)")
        await ferro.connect("sqlite::memory:", "app", default=True)
        with pytest.raises(ferro.NotNullViolation, match="room"):
            await ferro.connect(url, "other", default=True, auto_migrate=True)
        assert engine.labels() == engine.databases.labels() == ["app", "default"]
        assert await ferro.fetch_all("select name from sqlite_schema") == [], "`app` is the default"
    finally:
        registry.remove(Shelf.__ferro_table__)


@pytest.mark.parametrize("auto_migrate", [False, True])
async def test_y2_a_connection_whose_opening_is_cancelled_is_not_there(
    url: str, auto_migrate: bool
) -> None:
    began = time.perf_counter()
    await ferro.connect(url, "app", auto_migrate=auto_migrate)
    took = time.perf_counter() - began
    await ferro.disconnect("app")
    for part in range(30):
        opening = asyncio.create_task(ferro.connect(url, "app", auto_migrate=auto_migrate))
        await asyncio.sleep(took * part / 20)
        opening.cancel()
        (result,) = await asyncio.gather(opening, return_exceptions=True)
        expected = ["app"] if result is None else []
        assert engine.labels() == engine.databases.labels() == expected
        if result is None:
            await ferro.disconnect("app")
    await ferro.connect(url, "app")


async def test_of_several_that_connect_by_one_name_at_once_one_does(url: str) -> None:
    results = await asyncio.gather(
        *(ferro.connect(url, "app") for _ in range(5)), return_exceptions=True
    )
    refused = [it for it in results if isinstance(it, ferro.ConfigurationError)]
    assert (results.count(None), len(refused)) == (1, 4)
    assert "`app` is taken" in str(refused[0])
    assert await ferro.check_connection("app") < 5


async def test_models_may_be_defined_after_connecting(url: str) -> None:
    await ferro.connect(url, auto_migrate=True)

    class Late(ferro.Model, table="defined_late"):
        id: int | None = ferro.Field(default=None, primary_key=True)

    await ferro.create_tables()
    assert (await Late.create()).id == 1


async def test_a_model_that_a_thread_defines_while_others_are_checked_is_known_at_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ferro.connect(url)

    class First(ferro.Model, table="defined_first"):
        id: int | None = ferro.Field(default=None, primary_key=True)

    later: list[Any] = []

    def checked(schema: str, compiler: Any) -> _native.Models:
        if not later:

            class Second(ferro.Model, table="defined_second"):
                id: int | None = ferro.Field(default=None, primary_key=True)

            later.append(Second)
        return check(schema, compiler)

    check = _native.Models
    monkeypatch.setattr(_native, "Models", checked)
    assert "defined_first" in First.select().sql()[0]
    assert "defined_second" in later[0].select().sql()[0]
    with ferro.scope({"name": "any", "grants": {"default": {}}}):
        assert "defined_second" in later[0].select().sql()[0]
    for model in (First, *later):
        registry.remove(model.__ferro_table__)


def test_what_is_kept_is_kept_by_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_MOST_KEPT", 50)
    known: dict[int, int] = {}
    faults: list[BaseException] = []

    def keep(first: int) -> None:
        try:
            for number in range(first, first + 50_000):
                tables.put_cached(known, number, number)
        except (KeyError, RuntimeError) as error:
            faults.append(error)

    former = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=keep, args=(it * 50_000,)) for it in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(former)
    assert (faults, len(known)) == ([], 50)


async def test_the_pool_is_as_large_as_asked_and_says_what_it_does(url: str) -> None:
    await ferro.connect(url, pool=ferro.PoolConfig(max_connections=2, acquire_timeout=1.0))
    assert ferro.pool_stats().max == 2
    async with ferro.transaction() as outer:
        assert ferro.pool_stats().acquired == 1

        async def second() -> None:
            async with ferro.transaction():
                with pytest.raises(ferro.PoolTimeout, match="within 1s") as raised:
                    await asyncio.create_task(third())
                assert raised.value.retryable

        async def third() -> None:
            async with ferro.transaction():
                pass

        await asyncio.create_task(second())
        assert outer.label == "default"
    stats = ferro.pool_stats()
    assert (stats.acquired, stats.waiting) == (0, 0)
    assert stats.idle == stats.size


async def test_as_many_connections_as_asked_are_there_before_anybody_needs_them(url: str) -> None:
    pool = ferro.PoolConfig(min_connections=3, idle_timeout=math.inf, max_lifetime=math.inf)
    await ferro.connect(url, pool=pool)
    await eventually(lambda: ferro.pool_stats().size >= 3)


async def test_opening_the_first_connection_takes_as_long_as_the_options_say() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = ferro.PoolConfig(connect_timeout=0.2)
    start = time.monotonic()
    try:
        with pytest.raises(ferro.ConnectionError, match="within 200ms.*`connect_timeout`"):
            await ferro.connect(f"postgresql://u@127.0.0.1:{port}/x", pool=pool)
        assert 0.15 < time.monotonic() - start < 5
    finally:
        server.close()


@pytest.mark.parametrize("capacity", [0, 3, None])
async def test_as_many_statements_stay_prepared_as_the_options_say(
    url: str, dialect: str, capacity: int | None
) -> None:
    if dialect == "sqlite":
        pytest.skip("SQLite does not tell what is prepared")
    pool = ferro.PoolConfig(max_connections=1, statement_cache_capacity=capacity)
    await ferro.connect(url, pool=pool, auto_migrate=True)
    for query in (User.select(), User.where(name="x"), User.where(age=1), User.where(id=1)):
        await query.all()
    row = await ferro.fetch_one("select count(*) as n from pg_prepared_statements")
    assert row is not None
    assert row["n"] >= 4 if capacity is None else row["n"] == capacity


async def test_a_connection_is_asked_for_a_sign_of_life_unless_the_options_say_no(
    url: str, dialect: str
) -> None:
    if dialect == "sqlite":
        pytest.skip("a file does not go away")
    await ferro.connect(url, "killer")
    for tests in (None, False):
        pool = ferro.PoolConfig(max_connections=1, test_before_acquire=tests)
        await ferro.connect(url, pool=pool)
        await ferro.execute("create table if not exists t (n integer)")
        row = await ferro.fetch_one("select pg_backend_pid() as pid")
        assert row is not None
        # It is gone when this comes back.
        kill = "select pg_terminate_backend(?::int, 10000)"
        await ferro.execute(kill, row["pid"], using="killer")
        if tests is None:
            assert await ferro.execute("insert into t values (1)") == 1
        else:
            with pytest.raises(ferro.ConnectionError):
                await ferro.execute("insert into t values (1)")
        await ferro.disconnect()


async def test_a_statement_may_take_longer_than_its_server_may_be_silent(
    url: str, dialect: str
) -> None:
    if dialect == "sqlite":
        pytest.skip("SQLite is no server")
    for silence in (0.2, math.inf):
        await ferro.connect(url, pool=ferro.PoolConfig(silence_timeout=silence))
        row = await ferro.fetch_one("select 7 as n from pg_sleep(1)")
        assert row == {"n": 7}
        await ferro.disconnect()


async def test_what_is_set_on_sqlite_is_set_on_its_connections(tmp_path: Path) -> None:
    for on in (None, True, False):
        url, sqlite = f"sqlite:{tmp_path / f'{on}.db'}?mode=rwc", ferro.SqliteConfig(on, on)
        await ferro.connect(url, sqlite=sqlite)
        keys = await ferro.fetch_one("pragma foreign_keys")
        mode = await ferro.fetch_one("pragma journal_mode")
        expected = (0, "delete") if on is False else (1, "wal")
        assert (keys, mode) == ({"foreign_keys": expected[0]}, {"journal_mode": expected[1]})
        await ferro.disconnect()


async def test_a_writer_waits_as_long_as_the_options_say(tmp_path: Path) -> None:
    url, sqlite = f"sqlite:{tmp_path / 'app.db'}?mode=rwc", ferro.SqliteConfig(busy_timeout=0.2)
    await ferro.connect(url, "one", sqlite=sqlite)
    await ferro.connect(url, "two", sqlite=sqlite)
    await ferro.execute("create table t (n integer)", using="one")
    held, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with ferro.transaction(using="one"):
            await ferro.execute("insert into t values (1)")
            held.set()
            await release.wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    start = time.monotonic()
    try:
        with pytest.raises(ferro.BusyError, match="locked") as raised:
            await ferro.execute("insert into t values (2)", using="two")
        assert (type(raised.value), raised.value.retryable) == (ferro.BusyError, True)
        assert 0.15 < time.monotonic() - start < 4
    finally:
        release.set()
        await holder
    await ferro.execute("insert into t values (2)", using="two")


async def test_options_that_cannot_be_meant_are_refused() -> None:
    for pool, name in (
        (ferro.PoolConfig(max_connections=0), "max_connections"),
        (ferro.PoolConfig(min_connections=20), "min_connections"),
        (ferro.PoolConfig(acquire_timeout=-1), "acquire_timeout"),
        (ferro.PoolConfig(acquire_timeout=math.inf), "acquire_timeout"),
        (ferro.PoolConfig(max_lifetime=math.nan), "max_lifetime"),
        (ferro.PoolConfig(silence_timeout=0), "silence_timeout"),
    ):
        with pytest.raises(ferro.ConfigurationError, match=name):
            await ferro.connect("sqlite::memory:", pool=pool)


async def test_arguments_of_the_wrong_type_are_refused_by_name_and_not_shown() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"url": None}, "`url` takes a `str`, not `NoneType`"),
        ({"url": b"postgresql://u:hunter2@h/x"}, "`url` takes a `str`, not `bytes`"),
        ({"name": 3}, "`name` takes a `str`"),
        ({"pool": {"max_connections": 3}}, "`pool` takes a `PoolConfig`"),
        ({"pool": ferro.PoolConfig(max_connections=-1)}, "`max_connections` takes an int from 0"),
        ({"pool": ferro.PoolConfig(max_connections="3")}, "`max_connections` takes an int or"),  # type: ignore[arg-type]
        ({"pool": ferro.PoolConfig(acquire_timeout=True)}, "`acquire_timeout` takes a number"),
        ({"sqlite": ferro.SqliteConfig(wal=1)}, "`wal` takes True, False or None"),  # type: ignore[arg-type]
    ]
    for arguments, message in wrong:
        with pytest.raises(ferro.ConfigurationError, match=message) as raised:
            await ferro.connect(**{"url": "sqlite::memory:", **arguments})
        assert "hunter2" not in str(raised.value)


async def test_bad_urls_are_refused_and_say_what_is_good() -> None:
    with pytest.raises(ferro.ConfigurationError, match=r"(?s)sqlite.*postgres"):
        await ferro.connect("mysql://localhost/x")
    for url in ("sqlite::memory:?colour=red", "postgresql://u@127.0.0.1:1/x?colour=red"):
        with pytest.raises(ferro.ConfigurationError, match="unknown parameter, `colour`"):
            await ferro.connect(url)


async def test_a_missing_file_is_a_missing_database(tmp_path: Path) -> None:
    with pytest.raises(ferro.DatabaseMissing):
        await ferro.connect(f"sqlite:{tmp_path / 'none.db'}?mode=rw")


async def test_a_closed_port_is_a_refused_connection_and_known_at_once() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    with pytest.raises(ferro.ConnectionRefused) as raised:
        await asyncio.wait_for(ferro.connect(f"postgresql://u:hunter2@127.0.0.1:{port}/x"), 5)
    assert "hunter2" not in str(raised.value)
    assert isinstance(raised.value, ferro.ConnectionError)


async def test_what_the_server_refuses_has_its_own_class(url: str, dialect: str) -> None:
    if dialect == "sqlite":
        pytest.skip("SQLite has no server")
    parts = urlsplit(url)
    with pytest.raises(ferro.DatabaseMissing):
        await ferro.connect(urlunsplit(parts._replace(path="/there_is_no_such_database")))
    host = parts.netloc.rpartition("@")[2]
    wrong = urlunsplit(parts._replace(netloc=f"nobody:hunter2@{host}"))
    with pytest.raises(ferro.AuthenticationError) as raised:
        await ferro.connect(wrong)
    assert "hunter2" not in str(raised.value)


async def test_k1_no_password_is_in_an_error_a_traceback_a_repr_or_a_log(
    url: str, dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    urls = [
        f"postgresql://u:hunter2@127.0.0.1:{port}/x",
        "postgresql://u:hunter2@127.0.0.1:port/x",
        "postgresql://u:hunter2@127.0.0.1/x?colour=red",
        "postgresql://u:hunter2@no-such-host.invalid/x",
        "mysql://u:hunter2@127.0.0.1/x",
        "sqlite:none.db?mode=rw&password=hunter2",
    ]
    if dialect == "postgres":
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        urls.append(urlunsplit(parts._replace(netloc=f"nobody:hunter2@{host}")))
    for wrong in urls:
        lifespan = ferro.lifespan(wrong)
        with pytest.raises(ferro.FerroError) as raised:
            await lifespan.__aenter__()
        shown = "".join(traceback.format_exception(raised.value))
        shown += f"{raised.value!r} {vars(raised.value)!r} {lifespan!r} {caplog.text}"
        assert "hunter2" not in shown, wrong


async def test_check_connection_raises_what_is_wrong(url: str) -> None:
    await ferro.connect(url, "app")
    assert await ferro.check_connection("app") > 0
    with pytest.raises(ferro.ConfigurationError, match="no connection `other`"):
        await ferro.check_connection("other")


async def test_the_latency_is_that_of_the_answer_and_not_of_the_wait_for_a_connection(
    url: str,
) -> None:
    await ferro.connect(url, pool=ferro.PoolConfig(max_connections=1))
    start = time.monotonic()
    async with ferro.transaction():
        checking = asyncio.create_task(ferro.check_connection())
        await asyncio.sleep(0.2)
    latency = await checking
    assert 0 < latency < time.monotonic() - start - 0.15


async def test_the_latency_grows_with_the_way_to_the_server(url: str, dialect: str) -> None:
    if dialect == "sqlite":
        pytest.skip("there is no way to a file")
    parts = urlsplit(url)
    delay = 0.0

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await asyncio.sleep(delay)
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        user, port = parts.netloc.rpartition("@")[0], server.sockets[0].getsockname()[1]
        await ferro.connect(urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{port}")))
        near = min([await ferro.check_connection() for _ in range(3)])
        delay = 0.1
        far = await ferro.check_connection()
        # There and back.
        assert far >= 0.2
        assert 0 < near < far
        await ferro.disconnect()
    finally:
        server.close()


async def test_y2_a_cancelled_query_leaves_the_pool_clean(url: str) -> None:
    await ferro.connect(url, pool=ferro.PoolConfig(max_connections=1), auto_migrate=True)
    for _ in range(20):
        task = asyncio.create_task(User.create(name="Ada"))
        await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])
    await User.create(name="Ben")
    assert await User.where(name="Ben").count() == 1
    assert ferro.pool_stats().acquired == 0


async def test_a_hundred_queries_at_once_are_all_answered(url: str) -> None:
    await ferro.connect(url, pool=ferro.PoolConfig(acquire_timeout=30), auto_migrate=True)
    user = await User.create(name="Ada")
    assert await asyncio.gather(*(User.get(user.id) for _ in range(100))) == [user] * 100


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(ferro.__file__).parents[1])},
    )


def test_a_process_with_other_interpreters_exits() -> None:
    done = run("""
        import contextlib

        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters

        import ferro

        other = interpreters.create()
        with contextlib.suppress(Exception):
            interpreters.run_string(other, "import ferro")
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_y2_the_interpreter_exits_cleanly_with_open_pools() -> None:
    done = run("""
        import asyncio, ferro
        async def main():
            await ferro.connect("sqlite::memory:")
            asyncio.ensure_future(ferro.fetch_all("select 1"))
            await asyncio.sleep(0)
        asyncio.run(main())
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_y2_the_interpreter_exits_cleanly_with_models_that_are_still_held(tmp_path: Path) -> None:
    # As pytest holds what it has run, until after the modules are gone.
    tests = tmp_path / "test_held.py"
    tests.write_text(
        textwrap.dedent("""
            import asyncio, ferro
            class Note(ferro.Model):
                id: int = ferro.Field(primary_key=True)
            def test_nothing() -> None:
                async def main():
                    await ferro.connect("sqlite::memory:", auto_migrate=True)
                    assert await Note.all() == []
                asyncio.run(main())
        """)
    )
    done = run(
        "import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))",
        *(
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:asyncio",
            "--rootdir",
            str(tmp_path),
            str(tests),
        ),
    )
    assert "1 passed" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_y2_a_fork_that_takes_place_while_a_plan_is_made_exits() -> None:
    done = run("""
        import asyncio, os, signal, sys, ferro
        from ferro._core.compiler import compiler
        asyncio.run(ferro.connect("sqlite::memory:"))
        with compiler._lock:
            child = os.fork()
        if child == 0:
            compiler._lock.acquire()
            signal.alarm(30)
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_y2_the_interpreter_exits_while_a_daemon_thread_makes_a_plan() -> None:
    done = run("""
        import asyncio, sys, threading, time, ferro
        from ferro._core.compiler import compiler
        class Note(ferro.Model):
            id: int = ferro.Field(primary_key=True)
        class EndsSlowly:
            def __del__(self, sleep=time.sleep):
                sleep(0.5)
        sys.held = EndsSlowly()
        inside, call = threading.Event(), compiler.call
        def slow(*arguments):
            inside.set()
            time.sleep(0.2)
            return call(*arguments)
        compiler.call = slow
        async def main():
            await ferro.connect("sqlite::memory:", auto_migrate=True)
            number = 0
            while True:
                number += 1
                await Note.where(*[Note.id != it for it in range(number)])
        threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
        inside.wait()
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_y2_event_loops_may_follow_each_other() -> None:
    done = run("""
        import asyncio, ferro
        asyncio.run(ferro.connect("sqlite::memory:"))
        for _ in range(3):
            assert asyncio.run(ferro.fetch_one("select 1 as one")) == {"one": 1}
    """)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_y2_use_after_a_fork_raises_at_once() -> None:
    done = run("""
        import asyncio, os, ferro
        asyncio.run(ferro.connect("sqlite::memory:"))
        child = os.fork()
        if child == 0:
            refused = 0
            for first in (ferro.connect("sqlite::memory:"), ferro.fetch_all("select 1")):
                try:
                    asyncio.run(first)
                except ferro.UnsupportedError as error:
                    refused += "fork" in str(error)
            os._exit(7 if refused == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    """)
    assert (done.returncode, done.stderr) == (0, "")


async def test_a_task_does_not_disconnect_what_it_streams_from(url: str) -> None:
    await ferro.connect(url, auto_migrate=True)
    await User.bulk_create([User(name=f"{number}") for number in range(10)])
    seen = 0
    async for _ in User.select().stream(batch=2):
        seen += 1
        with pytest.raises(ferro.InvalidQuery, match="would wait for a stream of this task"):
            await ferro.disconnect()
    assert seen == 10
    # Left early, and closed by nobody in particular.
    async for _ in User.select().stream(batch=2):
        break
    await ferro.disconnect()
    assert not engine.streams_on("default")


async def test_what_is_connected_meanwhile_is_not_disconnected_with_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check(label: str) -> None:
        if label == "first":
            await ferro.connect("sqlite::memory:", "late")
            await ferro.disconnect("second")

    monkeypatch.setattr("ferro._connections.disconnect._check_outside", check)
    for label in ("first", "second"):
        await ferro.connect("sqlite::memory:", label)
    await ferro.disconnect_all()
    assert engine.labels() == ["late"]


async def test_all_are_disconnected_or_none(url: str) -> None:
    await ferro.connect(url)
    await ferro.connect("sqlite::memory:", "other")
    async with ferro.transaction(using="other"):
        with pytest.raises(ferro.TransactionError, match="disconnecting would wait"):
            await ferro.disconnect_all()
        assert list((await ferro.health())["connections"]) == ["default", "other"]
    await ferro.disconnect_all()
    await ferro.disconnect_all()
    assert await ferro.health() == {"ok": False, "connections": {}}
    with pytest.raises(ferro.ConfigurationError, match="no default connection"):
        await ferro.fetch_one("select 1")


@pytest.mark.parametrize("connect", [ferro.connect, lambda url: ferro.lifespan(url).__aenter__()])
async def test_a_url_of_sqlalchemy_names_a_driver_that_is_left_out(connect: Any) -> None:
    for url, message in (
        ("postgresql+asyncpg://app:hunter2@host/app", r"leave out `\+asyncpg`$"),
        ("postgres+psycopg2://app:hunter2@host/app", r"leave out `\+psycopg2`$"),
        ("sqlite+aiosqlite:///app.db", r"leave out `\+aiosqlite`; the path .* `sqlite:app.db`$"),
    ):
        with pytest.raises(ferro.ConfigurationError, match=message):
            await connect(url)
