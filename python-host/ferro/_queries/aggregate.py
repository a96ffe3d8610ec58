"""Aggregates: one value computed over all rows of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._connections.transaction import runner_for
from .._expressions.path import value_from
from .computed import without_order
from .selection import prepared
from .spec import ALL_PARTS, LOCKS, refuse

if TYPE_CHECKING:
    from .spec import QuerySpec

_COUNTED = ALL_PARTS - LOCKS
_ALL_ROWS = _COUNTED - {"limit", "offset", "distinct", "distinct_on", "group_by", "having"}


async def count_of(spec: QuerySpec) -> int:
    """The number of rows."""
    count: int = await _counted(spec, "count")
    return count


async def is_there(spec: QuerySpec) -> bool:
    """Whether there is any row."""
    exists: bool = await _counted(spec, "exists")
    return exists


async def _counted(spec: QuerySpec, statement: str) -> Any:
    refuse(spec, statement, "does not read rows that it could lock", _COUNTED)
    query, values = prepared(without_order(spec), statement)
    ((value,),) = await runner_for(spec.using)[1].fetch(query, values)
    return value


async def aggregate(spec: QuerySpec, function: str, field: Any) -> Any:
    """The `sum`, `avg`, `min` or `max` of a field over all rows; None if there is none."""
    value = getattr(value_from(spec.table, field), function)()
    refuse(spec, function, "covers all rows, and does not lock them", _ALL_ROWS)
    spec = without_order(spec)
    of_all = spec.with_(outputs=(("value", value),), form="value", includes={})
    ((found,),) = await runner_for(spec.using)[1].fetch(*prepared(of_all))
    return found if found is None or value._read is None else value._read(found)
