"""The tracked state of rows before a transaction wrote them, for its rollback."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._models.model import Model
    from .._tables.table import Table


Places = tuple[tuple[str, int], ...]
"""Fields, each with its index in the tracked state of a row."""

Former = tuple[tuple[str, int, Any], ...]
"""Fields, each with its index in the tracked state of a row, and a value that it had."""

_ASSIGNED = object()
"""In the place of a value that an update replaced: another one has been assigned since."""


class UndoLog:
    """The state of each row that a transaction writes, as tracked before its first write.

    It holds rows weakly, so that a transaction that stores millions of them does not keep them.
    """

    def __init__(self) -> None:
        self._rows: dict[int, _Before] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def note(
        self,
        table: Table,
        rows: Sequence[Model],
        *,
        new: bool = False,
        filled: tuple[str, ...] = (),
        updated: tuple[str, ...] = (),
    ) -> None:
        """Record the tracked state of rows before it changes; `filled` are the fields that the
        database fills in, `updated` those that an update sets by itself. The rows hold their former
        values.

        `new` rows have no tracked state.
        """
        places = tuple([(name, table.places[name]) for name in filled])
        for row in rows:
            known = None if new else getattr(row, "_ferro_loaded", None)
            before = self._rows.get(id(row))
            if before is None:
                before = self._keep(row, known, places, ())
            elif not before.filled and not (new and before.known is not None):
                # A row that was stored before remains stored, even if it was inserted again as new.
                before.filled = places
            if table.set_by_updates and known is not None and len(known) > 1:
                before.updated = _seen(table, row, known, before.updated, updated)

    def undo(self) -> None:
        """Restore the first tracked state of all rows."""
        for before in list(self._rows.values()):
            before.restore()

    def add(self, inner: UndoLog) -> None:
        """Take over the entries of an inner block that ended successfully."""
        for before in list(inner._rows.values()):
            row = before.row()
            if row is None:
                continue
            own = self._rows.get(id(row))
            if own is None:
                self._keep(row, before.known, before.filled, before.updated)
                continue
            own.updated = _followed(own.updated, before)
            if not own.filled and not (own.known is not None and before.known is None):
                own.filled = before.filled

    def clear(self) -> None:
        """Forget all entries: the block has ended."""
        self._rows = {}

    def _keep(self, row: Model, known: Any, filled: Places, updated: Former) -> _Before:
        rows, number = self._rows, id(row)
        # When the row is collected, its entry goes too: another object may get its `id`.
        gone = weakref.ref(row, lambda _: rows.pop(number, None))
        rows[number] = _Before(gone, known, filled, updated)
        return rows[number]


def _seen(
    table: Table, row: Model, known: tuple[Any, ...], former: Former, updated: tuple[str, ...]
) -> Former:
    """The values that updates have replaced by themselves, once a row is written again."""
    found = {name: value for name, _, value in former}
    for name in table.set_by_updates:
        value = vars(row).get(name)
        if value != known[table.places[name]]:
            found[name] = _ASSIGNED
        elif name in updated and found.get(name, _ASSIGNED) is _ASSIGNED:
            found[name] = value
    return tuple([(name, table.places[name], value) for name, value in found.items()])


def _followed(former: Former, inner: _Before) -> Former:
    """The values that updates have replaced by themselves, once an inner block has ended well."""
    found = {name: (place, value) for name, place, value in former}
    for name, place, value in inner.updated:
        # One that was assigned inside replaces what was there before it.
        if name not in found or (inner.known is not None and value != inner.known[place]):
            found[name] = (place, value)
    return tuple([(name, place, value) for name, (place, value) in found.items()])


@dataclass(slots=True)
class _Before:
    """The tracked state of a row."""

    row: weakref.ref[Model]
    known: tuple[Any, ...] | None
    """None if it was new."""
    filled: Places
    """The fields that the database generated."""
    updated: Former
    """The fields that an update set by itself, with their values before the first such update."""

    def restore(self) -> None:
        row = self.row()
        if row is None:
            return
        now: Any = getattr(row, "_ferro_loaded", None)
        for name, place in self.filled:
            # Values assigned since are kept, as all assigned values are. A row whose key was not
            # read has no tracked state.
            if now is not None and place < len(now) and vars(row)[name] == now[place]:
                vars(row)[name] = None
        updated = [it for it in self.updated if it[2] is not _ASSIGNED]
        for name, place, value in updated:
            if now is not None and place < len(now) and vars(row)[name] == now[place]:
                vars(row)[name] = value
        if self.known is not None:
            object.__setattr__(row, "_ferro_loaded", self.known)
        elif now is not None:
            object.__delattr__(row, "_ferro_loaded")
