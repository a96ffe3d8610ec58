"""Sessions: blocks in which each row is one object (identity map)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .._connections.nesting import Nesting
from .._connections.scope import current_scope
from .._connections.transaction import on_undo
from ..exceptions import InvalidQuery

if TYPE_CHECKING:
    from .._tables.table import Table

_Place = tuple[Any, ...]
"""The identity of a row: its connection, scope, table and key."""


class Session:
    """A block in which each row is one object; created by `ferro.session`.

    Example:
        >>> import ferro
        >>> len(ferro.session())
        0
    """

    def __init__(self) -> None:
        self._rows: dict[_Place, Any] = {}
        self._places: dict[int, tuple[_Place, ...]] = {}
        """The places of each object, by its `id`; almost always one."""
        self._entered = False
        self._ended = False

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:
        return True

    def clear(self) -> None:
        """Forget all rows: the next query creates new objects."""
        self._rows.clear()
        self._places.clear()

    def _forget(self, label: str) -> None:
        """Forget the rows of a connection."""
        for place in [place for place in self._rows if place[0] == label]:
            self._take(place)

    def _merge(self, label: str, table: Table, row: Any, *, whole: bool = False) -> Any:
        """Return the known object of a row, with the current values of the database.

        It keeps its unsaved changes, unless the row is taken as a `whole`.
        """
        from .write import changed_fields

        place = _place(label, table, row)
        known = self._rows.get(place)
        if known is None:
            self._put(place, row)
            return row
        if known is not row and (whole or not changed_fields(table, known)):
            known.__dict__.update(row.__dict__)
            object.__setattr__(known, "_ferro_loaded", row._ferro_loaded)
        return known

    def _track(self, place: _Place, row: Any) -> None:
        """Add the object of a row that is new, or has a new key."""
        self._take(place)
        self._put(place, row)

    def _move(self, place: _Place, row: Any, before: _Place) -> None:
        """Move the object of a row to its new place, or put a copy of the object there.

        If it comes from another connection, its former row still exists there.
        """
        former = place[0] == before[0] and self._take(before)
        if self._drop(row) or former:
            self._track(place, row)

    def _drop(self, row: Any) -> bool:
        """Forget an object; return whether it was known."""
        places = self._places.pop(id(row), ())
        for place in places:
            del self._rows[place]
        return bool(places)

    def _put(self, place: _Place, row: Any) -> None:
        self._rows[place] = row
        self._places[id(row)] = (*self._places.get(id(row), ()), place)

    def _take(self, place: _Place) -> bool:
        """Forget the object at a place; return whether there was one."""
        row = self._rows.pop(place, None)
        if row is None:
            return False
        others = tuple(it for it in self._places.pop(id(row)) if it != place)
        if others:
            self._places[id(row)] = others
        return True

    async def __aenter__(self) -> Session:
        if self._entered:
            raise InvalidQuery("a session can only be used once: call `ferro.session()` again")
        self._entered = True
        _blocks.enter(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True
        _blocks.leave(self)
        self.clear()


_blocks: Nesting[Session] = Nesting("ferro_session", lambda it: not it._ended)


def session() -> Session:
    """A block in which each row is one object, however often it is queried.

    Querying a row again returns the same object, with the current values of the database; unsaved
    changes are kept. After a rollback, the rows of its connection are forgotten.

    Example:
        >>> import asyncio, ferro
        >>> class Lamp(ferro.Model, table="doc_lamp"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        >>> async def main() -> bool:
        ...     await ferro.connect("sqlite::memory:", auto_migrate=True)
        ...     async with ferro.session():
        ...         lamp = await Lamp.create()
        ...         same = await Lamp.get(lamp.id) is lamp
        ...     await ferro.disconnect()
        ...     return same
        >>> asyncio.run(main())
        True
    """
    return Session()


def merge(label: str, table: Table, rows: list[Any], *, whole: bool = False) -> list[Any]:
    """The session's objects for rows, if there is a session; see `Session._merge`."""
    current = _blocks.current()
    if current is None:
        return rows
    return [current._merge(label, table, row, whole=whole) for row in rows]


def track(label: str, table: Table, rows: Iterable[Any]) -> None:
    """Add new rows: objects that had their keys no longer exist."""
    current = _blocks.current()
    if current is not None:
        for row in rows:
            current._track(_place(label, table, row), row)


def move(table: Table, rows: Sequence[Any], known: Sequence[tuple[Any, ...]]) -> None:
    """Move rows whose key or connection changes; `known` is their new tracked state."""
    if _blocks.current() is None:
        return
    places = [0, *(table.places[it.name] for it in table.keys)]
    for row, now in zip(rows, known, strict=True):
        before: tuple[Any, ...] = getattr(row, "_ferro_loaded", ())
        if len(before) > 1 and any(before[place] != now[place] for place in places):
            former, place = (
                _at(state[0], table, tuple(state[place] for place in places[1:]))
                for state in (before, now)
            )
            for session in _blocks.all():
                session._move(place, row, former)


def forget_connection(label: str) -> None:
    """Forget the rows of a connection after a rollback: what was read may never have existed."""
    for session in _blocks.all():
        session._forget(label)


on_undo.append(forget_connection)


def drop(row: Any) -> None:
    """Forget a row that no longer exists."""
    for session in _blocks.all():
        session._drop(row)


def _place(label: str, table: Table, row: Any) -> _Place:
    """The key of a row in a session."""
    return _at(label, table, tuple(row.__dict__[it.name] for it in table.keys))


def _at(label: str, table: Table, key: tuple[Any, ...]) -> _Place:
    return label, current_scope(), table.place, key
