"""Expressions on fields, from which conditions and orders are made.

An expression is its shape, a tuple of tuples without any value, and the values in the order in
which the shape takes them. Equal shapes are equal queries, which have one plan.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from .exceptions import TypeMismatch

if TYPE_CHECKING:
    from ._field import Column
    from ._table import Table

Shape = tuple[Any, ...]


class Expression:
    """A condition, or something that conditions are made of. It never changes.

    Example:
        >>> import ferro
        >>> class Person(ferro.Model, table="doc_person"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     age: int
        >>> adult = Person.age >= 18
        >>> retired = ~(Person.age < 67)
        >>> young = adult & ~retired
    """

    __slots__ = ("shape", "values")

    def __init__(self, shape: Shape, values: tuple[Any, ...]) -> None:
        self.shape = shape
        self.values = values

    def __and__(self, other: Expression) -> Expression:
        return _joined("all", self, other)

    def __or__(self, other: Expression) -> Expression:
        return _joined("any", self, other)

    def __invert__(self) -> Expression:
        return Expression(("unary", "not", self.shape), self.values)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a condition is neither true nor false before it is asked of a row: "
            "join conditions with `&`, `|` and `~`, in parentheses, in place of "
            "`and`, `or` and `not`"
        )


def _joined(name: str, one: Expression, other: object) -> Expression:
    if not isinstance(other, Expression):
        raise TypeError(f"a condition cannot be joined with `{other!r}`: it is not a condition")
    shape = one.shape if one.shape[0] == name else (name, one.shape)
    shape += other.shape[1:] if other.shape[0] == name else (other.shape,)
    return Expression(shape, one.values + other.values)


def all_of(conditions: Iterable[Expression]) -> Expression | None:
    """Every one of some conditions; None if there is none."""
    joined = None
    for condition in conditions:
        joined = condition if joined is None else joined & condition
    return joined


class Order:
    """A term of an order.

    Example:
        >>> import ferro
        >>> class Score(ferro.Model, table="doc_score"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     points: int
        >>> best = Score.points.desc()
    """

    __slots__ = ("shape",)

    def __init__(self, field: str, descending: bool, nulls: str) -> None:
        self.shape: Shape = (field, descending, nulls)


class FieldExpression(Expression):
    """A field of a model, as conditions and orders name it: `User.age`, or `u.age` in a lambda.

    Comparisons with None ask for null, as `is_null` does.
    """

    __slots__ = ("_column", "_table")

    def __init__(self, table: Table, column: Column) -> None:
        super().__init__(("field", column.name), ())
        self._table = table
        self._column = column

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return self.is_null() if other is None else self._compare("equal", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return self.is_not_null() if other is None else self._compare("not-equal", other)

    def __lt__(self, other: object) -> Expression:
        return self._compare("less", other)

    def __le__(self, other: object) -> Expression:
        return self._compare("less-or-equal", other)

    def __gt__(self, other: object) -> Expression:
        return self._compare("greater", other)

    def __ge__(self, other: object) -> Expression:
        return self._compare("greater-or-equal", other)

    __hash__ = None  # type: ignore[assignment]

    def is_null(self) -> Expression:
        """There is no value."""
        return Expression(("unary", "is-null", self.shape), ())

    def is_not_null(self) -> Expression:
        """There is a value."""
        return Expression(("unary", "is-not-null", self.shape), ())

    def is_distinct_from(self, other: object) -> Expression:
        """Not the same; a null differs from every value, and not from a null."""
        if other is None:
            return self.is_not_null()
        return self._compare("is-distinct", other)

    def between(self, lower: object, upper: object) -> Expression:
        """From `lower` to `upper`, both included."""
        lower, upper = self._value(lower), self._value(upper)
        parameter = self._parameter()
        return Expression(("between", self.shape, parameter, parameter), (lower, upper))

    def in_(self, values: Iterable[object]) -> Expression:
        """One of some values; None among them means "or null". Of no values: never."""
        given, null = self._values(values)
        found = Expression(("binary", "in-list", self.shape, self._parameter(many=True)), (given,))
        return found | self.is_null() if null else found

    def not_in(self, values: Iterable[object]) -> Expression:
        """None of some values; None among them means "and not null". Of no values: always."""
        given, null = self._values(values)
        shape = ("binary", "not-in-list", self.shape, self._parameter(many=True))
        found = Expression(shape, (given,))
        return found & self.is_not_null() if null else found

    def like(self, pattern: str) -> Expression:
        """Matches a pattern of SQL; capitals count."""
        return self._match("like", pattern)

    def ilike(self, pattern: str) -> Expression:
        """Matches a pattern of SQL; capitals do not count."""
        return self._match("ilike", pattern)

    def contains(self, text: str) -> Expression:
        """Has a text in it, which is taken as it is."""
        return self._match("contains", text)

    def startswith(self, text: str) -> Expression:
        """Begins with a text, which is taken as it is."""
        return self._match("starts-with", text)

    def endswith(self, text: str) -> Expression:
        """Ends with a text, which is taken as it is."""
        return self._match("ends-with", text)

    def asc(self, *, nulls: str = "last") -> Order:
        """From the least to the greatest; nulls `last` or `first`."""
        return Order(self._column.name, False, _nulls(nulls))

    def desc(self, *, nulls: str = "last") -> Order:
        """From the greatest to the least; nulls `last` or `first`."""
        return Order(self._column.name, True, _nulls(nulls))

    def _compare(self, operator: str, other: object) -> Expression:
        if isinstance(other, FieldExpression):
            return Expression(("binary", operator, self.shape, other.shape), ())
        value = self._value(other)
        return Expression(("binary", operator, self.shape, self._parameter()), (value,))

    def _match(self, operator: str, text: object) -> Expression:
        if self._column.kind != "text" or not isinstance(text, str):
            raise TypeMismatch(f"{self._name} {operator}: a text is matched with a `str`")
        return Expression(("binary", operator, self.shape, self._parameter()), (text,))

    def _parameter(self, *, many: bool = False) -> Shape:
        return ("parameter", self._column.name, self._column.kind, many or self._column.many)

    def _value(self, value: object) -> object:
        if isinstance(value, Expression):
            raise TypeMismatch(f"{self._name} is compared with a value or a field")
        if value is None:
            raise TypeMismatch(f"{self._name} is compared with None: ask `is_null()`")
        column = self._column
        if column.enum_class is not None and not isinstance(value, column.enum_class):
            try:
                return column.enum_class(value).value
            except ValueError:
                name = column.enum_class.__name__
                raise TypeMismatch(f"{self._name} takes a `{name}`, and this is none") from None
        return value.value if isinstance(value, enum.Enum) else value

    def _values(self, values: Iterable[object]) -> tuple[list[object], bool]:
        if isinstance(values, (str, bytes)):
            raise TypeMismatch(
                f"{self._name} takes a list of values, not `{type(values).__name__}`"
            )
        if self._column.many or self._column.kind == "json":
            raise TypeMismatch(f"{self._name} cannot be looked up in a list")
        values = list(values)
        given = [self._value(value) for value in values if value is not None]
        return given, len(given) < len(values)

    @property
    def _name(self) -> str:
        return f"`{self._table.label}.{self._column.name}`"


def _nulls(order: str) -> str:
    if order not in ("first", "last"):
        raise ValueError("nulls are `first` or `last`")
    return order


class Fields:
    """The fields of a model, as a lambda gets them: `lambda u: u.age >= 18`."""

    __slots__ = ("_table",)

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getattr__(self, name: str) -> FieldExpression:
        return FieldExpression(self._table, self._table.column(name))
