"""Writes of many rows, all or none, with as many rows per statement as it allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .._connections.scope import current_scope
from .._connections.transaction import Transaction, Using, block, runner_for, together
from .._tables.table import Table
from ..exceptions import InvalidQuery
from .conflict import Conflict, taken
from .forced import fill
from .identity import track
from .write import (
    Change,
    Known,
    change_of,
    check_whole,
    fields_left,
    generated_among,
    loaded,
    missing,
    named_version,
    store,
    with_filled,
    with_next_version,
)

if TYPE_CHECKING:
    from .._models.model import Model

M = TypeVar("M", bound="Model")


async def insert_many(
    table: Table,
    rows: list[M],
    using: Using,
    conflict: Conflict | None = None,
    *,
    return_keys: bool = False,
) -> int:
    """Insert many rows, all or none; return how many were inserted or updated.

    With `return_keys`, each row takes over what the database fills in.
    """
    fill(table, rows, using)
    groups = _by_left(table, rows)

    async def insert_all(where: Using) -> int:
        counts = [
            await _insert_alike(table, alike, left, where, conflict, return_keys)
            for left, alike in groups
        ]
        return sum(counts)

    may_fail = conflict is not None and current_scope() is not None
    if len(groups) < 2 and not may_fail:
        return await insert_all(using)
    async with together(using) as block_of_all:
        return await insert_all(block_of_all)


async def update_many(table: Table, rows: list[M], using: Using) -> int:
    """Update the changed fields of many rows, all or none; return how many had changes."""
    check_whole(table, rows)
    found = {id(row): (row, change_of(table, row, using)) for row in rows}
    changes = [(row, change) for row, change in found.values() if change.names]
    if not changes:
        return 0
    written: list[tuple[list[M], list[Known], Change]] = []
    where = using or _common_origin(table, [change for _, change in changes])
    async with together(where) as block_of_all:
        for alike in _alike(changes):
            rows_alike = [row for row, _ in alike]
            known = await _update_alike(table, alike, block_of_all)
            written.append((rows_alike, known, alike[0][1]))
    # Only now: had one failed, none would be stored.
    for rows_alike, known, change in written:
        known = with_next_version(table, rows_alike, known) if change.counts(table) else known
        store(table, rows_alike, known, using, updated=table.set_besides(change.names))
    return len(changes)


def _common_origin(table: Table, changes: list[Change]) -> str:
    """The connection that all of the rows came from."""
    origins = sorted({change.origin for change in changes})
    if len(origins) > 1:
        raise InvalidQuery(
            f"these `{table.label}` are from several connections, `{origins[0]}` and "
            f"`{origins[1]}`: update those of each together, or name one with `using`"
        )
    return origins[0]


def _alike(changes: Sequence[tuple[M, Change]]) -> list[list[tuple[M, Change]]]:
    """Group the changes by changed fields, without the same row twice in a group."""
    found: list[list[tuple[M, Change]]] = []
    open_ones: dict[Any, tuple[set[Any], list[tuple[M, Change]]]] = {}
    for row, change in changes:
        kind = change.names, bool(change.version)
        keys, alike = open_ones.get(kind, (None, []))
        if keys is None or change.key in keys:
            keys, alike = open_ones[kind] = (set(), [])
            found.append(alike)
        keys.add(change.key)
        alike.append((row, change))
    return found


async def _update_alike(
    table: Table, alike: list[tuple[M, Change]], using: Transaction
) -> list[Known]:
    """Update the same fields of many rows; return their new tracked state."""
    rows = [row for row, _ in alike]
    names, version = alike[0][1].names, named_version(table, alike[0][1].version)
    keys = tuple(it.name for it in table.keys)
    label, runner = runner_for(using)
    if not {*keys, version}.intersection(names):
        fields = (*names, *keys) if version is None else (*names, *keys, version)
        query = table.query(("update-many", names, keys, version))
        writing = runner.write(query, rows, table.stored(fields), (), None)
        known = _known_after(table, names, rows, label)
        if await writing != len(rows):
            raise await missing(table, [change for _, change in alike], runner)
        return known
    # A row is found by its old values, and the batch would need both old and new.
    known = []
    for row, change in alike:
        writing = runner.execute(change.query(table), change.values(table, row))
        known += _known_after(table, names, [row], label)
        if await writing == 0:
            raise await missing(table, [change], runner)
    return known


def _known_after(
    table: Table, names: tuple[str, ...], rows: Sequence[Model], label: str
) -> list[Known]:
    """The tracked state of rows after only these of their fields have been written."""
    places = [table.places[name] for name in names]
    known: list[Known] = []
    for row, now in zip(rows, table.loader.know(list(rows), label), strict=True):
        before = loaded(row) or now
        after = list(before if before[0] == label else now)
        for place in places:
            after[place] = now[place]
        known.append(tuple(after))
    return known


def _by_left(table: Table, rows: list[M]) -> list[tuple[tuple[str, ...], list[M]]]:
    """Rows by what they leave to the database. Those that have a key go first: one that is
    generated before could be theirs.
    """
    found: dict[tuple[str, ...], list[M]] = {}
    for row in rows:
        found.setdefault(fields_left(table, row), []).append(row)
    return sorted(found.items(), key=lambda it: generated_among(table, it[0]) is not None)


async def _insert_alike(
    table: Table,
    rows: list[M],
    left: tuple[str, ...],
    using: Using,
    conflict: Conflict | None,
    return_keys: bool,
) -> int:
    names = table.without(left)
    label, runner = runner_for(using)
    if return_keys and left:
        query = table.query(("insert-many", names, left, None))
        returning = runner.write_returning(query, rows, table.stored(names))
        known = table.loader.know(rows, label)
        known = with_filled(table, left, known, await returning)
        store(table, rows, known, using, filled=left)
        track(label, table, rows)
        return len(rows)
    if conflict is not None:
        conflict = conflict.of(left)
        query = table.query(("insert-many", names, None, conflict.shape))
        count = await runner.write(query, rows, table.stored(names), conflict.values, None)
        if count != len(rows) and current_scope() is not None and not conflict.may_leave:
            # A row of another tenant is neither updated nor revealed.
            raise taken(table, conflict.target)
        return count
    query = table.query(("insert-many", names, None, None))
    loader = None if left else table.loader
    count = await runner.write(query, rows, table.stored(names), (), loader)
    inside = block(using)
    if inside is not None:
        # They may be marked as stored now, which they were not before.
        inside._undo_log.note(table, rows, new=True)
    if left:
        table.loader.store(rows, [(label,)] * len(rows))
    else:
        track(label, table, rows)
    return count
