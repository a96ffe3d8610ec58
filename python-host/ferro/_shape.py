"""From shapes to the WIT's `query`: nodes in an arena, parameters by number."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .exceptions import InvalidQuery

if TYPE_CHECKING:
    from ._expression import Shape
    from ._table import Table

Parameter = tuple[str, str, bool]
"""What errors call it, its kind, and whether it takes a list."""

_DEEPEST = 200
"""Deeper conditions are refused here, long before Python's own limit; the core's is lower."""


def lower(table: Table, shape: Shape) -> tuple[str, list[Parameter]]:
    """The JSON of a query, and its parameters in order.

    A shape is one of:

    - `("select" | "count" | "exists", filter, order, limit, offset)`
    - `("insert", fields, returning)` and `("insert-many", fields)`
    - `("update", fields)` and `("delete",)`, of the row with a key
    """
    arena = _Arena(table)
    statement = _STATEMENTS[shape[0]](arena, *shape)
    query = {"nodes": arena.nodes, "selects": arena.selects, "statement": statement}
    return json.dumps(query), arena.parameters


class _Arena:
    def __init__(self, table: Table) -> None:
        self.table = table
        self.model = table.model_name
        self.nodes: list[Any] = []
        self.selects: list[Any] = []
        self.parameters: list[Parameter] = []

    def node(self, node: Any) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def field(self, name: str) -> int:
        return self.node({"field": {"outer": 0, "relations": [], "field": name}})

    def parameter(self, name: str, kind: str, many: bool) -> int:
        index = len(self.parameters)
        self.parameters.append((name, kind, many))
        return self.node({"parameter": {"index": index, "kind": kind, "many": many}})

    def value_of(self, field: str) -> int:
        """A parameter that takes what a field takes."""
        column = self.table.columns[field]
        return self.parameter(f"{self.table.label}.{field}", column.kind, column.many)

    def expression(self, shape: Any, depth: int = 0) -> int:
        if depth > _DEEPEST:
            raise InvalidQuery(f"a condition has at most {_DEEPEST} levels")
        match shape:
            case ("field", name):
                return self.field(name)
            case ("parameter", name, kind, many):
                return self.parameter(f"{self.table.label}.{name}", kind, many)
            case ("unary", operator, operand):
                return self.node({"unary": [operator, self.expression(operand, depth + 1)]})
            case ("binary", operator, left, right):
                operands = [self.expression(it, depth + 1) for it in (left, right)]
                return self.node({"binary": [operator, *operands]})
            case ("between", *operands):
                return self.node({"between": [self.expression(it, depth + 1) for it in operands]})
            case (("all" | "any") as name, *conditions):
                nodes = [self.expression(it, depth + 1) for it in conditions]
                return self.node({f"{name}-of": nodes})
        raise InvalidQuery(f"there is no expression `{shape[0]}`")

    def select(self, **parts: Any) -> int:
        self.selects.append({"model": self.model, "projection": "model", "distinct": "no"} | parts)
        return len(self.selects) - 1

    def row_with_key(self) -> int:
        """The select of one row; its key is the next parameter."""
        key = self.field(self.table.key.name)
        value = self.value_of(self.table.key.name)
        return self.select(filter=self.node({"binary": ["equal", key, value]}))


def _rows(
    arena: _Arena, name: str, filter: Shape | None, order: Shape, limit: bool, offset: bool
) -> Any:
    condition = None if filter is None else arena.expression(filter)
    terms = [
        {"expression": arena.field(field), "descending": descending, "nulls": nulls}
        for field, descending, nulls in order
    ]
    select = arena.select(
        filter=condition,
        **{"order-by": terms},
        limit=arena.parameter("limit", "integer", False) if limit else None,
        offset=arena.parameter("offset", "integer", False) if offset else None,
    )
    return {name: select}


def _insert(arena: _Arena, _: str, fields: tuple[str, ...], returning: str | None) -> Any:
    return _insertion(arena, fields, "parameters", returning)


def _insert_many(arena: _Arena, _: str, fields: tuple[str, ...]) -> Any:
    return _insertion(arena, fields, "batch", None)


def _insertion(arena: _Arena, fields: tuple[str, ...], source: str, returning: str | None) -> Any:
    # The n-th parameter is the value of the n-th field: there are no nodes.
    for field in fields:
        column = arena.table.columns[field]
        arena.parameters.append((f"{arena.table.label}.{field}", column.kind, column.many))
    return {
        "insert": {
            "model": arena.model,
            "fields": list(fields),
            "source": source,
            "returning": None if returning is None else {"fields": [returning]},
        }
    }


def _update(arena: _Arena, _: str, fields: tuple[str, ...]) -> Any:
    assignments = [{"field": field, "value": arena.value_of(field)} for field in fields]
    return {"update": {"model": arena.model, "set": assignments, "rows": arena.row_with_key()}}


def _delete(arena: _Arena, _: str) -> Any:
    return {"delete": {"model": arena.model, "rows": arena.row_with_key()}}


_STATEMENTS: dict[str, Callable[..., Any]] = {
    "select": _rows,
    "count": _rows,
    "exists": _rows,
    "insert": _insert,
    "insert-many": _insert_many,
    "update": _update,
    "delete": _delete,
}
