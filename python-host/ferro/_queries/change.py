"""Updates and deletes of all rows of a query, by one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._connections.transaction import runner_for
from .._expressions.assignment import all_assigned
from .._expressions.expression import Shape
from .._rows.identity import merge
from .._rows.write import deleted
from ..exceptions import InvalidQuery
from .computed import without_order
from .selection import selection
from .spec import refuse

if TYPE_CHECKING:
    from .._native import Query
    from .spec import QuerySpec

_CHANGED = frozenset({"using", "where", "order_by", "limit", "offset"})


async def update_rows(spec: QuerySpec, values: dict[str, Any]) -> int:
    """Update the rows of a query; return their number."""
    statement, bound = _update(spec, values, None)
    return await runner_for(spec.using)[1].execute(statement, bound)


async def update_rows_returning(spec: QuerySpec, values: dict[str, Any]) -> list[Any]:
    """Update the rows of a query; return them as they are afterwards."""
    table = spec.table
    statement, bound = _update(spec, values, table.names)
    label, runner = runner_for(spec.using)
    return merge(label, table, await runner.fetch_instances(statement, bound, table.loader))


async def delete_rows(spec: QuerySpec) -> int:
    """Delete the rows of a query; return their number."""
    statement, bound = _delete(spec, None)
    return await runner_for(spec.using)[1].execute(statement, bound)


async def delete_rows_returning(spec: QuerySpec) -> list[Any]:
    """Delete the rows of a query; return them as they were."""
    table = spec.table
    statement, bound = _delete(spec, table.names)
    label, runner = runner_for(spec.using)
    rows = await runner.fetch_instances(statement, bound, table.loader)
    rows = merge(label, table, rows)
    deleted(table, rows, spec.using)
    return rows


def _update(
    spec: QuerySpec, values: dict[str, Any], returning: tuple[str, ...] | None
) -> tuple[Query, tuple[Any, ...]]:
    refuse(spec, "update", "changes whole rows, which it locks by itself", _CHANGED)
    if not values:
        raise InvalidQuery("`update` takes at least one field: `update(name=…)`")
    assignments, given = all_assigned(spec.table, values)
    rows, of_rows = _rows_of(spec)
    shape = ("update-rows", assignments, rows, returning)
    return spec.table.query(shape), given + of_rows


def _delete(spec: QuerySpec, returning: tuple[str, ...] | None) -> tuple[Query, tuple[Any, ...]]:
    refuse(spec, "delete", "deletes whole rows, which it locks by itself", _CHANGED)
    rows, values = _rows_of(spec)
    return spec.table.query(("delete-rows", rows, returning)), values


def _rows_of(spec: QuerySpec) -> tuple[Shape, tuple[Any, ...]]:
    """The rows to write. Without a limit these are all, and the core accepts no order then."""
    is_limited = spec.limit is not None or spec.offset is not None
    return selection(spec if is_limited else without_order(spec))
