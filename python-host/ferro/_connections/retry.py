"""Transactions that are run again when they lost against others."""

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
"""Seconds; before each try it is twice as long, and a random part of that."""
_LONGEST_PAUSE = 1.0


async def retry(
    work: Callable[[], Awaitable[R]],
    *,
    attempts: int = 10,
    using: str | None = None,
    isolation: Isolation | None = "serializable",
    immediate: bool = False,
) -> R:
    """Run a function in a transaction, and all of it again where it lost against others.

    That is after an error that is `retryable`: `SerializationError`, `DeadlockError`, `BusyError`,
    or a connection that could not be had. Nothing of the try was kept then. There is a pause before
    each further one, of up to 10 ms, 20 ms … 1 s. The last error is raised after so many attempts.

    The function reads its instances itself, and does nothing that must not be done twice, such as
    sending a mail. `isolation` is `"serializable"`, so that what it read is still true when it
    commits; the options are those of `ferro.transaction`. Inside of a transaction it raises
    `TransactionError`: a savepoint would have the old snapshot still.

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
            f"`retry` takes a function that it can call again, not `{type(work).__name__}`: give "
            "it `work`, not `work()`"
        )
    check(ConfigurationError, attempts=(attempts, int))
    if attempts < 1:
        raise ConfigurationError(f"`attempts` takes an int from 1, not `{attempts}`")
    if current_transaction() is not None:
        raise TransactionError(
            "inside of a transaction nothing can be run again: call `ferro.retry` outside of it"
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
