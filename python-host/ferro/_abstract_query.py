"""Errors for misuse of queries, which have no rows before they are awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from ._message import nearest
from ._other_orms import WORDS


class AbstractQuery:
    """Raises errors with advice if a query is used like a list, or like a query of another ORM."""

    __slots__ = ()

    _kind: ClassVar[str] = "queries"
    _instead: ClassVar[dict[str, str]] = {}
    """Advice for the methods of other kinds of queries."""

    # Type checkers report these as missing.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            instead = self._instead.get(name)
            if instead is not None:
                message = f"`{name}` is not for {self._kind}: {instead}"
                raise AttributeError(message, name=name, obj=self)
            own = WORDS.get(name)
            known = (it for it in dir(type(self)) if not it.startswith("_"))
            hint = f"use `.{own}`" if own else nearest(name, known)
            raise AttributeError(f"a query has no `{name}`: {hint}", name=name, obj=self)

        def __iter__(self) -> NoReturn:
            raise TypeError("a query has no rows before it is awaited: `for row in await query`")

        def __aiter__(self) -> NoReturn:
            raise TypeError("read a query row by row with `async for row in query.stream()`")

        def __len__(self) -> NoReturn:
            raise TypeError("a query has no length until it runs: `await query.count()`")

        def __bool__(self) -> NoReturn:
            raise TypeError("a query is neither true nor false: `await query.exists()`")

        def __getitem__(self, place: Any) -> NoReturn:
            raise TypeError(
                "a query cannot be indexed: use `await query.offset(…).limit(…)`, or `first`"
            )
