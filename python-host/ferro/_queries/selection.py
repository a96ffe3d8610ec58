"""The rows of a query as a shape, which the core compiles, and its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._expressions.expression import Shape
from .._statements.shape import LIMIT, OFFSET, rows_shape
from .computed import (
    ShapeAndValues,
    computed_rows,
    distinct_of,
    ordering_of_rows,
    refuse_relations,
)

if TYPE_CHECKING:
    from .._native import Query
    from .spec import Combination, QuerySpec


def prepared(spec: QuerySpec, statement: str = "select") -> tuple[Query, tuple[Any, ...]]:
    """The statement that reads the rows of a query, or counts them, and its values."""
    shape, values = selection(spec)
    return spec.table.query((statement, shape)), values


def selection(spec: QuerySpec) -> ShapeAndValues:
    """The rows that a query selects."""
    if spec.combined is not None:
        return _combined(spec, spec.combined)
    if spec.outputs is not None or spec.group or spec.having is not None:
        shape, values = computed_rows(spec)
    else:
        shape, values = _whole_rows(spec)
    if spec.joins:
        joins: list[Shape] = []
        given: tuple[Any, ...] = ()
        for table, of_table, on in spec.joins:
            joins.append(("join", table, on._shape))
            given += of_table + on._values
        shape, values = ("joined", shape, tuple(joins)), given + values
    return shape, spec.given + values if spec.given else values


def _whole_rows(spec: QuerySpec) -> ShapeAndValues:
    # Nearly every query passes here.
    values: tuple[Any, ...] = ()
    filter = order = limit = offset = None
    distinct: Any = spec.distinct
    if distinct:
        distinct, values = distinct_of(spec)
    if spec.condition is not None:
        filter = spec.condition._shape
        values += spec.condition._values
    if spec.order:
        terms = ordering_of_rows(spec)
        order = terms.shape
        values += terms.values
    if spec.limit is not None:
        limit, values = LIMIT, (*values, spec.limit)
    if spec.offset is not None:
        offset, values = OFFSET, (*values, spec.offset)
    return rows_shape(
        None, distinct, filter, (), None, order or (), limit, offset, spec.lock
    ), values


def _combined(spec: QuerySpec, combined: Combination) -> ShapeAndValues:
    """The order, the limit and the offset apply to all rows."""
    refuse_relations(spec)
    first = combined.first.with_(order=spec.order, limit=spec.limit, offset=spec.offset)
    shape, values = selection(first)
    others: list[Shape] = []
    for operator, other in combined.others:
        rows, given = selection(other)
        others.append((operator, ("select", other.table, rows)))
        values += given
    return ("combined", shape, tuple(others)), values
