"""Derived tables: the table form of a common table, for the queries that read it."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from .. import _native
from .._message import nearest
from .._statements.shape import ITSELF, count_of_values
from ..exceptions import InvalidQuery
from .column import Column, plain_column
from .table import Table

if TYPE_CHECKING:
    from .._expressions.expression import Shape
    from .._expressions.value import Value


def derived(
    name: str, outputs: Iterable[tuple[str, Value]], select: Shape, step: Shape = ()
) -> Derived:
    """The table with the values of a select; one object per shape, so that shapes that contain it
    compare fast.
    """
    definition = (name, select, step)
    known = _known.get(definition)
    return known or _known.setdefault(definition, Derived(definition, outputs))


class Derived(Table):
    """A table defined by a query: the values that it selects, without a key.

    The parameters of the query are not part of it.
    """

    def __init__(self, definition: Shape, outputs: Iterable[tuple[str, Value]]) -> None:
        name, select, step = definition
        self.label = self.model_name = self.name = name
        self.schema = None
        self.model = _NoModel  # type: ignore[assignment]
        self.columns = {it: _column(name, it, value) for it, value in outputs}
        self.keys = ()
        self.relations = {}
        self.expressions = {}
        self.orderings = {}
        self.definition = definition
        self.takes = 0 if step == ITSELF else count_of_values(select) + count_of_values(step)

    def query(self, shape: Any) -> _native.Query:
        """The query of a shape, cached by the model's table that this one is derived from."""
        source: Table = self
        while source.definition is not None:
            _, (_, source, _), _ = source.definition
        return source.query(("read", self, shape))

    def key_values(self, key: Any) -> NoReturn:
        """Empty: there is no key."""
        raise InvalidQuery(f"common table `{self.label}` has no key: select values of its fields")

    def unknown(self, name: str, what: str = "field") -> str:
        known = () if what == "relation" else self.columns
        return f"common table `{self.label}` has no {what} `{name}`: {nearest(name, known)}"


_known: weakref.WeakValueDictionary[Shape, Derived] = weakref.WeakValueDictionary()
"""The known tables, by definition."""


class _NoModel:
    """The model of rows without a model."""


def _column(table: str, name: str, value: Value) -> Column:
    """A column with the values of another query."""
    where = f"{table}.{name}"
    if value._column is None:
        return plain_column(name, value._kind, where, value._many)
    return dataclasses.replace(value._column, name=name, db_column=None, where=where)
