"""How messages name things."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def quoted(names: Iterable[object]) -> str:
    """Names as a message lists them: "`id`, `name`"; empty, if there is none."""
    return ", ".join(f"`{name}`" for name in names)


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint for a name that is none of those that are known."""
    known = list(known)
    found = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{found[0]}`?" if found else f"there is {quoted(known) or 'none'}"
