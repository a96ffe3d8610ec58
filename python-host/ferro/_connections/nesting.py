"""Blocks inside of blocks: which one counts, in each task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Generic, TypeVar
from weakref import WeakSet

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

    def any(self) -> bool:
        """Whether there may be a block around."""
        return bool(self._chosen.get())

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


class Block(Generic[T]):
    """What a block has chosen, for the task that it begins in and those that are started inside."""

    __slots__ = ("__weakref__", "choice", "ended", "task")

    def __init__(self, choice: T) -> None:
        self.choice = choice
        self.task = this_task()
        self.ended = False

    def counts(self) -> bool:
        """Whether it still does. Tasks that were started inside may outlive it, and stay in it."""
        return not self.ended or self.task is not this_task()


class Blocks(Generic[T]):
    """The blocks of one choice, which several tasks may be in at a time."""

    def __init__(self, nesting: Nesting[Block[T]], choice: T) -> None:
        self._nesting = nesting
        self._choice = choice
        self._open: WeakSet[Block[T]] = WeakSet()

    def enter(self) -> None:
        """A block begins."""
        block = Block(self._choice)
        self._nesting.enter(block)
        self._open.add(block)

    def leave(self) -> None:
        """A block ends: the one that this task is in.

        Else it is that of a generator that was left, which a task of its own closes. Where there
        are several, none ends: a task must not lose a block that it is in.
        """
        here = this_task()
        own = (it for it in self._nesting.all() if it in self._open and it.task is here)
        block = next(own, None)
        if block is None and len(self._open) == 1:
            (block,) = self._open
        if block is not None:
            block.ended = True
            self._open.discard(block)
            self._nesting.leave(block)


def this_task() -> asyncio.Task[Any] | None:
    """The task that this code is run by."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        # A thread may have the context of a task, and has no loop.
        return None
