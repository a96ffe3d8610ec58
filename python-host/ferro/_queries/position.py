"""Positions in the order of a query, as values and as text."""

from __future__ import annotations

from typing import Any

from .. import _native
from .._argument import check
from ..exceptions import InvalidPosition, InvalidQuery


class Position:
    """The position of a row in the order of a query, from which `page_after` and `page_before`
    continue.

    As text, `str(position)`, it consists of digits and the letters `a` to `f`, so that it fits in a
    URL; both methods take this text as well. It contains the order and the row's values in it, in
    readable form. The Rust SDK writes and reads the same text.

    Example:
        >>> import ferro
        >>> position = ferro.Position.parse("6964006930")
        >>> position
        Position.parse('6964006930')
        >>> ferro.Position.parse("no position")
        Traceback (most recent call last):
        ferro.exceptions.InvalidPosition: the text is not a position in a query
    """

    __slots__ = ("order", "values")

    def __init__(self, order: str, values: tuple[Any, ...]) -> None:
        self.order = order
        """The terms of the order: `-age,id`."""
        self.values = values
        """The row's values in the order, in database form."""

    @classmethod
    def parse(cls, text: str) -> Position:
        """Parse a position; raises `InvalidPosition` if the text is not one."""
        check(InvalidQuery, text=(text, str))
        try:
            return cls(*_native.position_parts(text))
        except InvalidQuery as error:
            raise InvalidPosition(str(error)) from None

    def __str__(self) -> str:
        return _native.position_text(self.order, self.values)

    def __repr__(self) -> str:
        return f"Position.parse({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Position) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))
