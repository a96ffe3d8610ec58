"""The state of relations on rows: loaded rows, and placeholders for others."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import pydantic

from .._expressions.expression import Expression
from .._queries.select import Select
from .._queries.spec import QuerySpec
from .._rows.write import loaded
from .._tables.relationship import Relationship
from .._tables.table import Table
from ..exceptions import DoesNotExist, InvalidQuery, NotLoaded

if TYPE_CHECKING:
    from .._models.model import Model


T = TypeVar("T")


class NoRow:
    """The value of a relation that leads to no row: false, and None when awaited.

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

        `Loaded[Name | None]` is `Name | None` with `NoRow` accepted as None, which Pydantic would
        reject. The relation must be loaded, for example by `include`.

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
    """A row of which only the key is known; it is loaded when awaited."""

    __slots__ = ("_relation", "_row")

    def __init__(self, row: Model, relation: Relationship) -> None:
        self._row = row
        self._relation = relation

    def __await__(self) -> Generator[Any, Any, Any]:
        return load_row(self._row, self._relation).__await__()

    def __bool__(self) -> Literal[True]:
        if self._relation.holds_key:
            return True
        raise self._error("so it is not known whether there is a row")

    def __eq__(self, other: object) -> bool:
        relation = self._relation
        if isinstance(other, Unloaded):
            if other._relation.target is not relation.target:
                return NotImplemented
            return self._known_key() == other._known_key()
        if other is None:
            return not self
        if type(other) is not relation.target.model:
            return NotImplemented
        return self._known_key() == tuple(other.__dict__.get(it) for it in relation.target_fields)

    def __hash__(self) -> int:
        # `asyncio.gather` awaits equal objects once, but each of these must load its own row.
        return id(self)

    def _known_key(self) -> tuple[Any, ...]:
        if self._relation.holds_key:
            return own_key(self._row, self._relation)
        raise self._error("so it is not known which row it is")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._error(f"so it has no `{name}` yet")

    def _error(self, why: str) -> NotLoaded:
        relation = self._relation
        return NotLoaded(
            f"`{relation}` is not loaded, {why}: `await` it, or query with "
            f'`.include("{relation.name}")`'
        )

    def __repr__(self) -> str:
        return f"<{self._relation}, not loaded>"


def remember(row: Model, relation: Relationship, found: Any) -> None:
    """Store the loaded result of a relation with the row."""
    known = getattr(row, "_ferro_related", None)
    if known is None:
        known = {}
        object.__setattr__(row, "_ferro_related", known)
    known[relation.name] = (own_key(row, relation), found)


def cached(row: Model, relation: Relationship) -> Any:
    """The loaded result of a relation if it is still valid, otherwise None; `NO_ROW` for no row."""
    known = getattr(row, "_ferro_related", None)
    if (
        known is None
        or relation.name not in known
        or known[relation.name][0] != own_key(row, relation)
    ):
        return None
    found = known[relation.name][1]
    return NO_ROW if found is None else found


def forget_related(row: Model, relation: Relationship) -> None:
    """Forget the loaded result of a relation."""
    known = getattr(row, "_ferro_related", None)
    if known is not None:
        known.pop(relation.name, None)


async def load_row(row: Model, relation: Relationship) -> Any:
    equal = dict(zip(relation.target_fields, whole_key(row, relation), strict=True))
    query: Select[Any] = Select(QuerySpec(relation.target, origin_of(row)))
    found = await query.where(**equal).one_or_none()
    if found is None:
        if relation.holds_key:
            raise DoesNotExist(f"`{relation}`: its `{relation.target.label}` no longer exists")
        # Not kept: nothing on this row shows when one appears.
        return None
    remember(row, relation, found)
    return found


def origin_of(row: Model) -> str | None:
    """The connection that a row came from."""
    known = loaded(row)
    return None if known is None else known[0]


def own_key(row: Model, relation: Relationship) -> tuple[Any, ...]:
    return tuple(row.__dict__[name] for name in relation.source_fields)


def key_unloaded(relation: Relationship, other: Unloaded) -> tuple[Any, ...]:
    """The key that a relation must hold to lead to the same row as another one."""
    if other._relation.target is not relation.target:
        raise InvalidQuery(f"`{relation}` leads to `{relation.target.label}`, not to `{other!r}`")
    if not other._relation.holds_key:
        raise NotLoaded(f"`{other._relation}` is not loaded, so its key is not known: `await` it")
    return own_key(other._row, other._relation)


def whole_key(row: Model, relation: Relationship) -> tuple[Any, ...]:
    """The key by which related rows are found; rejects None, which would match rows without a
    parent.
    """
    key = own_key(row, relation)
    if None in key:
        raise InvalidQuery(
            f"`{relation}`: this `{relation.source.label}` has no key yet: save it first"
        )
    return key


def is_key(table: Table, field: str, given: Any, key: Any) -> bool:
    """Whether a value passed for a field equals this key."""
    if isinstance(given, Expression) or callable(given):
        return False
    try:
        return bool(table.validated(field, given) == key)
    except pydantic.ValidationError:
        return False
