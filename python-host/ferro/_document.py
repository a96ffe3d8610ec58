"""Parts of documents, as conditions and orders name them."""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ._message import quoted
from .exceptions import TypeMismatch

if TYPE_CHECKING:
    from ._expression import Expression, Value


class JsonValue:
    """A part of a document. What it is compared with says what it is read as.

    Example:
        >>> import ferro
        >>> class Event(ferro.Model, table="doc_event"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     data: dict[str, object]
        >>> in_zurich = Event.data["address"]["city"] == "Zürich"
        >>> by_size = Event.data["size"].as_type(int).desc()
    """

    __slots__ = ("_document", "_name", "_steps")

    def __init__(self, document: Value, steps: tuple[str, ...], name: str) -> None:
        self._document = document
        self._steps = steps
        self._name = name

    def __getitem__(self, step: str | int) -> JsonValue:
        if isinstance(step, bool) or not isinstance(step, (str, int)):
            raise TypeMismatch(f"`{self._name}`: a part has a `str` or an `int` for its name")
        return JsonValue(self._document, (*self._steps, str(step)), f"{self._name}[{step!r}]")

    __iter__ = None

    def as_type(self, type: type) -> Value:
        """Read as a `str`, `int`, `float`, `bool` or `Decimal`."""
        kind = _KINDS.get(type)
        if kind is None:
            known = quoted(it.__name__ for it in _KINDS)
            raise TypeMismatch(f"`{self._name}` is read as one of {known}")
        return self._part(kind)

    def _part(self, kind: str = "json") -> Value:
        return self._document._part(self._steps, kind, self._name)

    def is_null(self) -> Expression:
        """The document has no such part. One that is a JSON null is there."""
        return self._part().is_null()

    def is_not_null(self) -> Expression:
        """The document has such a part, of whatever type; a JSON null is one."""
        return self._part().is_not_null()

    def in_(self, values: Iterable[object]) -> Expression:
        """One of some values of one type."""
        given = list(values)
        return self.as_type(type(given[0]) if given else str).in_(given)

    def like(self, pattern: str) -> Expression:
        """Matches a pattern of SQL; capitals count."""
        return self.as_type(str).like(pattern)

    def ilike(self, pattern: str) -> Expression:
        """Matches a pattern of SQL; capitals do not count."""
        return self.as_type(str).ilike(pattern)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return self.is_null() if other is None else self.as_type(type(other)) == other

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return self.is_not_null() if other is None else self.as_type(type(other)) != other

    def __lt__(self, other: object) -> Expression:
        return self.as_type(type(other)) < other

    def __le__(self, other: object) -> Expression:
        return self.as_type(type(other)) <= other

    def __gt__(self, other: object) -> Expression:
        return self.as_type(type(other)) > other

    def __ge__(self, other: object) -> Expression:
        return self.as_type(type(other)) >= other

    __hash__ = None  # type: ignore[assignment]


_KINDS: dict[type, str] = {
    str: "text",
    bool: "boolean",
    int: "integer",
    float: "float",
    decimal.Decimal: "decimal",
}
