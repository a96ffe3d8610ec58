"""Copies of rows: other objects for the same row, or for a new row if the key differs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .._relations.access import split_relations
from .._relations.loaded import remember
from .._rows.write import loaded
from .._tables.table import Table

if TYPE_CHECKING:
    from .model import Model

M = TypeVar("M", bound="Model")


def known_of(row: Model) -> dict[str, Any]:
    """The state of an instance besides its fields: what is stored, and the loaded relations."""
    return {"_ferro_loaded": loaded(row), "_ferro_related": getattr(row, "_ferro_related", None)}


def know(row: Model, known: Mapping[str, Any]) -> None:
    """Give an instance the state that `known_of` returned for another."""
    for name, value in known.items():
        if value is not None:
            object.__setattr__(row, name, value)


def with_relations(row: Model, copied: M) -> M:
    """A copy that shares the loaded rows of its relations."""
    known = known_of(row)
    know(copied, {**known, "_ferro_related": copy.copy(known["_ferro_related"])})
    return copied


def with_copied_relations(row: Model, copied: M, memo: dict[int, Any]) -> M:
    """A copy with copies of the loaded rows of its relations."""
    known = known_of(row)
    # They may refer back to the row.
    memo[id(row)] = copied
    know(copied, {**known, "_ferro_related": copy.deepcopy(known["_ferro_related"], memo)})
    return copied


def constructed(model: type[M], values: dict[str, Any], make: Callable[..., M]) -> M:
    """An instance constructed from values, with keys in place of rows for relations."""
    values, rows = split_relations(model, values)
    made = make(**values)
    table = model.__ferro_table__
    for name, found in rows.items():
        assert table is not None, "only a model with a table has relations that are given"
        remember(made, table.relation(name), found)
    return made


def with_values(table: Table, row: M, update: Mapping[str, Any], copy_of: Callable[..., M]) -> M:
    """A copy with changed values, and rows for relations; with another key it is a new row."""
    values, rows = split_relations(table.model, dict(update))
    for name in values:
        table.column(name)
    copied = copy_of(update=values)
    for name, found in rows.items():
        remember(copied, table.relation(name), found)
    keys = [key.name for key in table.keys if key.name in values]
    if loaded(copied) is not None and any(vars(row)[it] != values[it] for it in keys):
        object.__delattr__(copied, "_ferro_loaded")
    return copied
