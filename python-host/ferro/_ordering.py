"""Orders of queries: the terms that were asked for, and the key behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._expression import Order, Shape
from ._path import field_of

if TYPE_CHECKING:
    from ._table import Table


class Ordering:
    """The order of rows. It never changes, and is kept for terms that are given as text."""

    __slots__ = ("keyed", "shape", "terms", "values")

    def __init__(self, table: Table, terms: tuple[Order, ...]) -> None:
        self.terms = terms
        self.shape: Shape = tuple([it.shape for it in terms])
        self.values = tuple([value for it in terms for value in it.values])
        known = [it.shape[0] for it in terms]
        keys = [field_of(table, key.name).asc() for key in table.keys]
        self.keyed: Shape = (*self.shape, *[it.shape for it in keys if it.shape[0] not in known])
        """With the key: rows that tie have an order, too."""
