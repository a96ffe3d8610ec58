"""The lifespan of a web application: connected while it runs."""

from __future__ import annotations

from types import TracebackType

from .config import PoolConfig, SqliteConfig
from .disconnect import disconnect
from .engine import connect, engine, label_for


class Lifespan:
    """Connects on entry and disconnects on exit; created by `ferro.lifespan`."""

    def __init__(
        self,
        url: str,
        name: str | None,
        default: bool,
        pool: PoolConfig | None,
        sqlite: SqliteConfig | None,
        auto_migrate: bool,
        require_scope: bool,
    ) -> None:
        self._url = url
        self._name = name
        self._default = default
        self._pool = pool
        self._sqlite = sqlite
        self._auto_migrate = auto_migrate
        self._require_scope = require_scope
        self._label: str | None = None

    def __call__(self, _app: object) -> Lifespan:
        """Called by FastAPI and Starlette with the application when it starts."""
        return self

    async def __aenter__(self) -> None:
        await connect(
            self._url,
            self._name,
            default=self._default,
            pool=self._pool,
            sqlite=self._sqlite,
            auto_migrate=self._auto_migrate,
            require_scope=self._require_scope,
        )
        self._label = label_for(self._name)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        label, self._label = self._label, None
        # A test may have reset the engine meanwhile.
        if label in engine.labels():
            await disconnect(label)


def lifespan(
    url: str,
    name: str | None = None,
    *,
    default: bool = False,
    pool: PoolConfig | None = None,
    sqlite: SqliteConfig | None = None,
    auto_migrate: bool = False,
    require_scope: bool = False,
) -> Lifespan:
    """Connect when an application starts, and disconnect when it ends. Takes `connect`'s arguments.

    Pass it directly to FastAPI or Starlette, `FastAPI(lifespan=ferro.lifespan(url))`, or use it
    inside your own lifespan, `async with ferro.lifespan(url):`.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> object:
        ...     async with ferro.lifespan("sqlite::memory:", "doc-lifespan"):
        ...         return await ferro.fetch_one("select 1 as one", using="doc-lifespan")
        >>> asyncio.run(main())
        {'one': 1}
    """
    return Lifespan(url, name, default, pool, sqlite, auto_migrate, require_scope)
