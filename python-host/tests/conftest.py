"""Every test of the database runs on SQLite and on PostgreSQL, each in a database of its own."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

import ferro
from ferro._connections.engine import engine

_POSTGRES = "FERRO_TEST_POSTGRES_URL"


@pytest.fixture(params=["sqlite", "postgres"])
def dialect(request: pytest.FixtureRequest) -> str:
    param: str = request.param
    return param


@pytest.fixture
async def url(dialect: str, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a database that no other test has."""
    if dialect == "sqlite":
        yield f"sqlite:{tmp_path / 'test.db'}?mode=rwc"
        return
    server = os.environ.get(_POSTGRES)
    if not server:
        pytest.fail(
            f"this test needs PostgreSQL: run `cargo xtask test`, or set `{_POSTGRES}` to the URL "
            "of a server whose user may create databases"
        )
    name = f"ferro_test_python_{uuid.uuid4().hex}"
    await on_server(f'create database "{name}"')
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        await on_server(f'drop database if exists "{name}" with (force)')


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
    await ferro.connect(url, auto_migrate=True)
    yield url
    await ferro.disconnect()


@pytest.fixture(autouse=True)
async def _connections_are_closed() -> AsyncIterator[None]:
    """Whatever a test has connected is gone before the next one."""
    yield
    for label in engine.databases.labels():
        await engine.disconnect(label)
