"""Conditions that the database checks: from what Pydantic knows, or from a function of fields.

A condition is groups of terms, of which any group holds with all of its terms: data, and never SQL
text.
"""

from __future__ import annotations

import enum
import itertools
import typing
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from .._argument import check
from .._message import nearest
from ..exceptions import SchemaError
from .constant import constant

_CONSTRAINTS = {
    "ge": "greater-or-equal",
    "gt": "greater",
    "le": "less-or-equal",
    "lt": "less",
}
_INCOMPARABLE = {"json", "interval"}
_OF_KEYS = {int: "integer", str: "text", uuid.UUID: "uuid"}
"""The scalar types of keys of other models, by the types of their values."""


def check_of(
    field: CheckedField,
    asked: bool | Callable[[Any], Any],
    annotation: Any,
    metadata: Iterable[Any],
) -> CheckCondition | None:
    """What `db_check` asks for; None where it asks for nothing."""
    if asked is False:
        return None
    if asked is not True:
        found = _made_by(f"field `{field}`: `db_check`", asked, field)
        if isinstance(found, CheckedField):
            found = found._holds(True)
        if not isinstance(found, CheckCondition):
            raise SchemaError(f"field `{field}`: `db_check` is a comparison of the field")
        return found
    tests = [
        field._compared(comparison, value)
        for item in metadata
        for name, comparison in _CONSTRAINTS.items()
        if (value := getattr(item, name, None)) is not None
    ]
    values: list[Any] = []
    if typing.get_origin(annotation) is typing.Literal:
        values = list(typing.get_args(annotation))
    elif (
        isinstance(annotation, type)
        and issubclass(annotation, enum.Enum)
        and not issubclass(annotation, enum.Flag)
    ):
        values = list(annotation)
    if values:
        tests.append(field.in_(values))
    if not tests:
        raise SchemaError(
            f"field `{field}`: `db_check=True` checks what Pydantic checks, and there is nothing: "
            "give it `ge`, `gt`, `le` or `lt`, a `Literal` or an enum, or pass a function"
        )
    return CheckCondition([[term for test in tests for term in test.groups[0]]])


def condition_of(
    label: str, option: str, function: Callable[[Any], Any], fields: Mapping[str, CheckedField]
) -> CheckCondition:
    """The condition that a function makes of the fields of a row."""
    found = _made_by(f"model `{label}`: `{option}`", function, _Row(label, fields))
    if isinstance(found, CheckedField):
        found = found._holds(True)
    if not isinstance(found, CheckCondition):
        raise SchemaError(
            f"model `{label}`: `{option}` compares fields, as `lambda it: it.low < it.high`, and "
            f"gives no `{type(found).__name__}`"
        )
    return found


def _made_by(what: str, function: Callable[[Any], Any], argument: object) -> object:
    """What a function makes, which says nothing but comparisons."""
    try:
        return function(argument)
    except TypeError as error:
        raise SchemaError(
            f"{what} compares fields with constants and with each other, and computes nothing: "
            f"{error}"
        ) from error


class CheckCondition:
    """Comparisons of fields; joined with `&` and `|`."""

    def __init__(self, groups: list[list[Any]]) -> None:
        self.groups = groups
        """Of the WIT's `check-term`, as JSON."""

    def __and__(self, other: object) -> CheckCondition:
        pairs = itertools.product(self.groups, _joined(other).groups)
        return CheckCondition([one + two for one, two in pairs])

    def __or__(self, other: object) -> CheckCondition:
        return CheckCondition(self.groups + _joined(other).groups)

    def __invert__(self) -> NoReturn:
        raise SchemaError(
            "a check has no `~`, but of a boolean field: turn the comparison around, `>=` for `<`"
        )

    def __bool__(self) -> NoReturn:
        raise TypeError("join checks with `&` and `|`, in place of `and` and `or`")


class CheckedField:
    """A field, as a function that makes a condition gets it."""

    __slots__ = ("_column_type", "_kind", "_many", "_members", "_name", "_where")

    def __init__(
        self,
        where: str,
        name: str,
        kind: str | None,
        many: bool,
        column_type: Any = None,
        members: type[enum.Enum] | None = None,
    ) -> None:
        """The `kind` of a key of another model is not known yet: it is None."""
        self._where = where
        self._name = name
        self._kind = kind
        self._many = many
        self._column_type = column_type if isinstance(column_type, dict) else {}
        self._members = members

    def __str__(self) -> str:
        return self._where

    def __eq__(self, other: object) -> CheckCondition:  # type: ignore[override]
        return self.is_null() if other is None else self._compared("equal", other)

    def __ne__(self, other: object) -> CheckCondition:  # type: ignore[override]
        return self.is_not_null() if other is None else self._compared("not-equal", other)

    def __lt__(self, other: object) -> CheckCondition:
        return self._compared("less", other)

    def __le__(self, other: object) -> CheckCondition:
        return self._compared("less-or-equal", other)

    def __gt__(self, other: object) -> CheckCondition:
        return self._compared("greater", other)

    def __ge__(self, other: object) -> CheckCondition:
        return self._compared("greater-or-equal", other)

    __hash__ = None  # type: ignore[assignment]

    def __and__(self, other: object) -> CheckCondition:
        return self._holds(True) & other

    def __or__(self, other: object) -> CheckCondition:
        return self._holds(True) | other

    def __invert__(self) -> CheckCondition:
        return self._holds(False)

    def __bool__(self) -> NoReturn:
        raise TypeError("join checks with `&` and `|`, in place of `and` and `or`")

    def in_(self, values: Iterable[object]) -> CheckCondition:
        """One of some values."""
        check(SchemaError, values=(values, Iterable))
        values = list(values)
        if not values:
            raise SchemaError(f"field `{self}`: `in_` of a check takes at least one value")
        return self._term({"one-of": [self._constant(it) for it in values]})

    def is_null(self) -> CheckCondition:
        """There is no value."""
        return self._term("is-null")

    def is_not_null(self) -> CheckCondition:
        """There is a value."""
        return self._term("is-not-null")

    def _holds(self, wanted: bool) -> CheckCondition:
        """The condition that a boolean field is by itself."""
        if self._kind != "boolean":
            raise SchemaError(f"field `{self}` is no condition: compare it with something")
        return self._compared("equal", wanted)

    def _compared(self, comparison: str, other: object) -> CheckCondition:
        """With a constant, or with another field."""
        if "enumeration" in self._column_type and comparison not in ("equal", "not-equal"):
            raise SchemaError(
                f"field `{self}`: the databases order enums differently: a check compares them by "
                "`==`, `!=` and `in_`"
            )
        if not isinstance(other, CheckedField):
            return self._term({"compare": [comparison, self._constant(other)]})
        kinds = {self._kind, other._kind} - {None}
        enums = [it._column_type.get("enumeration") for it in (self, other) if it._kind is not None]
        if (
            len(kinds) > 1
            or len(set(enums)) > 1
            or self._many
            or other._many
            or kinds & _INCOMPARABLE
        ):
            raise SchemaError(
                f"field `{self}`: a check cannot compare {self._type} with `{other}`, which is "
                f"{other._type}"
            )
        return self._term({"compare-field": [comparison, other._name]})

    # Who checks types is told that there is nothing else.
    if not typing.TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            raise SchemaError(
                f"field `{self}`: a check has no `{name}`: compare the field with constants or "
                "other fields, or say `in_`, `is_null` or `is_not_null`"
            )

    @property
    def _type(self) -> str:
        kind = self._kind or "key"
        if self._members is not None:
            kind = f"a `{self._members.__name__}`"
        return f"list of {kind}" if self._many else kind

    def _term(self, test: Any) -> CheckCondition:
        return CheckCondition([[{"field": self._name, "test": test}]])

    def _constant(self, value: object) -> Any:
        """The WIT's `value`, as JSON."""
        kind = self._kind or _OF_KEYS.get(type(value), "key")
        found = None if self._many or not self._is_member(value) else constant(kind, value)
        if found is None:
            raise SchemaError(
                f"field `{self}`: a check cannot compare {self._type} with `{value!r}`"
            )
        size = self._column_type.get("decimal")
        if size is not None and _is_larger(found["decimal"], **size):
            raise SchemaError(
                f"field `{self}`: `{value}` has more digits than a decimal of "
                f"({size['precision']}, {size['scale']})"
            )
        return found

    def _is_member(self, value: object) -> bool:
        """Whether a value is a member of the enum, or the value of one, if there is an enum."""
        if self._members is None or isinstance(value, self._members):
            return True
        try:
            return self._members(value) is not None
        except (ValueError, TypeError, ArithmeticError):
            return False


class _Row:
    """The fields of a row, as a function that makes a condition gets them."""

    __slots__ = ("_fields", "_label")

    def __init__(self, label: str, fields: Mapping[str, CheckedField]) -> None:
        self._label = label
        self._fields = fields

    def __getattr__(self, name: str) -> CheckedField:
        field = self._fields.get(name)
        if field is not None:
            return field
        if name.startswith("_"):
            raise AttributeError(name)
        raise SchemaError(
            f"model `{self._label}` has no field `{name}`: {nearest(name, self._fields)}"
        )


def _is_larger(text: str, precision: int, scale: int) -> bool:
    """Whether a decimal has more digits than a column of this size."""
    whole, _, fraction = text.lstrip("-").partition(".")
    return len(whole.lstrip("0")) + scale > precision or len(fraction.rstrip("0")) > scale


def _joined(other: object) -> CheckCondition:
    if isinstance(other, CheckedField):
        return other._holds(True)
    if not isinstance(other, CheckCondition):
        raise TypeError(f"a check cannot be joined with `{other!r}`: it is no comparison")
    return other
