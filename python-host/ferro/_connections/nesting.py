"""Nested blocks: the innermost one applies, in each task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class Nesting(Generic[T]):
    """The choices of the enclosing blocks; the innermost one applies.

    They are kept in the context and not in the blocks: several tasks may be in one block at a time,
    and a generator may leave its block while an enclosing one is open. `counts` says whether a
    choice still applies: a block may end in a context other than those that hold it.
    """

    def __init__(self, name: str, counts: Callable[[T], bool] = lambda _: True) -> None:
        self._chosen: ContextVar[tuple[T, ...]] = ContextVar(name, default=())
        self._counts = counts

    def current(self) -> T | None:
        """The choice of the innermost block."""
        return next(self.all(), None) if self.any() else None

    def all(self) -> Iterator[T]:
        """The choices of the blocks, the innermost first."""
        return filter(self._counts, reversed(self._chosen.get()))

    def any(self) -> bool:
        """Whether there may be an enclosing block."""
        return bool(self._chosen.get())

    def enter(self, choice: T) -> None:
        """Begin a block."""
        self._chosen.set((*filter(self._counts, self._chosen.get()), choice))

    def leave(self, choice: T) -> None:
        """End a block; one that began in another context is ignored."""
        chosen = self._chosen.get()
        for place in reversed(range(len(chosen))):
            if chosen[place] is choice:
                self._chosen.set((*chosen[:place], *chosen[place + 1 :]))
                return


class Block(Generic[T]):
    """The choice of a block, for the task in which it begins and the tasks started inside."""

    __slots__ = ("__weakref__", "choice", "ended", "task")

    def __init__(self, choice: T) -> None:
        self.choice = choice
        self.task = this_task()
        self.ended = False

    def counts(self) -> bool:
        """Whether the choice still applies: tasks started inside stay in the block when it has
        ended.
        """
        return not self.ended or self.task is not this_task()


class Blocks(Generic[T]):
    """The blocks of one choice; several tasks may be in them at a time."""

    def __init__(self, nesting: Nesting[Block[T]], choice: T) -> None:
        self._nesting = nesting
        self._choice = choice
        self._open: WeakSet[Block[T]] = WeakSet()

    def enter(self) -> None:
        """Begin a block."""
        block = Block(self._choice)
        self._nesting.enter(block)
        self._open.add(block)

    def leave(self) -> None:
        """End the block that this task is in.

        Otherwise it is the block of an abandoned generator, which another task closes. If there are
        several, none ends: a task must not lose a block that it is in.
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
    """The task that runs this code."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        # A thread may have the context of a task, but no loop.
        return None
