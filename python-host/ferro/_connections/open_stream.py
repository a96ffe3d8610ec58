"""Streams that hold a connection, or the transaction that they run in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._native import RowCursor


class OpenStream:
    """A stream whose rows have not all been read."""

    __slots__ = ("__weakref__", "_cursor", "is_open", "label", "reader")

    def __init__(self, cursor: RowCursor, label: str) -> None:
        self._cursor = cursor
        self.label = label
        """The label of its connection."""
        self.reader = asyncio.current_task()
        """The task that has read from it last."""
        self.is_open = True

    def end(self) -> None:
        """Release what it holds. Reading on raises `InvalidQuery`."""
        self.is_open = False
        self._cursor.close()

    def is_abandoned(self) -> bool:
        """Whether its reader has failed or was cancelled. What keeps the error may keep the stream.

        A task that has ended well may have handed it over.
        """
        task = self.reader
        # The stack of a task that has ended is that of its error, which is left for others to see.
        return task is not None and task.done() and (task.cancelled() or bool(task.get_stack()))
