"""Queries: what all of them have, whatever their rows are made of."""

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
    """A query of rows, `T` as they come. `Q` is what its methods give: a query of the same kind.

    It never changes. Awaiting it is the same as awaiting `all()`; of a relation whose rows are
    loaded, those come.
    """

    __slots__ = ("_spec",)

    _spec: QuerySpec

    def __init__(self, spec: QuerySpec) -> None:
        self._spec = spec

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._spec.table.label}>"

    def _of(self, spec: QuerySpec) -> Q:
        """A query of the same kind that asks for something else."""
        other: Any = object.__new__(type(self))
        other._spec = spec
        made: Q = other
        return made

    def order_by(self, *terms: Given) -> Q:
        """In an order: `"name"`, `"-age"`, `"author.name"`, `User.age.desc()`. Replaces a former
        one. A name is that of a value that is asked for, if there is one, else of a field.

        Nulls come last, unless `nulls="first"` is asked of `asc` or `desc`.
        """
        spec = self._spec
        return self._of(spec.with_(order=tuple([term_of(spec.table, it) for it in terms])))

    def limit(self, count: int) -> Q:
        """At most so many rows; with 0 none. Rows that tie in the order go by their key."""
        return self._of(self._spec.with_(limit=counted("limit", count)))

    def offset(self, count: int) -> Q:
        """Without the first so many rows."""
        return self._of(self._spec.with_(offset=counted("offset", count)))

    def include(self, /, *relations: str, **chosen: Query[Any, Any]) -> Q:
        """Load relations with the rows: `include("author", "comments.author")`.

        One more query for each relation, however many rows. A query as the value says which of the
        related rows, and in which order; its limit and offset are for each of the rows:
        `include(comments=Comment.where(hidden=False).order_by("-id").limit(3))`.
        """
        from .._relations.include import added

        spec = self._spec
        includes = added(spec.table, spec.includes, relations, chosen)
        return self._of(spec.with_(includes=includes))

    def using(self, connection: str | Transaction) -> Q:
        """The same on a connection, or in a transaction that was passed to this task."""
        check_using(connection)
        spec = self._spec
        other = QuerySpec(spec.table, connection) if spec.plain else spec.with_(using=connection)
        return self._of(other)

    def union(self, *others: Query[T, Any]) -> CombinedSelect[T]:
        """The rows of this query and of others, each once.

        Of one model, or of values of the same types. An order, a limit and an offset that follow
        are those of all rows; the others may have their own, and what else is asked is asked of
        each query: `User.where(age=18).union(User.where(name="Ada")).order_by("name")`.
        """
        return self._combined("union", others)

    def union_all(self, *others: Query[T, Any]) -> CombinedSelect[T]:
        """The rows of this query and of others, repeated ones too; see `union`."""
        return self._combined("union_all", others)

    def intersect(self, *others: Query[T, Any]) -> CombinedSelect[T]:
        """The rows that this query and others have in common, each once; see `union`."""
        return self._combined("intersect", others)

    def except_(self, *others: Query[T, Any]) -> CombinedSelect[T]:
        """The rows of this query that others do not have, each once; see `union`."""
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

        return common_table(self._spec, name, recursive, union_all)

    def __await__(self) -> Generator[Any, Any, list[T]]:
        return self.all().__await__()

    async def all(self) -> list[T]:
        """All rows."""
        return await read(self._spec)

    async def first(self) -> T | None:
        """The first row, by the key if no order was asked, of groups by what they are grouped by;
        None if there is none.
        """
        rows = await read(first_of(self._spec))
        return rows[0] if rows else None

    async def one(self) -> T:
        """The only row; raises `DoesNotExist` or `MultipleObjectsReturned` otherwise."""
        spec = self._spec
        rows = await read(spec.at_most(2))
        if not rows:
            raise DoesNotExist(f"no `{spec.table.label}` matches the query")
        return self._only(rows)

    async def one_or_none(self) -> T | None:
        """The only row, or None; raises `MultipleObjectsReturned` if there are several."""
        rows = await read(self._spec.at_most(2))
        return self._only(rows) if rows else None

    def _only(self, rows: list[T]) -> T:
        if len(rows) > 1:
            label = self._spec.table.label
            raise MultipleObjectsReturned(f"several `{label}` match the query")
        return rows[0]

    async def count(self) -> int:
        """How many rows `all` would return."""
        return await count_of(self._spec)

    async def exists(self) -> bool:
        """Whether `all` would return any row."""
        return await is_there(self._spec)

    def stream(self, batch: int = 1_000) -> AsyncGenerator[T, None]:
        """The rows one after the other, read from the database by batches of so many.

        Until the loop ends, it holds a connection, or the transaction that it runs in. Leaving the
        loop early gives it back once the iterator is closed: `contextlib.aclosing` does so at once.
        """
        return stream_of(self._spec, batch)

    def sql(self) -> tuple[str, tuple[Any, ...]]:
        """The statement that `all` runs, and what it binds to the placeholders.

        It is written for the dialect of the query's connection. Raises `UnsupportedError` in a
        `ferro.scope`, whose values it would have to show.
        """
        spec = self._spec
        return runner_for(spec.using)[1].sql(*prepared(spec))

    async def explain(self) -> str:
        """How the database means to run the query, in its own words."""
        spec = self._spec
        rows = await runner_for(spec.using)[1].explain(*prepared(spec))
        return "\n".join(str(list(row.values())[-1]) for row in rows)
