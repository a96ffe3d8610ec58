"""Writes of rows: one by one, many at once, and those that depend on what is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic

from ._identity import drop, keep, merge, move
from ._message import quoted
from ._table import Table
from ._transaction import Transaction, Using, block, session, together
from .exceptions import DoesNotExist, InvalidQuery, UniqueViolation

if TYPE_CHECKING:
    from ._model import Model

M = TypeVar("M", bound="Model")

Loaded = tuple[Any, ...]
"""The connection that a row is from, and then what it holds there, in the order of the fields; only
the connection, if what it holds is not known."""

Conflict = tuple[tuple[str, ...], tuple[str, ...]]
"""The key that may be taken, and the fields that are updated then."""


def loaded(row: Model) -> Loaded | None:
    """What is known of the row in the database; None for a new one."""
    # Pydantic's own `__getattr__` would be asked for what was never set, which takes long.
    try:
        known: Loaded = object.__getattribute__(row, "_ferro_loaded")
    except AttributeError:
        return None
    return known


def keep_loaded(row: Model, copied: M) -> M:
    """A copy of a row is the same row."""
    known = loaded(row)
    if known is not None:
        object.__setattr__(copied, "_ferro_loaded", known)
    return copied


async def insert(table: Table, row: Model, using: Using) -> None:
    """Insert a row, and take over its generated key."""
    names = _inserted(table, row)
    values = _values(table, names, row)
    key = table.generated_key
    label, runner = session(using)
    # What is known is made at the same moment as the values are read, while the database writes.
    if key is not None and key.name not in names:
        query = table.query(("insert", names, (key.name,), None))
        returning = runner.fetch(query, values)
        known = table.loader.know([row], label)
        known = _with_keys(table, key.name, [row], known, await returning)
        store(table, [row], known, using, given=key.name)
    else:
        writing = runner.execute(table.query(("insert", names, None, None)), values)
        known = table.loader.know([row], label)
        await writing
        store(table, [row], known, using)
    keep(label, table, [row])


async def insert_or(table: Table, row: M, using: Using, conflict: Conflict) -> M | None:
    """Insert a row, or update the one whose key is taken; the row as it is stored.

    None if the key is taken and nothing is to be updated.
    """
    names = _inserted(table, row)
    query = table.query(("insert", names, (), conflict))
    label, runner = session(using)
    rows = await runner.fetch_instances(query, _values(table, names, row), table.loader)
    rows = merge(label, table, rows, whole=True)
    inside = block(using)
    if inside is not None and rows:
        # It may have been updated. Undone, it is taken for new: then a second insert fails.
        key = table.generated_key
        inside.memory.note(table, rows, new=True, key=None if key is None else key.name)
    return rows[0] if rows else None


async def insert_many(
    table: Table,
    rows: list[M],
    using: Using,
    conflict: Conflict | None = None,
    *,
    return_keys: bool = False,
) -> int:
    """Insert many rows, all or none; how many were inserted or updated.

    With `return_keys`, each row takes over its generated key.
    """
    with_key, without_key = _by_key(table, rows)
    if with_key and without_key:
        async with together(using) as both:
            count = await _insert_alike(table, with_key, both, conflict)
            return count + await _insert_alike(table, without_key, both, conflict, return_keys)
    return await _insert_alike(table, with_key or without_key, using, conflict, return_keys)


async def update(table: Table, row: Model, using: Using) -> None:
    """Update the fields of a row that have changed."""
    _check_whole(table, [row])
    key, origin = stored_row(table, row)
    changed = changed_fields(table, row)
    if not changed:
        return
    query = table.query(("update", changed))
    label, runner = session(using or origin)
    writing = runner.execute(query, (*_values(table, changed, row), *key))
    known = table.loader.know([row], label)
    if await writing == 0:
        raise gone(table)
    store(table, [row], known, using)


async def update_many(table: Table, rows: list[M], using: Using) -> int:
    """Update the changed fields of many rows, all or none; how many rows had some."""
    _check_whole(table, rows)
    changes = {
        id(row): (row, changed)
        for row in rows
        if _is_stored(table, row) and (changed := changed_fields(table, row))
    }
    if not changes:
        return 0
    written: list[tuple[list[M], list[Loaded]]] = []
    where = using or _common_origin(table, [row for row, _ in changes.values()])
    async with together(where) as block_of_all:
        for names, alike in _alike(table, list(changes.values())):
            written.append((alike, await _update_alike(table, names, alike, block_of_all)))
    # Only now: had one failed, none would be stored.
    for rows_alike, known in written:
        store(table, rows_alike, known, using)
    return len(changes)


def _common_origin(table: Table, rows: list[M]) -> str:
    """The connection that all of some rows are from."""
    origins = sorted({stored_row(table, row)[1] for row in rows})
    if len(origins) > 1:
        raise InvalidQuery(
            f"these `{table.label}` are from several connections, `{origins[0]}` and "
            f"`{origins[1]}`: update those of each together, or name one with `using`"
        )
    return origins[0]


def _alike(
    table: Table, changes: Sequence[tuple[M, tuple[str, ...]]]
) -> list[tuple[tuple[str, ...], list[M]]]:
    """Rows of which the same fields have changed, and no two of them are the same row."""
    found: list[tuple[tuple[str, ...], list[M]]] = []
    open_ones: dict[tuple[str, ...], tuple[set[Any], list[M]]] = {}
    for row, names in changes:
        key, _ = stored_row(table, row)
        keys, alike = open_ones.get(names, (None, []))
        if keys is None or key in keys:
            keys, alike = open_ones[names] = (set(), [])
            found.append((names, alike))
        keys.add(key)
        alike.append(row)
    return found


async def _update_alike(
    table: Table, names: tuple[str, ...], rows: list[M], using: Transaction
) -> list[Loaded]:
    """Update the same fields of many rows, by one statement for as many as it takes; what is known
    of them then.
    """
    keys = tuple(it.name for it in table.keys)
    label, runner = session(using)
    if not set(keys).intersection(names):
        fields = (*names, *keys)
        query = table.query(("update-many", names, fields))
        writing = runner.write(query, rows, table.stored(fields), None)
        known = _known_after(table, names, rows, label)
        if await writing != len(rows):
            raise gone(table)
        return known
    # A row is found by its former key, and the batch would have to carry both.
    known = []
    for row in rows:
        key, _ = stored_row(table, row)
        values = (*_values(table, names, row), *key)
        writing = runner.execute(table.query(("update", names)), values)
        known += _known_after(table, names, [row], label)
        if await writing == 0:
            raise gone(table)
    return known


def _known_after(
    table: Table, names: tuple[str, ...], rows: Sequence[Model], label: str
) -> list[Loaded]:
    """What is known of rows when these of their fields, and no others, are written as they are."""
    places = [table.places[name] for name in names]
    known: list[Loaded] = []
    for row, now in zip(rows, table.loader.know(list(rows), label), strict=True):
        after = [label, *(loaded(row) or now)[1:]]
        for place in places:
            after[place] = now[place]
        known.append(tuple(after))
    return known


async def delete(table: Table, row: Model, using: Using) -> None:
    """Delete a row."""
    key, origin = stored_row(table, row)
    _, runner = session(using or origin)
    if await runner.execute(table.query(("delete",)), key) == 0:
        raise gone(table)
    inside = block(using)
    if inside is not None:
        inside.memory.note(table, [row])
    object.__delattr__(row, "_ferro_loaded")
    drop(row)


def store(
    table: Table,
    rows: Sequence[Model],
    known: Sequence[Loaded],
    using: Using,
    *,
    given: str | None = None,
) -> None:
    """Note what is known of rows that are stored now; `given` is a key that was generated."""
    inside = block(using)
    if inside is not None:
        inside.memory.note(table, rows, key=given)
    move(table, rows, known)
    table.loader.store(list(rows), list(known))


def changed_fields(table: Table, row: Model) -> tuple[str, ...]:
    """The fields that differ from what is stored."""
    before = (loaded(row) or ())[1:] or (None,) * len(table.names)
    values = row.__dict__
    return tuple(
        name
        for name, known in zip(table.names, before, strict=True)
        if name in values and not _same(known, values[name])
    )


def stored_row(table: Table, row: Model) -> tuple[tuple[Any, ...], str]:
    """The key of a row as it is stored, and its connection."""
    known = loaded(row)
    if known is None:
        raise InvalidQuery(f"this `{table.label}` was never saved, or it was deleted")
    if len(known) == 1:
        raise InvalidQuery(
            f"this `{table.label}` was stored by `bulk_create` without `return_keys=True`, so its "
            "key is not known: query the row first"
        )
    return tuple(key.stored(known[table.places[key.name]]) for key in table.keys), known[0]


def gone(table: Table) -> DoesNotExist:
    """The error for a row that had to exist."""
    return DoesNotExist(f"this `{table.label}` is gone: its row was deleted, or its key changed")


def taken(table: Table, key: tuple[str, ...]) -> UniqueViolation:
    """The error for a key whose row does not match, or may not be seen: both look alike."""
    error = UniqueViolation(
        f"the key {quoted(key)} of `{table.label}` is taken by a row that does not match"
    )
    error.table = table.name
    error.column = table.column(key[0]).db_column or key[0] if len(key) == 1 else None
    return error


def validated_values(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """Values to look for, as Pydantic would have stored them."""
    try:
        return {
            name: table.column(name).stored(table.validated(name, value))
            for name, value in values.items()
        }
    except pydantic.ValidationError:
        # The model says better what is wrong, when a row is made of them.
        return values


def stored_values(table: Table, names: Iterable[str], row: Model) -> dict[str, Any]:
    """Some values of a row, to look for them."""
    return {name: table.column(name).stored(row.__dict__[name]) for name in names}


def is_like(table: Table, found: Model, row: Model, names: Iterable[str]) -> bool:
    """Whether a row that was read has some values of another one."""
    known = loaded(found) or ()
    return all(_same(known[table.places[name]], row.__dict__[name]) for name in names)


def conflict_of(
    table: Table, target: Iterable[str] | str, updated: Iterable[str] | None, given: Iterable[str]
) -> Conflict:
    """The key that may be taken, and what is updated then: by default all that is given."""
    names = tuple(_field(table, name) for name in _listed(target))
    key = table.unique_key(set(names))
    if key is None or set(key) != set(names):
        raise InvalidQuery(
            f"`{table.label}`: {quoted(names) or 'nothing'} is no key: name the primary key, or "
            "fields that are unique"
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
            f"which {quoted(values) or 'nothing'} is not; make those unique"
        )
    return key


def check_distinct(table: Table, rows: Iterable[Model], target: tuple[str, ...]) -> None:
    """Refuse two rows for one key: which of them would win?"""
    seen: set[Any] = set()
    for row in rows:
        key = tuple(row.__dict__[name] for name in target)
        if None not in key and key in seen:
            raise InvalidQuery(f"two of the `{table.label}` have the same {quoted(target)}")
        seen.add(key)


def _inserted(table: Table, row: Model) -> tuple[str, ...]:
    """The fields that an insert names: all but a key that is to be generated."""
    key = table.generated_key
    if key is not None and vars(row).setdefault(key.name, None) is None:
        return table.names_without_key
    return table.names


def _by_key(table: Table, rows: list[M]) -> tuple[list[M], list[M]]:
    if table.generated_key is None:
        return rows, []
    with_key: list[M] = []
    without_key: list[M] = []
    for row in rows:
        (with_key if _inserted(table, row) is table.names else without_key).append(row)
    return with_key, without_key


async def _insert_alike(
    table: Table,
    rows: list[M],
    using: Using,
    conflict: Conflict | None,
    return_keys: bool = False,
) -> int:
    if not rows:
        return 0
    names = _inserted(table, rows[0])
    label, runner = session(using)
    key = table.generated_key
    whole = names is table.names
    if return_keys and key is not None and not whole:
        query = table.query(("insert-many", names, (key.name,), conflict))
        returning = runner.write_returning(query, rows, table.stored(names))
        known = table.loader.know(rows, label)
        known = _with_keys(table, key.name, rows, known, await returning)
        store(table, rows, known, using, given=key.name)
        keep(label, table, rows)
        return len(rows)
    query = table.query(("insert-many", names, None, conflict))
    loader = table.loader if whole and conflict is None else None
    inside = block(using)
    if inside is not None and conflict is None:
        # Before, as they are marked when the database answers, even if nobody waits any more.
        inside.memory.note(table, rows, new=True)
    count = await runner.write(query, rows, table.stored(names), loader)
    if conflict is None and not whole:
        table.loader.store(rows, [(label,)] * len(rows))
    elif conflict is None:
        keep(label, table, rows)
    return count


def _with_keys(
    table: Table,
    name: str,
    rows: Sequence[Model],
    known: list[Loaded],
    keys: list[tuple[Any, ...]],
) -> list[Loaded]:
    """Give rows their generated keys; what is known of them then."""
    place = table.places[name]
    for row, (key,) in zip(rows, keys, strict=True):
        vars(row)[name] = key
    return [(*it[:place], *key, *it[place + 1 :]) for it, key in zip(known, keys, strict=True)]


def _values(table: Table, names: Iterable[str], row: Model) -> tuple[Any, ...]:
    values = row.__dict__
    encoded = table.encoded
    try:
        if not encoded:
            return tuple([values[name] for name in names])
        return tuple(
            [encoded[name](values[name]) if name in encoded else values[name] for name in names]
        )
    except KeyError:
        _check_whole(table, [row])
        raise


def _check_whole(table: Table, rows: Iterable[Model]) -> None:
    """Refuse rows that lack a field, as those of `model_construct` may."""
    names = table.places.keys()
    for row in rows:
        if not names <= row.__dict__.keys():
            missing = next(name for name in names if name not in row.__dict__)
            raise InvalidQuery(
                f"a row has no value for its field `{missing}`: give it one, or make the row by "
                "calling the model"
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
