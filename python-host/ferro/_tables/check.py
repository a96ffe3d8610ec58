"""The option `db_check` of a field: a function of the field that returns an ordinary condition."""

from __future__ import annotations

import enum
import operator
import typing
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

from ..exceptions import SchemaError

Asked = Callable[[Any], Any]

_CONSTRAINTS = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}
"""Pydantic's constraints that are comparisons."""


def check_of(
    where: str, asked: bool | Asked, annotation: Any, metadata: Iterable[Any]
) -> Asked | None:
    """The function that returns the condition of a field; None without a check."""
    if not isinstance(asked, bool):
        return asked
    return _check_of_pydantic(where, annotation, metadata) if asked else None


def _check_of_pydantic(where: str, annotation: Any, metadata: Iterable[Any]) -> Asked:
    """The conditions that Pydantic checks."""
    compared = [
        (compare, value)
        for item in metadata
        for name, compare in _CONSTRAINTS.items()
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
    if not compared and not values:
        raise SchemaError(
            f"field `{where}`: `db_check=True` checks what Pydantic checks, but there is nothing "
            "to check: use `ge`, `gt`, `le` or `lt`, a `Literal` or an enum, or pass a function"
        )

    def condition(field: Any) -> Any:
        tests = [compare(field, value) for compare, value in compared]
        return reduce(operator.and_, tests + ([field.in_(values)] if values else []))

    return condition
