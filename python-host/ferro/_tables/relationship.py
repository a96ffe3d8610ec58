"""Relations between tables: their targets, and the fields that join them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydantic

from ..exceptions import InvalidQuery

if TYPE_CHECKING:
    from .table import Table


@dataclass(frozen=True, eq=False)
class Relationship:
    """A relation between two tables, seen from one of them."""

    name: str
    source: Table
    target: Table
    many: bool
    holds_key: bool
    """Whether the source has the key of the target, so that it is known without a query."""
    source_fields: tuple[str, ...]
    target_fields: tuple[str, ...]
    """The fields that equal those of the source: in the target, or in `through`."""
    through: Through | None = None

    def __str__(self) -> str:
        return f"{self.source.label}.{self.name}"

    @property
    def key_fields(self) -> tuple[str, ...]:
        """The fields of the target that identify its rows."""
        return self.target_fields if self.holds_key else tuple(it.name for it in self.target.keys)

    @property
    def way_back(self) -> str:
        """The reverse relation of the target, through the same pairs."""
        assert self.through is not None, "asked before"
        for name, other in self.target.relations.items():
            if (
                other.through is not None
                and other.target is self.source
                and other.through.table is self.through.table
                and other.through.source_fields == self.through.target_fields
            ):
                return name
        raise InvalidQuery(f"`{self}` has no reverse relation")

    def key_of(self, row: Any) -> tuple[Any, ...]:
        """The key of a target row."""
        # An instance of a subclass is a row of another table.
        if type(row) is not self.target.model:
            is_row = isinstance(row, pydantic.BaseModel)
            # The values of a row may be secrets.
            given, way = f"`{type(row).__name__}`" if is_row else f"`{row!r}`", "pass its key to"
            if callable(row):
                given, way = "a function", "compute its key for"
            hint = f": {way} `{self.source_fields[0]}`" if self.holds_key and not is_row else ""
            raise InvalidQuery(f"`{self}` leads to `{self.target.label}`, not to {given}{hint}")
        key = tuple(getattr(row, name) for name in self.key_fields)
        if None in key:
            raise InvalidQuery(
                f"`{self}` is given a `{self.target.label}` that has no key yet: save it first"
            )
        return key


@dataclass(frozen=True, eq=False)
class Through:
    """The table of pairs of a many-to-many relation, seen from one side."""

    table: Table
    source_fields: tuple[str, ...]
    target_fields: tuple[str, ...]
    """The fields of the pair that hold the key of each side."""
