"""Streams of the rows of a query or SQL text, read from the database in batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .._argument import counted
from .._connections.engine import engine
from .._connections.open_stream import OpenStream
from .._connections.sql import sql_session
from .._connections.transaction import Using, block, runner_for
from .._rows.identity import merge
from ..exceptions import ValueOutOfRange
from .computed import values_as_asked
from .pairs import pairs_of
from .read import check_lock
from .selection import prepared
from .spec import ALL_PARTS, refuse

if TYPE_CHECKING:
    from .._native import RowCursor
    from .._tables.table import Table
    from .spec import QuerySpec

_LARGEST_BATCH = 2**32 - 1
"""The largest number of rows that the native module accepts."""

_STREAMED = ALL_PARTS - {"include"}


def stream_of(spec: QuerySpec, batch: int) -> AsyncGenerator[Any, None]:
    """Stream the rows of a query, `batch` rows at a time."""

    def begin() -> tuple[str, Awaitable[RowCursor]]:
        refuse(spec, "stream", "only loads the rows", _STREAMED)
        check_lock(spec)
        query, values = prepared(spec)
        label, runner = runner_for(spec.using)
        loader = None if spec.outputs is not None and spec.form != "pair" else spec.table.loader
        return label, runner.open(query, values, loader, spec.form == "pair")

    def made(label: str, read: Any) -> list[Any]:
        if spec.form == "pair":
            rows, beside = read
            return pairs_of(spec, merge(label, spec.table, rows), beside)
        if spec.outputs is not None:
            return values_as_asked(spec, read)
        return merge(label, spec.table, read)

    return _stream(batch, spec.using, begin, made)


def stream_of_sql(
    table: Table, sql: str, arguments: tuple[Any, ...], using: Using, batch: int
) -> AsyncGenerator[Any, None]:
    """Stream the rows of SQL text as instances, `batch` rows at a time."""

    def begin() -> tuple[str, Awaitable[RowCursor]]:
        label, runner = sql_session(sql, arguments, using)
        return label, runner.open_raw(sql, arguments, table.loader)

    return _stream(batch, using, begin, lambda label, read: merge(label, table, read))


async def _stream(
    batch: int,
    using: Using,
    begin: Callable[[], tuple[str, Awaitable[RowCursor]]],
    made: Callable[[str, Any], list[Any]],
) -> AsyncGenerator[Any, None]:
    """Stream what `made` makes of a cursor's rows; the cursor opens when the first row is read."""
    if counted("batch", batch) == 0:
        raise ValueOutOfRange("`batch` takes an int of at least 1")
    label, opening = begin()
    inside = block(using)
    cursor = await opening
    stream = OpenStream(cursor, label)
    try:
        engine.note(stream)
        if inside is not None:
            inside._streams.add(stream)
        while rows := made(label, await cursor.next(min(batch, _LARGEST_BATCH))):
            for row in rows:
                yield row
            stream.reader = asyncio.current_task()
    finally:
        stream.end()
        if inside is not None:
            inside._streams.discard(stream)
