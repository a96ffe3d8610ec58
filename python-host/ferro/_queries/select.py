"""Queries of a model's rows, which can also be updated, deleted and read in pages."""

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
    """A query of a model's rows. It is immutable: every method returns another query.

    Awaiting it is the same as awaiting `all()`, except that a relation whose rows are loaded
    returns those.

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
        """Return the first page: `limit` rows, in the order of the query.

        `page_after` continues from its `end`. Each page costs the same, however far it is from the
        start, and no row is missed or repeated if others are inserted or deleted meanwhile. Ties in
        the order are ordered by key.
        """
        return await page_of(self._spec)

    async def page_after(self, position: Position | str) -> Page[T]:
        """Return the page after a row of the same query in the same order."""
        return await page_beyond(self._spec, position)

    async def page_before(self, position: Position | str) -> Page[T]:
        """Return the page that ends before a row of the same query in the same order."""
        return await page_beyond(self._spec, position, backward=True)

    async def update(self, /, **values: Given) -> int:
        """Update exactly the rows of this query; return their number. Instances do not change.

        A value is the same for every row, or computed from each: `update(views=lambda p: p.views +
        1)`.
        """
        return await update_rows(self._spec, values)

    async def delete(self) -> int:
        """Delete exactly the rows of this query; return their number."""
        return await delete_rows(self._spec)

    async def update_returning(self, /, **values: Given) -> list[T]:
        """Like `update`, but return the rows as they are afterwards, in no particular order."""
        return await update_rows_returning(self._spec, values)

    async def delete_returning(self) -> list[T]:
        """Like `delete`, but return the rows as they were, in no particular order. The instances
        are new, as after `delete` of an instance.
        """
        return await delete_rows_returning(self._spec)
