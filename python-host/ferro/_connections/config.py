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
    """Maximum number of connections, by default 10. Further callers wait."""
    min_connections: int | None = None
    """Number of idle connections to keep open, by default 0."""
    acquire_timeout: float | None = None
    """How long a caller waits for a connection, by default 2."""
    connect_timeout: float | None = None
    """How long opening the first connection may take, including the wait for a server that is
    starting or full, by default 10.
    """
    idle_timeout: float | None = None
    """Close connections that have been idle for this time, by default 600. `math.inf`: never."""
    max_lifetime: float | None = None
    """Close connections of this age, by default 1800. `math.inf`: never."""
    silence_timeout: float | None = None
    """How long PostgreSQL may be silent during a statement before Ferro checks over another
    connection whether it still runs, by default 15. `math.inf`: never check.
    """
    statement_cache_capacity: int | None = None
    """Prepared statements kept per connection, by default 100, but 0 at the ports of poolers, 6432
    and 6543. Behind a pooler in transaction mode it must be 0.
    """
    test_before_acquire: bool | None = None
    """Test a PostgreSQL connection before each use, by default True."""
    slow_statement: float | None = None
    """Statements that take this long are logged as warnings by `ferro.statement`; by default none.
    """


@dataclass(frozen=True)
class SqliteConfig:
    """Settings of each SQLite connection. Options that are None keep their defaults.

    Example:
        >>> SqliteConfig(busy_timeout=0.5).wal is None
        True
    """

    foreign_keys: bool | None = None
    """Enforce foreign keys, by default True."""
    wal: bool | None = None
    """Use write-ahead logging for files, by default True."""
    busy_timeout: float | None = None
    """How many seconds a writer waits for another one, by default 5."""


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
