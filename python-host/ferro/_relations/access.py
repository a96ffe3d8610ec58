"""Access to relations by name: on a class, on a row, and in assignments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._expressions.path import RelationExpression, relation_at
from .._tables.relationship import Relationship
from .._tables.table import table_of
from ..exceptions import InvalidQuery
from .loaded import NO_ROW, NoRow, Unloaded, cached, is_key, key_unloaded, own_key, remember
from .related import RelatedRows

if TYPE_CHECKING:
    from .._models.model import Model


def relation_of_class(model: Any, name: str) -> RelationExpression:
    """`Post.author`, in a condition."""
    return relation_at(table_of(model).relation(name))


def related(row: Model, name: str) -> Any:
    """`post.author`: the row if it is loaded, otherwise an awaitable; `author.posts`: a query."""
    relation = table_of(type(row)).relation(name)
    if relation.many:
        return RelatedRows(row, relation)
    known = cached(row, relation)
    if known is not None:
        return known
    if relation.holds_key and None in own_key(row, relation):
        return NO_ROW
    return Unloaded(row, relation)


def assign(row: Model, name: str, value: Any) -> None:
    """`post.author = author`."""
    relation = table_of(type(row)).relation(name)
    if relation.many:
        raise InvalidQuery(f"`{relation}` leads to many rows: call `add`, `remove` or `set` on it")
    if not relation.holds_key:
        raise InvalidQuery(f"`{relation.target.label}` has the key of `{relation}`: set it there")
    for field, part in zip(relation.source_fields, _key_given(relation, value), strict=True):
        setattr(row, field, part)
    if not isinstance(value, Unloaded):
        remember(row, relation, None if isinstance(value, NoRow) else value)


def split_relations(model: Any, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values with keys in place of the rows passed for relations; and those rows."""
    given = {name: values[name] for name in model.__ferro_relation_options__ if name in values}
    if not given:
        return values, given
    values = {name: value for name, value in values.items() if name not in given}
    table = table_of(model)
    rows: dict[str, Any] = {}
    for name, row in given.items():
        relation = table.relation(name)
        if relation.many or not relation.holds_key:
            raise InvalidQuery(
                f"`{relation}` cannot be set when the row is created: add to it after the row is "
                "saved"
            )
        key = _key_given(relation, row)
        if row is not None and not isinstance(row, (NoRow, Unloaded)):
            rows[name] = row
        for field, part in zip(relation.source_fields, key, strict=True):
            if field in values and not is_key(table, field, values[field], part):
                raise InvalidQuery(
                    f"`{relation}` and `{field}` are both given, with different keys: leave one out"
                )
            values[field] = part
    return values, rows


def _key_given(relation: Relationship, row: Any) -> tuple[Any, ...]:
    """The key of a value assigned to a relation to one row: a row, an awaitable for it, or none."""
    if row is None or isinstance(row, NoRow):
        return (None,) * len(relation.source_fields)
    return key_unloaded(relation, row) if isinstance(row, Unloaded) else relation.key_of(row)
