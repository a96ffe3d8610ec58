"""Functions that the database computes: of numbers, dates and times, and casts.

They mean the same on SQLite and PostgreSQL; `docs/queries.md` lists the edge cases that differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._argument import check, check_choice
from .._tables.column_type import scalar_kind
from ..exceptions import InvalidQuery, TypeMismatch
from .expression import Expression, Shape
from .texts import Texts

if TYPE_CHECKING:
    from .._tables.column import Column
    from .value import Value


class Functions(Texts, Expression):
    """The functions of a value."""

    __slots__ = ()

    if TYPE_CHECKING:
        _kind: str
        _name: str
        _column: Column | None

        def _operand(self, other: object) -> tuple[Shape, tuple[Any, ...]]: ...

        def _derived(
            self, shape: Shape, values: tuple[Any, ...], kind: str, column: Column | None = None
        ) -> Value: ...

    def abs(self) -> Value:
        """The absolute value."""
        return self._call("abs", self._kind)

    def round(self, digits: int = 0) -> Value:
        """The number rounded, halves away from zero: to a whole number, or a decimal to `digits`
        digits after the point, at most 100.
        """
        check(InvalidQuery, digits=(digits, int))
        return self._call("round", self._kind, *((digits,) if digits else ()))

    def floor(self) -> Value:
        """The largest whole number that is not above a float or a decimal."""
        return self._call("floor", self._kind)

    def ceiling(self) -> Value:
        """The smallest whole number that is not below a float or a decimal."""
        return self._call("ceiling", self._kind)

    def year(self) -> Value:
        """The year of a date or a datetime, in UTC."""
        return self._call("year", "integer")

    def iso_year(self) -> Value:
        """The ISO 8601 year of the `week`, which can differ from `year` around New Year."""
        return self._call("iso-year", "integer")

    def quarter(self) -> Value:
        """The quarter of a date or a datetime, in UTC, from 1 to 4."""
        return self._call("quarter", "integer")

    def week(self) -> Value:
        """The ISO 8601 week of a date or a datetime, in UTC, as in `date.isocalendar`; weeks begin
        on Monday.
        """
        return self._call("week", "integer")

    def month(self) -> Value:
        """The month of a date or a datetime, in UTC; 1 is January."""
        return self._call("month", "integer")

    def day(self) -> Value:
        """The day of the month of a date or a datetime, in UTC."""
        return self._call("day", "integer")

    def isoweekday(self) -> Value:
        """The ISO day of the week of a date or a datetime, in UTC; 1 is Monday, 7 is Sunday."""
        return self._call("weekday", "integer")

    def day_of_year(self) -> Value:
        """The day of the year of a date or a datetime, in UTC, from 1."""
        return self._call("day-of-year", "integer")

    def hour(self) -> Value:
        """The hour of a time or a datetime, in UTC."""
        return self._call("hour", "integer")

    def minute(self) -> Value:
        """The minute of a time or a datetime."""
        return self._call("minute", "integer")

    def second(self) -> Value:
        """The second of a time or a datetime, without fractions."""
        return self._call("second", "integer")

    def truncate(self, part: str) -> Value:
        """The start of the `year`, `quarter`, `month`, `week`, `day`, `hour`, `minute` or `second`
        of a datetime, in UTC; the first day of the year, quarter, month or week of a date. Weeks
        begin on Monday.

        Example:
            >>> import ferro
            >>> def per_month(model: Any) -> ferro.Select[Any]:
            ...     month = model.created_at.truncate("month")
            ...     return model.select().group_by(month).values(month=month, n=ferro.count())
        """
        check_choice(InvalidQuery, "part", part, _PARTS)
        return self._call(f"truncate-{part}", self._kind)

    def days_between(self, other: object) -> Value:
        """The number of days from another date to this one; negative if this one is earlier."""
        return self._call_with("days-between", "integer", other)

    def microseconds_between(self, other: object) -> Value:
        """The number of microseconds from another datetime to this one; negative if this one is
        earlier.
        """
        return self._call_with("microseconds-between", "integer", other)

    def coalesce(self, other: object) -> Value:
        """The value, or another one if it is null."""
        return self._call_with("coalesce", self._kind, other, column=self._column_with(other))

    def null_if(self, other: object) -> Value:
        """The value, or null if it equals another one."""
        return self._call_with("null-if", self._kind, other, column=self._column_with(None))

    def cast(self, to: Any) -> Value:
        """Convert the value to another type.

        Possible are an `int` to `float`, `Decimal` or `str`, a `Decimal` to `float` or `str`, a
        `float` or a `bool` to `int`, a date to `datetime`, and a datetime to `date`, `time` or the
        other kind of `datetime`.

        As in fields, `datetime` is an instant; `pydantic.NaiveDatetime` has no time zone. A float
        is truncated towards zero to an integer, and becomes null if it is too large for one.

        Example:
            >>> import ferro
            >>> class Parcel(ferro.Model, table="doc_parcel"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            ...     grams: int
            >>> kilos = Parcel.grams.cast(float) / 1000
        """
        kind = scalar_kind(to)
        if kind is None:
            raise TypeMismatch(
                f"`{self._name}`: a value can only be cast to a field type, not `{to!r}`"
            )
        return self._derived(("cast", self._shape, kind), self._values, kind)

    def _column_with(self, other: object) -> Column | None:
        """The column of this value, if the other value fits it."""
        column = self._column
        if column is None:
            return None
        if not isinstance(other, Functions):
            # It is stored as a member, or with the shape of a document, if there is one.
            checks = column.enum_class is not None or column.structure is not None
            return column if checks else None
        other_column = other._column
        alike = other_column is not None and other_column.annotation == column.annotation
        return column if alike else None

    def _call(self, name: str, kind: str, *numbers: int) -> Value:
        literals = [("literal", "integer", number) for number in numbers]
        return self._derived(("call", name, self._shape, *literals), self._values, kind)

    def _call_with(
        self, name: str, kind: str, *others: object, column: Column | None = None
    ) -> Value:
        shapes, values = [self._shape], self._values
        for other in others:
            shape, more = self._operand(other)
            shapes.append(shape)
            values += more
        return self._derived(("call", name, *shapes), values, kind, column)


_PARTS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
