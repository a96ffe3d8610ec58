"""Plugins: components with query logic, which run for tenants in the sandbox of wasmtime-py."""

from __future__ import annotations

import asyncio
import contextvars
import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any

from wasmtime import Store, WasmtimeError
from wasmtime.component import Component, Func, FuncType, Instance

from .. import _native
from .._argument import check
from .._connections.engine import THREADS, engine
from .._core.compiler import compiler
from .._core.wasm import STACK, compile_component, innermost, plugin_engine, read_component
from .._message import nearest
from .._migrations.migrate import create_tables_of, migrate_of
from .._migrations.migration import Migration, Risk
from ..exceptions import (
    BusyError,
    ConfigurationError,
    DeniedError,
    FerroError,
    InternalError,
    PluginError,
    PluginTrap,
    QueryTimeout,
)
from .export import Export
from .guest import RAW_SQL, GuestCall, Imports, check_interfaces, needs_raw_sql, unfit
from .tenant import NOBODY, Tenant, limits_of, tenant_json
from .types import Reader, path_of, wit_functions
from .usage import CallUsage, Outcome, tell
from .values import Values
from .wasi import Fault

_MODELS = "ferro:orm/models"
_TICK = 0.01
"""Seconds between two epochs."""
_NO_LIMIT = 2**64 - 1
LONGEST_LOAD = 60.0
"""Maximum seconds for loading a plugin, as in the Rust host."""
_LOADING = 2
"""How many plugins can load at once."""
_TABLES = 8
_TABLE_ELEMENTS = 20_000
"""Maximum number of wasm tables of a plugin, and of their elements, as in the Rust host."""


class Plugin:
    """A component that has been loaded, checked and linked; each call gets a fresh instance.

    Example:
        >>> import ferro
        >>> async def main() -> object:
        ...     plugin = await ferro.Plugin.load("atlas.wasm")
        ...     tenant = ferro.Tenant("acme", grants={"app": ferro.Grant()})
        ...     return await plugin.call("largest-cities", "CH", 5, tenant=tenant)
    """

    def __init__(self, component: Component, name: str, *, fuel: bool) -> None:
        self.name = name
        self._component = component
        self._metered = fuel
        self._engine = plugin_engine(fuel)
        check_interfaces(self._engine, component, name)
        reader = Reader(self._engine, name)
        self._imports = Imports(self._engine, component, name, reader)
        self._raw_sql = needs_raw_sql(self._engine, component)
        self._exports = self._read_exports(reader)
        self._models = _native.Models(json.dumps(self._describe()), compiler)

    @classmethod
    async def load(cls, path: str | PathLike[str], *, fuel: bool = False) -> Plugin:
        """Load a component from a file; compiled code is cached on disk.

        With `fuel`, its code counts instructions, so that a tenant's fuel limit can end a call;
        this makes it 10 % to 33 % slower.

        Raises `ConfigurationError` if it is not a component, `UnsupportedError` if it was built
        against another version of the WIT package, `DeniedError` if its imports cannot be granted,
        and `SchemaError` if its models are invalid. Two plugins can load at once, for at most 60
        seconds: after that it raises `QueryTimeout`, or `BusyError` if others used all of this
        time.
        """
        check(ConfigurationError, path=(path, str, PathLike), fuel=(fuel, bool))
        path = Path(path)
        loading = _loaders.submit(contextvars.copy_context().run, cls._load, path, fuel)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(loading), LONGEST_LOAD)
        except asyncio.TimeoutError:
            what = f"the plugin `{path.stem}` was not loaded within {LONGEST_LOAD} s"
            if loading.cancelled():
                message = f"{what}: {_LOADING} others were loading; try again later"
                raise BusyError(message, retryable=True) from None
            raise QueryTimeout(f"{what}: make it smaller") from None

    @classmethod
    def _load(cls, path: Path, fuel: bool) -> Plugin:
        code = read_component(path)
        component = compile_component(plugin_engine(fuel), code, path.stem)
        return cls(component, path.stem, fuel=fuel)

    @property
    def exports(self) -> list[str]:
        """The names of the callable functions."""
        return sorted(self._exports)

    async def create_tables(self, *, using: str | None = None) -> None:
        """Create the missing tables of the plugin's models.

        They get their indexes. Tables that exist are not changed. Raises `TransactionError` inside
        a transaction.
        """
        await create_tables_of(self._models, using)

    async def migrate(
        self, *, using: str | None = None, risk: Risk = "blocking", dry_run: bool = False
    ) -> Migration:
        """Migrate the tables of a database to match the plugin's models; see `ferro.migrate`.

        The models define which tables belong to the plugin, and their former names. If untrusted
        plugins share a database, read the steps of a `dry_run` before you apply them.
        """
        return await migrate_of(self._models, using, risk, dry_run)

    def check(self, tenant: Tenant | Mapping[str, Any]) -> None:
        """Raise `ConfigurationError` if a tenant's grants do not fit the plugin's models.

        Each call checks this too, except that only this method compares the columns in `read` and
        `write` with those of the models: a misspelt column in `except` hides nothing, but a plugin
        may also lack a column that is hidden from it.
        """
        _native.GuestGate.check(self._models, tenant_json(tenant))

    async def call(
        self, export: str, *arguments: Any, tenant: Tenant | Mapping[str, Any] | None = None
    ) -> Any:
        """Call an exported function for a tenant; without a tenant, it has no grants.

        Records are dicts with snake_case keys, variants the name of a case or a dict of name and
        payload, enums are texts, options None or the value; cases are named as in the WIT. An error
        that the function returns is raised: Ferro's own as the exception of its kind, others as
        `PluginError` with the `value`. A function of an exported interface is named
        `interface#function`.

        Raises `PluginTrap` if the plugin crashes, also for lack of memory, `QueryTimeout` if the
        deadline passes, and `LimitError` if it reaches another limit; uncommitted work is then
        rolled back. Raises `BusyError` if the tenant already has too many calls.
        """
        return (await self.outcome(export, *arguments, tenant=tenant)).value

    async def outcome(
        self, export: str, *arguments: Any, tenant: Tenant | Mapping[str, Any] | None = None
    ) -> Outcome:
        """Call a function like `call`, and return its result with the resource usage.

        Every call that ran, failed ones too, is logged with its usage by `ferro.call` at level
        INFO, with the attributes `plugin`, `tenant`, `export`, `outcome` (`ok`, or the kind of the
        error), `elapsed`, `busy`, `fuel`, `statements`, `rows_read`, `rows_written` and
        `result_bytes`.
        """
        if not isinstance(export, str):
            raise PluginError(f"`call` takes the name of an export, not `{export!r}`")
        found = self._exports.get(export)
        if found is None:
            hint = nearest(export, self.exports)
            raise PluginError(f"`{self.name}` has no export `{export}`: {hint}")
        found.check(arguments)
        tenant = NOBODY if tenant is None else tenant
        grants = tenant_json(tenant)
        limits = _native.GuestLimits(grants)
        if self._raw_sql and not limits.raw_sql:
            raise DeniedError(
                f"the plugin `{self.name}` imports `{RAW_SQL}`, and tenant `{limits.tenant}` is "
                "not granted `raw-sql`"
            )
        if limits.fuel is not None and not self._metered:
            raise ConfigurationError(
                f"tenant `{limits.tenant}` has a limit on `fuel`, which this plugin does not "
                "count: load it with `fuel=True`"
            )
        if "host-call-bytes" in limits_of(tenant):
            raise ConfigurationError(
                f"tenant `{limits.tenant}` has a limit on `host-call-bytes`, which wasmtime-py "
                "cannot set: leave it out in Python"
            )
        gate = await _native.GuestGate.admit(engine.databases, self._models, grants)
        call = GuestCall(self.name, gate, limits)
        context = contextvars.copy_context()
        running = _threads.submit(context.run, self._measured, found, arguments, call)
        # A load that is cancelled before its thread starts frees its slot, too.
        running.add_done_callback(lambda _: gate.close())
        try:
            result, usage = await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            # The thread continues until the guest's next call, or until the deadline.
            call.cancelled = True
            raise
        if isinstance(result, FerroError):
            raise result
        return Outcome(result, usage)

    def _read_exports(self, reader: Reader) -> dict[str, Export]:
        """Read the callable functions; those of interfaces are named `interface#function`."""
        items = self._component.type.exports(self._engine)
        found = {
            name: reader.function(kind)
            for name, item in items.items()
            if isinstance(kind := item.ty, FuncType)
        }
        for name, interface in reader.interfaces(items).items():
            found.update({f"{name}#{it}": of for it, of in interface.functions.items()})
        return {name: Export(name, function) for name, function in found.items()}

    def _describe(self) -> Any:
        # A later patch version of the package also fits: `ferro:orm/models@0.1.7#describe`.
        name = next((it for it in self._exports if path_of(it) == _MODELS), "")
        described = self._exports.pop(name, None)
        if described is None:
            raise ConfigurationError(
                f"the component `{self.name}` is not a plugin: it does not export `{_MODELS}`; "
                "include the world `ferro:orm/plugin` in its own"
            )
        if described.function != wit_functions()[_MODELS].get(name.partition("#")[2]):
            raise unfit(self.name, f"`{name}` has different types here")
        limits = _native.GuestLimits(tenant_json(NOBODY))
        # There are no models yet to open a session with, so there is no gate: opening a session
        # traps.
        call = GuestCall(self.name, _NoGate(limits.deadline), limits)
        return self._run(Export(name, described.function, snake_case=False), (), call)

    def _measured(
        self, export: Export, arguments: tuple[Any, ...], call: GuestCall
    ) -> tuple[Any, CallUsage]:
        """Run a call, and log its usage, however it ends."""
        outcome = InternalError.kind
        began, busy = time.perf_counter(), time.thread_time()
        try:
            result = export.answer(self._run(export, arguments, call))
            outcome = "ok"
        except FerroError as error:
            outcome = error.kind
            raise
        finally:
            elapsed, kept = time.perf_counter() - began, time.thread_time() - busy
            usage = CallUsage(elapsed, kept, call.fuel, **call.gate.usage())
            tell(self.name, call.limits.tenant, export.name, outcome, usage)
        return result, usage

    def _run(self, export: Export, arguments: tuple[Any, ...], call: GuestCall) -> Any:
        """Run one call in a fresh store and instance, on a thread that may block."""
        store, limits = Store(self._engine), call.limits
        # The memory limit applies to each memory, so only one memory is allowed.
        store.set_limits(
            memory_size=limits.memory,
            memories=1,
            table_elements=_TABLE_ELEMENTS,
            tables=_TABLES,
            instances=limits.instances,
        )
        fuel = _NO_LIMIT if limits.fuel is None else limits.fuel
        if self._metered:
            store.set_fuel(fuel)
        store.set_epoch_deadline(math.ceil(call.gate.remaining() / _TICK) + 1)
        try:
            with _tickers[self._metered], call, Values(len(arguments)) as lowered:
                export.lower(arguments, lowered, call)
                instance = self._imports.instantiate(store, self._component)
                return export.call(_function(instance, store, export.name), store, lowered, call)
        except (WasmtimeError, Fault) as error:
            raise self._failure(error, call) from call.failure or error
        finally:
            if self._metered:
                call.fuel = fuel - store.get_fuel()
            store.close()

    def _failure(self, error: WasmtimeError | Fault, call: GuestCall) -> FerroError:
        failure = call.failure or error
        if isinstance(failure, FerroError):
            return failure
        if isinstance(failure, Fault):
            return PluginTrap(f"`{self.name}` crashed: {failure}")
        if not isinstance(failure, WasmtimeError):
            return InternalError(f"a host function failed: {type(failure).__name__}")
        # The lines before the last one contain names that the plugin chooses.
        cause = innermost(failure)
        if cause == "wasm trap: interrupt":
            return call.limits.deadline_exceeded()
        if cause == "wasm trap: all fuel consumed by WebAssembly":
            return call.limits.fuel_exceeded()
        if cause == "wasm trap: call stack exhausted":
            return call.limits.stack_exceeded(STACK)
        return PluginTrap(f"`{self.name}` crashed: {cause}")

    def __repr__(self) -> str:
        return f"<Plugin {self.name}>"


class _NoGate:
    def __init__(self, deadline: float) -> None:
        self._end = time.monotonic() + deadline

    def open(self, label: str) -> Any:
        raise PluginError("`describe` may not open a database")

    def remaining(self) -> float:
        return self._end - time.monotonic()

    def usage(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


class _Ticker:
    """Increments the epoch of a plugin engine while a plugin runs in it."""

    def __init__(self, fuel: bool) -> None:
        self._fuel = fuel
        self._lock = threading.Lock()
        self._running = 0
        self._stop = threading.Event()

    def __enter__(self) -> None:
        with self._lock:
            self._running += 1
            if self._running == 1:
                self._stop = threading.Event()
                tick = threading.Thread(
                    target=self._tick, args=(self._stop,), name="ferro-epochs", daemon=True
                )
                tick.start()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            if self._running == 0:
                self._stop.set()

    def _tick(self, stop: threading.Event) -> None:
        count: Callable[[], None] = plugin_engine(self._fuel).increment_epoch
        while not stop.wait(_TICK):
            count()


_tickers = {fuel: _Ticker(fuel) for fuel in (False, True)}
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ferro-plugin")
# A load that takes too long keeps its thread until it ends.
_loaders = ThreadPoolExecutor(_LOADING, thread_name_prefix="ferro-loading")


def _renew_after_fork() -> None:
    """Replace the threads in a forked process, which does not inherit them."""
    global _loaders
    _loaders = ThreadPoolExecutor(_LOADING, thread_name_prefix="ferro-loading")
    _tickers.update({fuel: _Ticker(fuel) for fuel in (False, True)})


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


def _function(instance: Instance, store: Store, export: str) -> Func:
    outer, _, inner = export.partition("#")
    index = instance.get_export_index(store, outer)
    if index is not None and inner:
        index = instance.get_export_index(store, inner, index)
    function = None if index is None else instance.get_func(store, index)
    if function is None:
        raise InternalError(f"the export `{export}` is gone")
    return function
