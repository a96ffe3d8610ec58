"""Conflicts on keys: the key that an upsert names, and how to find the row that has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pydantic

from .._argument import check
from .._expressions.assignment import all_assigned
from .._expressions.path import conditions_of
from .._message import quoted
from .._tables.table import Table
from ..exceptions import InvalidQuery, UniqueViolation
from .write import fields_left, is_known, loaded

if TYPE_CHECKING:
    from .._expressions.expression import Shape
    from .._models.model import Model


class Conflict(NamedTuple):
    """What an insert does if its key is taken. By default, it updates nothing."""

    target: tuple[str, ...]
    """The fields of the key that may be taken."""
    assignments: Shape = ()
    """The fields to update in that case, each with its new value."""
    condition: Shape | None = None
    """A condition for the update, on the row that has the key."""
    values: tuple[Any, ...] = ()
    of_given: bool = False
    """Whether the updated fields were not chosen, but are the passed ones."""

    def of(self, left: tuple[str, ...]) -> Conflict:
        """The conflict for rows that leave some fields to the database."""
        if not self.of_given:
            return self
        assignments = tuple([it for it in self.assignments if it[0] not in left])
        return self._replace(assignments=assignments) if assignments else Conflict(self.target)

    @property
    def shape(self) -> Shape:
        """The parts that the statement depends on."""
        return self.target, self.assignments, self.condition

    @property
    def may_leave(self) -> bool:
        """Whether the row that has the key may remain unchanged."""
        return not self.assignments or self.condition is not None


def conflict_of(
    table: Table,
    target: Iterable[str] | str,
    update: Iterable[str] | Mapping[str, Any] | None,
    only_if: Any,
    given: Iterable[str],
) -> Conflict:
    """What an upsert does if its key is taken; by default it updates all passed fields."""
    check(
        InvalidQuery,
        conflict=(target, str, Iterable),
        update=(update, str, Iterable, Mapping, None),
    )
    names = tuple(table.written(name).name for name in _names("conflict", target))
    key = table.unique_key(set(names))
    if key is None or set(key) != set(names):
        raise InvalidQuery(
            f"`{table.label}`: {quoted(names) or 'nothing'} is not a key: name the primary key, or "
            "fields that are unique"
        )
    if isinstance(update, Mapping):
        _names("update", update)
        assignments, values = all_assigned(table, dict(update))
    else:
        if update is None:
            # A version counts the updates of the existing row; the update sets others by itself.
            left = {*names, *(it.name for it in (*table.keys, table.version) if it is not None)}
            left.update(table.set_by_updates)
            chosen = [name for name in given if name not in left]
        else:
            chosen = [table.written(name).name for name in _names("update", update)]
        assignments, values = tuple([(name, ("excluded", name, table)) for name in chosen]), ()
    if only_if is None:
        return Conflict(names, assignments, None, values, update is None)
    if not assignments:
        raise InvalidQuery("`only_if` needs fields to update, and there are none")
    (condition,) = conditions_of(table, [only_if], {})
    values += condition._values
    return Conflict(names, assignments, condition._shape, values, update is None)


def given_fields(table: Table, rows: Iterable[Model]) -> list[str]:
    """The fields of rows, except those that every row leaves to the database."""
    left = [set(fields_left(table, row)) for row in rows]
    without = set.intersection(*left) if left else ()
    return [name for name in table.names if name not in without]


def key_among(table: Table, values: dict[str, Any], operation: str) -> tuple[str, ...]:
    """The key that makes an operation atomic: only one row can have these values."""
    key = table.unique_key({name for name, value in values.items() if value is not None})
    if key is None and (nulls := table.unique_key(set(values))) is not None:
        none = [name for name in nulls if values[name] is None]
        raise InvalidQuery(
            f"`{operation}` looks for one row of `{table.label}` by the key {quoted(nulls)}, and "
            f"None for {quoted(none)} identifies no row: pass a value, or use "
            "`where(…).first()` and `create`"
        )
    if key is None:
        raise InvalidQuery(
            f"`{operation}` looks for one row: pass the values of a key of `{table.label}`, "
            f"which {quoted(values) or 'nothing'} is not; make those fields unique"
        )
    return key


def taken(table: Table, key: tuple[str, ...]) -> UniqueViolation:
    """The error for a key whose row does not match, or is not visible: both look alike."""
    error = UniqueViolation(
        f"the key {quoted(key)} of `{table.label}` is taken by a row that does not match"
    )
    error.table = table.name
    error.column = table.column(key[0]).db_column or key[0] if len(key) == 1 else None
    return error


def validated_values(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """Validate values to look for, as Pydantic would before storing them."""
    try:
        return {
            name: table.column(name).stored(table.validated(name, value))
            for name, value in values.items()
        }
    except pydantic.ValidationError:
        # The model reports faults better, when a row is created from them.
        return values


def stored_values(table: Table, names: Iterable[str], row: Model) -> dict[str, Any]:
    """The values of a row to look for."""
    return {name: table.column(name).stored(row.__dict__[name]) for name in names}


def is_like(table: Table, found: Model, row: Model, names: Iterable[str]) -> bool:
    """Whether a row that was read has the same values as another one."""
    known = loaded(found) or ()
    return all(
        is_known(table, name, known[table.places[name]], row.__dict__[name]) for name in names
    )


def _names(option: str, given: Iterable[str] | str) -> list[str]:
    """Names of fields, passed as one or several."""
    names = [given] if isinstance(given, str) else list(given)
    for name in names:
        if not isinstance(name, str):
            raise InvalidQuery(
                f'`{option}` takes names of fields, such as `"email"`, not `{name!r}`'
            )
    return names


def check_distinct(table: Table, rows: Iterable[Model], target: tuple[str, ...]) -> None:
    """Reject two rows with the same key, since either could win."""
    seen: set[Any] = set()
    for row in rows:
        # A row from `model_construct` may lack a field, which is reported when it is written.
        key = tuple(row.__dict__.get(name) for name in target)
        if None not in key and key in seen:
            raise InvalidQuery(f"two of the `{table.label}` have the same {quoted(target)}")
        seen.add(key)
