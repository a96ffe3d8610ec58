"""Places in the order of a query, as values and as text."""

from __future__ import annotations

import datetime
import decimal
import struct
import uuid
from collections.abc import Callable
from typing import Any

from ..exceptions import InvalidQuery


class Position:
    """The place of a row in the order of a query: where `page_after` and `page_before` go on.

    As text, `str(position)`, it has digits and the letters `a` to `f` only, so that it can stand in
    a URL; both methods take that as well. It holds the values that the row is ordered by: whoever
    sees it can read them. The SDK for Rust writes and reads the same text.

    Example:
        >>> import ferro
        >>> position = ferro.Position.parse("6930")
        >>> position
        Position.parse('6930')
        >>> ferro.Position.parse("no position")
        Traceback (most recent call last):
        ferro.exceptions.InvalidQuery: the text is not a position in a query
    """

    __slots__ = ("values",)

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.values = values
        """What the row is ordered by, as the database has it."""

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position of a text."""
        try:
            parts = bytes.fromhex(text).decode().split("\0")
            return cls(tuple([_READ[part[0]](part[1:]) for part in parts]))
        except (ArithmeticError, LookupError, TypeError, ValueError, struct.error):
            raise InvalidQuery("the text is not a position in a query") from None

    def __str__(self) -> str:
        return "\0".join(map(_written, self.values)).encode().hex()

    def __repr__(self) -> str:
        return f"Position.parse({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Position) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


_EPOCH = datetime.datetime(1970, 1, 1)
_FIRST_DAY = _EPOCH.toordinal()
_MICROSECOND = datetime.timedelta(microseconds=1)


def _written(value: Any) -> str:
    """A letter for the type, and the value, as a number or in hexadecimal: without a NUL."""
    match value:
        case None:
            return "n"
        case bool():
            return f"b{int(value)}"
        case int():
            return f"i{value}"
        case float():
            return f"f{struct.unpack('>Q', struct.pack('>d', value))[0]}"
        case decimal.Decimal():
            return f"m{value}"
        case str():
            return f"t{value.encode().hex()}"
        case bytes():
            return f"x{value.hex()}"
        case uuid.UUID():
            return f"u{value.int}"
        case datetime.datetime() if value.tzinfo is None:
            return f"s{(value - _EPOCH) // _MICROSECOND}"
        case datetime.datetime():
            return f"z{(value - _EPOCH.replace(tzinfo=datetime.timezone.utc)) // _MICROSECOND}"
        case datetime.date():
            return f"d{value.toordinal() - _FIRST_DAY}"
        case datetime.time():
            day = datetime.datetime.combine(_EPOCH, value)
            return f"h{(day - _EPOCH) // _MICROSECOND}"
    raise InvalidQuery(f"rows that are ordered by `{type(value).__name__}` come in no pages")


def _moment(text: str) -> datetime.datetime:
    return _EPOCH + int(text) * _MICROSECOND


def _null(text: str) -> None:
    if text:
        raise ValueError(text)


_READ: dict[str, Callable[[str], Any]] = {
    "n": _null,
    "b": lambda text: bool(int(text)),
    "i": int,
    "f": lambda text: struct.unpack(">d", struct.pack(">Q", int(text)))[0],
    "m": decimal.Decimal,
    "t": lambda text: bytes.fromhex(text).decode(),
    "x": bytes.fromhex,
    "u": lambda text: uuid.UUID(int=int(text)),
    "s": _moment,
    "z": lambda text: _moment(text).replace(tzinfo=datetime.timezone.utc),
    "d": lambda text: datetime.date.fromordinal(int(text) + _FIRST_DAY),
    "h": lambda text: _moment(text).time(),
}
