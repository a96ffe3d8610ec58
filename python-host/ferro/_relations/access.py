"""Relations by name: what they are of a class and of a row, and what they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._expressions.path import RelationExpression, relation_at
from .._tables.table import Table
from ..exceptions import InvalidQuery
from .edge import Edge
from .loaded import NO_ROW, NoRow, Unloaded, cached, is_key, key_unloaded, own_key, remember
from .related import RelatedRows

if TYPE_CHECKING:
    from .._models.model import Model


def relation_of_class(model: Any, name: str) -> RelationExpression:
    """`Post.author`, in a condition."""
    return relation_at(_table(model).edge(name))


def related(row: Model, name: str) -> Any:
    """`post.author`: the row if it is loaded, or what can be awaited; `author.posts`: a query."""
    edge = _table(type(row)).edge(name)
    if edge.many:
        return RelatedRows(row, edge)
    known = cached(row, edge)
    if known is not None:
        return known
    if edge.holds_key and None in own_key(row, edge):
        return NO_ROW
    return Unloaded(row, edge)


def assign(row: Model, name: str, value: Any) -> None:
    """`post.author = author`."""
    edge = _table(type(row)).edge(name)
    if edge.many:
        raise InvalidQuery(f"`{edge}` leads to many rows: call `add`, `remove` or `set` on it")
    if not edge.holds_key:
        raise InvalidQuery(f"`{edge.target.label}` has the key of `{edge}`: set it there")
    for field, part in zip(edge.source_fields, _key_given(edge, value), strict=True):
        setattr(row, field, part)
    if not isinstance(value, Unloaded):
        remember(row, edge, None if isinstance(value, NoRow) else value)


def split_relations(model: Any, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values with the keys in place of the rows that relations are given; and those rows."""
    given = {name: values[name] for name in model.__ferro_links__ if name in values}
    if not given:
        return values, given
    values = {name: value for name, value in values.items() if name not in given}
    table = _table(model)
    rows: dict[str, Any] = {}
    for name, row in given.items():
        edge = table.edge(name)
        if edge.many or not edge.holds_key:
            raise InvalidQuery(
                f"`{edge}` cannot be set with the row: add to it when the row is saved"
            )
        key = _key_given(edge, row)
        if row is not None and not isinstance(row, (NoRow, Unloaded)):
            rows[name] = row
        for field, part in zip(edge.source_fields, key, strict=True):
            if field in values and not is_key(table, field, values[field], part):
                raise InvalidQuery(
                    f"`{edge}` and `{field}` are both given, with different keys: leave one out"
                )
            values[field] = part
    return values, rows


def _key_given(edge: Edge, row: Any) -> tuple[Any, ...]:
    """The key of what a relation to one row is given: a row, what is awaited for it, or none."""
    if row is None or isinstance(row, NoRow):
        return (None,) * len(edge.source_fields)
    return key_unloaded(edge, row) if isinstance(row, Unloaded) else edge.key_of(row)


def _table(model: Any) -> Table:
    from .._models.connected import table_of

    return table_of(model)
