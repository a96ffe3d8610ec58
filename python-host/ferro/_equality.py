"""Equality of stored values: in Python `1 == True == 1.0`, but a database distinguishes them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any


def is_same(one: Any, other: Any) -> bool:
    """Whether two values have the same type and are equal, including the parts of documents and
    lists.

    Example:
        >>> is_same({"active": 1}, {"active": 1}), is_same({"active": 1}, {"active": True})
        (True, False)
        >>> is_same(Decimal("1.0"), Decimal("1.00"))
        False
        >>> is_same(Decimal("1E+1"), Decimal("10")), is_same([float("nan")], (float("nan"),))
        (True, True)
    """
    if not isinstance(one, (dict, list, tuple)):
        return _is_same_scalar(one, other)
    # Documents may be nested deeper than calls.
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict):
            if not isinstance(other, dict) or one.keys() != other.keys():
                return False
            pairs += [(value, other[key]) for key, value in one.items()]
        elif isinstance(one, (list, tuple)):
            if not isinstance(other, (list, tuple)) or len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif not _is_same_scalar(one, other):
            return False
    return True


def _is_same_scalar(one: Any, other: Any) -> bool:
    if one is other:
        return True
    kind = type(one)
    if kind is not type(other):
        return False
    compare = _COMPARED.get(kind)
    return bool(one == other) if compare is None else compare(one, other)


def _is_same_decimal(one: Decimal, other: Decimal) -> bool:
    if not one.is_finite() or not other.is_finite():
        return one.as_tuple() == other.as_tuple()
    return one == other and _places(one) == _places(other)


def _places(decimal: Decimal) -> int:
    """The digits behind the point."""
    exponent = decimal.as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def _is_same_float(one: float, other: float) -> bool:
    if one != one or other != other:
        return one != one and other != other
    return one == other and math.copysign(1, one) == math.copysign(1, other)


def _is_same_instant(one: datetime.datetime, other: datetime.datetime) -> bool:
    # Within one zone, Python compares local times, which repeat an hour in autumn; it takes that
    # hour for unequal to any in another zone.
    ahead, other_ahead = one.utcoffset(), other.utcoffset()
    if ahead is None or other_ahead is None:
        return one == other
    clocks = one.replace(tzinfo=None) - other.replace(tzinfo=None)
    return clocks == ahead - other_ahead


_COMPARED: dict[type, Callable[[Any, Any], bool]] = {
    Decimal: _is_same_decimal,
    float: _is_same_float,
    datetime.datetime: _is_same_instant,
}
"""Types whose equal values may be stored differently, or whose unequal values alike."""
