"""The guide to setting up a database, claim by claim: `docs/python/database-setup.md`."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import socket
import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

import ferro
from conftest import eventually, on_server
from models import User


class Job(ferro.Model, table="guide_job"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    kind: str


def _needs_postgres(dialect: str) -> None:
    if dialect == "sqlite":
        pytest.skip("this is about PostgreSQL")


def _certificates() -> Path:
    """The folder of the certificates of the tests' own server."""
    folder = os.environ.get("FERRO_TEST_POSTGRES_CERTIFICATES")
    if not folder:
        pytest.skip("this needs the server that the tests start")
    return Path(folder)


def _with(url: str, **parts: str) -> str:
    return urlunsplit(urlsplit(url)._replace(**parts))


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


class TestEstablishingAConnection:
    async def test_nothing_works_before_connect_and_the_error_says_so(self) -> None:
        with pytest.raises(ferro.ConfigurationError, match=r"call `ferro.connect\(url\)` first"):
            await User.all()

    async def test_connect_is_awaited_and_initialises_the_engine(self, url: str) -> None:
        await ferro.connect(url, auto_migrate=True)
        assert await User.all() == []


class TestSqliteUrls:
    async def test_rwc_creates_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "example.db"
        await ferro.connect(f"sqlite:{file}?mode=rwc")
        await ferro.execute("create table t (n integer)")
        assert file.exists()

    async def test_rw_and_no_mode_want_the_file_to_exist(self, tmp_path: Path) -> None:
        file = tmp_path / "example.db"
        for query in ("?mode=rw", ""):
            with pytest.raises(ferro.DatabaseMissing, match="mode=rwc"):
                await ferro.connect(f"sqlite:{file}{query}")
        assert not file.exists()
        await ferro.connect(f"sqlite:{file}?mode=rwc", "maker")
        await ferro.execute("create table t (n integer)", using="maker")
        await ferro.connect(f"sqlite:{file}", "plain")
        await ferro.connect(f"sqlite:{file}?mode=rw", "rw")
        assert await ferro.execute("insert into t values (1)", using="plain") == 1
        assert await ferro.fetch_all("select n from t", using="rw") == [{"n": 1}]

    async def test_ro_reads_and_refuses_to_write(self, tmp_path: Path) -> None:
        file = tmp_path / "example.db"
        await ferro.connect(f"sqlite:{file}?mode=rwc", "writer", auto_migrate=True)
        await User.using("writer").create(name="Ada")
        await ferro.connect(f"sqlite:{file}?mode=ro", "reader")
        assert [user.name for user in await User.using("reader").all()] == ["Ada"]
        with pytest.raises(ferro.ReadOnlyError):
            await User.using("reader").create(name="Ben")

    async def test_memory_is_one_database_for_the_whole_pool(self) -> None:
        await ferro.connect("sqlite::memory:", auto_migrate=True)
        await asyncio.gather(*(User.create(name=f"user {it}") for it in range(20)))
        assert await User.select().count() == 20


class TestPostgresUrls:
    async def test_user_password_host_port_and_name(self, url: str, dialect: str) -> None:
        _needs_postgres(dialect)
        await ferro.connect(url)
        row = await ferro.fetch_one("select current_database()::text as name")
        assert row == {"name": urlsplit(url).path[1:]}

    async def test_sslmode_require_encrypts(self, url: str, dialect: str) -> None:
        _needs_postgres(dialect)
        await ferro.connect(_with(url, query="sslmode=require"))
        row = await ferro.fetch_one("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        assert row == {"ssl": True}

    async def test_verify_full_wants_the_authority_and_the_name(
        self, url: str, dialect: str
    ) -> None:
        _needs_postgres(dialect)
        certificates = _certificates()
        user, port = urlsplit(url).netloc.rpartition("@")[0], urlsplit(url).port
        for host, authority, error in (
            ("127.0.0.1", "authority.pem", "not valid for name"),
            ("localhost", "other-authority.pem", "UnknownIssuer"),
            ("localhost", "authority.pem", None),
        ):
            query = f"sslmode=verify-full&sslrootcert={quote(str(certificates / authority))}"
            verified = _with(url, netloc=f"{user}@{host}:{port}", query=query)
            if error is None:
                await ferro.connect(verified)
            else:
                with pytest.raises(ferro.TlsError, match=error):
                    await ferro.connect(verified)
        row = await ferro.fetch_one("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        assert row == {"ssl": True}

    async def test_a_folder_for_a_host_is_that_of_a_unix_socket(
        self, url: str, dialect: str
    ) -> None:
        _needs_postgres(dialect)
        # Where the server of the tests keeps its socket.
        folder = quote(str(_certificates().parent), safe="")
        user, port = urlsplit(url).netloc.rpartition("@")[0], urlsplit(url).port
        await ferro.connect(_with(url, netloc=f"{user}@", query=f"host={folder}&port={port}"))
        row = await ferro.fetch_one("select inet_server_addr() is null as by_socket")
        assert row == {"by_socket": True}

    async def test_a_url_in_the_style_of_supabase(self, url: str, dialect: str) -> None:
        """The project in the user's name, reserved letters in the password, TLS appended."""
        _needs_postgres(dialect)
        await ferro.connect(url, "admin")
        role, password = f"postgres.{os.urandom(8).hex()}", "pa$s^w/o:r@d#%"
        await ferro.execute(f"create role \"{role}\" login password '{password}'", using="admin")
        try:
            host = urlsplit(url).netloc.rpartition("@")[2]
            pooler = _with(url, netloc=f"{role}:{quote(password, safe='')}@{host}", query="")
            if "sslmode=" not in pooler:
                pooler = f"{pooler}{'&' if '?' in pooler else '?'}sslmode=require"
            await ferro.connect(pooler, "supabase")
            row = await ferro.fetch_one("select current_user::text as name", using="supabase")
            assert row == {"name": role}
            await ferro.disconnect("supabase")
        finally:
            await ferro.execute(f'drop role "{role}"', using="admin")

    @pytest.mark.parametrize("letter", "$^@:/?#%& ")
    async def test_a_percent_encoded_password_is_the_password(
        self, url: str, dialect: str, letter: str
    ) -> None:
        _needs_postgres(dialect)
        await ferro.connect(url, "admin")
        role, password = f"r{os.urandom(8).hex()}", f"a{letter}b"
        await ferro.execute(f"create role {role} login password '{password}'", using="admin")
        try:
            host = urlsplit(url).netloc.rpartition("@")[2]
            await ferro.connect(_with(url, netloc=f"{role}:{quote(password, safe='')}@{host}"), "r")
            assert await ferro.check_connection("r") > 0
            await ferro.disconnect("r")
        finally:
            await ferro.execute(f"drop role {role}", using="admin")


class TestNamedConnections:
    async def test_default_and_service_side_by_side(self, url: str, tmp_path: Path) -> None:
        await ferro.connect(
            url,
            name="app",
            default=True,
            pool=ferro.PoolConfig(max_connections=10, min_connections=1),
            auto_migrate=True,
        )
        await ferro.connect(
            f"sqlite:{tmp_path / 'service.db'}?mode=rwc",
            name="service",
            pool=ferro.PoolConfig(max_connections=3),
        )
        await ferro.create_tables(using="service")
        assert (ferro.pool_stats().max, ferro.pool_stats("service").max) == (10, 3)
        assert ferro.pool_stats("app").size >= 1
        assert await User.all() == []
        job = await Job.using("service").create(kind="backfill")
        assert await ferro.execute("select abs(?)", job.id, using="service") == 0
        assert await Job.all() == []
        assert await Job.using("service").all() == [job]

    async def test_a_function_of_the_database_is_run_with_its_argument(
        self, url: str, dialect: str
    ) -> None:
        _needs_postgres(dialect)
        await ferro.connect(url, "service", auto_migrate=True)
        await ferro.execute(
            "create function run_internal_job(bigint) returns void language sql as "
            "$$ update guide_job set kind = 'done' where id = $1 $$",
            using="service",
        )
        job = await Job.using("service").create(kind="backfill")
        await ferro.execute("select run_internal_job(?)", job.id, using="service")
        assert (await Job.using("service").get(job.id)).kind == "done"

    async def test_unnamed_is_the_default_and_named_is_not(self, url: str) -> None:
        await ferro.connect("sqlite::memory:", "other", auto_migrate=True)
        with pytest.raises(ferro.ConfigurationError, match="no default connection"):
            await User.all()
        await ferro.connect(url, auto_migrate=True)
        await User.create(name="Ada")
        assert await User.using("default").select().count() == 1
        assert await User.using("other").select().count() == 0

    async def test_using_is_a_name_that_was_connected(self, url: str) -> None:
        await ferro.connect(url)
        with pytest.raises(ferro.ConfigurationError, match="no connection `from-the-request`"):
            await ferro.execute("select 1", using="from-the-request")

    async def test_the_default_can_be_chosen_later(self, url: str) -> None:
        await ferro.connect("sqlite::memory:", auto_migrate=True)
        await ferro.connect(url, "second", auto_migrate=True)
        await User.using("second").create(name="Ada")
        ferro.set_default_connection("second")
        assert [user.name for user in await User.all()] == ["Ada"]
        with pytest.raises(ferro.ConfigurationError, match="no connection `third`"):
            ferro.set_default_connection("third")


class TestTransactions:
    async def test_operations_inherit_the_connection_of_the_block(self, url: str) -> None:
        await ferro.connect("sqlite::memory:", auto_migrate=True)
        await ferro.connect(url, "service", auto_migrate=True)
        async with ferro.transaction(using="service"):
            await Job.create(kind="backfill")
            with pytest.raises(ferro.TransactionError, match="has one connection"):
                await Job.using("default").create(kind="backfill")
        assert await Job.select().count() == 0
        assert await Job.using("service").select().count() == 1

    async def test_a_setting_of_the_transaction_ends_with_it(self, url: str, dialect: str) -> None:
        _needs_postgres(dialect)
        one = ferro.PoolConfig(max_connections=1)
        await ferro.connect(url, "service", pool=one)
        query = "select current_setting('role_context.name', true) as name"
        async with ferro.transaction(using="service"):
            await ferro.execute("select set_config('role_context.name', ?, true)", "pipeline")
            assert await ferro.fetch_one(query) == {"name": "pipeline"}
        assert await ferro.fetch_one(query, using="service") in ({"name": None}, {"name": ""})


class TestTables:
    async def test_auto_migrate_aligns_the_schema(self, url: str) -> None:
        await ferro.connect(url, auto_migrate=True)
        assert await Job.create(kind="nightly")

    async def test_without_it_tables_are_created_by_hand(self, url: str) -> None:
        await ferro.connect(url)
        with pytest.raises(ferro.UndefinedObject):
            await Job.all()
        await ferro.create_tables()
        assert await Job.all() == []

    async def test_models_may_be_imported_after_connecting(self, url: str) -> None:
        await ferro.connect(url)
        module = types.ModuleType("guide_models")
        sys.modules["guide_models"] = module
        source = (
            "import ferro\n"
            "class Late(ferro.Model, table='guide_late'):\n"
            "    id: int | None = ferro.Field(default=None, primary_key=True)\n"
        )
        exec(source, module.__dict__)
        await ferro.create_tables()
        late: Any = module.__dict__["Late"]
        assert (await late.create()).id == 1

    async def test_tables_of_one_connection_are_not_those_of_another(self, url: str) -> None:
        await ferro.connect("sqlite::memory:", name="app", default=True)
        await ferro.connect(url, name="service")
        await ferro.create_tables(using="service")
        assert await User.using("service").all() == []
        with pytest.raises(ferro.UndefinedObject):
            await User.all()


class TestHealth:
    async def test_check_connection_measures_a_round_trip(self, url: str) -> None:
        await ferro.connect(url, "app")
        assert 0 < await ferro.check_connection("app") < 5

    async def test_check_connection_raises_what_is_wrong(self, url: str, dialect: str) -> None:
        _needs_postgres(dialect)
        await ferro.connect(url, "app", pool=ferro.PoolConfig(acquire_timeout=1))
        await ferro.connect("sqlite::memory:", "other")
        name = urlsplit(url).path[1:]
        await on_server(
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        )
        await on_server(f'alter database "{name}" rename to "{name}_away"')
        with pytest.raises(ferro.DatabaseMissing):
            await ferro.check_connection("app")
        health = await ferro.health()
        assert not health["ok"]
        assert not health["connections"]["app"]["ok"]
        assert health["connections"]["app"]["error"].startswith("DatabaseMissing: ")
        assert health["connections"]["other"]["ok"]
        await on_server(f'alter database "{name}_away" rename to "{name}"')
        assert await ferro.check_connection("app") > 0, "the pool comes back with the database"

    async def test_a_query_tells_whether_it_works_too(self, url: str) -> None:
        await ferro.connect(url, auto_migrate=True)
        assert await User.select().limit(1).all() == []

    async def test_health_is_one_line_for_a_readiness_endpoint(self, url: str) -> None:
        assert await ferro.health() == {"ok": False, "connections": {}}
        await ferro.connect(url, "app")
        health = await ferro.health()
        assert health["ok"]
        assert health["connections"]["app"]["latency"] > 0
        assert health["connections"]["app"]["pool"]["max"] == 10

    async def test_health_does_not_wait_for_a_full_pool(self, url: str) -> None:
        await ferro.connect(url, pool=ferro.PoolConfig(max_connections=1, acquire_timeout=30))
        async with ferro.transaction():
            health = await ferro.health(timeout=0.2)
        error = health["connections"]["default"]["error"]
        assert (health["ok"], error) == (False, "no answer within 0.2 s")

    async def test_pool_stats_count_what_is_used(self, url: str) -> None:
        await ferro.connect(url, pool=ferro.PoolConfig(max_connections=2))
        assert ferro.pool_stats().acquired == 0
        async with ferro.transaction():
            assert ferro.pool_stats().acquired == 1


class TestConnectionContext:
    async def test_a_block_works_on_one_connection(self, url: str) -> None:
        await ferro.connect("sqlite::memory:", auto_migrate=True)
        await ferro.connect(url, "service", auto_migrate=True)
        async with ferro.connection_context("service") as label:
            assert label == "service"
            job = await Job.create(kind="inside")
            assert await asyncio.create_task(Job.select().count()) == 1
            assert await Job.using("default").select().count() == 0
            async with ferro.connection_context("default"):
                assert await Job.select().count() == 0
            async with ferro.transaction():
                assert await Job.get(job.id) == job
        assert await Job.select().count() == 0

    async def test_tasks_that_share_a_block_leave_it_each_for_their_own(self, url: str) -> None:
        await ferro.connect("sqlite::memory:", auto_migrate=True)
        await ferro.connect(url, "service", auto_migrate=True)
        await Job.using("service").create(kind="there")
        shared = ferro.connection_context("service")
        is_in, is_in_too = asyncio.Event(), asyncio.Event()

        async def first() -> int:
            async with shared:
                is_in.set()
                await is_in_too.wait()
            return await Job.select().count()

        async def second() -> int:
            await is_in.wait()
            async with ferro.connection_context("default"):
                async with shared:
                    is_in_too.set()
                    await asyncio.sleep(0.01)
                return await Job.select().count()

        assert await asyncio.gather(first(), second()) == [0, 0]
        async with ferro.connection_context("service"):
            second_in_service = asyncio.create_task(second())
            is_in.clear(), is_in_too.clear()
            assert await asyncio.gather(first(), second_in_service) == [1, 0]

    async def test_that_of_a_generator_that_was_left_ends_when_it_is_closed(self, url: str) -> None:
        await ferro.connect("sqlite::memory:", auto_migrate=True)
        await ferro.connect(url, "service", auto_migrate=True)
        await Job.using("service").create(kind="there")

        async def kinds() -> AsyncIterator[str]:
            async with ferro.connection_context("service"):
                for job in await Job.all():
                    yield job.kind

        async def leave() -> None:
            async for _ in kinds():
                break

        await leave()
        # The collector has it closed by another task.
        gc.collect()
        await asyncio.sleep(0.01)
        assert await Job.select().count() == 0

    async def test_it_ends_with_an_exception_too(self, url: str) -> None:
        await ferro.connect("sqlite::memory:", auto_migrate=True)
        await ferro.connect(url, "service", auto_migrate=True)
        with pytest.raises(ZeroDivisionError):
            async with ferro.connection_context("service"):
                await Job.create(kind="inside")
                raise ZeroDivisionError
        assert await Job.select().count() == 0

    async def test_a_transaction_keeps_its_connection(self, url: str) -> None:
        await ferro.connect(url, auto_migrate=True)
        await ferro.connect("sqlite::memory:", "other", auto_migrate=True)
        async with ferro.transaction():
            with pytest.raises(ferro.TransactionError, match="`other` cannot be used"):
                async with ferro.connection_context("other"):
                    await Job.create(kind="elsewhere")
            await Job.create(kind="here")
        assert await Job.select().count() == 1

    async def test_a_name_that_there_is_not_is_refused(self) -> None:
        with pytest.raises(ferro.ConfigurationError, match="no connection `nowhere`"):
            async with ferro.connection_context("nowhere"):
                pass


class TestTheLifeOfAnApplication:
    async def test_disconnect_closes_one_and_leaves_the_others(self, url: str) -> None:
        await ferro.connect(url)
        await ferro.connect("sqlite::memory:", "other")
        await ferro.disconnect()
        assert await ferro.check_connection("other") > 0
        await ferro.disconnect("other")
        with pytest.raises(ferro.ConfigurationError, match="no connection `other`"):
            await ferro.disconnect("other")

    async def test_disconnect_waits_for_what_runs(self, url: str) -> None:
        await ferro.connect(url, auto_migrate=True)
        begun = asyncio.Event()

        async def work() -> None:
            async with ferro.transaction():
                begun.set()
                await asyncio.sleep(0.1)
                await Job.create(kind="kept")

        task = asyncio.create_task(work())
        await begun.wait()
        await ferro.disconnect()
        await task
        await ferro.connect(url)
        assert await Job.select().count() == 1

    async def test_reset_engine_forgets_all_connections(self, url: str) -> None:
        await ferro.connect(url, auto_migrate=True)
        await ferro.connect("sqlite::memory:", "other")
        ferro.reset_engine()
        with pytest.raises(ferro.ConfigurationError, match="connected: none"):
            await User.all()
        await ferro.connect(url)
        assert await User.all() == []

    async def test_pools_live_as_long_as_the_process(self, url: str) -> None:
        await ferro.connect(url, name="app", default=True, auto_migrate=True)
        for _ in range(50):
            await User.all()
        assert ferro.pool_stats().size <= 2

    async def test_idle_and_old_connections_are_closed_as_told(self, url: str) -> None:
        never = math.inf
        for name, idle, life in (
            ("idle", 0.05, never),
            ("old", never, 0.05),
            ("kept", never, never),
        ):
            pool = ferro.PoolConfig(idle_timeout=idle, max_lifetime=life, acquire_timeout=5)
            await ferro.connect(url, name, pool=pool)
        await eventually(lambda: ferro.pool_stats("idle").size == 0)
        await eventually(lambda: ferro.pool_stats("old").size == 0)
        assert ferro.pool_stats("kept").size == 1
        for name in ("idle", "old"):
            assert await ferro.fetch_one("select 1 as one", using=name) == {"one": 1}

    async def test_a_lifespan_connects_and_disconnects(self, url: str) -> None:
        async with ferro.lifespan(url, auto_migrate=True):
            assert await User.all() == []
        assert await ferro.health() == {"ok": False, "connections": {}}
        with pytest.raises(ZeroDivisionError):
            async with ferro.lifespan(url, name="app", default=True):
                raise ZeroDivisionError
        assert await ferro.health() == {"ok": False, "connections": {}}


class TestErrors:
    async def test_any_of_them_is_a_ferro_error_that_can_be_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = f"postgresql://u:hunter2@127.0.0.1:{_free_port()}/dbname"
        try:
            await ferro.connect(url)
        except ferro.FerroError as error:
            logging.getLogger("guide").error("failed to connect: %s", error, exc_info=error)
        assert "failed to connect" in caplog.text
        assert "hunter2" not in caplog.text

    async def test_connection_refused_names_the_server_and_what_to_check(self) -> None:
        port = _free_port()
        with pytest.raises(ferro.ConnectionRefused, match=str(port)):
            await ferro.connect(f"postgresql://u@127.0.0.1:{port}/dbname")

    async def test_authentication_failed(self, url: str, dialect: str) -> None:
        _needs_postgres(dialect)
        host = urlsplit(url).netloc.rpartition("@")[2]
        with pytest.raises(ferro.AuthenticationError, match="(?i)password|role|user") as raised:
            await ferro.connect(_with(url, netloc=f"wrong_user:hunter2@{host}"))
        assert "hunter2" not in str(raised.value) + repr(raised.value)

    async def test_a_database_that_does_not_exist(self, url: str, dialect: str) -> None:
        _needs_postgres(dialect)
        with pytest.raises(ferro.DatabaseMissing, match="no_such_database"):
            await ferro.connect(_with(url, path="/no_such_database"))

    async def test_tls_that_is_not_to_be_had(self) -> None:
        async def no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(8)
            writer.write(b"N")
            await writer.drain()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(no_tls, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            with pytest.raises(ferro.TlsError) as raised:
                await ferro.connect(f"postgresql://u:hunter2@127.0.0.1:{port}/x?sslmode=require")
            assert "hunter2" not in str(raised.value)
        finally:
            server.close()

    async def test_options_of_the_pool_are_not_arguments_of_connect(self) -> None:
        connect: Any = ferro.connect
        with pytest.raises(TypeError, match="max_connections"):
            await connect("sqlite::memory:", max_connections=100)
