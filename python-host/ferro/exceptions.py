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
    """Whatever ferro raises.

    Decide by the class and the attributes, never by the text. `constraint`, `table` and `column`
    are named as the database names things; they are None where it does not say.

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
    """Whether the same may succeed if it is tried again, a transaction from its start."""

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
    """A URL, an option, the name of a connection or a grant is not a valid one.

    Also where there is no connection yet: call `ferro.connect` first. The message says what is
    expected, and which connections there are.

    Example:
        >>> import asyncio, ferro
        >>> asyncio.run(ferro.connect("mysql://localhost/app"))
        Traceback (most recent call last):
        ferro.exceptions.ConfigurationError: unknown URL scheme `mysql:`: ...
    """

    kind = "invalid-configuration"


class SchemaError(ConfigurationError):
    """The models are not valid; the message names model and field.

    Raised where the class is defined, or before the first query for what relations lead to.

    Example:
        >>> import ferro
        >>> class Keyless(ferro.Model):
        ...     name: str
        Traceback (most recent call last):
        ferro.exceptions.SchemaError: model `Keyless` has no primary key: ...
    """

    kind = "invalid-schema"


class ConnectionError(FerroError):
    """There is no connection to the database; the subclasses give the reason.

    Not Python's own `ConnectionError`. Catch it around `ferro.connect` to report any of them.
    """

    kind = "connection-failed"


class ConnectionRefused(ConnectionError):
    """The server cannot be reached, or went away while it was used.

    Look whether it runs, and at host and port of the URL. What was not committed is undone.
    """


class AuthenticationError(ConnectionError):
    """The server refused the user or the password: mend the URL, percent-encode the password."""

    kind = "authentication-failed"


class DatabaseMissing(ConnectionError):
    """There is no such database, or no such file: create it, a file with `?mode=rwc`."""

    kind = "database-missing"


class TlsError(ConnectionError):
    """The TLS that the URL asks for is not available, or the certificate is not the right one.

    `sslmode` in the URL says what is asked for, `sslrootcert` which authority is trusted.
    """

    kind = "tls-failed"


class BusyError(FerroError):
    """No connection, lock or place was free in time.

    With `retryable`, run the transaction again. Without it, a transaction was to do two things at
    once, with a stream still open for instance: let one end before the next begins.
    """

    kind = "busy"


class PoolTimeout(BusyError):
    """No connection of the pool was free within its `acquire_timeout`.

    Have a larger pool (`PoolConfig(max_connections=…)`), or shorter transactions and streams.
    """


class IntegrityError(FerroError):
    """A constraint of the database does not allow it; the classes below say of which kind.

    Nothing was changed by the statement. On PostgreSQL the transaction around it has failed, too:
    put what may fail into a block of its own.
    """

    kind = "check-violation"


class UniqueViolation(IntegrityError):
    """A row with the same primary or unique key exists already; it was not overwritten.

    `table` and `column` tell which key, on both databases. `upsert`, `get_or_create` and
    `update_or_create` do without the error.

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
    """A row refers to one that does not exist, or one that is referred to would go.

    Which foreign key it was, only PostgreSQL tells, in `constraint`.
    """

    kind = "foreign-key-violation"


class NotNullViolation(IntegrityError):
    """A null, where the column has to have a value: `table` and `column` tell which."""

    kind = "not-null-violation"


class CheckViolation(IntegrityError):
    """A row does not pass a check of the database, such as `db_check` or the `max_length` of a
    text, or a trigger refused it.

    `constraint` is the name of the check.
    """


class ExclusionViolation(IntegrityError):
    """A row conflicts with another one under an exclusion constraint: PostgreSQL only."""

    kind = "exclusion-violation"


class DoesNotExist(FerroError):
    """A row that had to exist does not.

    By `get` and `one`, and by `save`, `delete` and `refresh` of a row that has gone. `get_or_none`,
    `one_or_none` and `first` give None in place of it.
    """

    kind = "not-found"


class MultipleObjectsReturned(FerroError):
    """One row was asked for, and there are several: narrow the query, or take the `first`."""

    kind = "multiple-objects"


class TransactionError(FerroError):
    """A transaction cannot do that, or was lost.

    It has ended, is used a second time, or another connection was named inside of it.
    """

    kind = "transaction"


class SerializationError(TransactionError):
    """The transaction lost against another one: run it again, all of it. Nothing was kept."""

    kind = "serialization-failure"


class StaleObjectError(SerializationError):
    """A row with a version was changed by another one since it was read: read it again.

    By `save`, `delete` and `bulk_update`: they change nothing then. `ferro.retry` runs its function
    again, which reads the row again.
    """

    retryable = True


class DeadlockError(TransactionError):
    """Transactions waited for each other and this one was ended: run it again, all of it.

    They do not, where all of them change rows in the same order.
    """

    kind = "deadlock"


class OutcomeUnknown(TransactionError):
    """The connection broke during the commit: it may or may not have happened.

    Look for what it wrote, by a key that the program made, before it is run again.
    """

    kind = "outcome-unknown"


class QueryError(FerroError):
    """The query, the statement or its values are not right; the classes below say what."""

    kind = "invalid-query"


class InvalidQuery(QueryError):
    """The query is not a valid one, or a method was called in a way that makes no sense.

    For SQL text: more than one statement, another number of values than of placeholders, or what
    would end a transaction or change the session.
    """


class UnknownField(InvalidQuery, AttributeError):
    """The model has no such field; the message names the nearest.

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
    """A position is none of the query whose page was asked for: its text was cut off or made up, or
    the query has another order since.

    By `page_after`, `page_before` and `Position.parse`. Begin with the first page again.

    Example:
        >>> import ferro
        >>> ferro.Position.parse("6")
        Traceback (most recent call last):
        ferro.exceptions.InvalidPosition: the text is not a position in a query
    """


class SqlSyntaxError(QueryError):
    """The database does not understand SQL text; the message is its own."""

    kind = "syntax"


class UndefinedObject(QueryError):
    """A table, column or function does not exist.

    Create the tables (`ferro.create_tables`), or change those whose model has changed
    (`ferro.migrate`).
    """

    kind = "undefined-object"


class TypeMismatch(QueryError, TypeError):
    """A value has the wrong type for its parameter or column; nothing is converted in silence.

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
    """A value is outside of what its type can hold.

    An integer of more than 64 bits, a text with U+0000 on PostgreSQL, a negative limit.
    """

    kind = "value-out-of-range"


class DecodeError(QueryError):
    """A stored value is none that the field can hold: mend the row, or the type of the field.

    `table` and `column` are set, and the message names the key of the row where it is known.
    """

    kind = "decode-failed"


class ReadOnlyError(QueryError):
    """A write, where the database, the transaction or the scope is read-only."""

    kind = "read-only"


class UnsupportedError(QueryError):
    """The database, or this version, has no such feature.

    Distinct documents on SQLite for instance. Also what is done in a process that was forked
    from one that had connected.
    """

    kind = "unsupported"


class QueryTimeout(FerroError):
    """A deadline passed; what ran was stopped, at the database too.

    PostgreSQL's `statement_timeout`, or the limits of a tenant. What an application limits by
    `asyncio.timeout` raises Python's own `TimeoutError`.
    """

    kind = "timeout"


class QueryCancelled(FerroError):
    """The statement was stopped by somebody else, an operator for instance.

    A task that is cancelled gets `asyncio.CancelledError`, as ever.
    """

    kind = "cancelled"


class DeniedError(FerroError):
    """A tenant's grant does not allow it, or it is not there: the two look alike.

    Also what the rights of the user on PostgreSQL do not allow.
    """

    kind = "denied"


class LimitError(FerroError):
    """A limit was reached, which the message names: of a plugin's call, or of a query's size.

    Raise the tenant's limit, or ask for less: `in_` in place of a thousand conditions.
    """

    kind = "limit-exceeded"


class PluginError(FerroError):
    """A plugin is not a valid one, was called wrongly, or answered with an error.

    Raised by `Plugin.load` and `plugin.call`. `value` is the error that an export returned, as
    plain Python; an error of ferro's that it returned is raised as what it is.
    """

    kind = "plugin"

    def __init__(self, message: str, *, value: Any = None) -> None:
        super().__init__(message)
        self.value = value


class PluginTrap(PluginError):
    """A plugin crashed, in a panic for instance: its uncommitted work is rolled back."""

    kind = "plugin-trap"


class InternalError(FerroError):
    """A fault of ferro itself: please report it, with what was called."""


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
"""The classes that tell more than a kind does, by the codes of Ferro's own."""


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
    cls = BY_CODE.get(code) or BY_KIND.get(kind, InternalError)
    error = cls(message)
    error.kind = kind
    error.code = code
    error.constraint = constraint
    error.table = table
    error.column = column
    error.retryable = retryable
    return error
