"""The connections of this process: opening, monitoring and closing them."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import weakref
from dataclasses import dataclass
from typing import Any

from .. import _native
from .._argument import check
from .._message import quoted
from .._other_orms import driver_in
from .._tables.registry import registry
from ..exceptions import ConfigurationError, DeniedError, FerroError
from .config import PoolConfig, SqliteConfig, check_config
from .nesting import Block, Nesting
from .open_stream import OpenStream
from .scope import Scope

_log = logging.getLogger("ferro.migrate")

THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Threads for plugins, shared by tenants; as many as asyncio has for blocking calls."""

_MOMENT = 0.1
"""Seconds after which closing a pool looks again for abandoned streams, for which it would wait."""

contexts: Nesting[Block[str]] = Nesting("ferro_connection", Block.counts)
"""The connections that `connection_context` blocks have selected."""


@dataclass(frozen=True)
class PoolStats:
    """The current state of a pool's connections.

    Example:
        >>> PoolStats(size=3, idle=2, acquired=1, waiting=0, max=10).acquired
        1
    """

    size: int
    """Open connections."""
    idle: int
    """Connections that are not in use."""
    acquired: int
    """Connections in use."""
    waiting: int
    """Callers waiting for a connection."""
    max: int
    """Maximum number of connections."""


class Engine:
    """All connections, and the default one."""

    def __init__(self) -> None:
        self.databases = _native.Databases(THREADS)
        self._labels: set[str] = set()
        self._opening: set[str] = set()
        """Labels of connections that are being opened."""
        self._scoped: set[str] = set()
        """Labels of connections that require a scope."""
        self._default: str | None = None
        self._gate: _Gate | None = None
        self._streams: set[weakref.ref[OpenStream]] = set()

    async def connect(
        self,
        url: str,
        name: str | None,
        default: bool,
        pool: PoolConfig,
        sqlite: SqliteConfig,
        auto_migrate: bool,
        require_scope: bool,
    ) -> None:
        """Open a connection. Others see it only when it is complete."""
        label = label_for(name)
        if label in self._opening:
            raise ConfigurationError(
                f"the label `{label}` is taken: disconnect it first, or use another"
            )
        self._opening.add(label)
        try:
            # The first time, this loads the compiler: off the event loop, while waiting for the
            # database.
            loading = asyncio.get_running_loop().run_in_executor(None, registry.load)
            # If the connection fails, nothing else retrieves the result of this task.
            loading.add_done_callback(lambda it: it.cancelled() or it.exception())
            await self._close_unknown(label)
            await self.databases.connect(label, url, pool, sqlite)
            await loading
            if auto_migrate:
                await self._migrate(label)
        except BaseException:
            # A cancelled caller may have a connection all the same.
            await self._close_unknown(label)
            raise
        finally:
            self._opening.discard(label)
        self._forget(label)
        self._labels.add(label)
        if require_scope:
            self._scoped.add(label)
        if default or name is None:
            self._default = label

    async def _migrate(self, label: str) -> None:
        """Migrate a database to the models, and log the steps that would lose data."""
        models = registry.models()
        _, left, _ = await self.databases.migrate(label, models, "blocking", None)
        for _, description, _, reason in left:
            _log.warning(
                "connection `%s`: a step was not applied, since %s: %s (use "
                "`ferro.migrate(risk='destructive')`)",
                label,
                reason,
                description,
            )

    async def _close_unknown(self, label: str) -> None:
        """Close a connection that was not published."""
        await self.databases.settle(label)
        if label in self.databases.labels() and label not in self._labels:
            await self.databases.disconnect(label)

    async def disconnect(self, name: str | None) -> None:
        """Close a connection, or the default one."""
        label = self.label(name)
        self._labels.discard(label)
        self._scoped.discard(label)
        self._forget(label)
        if self._default == label:
            self._default = None
        closing = asyncio.ensure_future(self.databases.disconnect(label))
        try:
            while not closing.done():
                for stream in self.streams_on(label):
                    if stream.is_abandoned():
                        stream.end()
                await asyncio.wait({closing}, timeout=_MOMENT)
        finally:
            closing.cancel()
        await closing

    def note(self, stream: OpenStream) -> None:
        """Remember a stream as long as something else does."""
        self._streams.add(weakref.ref(stream, self._streams.discard))

    def streams_on(self, label: str) -> list[OpenStream]:
        """The open streams of a connection."""
        streams = [reference() for reference in tuple(self._streams)]
        return [it for it in streams if it is not None and it.is_open and it.label == label]

    def select(self, name: str) -> None:
        """Make a connection the default one."""
        self._default = self.label(name)

    def reset(self) -> None:
        """Forget all connections; they are closed in the background."""
        self.databases = _native.Databases(THREADS)
        self._labels.clear()
        self._opening.clear()
        self._scoped.clear()
        self._default = None
        self._gate = None
        self._streams.clear()

    def labels(self) -> list[str]:
        """The labels of all connections, sorted."""
        return sorted(self._labels)

    def label(self, name: str | None) -> str:
        """The label of a connection that exists."""
        check(ConfigurationError, name=(name, str, None))
        label = self._chosen(name)
        if label is not None and label in self._labels:
            return label
        known = quoted(self.labels()) or "none"
        if label is None:
            raise ConfigurationError(
                "there is no default connection: call `ferro.connect(url)` first, or name one "
                f"with `using` (connected: {known})"
            )
        raise ConfigurationError(f"there is no connection `{label}` (connected: {known})")

    def _chosen(self, name: str | None) -> str | None:
        """The named connection, the enclosing block's, or the default one, in this order."""
        if name is not None:
            return name
        block = contexts.current()
        return self._default if block is None else block.choice

    def open(self, name: str | None, scope: Scope | None) -> tuple[str, _native.Session]:
        """A session outside any transaction, in which one can begin, and its label."""
        label = self.label(name)
        if scope is not None:
            named = name is not None or contexts.current() is not None
            return label, scope.gate(self.databases).open(label, named)
        return label, self._unscoped(self._current(), label)

    def shared(self, name: str | None, scope: Scope | None) -> tuple[str, _native.Session]:
        """A session for a single statement, and its label."""
        gate = self._gate
        if scope is None and gate is not None and gate.version == registry.version:
            known = self._chosen(name)
            session = None if known is None else gate.shared.get(known)
            if known is not None and session is not None:
                return known, session
        if scope is not None:
            return self.open(name, scope)
        label = self.label(name)
        gate = self._current()
        session = gate.shared[label] = self._unscoped(gate, label)
        return label, session

    def _unscoped(self, gate: _Gate, label: str) -> _native.Session:
        """A session without a tenant's grants."""
        if label in self._scoped:
            raise DeniedError(
                f"the connection `{label}` requires a scope: use it inside `with "
                "ferro.scope(tenant):`, or another one, connected without `require_scope`"
            )
        return gate.gate.open(label, True)

    def _current(self) -> _Gate:
        """The gate for the current models."""
        gate = self._gate
        if gate is None or gate.version != registry.version:
            version, models = registry.versioned()
            gate = self._gate = _Gate(version, _native.Gate(self.databases, models, None), {})
        return gate

    def _forget(self, label: str) -> None:
        if self._gate is not None:
            self._gate.shared.pop(label, None)


@dataclass(frozen=True)
class _Gate:
    """What opens sessions."""

    version: int
    """The version of its models."""
    gate: _native.Gate
    shared: dict[str, _native.Session]
    """Sessions shared by single statements, by label."""


engine = Engine()
"""The instance of this process."""


def label_for(name: str | None) -> str:
    """The label of a connection with this name, or without a name."""
    return "default" if name is None else name


async def connect(
    url: str,
    name: str | None = None,
    *,
    default: bool = False,
    pool: PoolConfig | None = None,
    sqlite: SqliteConfig | None = None,
    auto_migrate: bool = False,
    require_scope: bool = False,
) -> None:
    """Connect to a database: `sqlite:path`, `sqlite::memory:` or `postgresql://user@host/name`.

    Without a name, the connection is the default one. With a name it is used only by name, unless
    `default=True` makes it the default. `pool` sets the size and the timeouts of the pool, `sqlite`
    the settings of each SQLite connection. `auto_migrate=True`, for development, runs
    `ferro.migrate`: it creates tables, and changes those that differ from their models. Steps that
    would lose data are not applied, but logged as warnings by `ferro.migrate`. With
    `require_scope=True`, queries, writes and SQL text outside `ferro.scope` raise `DeniedError`, so
    that none runs with the rights of the application by mistake.

    Raises `ConfigurationError` for an invalid URL or option, and a subclass of `ConnectionError` if
    the connection fails.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> None:
        ...     await ferro.connect("sqlite::memory:", "doc-connect")
        ...     await ferro.disconnect("doc-connect")
        >>> asyncio.run(main())
    """
    check(
        ConfigurationError,
        url=(url, str),
        name=(name, str, None),
        default=(default, bool),
        pool=(pool, PoolConfig, None),
        sqlite=(sqlite, SqliteConfig, None),
        auto_migrate=(auto_migrate, bool),
        require_scope=(require_scope, bool),
    )
    driver = driver_in(url)
    if driver is not None:
        path = "; the path of a file is `sqlite:app.db`" if url.startswith("sqlite") else ""
        raise ConfigurationError(f"Ferro has its own drivers: leave out `+{driver}`{path}")
    pool, sqlite = pool or PoolConfig(), sqlite or SqliteConfig()
    check_config(pool)
    check_config(sqlite)
    await engine.connect(url, name, default, pool, sqlite, auto_migrate, require_scope)


async def check_connection(name: str | None = None) -> float:
    """Make a round trip to the database, and return its duration in seconds; raises if it fails.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> bool:
        ...     await ferro.connect("sqlite::memory:", "doc-check")
        ...     latency = await ferro.check_connection("doc-check")
        ...     await ferro.disconnect("doc-check")
        ...     return latency < 1
        >>> asyncio.run(main())
        True
    """
    return await engine.databases.check(engine.label(name))


def pool_stats(name: str | None = None) -> PoolStats:
    """The current state of a pool's connections.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> int:
        ...     await ferro.connect("sqlite::memory:", "doc-stats")
        ...     acquired = ferro.pool_stats("doc-stats").acquired
        ...     await ferro.disconnect("doc-stats")
        ...     return acquired
        >>> asyncio.run(main())
        0
    """
    return PoolStats(**engine.databases.stats(engine.label(name)))


async def health(*, timeout: float = 2.0) -> dict[str, Any]:
    """Report whether every connection works, for a readiness endpoint. Never raises.

    Returns a dict that can be sent as JSON: `ok` for all of them, and for each connection `ok`,
    `latency` in seconds or `error`, and the state of its pool. A connection that does not answer
    within `timeout` seconds is not `ok`; neither is a process without connections.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> bool:
        ...     await ferro.connect("sqlite::memory:", "doc-health")
        ...     health = await ferro.health()
        ...     await ferro.disconnect("doc-health")
        ...     return health["ok"] and health["connections"]["doc-health"]["latency"] < 1
        >>> asyncio.run(main())
        True
    """
    check(ConfigurationError, timeout=(timeout, float))
    labels = engine.labels()
    found = await asyncio.gather(*(_health_of(label, timeout) for label in labels))
    connections = dict(zip(labels, found, strict=True))
    return {"ok": bool(found) and all(it["ok"] for it in found), "connections": connections}


async def _health_of(label: str, timeout: float) -> dict[str, Any]:
    try:
        latency = await asyncio.wait_for(engine.databases.check(label), timeout)
        return {"ok": True, "latency": latency, "pool": dataclasses.asdict(pool_stats(label))}
    except (TimeoutError, asyncio.TimeoutError):
        return {"ok": False, "error": f"no answer within {timeout} s"}
    except FerroError as error:
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}


def set_default_connection(name: str) -> None:
    """Make a connection the default one.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> object:
        ...     await ferro.connect("sqlite::memory:", "doc-default")
        ...     ferro.set_default_connection("doc-default")
        ...     row = await ferro.fetch_one("select 1 as one")
        ...     await ferro.disconnect()
        ...     return row
        >>> asyncio.run(main())
        {'one': 1}
    """
    check(ConfigurationError, name=(name, str))
    engine.select(name)


def reset_engine() -> None:
    """Drop every connection immediately, without waiting for running operations. For tests.

    Applications call `await ferro.disconnect(name)`, which waits.

    Example:
        >>> import asyncio, ferro
        >>> asyncio.run(ferro.connect("sqlite::memory:", "doc-reset"))
        >>> ferro.reset_engine()
        >>> asyncio.run(ferro.health())
        {'ok': False, 'connections': {}}
    """
    engine.reset()
