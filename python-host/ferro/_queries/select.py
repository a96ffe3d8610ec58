"""Queries: what is asked of a model's table."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from .._connections.transaction import block, runner_for
from .._expressions.expression import Expression, Shape
from .._expressions.path import field_of, value_from
from .._rows.identity import merge
from .._statements.shape import LIMIT, OFFSET, rows_shape
from ..exceptions import (
    DoesNotExist,
    InvalidQuery,
    MultipleObjectsReturned,
    TransactionError,
)
from .aggregate import aggregate, average_of, scalar, sum_of
from .builder import Builder
from .change import (
    delete_rows,
    delete_rows_returning,
    update_rows,
    update_rows_returning,
)
from .computed import computed_rows, distinct_of, rows_of
from .page import Page, page_beyond, page_of
from .pairs import outputs_beside, pairs_of
from .position import Position
from .stream import stream_of

T = TypeVar("T")

if TYPE_CHECKING:
    from .common import CommonTable


class Select(Builder[T]):
    """A query of a model's rows. It never changes: every method returns another one.

    Awaiting it is the same as awaiting `all()`; of a relation whose rows are loaded, those come.

    Example:
        >>> import ferro
        >>> class City(ferro.Model, table="doc_city"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str
        ...     population: int
        >>> large = City.select().where(City.population > 1_000_000).order_by("-population")
        >>> first_ten = large.limit(10)
    """

    __slots__ = ()

    def with_values(self, /, *fields: Any, **computed: Any) -> Select[tuple[T, dict[str, Any]]]:
        """The rows, and some values of each beside it: pairs of an instance and a dict.

        The values are those of `values`, and an order names them as there: `Author.select()
        .with_values(posts=Author.posts.count()).order_by("-posts")`.
        """
        return self._of(outputs_beside(self, fields, computed), "pair")

    def _of_values(self) -> Select[Any]:
        """The query as one of values: of all fields, if it asks for none."""
        return self.values() if self._outputs is None else self

    def union(self, *others: Select[T]) -> Select[T]:
        """The rows of this query and of others, each once.

        Of one model, or of values of the same types. An order, a limit and an offset that follow
        are those of all rows; the others may have their own, and what else is asked is asked of
        each query: `User.where(age=18).union(User.where(name="Ada")).order_by("name")`.
        """
        return self._combined("union", others)

    def union_all(self, *others: Select[T]) -> Select[T]:
        """The rows of this query and of others, repeated ones too; see `union`."""
        return self._combined("union_all", others)

    def intersect(self, *others: Select[T]) -> Select[T]:
        """The rows that this query and others have in common, each once; see `union`."""
        return self._combined("intersect", others)

    def except_(self, *others: Select[T]) -> Select[T]:
        """The rows of this query that others do not have, each once; see `union`."""
        return self._combined("except_", others)

    def _combined(self, method: str, others: tuple[Select[T], ...]) -> Select[T]:
        from .combined import combined

        return combined(self, method, others)

    def cte(
        self,
        name: str = "cte",
        *,
        recursive: Callable[[CommonTable], Select[Any]] | None = None,
        union_all: bool = False,
    ) -> CommonTable:
        """A common table: others read the rows of this query as those of a table.

        With `recursive` it reads itself: a function of the table gives the query of further rows
        for those that were found last, until it finds none that is not there already. With
        `union_all` it adds those again, and ends when it finds none. The query has joins,
        conditions and values.

        Example:
            >>> import ferro
            >>> class Folder(ferro.Model, table="doc_cte_folder"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            ...     parent_id: int | None = None
            ...     name: str
            >>> tree = Folder.where(name="home").values("id", "name").cte(
            ...     "tree",
            ...     recursive=lambda tree: Folder.select()
            ...     .join(tree, lambda folder, tree: folder.parent_id == tree.id)
            ...     .values("id", "name"),
            ... )
            >>> below_home = tree.where(lambda t: t.name != "home")
        """
        from .common import common_table

        return common_table(self, name, recursive, union_all)

    def join(self, table: CommonTable, on: Expression | bool | Callable[..., Any]) -> Select[T]:
        """The rows of a common table beside these: a row comes once for each that fits it.

        Which fit is a condition, or a function of the fields of both: `Author.select().join(totals,
        lambda author, t: author.id == t.author_id)`. Other parts name the table's as
        `totals.c.author_id`.
        """
        from .common import joined

        return joined(self, table, on)

    def __await__(self) -> Generator[Any, Any, list[T]]:
        return self.all().__await__()

    async def all(self) -> list[T]:
        """All rows."""
        return (await self._all_and(None))[0]

    async def _all_and(self, field: str | None) -> tuple[list[T], list[Any]]:
        """All rows, and what the database has in a field of each: objects of a session may have
        changed there.
        """
        query = self._plain()
        query._check_lock()
        prepared, values = query._prepared("select")
        label, runner = runner_for(self._using)
        if query._form == "pair":
            read, beside = await runner.fetch_instances_and(prepared, values, self._table.loader)
            return pairs_of(query, await query._as_objects(label, read), beside), []
        if query._outputs is not None:
            return rows_of(query, await runner.fetch_dicts(prepared, values)), []
        read = await runner.fetch_instances(prepared, values, self._table.loader)
        stored = [] if field is None else [row.__dict__[field] for row in read]
        return await query._as_objects(label, read), stored

    async def _as_objects(self, label: str, read: list[Any]) -> list[Any]:
        """Rows that were read as the objects of the session, with the relations to load."""
        rows = merge(label, self._table, read)
        if self._includes:
            from .._relations.include import load

            await load(self._table, rows, self._includes, self._using or label)
        return rows

    async def first(self) -> T | None:
        """The first row, by the key if no order was asked, of groups by what they are grouped by;
        None if there is none.
        """
        rows = await self._first().all()
        return rows[0] if rows else None

    def _first(self) -> Select[T]:
        """The query of the first row."""
        query = self._copy()
        if query._group and query._order is None and not query._distinct:
            query._order = tuple([it.asc() for it in query._group])
        query._limit = 1 if query._limit is None else min(1, query._limit)
        return query

    async def one(self) -> T:
        """The only row; raises `DoesNotExist` or `MultipleObjectsReturned` otherwise."""
        rows = await self._two().all()
        if not rows:
            raise DoesNotExist(f"no `{self._table.label}` matches the query")
        return self._only(rows)

    async def one_or_none(self) -> T | None:
        """The only row, or None; raises `MultipleObjectsReturned` if there are several."""
        rows = await self._two().all()
        return self._only(rows) if rows else None

    def _two(self) -> Select[T]:
        """The query of two rows at most."""
        query = self._copy()
        query._limit = 2 if query._limit is None else min(2, query._limit)
        return query

    def _only(self, rows: list[T]) -> T:
        if len(rows) > 1:
            raise MultipleObjectsReturned(f"several `{self._table.label}` match the query")
        return rows[0]

    async def get(self, key: Any = ..., /, **equals: Any) -> T:
        """The row with a key, or the only one whose fields have values.

        Raises `DoesNotExist` and `MultipleObjectsReturned`.
        """
        rows = await self._such(key, equals)
        if not rows:
            raise DoesNotExist(f"there is no such `{self._table.label}`")
        return rows[0]

    async def get_or_none(self, key: Any = ..., /, **equals: Any) -> T | None:
        """As `get`, with None if there is no such row."""
        rows = await self._such(key, equals)
        return rows[0] if rows else None

    async def _such(self, key: Any, equals: dict[str, Any]) -> list[T]:
        """The row with a key, or the only one whose fields have values, if there is one."""
        if key is None:
            raise InvalidQuery(f"the key of a `{self._table.label}` is never None")
        if isinstance(key, Expression) or callable(key):
            raise InvalidQuery("`get` takes a key, or values of fields: `where(…).one()` does more")
        if key is not ... and not equals and self._is_whole():
            return await self._with_key(key)
        keys = {} if key is ... else self._table.key_values(key)
        if not keys and not equals:
            raise InvalidQuery("`get` takes a key, or values of fields")
        query = self.where(**equals)
        query = query.where(**keys) if keys else query
        if any(map(query._is_of_one_row, {**equals, **keys})):
            return await query.all()
        rows = await query._two().all()
        return [query._only(rows)] if rows else []

    async def _with_key(self, key: Any) -> list[T]:
        """The row of the table with a key: what is asked most often, without a query object."""
        table = self._table
        condition = field_of(table, table.keys[0].name) == key
        query = table.query(("select", rows_shape(filter=condition._shape)))
        label, runner = runner_for(self._using)
        found = await runner.fetch_instances(query, condition._values, table.loader)
        return merge(label, table, found)

    async def page(self) -> Page[T]:
        """The first page: as many rows as `limit` says, in the order of the query.

        Its `end` is where `page_after` goes on. A page behind another one costs the same wherever
        it is, and misses or repeats no row if others are inserted or deleted meanwhile. Rows that
        tie in the order go by their key.
        """
        return await page_of(self._plain())

    async def page_after(self, position: Position | str) -> Page[T]:
        """The page behind a row of the same query in the same order."""
        return await page_beyond(self._plain(), position)

    async def page_before(self, position: Position | str) -> Page[T]:
        """The page that ends before a row of the same query in the same order."""
        return await page_beyond(self._plain(), position, backward=True)

    async def count(self) -> int:
        """How many rows `all` would return."""
        count: int = await scalar(self, "count")
        return count

    async def exists(self) -> bool:
        """Whether `all` would return any row."""
        exists: bool = await scalar(self, "exists")
        return exists

    async def sum(self, field: Any) -> Any:
        """The sum of a field over all rows; None if there is none."""
        return await sum_of(self, field)

    async def avg(self, field: Any) -> Any:
        """The average of a field over all rows; None if there is none."""
        return await average_of(self, field)

    async def min(self, field: Any) -> Any:
        """The least value of a field over all rows; None if there is none."""
        return await aggregate(self, value_from(self._table, field).min())

    async def max(self, field: Any) -> Any:
        """The greatest value of a field over all rows; None if there is none."""
        return await aggregate(self, value_from(self._table, field).max())

    async def update(self, /, **values: Any) -> int:
        """Change exactly the rows of this query; how many. No instance in memory changes.

        A value is one for every row, or computed from each: `update(views=lambda p: p.views + 1)`.
        """
        return await update_rows(self._plain(), values)

    async def delete(self) -> int:
        """Delete exactly the rows of this query; how many."""
        return await delete_rows(self._plain())

    async def update_returning(self, /, **values: Any) -> list[T]:
        """As `update`; the rows as they are afterwards, in no order."""
        return await update_rows_returning(self._plain(), values)

    async def delete_returning(self) -> list[T]:
        """As `delete`; the rows as they were, in no order. The instances are new ones then, as
        after `delete` of an instance.
        """
        return await delete_rows_returning(self._plain())

    def stream(self, batch: int = 1_000) -> AsyncGenerator[T, None]:
        """The rows one after the other, read from the database by batches of so many.

        Until the loop ends, it holds a connection, or the transaction that it runs in. Leaving the
        loop early gives it back once the iterator is closed: `contextlib.aclosing` does so at once.
        """
        return stream_of(self, batch)

    def sql(self) -> tuple[str, tuple[Any, ...]]:
        """The statement that `all` runs, and what it binds to the placeholders.

        It is written for the dialect of the query's connection. Raises `UnsupportedError` in a
        `ferro.scope`, whose values it would have to show.
        """
        prepared, values = self._plain()._prepared("select")
        return runner_for(self._using)[1].sql(prepared, values)

    async def explain(self) -> str:
        """How the database means to run the query, in its own words."""
        prepared, values = self._plain()._prepared("select")
        rows = await runner_for(self._using)[1].explain(prepared, values)
        return "\n".join(str(list(row.values())[-1]) for row in rows)

    def _plain(self) -> Select[T]:
        """The query itself; one of a relation adds its condition."""
        return self

    def _prepared(self, statement: str) -> tuple[Any, tuple[Any, ...]]:
        shape, values = self._rows()
        return self._table.query((statement, shape)), values

    def _rows(self) -> tuple[Shape, tuple[Any, ...]]:
        """The shape of the rows, and its values."""
        if self._outputs is not None or self._group or self._having is not None:
            return computed_rows(self)
        # Nearly every query passes here.
        values: tuple[Any, ...] = ()
        filter = order = None
        distinct: Any = self._distinct
        if distinct:
            distinct, values = distinct_of(self)
        if self._condition is not None:
            filter = self._condition._shape
            values += self._condition._values
        if self._order:
            ordering = self._ordering()
            order = ordering.shape
            values += ordering.values
        limit = offset = None
        if self._limit is not None:
            limit, values = LIMIT, (*values, self._limit)
        if self._offset is not None:
            offset, values = OFFSET, (*values, self._offset)
        return rows_shape(
            None, distinct, filter, (), None, order or (), limit, offset, self._lock
        ), values

    def _check_lock(self) -> None:
        if self._lock is not None and block(self._using) is None:
            raise TransactionError(
                f"`for_{self._lock[0]}` locks rows until the transaction ends, and there is none: "
                "query inside of `async with ferro.transaction()`"
            )

    def _is_of_one_row(self, name: str) -> bool:
        """Whether a condition on this field leaves one row at most: no limit need say so."""
        if self._limit is not None or self._offset is not None or self._outputs is not None:
            return False
        return len(self._table.keys) == 1 and self._table.keys[0].name == name

    def _is_whole(self) -> bool:
        """Whether this is the table as it is, and its key one field."""
        return (
            type(self) is Select
            and self._condition is None
            and self._outputs is None
            and self._limit is None
            and self._offset is None
            and not (self._includes or self._distinct or self._group)
            and self._having is None
            and self._lock is None
            and len(self._table.keys) == 1
        )

    def _copy(self) -> Select[T]:
        """Another one, which is changed before anybody sees it."""
        # Every query passes here a few times: a loop over the slots would take thrice as long.
        query = self._plain()
        other: Select[T] = object.__new__(Select)
        other._model = query._model
        other._table = query._table
        other._using = query._using
        other._condition = query._condition
        other._outputs = query._outputs
        other._form = query._form
        other._distinct = query._distinct
        other._group = query._group
        other._having = query._having
        other._order = query._order
        other._limit = query._limit
        other._offset = query._offset
        other._includes = query._includes
        other._lock = query._lock
        return other
