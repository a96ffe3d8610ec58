"""Combined queries: `union`, `union_all`, `intersect` and `except_`."""

from __future__ import annotations

from typing import Any, ClassVar

from .._expressions.ordering import Outputs
from .._expressions.path import field_of
from .._expressions.value import Value
from .._tables.table import Table
from ..exceptions import InvalidQuery, TypeMismatch
from .pairs import fields_of
from .query import Query, T
from .spec import ALL_PARTS, LOCKS, Combination, QuerySpec, refuse

_FIRST = ALL_PARTS - {"order_by", "limit", "offset", "distinct_on"}
_COMBINED = ALL_PARTS - LOCKS - {"include", "with_values"}


class CombinedSelect(Query[T, "CombinedSelect[T]"]):
    """Several queries combined, as by `union`; order, limit and offset apply to all rows.

    Everything else belongs in each of the queries, or in `query.cte().select()`.

    Example:
        >>> import ferro
        >>> class Ferry(ferro.Model, table="doc_combined_ferry"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str
        ...     length: int
        >>> def shown() -> ferro.CombinedSelect[Ferry]:
        ...     large = Ferry.where(Ferry.length > 200)
        ...     return large.union(Ferry.where(name="Ada")).order_by("name").limit(10)
    """

    __slots__ = ()

    _instead: ClassVar[dict[str, str]] = {
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
            "use it on each of them, or on `query.cte().select()`",
        ),
        **dict.fromkeys(("get", "get_or_none"), "`first`, `one` and `one_or_none` are"),
        **dict.fromkeys(("sum", "avg", "min", "max"), "`query.cte().select()` supports it"),
        **dict.fromkeys(
            ("update", "delete", "update_returning", "delete_returning"),
            "use one query with a condition for these rows",
        ),
        **dict.fromkeys(("page", "page_after", "page_before"), "`limit` and `offset` are"),
        **dict.fromkeys(("for_update", "for_share"), "lock the rows of one query"),
    }
    _kind = "queries that are combined"


def combined(
    query: Query[T, Any], method: str, others: tuple[Query[T, Any], ...]
) -> CombinedSelect[T]:
    """Combine a query with others."""
    spec = query._spec
    hint = ", and add it afterwards, for all rows" if isinstance(spec.distinct, bool) else ""
    refuse(spec, method, "combines all rows of the first query", _FIRST, hint)
    if not others:
        raise InvalidQuery(f"`{method}` takes another query: `User.where(…).{method}(…)`")
    for other in (query, *others):
        _check(query, method, other)
    operator = method.rstrip("_").replace("_", "-")
    parts = tuple([(operator, other._spec) for other in others])
    known = Combination(spec, ()) if spec.combined is None else spec.combined
    made = _combination(known.first, (*known.others, *parts))
    return CombinedSelect(made.with_(using=spec.using))


def _combination(first: QuerySpec, others: tuple[tuple[str, QuerySpec], ...]) -> QuerySpec:
    outputs = first.outputs
    if outputs is not None:
        columns = zip(outputs, *(it.outputs or () for _, it in others), strict=True)
        outputs = tuple([in_common(*column) for column in columns])
    return QuerySpec(first.table).with_(
        outputs=outputs, form=first.form, combined=Combination(first, others)
    )


def of_values(spec: QuerySpec, *names: str) -> QuerySpec:
    """Make a query of rows one of values: of some fields, or of all of them."""
    if spec.outputs is not None:
        return spec
    if spec.combined is None:
        return spec.with_(outputs=_outputs_of(spec.table, names))
    first, others = spec.combined
    parts = tuple([(operator, of_values(other, *names)) for operator, other in others])
    made = _combination(of_values(first, *names), parts)
    return made.with_(using=spec.using, order=spec.order, limit=spec.limit, offset=spec.offset)


def _outputs_of(table: Table, names: tuple[str, ...]) -> Outputs:
    return tuple([(it, field_of(table, it)) for it in names]) or fields_of(table)


def _check(query: Query[Any, Any], method: str, other: object) -> None:
    """Reject what cannot be combined with a query."""
    if not isinstance(other, Query):
        raise InvalidQuery(f"`{method}` takes queries, such as `User.where(…)`, not `{other!r}`")
    one, two = query._spec, other._spec
    if two.using != one.using:
        raise InvalidQuery(
            f"`{method}`: queries that are combined run together: call `using` on all of them, "
            "or on none"
        )
    hint = "; `include` may follow" if two.includes else ""
    refuse(two, method, "only combines rows", _COMBINED, hint)
    if one.outputs is None or two.outputs is None:
        if one.outputs is not two.outputs or one.table is not two.table:
            raise InvalidQuery(
                f"`{method}` combines rows of one model, or queries with `values`: `{other!r}` "
                f"has different rows from `{query!r}`"
            )
        return
    check_alike(method, one.outputs, two.outputs)


def check_alike(method: str, outputs: Outputs, others: Outputs) -> None:
    """Reject values of other types, or another number of them."""
    if len(outputs) != len(others):
        raise InvalidQuery(
            f"`{method}`: combined queries must have the same number of values, not "
            f"{len(outputs)} and {len(others)}"
        )
    for (name, one), (other_name, value) in zip(outputs, others, strict=True):
        kinds = [f"{it._kind}{' list' if it._many else ''}" for it in (one, value)]
        if kinds[0] != kinds[1]:
            raise TypeMismatch(
                f"`{method}`: `{name}` is of type {kinds[0]}, and `{other_name}` of the other "
                f"query of type {kinds[1]}: cast one of them"
            )


def in_common(own: tuple[str, Value], *others: tuple[str, Value]) -> tuple[str, Value]:
    """A value of all queries, by its name in the first; an enum's if it is so in each query."""
    name, value = own
    if all(value._column_with(it) for _, it in others):
        return own
    return name, Value(value._shape, value._values, value._name, value._kind, value._many)
