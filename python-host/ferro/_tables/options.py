"""Options of model classes, for their tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from .._argument import check
from ..exceptions import SchemaError
from .constraint import Check, Index


@dataclass(frozen=True)
class TableOptions:
    """The keyword arguments of a class: `class User(ferro.Model, table="users")`."""

    table: str | None = None
    schema: str | None = None
    comment: str | None = None
    renamed_from: str | None = None
    abstract: bool = False
    uniques: Iterable[Iterable[str]] = ()
    indexes: Iterable[Iterable[str] | Index] = ()
    checks: Iterable[Check] = ()

    def __post_init__(self) -> None:
        check(
            SchemaError,
            table=(self.table, str, None),
            schema=(self.schema, str, None),
            comment=(self.comment, str, None),
            renamed_from=(self.renamed_from, str, None),
            abstract=(self.abstract, bool),
            uniques=(self.uniques, Iterable),
            indexes=(self.indexes, Iterable),
            checks=(self.checks, Iterable),
        )


OPTIONS = tuple(it.name for it in dataclasses.fields(TableOptions))
"""The names of all options."""
