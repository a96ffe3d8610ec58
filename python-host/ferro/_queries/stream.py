"""Rows of a query one after the other, read from the database by batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from .._argument import counted
from .._connections.engine import engine
from .._connections.transaction import block, runner_for
from .._rows.identity import merge
from ..exceptions import ValueOutOfRange
from .computed import values_as_asked
from .read import check_lock
from .selection import prepared
from .spec import ALL_PARTS, refuse

if TYPE_CHECKING:
    from .spec import QuerySpec

_LARGEST_BATCH = 2**32 - 1
"""Of more rows the native module does not take the number."""

_STREAMED = ALL_PARTS - {"include", "with_values"}


async def stream_of(spec: QuerySpec, batch: int) -> AsyncGenerator[Any, None]:
    """The rows of a query, read by batches of so many."""
    if counted("batch", batch) == 0:
        raise ValueOutOfRange("`batch` takes an int from 1")
    refuse(spec, "stream", "loads nothing beside the rows", _STREAMED)
    check_lock(spec)
    query, values = prepared(spec)
    label, runner = runner_for(spec.using)
    loader = None if spec.outputs is not None else spec.table.loader
    inside = block(spec.using)
    cursor = await runner.open(query, values, loader)
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
            for row in merge(label, spec.table, rows) if loader else values_as_asked(spec, rows):
                yield row
    finally:
        if end in streams:
            end()
