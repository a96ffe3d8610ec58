"""Values that a scope forces on rows: new rows get them by default."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._connections.scope import current_scope
from .._connections.transaction import Using, runner_for
from .._tables.table import Table

if TYPE_CHECKING:
    from .._models.model import Model


def forced_values(table: Table, using: Using) -> dict[str, Any]:
    """The fields that can have only one value in the current scope, with that value."""
    if current_scope() is None:
        return {}
    found = runner_for(using)[1].settled(table.model_name)
    reads = {name: table.column(name).read for name in found}
    return {
        name: value if (read := reads[name]) is None else read(value)
        for name, value in found.items()
    }


def completed(table: Table, values: dict[str, Any], using: Using) -> dict[str, Any]:
    """The values of a new row, by names of fields, relations or aliases, with the forced values."""
    forced = forced_values(table, using)
    if not forced:
        return values
    given = set(values)
    given.update(
        relation.column for name, relation in table.relation_options.items() if name in values
    )
    given.update(name for name, alias in table.aliases.items() if alias in values)
    return {**{name: it for name, it in forced.items() if name not in given}, **values}


def fill(table: Table, rows: Iterable[Model], using: Using) -> None:
    """Set the forced values on new rows. Rows with another value are rejected when they are
    inserted.
    """
    forced = forced_values(table, using)
    for row in rows if forced else ():
        given = row.model_fields_set
        for name, value in forced.items():
            if name not in given or row.__dict__[name] is None:
                vars(row)[name] = value
