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
        database fills in, `updated` those that an update sets by itself.

        `new` rows have no tracked state.
        """
        places = tuple([(name, table.places[name]) for name in filled])
        changing = tuple([(name, table.places[name]) for name in updated])
        for row in rows:
            before = self._rows.get(id(row))
            if before is None:
                known = None if new else getattr(row, "_ferro_loaded", None)
                self._keep(row, known, places, changing)
                continue
            before.updated = _united(before.updated, changing)
            if not before.filled and not (new and before.known is not None):
                # A row that was stored before remains stored, even if it was inserted again as new.
                before.filled = places

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
            own.updated = _united(own.updated, before.updated)
            if not own.filled and not (own.known is not None and before.known is None):
                own.filled = before.filled

    def clear(self) -> None:
        """Forget all entries: the block has ended."""
        self._rows = {}

    def _keep(self, row: Model, known: Any, filled: Places, updated: Places) -> None:
        rows, number = self._rows, id(row)
        # When the row is collected, its entry goes too: another object may get its `id`.
        gone = weakref.ref(row, lambda _: rows.pop(number, None))
        rows[number] = _Before(gone, known, filled, updated)


def _united(places: Places, others: Places) -> Places:
    return (*places, *(it for it in others if it not in places))


@dataclass(slots=True)
class _Before:
    """The tracked state of a row."""

    row: weakref.ref[Model]
    known: tuple[Any, ...] | None
    """None if it was new."""
    filled: Places
    """The fields that the database generated."""
    updated: Places
    """The fields that an update set by itself."""

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
        known: Any = self.known
        if known is not None and now is not None:
            for name, place in self.updated:
                if place < len(now) and vars(row)[name] == now[place]:
                    vars(row)[name] = known[place]
        if known is not None:
            object.__setattr__(row, "_ferro_loaded", known)
        elif now is not None:
            object.__delattr__(row, "_ferro_loaded")
