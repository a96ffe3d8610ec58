"""Assignments of fields, in updates and upserts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._abstract_query import AbstractQuery
from .._tables.default import DatabaseDefault
from ..exceptions import InvalidQuery
from .document import JsonValue
from .expression import Expression, Shape
from .path import Fields, RelationExpression
from .value import FieldExpression, Value
from .window import WindowFunction

if TYPE_CHECKING:
    from .._tables.table import Table


def assigned(table: Table, name: str, value: Any) -> tuple[Shape, tuple[Any, ...]]:
    """The shape of a new value, and its parameters."""
    column = table.column(name)
    if callable(value) and not isinstance(value, Expression):
        value = value(Fields(table))
    if isinstance(value, JsonValue):
        # It gets the field's type, as a part that is compared gets the type of the value.
        value = value._part(column.kind)
    if isinstance(value, Value):
        return value._shape, value._values
    if isinstance(value, RelationExpression):
        relation = value._relation
        hint = f": use `{relation.source_fields[0]}`" if relation.holds_key else ""
        raise InvalidQuery(
            f"`{table.label}.{name}` can be set to a key, not to the row at the end of "
            f"`{relation}`{hint}"
        )
    if isinstance(value, (Expression, AbstractQuery, WindowFunction)):
        raise InvalidQuery(
            f"`{table.label}.{name}` can only be set to a plain value, or to one computed from "
            f"the fields of its row, not to `{value!r}`"
        )
    if isinstance(value, DatabaseDefault):
        raise value.no_value(f"{table.label}.{name}")
    value = column.stored(table.validated(name, value))
    if value is None and column.filled and not column.nullable:
        what = "key" if column.generated else "field"
        raise InvalidQuery(f"the {what} `{column.where}` of stored rows is never None")
    parameter = ("parameter", f"{table.label}.{name}", column.kind, column.many)
    return parameter, (value,)


def all_assigned(table: Table, values: dict[str, Any]) -> tuple[Shape, tuple[Any, ...]]:
    """The shapes of new values, each with its field, and their parameters."""
    from .._relations.access import split_relations

    values, _ = split_relations(table.model, values)
    shapes: list[Shape] = []
    given: tuple[Any, ...] = ()
    for name, value in values.items():
        shape, bound = assigned(table, name, value)
        shapes.append((name, shape))
        given += bound
    return tuple(shapes), given


def excluded(field: Any) -> Value:
    """In an upsert: the value of the row that was not inserted because its key is taken.

    Example:
        >>> import ferro
        >>> class Page(ferro.Model, table="doc_page"):
        ...     path: str = ferro.Field(primary_key=True)
        ...     views: int = 1
        >>> async def count(path: str, views: int) -> Page:
        ...     views_of_both = Page.views + ferro.excluded(Page.views)
        ...     return await Page.upsert(
        ...         path=path, views=views, conflict="path", update={"views": views_of_both}
        ...     )
    """
    if not isinstance(field, FieldExpression) or field._shape[1]:
        raise InvalidQuery(
            "`excluded` takes a field of the model, such as `User.age`, or `u.age` in a lambda, "
            f"not `{field!r}`"
        )
    _, _, name, root = field._shape
    shape = ("excluded", name, root)
    return Value(shape, (), field._name, field._kind, field._many, field._column)
