"""How messages name things."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any


def quoted(names: Iterable[object]) -> str:
    """Names as a message lists them: "`id`, `name`"; empty, if there is none."""
    return ", ".join(f"`{name}`" for name in names)


def naming_fields(message: str, request: str) -> str:
    """A message of the core, with the fields in place of the number of a node in the query.

    Example:
        >>> nodes = [{"field": {"relations": [], "field": "age"}}, {"call": {"arguments": [0]}}]
        >>> query = {"nodes": nodes, "selects": [{"model": "User"}]}
        >>> naming_fields("node 1: it is no text", json.dumps({"query": query}))
        '`User.age`: it is no text'
    """
    match = re.match(r"node (\d+): ", message)
    if match is None:
        return message
    query: dict[str, Any] = json.loads(request)["query"]
    nodes, number = query["nodes"], int(match[1])
    models = {it["model"] for it in query["selects"]}
    # What a relation leads to has fields of another model.
    within = {of for it in nodes if "related" in it for of in _below(nodes, it)}
    model = f"{models.pop()}." if len(models) == 1 and number not in within else ""
    fields = [
        model + ".".join([*it["field"]["relations"], it["field"]["field"]])
        for it in (nodes[at] for at in sorted({number, *_below(nodes, nodes[number])}))
        if "field" in it
    ]
    where = quoted(dict.fromkeys(fields))
    rest = message[match.end() :]
    return f"{where}: {rest}" if where else rest


def _below(nodes: list[Any], node: dict[str, Any]) -> set[int]:
    """The numbers of all nodes that a node is made of."""
    ((kind, parts),) = node.items()
    if kind in ("unary", "binary"):
        parts = parts[1:]
    elif isinstance(parts, dict):
        found = [parts.get(name) for name in ("arguments", "argument", "document", "condition")]
        parts = next((it for it in found if it is not None), [])
    if kind in ("field", "parameter", "literal", "excluded"):
        return set()
    numbers = set(parts if isinstance(parts, list) else [parts])
    # A node comes after those that it is made of.
    return numbers.union(*(_below(nodes, nodes[number]) for number in numbers))


def naming_enums(fault: str, schema: dict[str, Any]) -> str:
    """A fault of the models, with the fields of the enum that it is about."""
    for enum in schema["enums"] if "enum" in fault else ():
        name = enum["name"]
        fields = [
            f"{model['name']}.{field['name']}"
            for model in schema["models"]
            for field in model["fields"]
            if field["kind"] == {"enumeration": name}
        ]
        if f"`{name}`" in fault:
            return (
                f"{fault}: name the enum of {quoted(fields)} otherwise, or give the field "
                '`ferro.Field(db_type="text")`, for which the database needs no type'
            )
    return fault
