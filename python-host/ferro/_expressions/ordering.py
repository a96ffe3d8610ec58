"""Orders of queries: the terms that were asked for. The core puts the key behind them."""

from __future__ import annotations

from typing import Any

from .._tables.table import Table, keep
from ..exceptions import InvalidQuery
from .document import JsonValue
from .expression import Expression, Order, Shape
from .path import Fields, field_at, value_from
from .value import Value

Outputs = tuple[tuple[str, Value], ...]
"""What is computed from each row, or for each group, and by which names."""


class Ordering:
    """The order of rows. It never changes, and is kept for terms that are given as text."""

    __slots__ = ("shape", "terms", "values")

    def __init__(self, terms: tuple[Order, ...]) -> None:
        self.terms = terms
        self.shape: Shape = tuple([it._shape for it in terms])
        self.values = tuple([value for it in terms for value in it._values])


def ordering_of(table: Table, outputs: Outputs | None, terms: tuple[Any, ...]) -> Ordering:
    """The order of some terms: kept, if all of them are text that names fields."""
    kept = outputs is None and all(type(term) is str for term in terms)
    known = table.orderings.get(terms) if kept else None
    if known is not None:
        return known
    made = Ordering(tuple([_term(table, outputs or (), term) for term in terms]))
    if kept:
        keep(table.orderings, terms, made)
    return made


def _term(table: Table, outputs: Outputs, term: Any) -> Order:
    if isinstance(term, Order):
        return term
    if isinstance(term, str):
        value = _named(table, outputs, term.removeprefix("-"))
        return value.desc() if term.startswith("-") else value.asc()
    if callable(term) and not isinstance(term, Expression):
        return _term(table, outputs, term(Fields(table)))
    if isinstance(term, (Value, JsonValue)):
        return value_from(table, term).asc()
    raise InvalidQuery(f"`{term!r}` is not an order: name a field, or call `asc()` or `desc()`")


def _named(table: Table, outputs: Outputs, name: str) -> Value:
    """A value by its name: one that `values` computes, or a field."""
    for output, value in outputs:
        if output == name:
            return value
    return field_at(table, name)
