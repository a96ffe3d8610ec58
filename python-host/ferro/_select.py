"""Queries: what is asked of a model's table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._expression import Expression, FieldExpression, Fields, Order, Shape, all_of
from ._table import Table
from ._transaction import Transaction, session
from .exceptions import DoesNotExist, InvalidQuery, MultipleObjectsReturned, ValueOutOfRange

if TYPE_CHECKING:
    from ._model import Model

M = TypeVar("M", bound="Model")

# To a type checker `User.age >= 18` compares two integers: that it is a condition only shows when
# it runs. `where` refuses a real `bool` there.
Condition = Expression | bool | Callable[[Fields], Expression]


class Select(Generic[M]):
    """A query of a model's rows. It never changes: every method returns another one.

    Example:
        >>> import ferro
        >>> class City(ferro.Model, table="doc_city"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str
        ...     population: int
        >>> large = City.select().where(City.population > 1_000_000).order_by("-population")
        >>> first_ten = large.limit(10)
    """

    __slots__ = ("_conditions", "_limit", "_model", "_offset", "_order", "_table", "_using")

    def __init__(self, model: type[M], table: Table, using: str | Transaction | None) -> None:
        self._model = model
        self._table = table
        self._using = using
        self._conditions: tuple[Expression, ...] = ()
        self._order: tuple[Shape, ...] = ()
        self._limit: int | None = None
        self._offset: int | None = None

    def where(self, *conditions: Condition, **equals: Any) -> Select[M]:
        """Only rows for which all conditions hold, besides those asked before.

        A condition is an expression (`User.age >= 18`), a function of the model's fields
        (`lambda u: u.age >= 18`), or `field=value`.
        """
        fields = Fields(self._table)
        added = [_condition(fields, condition) for condition in conditions]
        added += [getattr(fields, name) == value for name, value in equals.items()]
        return self._with(_conditions=(*self._conditions, *added))

    def order_by(self, *terms: Any) -> Select[M]:
        """In an order: `"name"`, `"-age"`, `User.age.desc()`. Replaces a former one.

        Nulls come last, unless `nulls="first"` is asked of `asc` or `desc`.
        """
        return self._with(_order=tuple(self._term(term) for term in terms))

    def limit(self, count: int) -> Select[M]:
        """At most so many rows; with 0 none."""
        return self._with(_limit=_count("limit", count))

    def offset(self, count: int) -> Select[M]:
        """Without the first so many rows."""
        return self._with(_offset=_count("offset", count))

    async def all(self) -> list[M]:
        """All rows, as instances."""
        query, values = self._prepared("select")
        _, runner = session(self._using)
        rows: list[M] = await runner.fetch_instances(query, values, self._table.loader)
        return rows

    async def first(self) -> M | None:
        """The first row, by the key if no order was asked; None if there is none."""
        ordered = self if self._order else self.order_by(self._table.key.name)
        rows = await ordered.limit(1 if self._limit is None else min(1, self._limit)).all()
        return rows[0] if rows else None

    async def one(self) -> M:
        """The only row; raises `DoesNotExist` or `MultipleObjectsReturned` otherwise."""
        row = await self.one_or_none()
        if row is None:
            raise DoesNotExist(f"no `{self._table.label}` matches the query")
        return row

    async def one_or_none(self) -> M | None:
        """The only row, or None; raises `MultipleObjectsReturned` if there are several."""
        rows = await self.limit(2 if self._limit is None else min(2, self._limit)).all()
        if len(rows) > 1:
            raise MultipleObjectsReturned(f"several `{self._table.label}` match the query")
        return rows[0] if rows else None

    async def count(self) -> int:
        """How many rows `all` would return."""
        count: int = await self._scalar("count")
        return count

    async def exists(self) -> bool:
        """Whether `all` would return any row."""
        exists: bool = await self._scalar("exists")
        return exists

    async def _scalar(self, statement: str) -> Any:
        query, values = self._prepared(statement)
        _, runner = session(self._using)
        ((value,),) = await runner.fetch(query, values)
        return value

    def _prepared(self, statement: str) -> tuple[Any, tuple[Any, ...]]:
        condition = all_of(self._conditions)
        bounds = tuple(count for count in (self._limit, self._offset) if count is not None)
        shape = (
            statement,
            None if condition is None else condition.shape,
            self._order,
            self._limit is not None,
            self._offset is not None,
        )
        return self._table.query(shape), (() if condition is None else condition.values) + bounds

    def _term(self, term: Any) -> Shape:
        if isinstance(term, FieldExpression):
            term = term.asc()
        if isinstance(term, Order):
            self._table.column(term.shape[0])
            return term.shape
        if isinstance(term, str):
            column = self._table.column(term.removeprefix("-"))
            return (column.name, term.startswith("-"), "last")
        raise InvalidQuery(f"`{term!r}` is no order: name a field, or call `asc()` or `desc()`")

    def _with(self, **changes: Any) -> Select[M]:
        other: Select[M] = object.__new__(Select)
        for name in self.__slots__:
            setattr(other, name, changes[name] if name in changes else getattr(self, name))
        return other


def _condition(fields: Fields, condition: Any) -> Expression:
    if not isinstance(condition, Expression) and callable(condition):
        condition = condition(fields)
    if not isinstance(condition, Expression):
        raise InvalidQuery(
            f"`{condition!r}` is no condition: compare a field of the model, and join conditions "
            "with `&`, `|` and `~`"
        )
    return condition


def _count(name: str, count: int) -> int:
    if not isinstance(count, int) or isinstance(count, bool):
        raise InvalidQuery(f"`{name}` takes an int")
    if count < 0:
        raise ValueOutOfRange(f"`{name}` takes an int that is not negative, not `{count}`")
    return count
