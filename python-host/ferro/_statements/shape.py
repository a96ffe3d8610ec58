"""Shapes of selects: selects that differ only in values have the same shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._expressions.expression import Shape

ITSELF: Shape = ("itself",)
"""The recursive step of a common table, within the step itself."""

LIMIT: Shape = ("parameter", "limit", "integer", False)
OFFSET: Shape = ("parameter", "offset", "integer", False)


def rows_shape(
    outputs: Shape | None = None,
    distinct: bool | Shape = False,
    filter: Shape | None = None,
    group: Shape = (),
    having: Shape | None = None,
    order: Shape = (),
    limit: Shape | None = None,
    offset: Shape | None = None,
    lock: tuple[str, str] | None = None,
) -> Shape:
    """The shape of a select. Its values come in the order of these parts, those of groups first.

    `("group", n)` stands for the n-th group in the outputs, in `having` and in the order, and
    `("listed", n)` for the n-th output in the order.
    """
    return (outputs, distinct, filter, group, having, order, limit, offset, lock)


def stands_in(shape: Shape, kinds: tuple[str, ...]) -> bool:
    """Whether an expression contains a node of some kinds, not counting those for other rows."""
    match shape:
        case (str() as kind, _, *_) if kind in kinds and any(isinstance(it, tuple) for it in shape):
            return True
        case ("related" | "select", *_):
            return False
    return any(stands_in(it, kinds) for it in shape if isinstance(it, tuple))


def may_be_null(shape: Shape) -> bool:
    """Whether a value may be null, as far as that can be told before the database is asked."""
    match shape:
        case ("parameter", *_) | ("literal", "integer" | "boolean", _):
            return False
        case ("field", (), name, root) | ("excluded", name, root):
            return bool(root.column(name).nullable)
        case ("unary", "is-null" | "is-not-null" | "is-true" | "is-false", _):
            return False
        case ("binary", "is-distinct" | "is-not-distinct", *_) | ("exists" | "related", *_):
            return False
        case ("binary", "divide" | "modulo", *_) | ("call", "null-if", *_) | ("cast", _, "integer"):
            return True
        case ("call", "coalesce", *values):
            return all(map(may_be_null, values))
        case ("case", *branches, otherwise):
            values = [value for _, value in branches]
            return otherwise is None or any(map(may_be_null, [*values, otherwise]))
        case ("aggregate", "count", *_):
            return False
        case ("cast" | "json-change", value, *_):
            return may_be_null(value)
        case ("call", _, *values) | ("unary" | "binary", _, *values):
            return any(map(may_be_null, values))
        case ("between" | "all" | "any", *values):
            return any(map(may_be_null, values))
    return True


def count_of_values(shape: Shape) -> int:
    """The number of values that an expression takes."""
    match shape:
        case ("parameter", _, _, bool()):
            return 1
        case ("select" | "join", table, tuple() as part):
            return int(table.takes) + count_of_values(part)
    return sum(count_of_values(it) for it in shape if isinstance(it, tuple))
