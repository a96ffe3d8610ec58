"""What was known of rows before a transaction wrote them, for when it is undone."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._model import Model
    from ._table import Table

_MOST_FORGOTTEN = 1_000
"""Entries before those are dropped whose rows nobody has any more."""


class Memory:
    """What a transaction remembers of the rows that are written in it, in the order of writing."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._most = _MOST_FORGOTTEN

    def note(
        self, table: Table, rows: Sequence[Model], *, new: bool = False, key: str | None = None
    ) -> None:
        """Note what is known of rows before that changes; `key` is the field that they are given.

        Rows that are `new` are not asked.
        """
        if len(self._entries) >= self._most:
            self._entries = [it for it in self._entries if it.is_of_any()]
            self._most = max(_MOST_FORGOTTEN, 2 * len(self._entries))
        known = None if new else [getattr(row, "_ferro_loaded", None) for row in rows]
        place = None if key is None else (key, table.places[key])
        self._entries.append(_Entry([weakref.ref(row) for row in rows], known, place))

    def undo(self) -> None:
        """Of all rows, what was known at first is known again."""
        while self._entries:
            self._entries.pop().undo()

    def add(self, inner: Memory) -> None:
        """Take over from a block inside that ended well."""
        self._entries += inner._entries


@dataclass(slots=True)
class _Entry:
    """Rows that were written together."""

    rows: list[weakref.ref[Model]]
    """Weak, so that a transaction that stores millions of rows does not keep them all."""
    known: list[tuple[Any, ...] | None] | None
    """What was known of each; None if they were new."""
    key: tuple[str, int] | None
    """The field of the key that they were given, and its place in what is known."""

    def is_of_any(self) -> bool:
        return any(row() is not None for row in self.rows)

    def undo(self) -> None:
        before = self.known or [None] * len(self.rows)
        for reference, known in zip(self.rows, before, strict=True):
            row = reference()
            if row is not None:
                self._undo(row, known)

    def _undo(self, row: Model, known: tuple[Any, ...] | None) -> None:
        now = getattr(row, "_ferro_loaded", None)
        if self.key is not None and now is not None:
            name, place = self.key
            # One that was assigned since stays, as all that is assigned does.
            if vars(row)[name] == now[place]:
                vars(row)[name] = None
        if known is not None:
            object.__setattr__(row, "_ferro_loaded", known)
        elif now is not None:
            object.__delattr__(row, "_ferro_loaded")
