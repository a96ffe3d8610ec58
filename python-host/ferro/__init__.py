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

from ._case import case
from ._config import PoolConfig, SqliteConfig
from ._connected import Connected
from ._engine import (
    PoolStats,
    check_connection,
    connect,
    health,
    pool_stats,
    reset_engine,
    set_default_connection,
)
from ._expression import Expression
from ._field import Field
from ._identity import session
from ._lifespan import lifespan
from ._loaded import NoRow
from ._migration import Migration, MigrationStep
from ._model import Model
from ._related import RelatedRows
from ._relation import BackRef, ForeignKey, ManyToMany, Relation
from ._retry import retry
from ._scope import scope
from ._select import Select
from ._sql import execute, fetch_all, fetch_one
from ._tables import create_tables, migrate
from ._transaction import (
    Transaction,
    connection_context,
    disconnect,
    transaction,
)
from ._value import col, count
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
    from ._plugin import Plugin
    from ._tenant import Grant, TableGrant, Tenant
    from ._usage import CallUsage, Outcome

__all__ = [
    "AuthenticationError",
    "BackRef",
    "BusyError",
    "CallUsage",
    "CheckViolation",
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
    "IntegrityError",
    "InternalError",
    "InvalidQuery",
    "LimitError",
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
    "Plugin",
    "PluginError",
    "PluginTrap",
    "PoolConfig",
    "PoolStats",
    "PoolTimeout",
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
    "disconnect",
    "execute",
    "fetch_all",
    "fetch_one",
    "health",
    "lifespan",
    "migrate",
    "pool_stats",
    "reset_engine",
    "retry",
    "scope",
    "session",
    "set_default_connection",
    "transaction",
]

# What only programs with tenants need, and takes a while to import: imported when asked for.
_OF_TENANTS = {
    "CallUsage": "._usage",
    "Grant": "._tenant",
    "Outcome": "._usage",
    "Plugin": "._plugin",
    "TableGrant": "._tenant",
    "Tenant": "._tenant",
}

# Who checks types knows all names; with this, a misspelt one would be one, too.
if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> _typing.Any:
        module = _OF_TENANTS.get(name)
        if module is None:
            raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
        found = globals()[name] = getattr(_importlib.import_module(module, __name__), name)
        return found
