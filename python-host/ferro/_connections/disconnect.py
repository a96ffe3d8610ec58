"""Closing connections after their running operations have ended."""

from __future__ import annotations

import asyncio

from ..exceptions import InvalidQuery, TransactionError
from .engine import engine
from .transaction import current_transaction


async def disconnect(name: str | None = None) -> None:
    """Close a connection, by default the default one, after its running operations have ended.

    Streams of tasks that have failed or were cancelled are closed.

    Raises `TransactionError` inside a transaction on that connection, and `InvalidQuery` while this
    task reads a stream from it.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> None:
        ...     await ferro.connect("sqlite::memory:", "doc-disconnect")
        ...     await ferro.disconnect("doc-disconnect")
        >>> asyncio.run(main())
    """
    label = engine.label(name)
    await _check_outside(label)
    await engine.disconnect(label)


async def disconnect_all() -> None:
    """Close all connections after their running operations have ended; see `disconnect`.

    If one of them cannot be closed, none of them is.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> dict[str, object]:
        ...     await ferro.connect("sqlite::memory:")
        ...     await ferro.connect("sqlite::memory:", "archive")
        ...     await ferro.disconnect_all()
        ...     return await ferro.health()
        >>> asyncio.run(main())
        {'ok': False, 'connections': {}}
    """
    labels = engine.labels()
    for label in labels:
        await _check_outside(label)
    # Another task may have closed one meanwhile.
    left = [it for it in labels if it in engine.labels()]
    await asyncio.gather(*(engine.disconnect(it) for it in left))


async def _check_outside(label: str) -> None:
    """Fail if this task would wait for itself."""
    inside = current_transaction()
    if inside is not None and inside.label == label:
        raise TransactionError(
            f"inside a transaction on `{label}`, disconnecting would wait for the transaction "
            "itself: end it first"
        )
    task = asyncio.current_task()
    for _ in range(3):
        # A stream whose loop was left early is closed by a task, which needs a turn to begin.
        if any(it.reader is task for it in engine.streams_on(label)):
            await asyncio.sleep(0)
    if any(it.reader is task for it in engine.streams_on(label)):
        raise InvalidQuery(
            f"disconnecting `{label}` would wait for a stream of this task: let its loop end, or "
            "close its iterator, first"
        )
