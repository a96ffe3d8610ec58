"""Settings of a connection besides its URL."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from .._argument import check
from ..exceptions import ConfigurationError

_LARGEST = 2**32 - 1


@dataclass(frozen=True)
class PoolConfig:
    """The size of a connection pool, and its timeouts.

    Options that are None keep their defaults. Times are in seconds.

    Example:
        >>> PoolConfig(max_connections=3).max_connections
        3
    """

    max_connections: int | None = None
    """The most connections at a time: 10. Past it, callers wait in line."""
    min_connections: int | None = None
    """Connections kept open while idle: 0."""
    acquire_timeout: float | None = None
    """How long a caller waits for a connection: 2."""
    connect_timeout: float | None = None
    """How long opening the first connection may take; until then a server that is starting or full
    is waited for: 10."""
    idle_timeout: float | None = None
    """Close a connection that was idle for so long: 600. `math.inf`: never."""
    max_lifetime: float | None = None
    """Close a connection that has lived for so long: 1800. `math.inf`: never."""
    silence_timeout: float | None = None
    """How long PostgreSQL may say nothing about a statement before it is asked over another
    connection whether it still works on it: 15. `math.inf`: for ever."""
    statement_cache_capacity: int | None = None
    """Prepared statements kept on each connection: 100, and 0 at the ports of poolers, 6432 and
    6543. Behind a pooler in transaction mode it has to be 0."""
    test_before_acquire: bool | None = None
    """Ask a PostgreSQL connection for a sign of life before it is used: True."""
    slow_statement: float | None = None
    """A statement that takes so long is a warning of the logger `ferro.statement`: none is."""


@dataclass(frozen=True)
class SqliteConfig:
    """Settings of each SQLite connection. Options that are None keep their defaults.

    Example:
        >>> SqliteConfig(busy_timeout=0.5).wal is None
        True
    """

    foreign_keys: bool | None = None
    """Enforce foreign keys: True."""
    wal: bool | None = None
    """Keep files in write-ahead mode: True."""
    busy_timeout: float | None = None
    """How many seconds a writer waits for another one: 5."""


def check_config(config: PoolConfig | SqliteConfig) -> None:
    """Reject a value of the wrong type; the driver checks the value itself."""
    for option in fields(config):
        value: Any = getattr(config, option.name)
        kind = _KINDS[str(option.type)]
        check(ConfigurationError, **{option.name: (value, kind, None)})
        if kind is int and value is not None and not 0 <= value <= _LARGEST:
            raise ConfigurationError(
                f"`{option.name}` takes an int from 0 to {_LARGEST}, not `{value}`"
            )


_KINDS = {"bool | None": bool, "int | None": int, "float | None": float}
"""The types of options, by their annotations."""
