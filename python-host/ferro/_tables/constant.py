"""Constants of models in database form: defaults, and the values in checks."""

from __future__ import annotations

import datetime
import enum
import math
import re
import uuid
from decimal import Decimal
from typing import Any

from ..exceptions import SchemaError
from .default import DatabaseDefault

# Readers of a migration script must see all of it.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def constant(kind: str, value: Any) -> Any:
    """The WIT's `value` for a plain value of a scalar type, as JSON; None if the value is not of
    that type, or has no form in the database.

    Example:
        >>> import datetime
        >>> constant("integer", 5), constant("date", datetime.date(1970, 1, 2))
        ({'integer': 5}, {'date': 1})
        >>> constant("integer", "5")
    """
    plain = _plain(kind, value.value if isinstance(value, enum.Enum) else value)
    return None if plain is None else {kind: plain}


def constant_default(kind: str, default: Any) -> Any:
    """The WIT's `default-value` for a plain value, as JSON; None if only Python can compute it.

    Existing rows get it when a migration adds the column.
    """
    found = constant(kind, default)
    return None if found is None else {"constant": found}


def database_default(where: str, kind: str, many: bool, default: Any) -> Any:
    """The WIT's `default-value` for `db_default`, as JSON."""
    if isinstance(default, DatabaseDefault):
        return _computed(where, "a default of", kind, many, default)
    found = None if many else constant_default(kind, default)
    if found is None:
        raise SchemaError(
            f"field `{where}`: its `db_default` is `ferro.now`, `ferro.random_uuid` or a plain "
            f"value of its type, not `{default!r}`"
        )
    return found


def update_value(where: str, kind: str, many: bool, value: Any) -> str | None:
    """The WIT's `update-value` for `on_update`, as JSON."""
    if value is None:
        return None
    if not isinstance(value, DatabaseDefault):
        raise SchemaError(
            f"field `{where}`: its `on_update` is `ferro.now` or `ferro.random_uuid`, "
            f"not `{value!r}`"
        )
    return _computed(where, "for", kind, many, value)


def _computed(where: str, role: str, kind: str, many: bool, value: DatabaseDefault) -> str:
    """The name of what the database computes, if it fits the field."""
    if many or kind not in value.kinds:
        raise SchemaError(
            f"field `{where}`: `{value!r}` is {role} {' and '.join(value.kinds)}, "
            f"and this is {f'a list of {kind}' if many else kind}"
        )
    return value.name


def _plain(kind: str, value: Any) -> Any:
    match kind, value:
        case "boolean", bool():
            return value
        case (("integer" | "float" | "decimal"), bool()):
            return None
        case "integer", int() if -(2**63) <= value < 2**63:
            return int(value)
        case "float", int() if abs(value) > 2**53:
            return None
        case "float", int() | float() if math.isfinite(value):
            return float(value)
        case "decimal", int():
            return str(int(value))
        case "decimal", Decimal() if value.is_finite():
            return format(value, "f")
        case "text", str() if not _UNSEEN.search(value):
            return str(value)
        case "uuid", uuid.UUID():
            return divmod(value.int, 2**64)
        case "date", datetime.date() if not isinstance(value, datetime.datetime):
            return value.toordinal() - datetime.date(1970, 1, 1).toordinal()
        case "time", datetime.time(tzinfo=None):
            return _microseconds(datetime.datetime.combine(_EPOCH, value) - _EPOCH)
        case "timestamp", datetime.datetime(tzinfo=None):
            return _microseconds(value - _EPOCH)
        case "timestamptz", datetime.datetime() if value.utcoffset() is not None:
            return _microseconds(value - _EPOCH.replace(tzinfo=datetime.timezone.utc))
    return None


_EPOCH = datetime.datetime(1970, 1, 1)


def _microseconds(duration: datetime.timedelta) -> int:
    return duration // datetime.timedelta(microseconds=1)
