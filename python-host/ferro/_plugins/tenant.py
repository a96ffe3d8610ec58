"""Tenants: the callers of plugins, with their grants and limits."""

from __future__ import annotations

import dataclasses
import enum
import json
import uuid
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from ..exceptions import ConfigurationError


@dataclass(frozen=True)
class TableGrant:
    """The rights of a tenant on one table. By default, it may read all columns of all rows.

    Tables and columns are given by their database names.

    Example:
        >>> TableGrant(insert=True, filters={"tenant_id": 42}).delete
        False
    """

    read: Any = "all"
    """The columns that may be read: `"all"`, a list, or `{"except": [...]}`."""
    write: Any = "all"
    """The columns that inserts and updates may set, in the same form."""
    insert: bool = False
    """Whether rows may be inserted."""
    update: bool = False
    """Whether rows may be updated."""
    delete: bool = False
    """Whether rows may be deleted."""
    filters: Mapping[str, Any] = field(default_factory=dict)
    """Maps a column to a value, a list or a set of values, or comparisons. Every row that is read,
    written or left by a write satisfies all of them. Values are booleans, integers, floats, texts,
    UUIDs and members of enums; a decimal must be a whole number.
    """


@dataclass(frozen=True)
class Grant:
    """The rights of a tenant in one database. By default, it may read every table of the plugin's
    models.

    Tables are given by their database names. **Filters do not apply to SQL text**, which `raw_sql`
    allows: with `True`, limited to the rights of the connection's user, which must not exceed the
    tenant's; with `"unfenced"`, with all rights of the connection. On PostgreSQL, every statement
    can run with a role, a search path, and settings for row-level security.

    Example:
        >>> Grant(access="read-write", tables={"note": TableGrant(insert=True)}).raw_sql
        False
    """

    access: Literal["read-only", "read-write"] = "read-only"
    """With `"read-only"`, nothing can be written, whatever the table grants say."""
    tables: Mapping[str, TableGrant | Mapping[str, Any]] | None = None
    """The rights on each table; others do not exist for the tenant. None: all tables can be read
    or, with `"read-write"`, read and written.
    """
    raw_sql: bool | Literal["fenced", "unfenced"] = False
    """Whether SQL text is allowed. `True` is `"fenced"`."""
    role: str | None = None
    """PostgreSQL: the role that every statement runs as."""
    search_path: Sequence[str] = ()
    """PostgreSQL: the schemas in which tables are looked up."""
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """PostgreSQL: settings for every statement, for row-level security: `{"app.tenant": "42"}`.
    Not in the `repr`: they may be secrets."""


@dataclass(frozen=True)
class Tenant:
    """A caller of plugins: its grants, by database label, and its limits.

    A misspelt setting or limit raises `ConfigurationError` when the tenant is used.

    Example:
        >>> acme = Tenant("acme", grants={"app": Grant()}, limits={"rows": 500})
        >>> acme.name
        'acme'
    """

    name: str
    """The name for logs and metrics, and for counting calls."""
    grants: Mapping[str, Grant | Mapping[str, Any]] = field(default_factory=dict)
    """The rights on each connection, by its name; others cannot be opened."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """Limits of plugin calls, named as in a tenant file, with times in seconds and sizes in bytes:
    `{"rows": 500, "statement-timeout": 0.5}`. `docs/tenants.md` lists them with their defaults.
    """


NOBODY = Tenant("nobody")
"""The tenant of calls without one: it has no grants."""


def tenant_json(tenant: Tenant | Mapping[str, Any]) -> str:
    """A tenant in the form of a tenant file, as JSON."""
    if not isinstance(tenant, (Tenant, Mapping)):
        raise ConfigurationError(f"`tenant` takes a `ferro.Tenant`, not `{tenant!r}`")
    return json.dumps(_plain(tenant, ()))


def limits_of(tenant: Tenant | Mapping[str, Any]) -> Mapping[str, Any]:
    """The limits that a tenant sets."""
    limits = tenant.limits if isinstance(tenant, Tenant) else tenant.get("limits")
    return limits or {}


def _plain(value: Any, path: tuple[str, ...]) -> Any:
    """A part of a tenant as JSON. Values that JSON could hold only as Python's text are rejected:
    they would differ from the values of rows, so that a filter `not-equal` would admit all rows.
    """
    if isinstance(value, (Tenant, Grant, TableGrant)):
        # The names of our own fields; keys of a mapping are the user's.
        names = [it.name for it in dataclasses.fields(value)]
        return {it.replace("_", "-"): _plain(getattr(value, it), (*path, it)) for it in names}
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise _refused(
                    (*path, repr(name)), f"a name must be a string, not `{type(name).__name__}`"
                )
        return {name: _plain(item, (*path, name)) for name, item in value.items()}
    if isinstance(value, (list, tuple, Set)):
        return [_plain(item, path) for item in value]
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite() and value == int(value):
        return int(value)
    if value is not None and not isinstance(value, (str, int, float)):
        kind = type(value).__name__
        raise _refused(
            path,
            f"`{kind}` is not supported: use booleans, integers, floats, texts, UUIDs or members "
            "of enums",
        )
    return value


def _refused(path: tuple[str, ...], why: str) -> ConfigurationError:
    return ConfigurationError(f"`{'.'.join(path)}` of a tenant: {why}")
