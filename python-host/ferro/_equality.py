"""Whether values are stored alike: `1 == True == 1.0`, and a database tells them apart."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are of one type and equal, down to the parts of documents and lists.

    Example:
        >>> is_same({"active": 1}, {"active": 1}), is_same({"active": 1}, {"active": True})
        (True, False)
        >>> is_same(Decimal("1.0"), Decimal("1.00"))
        False
    """
    if type(one) is not dict and type(one) is not list:
        return _is_same_scalar(one, other)
    # Documents are nested deeper than calls may be.
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        kind = type(one)
        if kind is dict:
            if type(other) is not dict or one.keys() != other.keys():
                return False
            pairs += [(value, other[key]) for key, value in one.items()]
        elif kind is list:
            if type(other) is not list or len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif not _is_same_scalar(one, other):
            return False
    return True


def _is_same_scalar(one: Any, other: Any) -> bool:
    if one is other:
        return True
    kind = type(one)
    if kind is not type(other) or one != other:
        return False
    closer = _CLOSER.get(kind)
    return closer is None or closer(one, other)


def _is_same_instant(one: datetime.datetime, other: datetime.datetime) -> bool:
    # Of one zone, Python compares the clock alone, which shows an hour twice in autumn.
    return one.tzinfo is not other.tzinfo or one.utcoffset() == other.utcoffset()


_CLOSER: dict[type, Callable[[Any, Any], bool]] = {
    Decimal: lambda one, other: one.as_tuple() == other.as_tuple(),
    float: lambda one, other: math.copysign(1, one) == math.copysign(1, other),
    datetime.datetime: _is_same_instant,
}
"""What else is to be the same of values that are equal."""
