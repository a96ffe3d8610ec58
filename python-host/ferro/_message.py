"""How messages name things."""

from __future__ import annotations

from collections.abc import Iterable


def quoted(names: Iterable[object]) -> str:
    """Names as a message lists them: "`id`, `name`"; empty, if there is none."""
    return ", ".join(f"`{name}`" for name in names)
