"""Checks that the database makes on a field: from what Pydantic knows, or from a function.

A check is groups of terms, of which any group holds with all of its terms: data, never SQL text.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import itertools
import typing
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from ..exceptions import SchemaError

Groups = list[list[Any]]

_CONSTRAINTS = {
    "ge": "greater-or-equal",
    "gt": "greater",
    "le": "less-or-equal",
    "lt": "less",
}
_OF_KIND = {
    "boolean": (bool,),
    "integer": (int,),
    "float": (float, int),
    "decimal": (decimal.Decimal, int),
    "text": (str,),
    "date": (datetime.date,),
}


def check_of(
    where: str,
    asked: bool | Callable[[Any], Any],
    kind: str,
    annotation: Any,
    metadata: Iterable[Any],
) -> Groups | None:
    """The groups of tests that `db_check` asks for; None where it asks for none."""
    if asked is False:
        return None
    if asked is not True:
        found = asked(CheckedField(where, kind))
        if not isinstance(found, Check):
            raise SchemaError(f"field `{where}`: `db_check` is a comparison of the field")
        return found.groups
    tests = [
        _comparison(where, kind, comparison, value)
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
        values = [member.value for member in annotation]
    if values:
        tests.append({"one-of": [_constant(where, kind, value) for value in values]})
    if not tests:
        raise SchemaError(
            f"field `{where}`: `db_check=True` checks what Pydantic checks, and there is nothing: "
            "give it `ge`, `gt`, `le` or `lt`, a `Literal` or an enum, or pass a function"
        )
    return [tests]


class Check:
    """A comparison of a checked field; joined with `&` and `|`."""

    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    def __and__(self, other: Check) -> Check:
        return Check([one + two for one, two in itertools.product(self.groups, other.groups)])

    def __or__(self, other: Check) -> Check:
        return Check(self.groups + other.groups)

    def __bool__(self) -> NoReturn:
        raise TypeError("join checks with `&` and `|`, in place of `and` and `or`")


class CheckedField:
    """The field, as the function that is given for `db_check` gets it."""

    def __init__(self, where: str, kind: str) -> None:
        self._where = where
        self._kind = kind

    def __eq__(self, other: object) -> Check:  # type: ignore[override]
        return self._compare("equal", other)

    def __ne__(self, other: object) -> Check:  # type: ignore[override]
        return self._compare("not-equal", other)

    def __lt__(self, other: object) -> Check:
        return self._compare("less", other)

    def __le__(self, other: object) -> Check:
        return self._compare("less-or-equal", other)

    def __gt__(self, other: object) -> Check:
        return self._compare("greater", other)

    def __ge__(self, other: object) -> Check:
        return self._compare("greater-or-equal", other)

    __hash__ = None  # type: ignore[assignment]

    def in_(self, values: Iterable[object]) -> Check:
        """One of some values."""
        return Check([[{"one-of": [_constant(self._where, self._kind, it) for it in values]}]])

    # Who checks types is told that there is nothing else.
    if not typing.TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            raise SchemaError(
                f"field `{self._where}`: a check has no `{name}`: compare the field with constants,"
                " or say `in_`"
            )

    def _compare(self, comparison: str, other: object) -> Check:
        return Check([[_comparison(self._where, self._kind, comparison, other)]])


def _comparison(where: str, kind: str, comparison: str, value: object) -> Any:
    return {"compare": [comparison, _constant(where, kind, value)]}


def _constant(where: str, kind: str, value: object) -> Any:
    """The WIT's `value`, as JSON."""
    fits = isinstance(value, _OF_KIND.get(kind, ()))
    if not fits or (isinstance(value, bool) and kind != "boolean"):
        raise SchemaError(f"field `{where}`: a check cannot compare {kind} with `{value!r}`")
    if isinstance(value, datetime.date):
        return {"date": value.toordinal() - datetime.date(1970, 1, 1).toordinal()}
    if kind == "decimal":
        return {"decimal": format(decimal.Decimal(typing.cast(Any, value)), "f")}
    return {kind: float(typing.cast(Any, value)) if kind == "float" else value}
