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
    """Seconds on the clock, from the making of the instance on."""
    busy: float
    """Seconds that it kept its thread busy: its own code, and Python's for it."""
    fuel: int | None = None
    """Units of fuel; None where the plugin does not count them."""
    statements: int = 0
    """Statements sent, beginnings of transactions included."""
    rows_read: int = 0
    """Rows given to the plugin."""
    rows_written: int = 0
    """Rows inserted, updated and deleted."""
    bytes: int = 0
    """Bytes of the values given to the plugin."""


@dataclass(frozen=True)
class Outcome:
    """The result of a plugin call, with its resource usage.

    Example:
        >>> Outcome(value=42, usage=CallUsage(elapsed=0.002, busy=0.001)).value
        42
    """

    value: Any
    """What the function returned, as `Plugin.call` gives it."""
    usage: CallUsage


def tell(plugin: str, tenant: str, export: str, outcome: str, usage: CallUsage) -> None:
    """Log one call with `ferro.call`, with its usage in the attributes."""
    if _log.isEnabledFor(logging.INFO):
        # `bytes` says little beside the attributes of other records.
        used = asdict(usage)
        used["result_bytes"] = used.pop("bytes")
        fields = {"plugin": plugin, "tenant": tenant, "export": export, "outcome": outcome, **used}
        _log.info("%s of %s for %s: %s", export, plugin, tenant, outcome, extra=fields)
