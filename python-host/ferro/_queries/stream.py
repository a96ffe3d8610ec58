"""Streams: the rows of a query, read from the database by batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, TypeVar

from .._argument import counted
from .._connections.engine import engine
from .._connections.transaction import block, session
from .._rows.identity import merge
from ..exceptions import InvalidQuery, ValueOutOfRange
from .computed import decoded

if TYPE_CHECKING:
    from .select import Select

T = TypeVar("T")

_LARGEST_BATCH = 2**32 - 1
"""Of more rows the native module does not take the number."""


async def streamed(query: Select[T], batch: int) -> AsyncGenerator[T, None]:
    """The rows one after the other. It begins when the first one is asked for."""
    if counted("batch", batch) == 0:
        raise ValueOutOfRange("`batch` takes an int from 1")
    query = query._plain()
    if query._includes:
        raise InvalidQuery("`stream` does not load relations: leave `include` out")
    query._check_lock()
    prepared, values = query._prepared("select")
    label, runner = session(query._using)
    table = query._table
    loader = None if query._outputs is not None else table.loader
    inside = block(query._using)
    cursor = await runner.open(prepared, values, loader)
    streams = set() if inside is None else inside.streams
    owner = (asyncio.current_task(), label)
    engine.streams[owner] += 1

    def end() -> None:
        cursor.close()
        streams.discard(end)
        engine.streams[owner] -= 1
        if engine.streams[owner] <= 0:
            del engine.streams[owner]

    streams.add(end)
    try:
        while rows := await cursor.next(min(batch, _LARGEST_BATCH)):
            found: list[Any] = merge(label, table, rows) if loader else decoded(query, rows)
            for row in found:
                yield row
    finally:
        if end in streams:
            end()
