"""Queries: what is asked of a model's table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._expression import (
    Expression,
    FieldExpression,
    Fields,
    Order,
    Shape,
    Value,
    all_of,
    conditions_of,
    field_at,
    field_of,
    value_from,
)
from ._identity import merge
from ._shape import rows_shape
from ._table import Table
from ._transaction import Transaction, session
from .exceptions import DoesNotExist, InvalidQuery, MultipleObjectsReturned, ValueOutOfRange

T = TypeVar("T")

# To a type checker `User.age >= 18` compares two integers: that it is a condition only shows when
# it runs. `where` refuses a real `bool` there.
Condition = Expression | bool | Callable[[Any], Any]

if TYPE_CHECKING:
    from ._include import Tree


class Select(Generic[T]):
    """A query of a model's rows. It never changes: every method returns another one.

    Awaiting it is the same as awaiting `all()`.

    Example:
        >>> import ferro
        >>> class City(ferro.Model, table="doc_city"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str
        ...     population: int
        >>> large = City.select().where(City.population > 1_000_000).order_by("-population")
        >>> first_ten = large.limit(10)
    """

    __slots__ = (
        "_conditions",
        "_distinct",
        "_group",
        "_having",
        "_includes",
        "_limit",
        "_model",
        "_offset",
        "_order",
        "_outputs",
        "_table",
        "_using",
    )

    def __init__(self, model: type[Any], table: Table, using: str | Transaction | None) -> None:
        self._model = model
        self._table = table
        self._using = using
        self._conditions: tuple[Expression, ...] = ()
        self._outputs: tuple[tuple[str, Value], ...] | None = None
        self._distinct = False
        self._group: tuple[Value, ...] = ()
        self._having: tuple[Expression, ...] = ()
        self._order: tuple[Order, ...] = ()
        self._limit: int | None = None
        self._offset: int | None = None
        self._includes: Tree = {}

    def where(self, *conditions: Condition, **equals: Any) -> Select[T]:
        """Only rows for which all conditions hold, besides those asked before.

        A condition is an expression (`User.age >= 18`), a function of the model's fields
        (`lambda u: u.age >= 18`), or `field=value`.
        """
        query = self._plain()
        added = conditions_of(self._table, conditions, equals)
        return query._with(_conditions=(*query._conditions, *added))

    def order_by(self, *terms: Any) -> Select[T]:
        """In an order: `"name"`, `"-age"`, `"author.name"`, `User.age.desc()`. Replaces a former
        one.

        Nulls come last, unless `nulls="first"` is asked of `asc` or `desc`.
        """
        return self._plain()._with(_order=tuple(self._term(term) for term in terms))

    def limit(self, count: int) -> Select[T]:
        """At most so many rows; with 0 none. Rows that tie in the order go by their key."""
        return self._plain()._with(_limit=_count("limit", count))

    def offset(self, count: int) -> Select[T]:
        """Without the first so many rows."""
        return self._plain()._with(_offset=_count("offset", count))

    def distinct(self) -> Select[T]:
        """Rows that are alike in all that is asked for come once."""
        return self._plain()._with(_distinct=True)

    def values(self, *fields: Any, **computed: Any) -> Select[dict[str, Any]]:
        """Some values of each row, as dicts: `values("name", year=lambda u: u.born.year)`.

        A name stands for its field, also across relations: `"author.name"`. With `group_by`, each
        row is a group: `values("country", people=ferro.count())`.
        """
        outputs = [self._output(field) for field in fields]
        outputs += [(name, value_from(self._table, it)) for name, it in computed.items()]
        if not outputs:
            table = self._table
            outputs = [(name, field_of(table, name)) for name in table.columns]
        query: Select[Any] = self._plain()._with(_outputs=tuple(outputs))
        return query

    def group_by(self, *fields: Any) -> Select[T]:
        """Rows that agree in all fields become one: `values` says what is asked of them."""
        group = tuple(value_from(self._table, field) for field in fields)
        return self._plain()._with(_group=group)

    def having(self, *conditions: Condition) -> Select[T]:
        """Only groups for which all conditions hold: `having(lambda u: u.id.count() > 3)`."""
        query = self._plain()
        added = conditions_of(self._table, conditions, {})
        return query._with(_having=(*query._having, *added))

    def include(self, *relations: str, **chosen: Select[Any]) -> Select[T]:
        """Load relations with the rows: `include("author", "comments.author")`.

        One more query for each relation, two for one through a table of pairs, however many rows.
        A query as the value says which of the related rows, and in which order:
        `include(comments=Comment.where(hidden=False).order_by("id"))`.
        """
        from ._include import added

        query = self._plain()
        return query._with(_includes=added(self._table, query._includes, relations, chosen))

    def __await__(self) -> Generator[Any, Any, list[T]]:
        return self.all().__await__()

    async def all(self) -> list[T]:
        """All rows."""
        query = self._plain()
        prepared, values = query._prepared("select")
        label, runner = session(self._using)
        if query._outputs is not None:
            return query._decoded(await runner.fetch_dicts(prepared, values))
        rows: list[Any] = merge(
            label, self._table, await runner.fetch_instances(prepared, values, self._table.loader)
        )
        if query._includes:
            from ._include import load

            await load(self._table, rows, query._includes, self._using or label)
        return rows

    async def first(self) -> T | None:
        """The first row, by the key if no order was asked; None if there is none."""
        query = self._plain()
        if not query._order and query._has_key():
            query = query._with(_order=query._key_order())
        rows = await query.limit(1 if query._limit is None else min(1, query._limit)).all()
        return rows[0] if rows else None

    async def one(self) -> T:
        """The only row; raises `DoesNotExist` or `MultipleObjectsReturned` otherwise."""
        row = await self.one_or_none()
        if row is None:
            raise DoesNotExist(f"no `{self._table.label}` matches the query")
        return row

    async def one_or_none(self) -> T | None:
        """The only row, or None; raises `MultipleObjectsReturned` if there are several."""
        limit = 2 if self._limit is None else min(2, self._limit)
        rows = await self._plain()._with(_limit=limit).all()
        if len(rows) > 1:
            raise MultipleObjectsReturned(f"several `{self._table.label}` match the query")
        return rows[0] if rows else None

    async def get(self, key: Any = None, /, **equals: Any) -> T:
        """The row with a key, or the only one whose fields have values.

        Raises `DoesNotExist` and `MultipleObjectsReturned`.
        """
        row = await self.get_or_none(key, **equals)
        if row is None:
            raise DoesNotExist(f"there is no such `{self._table.label}`")
        return row

    async def get_or_none(self, key: Any = None, /, **equals: Any) -> T | None:
        """As `get`, with None if there is no such row."""
        if key is not None:
            equals.update(self._table.key_values(key))
        if not equals:
            raise InvalidQuery("`get` takes a key, or values of fields")
        query = self.where(**equals)
        if len(equals) == 1 and query._is_of_one_row(next(iter(equals))):
            rows = await query.all()
            return rows[0] if rows else None
        return await query.one_or_none()

    async def count(self) -> int:
        """How many rows `all` would return."""
        count: int = await self._scalar("count")
        return count

    async def exists(self) -> bool:
        """Whether `all` would return any row."""
        exists: bool = await self._scalar("exists")
        return exists

    async def sum(self, field: Any) -> Any:
        """The sum of a field over all rows; None if there is none."""
        return await self._aggregate(value_from(self._table, field).sum())

    async def avg(self, field: Any) -> Any:
        """The average of a field over all rows; None if there is none."""
        return await self._aggregate(value_from(self._table, field).avg())

    async def min(self, field: Any) -> Any:
        """The least value of a field over all rows; None if there is none."""
        return await self._aggregate(value_from(self._table, field).min())

    async def max(self, field: Any) -> Any:
        """The greatest value of a field over all rows; None if there is none."""
        return await self._aggregate(value_from(self._table, field).max())

    async def update(self, **values: Any) -> int:
        """Change exactly the rows of this query; how many. No instance in memory changes.

        A value is one for every row, or computed from each: `update(views=lambda p: p.views + 1)`.
        """
        from ._related import split_relations

        query = self._plain()
        query._check_writable("update")
        if not values:
            raise InvalidQuery("`update` takes at least one field: `update(name=…)`")
        values, _ = split_relations(self._model, values)
        shapes: list[Shape] = []
        given: tuple[Any, ...] = ()
        for name, value in values.items():
            shape, bound = self._assigned(name, value)
            shapes.append((name, shape))
            given += bound
        rows, of_rows = query._rows()
        statement = self._table.query(("update-rows", tuple(shapes), rows))
        return await session(self._using)[1].execute(statement, given + of_rows)

    async def delete(self) -> int:
        """Delete exactly the rows of this query; how many."""
        query = self._plain()
        query._check_writable("delete")
        rows, values = query._rows()
        statement = self._table.query(("delete-rows", rows))
        return await session(self._using)[1].execute(statement, values)

    async def stream(self, batch: int = 1_000) -> AsyncIterator[T]:
        """The rows one after the other, read from the database by batches of so many.

        Until the loop ends, it holds a connection, or the transaction that it runs in. Leaving the
        loop early gives it back once the iterator is closed: `contextlib.aclosing` does so at once.
        """
        if _count("batch", batch) == 0:
            raise ValueOutOfRange("`batch` takes an int from 1")
        query = self._plain()
        if query._includes:
            raise InvalidQuery("`stream` does not load relations: leave `include` out")
        prepared, values = query._prepared("select")
        label, runner = session(self._using)
        loader = None if query._outputs is not None else self._table.loader
        cursor = await runner.open(prepared, values, loader)
        try:
            while rows := await cursor.next(batch):
                for row in merge(label, self._table, rows) if loader else query._decoded(rows):
                    yield row
        finally:
            cursor.close()

    def sql(self) -> tuple[str, tuple[Any, ...]]:
        """The statement that `all` runs, and what it binds to the placeholders.

        It is written for the dialect of the query's connection.
        """
        prepared, values = self._plain()._prepared("select")
        sql, places = session(self._using)[1].sql(prepared)
        return sql, tuple(values[place] for place in places)

    async def explain(self) -> str:
        """How the database means to run the query, in its own words."""
        prepared, values = self._plain()._prepared("select")
        rows = await session(self._using)[1].explain(prepared, values)
        return "\n".join(str(list(row.values())[-1]) for row in rows)

    async def _scalar(self, statement: str) -> Any:
        query, values = self._plain()._with(_order=())._prepared(statement)
        _, runner = session(self._using)
        ((value,),) = await runner.fetch(query, values)
        return value

    async def _aggregate(self, value: Value) -> Any:
        query = self._plain()
        if query._limit is not None or query._offset is not None or query._group or query._distinct:
            raise InvalidQuery(
                "an aggregate is over all rows: without limit, offset, distinct or groups"
            )
        ((found,),) = await session(self._using)[1].fetch(
            *query._with(_outputs=(("value", value),), _order=())._prepared("select")
        )
        return found

    def _plain(self) -> Select[T]:
        """The query itself; one of a relation adds its condition."""
        return self

    def _prepared(self, statement: str) -> tuple[Any, tuple[Any, ...]]:
        shape, values = self._rows()
        return self._table.query((statement, shape)), values

    def _rows(self) -> tuple[Shape, tuple[Any, ...]]:
        """The shape of the rows, and its values."""
        condition, having = all_of(self._conditions), all_of(self._having)
        order = self._order
        if (self._limit is not None or self._offset is not None) and self._has_key():
            order = self._key_order()
        parts: list[Any] = []
        if self._outputs is not None:
            if self._group or not self._includes:
                parts += [value for _, value in self._outputs]
            else:
                raise InvalidQuery("`values` does not load relations: leave `include` out")
        elif self._group or having is not None:
            raise InvalidQuery("groups have no instances: say with `values` what is asked of them")
        if condition is not None:
            parts.append(condition)
        parts += self._group
        if having is not None:
            parts.append(having)
        parts += order
        values: tuple[Any, ...] = ()
        for part in parts:
            if part.values:
                values += part.values
        if self._limit is not None:
            values += (self._limit,)
        if self._offset is not None:
            values += (self._offset,)
        outputs = self._outputs
        shape = rows_shape(
            outputs=None if outputs is None else tuple((name, it.shape) for name, it in outputs),
            distinct=self._distinct,
            filter=None if condition is None else condition.shape,
            group=tuple(it.shape for it in self._group),
            having=None if having is None else having.shape,
            order=tuple(it.shape for it in order),
            limit=self._limit is not None,
            offset=self._offset is not None,
        )
        return shape, values

    def _is_of_one_row(self, name: str) -> bool:
        """Whether a condition on this field alone leaves one row at most: no limit need say so."""
        if self._limit is not None or self._offset is not None or self._outputs is not None:
            return False
        return len(self._table.keys) == 1 and self._table.keys[0].name == name

    def _has_key(self) -> bool:
        """Whether each row of the result is a row of the table, which its key tells from others."""
        if self._group or self._distinct:
            return False
        return self._outputs is None or all(
            isinstance(it, FieldExpression) for _, it in self._outputs
        )

    def _key_order(self) -> tuple[Order, ...]:
        """The order, and the key in it: rows that tie have an order, too."""
        known = {it.shape[0] for it in self._order}
        added = [field_of(self._table, key.name) for key in self._table.keys]
        return (*self._order, *(it.asc() for it in added if it.shape not in known))

    def _decoded(self, rows: list[dict[str, Any]]) -> list[Any]:
        """Values of enums and of documents that have a shape, in dicts."""
        for name, value in self._outputs or ():
            column = value.column if isinstance(value, FieldExpression) else None
            decode = None
            if column is not None:
                decode = column.enum_class or column.decode
            if decode is not None:
                for row in rows:
                    if row[name] is not None:
                        row[name] = decode(row[name])
        return rows

    def _output(self, field: Any) -> tuple[str, Value]:
        if isinstance(field, str):
            return field, field_at(self._table, field)
        if isinstance(field, FieldExpression):
            return field.column.name, field
        raise InvalidQuery(f"`{field!r}` needs a name in the result: `values(name=…)`")

    def _assigned(self, name: str, value: Any) -> tuple[Shape, tuple[Any, ...]]:
        """The shape of a new value, and what it takes."""
        column = self._table.column(name)
        if callable(value) and not isinstance(value, Expression):
            value = value(Fields(self._table))
        if isinstance(value, Value):
            return value.shape, value.values
        if isinstance(value, Expression):
            raise InvalidQuery(f"`{self._table.label}.{name}` is set to a value, not a condition")
        value = column.stored(self._table.validated(name, value))
        parameter = ("parameter", f"{self._table.label}.{name}", column.kind, column.many)
        return parameter, (value,)

    def _check_writable(self, operation: str) -> None:
        if self._outputs is not None or self._group or self._distinct or self._includes:
            raise InvalidQuery(
                f"`{operation}` is of the rows themselves: without values, groups, distinct and "
                "include"
            )

    def _term(self, term: Any) -> Order:
        if isinstance(term, Order):
            return term
        if isinstance(term, str):
            known = self._table.orders.get(term) if self._outputs is None else None
            if known is not None:
                return known
            value = self._named(term.removeprefix("-"))
            order = value.desc() if term.startswith("-") else value.asc()
            if self._outputs is None:
                self._table.orders[term] = order
            return order
        if callable(term) and not isinstance(term, Expression):
            return self._term(term(Fields(self._table)))
        if isinstance(term, Value):
            return term.asc()
        raise InvalidQuery(f"`{term!r}` is no order: name a field, or call `asc()` or `desc()`")

    def _named(self, name: str) -> Value:
        """A value by its name: one that `values` computes, or a field."""
        for output, value in self._outputs or ():
            if output == name:
                return value
        return field_at(self._table, name)

    def _with(self, **changes: Any) -> Select[T]:
        # Every query passes here a few times: a loop over the slots would take thrice as long.
        other: Select[T] = object.__new__(Select)
        other._model = self._model
        other._table = self._table
        other._using = self._using
        other._conditions = self._conditions
        other._outputs = self._outputs
        other._distinct = self._distinct
        other._group = self._group
        other._having = self._having
        other._order = self._order
        other._limit = self._limit
        other._offset = self._offset
        other._includes = self._includes
        for name, value in changes.items():
            setattr(other, name, value)
        return other


def _count(name: str, count: int) -> int:
    if not isinstance(count, int) or isinstance(count, bool):
        raise InvalidQuery(f"`{name}` takes an int")
    if count < 0:
        raise ValueOutOfRange(f"`{name}` takes an int that is not negative, not `{count}`")
    return count
