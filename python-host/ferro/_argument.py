"""Checks of arguments: those of the wrong type are rejected early.

Users without a type checker would otherwise get an error from deep inside, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ._message import quoted
from .exceptions import FerroError, InvalidQuery, ValueOutOfRange

_EXPECTED: dict[Any, tuple[str, ...]] = {
    bool: ("True", "False"),
    int: ("an int",),
    float: ("a number",),
    type: ("a class",),
    Iterable: ("a list",),
    Mapping: ("a dict",),
    Callable: ("a function",),
    None: ("None",),
}


def check(error: type[FerroError], **arguments: tuple[Any, ...]) -> None:
    """Reject arguments of the wrong type, each passed as its value and the accepted types.

    Example:
        >>> from ferro.exceptions import InvalidQuery
        >>> check(InvalidQuery, batch=(5, int), using=(None, str, None))
        >>> check(InvalidQuery, batch=(True, int))
        Traceback (most recent call last):
        ferro.exceptions.InvalidQuery: `batch` takes an int, not `bool`
    """
    for name, argument in arguments.items():
        value, kinds = argument[0], argument[1:]
        # Nearly every argument has exactly the expected type.
        if type(value) not in kinds and not any(_is(value, kind) for kind in kinds):
            # Not the value: it may be a URL with a password, passed in the wrong place.
            raise error(f"`{name}` takes {_expected(kinds)}, not `{type(value).__name__}`")


def check_choice(error: type[FerroError], name: str, value: Any, choices: Iterable[str]) -> None:
    """Reject a value that is not one of the choices."""
    if value not in choices:
        raise error(f"`{name}` takes one of {quoted(choices)}, not `{value}`")


def counted(name: str, count: int) -> int:
    """Check a number of rows, and return it."""
    # Nearly every query has a limit.
    if type(count) is not int:
        check(InvalidQuery, **{name: (count, int)})
    if count < 0:
        raise ValueOutOfRange(f"`{name}` takes a non-negative int, not `{count}`")
    return count


def _expected(kinds: Iterable[Any]) -> str:
    """The expected types for a message: "a `str`, a list or None"."""
    words = [it for kind in kinds for it in _EXPECTED.get(kind) or (f"a `{kind.__name__}`",)]
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _is(value: Any, kind: Any) -> bool:
    if kind is None:
        return value is None
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    # A text would be iterated as its letters.
    return isinstance(value, kind) and not (kind is Iterable and isinstance(value, (str, bytes)))
