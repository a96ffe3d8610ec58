"""Changes of all the rows of a query, by one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._connections.transaction import runner_for
from .._expressions.assignment import all_assigned
from .._expressions.expression import Shape
from .._rows.identity import merge
from .._rows.write import deleted
from ..exceptions import InvalidQuery

if TYPE_CHECKING:
    from .._native import Query
    from .select import Select


async def update_rows(query: Select[Any], values: dict[str, Any]) -> int:
    """Change the rows of a query; how many."""
    statement, bound = _update(query, values, None)
    return await runner_for(query._using)[1].execute(statement, bound)


async def update_rows_returning(query: Select[Any], values: dict[str, Any]) -> list[Any]:
    """Change the rows of a query; the rows as they are then."""
    label, runner = runner_for(query._using)
    table = query._table
    statement, bound = _update(query, values, table.names)
    return merge(label, table, await runner.fetch_instances(statement, bound, table.loader))


async def delete_rows(query: Select[Any]) -> int:
    """Delete the rows of a query; how many."""
    statement, bound = _delete(query, None)
    return await runner_for(query._using)[1].execute(statement, bound)


async def delete_rows_returning(query: Select[Any]) -> list[Any]:
    """Delete the rows of a query; the rows as they were."""
    label, runner = runner_for(query._using)
    table = query._table
    statement, bound = _delete(query, table.names)
    rows = await runner.fetch_instances(statement, bound, table.loader)
    rows = merge(label, table, rows)
    deleted(table, rows, query._using)
    return rows


def _update(
    query: Select[Any], values: dict[str, Any], returning: tuple[str, ...] | None
) -> tuple[Query, tuple[Any, ...]]:
    _check_writable(query, "update", "changes")
    if not values:
        raise InvalidQuery("`update` takes at least one field: `update(name=…)`")
    assignments, given = all_assigned(query._table, values)
    rows, of_rows = _rows_of(query)
    shape = ("update-rows", assignments, rows, returning)
    return query._table.query(shape), given + of_rows


def _delete(query: Select[Any], returning: tuple[str, ...] | None) -> tuple[Query, tuple[Any, ...]]:
    _check_writable(query, "delete", "deletes")
    rows, values = _rows_of(query)
    return query._table.query(("delete-rows", rows, returning)), values


def _rows_of(query: Select[Any]) -> tuple[Shape, tuple[Any, ...]]:
    """The rows that are written. Without a limit all are, and the core takes no order then."""
    if query._limit is None and query._offset is None:
        query = query._copy()
        query._order = None
    return query._rows()


def _check_writable(query: Select[Any], operation: str, does: str) -> None:
    if query._outputs is not None or query._group or query._distinct or query._includes:
        raise InvalidQuery(
            f"`{operation}` {does} whole rows: leave out `values`, `group_by`, `distinct` and "
            "`include`"
        )
    if query._lock is not None:
        raise InvalidQuery(
            f"`{operation}` locks the rows that it {does}: leave out `for_{query._lock[0]}`"
        )
