"""Rows paired with values that are computed from them: `with_values`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._expressions.ordering import Outputs
from .._expressions.path import field_of
from .._statements.shape import stands_in
from ..exceptions import InvalidQuery
from .computed import decoded, outputs_of

if TYPE_CHECKING:
    from .._tables.table import Table
    from .spec import QuerySpec


def outputs_beside(spec: QuerySpec, fields: tuple[Any, ...], computed: dict[str, Any]) -> Outputs:
    """All fields of the rows of a query, followed by the selected values."""
    table = spec.table
    if spec.outputs is not None:
        raise InvalidQuery(
            "`with_values` returns values with whole rows, and can only be called once: name all "
            "values there, or all in `values`"
        )
    values = outputs_of(table, fields, computed, "with_values")
    if not values:
        raise InvalidQuery("`with_values` takes a value: `with_values(posts=Author.posts.count())`")
    for name, value in values:
        if stands_in(value._shape, ("aggregate", "string-agg", "array-agg")):
            raise InvalidQuery(
                f"`with_values`: `{name}` is an aggregate, which combines several rows: use it "
                "over a window, `ferro.count().over()`, or on a relation, `Author.posts.count()`"
            )
    taken = next((name for name, _ in values if name in table.columns), None)
    if taken is not None:
        raise InvalidQuery(
            f"`with_values`: the rows have `{table.label}.{taken}` already: give the value another "
            "name"
        )
    return (*fields_of(table), *values)


def fields_of(table: Table) -> Outputs:
    """All fields of a table, in the order in which instances are built from them."""
    return tuple([(name, field_of(table, name)) for name in table.columns])


def pairs_of(spec: QuerySpec, rows: list[Any], beside: list[tuple[Any, ...]]) -> list[Any]:
    """Rows with the values that were read with them, as dicts."""
    outputs = (spec.outputs or ())[len(spec.table.columns) :]
    names = [name for name, _ in outputs]
    # Values that follow, in pages, are those of the order.
    values = [dict(zip(names, it, strict=False)) for it in beside]
    return list(zip(rows, decoded(outputs, values), strict=True))
