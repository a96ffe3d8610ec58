"""Queries of the rows of a model, which may be changed and read by pages, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

from .._expressions.path import Given
from .change import delete_rows, delete_rows_returning, update_rows, update_rows_returning
from .page import Page, page_beyond, page_of
from .position import Position
from .query import T
from .table_query import TableQuery

if TYPE_CHECKING:
    from .._expressions.value import FieldExpression, Value
    from .table_query import V


class Select(TableQuery[T, "Select[T]"]):
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

    if TYPE_CHECKING:

        def values(self, /, *fields: Given, **computed: Given) -> Select[dict[str, Any]]: ...
        @overload
        def column(self, field: FieldExpression[V], /) -> Select[V]: ...
        @overload
        def column(self, field: str | Value | Callable[[Any], Any], /) -> Select[Any]: ...
        @overload
        def column(self, field: V, /) -> Select[V]: ...
        def column(self, field: Any, /) -> Any: ...
        def with_values(
            self, /, *fields: Given, **computed: Given
        ) -> Select[tuple[T, dict[str, Any]]]: ...

    async def page(self) -> Page[T]:
        """The first page: as many rows as `limit` says, in the order of the query.

        Its `end` is where `page_after` goes on. A page behind another one costs the same wherever
        it is, and misses or repeats no row if others are inserted or deleted meanwhile. Rows that
        tie in the order go by their key.
        """
        return await page_of(self._spec)

    async def page_after(self, position: Position | str) -> Page[T]:
        """The page behind a row of the same query in the same order."""
        return await page_beyond(self._spec, position)

    async def page_before(self, position: Position | str) -> Page[T]:
        """The page that ends before a row of the same query in the same order."""
        return await page_beyond(self._spec, position, backward=True)

    async def update(self, /, **values: Given) -> int:
        """Change exactly the rows of this query; how many. No instance in memory changes.

        A value is one for every row, or computed from each: `update(views=lambda p: p.views + 1)`.
        """
        return await update_rows(self._spec, values)

    async def delete(self) -> int:
        """Delete exactly the rows of this query; how many."""
        return await delete_rows(self._spec)

    async def update_returning(self, /, **values: Given) -> list[T]:
        """As `update`; the rows as they are afterwards, in no order."""
        return await update_rows_returning(self._spec, values)

    async def delete_returning(self) -> list[T]:
        """As `delete`; the rows as they were, in no order. The instances are new ones then, as
        after `delete` of an instance.
        """
        return await delete_rows_returning(self._spec)
