"""Queries that are combined to one: `union`, `union_all`, `intersect` and `except_`."""

from __future__ import annotations

from typing import Any, TypeVar

from .._connections.transaction import Using
from .._expressions.expression import Shape
from .._expressions.ordering import Outputs
from .._expressions.path import field_of
from .._expressions.value import Value
from ..exceptions import InvalidQuery, TypeMismatch
from .select import Select
from .variant import Variant, refuse

T = TypeVar("T")

Part = tuple[str, Select[Any]]
"""How a query is combined with those before it, and the query."""


def combined(query: Select[T], method: str, others: tuple[Select[T], ...]) -> Select[T]:
    """A query and others as one."""
    if query._order is not None or query._limit is not None or query._offset is not None:
        raise InvalidQuery(
            f"`{method}`: the order, the limit and the offset of the first query would be those of "
            "all rows: ask for them afterwards"
        )
    if not isinstance(query._distinct, bool):
        raise InvalidQuery(f"`{method}`: a query with `distinct_on` cannot be the first one")
    if not others:
        raise InvalidQuery(f"`{method}` takes another query: `User.where(…).{method}(…)`")
    for other in (query, *others):
        _check(query, method, other)
    operator = method.rstrip("_").replace("_", "-")
    parts = tuple([(operator, other._plain()) for other in others])
    query = query._plain()
    if isinstance(query, Combined):
        return Combined(query._own, query._parts + parts, query._using)
    return Combined(query, parts, query._using)


class Combined(Variant[T]):
    """Several queries as one. Its order, its limit and its offset are those of all rows."""

    __slots__ = ("_own", "_parts")

    def __init__(self, own: Select[T], parts: tuple[Part, ...], using: Using) -> None:
        super().__init__(own._model, own._table, using)
        self._own = own
        self._parts = parts
        if own._outputs is not None:
            columns = zip(own._outputs, *(it._outputs or () for _, it in parts), strict=True)
            self._outputs = tuple([in_common(*column) for column in columns])
            self._form = own._form

    def _of_values(self) -> Select[Any]:
        if self._outputs is not None:
            return self
        parts = tuple([(operator, other._of_values()) for operator, other in self._parts])
        query: Combined[Any] = Combined(self._own._of_values(), parts, self._using)
        query._order, query._limit, query._offset = self._order, self._limit, self._offset
        return query

    def _first(self) -> Select[T]:
        query = super()._first()
        if query._order is None and query._outputs is None:
            # Combined rows cannot be ordered by an enum.
            keys = [it.name for it in self._table.keys if it.enumeration is None]
            query._order = tuple([field_of(self._table, it).asc() for it in keys])
        return query

    def _rows(self) -> tuple[Shape, tuple[Any, ...]]:
        own = self._own._copy()
        own._order, own._limit, own._offset = self._order, self._limit, self._offset
        shape, values = own._rows()
        parts: list[Shape] = []
        for operator, query in self._parts:
            rows, given = query._rows()
            parts.append((operator, ("select", query._table, rows)))
            values += given
        return ("combined", shape, tuple(parts)), values


def _check(query: Select[Any], method: str, other: object) -> None:
    """Refuse what cannot be combined with a query."""
    if not isinstance(other, Select):
        raise InvalidQuery(f"`{method}` takes queries, as `User.where(…)`, not `{other!r}`")
    if other._using != query._using:
        raise InvalidQuery(
            f"`{method}`: queries that are combined run together: say `using` of all of them, or "
            "of none"
        )
    if other._includes or other._lock is not None or other._form == "pair":
        raise InvalidQuery(
            f"`{method}`: leave `include`, `for_update`, `for_share` and `with_values` out of "
            "queries that are combined; `include` may follow"
        )
    if query._outputs is None or other._outputs is None:
        if query._outputs is not other._outputs or query._table is not other._table:
            raise InvalidQuery(
                f"`{method}` combines rows of one model, or queries with `values`: `{other!r}` has "
                f"other rows than `{query!r}`"
            )
        return
    check_alike(method, query._outputs, other._outputs)


def check_alike(method: str, outputs: Outputs, others: Outputs) -> None:
    """Refuse values of other types, or another number of them."""
    if len(outputs) != len(others):
        raise InvalidQuery(
            f"`{method}`: queries that are combined have as many values: {len(outputs)} and "
            f"{len(others)} are asked for"
        )
    for (name, one), (other_name, value) in zip(outputs, others, strict=True):
        kinds = [f"{it._kind}{' list' if it._many else ''}" for it in (one, value)]
        if kinds[0] != kinds[1]:
            raise TypeMismatch(
                f"`{method}`: `{name}` is of type {kinds[0]}, and `{other_name}` of the other "
                f"query of type {kinds[1]}: cast one of them"
            )


def in_common(own: tuple[str, Value], *others: tuple[str, Value]) -> tuple[str, Value]:
    """A value of all queries, by its name in the first: a member of an enum if it is in each."""
    name, value = own
    if all(value._column_with(it) for _, it in others):
        return own
    return name, Value(value._shape, value._values, value._name, value._kind, value._many)


refuse(
    Combined,
    "queries that are combined",
    {
        **dict.fromkeys(
            (
                "where",
                "join",
                "having",
                "group_by",
                "values",
                "column",
                "with_values",
                "distinct",
                "distinct_on",
            ),
            "ask it of each of them, or of `query.cte().select()`",
        ),
        **dict.fromkeys(("get", "get_or_none"), "`first`, `one` and `one_or_none` are"),
        **dict.fromkeys(("sum", "avg", "min", "max"), "`query.cte().select()` has it"),
        **dict.fromkeys(
            ("update", "delete", "update_returning", "delete_returning"),
            "give one query a condition that says which rows",
        ),
        **dict.fromkeys(("page", "page_after", "page_before"), "`limit` and `offset` are"),
        **dict.fromkeys(("for_update", "for_share"), "lock the rows of one query"),
    },
)
