"""Queries that are more than a plain one, and lack some of its methods."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from ..exceptions import InvalidQuery
from .builder import Builder
from .select import Select

T = TypeVar("T")


class Variant(Select[T]):
    """A query of another kind, with slots of its own."""

    __slots__ = ()

    def _copy(self) -> Select[T]:
        other: Select[T] = object.__new__(type(self))
        for name in (*Builder.__slots__, *self.__slots__):
            setattr(other, name, getattr(self, name))
        return other


def refuse(kind: type[Variant[Any]], what: str, methods: dict[str, str]) -> None:
    """Leave methods out of a kind of queries; each with what to do in place of it."""
    for name, hint in methods.items():
        setattr(kind, name, _refusing(f"`{name}` is not for {what}: {hint}"))


def _refusing(message: str) -> Any:
    def method(self: Any, *_: Any, **__: Any) -> NoReturn:
        raise InvalidQuery(message)

    return method
