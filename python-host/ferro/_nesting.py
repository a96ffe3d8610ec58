"""Blocks inside of blocks: which one counts, in each task."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Generic, TypeVar

T = TypeVar("T")


class Nesting(Generic[T]):
    """What the blocks around some code have chosen: the innermost one counts.

    It is kept with the context and not with the blocks: several tasks may be in one block at a
    time, and a generator may leave its block while another one is open around it.
    """

    def __init__(self, name: str) -> None:
        self._chosen: ContextVar[tuple[T, ...]] = ContextVar(name, default=())

    def current(self) -> T | None:
        """What the innermost block has chosen."""
        chosen = self._chosen.get()
        return chosen[-1] if chosen else None

    def enter(self, choice: T) -> None:
        """A block begins."""
        self._chosen.set((*self._chosen.get(), choice))

    def leave(self, choice: T) -> None:
        """A block ends; one that had begun elsewhere is none of this context's."""
        chosen = self._chosen.get()
        for place in reversed(range(len(chosen))):
            if chosen[place] is choice:
                self._chosen.set((*chosen[:place], *chosen[place + 1 :]))
                return
