"""Transactions that are retried after a conflict."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .._argument import check
from ..exceptions import ConfigurationError, FerroError, TransactionError
from .transaction import Isolation, current_transaction, transaction

R = TypeVar("R")

_PAUSE = 0.01
"""Seconds; it doubles before each retry, of which a random part is waited."""
_LONGEST_PAUSE = 1.0


async def retry(
    work: Callable[[], Awaitable[R]],
    *,
    attempts: int = 10,
    using: str | None = None,
    isolation: Isolation | None = "serializable",
    immediate: bool = False,
) -> R:
    """Run a function in a transaction, and retry it if it conflicts with others.

    It retries after `retryable` errors: `SerializationError`, `DeadlockError`, `BusyError`, or if
    no connection could be opened. Each failed attempt is rolled back. Before each further attempt
    it pauses for up to 10 ms, 20 ms … 1 s. After the last of the `attempts`, the error is raised.

    The function must read its instances itself, and must not do anything that should happen only
    once, such as sending a mail. By default, `isolation` is `"serializable"`, so that the data it
    read is still valid at the commit. The options are those of `ferro.transaction`. Inside a
    transaction it raises `TransactionError`: a savepoint would still have the old snapshot.

    Example:
        >>> import asyncio, ferro
        >>> class Stock(ferro.Model, table="doc_stock"):
        ...     name: str = ferro.Field(primary_key=True)
        ...     left: int
        >>> async def take() -> int:
        ...     stock = await Stock.get("nails")
        ...     stock.left -= 1
        ...     await stock.save()
        ...     return stock.left
        >>> async def main() -> int:
        ...     await ferro.connect("sqlite::memory:", auto_migrate=True)
        ...     await Stock.create(name="nails", left=100)
        ...     left = await ferro.retry(take)
        ...     await ferro.disconnect()
        ...     return left
        >>> asyncio.run(main())
        99
    """
    if not callable(work):
        raise ConfigurationError(
            f"`retry` takes a function that it can call again, not `{type(work).__name__}`: pass "
            "`work`, not `work()`"
        )
    check(ConfigurationError, attempts=(attempts, int))
    if attempts < 1:
        raise ConfigurationError(f"`attempts` takes an int of at least 1, not `{attempts}`")
    if current_transaction() is not None:
        raise TransactionError(
            "a transaction cannot be retried from inside: call `ferro.retry` outside it"
        )
    pause, left = _PAUSE, attempts
    while True:
        left -= 1
        try:
            async with transaction(using=using, isolation=isolation, immediate=immediate):
                return await work()
        except FerroError as error:
            if not error.retryable or left == 0:
                raise
        await asyncio.sleep(random.random() * pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
