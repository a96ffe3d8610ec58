"""What rows know of their relations: the rows that are loaded, and what stands for others."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import pydantic

from .._expressions.expression import Expression
from .._queries.select import Select
from .._rows.write import loaded
from .._tables.table import Table
from ..exceptions import DoesNotExist, InvalidQuery, NotLoaded
from .edge import Edge

if TYPE_CHECKING:
    from .._models.model import Model


T = TypeVar("T")


class NoRow:
    """What a relation that leads to no row is: false, and None when it is awaited.

    Example:
        >>> import asyncio, ferro
        >>> class Desk(ferro.Model, table="doc_desk"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     user: ferro.Relation["Person | None"] = ferro.ForeignKey(related_name="desks")
        >>> class Person(ferro.Model, table="doc_desk_person"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        >>> async def main() -> object:
        ...     return await Desk(id=1).user
        >>> bool(Desk(id=1).user), asyncio.run(main())
        (False, None)
    """

    __slots__ = ()

    def __bool__(self) -> Literal[False]:
        return False

    def __await__(self) -> Generator[Any, Any, None]:
        return
        yield

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, NoRow)

    def __hash__(self) -> int:
        return hash(None)

    def __repr__(self) -> str:
        return "None"


NO_ROW = NoRow()


def _none_for_no_row(value: Any) -> Any:
    return None if isinstance(value, NoRow) else value


if TYPE_CHECKING:
    Loaded = Annotated[T, pydantic.BeforeValidator(_none_for_no_row)]
else:

    class Loaded:
        """The type of a relation that may lead to no row, in a Pydantic model that reads rows.

        `Loaded[Name | None]` is `Name | None`, for which Pydantic takes None and no `NoRow`. The
        relation has to be loaded, as by `include`.

        Example:
            >>> import ferro, pydantic
            >>> class Ship(ferro.Model, table="doc_ship"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            ...     harbour: ferro.Relation["Harbour | None"] = ferro.ForeignKey()
            >>> class Harbour(ferro.Model, table="doc_harbour"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            ...     name: str
            >>> class HarbourOut(pydantic.BaseModel, from_attributes=True):
            ...     name: str
            >>> class ShipOut(pydantic.BaseModel, from_attributes=True):
            ...     harbour: ferro.Loaded[HarbourOut | None]
            >>> ShipOut.model_validate(Ship(id=1))
            ShipOut(harbour=None)
        """

        def __class_getitem__(cls, kind: Any) -> Any:
            return Annotated[kind, pydantic.BeforeValidator(_none_for_no_row)]


class Unloaded:
    """A row that is known by its key, and is loaded when it is awaited."""

    __slots__ = ("_edge", "_row")

    def __init__(self, row: Model, edge: Edge) -> None:
        self._row = row
        self._edge = edge

    def __await__(self) -> Generator[Any, Any, Any]:
        return load_row(self._row, self._edge).__await__()

    def __bool__(self) -> Literal[True]:
        if self._edge.holds_key:
            return True
        raise self._error("so it is not known whether there is a row")

    def __eq__(self, other: object) -> bool:
        edge = self._edge
        if isinstance(other, Unloaded):
            if other._edge.target is not edge.target:
                return NotImplemented
            return self._known_key() == other._known_key()
        if other is None:
            return not self
        if type(other) is not edge.target.model:
            return NotImplemented
        return self._known_key() == tuple(other.__dict__.get(it) for it in edge.target_fields)

    def __hash__(self) -> int:
        # `asyncio.gather` awaits once what is the same, and each of these loads a row of its own.
        return id(self)

    def _known_key(self) -> tuple[Any, ...]:
        if self._edge.holds_key:
            return own_key(self._row, self._edge)
        raise self._error("so it is not known which row it is")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._error(f"so it has no `{name}` yet")

    def _error(self, why: str) -> NotLoaded:
        edge = self._edge
        return NotLoaded(
            f'`{edge}` is not loaded, {why}: `await` it, or query with `.include("{edge.name}")`'
        )

    def __repr__(self) -> str:
        return f"<{self._edge}, not loaded>"


def remember(row: Model, edge: Edge, found: Any) -> None:
    """Keep what a relation leads to with the row."""
    known = getattr(row, "_ferro_related", None)
    if known is None:
        known = {}
        object.__setattr__(row, "_ferro_related", known)
    known[edge.name] = (own_key(row, edge), found)


def cached(row: Model, edge: Edge) -> Any:
    """What a relation leads to, if it is loaded and still true; else None: no row is `NO_ROW`."""
    known = getattr(row, "_ferro_related", None)
    if known is None or edge.name not in known or known[edge.name][0] != own_key(row, edge):
        return None
    found = known[edge.name][1]
    return NO_ROW if found is None else found


def forget(row: Model, edge: Edge) -> None:
    """What a relation leads to has changed."""
    known = getattr(row, "_ferro_related", None)
    if known is not None:
        known.pop(edge.name, None)


async def load_row(row: Model, edge: Edge) -> Any:
    equal = dict(zip(edge.target_fields, whole_key(row, edge), strict=True))
    query: Select[Any] = Select(edge.target.model, edge.target, origin_of(row))
    found = await query.where(**equal).one_or_none()
    if found is None:
        if edge.holds_key:
            raise DoesNotExist(f"`{edge}`: its `{edge.target.label}` is gone")
        # Not kept: nothing that this row has says when there is one.
        return None
    remember(row, edge, found)
    return found


def origin_of(row: Model) -> str | None:
    """The connection that a row is from."""
    known = loaded(row)
    return None if known is None else known[0]


def own_key(row: Model, edge: Edge) -> tuple[Any, ...]:
    return tuple(row.__dict__[name] for name in edge.source_fields)


def key_unloaded(edge: Edge, other: Unloaded) -> tuple[Any, ...]:
    """The key that a relation has to hold, to lead to the row that another one leads to."""
    if other._edge.target is not edge.target:
        raise InvalidQuery(f"`{edge}` leads to `{edge.target.label}`, not to `{other!r}`")
    if not other._edge.holds_key:
        raise NotLoaded(f"`{other._edge}` is not loaded, so its key is not known: `await` it")
    return own_key(other._row, other._edge)


def whole_key(row: Model, edge: Edge) -> tuple[Any, ...]:
    """The key by which rows of the other end are found: None in it would find those of nobody."""
    key = own_key(row, edge)
    if None in key:
        raise InvalidQuery(f"`{edge}`: this `{edge.source.label}` has no key yet: save it first")
    return key


def is_key(table: Table, field: str, given: Any, key: Any) -> bool:
    """Whether a value that is given for a field is this key."""
    if isinstance(given, Expression) or callable(given):
        return False
    try:
        return bool(table.validated(field, given) == key)
    except pydantic.ValidationError:
        return False
