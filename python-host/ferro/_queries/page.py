"""Pages by key (keyset pagination): each begins after a row, not after a number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .. import _native
from .._argument import check
from .._connections.transaction import runner_for
from .._expressions.expression import Expression, Order, all_of, any_of
from .._expressions.path import field_of
from .._expressions.value import FieldExpression, Value
from .._message import quoted
from .._statements.shape import stands_in
from ..exceptions import (
    InvalidPosition,
    InvalidQuery,
    TypeMismatch,
    UnsupportedError,
    ValueOutOfRange,
)
from .computed import ordering_of_rows
from .pairs import fields_of, pairs_of
from .position import Position
from .read import as_objects, check_lock
from .selection import prepared
from .spec import LOCKS, refuse

if TYPE_CHECKING:
    from .._tables.table import Table
    from .spec import QuerySpec

T = TypeVar("T")

_MOST_ROWS = 2**63 - 1

_PAGED = LOCKS | {"using", "where", "with_values", "order_by", "limit", "include"}


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows of a query, and their place among all of its rows.

    Example:
        >>> import ferro
        >>> class Letter(ferro.Model, table="doc_page_letter"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     sent: str
        >>> async def every() -> list[Letter]:
        ...     letters = Letter.select().order_by("-sent").limit(100)
        ...     page = await letters.page()
        ...     found = page.rows
        ...     while page.more and page.end:
        ...         page = await letters.page_after(page.end)
        ...         found += page.rows
        ...     return found
    """

    rows: list[T]
    """The rows, in the order of the query."""
    start: Position | None
    """The position of the first row; None if there is no row."""
    end: Position | None
    """The position of the last row; None if there is no row."""
    more: bool
    """Whether there are further rows in the direction of the page."""


async def page_of(spec: QuerySpec) -> Page[Any]:
    """The first page of a query."""
    return await _read(spec, None, False)


async def page_beyond(
    spec: QuerySpec, position: Position | str, *, backward: bool = False
) -> Page[Any]:
    """The page after a position, or the one before it."""
    check(InvalidQuery, position=(position, Position, str))
    given = Position.parse(position) if isinstance(position, str) else position
    return await _read(spec, given, backward)


async def _read(spec: QuerySpec, position: Position | None, backward: bool) -> Page[Any]:
    refuse(spec, "page", "has whole rows, and begins at a row", _PAGED)
    check_lock(spec)
    table, limit = spec.table, spec.limit
    if limit == 0:
        raise ValueOutOfRange("a page has at least one row, where the next one begins: `limit(1)`")
    terms = _by_key(table, ordering_of_rows(spec).terms)
    _check_windows(spec, terms)
    _check_comparable(terms)
    names = {id(value): name for name, value in spec.outputs or ()}
    order = ",".join([_name_of(it, names) for it in terms])
    if backward:
        terms = tuple([it.reversed() for it in terms])
    rest = spec
    if position is not None:
        rest = spec.where(_beyond(table, terms, _values_in(order, len(terms), position)))
    taken = {name for name, _ in spec.outputs or ()}
    free = (name for number in count() if (name := f"order {number}") not in taken)
    listed = [(next(free), it.value) for it in terms]
    rest = rest.with_(
        order=terms,
        outputs=(*(spec.outputs or fields_of(table)), *listed),
        includes={},
        # One more row shows whether there are more.
        limit=None if limit is None else min(limit + 1, _MOST_ROWS),
    )
    label, runner = runner_for(spec.using)
    try:
        read, beside = await runner.fetch_instances_and(*prepared(rest), table.loader)
    except TypeMismatch as error:
        # Wrong values in the query itself fail on the first page, before there is a position.
        if position is None:
            raise
        raise InvalidPosition(f"the position does not fit the query: {error}") from error
    more = limit is not None and len(read) > limit
    read, beside = read[:limit], beside[:limit]
    if backward:
        read, beside = read[::-1], beside[::-1]
    rows = await as_objects(spec, label, read)
    places = [it[-len(terms) :] for it in beside]
    start, end = [Position(order, it) for it in (places[0], places[-1])] if places else (None, None)
    if spec.form == "pair":
        rows = pairs_of(spec, rows, beside)
    return Page(rows, start, end, more)


def _check_windows(spec: QuerySpec, terms: tuple[Order, ...]) -> None:
    """Reject window functions: on a page they would see only the rows after the position."""
    asked = [name for name, it in spec.outputs or () if stands_in(it._shape, ("window",))]
    if not asked and any(stands_in(it.value._shape, ("window",)) for it in terms):
        asked = ["order_by"]
    if asked:
        raise InvalidQuery(
            "a page begins after a row, but a window function depends on all rows: leave it out "
            f"of {quoted(asked)}, or use `ferro.subquery` of a common table, `query.cte()`; "
            "`limit` and `offset` go with it"
        )


def _check_comparable(terms: tuple[Order, ...]) -> None:
    """Refuse values by whose order conditions cannot compare: the next page would be an error."""
    for it in terms:
        column = it.value._column
        is_enum = column is not None and column.enumeration is not None
        if is_enum or it.value._many or it.value._kind == "json":
            what = "an enum" if is_enum else "a list" if it.value._many else "a document"
            raise UnsupportedError(
                f"`{it.value._name}` is {what}, and a page cannot begin after one in this order: "
                "order by other fields, or use `limit` and `offset`"
            )


def _by_key(table: Table, terms: tuple[Order, ...]) -> tuple[Order, ...]:
    """Terms of an order, followed by the fields of the key that are not among them."""
    known = {it.value._path for it in terms if isinstance(it.value, FieldExpression)}
    keys = [field_of(table, it.name) for it in table.keys if it.name not in known]
    return (*terms, *(it.asc() for it in keys))


def _name_of(term: Order, names: dict[int, str]) -> str:
    """The name of a term in positions: a field, or a value selected with the rows (`names`)."""
    value = term.value
    path = value._path if isinstance(value, FieldExpression) else names.get(id(value), "?")
    return _native.position_term(path, term.descending, term.nulls == "first")


def _values_in(order: str, terms: int, position: Position) -> tuple[Any, ...]:
    """The values of a position, one for each term of the order, if the orders are the same."""
    if (position.order, len(position.values)) != (order, terms):
        raise InvalidPosition(
            f"the position is for the order `{position.order}`, but the query has the order `"
            f"{order}`, including its key: use a position only with its own query"
        )
    return position.values


def _beyond(table: Table, terms: tuple[Order, ...], values: tuple[Any, ...]) -> Expression:
    """The condition that a row comes after one with these values: the first term in which they
    differ decides.
    """
    same: list[Expression] = []
    beyond: list[Expression] = []
    for term, value in zip(terms, values, strict=True):
        later = _later(table, term, value)
        if later is not None:
            behind = all_of([*same, later])
            assert behind is not None, "there is one"
            beyond.append(behind)
        same.append(term.value == value)
    return any_of(beyond)


def _later(table: Table, term: Order, value: Any) -> Expression | None:
    """The condition that a row comes after a value in one term; None if no row does."""
    field = term.value
    if value is None:
        return None if term.nulls == "last" else field.is_not_null()
    later: Expression = field < value if term.descending else field > value
    if term.nulls == "last" and _may_be_null(table, field):
        return later | field.is_null()
    return later


def _may_be_null(table: Table, value: Value) -> bool:
    if isinstance(value, FieldExpression) and value._path in table.columns:
        return value._column.nullable
    return True
