"""Aggregates: one value of all the rows of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._connections.transaction import runner_for
from .._expressions.path import value_from
from .._message import quoted
from ..exceptions import InvalidQuery

if TYPE_CHECKING:
    from .._expressions.value import Value
    from .select import Select


async def scalar(query: Select[Any], statement: str) -> Any:
    """The `count` of the rows, or whether there is any: `exists`."""
    unordered = query._copy()
    unordered._order = unordered._lock = None
    prepared, values = unordered._prepared(statement)
    _, runner = runner_for(query._using)
    ((value,),) = await runner.fetch(prepared, values)
    return value


async def sum_of(query: Select[Any], field: Any) -> Any:
    """The sum of a field; None if there is no row."""
    return await aggregate(query, value_from(query._table, field).sum())


async def average_of(query: Select[Any], field: Any) -> Any:
    """The average of a field; None if there is no row."""
    return await aggregate(query, value_from(query._table, field).avg())


async def aggregate(query: Select[Any], value: Value) -> Any:
    """The value of an aggregate."""
    query = query._copy()
    parts = {
        "limit": query._limit is not None,
        "offset": query._offset is not None,
        "distinct": query._distinct,
        "group_by": bool(query._group),
        "having": query._having is not None,
    }
    asked = [name for name, is_asked in parts.items() if is_asked]
    if asked:
        raise InvalidQuery(f"an aggregate takes all rows: leave out {quoted(asked)}")
    query._outputs = (("value", value),)
    query._order = query._lock = None
    query._includes = {}
    ((found,),) = await runner_for(query._using)[1].fetch(*query._prepared("select"))
    return found if found is None or value._read is None else value._read(found)
