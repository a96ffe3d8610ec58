"""Values in expressions: fields, and values computed from them."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from .._abstract_query import AbstractQuery
from .._argument import check
from .._message import nearest
from .._statements.shape import ITSELF
from .._tables.default import DatabaseDefault
from .._tables.structure import part_of
from ..exceptions import InvalidQuery, TypeMismatch, UnknownField
from .document import JsonValue, listed, untyped
from .expression import Expression, Order, Shape, conditional
from .functions import Functions

if TYPE_CHECKING:
    from .._queries.select import Select
    from .._tables.column import Column
    from .._tables.table import Table

T = TypeVar("T", covariant=True)


class Value(Functions):
    """An expression with a type: a field, or a value computed from fields.

    Comparing with None is the same as `is_null`.

    Example:
        >>> import ferro
        >>> class Item(ferro.Model, table="doc_item"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     price: int
        ...     count: int
        >>> large = Item.price * Item.count > 1_000
    """

    __slots__ = ("_column", "_kind", "_many", "_name")

    def __init__(
        self,
        shape: Shape,
        values: tuple[Any, ...],
        name: str,
        kind: str,
        many: bool = False,
        column: Column | None = None,
    ) -> None:
        super().__init__(shape, values)
        self._name = name
        self._kind = kind
        """The type of its values, by its name in the WIT."""
        self._many = many
        self._column = column
        """The column whose values these are, for example members of its enum."""

    def __repr__(self) -> str:
        return f"<value computed from {self._name}>"

    # Type checkers know the methods of a value.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            hint = nearest(name, [it for it in dir(type(self)) if not it.startswith("_")])
            if self._kind == "json":
                hint = f'access a part of a document with brackets, `["{name}"]`'
            raise UnknownField(f"`{self._name}` has no `{name}`: {hint}")

    @property
    def _read(self) -> Callable[[Any], Any] | None:
        """Converts a stored value to the value of a field; None if they are the same."""
        return None if self._column is None else self._column.read

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

    def __add__(self, other: object) -> Value:
        return self._compute("concat" if self._kind == "text" else "add", other)

    def __sub__(self, other: object) -> Value:
        return self._compute("subtract", other)

    def __mul__(self, other: object) -> Value:
        return self._compute("multiply", other)

    def __truediv__(self, other: object) -> Value:
        return self._compute("divide", other)

    def __mod__(self, other: object) -> Value:
        return self._compute("modulo", other)

    def __radd__(self, other: object) -> Value:
        operator = "concat" if self._kind == "text" else "add"
        return self._compute(operator, other, reflected=True)

    def __rsub__(self, other: object) -> Value:
        return self._compute("subtract", other, reflected=True)

    def __rmul__(self, other: object) -> Value:
        return self._compute("multiply", other, reflected=True)

    def __rtruediv__(self, other: object) -> Value:
        return self._compute("divide", other, reflected=True)

    def __rmod__(self, other: object) -> Value:
        return self._compute("modulo", other, reflected=True)

    def __neg__(self) -> Value:
        return self._derived(("unary", "negate", self._shape), self._values, self._kind)

    def is_null(self) -> Expression:
        """Whether the value is null."""
        return Expression(("unary", "is-null", self._shape), self._values)

    def is_not_null(self) -> Expression:
        """Whether the value is not null."""
        return Expression(("unary", "is-not-null", self._shape), self._values)

    def is_distinct_from(self, other: object) -> Expression:
        """Whether the values differ; a null differs from every value, but not from a null."""
        if other is None:
            return self.is_not_null()
        return self._compare("is-distinct", other)

    def is_not_distinct_from(self, other: object) -> Expression:
        """Whether the values are equal; a null equals a null."""
        return self.is_null() if other is None else self._compare("is-not-distinct", other)

    def between(self, lower: object, upper: object) -> Expression:
        """Whether the value is from `lower` to `upper`, both included."""
        bounds = (self._value(lower), self._value(upper))
        parameter = self._parameter()
        return Expression(("between", self._shape, parameter, parameter), self._values + bounds)

    def in_(self, values: Iterable[object] | Select[Any]) -> Expression:
        """Whether the value is one of some values; None among them means "or null". False for no
        values.

        A query of one value provides the values of its rows:
        `User.id.in_(Post.select("author_id"))`.
        """
        if isinstance(values, AbstractQuery):
            return self._in_query(values)
        given, null = self._given(values)
        if null and not given:
            return self.is_null()
        found = self._listed("in-list", given)
        return found | self.is_null() if null else found

    def not_in(self, values: Iterable[object] | Select[Any]) -> Expression:
        """Whether the value is none of some values; None among them means "and not null". True for
        no values.

        As in SQL, never true for a query that returns a null: exclude nulls with `where`.
        """
        if isinstance(values, AbstractQuery):
            return ~self._in_query(values)
        given, null = self._given(values)
        if null and not given:
            return self.is_not_null()
        found = self._listed("not-in-list", given)
        return found & self.is_not_null() if null else found

    def contains(self, part: object) -> Expression:
        """Whether a text contains a text, without wildcards; a list contains an element, or all
        elements of a list; or a document contains a document.
        """
        if self._many:
            part = part if isinstance(part, (list, tuple)) else [part]
            return self._with_list("array-contains", part)
        if self._kind == "json":
            shape = ("binary", "json-contains", self._shape, self._parameter())
            if self._column is not None and self._column.structure is not None:
                part = part_of(part)
            return Expression(shape, (*self._values, part))
        return self._match("contains", "contains", part)

    def overlaps(self, values: Iterable[object]) -> Expression:
        """Whether two lists have an element in common."""
        if not self._many:
            raise TypeMismatch(f"`{self._name}` is not a list: `overlaps` only works on lists")
        return self._with_list("array-overlaps", values)

    def __getitem__(self, step: str | int) -> JsonValue:
        """A part of a document: `User.data["address"]["city"]`, `User.data["phones"][0]`."""
        if self._kind != "json":
            raise TypeMismatch(f"`{self._name}` is not a document: it has no part `{step}`")
        return JsonValue(self, (), self._name)[step]

    __iter__ = None

    # Type checkers report it as missing.
    if not TYPE_CHECKING:

        def __contains__(self, part: Any) -> NoReturn:
            raise TypeError(
                f"`in` does not query the database: use `{self._name}.contains({part!r})`"
            )

    def count(self, *, distinct: bool = False, where: Expression | bool | None = None) -> Value:
        """The number of non-null values in a group; only of rows that satisfy `where`."""
        return self._aggregate("count", "integer", distinct, where)

    def sum(self, *, distinct: bool = False, where: Expression | bool | None = None) -> Value:
        """The sum in a group, null for no rows; only of rows that satisfy `where`."""
        return self._aggregate("sum", self._kind, distinct, where)

    def avg(self, *, distinct: bool = False, where: Expression | bool | None = None) -> Value:
        """The average in a group, null for no rows, exact for decimals; only of rows that satisfy
        `where`.
        """
        kind = "decimal" if self._kind == "decimal" else "float"
        return self._aggregate("average", kind, distinct, where)

    def min(self, *, where: Expression | bool | None = None) -> Value:
        """The least value in a group, null for no rows; only of rows that satisfy `where`."""
        return self._aggregate("minimum", self._kind, False, where, self._column)

    def max(self, *, where: Expression | bool | None = None) -> Value:
        """The greatest value in a group, null for no rows; only of rows that satisfy `where`."""
        return self._aggregate("maximum", self._kind, False, where, self._column)

    def string_agg(
        self, separator: str, *, order_by: Any = (), where: Expression | bool | None = None
    ) -> Value:
        """The texts of a group joined with `separator`; null for no rows. `order_by` takes a field,
        or several in a list; without it the order is undefined.
        """
        from .window import terms_of

        if self._kind != "text" or self._many:
            raise TypeMismatch(f"`{self._name}` is not a text: `string_agg` only joins texts")
        check(InvalidQuery, separator=(separator, str))
        order = terms_of(order_by)
        filter, filtered = _filter(where)
        between = ("parameter", "separator", "text", False)
        shape = ("string-agg", self._shape, between, tuple([it._shape for it in order]), filter)
        ordered = tuple([value for it in order for value in it._values])
        return self._derived(shape, (*self._values, separator, *ordered, *filtered), "text")

    def array_agg(
        self,
        *,
        order_by: Any = (),
        distinct: bool = False,
        where: Expression | bool | None = None,
    ) -> Value:
        """The values of a group as a list, without nulls; null for no values. `order_by` takes a
        field, or several in a list; without it the order is undefined. With `distinct`, duplicates
        are dropped, and the order is by the value itself.
        """
        from .window import terms_of

        if self._many:
            raise TypeMismatch(f"`{self._name}` is a list: `array_agg` makes lists of plain values")
        check(InvalidQuery, distinct=(distinct, bool))
        order = terms_of(order_by)
        terms = tuple([it._shape for it in order])
        ordered = tuple([value for it in order for value in it._values])
        if distinct:
            if any(it._shape[0] != self._shape or it._values != self._values for it in order):
                raise InvalidQuery("`array_agg` with `distinct` can only be ordered by its value")
            terms, ordered = tuple([(ITSELF, *it[1:]) for it in terms]), ()
        filter, filtered = _filter(where)
        shape = ("array-agg", self._shape, terms, distinct, filter)
        values = (*self._values, *ordered, *filtered)
        column = None if self._column is None else dataclasses.replace(self._column, many=True)
        return Value(shape, values, self._name, self._kind, True, column)

    def over(
        self,
        *,
        partition_by: Any = (),
        order_by: Any = (),
        rows: tuple[int | None, int | None] | None = None,
        groups: tuple[int | None, int | None] | None = None,
    ) -> Value:
        """Compute an aggregate over a window of rows around each row, instead of a group. The
        window is all rows, or those that agree with the row in `partition_by`. With `order_by` it
        ends at the row and its ties, so that a sum is a running sum. Both take a field, or several
        in a list.

        `rows` limits the window by the offsets of its first and last row: `rows=(-6, 0)` is the row
        and the six before it, and None means up to the end of the partition. `groups` counts rows
        that tie in the order as one.
        """
        from .window import over

        return over(self, partition_by=partition_by, order_by=order_by, rows=rows, groups=groups)

    def asc(self, *, nulls: str = "last") -> Order:
        """Order from least to greatest, with nulls `last` or `first`."""
        return Order(self, False, nulls)

    def desc(self, *, nulls: str = "last") -> Order:
        """Order from greatest to least, with nulls `last` or `first`."""
        return Order(self, True, nulls)

    def _compare(self, operator: str, other: object) -> Expression:
        right, values = self._operand(other)
        return Expression(("binary", operator, self._shape, right), self._values + values)

    def _operand(self, other: object) -> tuple[Shape, tuple[Any, ...]]:
        if isinstance(other, Value):
            return other._shape, other._values
        return self._parameter(), (self._value(other),)

    def _compute(self, operator: str, other: object, *, reflected: bool = False) -> Value:
        kind = self._kind
        if kind in _MOVED and operator in ("add", "subtract"):
            return self._move(operator, other, reflected)
        if isinstance(other, Value) and other._kind in _MOVED and operator == "add":
            # The amount may come first: a sum is symmetric.
            return other._move(operator, self, True)
        if isinstance(other, Value):
            right, values = other._shape, other._values
            kind = wider(kind, other._kind)
        else:
            number = _NUMBERS.get(type(other))
            if number is not None and kind in _WIDTHS:
                kind = wider(kind, number)
            self._refuse(other)
            right, values = ("parameter", self._name, number or kind, False), (other,)
        if reflected:
            return self._derived(
                ("binary", operator, right, self._shape), values + self._values, kind
            )
        return self._derived(("binary", operator, self._shape, right), self._values + values, kind)

    def _move(self, operator: str, other: object, reflected: bool) -> Value:
        """A date or a datetime that is shifted, or subtracted from another one."""
        if isinstance(other, Value):
            right, values, by = other._shape, other._values, other._kind
        else:
            self._refuse(other)
            by, given = self._distance(other)
            right, values = ("parameter", self._name, by, False), (given,)
        self._check_distance(operator, other, by)
        if by == self._kind:
            sides, values = (self._shape, right), self._values + values
            if reflected:
                sides, values = (right, self._shape), (*values[-1:], *self._values)
            return self._derived(("binary", operator, *sides), values, "interval")
        if reflected and operator == "subtract":
            raise TypeMismatch(f"`{self._name}` cannot be subtracted from `{other!r}`")
        shape = ("binary", operator, self._shape, right)
        return self._derived(shape, self._values + values, self._kind)

    def _check_distance(self, operator: str, other: object, by: str) -> None:
        """Reject a value that cannot shift this date or datetime, and name the types that can."""
        moment = isinstance(other, (Value, datetime.date)) and by in _MOVED
        if moment and operator == "add":
            raise TypeMismatch(f"`{self._name}` is shifted by a `timedelta`, not by a {by}")
        if moment and self._kind == "date":
            raise TypeMismatch(
                f"`{self._name}` is a date: use `days_between` for the days between two dates"
            )
        if self._kind == "date" and by == "interval":
            raise TypeMismatch(
                f"`{self._name}` is a date: add whole days, as an `int` or a `timedelta` of "
                "days, not a field of durations"
            )

    def _distance(self, other: object) -> tuple[str, object]:
        """The kind and the value of an amount by which this date or datetime is shifted."""
        if type(other) is int:
            return "integer", other
        if not isinstance(other, datetime.timedelta):
            return self._kind, other
        if self._kind != "date":
            return "interval", other
        if other % datetime.timedelta(days=1):
            raise TypeMismatch(f"`{self._name}` is a date: it takes whole days, not `{other!r}`")
        return "integer", other.days

    def _match(self, operator: str, method: str, text: object) -> Expression:
        if self._kind != "text" or self._many:
            on = "texts, lists and documents" if method == "contains" else "texts"
            raise TypeMismatch(f"`{self._name}` is not a text: `{method}` only works on {on}")
        if not isinstance(text, str):
            raise TypeMismatch(
                f"`{self._name}`: `{method}` takes a `str`, not `{type(text).__name__}`"
            )
        shape = ("binary", operator, self._shape, self._parameter())
        return Expression(shape, (*self._values, text))

    def _in_query(self, query: Any) -> Expression:
        from .._queries.subquery import is_in

        return is_in(self, query)

    def _listed(self, operator: str, given: list[object]) -> Expression:
        shape = ("binary", operator, self._shape, self._parameter(many=True))
        return Expression(shape, (*self._values, given))

    def _with_list(self, operator: str, values: Iterable[object]) -> Expression:
        shape = ("binary", operator, self._shape, self._parameter(many=True))
        given = listed(self._name, values)
        if self._column is not None and self._column.enum_class is not None:
            given = [self._value(it) for it in given]
        return Expression(shape, (*self._values, given))

    def _aggregate(
        self,
        name: str,
        kind: str,
        distinct: bool,
        where: Expression | bool | None,
        column: Column | None = None,
    ) -> Value:
        check(InvalidQuery, distinct=(distinct, bool))
        filter, values = _filter(where)
        shape = ("aggregate", name, self._shape, distinct, filter)
        return self._derived(shape, self._values + values, kind, column)

    def _derived(
        self, shape: Shape, values: tuple[Any, ...], kind: str, column: Column | None = None
    ) -> Value:
        return Value(shape, values, self._name, kind, column=column)

    def _part(self, steps: tuple[str, ...], kind: str, name: str) -> Value:
        """A part of this document, read as a kind."""
        return Value(("json", self._shape, steps, kind), self._values, name, kind)

    def _changed(
        self, steps: tuple[str, ...], part: Shape | None, values: tuple[Any, ...]
    ) -> Value:
        """The document with a changed or removed part."""
        shape = ("json-change", self._shape, steps, part)
        return self._derived(shape, self._values + values, "json", self._column)

    def _parameter(self, *, many: bool = False) -> Shape:
        return ("parameter", self._name, self._kind, many or self._many)

    def _value(self, value: object) -> object:
        members = None if self._column is None else self._column.enum_class
        if members is None and type(value) in _PLAIN:
            return value
        if members is not None and value is not None and not isinstance(value, (members, Value)):
            try:
                return members(value).value
            except (ValueError, TypeError, ArithmeticError):
                raise TypeMismatch(
                    f"`{self._name}` takes a `{members.__name__}`, and this is not one"
                ) from None
        self._refuse(value)
        if isinstance(value, enum.Enum):
            return value.value
        if self._column is None or self._column.structure is None:
            return value
        return self._column.stored(value)

    def _refuse(self, value: object) -> None:
        """Raise an error for a value that is not plain."""
        if isinstance(value, JsonValue):
            raise untyped(value)
        if isinstance(value, Value):
            raise TypeMismatch(
                f"`{self._name}` takes values here, not `{value!r}`: compare fields with `==`, "
                "`<` etc."
            )
        if isinstance(value, Expression):
            raise TypeMismatch(
                f"`{self._name}` can only be combined with a value or a field, not with a condition"
            )
        if isinstance(value, DatabaseDefault):
            raise value.no_value(self._name)
        if value is None:
            raise TypeMismatch(
                f"`{self._name}` can only be combined with a value, not with None, which makes "
                "everything null: use `is_null()`"
            )

    def _given(self, values: Iterable[object]) -> tuple[list[object], bool]:
        if self._many or self._kind == "json":
            raise TypeMismatch(f"`{self._name}` cannot be looked up in a list")
        values = listed(self._name, values)
        given = [self._value(value) for value in values if value is not None]
        return given, len(given) < len(values)


class FieldExpression(Value, Generic[T]):
    """A field of a model, as conditions and orders name it: `User.age`, or `u.age` in a lambda.

    `T` is the type of its values for type checkers, from `ferro.Column`.
    """

    __slots__ = ("_compared",)

    _column: Column

    def __init__(
        self, table: Table, column: Column, path: tuple[str, ...] = (), root: Table | None = None
    ) -> None:
        name = f"{table.label}.{column.name}"
        shape = ("field", path, column.name, root or table)
        super().__init__(shape, (), name, column.kind, column.many, column)
        self._compared: dict[str, Shape] = {}

    def __repr__(self) -> str:
        return f"<field {self._name}>"

    @property
    def _path(self) -> str:
        """The path to the field from the model of the query: `author.name`."""
        return ".".join((*self._shape[1], self._column.name))

    def _compare(self, operator: str, other: object) -> Expression:
        if isinstance(other, Value):
            return super()._compare(operator, other)
        shape = self._compared.get(operator)
        if shape is None:
            shape = ("binary", operator, self._shape, self._parameter())
            self._compared[operator] = shape
        return Expression(shape, (self._value(other),))


def count(*, where: Expression | bool | None = None) -> Value:
    """The number of rows of a group: `values("country", people=ferro.count())`; with `where`, of
    rows that satisfy it.

    Example:
        >>> import ferro
        >>> class Citizen(ferro.Model, table="doc_citizen"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     country: str
        ...     age: int
        >>> adults = ferro.count(where=Citizen.age >= 18)
        >>> by_country = Citizen.select().group_by("country")
        >>> counted = by_country.values("country", people=ferro.count(), adults=adults)
    """
    filter, values = _filter(where)
    return Value(("aggregate", "count", ("star",), False, filter), values, "count", "integer")


def col(field: Any) -> Value:
    """A field of a model, for type checkers, which treat `User.name` as the `str` of an instance.

    `col(User.name).like("a%")` is the same as `User.name.like("a%")`, but accepted by mypy and
    pyright.

    Example:
        >>> import ferro
        >>> class Guest(ferro.Model, table="doc_guest"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str
        >>> of_a = Guest.where(ferro.col(Guest.name).like("A%"))
        >>> in_order = of_a.order_by(ferro.col(Guest.name).desc())
    """
    if not isinstance(field, Value):
        raise InvalidQuery(f"`col` takes a field, as in `col(User.name)`, not `{field!r}`")
    return field


_PLAIN = frozenset({bool, bytes, float, int, str})
"""Types of plain values, which are neither enums nor expressions."""
_MOVED = frozenset({"date", "timestamp", "timestamptz"})
_WIDTHS = {"integer": 0, "decimal": 1, "float": 2}
_NUMBERS: dict[type, str] = {int: "integer", float: "float", decimal.Decimal: "decimal"}


def _filter(where: Expression | bool | None) -> tuple[Shape | None, tuple[Any, ...]]:
    if where is None:
        return None, ()
    condition = conditional("where", where)
    return condition._shape, condition._values


def wider(one: str, other: str) -> str:
    """The kind that results from two kinds of numbers; other kinds stay the same."""
    if one in _WIDTHS and other in _WIDTHS:
        return max(one, other, key=lambda kind: _WIDTHS[kind])
    return one
