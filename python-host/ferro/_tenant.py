"""Tenants: who calls a plugin, what they are granted, how much they may use."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .exceptions import ConfigurationError


@dataclass(frozen=True)
class TableGrant:
    """What a tenant may do with one table. By default: read all columns of all rows.

    Columns are `"all"`, a list, or `{"except": [...]}`. A filter is a value, a list of values, or
    comparisons, for a column: every row that is read, changed or left behind satisfies all of them.

    Example:
        >>> TableGrant(insert=True, filters={"tenant_id": 42}).delete
        False
    """

    read: Any = "all"
    write: Any = "all"
    insert: bool = False
    update: bool = False
    delete: bool = False
    filters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Grant:
    """What a tenant may do in one database. By default: read every table of the plugin's models.

    Tables are named as the database names them. **Filters do not apply to SQL text**, which
    `raw_sql` allows: with `True` in the fence of the connection's user, whose rights must end where
    the tenant's do, with `"unfenced"` with all power of the connection. PostgreSQL can hold every
    statement to a role, a search path, and settings for row-level security.

    Example:
        >>> Grant(access="read-write", tables={"note": TableGrant(insert=True)}).raw_sql
        False
    """

    access: Literal["read-only", "read-write"] = "read-only"
    tables: Mapping[str, TableGrant | Mapping[str, Any]] | None = None
    raw_sql: bool | Literal["fenced", "unfenced"] = False
    role: str | None = None
    search_path: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tenant:
    """A party that calls plugins: the databases that it is granted, by label, and its limits.

    Limits are named as in an operator's file: `{"rows": 500, "statement-timeout": 0.5}`.

    Example:
        >>> acme = Tenant("acme", grants={"app": Grant()}, limits={"rows": 500})
        >>> acme.name
        'acme'
    """

    name: str
    grants: Mapping[str, Grant | Mapping[str, Any]] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)


def tenant_json(tenant: Tenant | Mapping[str, Any] | None) -> str:
    """A tenant as an operator's file has it; None has no grants."""
    if not isinstance(tenant, (Tenant, Mapping, type(None))):
        raise ConfigurationError(f"`tenant` takes a `ferro.Tenant`, not `{tenant!r}`")
    return json.dumps(_plain(tenant if tenant is not None else Tenant("nobody")), default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, (Tenant, Grant, TableGrant)):
        # The names of our own fields; those inside a mapping are the user's.
        return {
            it.name.replace("_", "-"): _plain(getattr(value, it.name))
            for it in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value
