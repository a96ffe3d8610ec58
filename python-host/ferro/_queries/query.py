"""Queries: what all of them have in common."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._abstract_query import AbstractQuery
from .._argument import counted
from .._connections.transaction import Transaction, check_using, runner_for
from .._expressions.ordering import term_of
from .._expressions.path import Given
from ..exceptions import DoesNotExist, MultipleObjectsReturned
from .aggregate import count_of, is_there
from .read import first_of, read
from .selection import prepared
from .spec import QuerySpec
from .stream import stream_of

T = TypeVar("T")
Q = TypeVar("Q")

if TYPE_CHECKING:
    from .combined import CombinedSelect
    from .common import CommonTable


class Query(AbstractQuery, Generic[T, Q]):
    """A query of rows of type `T`. Its methods return a query of the same kind, `Q`.

    A query is immutable. Awaiting it is the same as awaiting `all()`, except that a relation whose
    rows are loaded returns those.
    """

    __slots__ = ("_spec",)

    _spec: QuerySpec

    def __init__(self, spec: QuerySpec) -> None:
        self._spec = spec

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._spec.table.label}>"

    def _of(self, spec: QuerySpec) -> Q:
        """A query of the same kind with another spec."""
        other: Any = object.__new__(type(self))
        other._spec = spec
        made: Q = other
        return made

    def order_by(self, *terms: Given) -> Q:
        """Order the rows: `"name"`, `"-age"`, `"author.name"`, `User.age.desc()`. Replaces an
        earlier order. A name refers to a selected value, if there is one, otherwise to a field.

        Nulls come last, unless `asc` or `desc` has `nulls="first"`.
        """
        spec = self._spec
        return self._of(spec.with_(order=tuple([term_of(spec.table, it) for it in terms])))

    def limit(self, count: int) -> Q:
        """Return at most `count` rows; 0 returns none. Ties in the order are ordered by key."""
        return self._of(self._spec.with_(limit=counted("limit", count)))

    def offset(self, count: int) -> Q:
        """Skip the first `count` rows."""
        return self._of(self._spec.with_(offset=counted("offset", count)))

    def include(self, /, *relations: str, **chosen: Query[Any, Any]) -> Q:
        """Load relations with the rows: `include("author", "comments.author")`.

        Each relation takes one more query, however many rows there are. A query as the value
        selects and orders the related rows; its limit and offset apply to each of the parent rows:
        `include(comments=Comment.where(hidden=False).order_by("-id").limit(3))`.
        """
        from .._relations.include import added

        spec = self._spec
        includes = added(spec.table, spec.includes, relations, chosen)
        return self._of(spec.with_(includes=includes))

    def using(self, connection: str | Transaction) -> Q:
        """Run on a connection, or in a transaction that was passed to this task."""
        check_using(connection)
        spec = self._spec
        other = QuerySpec(spec.table, connection) if spec.plain else spec.with_(using=connection)
        return self._of(other)

    def union(self, *others: Query[T, Any]) -> CombinedSelect[T]:
        """Return the rows of this query and of others, without duplicates.

        The queries are of one model, or of values of the same types. An order, a limit and an
        offset set afterwards apply to all rows; the other queries can have their own, the first
        cannot. Set everything else on each query:
        `User.where(age=18).union(User.where(name="Ada")).order_by("name")`.
        """
        return self._combined("union", others)

    def union_all(self, *others: Query[T, Any]) -> CombinedSelect[T]:
        """Return the rows of this query and of others, with duplicates; see `union`."""
        return self._combined("union_all", others)

    def intersect(self, *others: Query[T, Any]) -> CombinedSelect[T]:
        """Return the rows that all queries have in common, without duplicates; see `union`."""
        return self._combined("intersect", others)

    def except_(self, *others: Query[T, Any]) -> CombinedSelect[T]:
        """Return the rows of this query that no other has, without duplicates; see `union`."""
        return self._combined("except_", others)

    def _combined(self, method: str, others: tuple[Query[T, Any], ...]) -> CombinedSelect[T]:
        from .combined import combined

        return combined(self, method, others)

    def cte(
        self,
        name: str = "cte",
        *,
        recursive: Callable[[CommonTable], Query[Any, Any]] | None = None,
        union_all: bool = False,
    ) -> CommonTable:
        """Make this query a common table (CTE), which other queries read like a table.

        With `recursive` it reads itself: a function of the table returns the query that finds
        further rows from those found last, until it finds no new ones. With `union_all` duplicates
        are added too, and it ends when it finds no rows. The recursive query can have joins,
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

        return common_table(self._spec, name, recursive, union_all)

    def __await__(self) -> Generator[Any, Any, list[T]]:
        return self.all().__await__()

    async def all(self) -> list[T]:
        """Return all rows."""
        return await read(self._spec)

    async def first(self) -> T | None:
        """Return the first row, or None. Without an order, rows are ordered by key, and groups by
        the fields that they are grouped by.
        """
        rows = await read(first_of(self._spec))
        return rows[0] if rows else None

    async def one(self) -> T:
        """Return the only row; raises `DoesNotExist` or `MultipleObjectsReturned` otherwise."""
        spec = self._spec
        rows = await read(spec.at_most(2))
        if not rows:
            raise DoesNotExist(f"no `{spec.table.label}` matches the query")
        return self._only(rows)

    async def one_or_none(self) -> T | None:
        """Return the only row, or None; raises `MultipleObjectsReturned` if there are several."""
        rows = await read(self._spec.at_most(2))
        return self._only(rows) if rows else None

    def _only(self, rows: list[T]) -> T:
        if len(rows) > 1:
            label = self._spec.table.label
            raise MultipleObjectsReturned(f"several `{label}` match the query")
        return rows[0]

    async def count(self) -> int:
        """Return the number of rows that `all` would return."""
        return await count_of(self._spec)

    async def exists(self) -> bool:
        """Return whether `all` would return any row."""
        return await is_there(self._spec)

    def stream(self, batch: int = 1_000) -> AsyncGenerator[T, None]:
        """Stream the rows, reading `batch` rows at a time from the database.

        It holds a connection, or the transaction that it runs in, until the loop ends. After
        leaving the loop early, it is released when the iterator is closed: `contextlib.aclosing`
        does so at once.
        """
        return stream_of(self._spec, batch)

    def sql(self) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL statement that `all` runs, and the values of its placeholders.

        It is in the dialect of the query's connection. Raises `UnsupportedError` in a
        `ferro.scope`, whose filter values it would reveal.
        """
        spec = self._spec
        return runner_for(spec.using)[1].sql(*prepared(spec))

    async def explain(self) -> str:
        """Return the database's plan for the query, in its own format."""
        spec = self._spec
        rows = await runner_for(spec.using)[1].explain(*prepared(spec))
        return "\n".join(str(list(row.values())[-1]) for row in rows)
