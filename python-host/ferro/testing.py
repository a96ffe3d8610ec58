"""For tests of applications: transactions that are rolled back, and temporary databases."""

from __future__ import annotations

import asyncio
import contextlib
import re
import uuid
from collections.abc import AsyncIterator

from ._argument import check
from ._connections.config import PoolConfig
from ._connections.disconnect import disconnect
from ._connections.engine import connect
from ._connections.sql import execute
from ._connections.transaction import Transaction, transaction
from ._migrations.migrate import check_outside
from .exceptions import ConfigurationError, FerroError

__all__ = ["new_database", "rolled_back"]


@contextlib.asynccontextmanager
async def rolled_back(*, using: str | None = None) -> AsyncIterator[Transaction]:
    """A transaction that is rolled back at its end; used as a block in a test, or as its decorator.

    Transactions of the application become savepoints in it. It belongs to the task that runs the
    block, so it does not work as a fixture, which runs in a task of its own.

    Example:
        >>> import asyncio, ferro
        >>> from ferro.testing import rolled_back
        >>> class Plate(ferro.Model, table="doc_plate"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        >>> @rolled_back()
        ... async def test_a_plate_is_stored() -> None:
        ...     await Plate.create()
        ...     assert await Plate.select().count() == 1
        >>> async def main() -> int:
        ...     await ferro.connect("sqlite::memory:", auto_migrate=True)
        ...     await test_a_plate_is_stored()
        ...     left = await Plate.select().count()
        ...     await ferro.disconnect()
        ...     return left
        >>> asyncio.run(main())
        0
    """
    # Not by its `rollback`: the application may have called that already.
    with contextlib.suppress(_Undo):
        async with transaction(using=using) as block:
            yield block
            raise _Undo


@contextlib.asynccontextmanager
async def new_database(server: str) -> AsyncIterator[str]:
    """Create an empty database on a PostgreSQL server, yield its URL, and drop it at the end.

    `server` is the URL of any database on the server; its user must be allowed to create databases.
    SQLite does not need this: `sqlite::memory:` is a new database each time, and so is a file in a
    new folder. Raises `TransactionError` inside a transaction, and `DeniedError` inside
    `ferro.scope`.

    Example:
        >>> import os, ferro
        >>> from ferro.testing import new_database
        >>> async def with_tables() -> None:
        ...     async with new_database(os.environ["TEST_SERVER_URL"]) as url:
        ...         async with ferro.lifespan(url, auto_migrate=True):
        ...             assert await ferro.check_connection() < 1
    """
    check(ConfigurationError, server=(server, str))
    check_outside("a database cannot be created")
    parts = re.fullmatch(r"(postgres(?:ql)?://[^/?]*)(?:/[^?]*)?(?:\?(.*))?", server)
    if parts is None:
        raise ConfigurationError(
            "`new_database` takes the URL of a server of PostgreSQL; `sqlite::memory:` is a new "
            "database each time"
        )
    name = f"test_{uuid.uuid4().hex}"
    # Its name differs from that of an existing database.
    options = "&".join(it for it in (parts[2] or "").split("&") if not it.startswith("dbname="))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(_run, server, f'drop database if exists "{name}" with (force)')
        try:
            await _run(server, f'create database "{name}"')
        except FerroError:
            stack.pop_all()
            raise
        yield f"{parts[1]}/{name}{'?' if options else ''}{options}"


class _Undo(Exception):
    pass


async def _run(server: str, sql: str) -> None:
    """Run a statement to completion, and raise a cancellation afterwards: the server may be running
    it, and would not stop.
    """
    task = asyncio.ensure_future(_alone(server, sql))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()


async def _alone(server: str, sql: str) -> None:
    """Run a statement on a private connection."""
    label = f"ferro.testing {uuid.uuid4().hex}"
    await connect(server, label, pool=PoolConfig(max_connections=1))
    try:
        await execute(sql, using=label)
    finally:
        await disconnect(label)
