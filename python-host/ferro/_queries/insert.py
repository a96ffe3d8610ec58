"""Inserts of the rows of a query, by one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._connections.transaction import Using, runner_for
from ..exceptions import InvalidQuery
from .query import Query
from .spec import ALL_PARTS, refuse
from .subquery import inner

if TYPE_CHECKING:
    from .._tables.table import Table


async def insert_from(table: Table, query: Query[dict[str, Any], Any], using: Using) -> int:
    """Insert the rows of a query, whose values have the names of fields; return their number."""
    outputs = query._spec.outputs if isinstance(query, Query) else None
    if outputs is None:
        raise InvalidQuery(
            "`insert_from` takes a query of values that are named after the fields, such as "
            f'`Order.select("id", buyer=Order.customer)`, not `{query!r}`'
        )
    refuse(query._spec, "insert_from", "takes values alone", ALL_PARTS - {"with_values"})
    fields = tuple([table.written(name).name for name, _ in outputs])
    select, values = inner("insert_from", query)
    statement = table.query(("insert-from", fields, select))
    return await runner_for(using)[1].execute(statement, values)
