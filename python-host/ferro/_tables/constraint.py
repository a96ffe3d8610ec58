"""Declarations of indexes and checks in models: `Index`, `Check`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._argument import check
from ..exceptions import SchemaError


class Index:
    """An index on one or several fields, for the option `indexes` of a class.

    A relation stands for the field that holds its key. `name` is the name in the database, by
    default built from the table and the columns. With `unique`, no two rows have the same values.
    `where` is a function of the fields of a row, as for `Check`: the index contains only the rows
    that satisfy it. A unique index with `where` is not a key for `upsert` or `get_or_create`.

    Example:
        >>> import ferro
        >>> class Seat(
        ...     ferro.Model,
        ...     table="doc_index_seat",
        ...     indexes=[
        ...         ferro.Index("hall", "number", unique=True, where=lambda s: ~s.removed),
        ...         ferro.Index("guest", name="seats_by_guest"),
        ...     ],
        ... ):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     hall: str
        ...     number: int
        ...     guest: str | None = None
        ...     removed: bool = False
    """

    __slots__ = ("fields", "name", "unique", "where")

    def __init__(
        self,
        *fields: str,
        name: str | None = None,
        unique: bool = False,
        where: Callable[[Any], Any] | None = None,
    ) -> None:
        for field in fields:
            if not isinstance(field, str):
                raise SchemaError(
                    f'`Index` takes names of fields, such as `"email"`, not `{field!r}`'
                )
        if not fields:
            raise SchemaError('`Index` takes the names of its fields, such as `"email"`')
        check(
            SchemaError,
            name=(name, str, None),
            unique=(unique, bool),
            where=(where, Callable, None),
        )
        self.fields = fields
        self.name = name
        self.unique = unique
        self.where = where


class Check:
    """A condition that every row must satisfy, for the option `checks` of a class.

    It is a function of the fields of a row that returns a condition, as for `where` of a query. It
    compares fields with constants and with each other, without computing values: `==`, `<` and so
    on, `between`, `in_`, `not_in`, `is_null`, `is_distinct_from` and boolean fields, combined with
    `&`, `|` and `~`. As for all SQL checks, null is not a violation. `name` appears as
    `CheckViolation.constraint`.

    Example:
        >>> import ferro
        >>> class Offer(
        ...     ferro.Model,
        ...     table="doc_offer",
        ...     checks=[ferro.Check(lambda o: o.price <= o.list_price, name="affordable")],
        ... ):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     price: int
        ...     list_price: int
    """

    __slots__ = ("condition", "name")

    def __init__(self, condition: Callable[[Any], Any], *, name: str | None = None) -> None:
        check(SchemaError, condition=(condition, Callable), name=(name, str, None))
        self.condition = condition
        self.name = name
