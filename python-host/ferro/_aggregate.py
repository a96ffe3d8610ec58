"""Aggregates: one value of all the rows of a query."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ._exact import exact_average, exact_sum
from ._path import value_from
from ._transaction import session
from .exceptions import InvalidQuery, UnsupportedError

if TYPE_CHECKING:
    from ._select import Select
    from ._value import Value


async def scalar(query: Select[Any], statement: str) -> Any:
    """The `count` of the rows, or whether there is any: `exists`."""
    unordered = query._copy()
    unordered._order = None
    prepared, values = unordered._prepared(statement)
    _, runner = session(query._using)
    ((value,),) = await runner.fetch(prepared, values)
    return value


async def sum_of(query: Select[Any], field: Any) -> Any:
    """The sum of a field; None if there is no row."""
    value = value_from(query._table, field)
    return await _exactly(query, value, value.sum(), exact_sum)


async def average_of(query: Select[Any], field: Any) -> Any:
    """The average of a field; None if there is no row."""
    value = value_from(query._table, field)
    return await _exactly(query, value, value.avg(), exact_average)


async def aggregate(query: Select[Any], value: Value) -> Any:
    """The value of an aggregate."""
    query = query._copy()
    if query._limit is not None or query._offset is not None or query._group or query._distinct:
        raise InvalidQuery(
            "an aggregate is over all rows: without limit, offset, distinct or groups"
        )
    query._outputs, query._order = (("value", value),), None
    ((found,),) = await session(query._using)[1].fetch(*query._prepared("select"))
    return found


async def _exactly(
    query: Select[Any],
    value: Value,
    exact: Value,
    computed: Callable[[list[Decimal]], Decimal | None],
) -> Any:
    """An aggregate of decimals is exact, or is computed here from all of them."""
    try:
        return await aggregate(query, exact)
    except UnsupportedError:
        if value.kind != "decimal":
            raise
    query = query._copy()
    query._outputs, query._order = (("value", value),), None
    rows = await session(query._using)[1].fetch(*query._prepared("select"))
    return computed([found for (found,) in rows if found is not None])
