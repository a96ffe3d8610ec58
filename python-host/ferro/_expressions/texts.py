"""Operations on texts: patterns, and functions that the database computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._argument import check
from ..exceptions import InvalidQuery

if TYPE_CHECKING:
    from .expression import Expression
    from .value import Value


class Texts:
    """The methods of a text: of a field, or of a part of a document that is read as one."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _match(self, operator: str, method: str, text: object) -> Expression: ...

        def _call(self, name: str, kind: str, *numbers: int) -> Value: ...

        def _call_with(self, name: str, kind: str, *others: object) -> Value: ...

    def like(self, pattern: str) -> Expression:
        """Whether the text matches an SQL pattern; case-sensitive."""
        return self._match("like", "like", pattern)

    def ilike(self, pattern: str) -> Expression:
        """Whether the text matches an SQL pattern, ignoring case (on SQLite, of ASCII letters
        only).
        """
        return self._match("ilike", "ilike", pattern)

    def not_like(self, pattern: str) -> Expression:
        """Whether the text does not match an SQL pattern, as for `like`. Null matches neither."""
        return self._match("not-like", "not_like", pattern)

    def not_ilike(self, pattern: str) -> Expression:
        """Whether the text does not match an SQL pattern, as for `ilike`. Null matches neither."""
        return self._match("not-ilike", "not_ilike", pattern)

    def startswith(self, text: str) -> Expression:
        """Whether the text starts with another one; without wildcards."""
        return self._match("starts-with", "startswith", text)

    def endswith(self, text: str) -> Expression:
        """Whether the text ends with another one; without wildcards."""
        return self._match("ends-with", "endswith", text)

    def lower(self) -> Value:
        """The text in lower case."""
        return self._call("lower", "text")

    def upper(self) -> Value:
        """The text in upper case."""
        return self._call("upper", "text")

    def trim(self) -> Value:
        """The text without leading and trailing spaces."""
        return self._call("trim", "text")

    def trim_start(self) -> Value:
        """The text without leading spaces."""
        return self._call("trim-start", "text")

    def trim_end(self) -> Value:
        """The text without trailing spaces."""
        return self._call("trim-end", "text")

    def length(self) -> Value:
        """The length: characters of a text, bytes of a blob."""
        return self._call("length", "integer")

    def substring(self, start: int, length: int | None = None) -> Value:
        """The characters from `start`, counted from 1: `length` of them, or all."""
        check(InvalidQuery, start=(start, int), length=(length, int, None))
        numbers = (start,) if length is None else (start, length)
        return self._call("substring", "text", *numbers)

    def left(self, length: int) -> Value:
        """The first characters of the text, at most `length`."""
        check(InvalidQuery, length=(length, int))
        return self._call("left", "text", length)

    def right(self, length: int) -> Value:
        """The last characters of the text, at most `length`."""
        check(InvalidQuery, length=(length, int))
        return self._call("right", "text", length)

    def position(self, part: object) -> Value:
        """The position of a text in this one, counted from 1; 0 if it does not occur."""
        return self._call_with("position", "integer", part)

    def replace(self, part: object, other: object) -> Value:
        """The text with every `part` replaced by `other`."""
        return self._call_with("replace", "text", part, other)
