"""How messages name things."""

from __future__ import annotations

import difflib
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
