"""Every test of the database runs on SQLite and on PostgreSQL, each in a database of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

import ferro
from ferro._connections.engine import engine
from ferro._core.compiler import compiler
from ferro._tables.registry import registry
from ferro._tables.table import Table

# Each run asks the core.
compiler.caches = False

_POSTGRES = "FERRO_TEST_POSTGRES_URL"


@pytest.fixture(params=["sqlite", "postgres"])
def dialect(request: pytest.FixtureRequest) -> str:
    param: str = request.param
    return param


class Database:
    """A database of the tests' own: a file, or one on the server."""

    def __init__(self, dialect: str, folder: Path) -> None:
        self._server = "" if dialect == "sqlite" else _server()
        self._file = folder / "test.db"
        self._name = f"ferro_test_python_{uuid.uuid4().hex}"

    @property
    def url(self) -> str:
        if self._server:
            return urlunsplit(urlsplit(self._server)._replace(path=f"/{self._name}"))
        return f"sqlite:{self._file}?mode=rwc"

    async def create(self, template: Database | None) -> None:
        """Make it as another one is, to which nobody is connected, or empty."""
        if self._server:
            source = f' template "{template._name}"' if template else ""
            await on_server(f'create database "{self._name}"{source}')
        elif template:
            shutil.copyfile(template._file, self._file)

    async def drop(self) -> None:
        if self._server:
            await on_server(f'drop database if exists "{self._name}" with (force)')


def _server() -> str:
    server = os.environ.get(_POSTGRES)
    if not server:
        pytest.fail(
            f"this test needs PostgreSQL: run `cargo xtask test`, or set `{_POSTGRES}` to the URL "
            "of a server whose user may create databases"
        )
    return server


class Templates:
    """Databases with the tables of all models: to copy one is faster than to make the tables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[list[Table], Database]] = {}

    async def get(self, dialect: str) -> Database:
        """The one of the models that there are now."""
        tables = list(registry._tables.values())
        former, template = self._known.get(dialect, ([], None))
        if template and former == tables:
            return template
        if template:
            await template.drop()
        folder = self._folder / uuid.uuid4().hex
        folder.mkdir()
        template = Database(dialect, folder)
        await template.create(None)
        await ferro.connect(template.url, "template", auto_migrate=True)
        await ferro.disconnect("template")
        self._known[dialect] = tables, template
        return template

    async def drop(self) -> None:
        for _, template in self._known.values():
            await template.drop()


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Templates]:
    templates = Templates(tmp_path_factory.mktemp("templates"))
    yield templates
    asyncio.run(templates.drop())


@pytest.fixture
async def url(
    request: pytest.FixtureRequest, dialect: str, tmp_path: Path, templates: Templates
) -> AsyncIterator[str]:
    """The URL of a database that no other test has: an empty one, unless there is `db`, too."""
    database = Database(dialect, tmp_path)
    await database.create(await templates.get(dialect) if "db" in request.fixturenames else None)
    yield database.url
    await database.drop()


async def on_server(sql: str) -> None:
    """Run a statement on the server itself, on a connection of its own."""
    await ferro.connect(os.environ[_POSTGRES], "server", pool=ferro.PoolConfig(max_connections=1))
    try:
        await ferro.execute(sql, using="server")
    finally:
        await ferro.disconnect("server")


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds, which it does soon."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    assert holds()


@pytest.fixture
async def db(url: str) -> AsyncIterator[str]:
    """A default connection to a database that has the tables of all models."""
    await ferro.connect(url)
    yield url
    await ferro.disconnect()


@pytest.fixture(autouse=True)
async def _connections_are_closed() -> AsyncIterator[None]:
    """Whatever a test has connected is gone before the next one."""
    yield
    for label in engine.databases.labels():
        await engine.disconnect(label)
