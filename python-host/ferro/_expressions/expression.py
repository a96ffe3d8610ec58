"""Expressions: conditions, values and orders.

An expression consists of its shape, a tuple of tuples without values, and the values in the order
in which the shape takes them. Equal shapes are equal queries, and share one plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from .._argument import check_choice
from ..exceptions import InvalidQuery

if TYPE_CHECKING:
    from .value import Value

Shape = tuple[Any, ...]


class Expression:
    """A condition, or a part of one. It is immutable.

    Example:
        >>> import ferro
        >>> class Person(ferro.Model, table="doc_person"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     age: int
        >>> adult = Person.age >= 18
        >>> retired = ~(Person.age < 67)
        >>> young = adult & ~retired
    """

    __slots__ = ("_shape", "_values")

    def __init__(self, shape: Shape, values: tuple[Any, ...] = ()) -> None:
        self._shape = shape
        self._values = values

    def __repr__(self) -> str:
        return "<condition>"

    def __and__(self, other: Expression) -> Expression:
        return _joined("all", self, other)

    def __or__(self, other: Expression) -> Expression:
        return _joined("any", self, other)

    def __invert__(self) -> Expression:
        return Expression(("unary", "not", self._shape), self._values)

    def is_true(self) -> Expression:
        """Whether the condition holds; false if it is null."""
        return Expression(("unary", "is-true", self._shape), self._values)

    def is_false(self) -> Expression:
        """Whether the condition does not hold; false if it is null, unlike `~`."""
        return Expression(("unary", "is-false", self._shape), self._values)

    # To who checks types, all things can be compared, and `User.age > 1` may be a `bool`.
    if not TYPE_CHECKING:

        def __eq__(self, other: object) -> NoReturn:
            raise TypeError(
                "a condition is not compared: use `.is_true()` or `.is_false()`, and put what `~` "
                'negates in parentheses, `~(User.name == "x")`'
            )

        __ne__ = __eq__
        # Sets have conditions by what they are, not by what they say.
        __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a condition has no truth value in Python: combine conditions with `&`, `|` and `~`, "
            "in parentheses, instead of `and`, `or`, `not` and `a < b < c`, and use `.in_(…)` "
            "instead of `in`"
        )


def _joined(name: str, one: Expression, other: object) -> Expression:
    if not isinstance(other, Expression):
        raise TypeError(f"a condition cannot be combined with `{other!r}`: it is not a condition")
    shape = one._shape if one._shape[0] == name else (name, one._shape)
    shape += other._shape[1:] if other._shape[0] == name else (other._shape,)
    return Expression(shape, one._values + other._values)


def conditional(name: str, condition: object) -> Expression:
    """The argument as a condition; raises an error if it is not one."""
    if not isinstance(condition, Expression):
        raise InvalidQuery(
            f"`{name}` takes a condition, such as `User.age >= 18`, not `{condition!r}`"
        )
    return condition


def all_of(conditions: Iterable[Expression]) -> Expression | None:
    """The conjunction of conditions; None if there are none."""
    joined = None
    for condition in conditions:
        joined = condition if joined is None else joined & condition
    return joined


def any_of(conditions: Iterable[Expression]) -> Expression:
    """The disjunction of conditions; false if there are none."""
    shapes: list[Shape] = []
    values: list[Any] = []
    for condition in conditions:
        shapes.append(condition._shape)
        values += condition._values
    return Expression(("any", *shapes), tuple(values))


class Order:
    """A term of an order.

    Example:
        >>> import ferro
        >>> class Score(ferro.Model, table="doc_score"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     points: int
        >>> best = Score.points.desc()
    """

    __slots__ = ("descending", "nulls", "value")

    def __init__(self, value: Value, descending: bool, nulls: str) -> None:
        check_choice(InvalidQuery, "nulls", nulls, ("first", "last"))
        self.value = value
        self.descending = descending
        self.nulls = nulls

    @property
    def _shape(self) -> Shape:
        """The shape of the value, and its direction."""
        return self.value._shape, self.descending, self.nulls

    @property
    def _values(self) -> tuple[Any, ...]:
        """The values that the shape takes."""
        return self.value._values

    def reversed(self) -> Order:
        """The reverse order, of nulls as well."""
        return Order(self.value, not self.descending, "first" if self.nulls == "last" else "last")
