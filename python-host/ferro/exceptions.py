"""The exceptions of Ferro: one tree under `FerroError`.

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
    │   │   └── StaleObjectError
    │   ├── DeadlockError
    │   └── OutcomeUnknown
    ├── QueryError
    │   ├── InvalidQuery
    │   │   ├── UnknownField
    │   │   ├── InvalidPosition
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
    """The base class of all exceptions that Ferro raises.

    Handle errors by class and attributes, never by text. `constraint`, `table` and `column` are the
    names in the database, or None if the database does not report them.

    Example:
        >>> error = FerroError("it failed", kind="internal")
        >>> (str(error), error.kind, error.retryable)
        ('it failed', 'internal', False)
    """

    kind: str = "internal"
    """The kind of the error in the WIT: `unique-violation`. Four kinds are Python's own:
    `transaction`, `multiple-objects`, `plugin` and `plugin-trap`."""
    code: str | None = None
    """SQLSTATE, or SQLite's extended result code by its name, or one of Ferro's own."""
    constraint: str | None = None
    table: str | None = None
    column: str | None = None
    retryable: bool = False
    """Whether a retry may succeed, of a whole transaction if there is one."""

    def __init__(self, message: str, *, kind: str | None = None, retryable: bool = False) -> None:
        super().__init__(message)
        if kind is not None:
            self.kind = kind
        if retryable:
            self.retryable = True

    @property
    def sqlstate(self) -> str | None:
        """The SQLSTATE of an error from PostgreSQL; None for other errors."""
        code = self.code
        return code if code is not None and len(code) == 5 and code.isalnum() else None


class ConfigurationError(FerroError):
    """A URL, an option, a connection name or a grant is invalid.

    Also raised if there is no connection yet: call `ferro.connect` first. The message says what is
    expected, and lists the existing connections.

    Example:
        >>> import asyncio, ferro
        >>> asyncio.run(ferro.connect("mysql://localhost/app"))
        Traceback (most recent call last):
        ferro.exceptions.ConfigurationError: unknown URL scheme `mysql:`: ...
    """

    kind = "invalid-configuration"


class SchemaError(ConfigurationError):
    """The models are invalid; the message names the model and the field.

    Raised when the class is defined, or before the first query if the fault is in a relation.

    Example:
        >>> import ferro
        >>> class Keyless(ferro.Model):
        ...     name: str
        Traceback (most recent call last):
        ferro.exceptions.SchemaError: model `Keyless` has no primary key: ...
    """

    kind = "invalid-schema"


class ConnectionError(FerroError):
    """The database cannot be reached; the subclasses give the reason.

    This is not Python's built-in `ConnectionError`. Catch it around `ferro.connect` to handle all
    of these errors.
    """

    kind = "connection-failed"


class ConnectionRefused(ConnectionError):
    """The server cannot be reached, or the connection to it was lost.

    Check that the server runs, and the host and port in the URL. Uncommitted work is rolled back.
    """


class AuthenticationError(ConnectionError):
    """The server rejected the user or the password: fix the URL; percent-encode the password."""

    kind = "authentication-failed"


class DatabaseMissing(ConnectionError):
    """The database or the file does not exist: create it; `?mode=rwc` in the URL creates a file."""

    kind = "database-missing"


class TlsError(ConnectionError):
    """The TLS that the URL requires is not available, or the certificate is not trusted.

    `sslmode` in the URL says what is required, `sslrootcert` which authority is trusted.
    """

    kind = "tls-failed"


class BusyError(FerroError):
    """A connection, a lock or a slot did not become free in time.

    If `retryable` is true, run the transaction again. Otherwise, a transaction was used for two
    things at once, for example while a stream was open: finish one before you start the next.
    """

    kind = "busy"


class PoolTimeout(BusyError):
    """No connection of the pool was free within its `acquire_timeout`.

    Use a larger pool (`PoolConfig(max_connections=…)`), or shorter transactions and streams.
    """


class IntegrityError(FerroError):
    """The operation violates a constraint of the database; the subclasses say which kind.

    The statement changed nothing. On PostgreSQL the enclosing transaction has failed, too: put a
    statement that may fail into a block of its own.
    """

    kind = "check-violation"


class UniqueViolation(IntegrityError):
    """A row with the same primary or unique key exists already; it was not overwritten.

    `table` and `column` name the key, on both databases. `upsert`, `get_or_create` and
    `update_or_create` avoid the error.

    Example:
        >>> import asyncio, ferro
        >>> class Tag(ferro.Model, table="doc_violated_tag"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str = ferro.Field(unique=True)
        >>> async def main() -> str | None:
        ...     await ferro.connect("sqlite::memory:", auto_migrate=True)
        ...     try:
        ...         await Tag.create(name="red")
        ...         await Tag.create(name="red")
        ...     except ferro.UniqueViolation as error:
        ...         return error.column
        ...     finally:
        ...         await ferro.disconnect()
        >>> asyncio.run(main())
        'name'
    """

    kind = "unique-violation"


class ForeignKeyViolation(IntegrityError):
    """A row refers to one that does not exist, or a deleted row is still referred to.

    Only PostgreSQL reports which foreign key it was, in `constraint`.
    """

    kind = "foreign-key-violation"


class NotNullViolation(IntegrityError):
    """A null in a column that requires a value; `table` and `column` name it."""

    kind = "not-null-violation"


class CheckViolation(IntegrityError):
    """A row violates a check of the database, such as `db_check` or the `max_length` of a text, or
    a trigger rejected it.

    `constraint` is the name of the check.
    """


class ExclusionViolation(IntegrityError):
    """A row conflicts with another one under an exclusion constraint (PostgreSQL only)."""

    kind = "exclusion-violation"


class DoesNotExist(FerroError):
    """A required row does not exist.

    Raised by `get` and `one`, and by `save`, `delete` and `refresh` if the row no longer exists.
    `get_or_none`, `one_or_none` and `first` return None instead.
    """

    kind = "not-found"


class MultipleObjectsReturned(FerroError):
    """A query for one row found several: narrow it, or use `first`."""

    kind = "multiple-objects"


class TransactionError(FerroError):
    """An operation that the transaction does not allow, or a transaction that was lost.

    For example, it has ended, is used a second time, or another connection was named inside it.
    """

    kind = "transaction"


class SerializationError(TransactionError):
    """The transaction conflicted with another one and was rolled back: run all of it again."""

    kind = "serialization-failure"


class StaleObjectError(SerializationError):
    """A versioned row has been changed since it was read: read it again.

    Raised by `save`, `delete` and `bulk_update`, which then change nothing. `ferro.retry` calls its
    function again, which reads the row again.
    """

    retryable = True


class DeadlockError(TransactionError):
    """Transactions waited for each other, and this one was rolled back: run all of it again.

    Transactions that change rows in the same order avoid this.
    """

    kind = "deadlock"


class OutcomeUnknown(TransactionError):
    """The connection was lost during the commit, which may or may not have succeeded.

    Before you run it again, look for what it wrote, by a key that the program generated.
    """

    kind = "outcome-unknown"


class QueryError(FerroError):
    """The query, the statement or its values are wrong; the subclasses say in what way."""

    kind = "invalid-query"


class InvalidQuery(QueryError):
    """The query is invalid, or a method was called with arguments that make no sense.

    For SQL text: it has more than one statement, the number of values differs from that of
    placeholders, or it would end a transaction or change the session.
    """


class UnknownField(InvalidQuery, AttributeError):
    """The model has no such field; the message suggests the nearest name.

    Example:
        >>> import ferro
        >>> class Plant(ferro.Model, table="doc_unknown_plant"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str
        >>> Plant.where(nmae="fern")
        Traceback (most recent call last):
        ferro.exceptions.UnknownField: model `Plant` has no field `nmae`: did you mean `name`?
    """


class NotLoaded(InvalidQuery):
    """A relation was used as if it were loaded: `await` it, or `include` it in the query."""


class InvalidPosition(InvalidQuery):
    """A position does not belong to the query of the page: its text was cut off or made up, or the
    order of the query has changed.

    Raised by `page_after`, `page_before` and `Position.parse`. Start again from the first page.

    Example:
        >>> import ferro
        >>> ferro.Position.parse("6")
        Traceback (most recent call last):
        ferro.exceptions.InvalidPosition: the text is not a position in a query
    """


class SqlSyntaxError(QueryError):
    """SQL text has a syntax error; the message is the database's."""

    kind = "syntax"


class UndefinedObject(QueryError):
    """A table, column or function does not exist.

    Create the tables (`ferro.create_tables`), or migrate them if their models have changed
    (`ferro.migrate`).
    """

    kind = "undefined-object"


class TypeMismatch(QueryError, TypeError):
    """A value has the wrong type for its parameter or column; nothing is converted silently.

    Example:
        >>> import asyncio, ferro
        >>> class Shelf(ferro.Model, table="doc_mismatch_shelf"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     width: int = 0
        >>> async def main() -> None:
        ...     await ferro.connect("sqlite::memory:", auto_migrate=True)
        ...     try:
        ...         await Shelf.where(width="80")
        ...     finally:
        ...         await ferro.disconnect()
        >>> asyncio.run(main())
        Traceback (most recent call last):
        ferro.exceptions.TypeMismatch: `Shelf.width` takes an int, not `str`
    """

    kind = "type-mismatch"


class ValueOutOfRange(QueryError, ValueError):
    """A value is out of the range of its type.

    For example, an integer of more than 64 bits, a text with U+0000 on PostgreSQL, or a negative
    limit.
    """

    kind = "value-out-of-range"


class DecodeError(QueryError):
    """A stored value does not fit the field: fix the row, or change the type of the field.

    `table` and `column` are set, and the message names the key of the row if it is known.
    """

    kind = "decode-failed"


class ReadOnlyError(QueryError):
    """A write while the database, the transaction or the scope is read-only."""

    kind = "read-only"


class UnsupportedError(QueryError):
    """The database, or this version of it, lacks a feature.

    For example, distinct documents on SQLite. Also raised in a process that was forked after Ferro
    had connected.
    """

    kind = "unsupported"


class QueryTimeout(FerroError):
    """A deadline passed; the statement was stopped, in the database too.

    The deadline is PostgreSQL's `statement_timeout` or a tenant's limit. `asyncio.timeout` in an
    application raises Python's built-in `TimeoutError`.
    """

    kind = "timeout"


class QueryCancelled(FerroError):
    """The statement was cancelled from outside, for example by an operator.

    A cancelled task gets `asyncio.CancelledError`, as usual.
    """

    kind = "cancelled"


class DeniedError(FerroError):
    """The tenant's grant does not allow it, or it does not exist: the two look alike.

    Also raised if PostgreSQL denies it to the connection's user.
    """

    kind = "denied"


class LimitError(FerroError):
    """A limit on a plugin call or on the size of a query was reached; the message names it.

    Raise the tenant's limit, or make the query smaller: use `in_` instead of a thousand conditions.
    """

    kind = "limit-exceeded"


class PluginError(FerroError):
    """A plugin is invalid, was called incorrectly, or returned an error.

    Raised by `Plugin.load` and `plugin.call`. `value` is the error that an export returned, as
    plain Python. If an export returns one of Ferro's errors, its own exception is raised instead.
    """

    kind = "plugin"

    def __init__(self, message: str, *, value: Any = None) -> None:
        super().__init__(message)
        self.value = value


class PluginTrap(PluginError):
    """A plugin crashed, for example by a panic. Its uncommitted work is rolled back."""

    kind = "plugin-trap"


class InternalError(FerroError):
    """A bug in Ferro: please report it, with the call that caused it."""


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

BY_CODE: dict[str | None, type[FerroError]] = {
    "FERRO_POOL_TIMEOUT": PoolTimeout,
    "FERRO_TRANSACTION_ENDED": TransactionError,
}
"""The classes that are more specific than a kind, by Ferro's own codes."""


def from_native(
    kind: str,
    message: str,
    code: str | None,
    constraint: str | None,
    table: str | None,
    column: str | None,
    retryable: bool,
) -> FerroError:
    """Return the exception for an error of the native module, which calls this.

    Example:
        >>> from_native("denied", "no", None, None, None, None, False)
        DeniedError('no')
    """
    cls = BY_CODE.get(code) or BY_KIND.get(kind, InternalError)
    error = cls(message)
    error.kind = kind
    error.code = code
    error.constraint = constraint
    error.table = table
    error.column = column
    error.retryable = retryable
    return error
