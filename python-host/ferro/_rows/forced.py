"""Values that a scope forces on rows: a new row that is given none has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._connections.scope import current_scope
from .._connections.transaction import Using, runner_for
from .._tables.table import Table

if TYPE_CHECKING:
    from .._models.model import Model


def forced_values(table: Table, using: Using) -> dict[str, Any]:
    """The fields that may have one value only in the scope of this code, with it."""
    if current_scope() is None:
        return {}
    found = runner_for(using)[1].settled(table.model_name)
    reads = {name: table.column(name).read for name in found}
    return {
        name: value if (read := reads[name]) is None else read(value)
        for name, value in found.items()
    }


def completed(table: Table, values: dict[str, Any], using: Using) -> dict[str, Any]:
    """Values of a new row by the names of fields, relations or aliases, with those forced on it."""
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
    """Have new rows hold what is forced on them. One that was given another value is refused."""
    forced = forced_values(table, using)
    for row in rows if forced else ():
        given = row.model_fields_set
        for name, value in forced.items():
            if name not in given or row.__dict__[name] is None:
                vars(row)[name] = value
