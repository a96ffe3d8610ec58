"""Defaults of fields as the database can have them."""

from __future__ import annotations

import enum
import math
import re
import uuid
from decimal import Decimal
from typing import Any

# Who reads the script of a migration has to see all of it.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def constant_default(kind: str, default: Any) -> Any:
    """The WIT's `default-value` for a plain value, as JSON; None if only Python can make it.

    With it the rows that are there get a value when a migration adds the column.
    """
    if isinstance(default, enum.Enum):
        default = default.value
    value = _plain(kind, default)
    return None if value is None else {"constant": {kind: value}}


def _plain(kind: str, default: Any) -> Any:
    match kind, default:
        case "boolean", bool():
            return default
        case (("integer" | "float" | "decimal"), bool()):
            return None
        case "integer", int() if -(2**63) <= default < 2**63:
            return int(default)
        case "float", int() if abs(default) > 2**53:
            return None
        case "float", int() | float() if math.isfinite(default):
            return float(default)
        case "decimal", int():
            return str(int(default))
        case "decimal", Decimal() if default.is_finite():
            return format(default, "f")
        case "text", str() if not _UNSEEN.search(default):
            return str(default)
        case "uuid", uuid.UUID():
            return divmod(default.int, 2**64)
    return None
