"""Blocks that select a connection."""

from __future__ import annotations

from types import TracebackType

from .._argument import check
from ..exceptions import ConfigurationError
from .engine import contexts, engine
from .nesting import Blocks
from .transaction import current_transaction


class ConnectionContext:
    """A block that selects a connection; created by `ferro.connection_context`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._blocks = Blocks(contexts, name)

    async def __aenter__(self) -> str:
        label = engine.label(self._name)
        inside = current_transaction()
        if inside is not None:
            inside._admit(label)
        self._blocks.enter()
        return label

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._blocks.leave()


def connection_context(name: str) -> ConnectionContext:
    """A block that makes a connection the default, for this task and the tasks that it starts.

    `using` still selects another connection. The block does not begin a transaction, and does not
    hold a connection of the pool. Raises `TransactionError` inside a transaction on another
    connection.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> object:
        ...     await ferro.connect("sqlite::memory:", "doc-context")
        ...     async with ferro.connection_context("doc-context"):
        ...         row = await ferro.fetch_one("select 1 as one")
        ...     await ferro.disconnect("doc-context")
        ...     return row
        >>> asyncio.run(main())
        {'one': 1}
    """
    check(ConfigurationError, name=(name, str))
    return ConnectionContext(name)
