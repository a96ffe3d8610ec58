"""Window functions: values that depend on the rows around a row, without grouping them."""

from __future__ import annotations

from typing import Any

from .._argument import check, counted
from ..exceptions import InvalidQuery, ValueOutOfRange
from .document import JsonValue, untyped
from .expression import Order, Shape
from .value import Value

_UNORDERED = ("row-number", "count", "sum", "average", "minimum", "maximum")
"""Functions that work without an order."""


_OF_ROWS = ("first-value", "last-value", "nth-value")
"""Functions that accept `rows` but not `groups`."""

_FLOAT = Value((), (), "window", "float")

_FARTHEST = 2**31 - 1
"""The largest offset that the core accepts."""

Bounds = tuple[int | None, int | None]
"""The start and the end of a frame, as offsets from the row; None is the partition's."""


class WindowFunction:
    """A function that becomes a value with a window: see `over`."""

    __slots__ = ("_arguments", "_function", "_of", "_values")

    def __init__(
        self,
        function: str,
        arguments: tuple[Shape, ...],
        values: tuple[Any, ...],
        of: Value | None = None,
    ) -> None:
        self._function = function
        self._arguments = arguments
        self._values = values
        self._of = of
        """The value whose type its results have; None for a number."""

    @property
    def name(self) -> str:
        """Its name in the API."""
        return self._function.replace("-", "_")

    def __repr__(self) -> str:
        return f"<window function {self.name}>"

    def over(
        self,
        *,
        partition_by: Any = (),
        order_by: Any = (),
        rows: Bounds | None = None,
        groups: Bounds | None = None,
    ) -> Value:
        """Compute the function over all rows, or those that agree with the row in `partition_by`.

        `partition_by` and `order_by` take a field, or several in a list:
        `order_by=User.age.desc()`. `rows` limits the window of `first_value`, `last_value` and
        `nth_value`, as for aggregates.
        """
        partition = [_field("partition_by", it) for it in _several(partition_by)]
        order = terms_of(order_by)
        if not order and self._function not in _UNORDERED:
            raise InvalidQuery(
                f"`{self.name}` depends on an order: `over(order_by=User.age.desc())`"
            )
        frame = self._frame(rows, groups, bool(order))
        parts: list[Value | Order] = [*partition, *order]
        values = self._values + tuple(value for part in parts for value in part._values)
        shape = (
            "window",
            self._function,
            self._arguments,
            tuple(it._shape for it in partition),
            tuple(it._shape for it in order),
            frame,
        )
        of = self._of
        if of is None:
            return Value(shape, values, self.name, "integer")
        return Value(shape, values, of._name, of._kind, of._many, of._column)

    def _frame(
        self, rows: Bounds | None, groups: Bounds | None, ordered: bool
    ) -> tuple[str, Bounds] | None:
        if rows is not None and groups is not None:
            raise InvalidQuery("a window takes `rows` or `groups`, not both")
        if rows is None and groups is None:
            return None
        if self._function not in (*_OF_ROWS, *_UNORDERED[1:]):
            raise InvalidQuery(
                f"`{self.name}` takes neither `rows` nor `groups`: aggregates, `first_value`, "
                "`last_value` and `nth_value` do"
            )
        if rows is not None:
            return "rows", _bounds("rows", rows)
        if self._function in _OF_ROWS:
            raise InvalidQuery(
                f"`{self.name}` takes `rows`, not `groups`: ties have no order there"
            )
        if not ordered:
            raise InvalidQuery(
                "`groups` needs an order in which rows tie: `over(order_by=User.age, groups=…)`"
            )
        return "groups", _bounds("groups", groups)


def _bounds(name: str, given: Any) -> Bounds:
    """Check the bounds of a frame."""
    if not isinstance(given, tuple) or len(given) != 2:
        raise InvalidQuery(
            f"`{name}` takes a start and an end, such as `(-6, 0)` or `(None, 0)`, not `{given!r}`"
        )
    start, end = given
    check(InvalidQuery, **{f"{name}[0]": (start, int, None), f"{name}[1]": (end, int, None)})
    if any(it is not None and abs(it) > _FARTHEST for it in given):
        raise ValueOutOfRange(f"`{name}` is at most {_FARTHEST} away, not `{given!r}`")
    if start is not None and end is not None and start > end:
        raise InvalidQuery(f"`{name}` starts at {start}, which is after its end, {end}")
    return start, end


def over(aggregate: Value, **window: Any) -> Value:
    """An aggregate over the rows around a row."""
    match aggregate._shape:
        case ("aggregate", function, argument, False, None):
            windowed = WindowFunction(function, (argument,), aggregate._values, aggregate)
            return windowed.over(**window)
        case ("string-agg" | "array-agg", *_):
            raise InvalidQuery(
                "`string_agg` and `array_agg` aggregate the rows of a group, and do not support "
                "`over`"
            )
        case ("aggregate", *_):
            raise InvalidQuery("an aggregate does not support `distinct` or `where` with `over`")
    raise InvalidQuery(
        f"`over` applies to an aggregate, as in `User.age.sum().over()`: {aggregate!r}"
    )


def row_number() -> WindowFunction:
    """The number of the row in the order of its window, from 1; ties are ordered by key.

    Example:
        >>> import ferro
        >>> class Runner(ferro.Model, table="doc_runner"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     club: str
        ...     seconds: int
        >>> place = ferro.row_number().over(partition_by=Runner.club, order_by=Runner.seconds)
        >>> places = Runner.select("club", place=place)
    """
    return WindowFunction("row-number", (), ())


def rank() -> WindowFunction:
    """Like `row_number`, but rows that tie have the number of the first of them.

    Example:
        >>> import ferro
        >>> class Jumper(ferro.Model, table="doc_jumper"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     metres: float
        >>> best = ferro.col(Jumper.metres).desc()
        >>> ranks = Jumper.select("id", rank=ferro.rank().over(order_by=best))
    """
    return WindowFunction("rank", (), ())


def dense_rank() -> WindowFunction:
    """Like `rank`, but without gaps after rows that tie.

    Example:
        >>> import ferro
        >>> class Diver(ferro.Model, table="doc_diver"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     points: int
        >>> best = ferro.col(Diver.points).desc()
        >>> ranks = Diver.select("id", rank=ferro.dense_rank().over(order_by=best))
    """
    return WindowFunction("dense-rank", (), ())


def percent_rank() -> WindowFunction:
    """The relative rank: `(rank - 1) / (rows - 1)`, from 0 to 1.

    Example:
        >>> import ferro
        >>> class Grade(ferro.Model, table="doc_grade"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     points: int
        >>> better_than = ferro.percent_rank().over(order_by=Grade.points)
        >>> grades = Grade.select("id", better_than=better_than)
    """
    return WindowFunction("percent-rank", (), (), _FLOAT)


def cume_dist() -> WindowFunction:
    """The fraction of the rows that come before the row or tie with it, itself included: above 0,
    up to 1.

    Example:
        >>> import ferro
        >>> class Income(ferro.Model, table="doc_income"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     euros: int
        >>> up_to = ferro.cume_dist().over(order_by=Income.euros)
        >>> incomes = Income.select("id", up_to=up_to)
    """
    return WindowFunction("cume-dist", (), (), _FLOAT)


def ntile(groups: int) -> WindowFunction:
    """The number, from 1, of the row's group if the rows are divided into `groups` of equal size;
    if they cannot be equal, the first ones have one row more.

    Example:
        >>> import ferro
        >>> class Rider(ferro.Model, table="doc_rider"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     seconds: int
        >>> heat = ferro.ntile(3).over(order_by=Rider.seconds)
        >>> riders = Rider.select("id", heat=heat)
    """
    return WindowFunction("ntile", (("literal", "integer", counted("groups", groups)),), ())


def lag(value: Any, offset: int = 1, default: Any = None) -> WindowFunction:
    """The value in the row `offset` rows before, in the order of the window; `default` if there is
    no such row.

    Example:
        >>> import ferro
        >>> class Reading(ferro.Model, table="doc_reading"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     degrees: int
        >>> before = ferro.lag(Reading.degrees).over(order_by=Reading.id)
        >>> changes = Reading.select("id", change=ferro.col(Reading.degrees) - before)
    """
    return _shifted("lag", value, offset, default)


def lead(value: Any, offset: int = 1, default: Any = None) -> WindowFunction:
    """The value in the row `offset` rows after, in the order of the window; `default` if there is
    no such row.

    Example:
        >>> import ferro
        >>> class Stop(ferro.Model, table="doc_stop"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str
        >>> following = ferro.lead(Stop.name, default="the end").over(order_by=Stop.id)
        >>> stops = Stop.select("name", following=following)
    """
    return _shifted("lead", value, offset, default)


def first_value(value: Any) -> WindowFunction:
    """The value in the first row of the window, in its order.

    Example:
        >>> import ferro
        >>> class Price(ferro.Model, table="doc_price"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     item: str
        ...     cents: int
        >>> first = ferro.first_value(Price.cents).over(partition_by=Price.item, order_by=Price.id)
        >>> prices = Price.select("item", change=ferro.col(Price.cents) - first)
    """
    return _at_end("first-value", value)


def last_value(value: Any) -> WindowFunction:
    """The value in the last row of the window, in its order, which includes rows after this one.

    Example:
        >>> import ferro
        >>> class Bid(ferro.Model, table="doc_bid"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     item: str
        ...     cents: int
        >>> last = ferro.last_value(Bid.cents).over(partition_by=Bid.item, order_by=Bid.id)
        >>> bids = Bid.select("item", "cents", last=last)
    """
    return _at_end("last-value", value)


def nth_value(value: Any, row: int) -> WindowFunction:
    """The value in the given row of the window, counted from 1 in its order, which includes rows
    after this one; null if there is no such row.

    Example:
        >>> import ferro
        >>> class Lap(ferro.Model, table="doc_lap"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     seconds: int
        >>> second = ferro.nth_value(Lap.seconds, 2).over(order_by=Lap.seconds)
        >>> laps = Lap.select("id", behind=ferro.col(Lap.seconds) - second)
    """
    of = _field("nth-value", value)
    number: Shape = ("literal", "integer", counted("row", row))
    return WindowFunction("nth-value", (of._shape, number), of._values, of)


def _shifted(function: str, given: Any, offset: int, default: Any) -> WindowFunction:
    value = _field(function, given)
    distance: Shape = ("literal", "integer", counted("offset", offset))
    if default is None:
        return WindowFunction(function, (value._shape, distance), value._values, value)
    other, values = value._operand(default)
    column = value._column_with(default)
    like = Value((), (), value._name, value._kind, value._many, column)
    return WindowFunction(function, (value._shape, distance, other), value._values + values, like)


def _at_end(function: str, given: Any) -> WindowFunction:
    value = _field(function, given)
    return WindowFunction(function, (value._shape,), value._values, value)


def _several(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, (list, tuple)) else (given,)


def terms_of(order_by: Any) -> list[Order]:
    """The terms of an order given as one field or several."""
    return [
        it if isinstance(it, Order) else _field("order_by", it).asc() for it in _several(order_by)
    ]


def _field(name: str, given: Any) -> Value:
    """A value of a row. Names are rejected, as they do not say which model they belong to."""
    if isinstance(given, JsonValue):
        raise untyped(given)
    if not isinstance(given, Value):
        raise InvalidQuery(
            f"`{name.replace('-', '_')}` takes a field, such as `User.age`, or `u.age` in a "
            f"lambda, not `{given!r}`"
        )
    return given
