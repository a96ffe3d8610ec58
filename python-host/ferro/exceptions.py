"""The exceptions of ferro, one tree under `FerroError`.

    FerroError
    ├── ConfigurationError
    │   └── SchemaError
    ├── ConnectionError
    │   ├── ConnectionRefused
    │   ├── AuthenticationError
    │   ├── DatabaseMissing
    │   └── TlsError
    ├── BusyError
    │   └── PoolTimeout
    ├── IntegrityError
    │   ├── UniqueViolation
    │   ├── ForeignKeyViolation
    │   ├── NotNullViolation
    │   ├── CheckViolation
    │   └── ExclusionViolation
    ├── DoesNotExist
    ├── MultipleObjectsReturned
    ├── TransactionError
    │   ├── SerializationError
    │   ├── DeadlockError
    │   └── OutcomeUnknown
    ├── QueryError
    │   ├── InvalidQuery
    │   │   ├── UnknownField
    │   │   └── NotLoaded
    │   ├── SqlSyntaxError
    │   ├── UndefinedObject
    │   ├── TypeMismatch
    │   ├── ValueOutOfRange
    │   ├── DecodeError
    │   ├── ReadOnlyError
    │   └── UnsupportedError
    ├── QueryTimeout
    ├── QueryCancelled
    ├── DeniedError
    ├── LimitError
    ├── PluginError
    │   └── PluginTrap
    └── InternalError

Example:
    >>> import ferro
    >>> issubclass(ferro.UniqueViolation, ferro.IntegrityError)
    True
"""

from __future__ import annotations

from typing import Any


class FerroError(Exception):
    """Whatever ferro raises.

    The attributes are named as the database names things; they are None where it does not say.

    Example:
        >>> error = FerroError("it failed", kind="internal")
        >>> (str(error), error.kind, error.retryable)
        ('it failed', 'internal', False)
    """

    kind: str = "internal"
    """The kind of the error in the WIT: `unique-violation`."""
    code: str | None = None
    """SQLSTATE, or SQLite's extended result code by its name."""
    constraint: str | None = None
    table: str | None = None
    column: str | None = None
    retryable: bool = False
    """Whether the same operation may succeed if it is tried again."""

    def __init__(self, message: str, *, kind: str | None = None, retryable: bool = False) -> None:
        super().__init__(message)
        if kind is not None:
            self.kind = kind
        if retryable:
            self.retryable = True

    @property
    def sqlstate(self) -> str | None:
        """The SQLSTATE; None for errors that are not from PostgreSQL."""
        code = self.code
        return code if code is not None and len(code) == 5 and code.isalnum() else None


class ConfigurationError(FerroError):
    """A URL, an option or a grant is not a valid one; the message says what is."""

    kind = "invalid-configuration"


class SchemaError(ConfigurationError):
    """The models are not valid; the message names model and field."""

    kind = "invalid-schema"


class ConnectionError(FerroError):
    """There is no connection to the database."""

    kind = "connection-failed"


class ConnectionRefused(ConnectionError):
    """The server cannot be reached, or went away."""


class AuthenticationError(ConnectionError):
    """The server refused the user or the password."""

    kind = "authentication-failed"


class DatabaseMissing(ConnectionError):
    """There is no such database, or no such file."""

    kind = "database-missing"


class TlsError(ConnectionError):
    """The TLS that the URL asks for is not to be had."""

    kind = "tls-failed"


class BusyError(FerroError):
    """No connection, lock or place was free in time."""

    kind = "busy"


class PoolTimeout(BusyError):
    """No connection of the pool was free within its `acquire_timeout`."""


class IntegrityError(FerroError):
    """A constraint of the database does not allow it."""

    kind = "check-violation"


class UniqueViolation(IntegrityError):
    """A row with the same key exists already."""

    kind = "unique-violation"


class ForeignKeyViolation(IntegrityError):
    """A row refers to one that does not exist, or one that is referred to would go."""

    kind = "foreign-key-violation"


class NotNullViolation(IntegrityError):
    """A value is missing that has to be there."""

    kind = "not-null-violation"


class CheckViolation(IntegrityError):
    """A value does not pass a check."""


class ExclusionViolation(IntegrityError):
    """A row conflicts with another one."""

    kind = "exclusion-violation"


class DoesNotExist(FerroError):
    """A row that had to exist does not."""

    kind = "not-found"


class MultipleObjectsReturned(FerroError):
    """One row was asked for, and there are several."""

    kind = "multiple-objects"


class TransactionError(FerroError):
    """A transaction cannot do that, or was lost."""

    kind = "transaction"


class SerializationError(TransactionError):
    """The transaction lost against another one: run it again."""

    kind = "serialization-failure"


class DeadlockError(TransactionError):
    """Transactions waited for each other: run this one again."""

    kind = "deadlock"


class OutcomeUnknown(TransactionError):
    """The connection broke during the commit: it may or may not have happened."""

    kind = "outcome-unknown"


class QueryError(FerroError):
    """The query, the statement or its values are not right."""

    kind = "invalid-query"


class InvalidQuery(QueryError):
    """The query is not a valid one."""


class UnknownField(InvalidQuery, AttributeError):
    """The model has no such field; the message names the nearest."""


class NotLoaded(InvalidQuery, AttributeError):
    """A relation was used as if it were loaded: `await` it, or `include` it in the query."""


class SqlSyntaxError(QueryError):
    """The database refused the SQL."""

    kind = "syntax"


class UndefinedObject(QueryError):
    """A table, column or function does not exist."""

    kind = "undefined-object"


class TypeMismatch(QueryError, TypeError):
    """A value has the wrong type for its parameter or column."""

    kind = "type-mismatch"


class ValueOutOfRange(QueryError, ValueError):
    """A value is outside of what its type can hold."""

    kind = "value-out-of-range"


class DecodeError(QueryError):
    """A stored value cannot be decoded; table and column are named."""

    kind = "decode-failed"


class ReadOnlyError(QueryError):
    """The database or the transaction is read-only."""

    kind = "read-only"


class UnsupportedError(QueryError):
    """The database, or this version, has no such feature."""

    kind = "unsupported"


class QueryTimeout(FerroError):
    """A deadline passed; what ran was stopped, at the database too."""

    kind = "timeout"


class QueryCancelled(FerroError):
    """The statement was cancelled."""

    kind = "cancelled"


class DeniedError(FerroError):
    """Not granted, or not there: the two look alike."""

    kind = "denied"


class LimitError(FerroError):
    """A row, byte, statement or size limit was reached."""

    kind = "limit-exceeded"


class PluginError(FerroError):
    """A plugin is not a valid one, was called wrongly, or answered with an error.

    `value` is the error that an export returned, as plain Python.
    """

    kind = "plugin"

    def __init__(self, message: str, *, value: Any = None) -> None:
        super().__init__(message)
        self.value = value


class PluginTrap(PluginError):
    """A plugin broke off: what it had begun is rolled back."""

    kind = "plugin-trap"


class InternalError(FerroError):
    """A fault of ferro itself: please report it."""


BY_KIND: dict[str, type[FerroError]] = {
    "not-found": DoesNotExist,
    "unique-violation": UniqueViolation,
    "foreign-key-violation": ForeignKeyViolation,
    "not-null-violation": NotNullViolation,
    "check-violation": CheckViolation,
    "exclusion-violation": ExclusionViolation,
    "serialization-failure": SerializationError,
    "deadlock": DeadlockError,
    "busy": BusyError,
    "timeout": QueryTimeout,
    "cancelled": QueryCancelled,
    "limit-exceeded": LimitError,
    "denied": DeniedError,
    "read-only": ReadOnlyError,
    "invalid-query": InvalidQuery,
    "invalid-schema": SchemaError,
    "type-mismatch": TypeMismatch,
    "value-out-of-range": ValueOutOfRange,
    "syntax": SqlSyntaxError,
    "undefined-object": UndefinedObject,
    "decode-failed": DecodeError,
    "invalid-configuration": ConfigurationError,
    "connection-failed": ConnectionRefused,
    "authentication-failed": AuthenticationError,
    "database-missing": DatabaseMissing,
    "tls-failed": TlsError,
    "outcome-unknown": OutcomeUnknown,
    "unsupported": UnsupportedError,
    "internal": InternalError,
}
"""The class of each kind of error in the WIT."""


def from_native(
    kind: str,
    message: str,
    code: str | None,
    constraint: str | None,
    table: str | None,
    column: str | None,
    retryable: bool,
) -> FerroError:
    """The exception for an error of the native module, which calls this.

    Example:
        >>> from_native("denied", "no", None, None, None, None, False)
        DeniedError('no')
    """
    cls = BY_KIND.get(kind, InternalError)
    if cls is BusyError and retryable and code is None:
        # No database said so, and waiting helps: it was the pool.
        cls = PoolTimeout
    error = cls(message)
    error.kind = kind
    error.code = code
    error.constraint = constraint
    error.table = table
    error.column = column
    error.retryable = retryable
    return error
