"""Sums and averages of decimals where the database has no exact ones: SQLite."""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from decimal import Decimal

_FURTHER_DIGITS = 20
"""What an average has behind the digits of its sum, as on PostgreSQL or more."""


def exact_sum(values: Iterable[Decimal]) -> Decimal | None:
    """The sum, of any precision; None for no values.

    Example:
        >>> exact_sum([Decimal("1e20"), Decimal("0.000000000001")])
        Decimal('100000000000000000000.000000000001')
    """
    total = None
    with decimal.localcontext() as context:
        context.prec = decimal.MAX_PREC
        context.Emax, context.Emin = decimal.MAX_EMAX, decimal.MIN_EMIN
        for value in values:
            total = value if total is None else total + value
    return total


def exact_average(values: list[Decimal]) -> Decimal | None:
    """The average; None for no values.

    Example:
        >>> exact_average([Decimal("0.10"), Decimal("0.20")])
        Decimal('0.15')
    """
    total = exact_sum(values)
    if total is None or not total.is_finite():
        return total
    with decimal.localcontext() as context:
        context.prec = len(total.as_tuple().digits) + _FURTHER_DIGITS
        return total / len(values)
