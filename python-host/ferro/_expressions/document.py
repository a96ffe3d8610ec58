"""Parts of JSON documents, in conditions and orders."""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from .._abstract_query import AbstractQuery
from .._message import quoted
from .._statements.shape import may_be_null
from .._tables.part import check_computed, check_removable, stored_part, type_of_part
from ..exceptions import InvalidQuery, TypeMismatch, UnknownField, ValueOutOfRange
from .expression import Expression
from .texts import Texts

if TYPE_CHECKING:
    from .value import Value


class JsonValue(Texts):
    """A part of a document, read as the type that it is compared with; it has the methods of a
    text.

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
            raise TypeMismatch(f"`{self._name}`: the name of a part is a `str` or an `int`")
        if isinstance(step, int) and step < 0:
            raise ValueOutOfRange(f"`{self._name}`: elements are counted from 0, not `{step}`")
        return JsonValue(self._document, (*self._steps, str(step)), f"{self._name}[{step!r}]")

    # Type checkers know the methods of a part.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            hint = f'access a part of a document with brackets, `["{name}"]`'
            if callable(getattr(type(self._document), name, None)):
                hint = f"set its type with `as_type(int).{name}(…)`; otherwise, {hint}"
            raise UnknownField(f"`{self._name}` has no `{name}`: {hint}")

    __iter__ = None

    def as_type(self, type: type) -> Value:
        """Read the part as a `str`, `int`, `float`, `bool` or `Decimal`."""
        kind = _KINDS.get(type)
        if kind is None:
            known = quoted(it.__name__ for it in _KINDS)
            raise TypeMismatch(f"`{self._name}` can be read as one of {known}")
        return self._part(kind)

    def set_to(self, value: object) -> Value:
        """The document with this part set to a value, for an `update`. Other parts keep their
        values, even if another transaction changes them at the same time.

        The value is plain, or computed from the row: a text, a boolean, an integer, a float or a
        part of a document. It must have the type of the part, if the field's type describes it.
        None is the JSON `null`. Missing dicts along the path are created, and the index after a
        list's last element appends to it. If the path leads through a value without such parts, the
        document does not change.

        Example:
            >>> import ferro
            >>> class Subscriber(ferro.Model, table="doc_subscriber"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            ...     settings: dict[str, object] = {}
            >>> async def visited(subscriber: Subscriber) -> None:
            ...     visits = Subscriber.settings["visits"]
            ...     more = visits.as_type(int).coalesce(0) + 1
            ...     await Subscriber.where(id=subscriber.id).update(settings=visits.set_to(more))
        """
        column = self._document._column
        annotation = Any if column is None else column.annotation
        if isinstance(value, (Expression, JsonValue)):
            kind, own, null = _computed(value)
            check_computed(self._name, annotation, self._steps, kind, own, null)
        if isinstance(value, JsonValue):
            value = value._part()
        if isinstance(value, Expression):
            shape, values = value._shape, value._values
        elif isinstance(value, AbstractQuery):
            raise InvalidQuery(
                f"`{self._name}` can only be set to a plain value, or to one computed from the "
                f"fields of its row, not to `{value!r}`"
            )
        else:
            values = (stored_part(self._name, annotation, self._steps, value),)
            shape = ("parameter", self._name, "json", False)
        return self._document._changed(self._steps, shape, values)

    def removed(self) -> Value:
        """The document without this part, for an `update`; unchanged if it has no such part. Later
        elements of a list move up.
        """
        column = self._document._column
        if column is not None:
            check_removable(self._name, column.annotation, self._steps)
        return self._document._changed(self._steps, None, ())

    def __repr__(self) -> str:
        return f"<part {self._name}>"

    def _part(self, kind: str = "json") -> Value:
        return self._document._part(self._steps, kind, self._name)

    def _match(self, operator: str, method: str, text: object) -> Expression:
        return self.as_type(str)._match(operator, method, text)

    def _call(self, name: str, kind: str, *numbers: int) -> Value:
        return self.as_type(str)._call(name, kind, *numbers)

    def _call_with(self, name: str, kind: str, *others: object) -> Value:
        return self.as_type(str)._call_with(name, kind, *others)

    def is_null(self) -> Expression:
        """Whether the document lacks this part. A JSON null counts as a part."""
        return self._part().is_null()

    def is_not_null(self) -> Expression:
        """Whether the document has this part, of any type. A JSON null counts as a part."""
        return self._part().is_not_null()

    def is_distinct_from(self, other: object) -> Expression:
        """Whether the values differ; a missing part differs from every value."""
        if other is None:
            return self.is_not_null()
        return self._of_type([other]).is_distinct_from(other)

    def is_not_distinct_from(self, other: object) -> Expression:
        """Whether the values are equal; a missing part equals None."""
        return (
            self.is_null() if other is None else self._of_type([other]).is_not_distinct_from(other)
        )

    def is_true(self) -> Expression:
        """Whether the part is true; false if it is missing or not a boolean."""
        return self.as_type(bool).is_true()

    def is_false(self) -> Expression:
        """Whether the part is `false`; false if it is missing or not a boolean."""
        return self.as_type(bool).is_false()

    def between(self, lower: object, upper: object) -> Expression:
        """Whether the part is from `lower` to `upper`, both included."""
        return self._of_type([lower, upper]).between(lower, upper)

    def in_(self, values: Iterable[object]) -> Expression:
        """Whether the part is one of the values, of one type or all numbers; None among them means
        "or missing".
        """
        given, null = self._given(values)
        found = self._of_type(given).in_(given)
        return found | self.is_null() if null else found

    def not_in(self, values: Iterable[object]) -> Expression:
        """Whether the part is none of the values, of one type or all numbers; None among them means
        "and not missing".
        """
        given, null = self._given(values)
        found = self._of_type(given).not_in(given)
        return found & self.is_not_null() if null else found

    def contains(self, part: object) -> Expression:
        """Whether a text contains a text, without wildcards, or a document contains a document."""
        return (self.as_type(str) if isinstance(part, str) else self._part()).contains(part)

    def coalesce(self, other: object) -> Value:
        """The value, or another one if the part is missing."""
        return self._of_type([other]).coalesce(other)

    def _given(self, values: Iterable[object]) -> tuple[list[object], bool]:
        if isinstance(values, AbstractQuery):
            raise untyped(self)
        values = listed(self._name, values)
        given = [it for it in values if it is not None]
        return given, len(given) < len(values)

    def _of_type(self, given: list[object]) -> Value:
        """Read the part as the type of the values: float for integers and floats, any for no
        values.
        """
        if any(isinstance(it, (Expression, JsonValue)) for it in given):
            raise untyped(self)
        if {type(it) for it in given} == {int, float}:
            return self.as_type(float)
        return self.as_type(type(given[0]) if given else str)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return self.is_null() if other is None else self._of_type([other]) == other

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return self.is_not_null() if other is None else self._of_type([other]) != other

    def __lt__(self, other: object) -> Expression:
        return self._of_type([other]) < other

    def __le__(self, other: object) -> Expression:
        return self._of_type([other]) <= other

    def __gt__(self, other: object) -> Expression:
        return self._of_type([other]) > other

    def __ge__(self, other: object) -> Expression:
        return self._of_type([other]) >= other

    __hash__ = None  # type: ignore[assignment]


def _computed(value: Expression | JsonValue) -> tuple[str, Any, bool]:
    """The kind of what is computed, its type in Python where that is known, and whether it may be
    null.
    """
    if isinstance(value, JsonValue):
        column = value._document._column
        annotation = Any if column is None else column.annotation
        own, missing = type_of_part(value._name, annotation, value._steps)
        return "json", own, missing or may_be_null(value._document._shape)
    column = getattr(value, "_column", None)
    own = None if column is None or column.many else column.annotation
    return getattr(value, "_kind", "boolean"), own, may_be_null(value._shape)


def untyped(part: JsonValue) -> TypeMismatch:
    """The error for a part of a document where a value with a type is required."""
    return TypeMismatch(f"`{part!r}` has no type: set its type with `as_type(int)`")


def listed(name: str, values: Any) -> list[object]:
    """The values passed to `in_` and similar methods; rejects a text and a query."""
    if isinstance(values, AbstractQuery):
        raise InvalidQuery(
            f"`{name}` takes a list of values, not a query: await it and pass the values of its "
            "rows, or use `any` for the rows of a relation"
        )
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes)):
        return list(values)
    raise TypeMismatch(f"`{name}` takes a list of values, not `{type(values).__name__}`")


_KINDS: dict[type, str] = {
    str: "text",
    bool: "boolean",
    int: "integer",
    float: "float",
    decimal.Decimal: "decimal",
}
