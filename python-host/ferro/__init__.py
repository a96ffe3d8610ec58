"""Ferro: an ORM whose query logic is a WebAssembly component, on asyncio.

Example:
    >>> import asyncio, ferro
    >>> class Note(ferro.Model, table="doc_note"):
    ...     id: int | None = ferro.Field(default=None, primary_key=True)
    ...     text: str
    >>> async def main() -> int:
    ...     await ferro.connect("sqlite::memory:", auto_migrate=True)
    ...     async with ferro.transaction():
    ...         await Note.create(text="hello")
    ...     count = await Note.select().where(Note.text.startswith("h")).count()
    ...     await ferro.disconnect()
    ...     return count
    >>> asyncio.run(main())
    1
"""

from __future__ import annotations

import importlib as _importlib
import typing as _typing

from ._connections.config import PoolConfig, SqliteConfig
from ._connections.context import connection_context
from ._connections.disconnect import disconnect, disconnect_all
from ._connections.engine import (
    PoolStats,
    check_connection,
    connect,
    health,
    pool_stats,
    reset_engine,
    set_default_connection,
)
from ._connections.lifespan import lifespan
from ._connections.retry import retry
from ._connections.scope import scope
from ._connections.sql import execute, fetch_all, fetch_one
from ._connections.transaction import Transaction, current_transaction, transaction
from ._expressions.assignment import excluded
from ._expressions.case import case, value
from ._expressions.expression import Expression
from ._expressions.value import col, count
from ._expressions.window import (
    cume_dist,
    dense_rank,
    first_value,
    lag,
    last_value,
    lead,
    nth_value,
    ntile,
    percent_rank,
    rank,
    row_number,
)
from ._migrations.migrate import create_tables, migrate
from ._migrations.migration import Migration, MigrationStep
from ._models.column import Column
from ._models.connected import Connected
from ._models.model import Model
from ._native import __version__ as __version__
from ._queries.combined import CombinedSelect
from ._queries.common import CommonTable, CommonTableSelect
from ._queries.page import Page
from ._queries.position import Position
from ._queries.select import Select
from ._queries.subquery import exists, outer, subquery
from ._relations.loaded import Loaded, NoRow
from ._relations.related import RelatedRows
from ._relations.relation import BackRef, ForeignKey, ManyToMany, Relation
from ._rows.identity import session
from ._tables.constraint import Check, Index
from ._tables.default import now, random_uuid
from ._tables.field import Field
from .exceptions import (
    AuthenticationError,
    BusyError,
    CheckViolation,
    ConfigurationError,
    ConnectionError,
    ConnectionRefused,
    DatabaseMissing,
    DeadlockError,
    DecodeError,
    DeniedError,
    DoesNotExist,
    ExclusionViolation,
    FerroError,
    ForeignKeyViolation,
    IntegrityError,
    InternalError,
    InvalidPosition,
    InvalidQuery,
    LimitError,
    MultipleObjectsReturned,
    NotLoaded,
    NotNullViolation,
    OutcomeUnknown,
    PluginError,
    PluginTrap,
    PoolTimeout,
    QueryCancelled,
    QueryError,
    QueryTimeout,
    ReadOnlyError,
    SchemaError,
    SerializationError,
    SqlSyntaxError,
    StaleObjectError,
    TlsError,
    TransactionError,
    TypeMismatch,
    UndefinedObject,
    UniqueViolation,
    UnknownField,
    UnsupportedError,
    ValueOutOfRange,
)

if _typing.TYPE_CHECKING:
    from ._plugins.plugin import Plugin
    from ._plugins.tenant import Grant, TableGrant, Tenant
    from ._plugins.usage import CallUsage, Outcome

__all__ = [
    "AuthenticationError",
    "BackRef",
    "BusyError",
    "CallUsage",
    "Check",
    "CheckViolation",
    "Column",
    "CombinedSelect",
    "CommonTable",
    "CommonTableSelect",
    "ConfigurationError",
    "Connected",
    "ConnectionError",
    "ConnectionRefused",
    "DatabaseMissing",
    "DeadlockError",
    "DecodeError",
    "DeniedError",
    "DoesNotExist",
    "ExclusionViolation",
    "Expression",
    "FerroError",
    "Field",
    "ForeignKey",
    "ForeignKeyViolation",
    "Grant",
    "Index",
    "IntegrityError",
    "InternalError",
    "InvalidPosition",
    "InvalidQuery",
    "LimitError",
    "Loaded",
    "ManyToMany",
    "Migration",
    "MigrationStep",
    "Model",
    "MultipleObjectsReturned",
    "NoRow",
    "NotLoaded",
    "NotNullViolation",
    "Outcome",
    "OutcomeUnknown",
    "Page",
    "Plugin",
    "PluginError",
    "PluginTrap",
    "PoolConfig",
    "PoolStats",
    "PoolTimeout",
    "Position",
    "QueryCancelled",
    "QueryError",
    "QueryTimeout",
    "ReadOnlyError",
    "RelatedRows",
    "Relation",
    "SchemaError",
    "Select",
    "SerializationError",
    "SqlSyntaxError",
    "SqliteConfig",
    "StaleObjectError",
    "TableGrant",
    "Tenant",
    "TlsError",
    "Transaction",
    "TransactionError",
    "TypeMismatch",
    "UndefinedObject",
    "UniqueViolation",
    "UnknownField",
    "UnsupportedError",
    "ValueOutOfRange",
    "case",
    "check_connection",
    "col",
    "connect",
    "connection_context",
    "count",
    "create_tables",
    "cume_dist",
    "current_transaction",
    "dense_rank",
    "disconnect",
    "disconnect_all",
    "excluded",
    "execute",
    "exists",
    "fetch_all",
    "fetch_one",
    "first_value",
    "health",
    "lag",
    "last_value",
    "lead",
    "lifespan",
    "migrate",
    "now",
    "nth_value",
    "ntile",
    "outer",
    "percent_rank",
    "pool_stats",
    "random_uuid",
    "rank",
    "reset_engine",
    "retry",
    "row_number",
    "scope",
    "session",
    "set_default_connection",
    "subquery",
    "transaction",
    "value",
]

# Needed only by programs with tenants, and slow to import: imported on first use.
_OF_TENANTS = {
    "CallUsage": "._plugins.usage",
    "Grant": "._plugins.tenant",
    "Outcome": "._plugins.usage",
    "Plugin": "._plugins.plugin",
    "TableGrant": "._plugins.tenant",
    "Tenant": "._plugins.tenant",
}

# Type checkers know all names; with `__getattr__`, they would accept a misspelt one, too.
if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> _typing.Any:
        module = _OF_TENANTS.get(name)
        if module is None:
            raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
        found = globals()[name] = getattr(_importlib.import_module(module, __name__), name)
        return found
