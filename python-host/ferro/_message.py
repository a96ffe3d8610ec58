"""How messages name things."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any


def quoted(names: Iterable[object]) -> str:
    """Names as a message lists them: "`id`, `name`"; empty, if there is none."""
    return ", ".join(f"`{name}`" for name in names)


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint for a name that is none of those that are known."""
    known = list(known)
    found = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{found[0]}`?" if found else f"there is {quoted(known) or 'none'}"


def naming_fields(message: str, request: str) -> str:
    """A message of the core, with the fields in place of the number of a node in the query.

    Example:
        >>> nodes = [{"field": {"relations": [], "field": "age"}}, {"call": {"arguments": [0]}}]
        >>> query = {"nodes": nodes, "selects": [{"model": "User"}]}
        >>> naming_fields("node 1: it is no text", json.dumps({"query": query}))
        '`User.age`: it is no text'
    """
    match = re.match(r"(common table `[^`]*`: |)node (\d+): ", message)
    if match is None:
        return message
    # A guest's query may have any shape: what is not as it should be, names nothing.
    query: dict[str, Any] = json.loads(request)["query"]
    nodes, number = query["nodes"], int(match[2])
    rest = message[match.end() :]
    if number >= len(nodes):
        return match[1] + rest
    models = {it["model"] for it in query["selects"]}
    # What a relation leads to has fields of another model.
    within = _below(nodes, [at for at, it in enumerate(nodes) if _is(it, "related")])
    model = f"{models.pop()}." if len(models) == 1 and number not in within else ""
    fields = [
        model + ".".join([*it["field"]["relations"], it["field"]["field"]])
        for it in (nodes[at] for at in sorted({number} | _below(nodes, [number])))
        if _is(it, "field")
    ]
    where = quoted(dict.fromkeys(fields))
    return match[1] + (f"{where}: {rest}" if where else rest)


def _is(node: Any, kind: str) -> bool:
    return isinstance(node, dict) and kind in node


def _below(nodes: list[Any], above: list[int]) -> set[int]:
    """The numbers of all nodes that some nodes are made of, each looked at once."""
    found: set[int] = set()
    left = list(above)
    while left:
        number = left.pop()
        # A node comes after those that it is made of.
        parts = {it for it in _parts(nodes[number]) if type(it) is int and 0 <= it < number}
        left += parts - found
        found |= parts
    return found


def _parts(node: Any) -> list[Any]:
    """What a node is made of: the numbers of others, among other things."""
    if not isinstance(node, dict):
        return []
    ((kind, parts),) = node.items()
    # `exists` and `subquery` have the number of a select.
    if kind in ("field", "parameter", "literal", "excluded", "exists", "subquery"):
        return []
    if kind == "in-select":
        return parts[:1] if isinstance(parts, list) else []
    if isinstance(parts, dict):
        names = ("arguments", "argument", "document", "condition")
        parts = next((it for it in map(parts.get, names) if it is not None), [])
    return parts if isinstance(parts, list) else [parts]


def naming_enums(fault: str, schema: dict[str, Any]) -> str:
    """A fault of the models, with the fields of the enum if it is about the name of one."""
    words = re.sub("`[^`]*`", "", fault)
    for enum in schema["enums"] if "enum" in words and " name" in words else ():
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
