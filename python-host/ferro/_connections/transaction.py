"""Transactions: blocks that commit on success, and roll back on an exception."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Literal, ParamSpec, TypeVar, get_args, overload

from .. import _native
from .._argument import check, check_choice
from .._tables.registry import registry
from ..exceptions import ConfigurationError, FerroError, TransactionError
from .engine import engine
from .nesting import Nesting, this_task
from .open_stream import OpenStream
from .scope import Scope, current_scope
from .undo_log import UndoLog

_log = logging.getLogger("ferro.transaction")

P = ParamSpec("P")
R = TypeVar("R")

Isolation = Literal["read-committed", "repeatable-read", "serializable"]


class Transaction:
    """A block in which operations run in one transaction; created by `ferro.transaction`.

    It belongs to the task that opened it. A task started inside works outside the transaction,
    unless it receives it and uses it explicitly: `User.using(transaction)`.

    Example:
        >>> import ferro
        >>> class Visit(ferro.Model, table="doc_visit"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        >>> async def in_another_task(transaction: ferro.Transaction) -> None:
        ...     await Visit.using(transaction).create()
    """

    def __init__(self, using: str | None, options: dict[str, Any]) -> None:
        self._using = using
        self._options = options
        self._parent: Transaction | None = None
        self._outer: Transaction | None = None
        """The transaction of this savepoint, if it was passed; otherwise this task's."""
        self._owner: asyncio.Task[object] | None = None
        self._inside = False
        """Whether its block is open, also after a rollback."""
        self._savepoints = 0
        """The number of open blocks inside it, in any task."""
        self._session: _native.Session | None = None
        self._version = -1
        """The version of the session's models."""
        self._label: str | None = None
        self._scope: Scope | None = None
        self._told = False
        """Whether it was logged that a task started inside it works outside of it."""
        self._streams: set[OpenStream] = set()
        """The streams that are read in it."""
        self._undo_log = UndoLog()
        """The tracked state of rows before they were written in it."""
        self._callbacks: list[Callable[[], object]] = []
        """Functions to call after the commit."""

    @property
    def label(self) -> str:
        """The connection that it runs on."""
        if self._label is None:
            raise TransactionError("this transaction has not begun: use it with `async with`")
        return self._label

    def _renewed_session(self) -> _native.Session:
        """The native session, with the current models; raises after the block has ended."""
        session = self._open()
        if self._version != registry.version:
            version, models = registry.versioned()
            session.renew(models)
            self._version = version
        return session

    def _open(self) -> _native.Session:
        if self._session is None:
            raise TransactionError(
                "this transaction was rolled back: no further operations can run in its block"
                if self._inside
                else "this transaction has ended, or has not begun"
            )
        return self._session

    def _admit(self, using: str | None) -> None:
        """Reject a connection other than this transaction's."""
        if current_scope() is not self._scope:
            raise TransactionError("a transaction has one scope: enter `ferro.scope` outside it")
        if using is not None and using != self.label:
            raise TransactionError(
                f"inside a transaction on `{self.label}`, `{using}` cannot be used: a transaction "
                "has one connection"
            )

    def _belongs_to_this_task(self) -> bool:
        """Whether this task opened it, and its block has not ended."""
        return self._inside and self._owner is this_task()

    async def rollback(self) -> None:
        """Roll back the block now. Further operations in the block raise `TransactionError`; its
        end does not raise.

        In a savepoint, this rolls back only the savepoint. Raises `TransactionError` while an inner
        block is open, and after the end.

        Example:
            >>> import ferro
            >>> class Seat(ferro.Model, table="doc_rollback_seat"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            ...     taken: bool = False
            >>> async def take(ids: list[int]) -> bool:
            ...     async with ferro.transaction() as transaction:
            ...         free = Seat.where(ferro.col(Seat.id).in_(ids), taken=False)
            ...         if await free.update(taken=True) < len(ids):
            ...             await transaction.rollback()
            ...             return False
            ...     return True
        """
        self._open()
        if self._savepoints:
            raise TransactionError("a block inside this transaction is still open: end it first")
        await self._end(commit=False)

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call a function after the outermost block has committed; never if the transaction or this
        savepoint is rolled back.

        The functions are called in order, with those of a savepoint at its end, after the commit
        and outside the transaction; awaitable results are awaited. An exception is logged as an
        error by `ferro.transaction`, and the remaining functions are called; the block does not
        raise it, since everything is committed. A cancellation, or an exception that ends the
        program, is also logged, and the block raises it after the remaining functions have been
        called.

        Example:
            >>> import ferro
            >>> class Order(ferro.Model, table="doc_order"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            >>> async def send_mail() -> None: ...
            >>> async def order() -> None:
            ...     async with ferro.transaction() as transaction:
            ...         await Order.create()
            ...         transaction.on_commit(send_mail)
        """
        if not callable(callback):
            raise ConfigurationError(
                "`on_commit` takes a function that it can call, not `"
                f"{type(callback).__name__}`: pass `work`, not `work()`"
            )
        self._open()
        self._callbacks.append(callback)

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        """Decorate a coroutine function, so that each call runs in its own transaction."""
        if not inspect.iscoroutinefunction(function):
            raise ConfigurationError(
                f"`@ferro.transaction()` is for a coroutine function (`async def`), not for "
                f"`{function!r}`"
            )

        @functools.wraps(function)
        async def in_transaction(*args: P.args, **kwargs: P.kwargs) -> R:
            async with Transaction(self._using, self._options):
                return await function(*args, **kwargs)

        return in_transaction

    async def __aenter__(self) -> Transaction:
        if self._owner is not None:
            raise TransactionError(
                "a transaction can only be used once: call `ferro.transaction()` again"
            )
        self._owner = asyncio.current_task()
        self._scope = current_scope()
        parent = self._outer or current_transaction()
        if parent is not None:
            parent._admit(self._using)
            self._check_savepoint()
            self._label = parent.label
            outer = parent._renewed_session()
            self._version = parent._version
            self._session = await outer.begin()
            parent._savepoints += 1
        else:
            # Read first, as another thread may import a model meanwhile.
            self._version = registry.version
            self._label, session = engine.open(self._using, current_scope())
            _tell_of_others(self._label)
            self._session = await session.begin(**self._options)
        self._parent = parent
        self._inside = True
        _blocks.enter(self)
        return self

    def _check_savepoint(self) -> None:
        # The transaction has what `immediate` requires already, or gets it with its first write.
        own = [name for name, value in self._options.items() if value and name != "immediate"]
        if own:
            raise TransactionError(
                f"a block inside a transaction is a savepoint, and does not support `{own[0]}`: "
                "pass it to the outermost block"
            )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._inside = False
        _blocks.leave(self)
        try:
            # There is none after a rollback.
            if self._session is not None:
                await self._end(commit=kind is None)
        finally:
            if self._parent is not None:
                self._parent._savepoints -= 1

    async def _end(self, *, commit: bool) -> None:
        session = self._open()
        self._session = None
        committed = False
        try:
            if commit:
                await session.commit()
                committed = True
            else:
                self._end_streams()
                await _undo(session)
        finally:
            self._end_streams()
            # Rolls back if neither of them did, as they were cancelled or rejected.
            session.close()
            if not committed:
                for forget in on_undo:
                    forget(self.label)
                self._undo_log.undo()
            elif self._parent is not None:
                self._parent._undo_log.add(self._undo_log)
                self._parent._callbacks += self._callbacks
            self._undo_log.clear()
        if committed and self._parent is None:
            await self._call_back()

    async def _call_back(self) -> None:
        ending: BaseException | None = None
        for callback in self._callbacks:
            try:
                result = callback()
                if inspect.isawaitable(result):
                    await result
            except GeneratorExit:
                raise
            except BaseException as error:
                # If the block raised it, it would seem that nothing was committed.
                _log.exception("connection `%s`: after a commit, %r failed", self.label, callback)
                is_cancellation = isinstance(error, asyncio.CancelledError)
                if _is_cancelled() if is_cancellation else not isinstance(error, Exception):
                    ending = error
        if ending is not None:
            raise ending

    def _end_streams(self) -> None:
        """Close the streams that are still open, which would keep the transaction from ending.

        Something may still hold one, such as the traceback of the error that ends the block.
        """
        for stream in tuple(self._streams):
            stream.end()


def _is_cancelled() -> bool:
    """Whether this task is being cancelled. Before Python 3.11, nothing tells this from a
    cancellation of what it waited for.
    """
    if sys.version_info < (3, 11):
        return True
    task = this_task()
    return task is not None and task.cancelling() > 0


on_undo: list[Callable[[str], None]] = []
"""Called with the label of a connection on which a transaction was rolled back."""

_blocks: Nesting[Transaction] = Nesting("ferro_transaction", lambda it: it._inside)

Using = str | Transaction | None
"""Where an operation runs: on a named connection, or in a transaction."""


def check_using(using: Using) -> None:
    """Reject what is neither a connection name nor a transaction."""
    # Nearly every operation names no connection.
    if using is not None:
        check(ConfigurationError, using=(using, str, Transaction, None))


async def _undo(session: _native.Session) -> None:
    try:
        await session.rollback()
    except FerroError:
        # The caller must see why the block failed. If the rollback fails, the driver closes the
        # connection, and the database rolls back.
        return


def current_transaction() -> Transaction | None:
    """The innermost transaction of this task, or None.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> list[bool]:
        ...     await ferro.connect("sqlite::memory:", "doc-current")
        ...     async with ferro.transaction(using="doc-current") as transaction:
        ...         inside = ferro.current_transaction() is transaction
        ...     await ferro.disconnect("doc-current")
        ...     return [inside, ferro.current_transaction() is None]
        >>> asyncio.run(main())
        [True, True]
    """
    # Nearly every operation is in no block.
    if not _blocks.any():
        return None
    return next((it for it in _blocks.all() if it._belongs_to_this_task()), None)


def block(using: str | Transaction | None) -> Transaction | None:
    """The transaction that an operation runs in: the passed one, or this task's."""
    return using if isinstance(using, Transaction) else current_transaction()


def together(using: str | Transaction | None) -> Transaction:
    """A block for an operation of several statements; a savepoint if a transaction is passed.

    All of them write, so the block takes SQLite's write lock first: after a read, it may be
    refused.
    """
    if not isinstance(using, Transaction):
        return transaction(using=using, immediate=True)
    inside = current_transaction()
    if inside is not None:
        inside._admit(using.label)
    made = transaction(using=using.label, immediate=True)
    made._outer = using
    return made


def runner_for(using: Using) -> tuple[str, _native.Session]:
    """The session that an operation runs in, and its label.

    The session is the passed transaction, otherwise this task's transaction, otherwise the
    database.
    """
    check_using(using)
    transaction = current_transaction()
    if isinstance(using, Transaction):
        using._admit(None)
        if transaction is not None:
            transaction._admit(using.label)
        return using.label, using._renewed_session()
    if transaction is None:
        found = engine.shared(using, current_scope())
        if _blocks.any():
            _tell_of_others(found[0])
        return found
    transaction._admit(using)
    return transaction.label, transaction._renewed_session()


def _tell_of_others(label: str) -> None:
    """Log, once per transaction, that a task started inside it works outside of it."""
    around = next((it for it in _blocks.all() if it.label == label), None)
    while around is not None and around._parent is not None:
        around = around._parent
    if around is None or around._told:
        return
    around._told = True
    _log.warning(
        "connection `%s`: %r was started inside a transaction but works outside it: its writes "
        "remain if the transaction is rolled back. Pass the transaction to the task and use it "
        "there (`User.using(transaction)`, `user.save(using=transaction)`), or start the task "
        "after the block",
        label,
        this_task(),
    )


@overload
def transaction(function: Callable[P, Awaitable[R]], /) -> Callable[P, Coroutine[Any, Any, R]]: ...
@overload
def transaction(
    *,
    using: str | None = None,
    isolation: Isolation | None = None,
    read_only: bool = False,
    immediate: bool = False,
    deferrable: bool = False,
) -> Transaction: ...
def transaction(
    function: Any = None,
    /,
    *,
    using: str | None = None,
    isolation: Isolation | None = None,
    read_only: bool = False,
    immediate: bool = False,
    deferrable: bool = False,
) -> Any:
    """A block in which all operations of this task run in one transaction, or in a savepoint of it.

    It commits at its end; any exception, including cancellation, rolls it back. Operations inside
    use its connection, and naming another one raises `TransactionError`. A block inside a block is
    a savepoint: `isolation`, `read_only` and `deferrable` raise `TransactionError` there.

    A rollback does not change instances: their attributes keep their values. But Ferro tracks again
    what was stored before the block, so `save` writes again. An instance whose insert was rolled
    back is new again, without the key and the other values that the database had generated. Reads
    by queries inside are not tracked: read again the rows that the block changed by queries.

    `using` names the connection, by default the default one. `isolation` is `"read-committed"`,
    `"repeatable-read"` or `"serializable"`; the default is the server's. SQLite has only one level,
    the strongest, so it has no effect there. With `read_only`, writes raise `ReadOnlyError`.
    `immediate` takes SQLite's write lock at the start, so that the first write cannot be refused.
    `deferrable`, on PostgreSQL with `"serializable"` and `read_only`, waits for a snapshot that
    cannot fail later.

    `await transaction.rollback()` rolls it back without an exception, and `transaction.on_commit`
    calls a function after the commit. The decorator `@ferro.transaction()`, also without
    parentheses, runs each call of a coroutine function in a transaction.

    A task started inside, for example by `asyncio.gather` or by `asyncio.wait_for` before Python
    3.12, is outside the transaction: pass the transaction to it, and use it there with `using`.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> None:
        ...     await ferro.connect("sqlite::memory:", "doc-transaction")
        ...     async with ferro.transaction(using="doc-transaction"):
        ...         await ferro.execute("create table t (n integer)")
        ...     await ferro.disconnect("doc-transaction")
        >>> asyncio.run(main())
    """
    if isolation is not None:
        check_choice(ConfigurationError, "isolation", isolation, get_args(Isolation))
    check(
        ConfigurationError,
        using=(using, str, None),
        read_only=(read_only, bool),
        immediate=(immediate, bool),
        deferrable=(deferrable, bool),
    )
    options: dict[str, Any] = {
        "isolation": isolation,
        "read_only": read_only,
        "immediate": immediate,
        "deferrable": deferrable,
    }
    made = Transaction(using, options)
    return made if function is None else made(function)
