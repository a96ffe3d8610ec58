"""Queries for computed values: `values`, of each row or, with `group_by`, of each group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._expressions.expression import Shape
from .._expressions.ordering import Outputs
from .._expressions.path import field_at, value_from
from .._expressions.value import FieldExpression, Value
from .._statements.shape import LIMIT, OFFSET, count_of_values, rows_shape
from .._tables.table import Table
from ..exceptions import InvalidQuery

if TYPE_CHECKING:
    from .select import Select

Computed = tuple[Shape, tuple[Any, ...]]
"""The shape of an expression, and its values."""


def output_of(table: Table, field: Any) -> tuple[str, Value]:
    """A value that is asked for, and its name in the result."""
    if isinstance(field, str):
        return field, field_at(table, field)
    if isinstance(field, FieldExpression):
        return field._path, field
    raise InvalidQuery(f"`{field!r}` needs a name in the result: `values(name=…)`")


def named(table: Table, field: Any) -> tuple[str, Value]:
    """The only value that is asked for, and a name for it."""
    value = value_from(table, field)
    return (value._path if isinstance(value, FieldExpression) else "value"), value


def outputs_of(table: Table, fields: tuple[Any, ...], computed: dict[str, Any]) -> Outputs:
    """Values that are asked for, and their names."""
    named = [(name, value_from(table, it)) for name, it in computed.items()]
    return (*[output_of(table, it) for it in fields], *named)


def computed_rows(query: Select[Any]) -> Computed:
    """The shape and the values of a query whose rows are computed, or stand for groups."""
    condition, having, outputs = query._condition, query._having, query._outputs
    if outputs is None:
        raise InvalidQuery("groups have no instances: say with `values` what is asked of them")
    if query._form == "pair" and (query._group or having is not None):
        raise InvalidQuery(
            "`with_values` gives values beside whole rows: leave `group_by` and `having` out"
        )
    if query._includes and not query._group and query._form != "pair":
        raise InvalidQuery("`values` does not load relations: leave `include` out")
    ordering = query._ordering()
    listed = [_of_groups(query, it._shape, it._values) for _, it in outputs]
    of_having = None if having is None else _of_groups(query, having._shape, having._values)
    order = [_of_groups(query, it._shape[0], it._values) for it in ordering.terms]
    # Where rows are distinct or combined, it has to be the same expression.
    order = [(("listed", listed.index(it)), ()) if it in listed else it for it in order]
    parts = [it._values for it in query._group]
    parts += [values for _, values in listed]
    distinct, of_distinct = distinct_of(query)
    parts += [of_distinct]
    parts += [] if condition is None else [condition._values]
    parts += [] if of_having is None else [of_having[1]]
    parts += [values for _, values in order]
    values = tuple([value for part in parts for value in part])
    values += tuple([it for it in (query._limit, query._offset) if it is not None])
    shape = rows_shape(
        tuple((name, it) for (name, _), (it, _) in zip(outputs, listed, strict=True)),
        distinct,
        None if condition is None else condition._shape,
        tuple(it._shape for it in query._group),
        None if of_having is None else of_having[0],
        tuple((it, *term._shape[1:]) for (it, _), term in zip(order, ordering.terms, strict=True)),
        None if query._limit is None else LIMIT,
        None if query._offset is None else OFFSET,
        query._lock,
    )
    return shape, values


def distinct_of(query: Select[Any]) -> tuple[bool | Shape, tuple[Any, ...]]:
    """Which repeated rows are dropped, as part of the shape of a query, and its values."""
    fields = query._distinct
    if isinstance(fields, bool):
        return fields, ()
    if query._group:
        raise InvalidQuery("`distinct_on` is for rows, not for groups: leave `group_by` out")
    return tuple([it._shape for it in fields]), tuple([it for on in fields for it in on._values])


def rows_of(query: Select[Any], rows: list[dict[str, Any]]) -> list[Any]:
    """Rows of values as they were asked for."""
    found = decoded(query._outputs or (), rows)
    return [value for row in found for value in row.values()] if query._form == "value" else found


def decoded(outputs: Outputs, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Values of enums and of documents that have a shape, in dicts."""
    for name, value in outputs:
        read = value._read
        if read is not None:
            for row in rows:
                if row[name] is not None:
                    row[name] = read(row[name])
    return rows


def _of_groups(query: Select[Any], shape: Shape, values: tuple[Any, ...]) -> Computed:
    """An expression in which what rows are grouped by is that of the group.

    Where that takes no values, the arena sees it by its shape.
    """
    groups = {n: it for n, it in enumerate(query._group) if it._values}
    return _replaced(groups, shape, values) if groups else (shape, values)


def _replaced(groups: dict[int, Value], shape: Shape, values: tuple[Any, ...]) -> Computed:
    for number, group in groups.items():
        if group._shape == shape and group._values == values:
            return ("group", number), ()
    # Of another model's rows, fields are others. A parameter and what takes no values stay.
    if not values or shape[0] in ("parameter", "related", "select"):
        return shape, values
    parts: list[Any] = []
    rest: tuple[Any, ...] = ()
    for part in shape:
        if isinstance(part, tuple):
            count = count_of_values(part)
            part, kept = _replaced(groups, part, values[:count])
            values = values[count:]
            rest += kept
        parts.append(part)
    return tuple(parts), rest
