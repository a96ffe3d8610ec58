"""Sessions: blocks in which one row is one object."""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .exceptions import InvalidQuery

if TYPE_CHECKING:
    from ._table import Table

_current: ContextVar[Session | None] = ContextVar("ferro_session", default=None)


class Session:
    """A block in which one row is one object; made by `ferro.session`.

    Example:
        >>> import ferro
        >>> len(ferro.session())
        0
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[Any, ...], Any] = {}
        self._outer: Session | None = None
        self._entered = False

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:
        return True

    def clear(self) -> None:
        """Forget all rows: the next query makes new objects."""
        self._rows.clear()

    def forget(self, label: str) -> None:
        """Forget the rows of a connection."""
        for key in [key for key in self._rows if key[0] == label]:
            del self._rows[key]

    def merge(self, label: str, table: Table, row: Any, *, whole: bool = False) -> Any:
        """The object of a row: the one that is known, with what the database has now.

        If it was changed and not saved, it keeps its changes, unless the row is taken `whole`.
        """
        from ._model import is_changed
        from ._scope import current_scope

        key = tuple(row.__dict__[it.name] for it in table.keys)
        place = (label, current_scope(), table.name, key)
        known = self._rows.setdefault(place, row)
        if known is not row and (whole or not is_changed(table, known)):
            known.__dict__.update(row.__dict__)
            object.__setattr__(known, "_ferro_loaded", row._ferro_loaded)
        return known

    async def __aenter__(self) -> Session:
        if self._entered:
            raise InvalidQuery("a session is used once: call `ferro.session()` again")
        self._entered = True
        self._outer = _current.get()
        _current.set(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _current.set(self._outer)
        self._rows.clear()


def session() -> Session:
    """A block in which one row is one object, however often it is queried.

    A row that is queried again is the object that is known, with what the database has now; one
    that was changed and not saved keeps its changes. A rollback forgets the rows of its connection.

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
    """The objects of rows: those of the session, if there is one; see `Session.merge`."""
    current = _current.get()
    if current is None:
        return rows
    return [current.merge(label, table, row, whole=whole) for row in rows]


def forget(label: str) -> None:
    """What was read on a connection may never have been."""
    current = _current.get()
    while current is not None:
        current.forget(label)
        current = current._outer


def drop(label: str, table: Table, row: Any) -> None:
    """A row is gone."""
    current = _current.get()
    if current is not None:
        for place in [place for place, known in current._rows.items() if known is row]:
            del current._rows[place]
