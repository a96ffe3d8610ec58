"""The resource usage of plugin calls, for the caller and the operator."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

_log = logging.getLogger("ferro.call")


@dataclass(frozen=True)
class CallUsage:
    """The resource usage of a plugin call.

    Example:
        >>> CallUsage(elapsed=0.002, busy=0.001, statements=1, rows_read=20).rows_read
        20
    """

    elapsed: float
    """Wall-clock seconds, including the creation of the instance."""
    busy: float
    """Seconds of thread time: of its own code, and of Python's for it."""
    fuel: int | None = None
    """Units of fuel; None if the plugin does not count them."""
    statements: int = 0
    """Statements sent, including those that begin transactions."""
    rows_read: int = 0
    """Rows passed to the plugin."""
    rows_written: int = 0
    """Rows inserted, updated and deleted."""
    bytes: int = 0
    """Bytes of the values passed to the plugin."""


@dataclass(frozen=True)
class Outcome:
    """The result of a plugin call, with its resource usage.

    Example:
        >>> Outcome(value=42, usage=CallUsage(elapsed=0.002, busy=0.001)).value
        42
    """

    value: Any
    """The result of the function, in the form of `Plugin.call`."""
    usage: CallUsage


def tell(plugin: str, tenant: str, export: str, outcome: str, usage: CallUsage) -> None:
    """Log one call with `ferro.call`, with its usage in the attributes."""
    if _log.isEnabledFor(logging.INFO):
        # `bytes` would be too vague among the attributes of other records.
        used = asdict(usage)
        used["result_bytes"] = used.pop("bytes")
        fields = {"plugin": plugin, "tenant": tenant, "export": export, "outcome": outcome, **used}
        _log.info("%s of %s for %s: %s", export, plugin, tenant, outcome, extra=fields)
