"""`case`, a value that depends on conditions, and `value`, a constant."""

from __future__ import annotations

import datetime
import enum
from functools import reduce
from typing import Any

from .._tables.column_type import scalar_kind
from ..exceptions import InvalidQuery, TypeMismatch
from .document import JsonValue
from .expression import Expression, Shape, conditional
from .value import Value, wider


def case(*branches: tuple[Expression | bool, object], otherwise: object = None) -> Value:
    """The value of the first branch, `(condition, value)`, whose condition holds; otherwise
    `otherwise`, by default null.

    Values are plain values, fields or computed values, all of one type; integers can be mixed with
    decimals or floats.

    Example:
        >>> import ferro
        >>> class Ticket(ferro.Model, table="doc_ticket"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     age: int
        >>> fare = ferro.case((Ticket.age < 6, 0), (Ticket.age < 18, 150), otherwise=300)
        >>> sold = Ticket.select().group_by(fare).values(fare=fare, tickets=ferro.count())
    """
    for branch in branches:
        if not isinstance(branch, tuple) or len(branch) != 2:
            raise InvalidQuery("a branch of `case` is a pair: `case((User.age < 18, 0), …)`")
    conditions = [conditional("case", condition) for condition, _ in branches]
    given = [value for _, value in branches]
    given += [] if otherwise is None else [otherwise]
    kinds = [_kind_of("case", value) for value in given if value is not None]
    if not branches or not kinds:
        raise InvalidQuery("`case` needs a branch with a value: `case((User.age < 18, 0), …)`")
    kind = reduce(wider, kinds)
    fields = [value for value in given if isinstance(value, Value)]
    # Plain values next to a field are converted like those it is compared with, such as members of
    # its enum.
    first = next((it for it in fields if it._column is not None), Value((), (), "case", kind))
    operands = [_operand(first, value, kind) for value in given]
    shapes: list[tuple[Shape, Shape]] = []
    values: tuple[Any, ...] = ()
    for condition, (shape, of_branch) in zip(conditions, operands, strict=False):
        shapes.append((condition._shape, shape))
        values += condition._values + of_branch
    rest, of_rest = (None, ()) if otherwise is None else operands[-1]
    alike = all(first._column_with(value) for value in given if value is not None)
    column = first._column if alike else None
    return Value(("case", *shapes, rest), values + of_rest, "case", kind, column=column)


def value(value: object) -> Value:
    """A constant, for places that take a computed value: the same for each row.

    Example:
        >>> import ferro
        >>> class Branch(ferro.Model, table="doc_branch"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        >>> at_depth_0 = Branch.select("id", depth=ferro.value(0))
    """
    if isinstance(value, (Expression, JsonValue)):
        raise InvalidQuery(f"`ferro.value` takes a plain value, such as `0`, not `{value!r}`")
    kind = _kind_of("ferro.value", value)
    stored = value.value if isinstance(value, enum.Enum) else value
    return Value(("parameter", "value", kind, False), (stored,), "value", kind)


def _operand(first: Value, value: object, kind: str) -> tuple[Shape, tuple[Any, ...]]:
    if value is None:
        return ("literal", "null"), ()
    if isinstance(value, Value):
        integer = value._kind == "integer" and kind != "integer"
        return ("cast", value._shape, kind) if integer else value._shape, value._values
    (_, name, *_), values = first._operand(value)
    return ("parameter", name, kind, False), values


def _kind_of(name: str, value: object) -> str:
    if isinstance(value, Value):
        return value._kind
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        return "timestamp"
    kind = next(filter(None, map(scalar_kind, type(value).__mro__)), None)
    if kind is None:
        raise TypeMismatch(f"`{name}` takes values of fields, not `{type(value).__name__}`")
    return kind
