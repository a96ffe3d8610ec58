"""Writes of rows: one by one, many at once, and those that depend on what is there."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ._identity import drop, merge
from ._table import Table
from ._transaction import Transaction, session, transaction
from .exceptions import DoesNotExist, InvalidQuery

if TYPE_CHECKING:
    from ._model import Model

M = TypeVar("M", bound="Model")

Loaded = tuple[str, "dict[str, Any] | None"]
"""The connection that a row is from, and what it holds there: None, if that is not known."""

Conflict = tuple[tuple[str, ...], tuple[str, ...]]
"""The key that may be taken, and the fields that are updated then."""

Using = str | Transaction | None


def loaded(row: Model) -> Loaded | None:
    """What is known of the row in the database; None for a new one."""
    return getattr(row, "_ferro_loaded", None)


def keep_loaded(row: Model, copied: M) -> M:
    """A copy of a row is the same row."""
    known = loaded(row)
    if known is not None:
        object.__setattr__(copied, "_ferro_loaded", copy.copy(known))
    return copied


def label_of(using: Using) -> str | None:
    """The name of a connection, if one is meant."""
    return using if using is None or isinstance(using, str) else using.label


async def insert(table: Table, row: Model, using: Using) -> None:
    """Insert a row, and take over its generated key."""
    names = _inserted(table, row)
    values = _values(table, names, row)
    key = table.generated_key
    label, runner = session(using)
    if key is not None and key.name not in names:
        query = table.query(("insert", names, (key.name,), None))
        ((vars(row)[key.name],),) = await runner.fetch(query, values)
    else:
        await runner.execute(table.query(("insert", names, None, None)), values)
    store(row, label, table)
    merge(label, table, [row])


async def insert_or(table: Table, row: M, using: Using, conflict: Conflict) -> M | None:
    """Insert a row, or update the one whose key is taken; the row as it is stored.

    None if the key is taken and nothing is to be updated.
    """
    names = _inserted(table, row)
    query = table.query(("insert", names, (), conflict))
    label, runner = session(using)
    rows = await runner.fetch_instances(query, _values(table, names, row), table.loader)
    rows = merge(label, table, rows)
    return rows[0] if rows else None


async def insert_many(
    table: Table, rows: Sequence[Model], using: Using, conflict: Conflict | None = None
) -> int:
    """Insert many rows, all or none; how many were inserted or updated."""
    with_key, without_key = _by_key(table, rows)
    if with_key and without_key:
        async with transaction(using=label_of(using)) as both:
            count = await _insert_alike(table, with_key, both, conflict)
            return count + await _insert_alike(table, without_key, both, conflict)
    return await _insert_alike(table, with_key or without_key, using, conflict)


async def insert_many_with_keys(table: Table, rows: Sequence[Model], using: Using) -> int:
    """As `insert_many`, and each row takes over its generated key."""
    if table.generated_key is None:
        return await insert_many(table, rows, using)
    async with transaction(using=label_of(using)) as together:
        for row in rows:
            await insert(table, row, together)
    return len(rows)


async def update(table: Table, row: Model, using: Using) -> None:
    """Update the fields of a row that have changed."""
    key, origin = stored_row(table, row)
    changed = changed_fields(table, row)
    if not changed:
        return
    query = table.query(("update", changed))
    label, runner = session(using or origin)
    if await runner.execute(query, (*_values(table, changed, row), *key)) == 0:
        raise gone(table)
    store(row, label, table)


async def update_many(table: Table, rows: Sequence[Model], using: Using) -> int:
    """Update the changed fields of many rows, all or none; how many rows had some."""
    changed = [row for row in rows if _is_stored(table, row) and changed_fields(table, row)]
    if not changed:
        return 0
    origin = stored_row(table, changed[0])[1]
    before = [(row, loaded(row)) for row in changed]
    try:
        async with transaction(using=label_of(using) or origin) as together:
            for row in changed:
                await update(table, row, together)
    except BaseException:
        for row, known in before:
            object.__setattr__(row, "_ferro_loaded", known)
        raise
    return len(changed)


async def delete(table: Table, row: Model, using: Using) -> None:
    """Delete a row."""
    key, origin = stored_row(table, row)
    label, runner = session(using or origin)
    if await runner.execute(table.query(("delete",)), key) == 0:
        raise gone(table)
    object.__delattr__(row, "_ferro_loaded")
    drop(label, table, row)


def store(row: Model, label: str, table: Table) -> None:
    """The database holds what the row holds."""
    object.__setattr__(row, "_ferro_loaded", (label, _snapshot(table, row)))


def changed_fields(table: Table, row: Model) -> tuple[str, ...]:
    """The fields that differ from what is stored."""
    known = loaded(row)
    before = {} if known is None else known[1] or {}
    values = row.__dict__
    return tuple(
        name for name in table.names if name in values and not _same(before.get(name), values[name])
    )


def stored_row(table: Table, row: Model) -> tuple[tuple[Any, ...], str]:
    """The key of a row as it is stored, and its connection."""
    known = loaded(row)
    if known is None:
        raise InvalidQuery(f"this `{table.label}` was never saved")
    origin, values = known
    if values is None:
        raise InvalidQuery(
            f"this `{table.label}` was stored by `bulk_create` without `return_keys=True`, so its "
            "key is not known: query the row first"
        )
    return tuple(key.stored(values[key.name]) for key in table.keys), origin


def gone(table: Table) -> DoesNotExist:
    """The error for a row that had to exist."""
    return DoesNotExist(f"this `{table.label}` is gone: its row was deleted, or its key changed")


def conflict_of(
    table: Table, target: Iterable[str] | str, updated: Iterable[str] | None, given: Iterable[str]
) -> Conflict:
    """The key that may be taken, and what is updated then: by default all that is given."""
    names = tuple(_field(table, name) for name in _listed(target))
    key = table.unique_key(set(names))
    if key is None or set(key) != set(names):
        raise InvalidQuery(
            f"`{table.label}`: {_shown(names)} is no key: name the primary key, or fields that are "
            "unique"
        )
    if updated is None:
        keys = {it.name for it in table.keys}
        chosen = tuple(name for name in given if name not in names and name not in keys)
    else:
        chosen = tuple(_field(table, name) for name in _listed(updated))
    return names, chosen


def key_among(table: Table, values: dict[str, Any], operation: str) -> tuple[str, ...]:
    """The key that makes an operation atomic: only one row can have these values."""
    key = table.unique_key({name for name, value in values.items() if value is not None})
    if key is None:
        raise InvalidQuery(
            f"`{operation}` looks for one row: give it the values of a key of `{table.label}`, "
            f"which {_shown(values)} is not; make those unique"
        )
    return key


def check_distinct(table: Table, rows: Iterable[Model], target: tuple[str, ...]) -> None:
    """Refuse two rows for one key: which of them would win?"""
    seen: set[Any] = set()
    for row in rows:
        key = tuple(row.__dict__[name] for name in target)
        if None not in key and key in seen:
            raise InvalidQuery(f"two of the `{table.label}` have the same {_shown(target)}")
        seen.add(key)


def _inserted(table: Table, row: Model) -> tuple[str, ...]:
    """The fields that an insert names: all but a key that is to be generated."""
    key = table.generated_key
    if key is not None and row.__dict__[key.name] is None:
        return table.names_without_key
    return table.names


def _by_key(table: Table, rows: Sequence[M]) -> tuple[list[M], list[M]]:
    with_key: list[M] = []
    without_key: list[M] = []
    for row in rows:
        (with_key if _inserted(table, row) is table.names else without_key).append(row)
    return with_key, without_key


async def _insert_alike(
    table: Table, rows: Sequence[Model], using: Using, conflict: Conflict | None
) -> int:
    if not rows:
        return 0
    names = _inserted(table, rows[0])
    columns = []
    for name in names:
        stored = table.columns[name].encode
        values = [row.__dict__[name] for row in rows]
        columns.append(values if stored is None else [stored(value) for value in values])
    label, runner = session(using)
    query = table.query(("insert-many", names, None, conflict))
    count = await runner.write(query, columns, len(rows))
    if conflict is None:
        for row in rows:
            if names is table.names:
                store(row, label, table)
            else:
                object.__setattr__(row, "_ferro_loaded", (label, None))
    return count


def _snapshot(table: Table, row: Model) -> dict[str, Any]:
    """What the row holds, safe from changes in place."""
    values = dict(row.__dict__)
    for name, copied in table.copied:
        if values[name] is not None:
            values[name] = copied(values[name])
    return values


def _values(table: Table, names: Iterable[str], row: Model) -> tuple[Any, ...]:
    values = row.__dict__
    if not table.encoded:
        return tuple([values[name] for name in names])
    encoded = table.encoded
    return tuple(
        [encoded[name](values[name]) if name in encoded else values[name] for name in names]
    )


def _is_stored(table: Table, row: Model) -> bool:
    stored_row(table, row)
    return True


def _same(one: Any, other: Any) -> bool:
    # `1 == True == 1.0 == Decimal(1)`, and a database tells them apart.
    return one is other or (type(one) is type(other) and bool(one == other))


def _field(table: Table, name: str) -> str:
    """The field of a name, which may be that of a relation."""
    edge = table.relations.get(name)
    if edge is not None and edge.holds_key:
        return edge.source_fields[0]
    return table.column(name).name


def _listed(names: Iterable[str] | str) -> Iterable[str]:
    return (names,) if isinstance(names, str) else names


def _shown(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"
