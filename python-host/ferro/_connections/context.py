"""Blocks that work on one connection."""

from __future__ import annotations

from types import TracebackType

from .._argument import check
from ..exceptions import ConfigurationError
from .engine import contexts, engine
from .nesting import Blocks
from .transaction import current_transaction


class ConnectionContext:
    """A block that works on one connection; made by `ferro.connection_context`."""

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
    """A block in which a connection is the default one, for this task and those it starts.

    Naming another one with `using` still uses that one. No transaction is begun, and no connection
    of the pool is held. Raises `TransactionError` inside a transaction on another connection.

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
