"""Blocks inside of blocks: which one counts, in each task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Generic, TypeVar

T = TypeVar("T")


class Nesting(Generic[T]):
    """What the blocks around some code have chosen: the innermost one counts.

    It is kept with the context and not with the blocks: several tasks may be in one block at a
    time, and a generator may leave its block while another one is open around it. `counts` says
    whether a choice still does: a block may end in another context than those that know it.
    """

    def __init__(self, name: str, counts: Callable[[T], bool] = lambda _: True) -> None:
        self._chosen: ContextVar[tuple[T, ...]] = ContextVar(name, default=())
        self._counts = counts

    def current(self) -> T | None:
        """What the innermost block has chosen."""
        return next(self.all(), None)

    def all(self) -> Iterator[T]:
        """What the blocks have chosen, the innermost first."""
        return filter(self._counts, reversed(self._chosen.get()))

    def enter(self, choice: T) -> None:
        """A block begins."""
        self._chosen.set((*filter(self._counts, self._chosen.get()), choice))

    def leave(self, choice: T) -> None:
        """A block ends; one that had begun elsewhere is none of this context's."""
        chosen = self._chosen.get()
        for place in reversed(range(len(chosen))):
            if chosen[place] is choice:
                self._chosen.set((*chosen[:place], *chosen[place + 1 :]))
                return
