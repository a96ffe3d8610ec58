"""Indexes and checks of a table: from the declarations of a class to the WIT's form, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._message import quoted
from ..exceptions import SchemaError
from .check import Asked
from .column import Column, check_comparable
from .constraint import Check, Index

if TYPE_CHECKING:
    from .options import TableOptions
    from .relation_options import RelationOptions
    from .table import Table


class Rules:
    """The uniques, indexes and checks of a class."""

    def __init__(
        self,
        table: Table,
        options: TableOptions,
        columns: Mapping[str, Column | None],
        all_declared: Mapping[str, RelationOptions],
    ) -> None:
        """`columns` maps names of fields to columns; None is the column of another model's key,
        whose type is not known yet.
        """
        label = table.label
        self._table = table
        self._label = label
        self._columns = columns
        self._relation_options = all_declared
        uniques = [Index(*_names(label, it), unique=True) for it in options.uniques]
        others = [
            it if isinstance(it, Index) else Index(*_names(label, it)) for it in options.indexes
        ]
        self.indexes = [self._index(it) for it in (*uniques, *others)]
        """The indexes, as the WIT's `index`."""
        self.checks = [
            *(
                self._check_of_field(it, it.check)
                for it in columns.values()
                if it is not None and it.check is not None
            ),
            *(self._check(it) for it in options.checks),
        ]
        """The checks, as the WIT's `check`."""
        names = [it["name"] for it in self.checks if it["name"] is not None]
        if len(set(names)) < len(names):
            raise SchemaError(
                f"model `{label}`: two checks have the same name, so rename one: "
                f"{quoted(sorted({it for it in names if names.count(it) > 1}))}"
            )

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """The sets of fields that are unique together, in all rows."""
        return [
            tuple(it["fields"]) for it in self.indexes if it["unique"] and it["condition"] is None
        ]

    def _index(self, index: Index) -> dict[str, Any]:
        names = [self._field(name) for name in index.fields]
        for name in names:
            if name not in self._columns:
                raise SchemaError(f"model `{self._label}` has no field `{name}` to index")
            column = self._columns[name]
            if index.unique and column is not None:
                check_comparable(column.where, "unique", column.kind)
        condition = None if index.where is None else self._condition("where", None, index.where)
        return {
            "name": index.name,
            "fields": names,
            "unique": index.unique,
            "condition": condition,
        }

    def _check(self, check: Check) -> dict[str, Any]:
        if not isinstance(check, Check):
            raise SchemaError(
                f"model `{self._label}`: `checks` is a list of `ferro.Check(…)`, not of `{check!r}`"
            )
        return self._condition("checks", check.name, check.condition)

    def _check_of_field(self, column: Column, asked: Asked) -> dict[str, Any]:
        from .._expressions.check import field_condition

        return {"name": None, "any-of": field_condition(self._table, column, asked)}

    def _condition(self, option: str, name: str | None, function: Any) -> dict[str, Any]:
        from .._expressions.check import row_condition

        relations = {
            it.name: it.column
            for it in self._relation_options.values()
            if it.column in self._columns
        }
        groups = row_condition(self._table, option, function, self._columns, relations)
        return {"name": name, "any-of": groups}

    def _field(self, name: str) -> str:
        """A relation stands for the field that holds its key."""
        return self._relation_options[name].column if name in self._relation_options else name


def _names(label: str, names: Iterable[str]) -> Iterable[str]:
    if isinstance(names, Index):
        raise SchemaError(
            f"model `{label}`: use `ferro.Index(…, unique=True)` in its `indexes`, instead of "
            "`uniques`"
        )
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise SchemaError(f"model `{label}`: `uniques` and `indexes` are lists of lists of fields")
    return names
