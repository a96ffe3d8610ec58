"""Creating the tables of models, and migrating them when models change."""

from __future__ import annotations

from typing import get_args

from .. import _native
from .._argument import check, check_choice
from .._connections.engine import engine
from .._connections.scope import current_scope
from .._connections.transaction import current_transaction
from .._tables.registry import registry
from ..exceptions import ConfigurationError, DeniedError, TransactionError
from .migration import Migration, Risk, migrate_database


async def create_tables(*, using: str | None = None) -> None:
    """Create the missing tables of all imported models.

    Their indexes are created with them. Existing tables do not change: use `migrate` for that.
    Creates all of the tables or none. Raises `TransactionError` inside a transaction, `DeniedError`
    inside `ferro.scope`, and `BusyError` if another program migrates the database for too long.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> None:
        ...     await ferro.connect("sqlite::memory:", "doc-tables")
        ...     await ferro.create_tables(using="doc-tables")
        ...     await ferro.disconnect("doc-tables")
        >>> asyncio.run(main())
    """
    await create_tables_of(registry.models(), using)


async def create_tables_of(models: _native.Models, using: str | None) -> None:
    """Create the tables of some models, in a transaction of their own."""
    check(ConfigurationError, using=(using, str, None))
    check_outside("tables cannot be created")
    await engine.databases.create_tables(engine.label(using), models)


async def migrate(
    *, using: str | None = None, risk: Risk = "blocking", dry_run: bool = False
) -> Migration:
    """Migrate the tables of a database to match all imported models.

    Steps of a higher risk than `risk` are not applied, and the others do not depend on them: a
    column without a field remains, and becomes nullable. With `dry_run`, nothing is applied. Tables
    without a model do not change, nor do foreign indexes and triggers. Everything runs in one
    transaction, except new values of PostgreSQL enums; programs that migrate the same database wait
    for each other. To go back, migrate with the former models.

    A table or a column is renamed instead of created if its model or field names the former name
    with `renamed_from`.

    Raises `TransactionError` inside a transaction, `DeniedError` inside `ferro.scope`, with
    `dry_run` too, `BusyError` if another migration does not end within a minute (on SQLite within
    `busy_timeout`), and the error of a failed step, such as `NotNullViolation` for a new field
    without a default in a table with rows; then nothing changes. On PostgreSQL, the role must be
    allowed to create temporary tables.

    Example:
        >>> import asyncio, ferro
        >>> class Note(ferro.Model, table="doc_migrate_note"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     text: str = ""
        >>> async def main() -> None:
        ...     await ferro.connect("sqlite::memory:", "doc-migrate")
        ...     await ferro.execute(
        ...         "create table doc_migrate_note (id integer primary key not null)",
        ...         using="doc-migrate",
        ...     )
        ...     migration = await ferro.migrate(using="doc-migrate")
        ...     assert any("column `text`" in step.description for step in migration.applied)
        ...     assert not (await ferro.migrate(using="doc-migrate", dry_run=True)).left
        ...     await ferro.disconnect("doc-migrate")
        >>> asyncio.run(main())
    """
    return await migrate_of(registry.models(), using, risk, dry_run)


async def migrate_of(
    models: _native.Models,
    using: str | None,
    risk: Risk,
    dry_run: bool,
    reviewed: str | None = None,
) -> Migration:
    """Migrate a database to some models; a `reviewed` script must still be the current one."""
    check(ConfigurationError, using=(using, str, None), dry_run=(dry_run, bool))
    check_choice(ConfigurationError, "risk", risk, get_args(Risk))
    check_outside("tables cannot be changed")
    most = None if dry_run else risk
    return await migrate_database(engine.databases, engine.label(using), models, most, reviewed)


def check_outside(what: str) -> None:
    """Fail inside a transaction, and in a scope: grants do not cover schema changes."""
    if current_scope() is not None:
        raise DeniedError(
            f"inside `ferro.scope`, {what}: no grant allows it, so do it outside scopes"
        )
    inside = current_transaction()
    if inside is not None:
        raise TransactionError(
            f"inside a transaction on `{inside.label}`, {what}: this needs its own transaction, "
            "so end this one first"
        )
