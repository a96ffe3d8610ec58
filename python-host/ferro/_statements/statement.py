"""Statements: from shapes to the WIT's `query`, with nodes in an arena and numbered parameters."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .arena import Arena, Parameter

if TYPE_CHECKING:
    from .._expressions.expression import Shape
    from .._tables.table import Table


def query_json(table: Table, shape: Shape) -> tuple[str, list[Parameter]]:
    """The JSON of a query, and its parameters in order.

    A shape is one of:

    - `("select" | "count" | "exists", rows)`, where `rows` is what `rows_shape` makes
    - `("related", relation, rows, key, condition)`: the rows of a relation, with a limit per
      parent, for the parents that satisfy the condition; `key` is the field of their key
    - `("update-rows", assignments, rows, returning)` and `("delete-rows", rows, returning)`
    - `("insert", fields, returning, conflict)` and `("insert-many", fields, returning, conflict)`,
      where a conflict is None or `(target, assignments, condition)`; its values come after those of
      a row, or in addition to the rows of `insert-many`
    - `("insert-from", fields, select)`, of the rows of a select
    - `("update", fields, version, returning)` and `("delete", version)`, of the row with a key and,
      if a version field is named, with a version
    - `("update-many", fields, keys, version)`, where the rows contain these fields, their key and
      the version

    A select in an expression is `("select", table, rows)`; combined rows are `("combined", rows,
    ((operator, select), …))`, and rows that join common tables `("joined", rows, (("join", table,
    on), …))`. A statement that reads a common table is `("read", table, statement)`.
    """
    while shape[0] == "read":
        _, table, shape = shape
    arena = Arena(table)
    statement = _STATEMENTS[shape[0]](arena, *shape)
    query = {"nodes": arena.nodes, "selects": arena.selects, "statement": statement}
    if arena.common:
        query["common"] = arena.common
    return json.dumps(query), arena.parameters


def _rows(arena: Arena, name: str, rows: Shape) -> Any:
    return {name: arena.rows(rows)}


def _related(arena: Arena, _: str, relation: str, rows: Shape, key: str, condition: Shape) -> Any:
    chosen = arena.beside(("select", arena.at([relation]), rows))
    select = arena.select(
        projection={"fields": [key]},
        filter=arena.expression(condition),
        includes=[{"relations": [relation], "rows": chosen}],
    )
    return {"select": select}


def _insert(
    arena: Arena,
    name: str,
    fields: tuple[str, ...],
    returning: tuple[str, ...] | None,
    conflict: Shape | None,
) -> Any:
    # The n-th parameter is the value of the n-th field, without nodes. The columns of a batch are
    # numbered separately, after the parameters.
    many = name == "insert-many"
    carried = [arena.described(field) for field in fields]
    if not many:
        arena.parameters.extend(carried)
    resolved = None if conflict is None else _conflict(arena, *conflict)
    if many:
        arena.parameters.extend(carried)
    return {
        "insert": {
            "model": arena.model,
            "fields": list(fields),
            "source": "batch" if many else "parameters",
            "conflict": resolved,
            "returning": _projection(returning),
        }
    }


def _insert_from(arena: Arena, _: str, fields: tuple[str, ...], select: Shape) -> Any:
    source = {"select": arena.beside(select)}
    return {
        "insert": {
            "model": arena.model,
            "fields": list(fields),
            "source": source,
            "conflict": None,
            "returning": None,
        }
    }


def _conflict(
    arena: Arena, target: tuple[str, ...], assignments: Shape, condition: Shape | None
) -> Any:
    return {
        "target": list(target),
        "update": _assignments(arena, assignments),
        "condition": arena.optional(condition),
    }


def _assignments(arena: Arena, assignments: Shape) -> list[Any]:
    return [{"field": field, "value": arena.expression(value)} for field, value in assignments]


def _projection(returning: tuple[str, ...] | None) -> Any:
    """The projection of a `returning`; no fields mean all of them."""
    if returning is None:
        return None
    return {"fields": list(returning)} if returning else "model"


def _update(
    arena: Arena,
    _: str,
    fields: tuple[str, ...],
    version: str | None,
    returning: tuple[str, ...] | None,
) -> Any:
    return {
        "update": {
            "model": arena.model,
            "set": [{"field": field, "value": arena.value_of(field)} for field in fields],
            "rows": arena.row_with_key(version),
            "returning": _projection(returning),
        }
    }


def _update_many(
    arena: Arena, _: str, fields: tuple[str, ...], keys: tuple[str, ...], version: str | None
) -> Any:
    carried = (*fields, *keys)
    same = None
    if version is not None:
        carried = (*carried, version)
        same = arena.equal(version, arena.node({"excluded": version}))
    arena.parameters.extend(arena.described(field) for field in carried)
    return {
        "update": {
            "model": arena.model,
            "set": [{"field": it, "value": arena.node({"excluded": it})} for it in fields],
            "rows": arena.select(filter=same),
            "batch": {"fields": list(carried), "key": list(keys)},
        }
    }


def _delete(arena: Arena, _: str, version: str | None) -> Any:
    return {"delete": {"model": arena.model, "rows": arena.row_with_key(version)}}


def _update_rows(
    arena: Arena, _: str, assignments: Shape, rows: Shape, returning: tuple[str, ...] | None
) -> Any:
    set = _assignments(arena, assignments)
    update = {"model": arena.model, "set": set, "rows": arena.rows(rows)}
    return {"update": {**update, "returning": _projection(returning)}}


def _delete_rows(arena: Arena, _: str, rows: Shape, returning: tuple[str, ...] | None) -> Any:
    delete = {"model": arena.model, "rows": arena.rows(rows)}
    return {"delete": {**delete, "returning": _projection(returning)}}


_STATEMENTS: dict[str, Callable[..., Any]] = {
    "select": _rows,
    "count": _rows,
    "exists": _rows,
    "related": _related,
    "insert": _insert,
    "insert-many": _insert,
    "insert-from": _insert_from,
    "update": _update,
    "update-many": _update_many,
    "delete": _delete,
    "update-rows": _update_rows,
    "delete-rows": _delete_rows,
}
