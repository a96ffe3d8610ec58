"""Parts of messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def quoted(names: Iterable[object]) -> str:
    """Names as a list for a message: "`id`, `name`"; empty if there are none."""
    return ", ".join(f"`{name}`" for name in names)


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint for an unknown name: the nearest known one."""
    known = list(known)
    found = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{found[0]}`?" if found else f"there is {quoted(known) or 'none'}"
