"""Queries for values: `values`, of each row or, with `group_by`, of each group."""

from __future__ import annotations

from typing import Any

from .._expressions.expression import Shape
from .._expressions.ordering import Ordering, Outputs, ordering_of
from .._expressions.path import field_at, value_from
from .._expressions.value import FieldExpression, Value
from .._statements.shape import LIMIT, OFFSET, count_of_values, rows_shape
from .._tables.table import Table
from ..exceptions import InvalidQuery
from .spec import ALL_PARTS, QuerySpec, refuse

ShapeAndValues = tuple[Shape, tuple[Any, ...]]
"""The shape of an expression or of rows, and the values that it takes."""

_VALUES = ALL_PARTS - {"include"}
_BESIDE_ROWS = ALL_PARTS - {"group_by", "having"}


def output_of(table: Table, field: Any, method: str = "values") -> tuple[str, Value]:
    """A selected value, and its name in the result."""
    if isinstance(field, str):
        return field, field_at(table, field)
    if isinstance(field, FieldExpression):
        return field._path, field
    raise InvalidQuery(f"`{field!r}` needs a name in the result: `{method}(name=…)`")


def named(table: Table, field: Any) -> tuple[str, Value]:
    """The only selected value, and a name for it."""
    value = value_from(table, field)
    return (value._path if isinstance(value, FieldExpression) else "value"), value


def outputs_of(
    table: Table, fields: tuple[Any, ...], computed: dict[str, Any], method: str = "values"
) -> Outputs:
    """The selected values, and their names."""
    named = [(name, value_from(table, it)) for name, it in computed.items()]
    return (*[output_of(table, it, method) for it in fields], *named)


def computed_rows(spec: QuerySpec) -> ShapeAndValues:
    """The shape and the values of a query whose rows are computed, or are groups."""
    condition, having, outputs = spec.condition, spec.having, spec.outputs
    if outputs is None:
        raise InvalidQuery("groups have no instances: select values with `values`")
    if spec.form == "pair":
        refuse(spec, "with_values", "returns values with whole rows", _BESIDE_ROWS)
    refuse_relations(spec)
    ordering = ordering_of_rows(spec)
    listed = [_of_groups(spec, it._shape, it._values) for _, it in outputs]
    of_having = None if having is None else _of_groups(spec, having._shape, having._values)
    order = [_of_groups(spec, it._shape[0], it._values) for it in ordering.terms]
    # For distinct or combined rows, it must be the same expression.
    order = [(("listed", listed.index(it)), ()) if it in listed else it for it in order]
    parts = [it._values for it in spec.group]
    parts += [values for _, values in listed]
    distinct, of_distinct = distinct_of(spec)
    parts += [of_distinct]
    parts += [] if condition is None else [condition._values]
    parts += [] if of_having is None else [of_having[1]]
    parts += [values for _, values in order]
    values = tuple([value for part in parts for value in part])
    values += tuple([it for it in (spec.limit, spec.offset) if it is not None])
    shape = rows_shape(
        tuple((name, it) for (name, _), (it, _) in zip(outputs, listed, strict=True)),
        distinct,
        None if condition is None else condition._shape,
        tuple(it._shape for it in spec.group),
        None if of_having is None else of_having[0],
        tuple((it, *term._shape[1:]) for (it, _), term in zip(order, ordering.terms, strict=True)),
        None if spec.limit is None else LIMIT,
        None if spec.offset is None else OFFSET,
        spec.lock,
    )
    return shape, values


def ordering_of_rows(spec: QuerySpec) -> Ordering:
    """The order, with its names resolved."""
    outputs = spec.outputs
    if outputs is not None and spec.form == "value":
        # A single computed value has no name.
        outputs = tuple([it for it in outputs if isinstance(it[1], FieldExpression)])
    return ordering_of(spec.table, outputs, spec.order or ())


def without_order(spec: QuerySpec) -> QuerySpec:
    """A query of whose rows the order makes no difference; a name in it has to be one."""
    if spec.order is None:
        return spec
    ordering_of_rows(spec)
    return spec.with_(order=None)


def refuse_relations(spec: QuerySpec) -> None:
    """Reject `include` with values, which have no relations."""
    if spec.outputs is not None and spec.form != "pair":
        method = "values" if spec.form == "dict" else "column"
        refuse(spec, method, "does not load relations", _VALUES)


def distinct_of(spec: QuerySpec) -> tuple[bool | Shape, tuple[Any, ...]]:
    """How duplicate rows are dropped, as part of the shape of a query, and its values."""
    fields = spec.distinct
    if isinstance(fields, bool):
        return fields, ()
    refuse(spec, "distinct_on", "is for rows, not for groups", ALL_PARTS - {"group_by"})
    return tuple([it._shape for it in fields]), tuple([it for on in fields for it in on._values])


def values_as_asked(spec: QuerySpec, rows: list[dict[str, Any]]) -> list[Any]:
    """Rows of values in the requested form: dicts, or the only value of each."""
    found = decoded(spec.outputs or (), rows)
    return [value for row in found for value in row.values()] if spec.form == "value" else found


def decoded(outputs: Outputs, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Decode values of enums and structured documents in dicts."""
    for name, value in outputs:
        read = value._read
        if read is not None:
            for row in rows:
                if row[name] is not None:
                    row[name] = read(row[name])
    return rows


def _of_groups(spec: QuerySpec, shape: Shape, values: tuple[Any, ...]) -> ShapeAndValues:
    """An expression in which the values that rows are grouped by are those of the group.

    If a value takes no parameters, the arena recognizes it by its shape.
    """
    groups = {n: it for n, it in enumerate(spec.group) if it._values}
    return _replaced(groups, shape, values) if groups else (shape, values)


def _replaced(groups: dict[int, Value], shape: Shape, values: tuple[Any, ...]) -> ShapeAndValues:
    for number, group in groups.items():
        if group._shape == shape and group._values == values:
            return ("group", number), ()
    # Fields of another model's rows differ. Parameters and nodes without values stay the same.
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
