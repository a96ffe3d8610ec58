"""What a query is not: it has no rows before it is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn


class Unasked:
    """Says what to do, in place of Python, where a query is used as if it were a list."""

    __slots__ = ()

    # Who checks types is told that there are none of these.
    if not TYPE_CHECKING:

        def __iter__(self) -> NoReturn:
            raise TypeError("a query has no rows before it is awaited: `for row in await query`")

        def __aiter__(self) -> NoReturn:
            raise TypeError("a query is read row by row as `async for row in query.stream()`")

        def __len__(self) -> NoReturn:
            raise TypeError("a query has no length before it is asked: `await query.count()`")

        def __bool__(self) -> NoReturn:
            raise TypeError("a query is neither true nor false: `await query.exists()`")

        def __getitem__(self, place: Any) -> NoReturn:
            raise TypeError("a query has no places: `await query.offset(…).limit(…)`, or `first`")
