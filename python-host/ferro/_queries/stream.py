"""Rows of a query one after the other, read from the database by batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, TypeVar

from .._argument import counted
from .._connections.engine import engine
from .._connections.transaction import block, runner_for
from .._rows.identity import merge
from ..exceptions import InvalidQuery, ValueOutOfRange
from .computed import rows_of

if TYPE_CHECKING:
    from .select import Select

T = TypeVar("T")

_LARGEST_BATCH = 2**32 - 1
"""Of more rows the native module does not take the number."""


async def stream_of(query: Select[T], batch: int) -> AsyncGenerator[T, None]:
    """The rows of a query, read by batches of so many."""
    if counted("batch", batch) == 0:
        raise ValueOutOfRange("`batch` takes an int from 1")
    query = query._plain()
    if query._includes:
        raise InvalidQuery("`stream` does not load relations: leave `include` out")
    if query._form == "pair":
        raise InvalidQuery("`stream` gives no values beside rows: leave out `with_values`")
    query._check_lock()
    prepared, values = query._prepared("select")
    label, runner = runner_for(query._using)
    outputs = query._outputs
    loader = None if outputs is not None else query._table.loader
    inside = block(query._using)
    cursor = await runner.open(prepared, values, loader)
    streams = set() if inside is None else inside._streams
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
            for row in merge(label, query._table, rows) if loader else rows_of(query, rows):
                yield row
    finally:
        if end in streams:
            end()
