"""Orders of queries: the terms as given. The core appends the key."""

from __future__ import annotations

from typing import Any

from .._message import nearest
from .._tables.table import Table, put_cached
from ..exceptions import InvalidQuery, UnknownField
from .document import JsonValue
from .expression import Expression, Order, Shape
from .path import Fields, field_at, value_from
from .value import Value

Outputs = tuple[tuple[str, Value], ...]
"""Values computed for each row or group, with their names."""


Term = str | Order
"""A term as given. Names are resolved when the whole query is known."""


class Ordering:
    """The order of rows. It is immutable, and cached for terms given as text."""

    __slots__ = ("shape", "terms", "values")

    def __init__(self, terms: tuple[Order, ...]) -> None:
        self.terms = terms
        self.shape: Shape = tuple([it._shape for it in terms])
        self.values = tuple([value for it in terms for value in it._values])


def term_of(table: Table, given: Any) -> Term:
    """A term of an order, from a caller's argument."""
    if isinstance(given, (str, Order)):
        return given
    if callable(given) and not isinstance(given, Expression):
        return term_of(table, given(Fields(table)))
    if isinstance(given, (Value, JsonValue)):
        return value_from(table, given).asc()
    raise InvalidQuery(f"`{given!r}` is not an order: name a field, or call `asc()` or `desc()`")


def ordering_of(table: Table, outputs: Outputs | None, terms: tuple[Term, ...]) -> Ordering:
    """The order of some terms, cached if all of them are names of fields."""
    kept = outputs is None and all(type(term) is str for term in terms)
    known = table.orderings.get(terms) if kept else None
    if known is not None:
        return known
    made = Ordering(tuple([_order(table, outputs or (), term) for term in terms]))
    if kept:
        put_cached(table.orderings, terms, made)
    return made


def _order(table: Table, outputs: Outputs, term: Term) -> Order:
    if isinstance(term, Order):
        return term
    value = _named(table, outputs, term.removeprefix("-"))
    return value.desc() if term.startswith("-") else value.asc()


def _named(table: Table, outputs: Outputs, name: str) -> Value:
    """A value by name: one that `values` computes, or a field."""
    for output, value in outputs:
        if output == name:
            return value
    if outputs and name.partition(".")[0] not in {**table.columns, **table.relations}:
        known = [*(output for output, _ in outputs), *table.columns, *table.relations]
        raise UnknownField(
            f"`order_by`: `{name}` is neither a value that the query asks for nor a field of "
            f"`{table.label}`: {nearest(name, known)}"
        )
    return field_at(table, name)
