"""What is asked of texts: patterns, and what a database computes from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._argument import check
from ..exceptions import InvalidQuery

if TYPE_CHECKING:
    from .expression import Expression
    from .value import Value


class Texts:
    """The methods of a text: a field's, and a part of a document that is read as one."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _match(self, operator: str, method: str, text: object) -> Expression: ...

        def _call(self, name: str, kind: str, *numbers: int) -> Value: ...

        def _call_with(self, name: str, kind: str, *others: object) -> Value: ...

    def like(self, pattern: str) -> Expression:
        """Matches a pattern of SQL; capitals count."""
        return self._match("like", "like", pattern)

    def ilike(self, pattern: str) -> Expression:
        """Matches a pattern of SQL; capitals do not count."""
        return self._match("ilike", "ilike", pattern)

    def not_like(self, pattern: str) -> Expression:
        """Does not match a pattern of SQL; capitals count. A null does neither."""
        return self._match("not-like", "not_like", pattern)

    def not_ilike(self, pattern: str) -> Expression:
        """Does not match a pattern of SQL; capitals do not count. A null does neither."""
        return self._match("not-ilike", "not_ilike", pattern)

    def startswith(self, text: str) -> Expression:
        """Begins with a text, which is taken as it is."""
        return self._match("starts-with", "startswith", text)

    def endswith(self, text: str) -> Expression:
        """Ends with a text, which is taken as it is."""
        return self._match("ends-with", "endswith", text)

    def lower(self) -> Value:
        """The text in small letters."""
        return self._call("lower", "text")

    def upper(self) -> Value:
        """The text in capitals."""
        return self._call("upper", "text")

    def trim(self) -> Value:
        """The text without spaces at its ends."""
        return self._call("trim", "text")

    def trim_start(self) -> Value:
        """The text without spaces where it begins."""
        return self._call("trim-start", "text")

    def trim_end(self) -> Value:
        """The text without spaces where it ends."""
        return self._call("trim-end", "text")

    def length(self) -> Value:
        """How many characters a text has, or how many bytes a blob."""
        return self._call("length", "integer")

    def substring(self, start: int, length: int | None = None) -> Value:
        """Characters from `start` on, the first being 1; `length` of them, or all."""
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
        """Where a text begins in this one, the first character being 1; 0 if it does not."""
        return self._call_with("position", "integer", part)

    def replace(self, part: object, other: object) -> Value:
        """The text with `other` wherever it has `part`."""
        return self._call_with("replace", "text", part, other)
