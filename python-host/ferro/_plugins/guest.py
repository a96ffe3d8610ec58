"""What a plugin imports: the interfaces `database` and `raw-sql`, over sessions of the gate.

One linker serves all calls of a plugin. Each call runs on a thread of its own, which is how a host
function finds the call that it belongs to.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, Protocol

from wasmtime import Engine, StoreContext, WasmtimeError
from wasmtime.component import (
    Component,
    ComponentInstanceType,
    FuncType,
    Linker,
    LinkerInstance,
    ResourceAny,
    ResourceHost,
    ResourceType,
    ResultType,
)

from .. import _native
from ..exceptions import BY_KIND, DeniedError, FerroError, UnsupportedError
from .convert import Convert, lift, lower
from .wasi import INTERFACES as WASI_INTERFACES

DATABASE = "ferro:orm/database"
RAW_SQL = "ferro:orm/raw-sql"
_PACKAGE = "ferro:orm/"
_INTERFACES = {DATABASE, RAW_SQL, "ferro:orm/types", "ferro:orm/schema", "ferro:orm/query"}
"""What a plugin may import of the package; those not named above are types."""

_SESSION = 1
_CURSOR = 2

_calls = threading.local()


class Gate(Protocol):
    """What a call may open, and how long it may take."""

    def open(self, label: str) -> Any: ...
    def remaining(self) -> float: ...
    def usage(self) -> dict[str, int]: ...
    def close(self) -> None: ...


class GuestCall:
    """One call of a plugin: its gate, its limits, and the handles that it holds."""

    def __init__(self, gate: Gate, limits: _native.GuestLimits) -> None:
        self.gate = gate
        self.limits = limits
        self.fuel: int | None = None
        """What its code has used, where that is counted."""
        self.failure: BaseException | None = None
        self.cancelled = False
        self._next = 1
        self._handles: dict[int, Any] = {}

    def __enter__(self) -> GuestCall:
        _calls.call = self
        return self

    def __exit__(self, *_: object) -> None:
        """Drop all that the guest left behind; unfinished transactions are undone."""
        _calls.call = None
        # A savepoint is younger than its transaction, and a cursor than its session.
        for number in sorted(self._handles, reverse=True):
            self._handles[number].close()
        self._handles.clear()
        self.gate.close()

    def own(self, kind: int, thing: Any) -> ResourceHost:
        """A handle for a session or a cursor."""
        if len(self._handles) >= self.limits.handles:
            thing.close()
            raise self.limits.handles_exceeded()
        number = self._next
        self._next += 1
        self._handles[number] = thing
        return ResourceHost.own(number, kind)

    def get(self, store: StoreContext, handle: ResourceAny) -> Any:
        """What a handle stands for."""
        return self._handles[handle.to_host(store).rep]

    def take(self, store: StoreContext, handle: ResourceAny) -> Any:
        """What a handle stood for, which is the host's from now on."""
        return self._handles.pop(handle.to_host(store).rep)

    def drop(self, number: int) -> None:
        """The guest has dropped a handle."""
        thing = self._handles.pop(number, None)
        if thing is not None:
            thing.close()


def check_interfaces(engine: Engine, component: Component, name: str) -> None:
    """Refuse a component that imports what nobody can grant, or is for another version, by name."""
    imports, exports = component.type.imports(engine), component.type.exports(engine)
    for interface in (*imports, *exports):
        path, _, version = interface.partition("@")
        if path.startswith(_PACKAGE) and _track(version) != _track(_native.WIT_VERSION):
            raise UnsupportedError(
                f"the plugin `{name}` was built against `{interface}`; this host has version "
                f"{_native.WIT_VERSION}: build it against that one"
            )
    for interface in imports:
        path = interface.partition("@")[0]
        if path not in _INTERFACES and path not in WASI_INTERFACES:
            raise DeniedError(
                f"the plugin `{name}` imports `{interface}`, which is not granted to plugins"
            )


def _track(version: str) -> str:
    """Versions before 1.0 are compatible if they differ in the last number only."""
    return version.rpartition(".")[0]


def needs_raw_sql(engine: Engine, component: Component) -> bool:
    """Whether a component imports `raw-sql`: then only a tenant that is granted that may call."""
    return any(name.partition("@")[0] == RAW_SQL for name in component.type.imports(engine))


def link(engine: Engine, component: Component) -> Linker:
    """A linker with what a component imports. WASI is linked whole, so the imports are checked."""
    linker = Linker(engine)
    imports = component.type.imports(engine)
    if any(name.startswith("wasi:") for name in imports):
        linker.add_wasip2()
    with linker.root() as root:
        for name, item in imports.items():
            interface = item.ty
            path = name.partition("@")[0]
            if path in (DATABASE, RAW_SQL) and isinstance(interface, ComponentInstanceType):
                with root.add_instance(name) as instance:
                    _define(instance, path, interface, engine)
    return linker


def _define(
    instance: LinkerInstance, name: str, interface: ComponentInstanceType, engine: Engine
) -> None:
    if name == DATABASE:
        instance.add_resource("session", ResourceType.host(_SESSION), _drop)
        instance.add_resource("cursor", ResourceType.host(_CURSOR), _drop)
    functions = _DATABASE if name == DATABASE else _RAW_SQL
    for export, item in interface.exports(engine).items():
        kind = item.ty
        if not isinstance(kind, FuncType):
            continue
        if export not in functions:
            raise UnsupportedError(f"`{name}` has no function `{export}` in this version")
        instance.add_func(export, _host_function(kind, functions[export]))


def _drop(_: StoreContext, number: int) -> None:
    _calls.call.drop(number)


def _host_function(kind: FuncType, work: Callable[..., Any]) -> Callable[..., Any]:
    """A function as the linker takes it: arguments and result converted, errors as values.

    Only `WasmtimeError` may leave it, which becomes a trap: wasmtime-py keeps any other exception
    in one place for all threads.
    """
    takes = [lift(parameter) for _, parameter in kind.params]
    result = kind.result
    give: Convert | None = None if result is None else lower(result)
    fallible = isinstance(result, ResultType)

    def host_function(store: StoreContext, *arguments: Any) -> Any:
        call: GuestCall = _calls.call
        if call.cancelled:
            raise WasmtimeError("the call was cancelled")
        try:
            plain = [take(argument) for take, argument in zip(takes, arguments, strict=True)]
            answer = work(call, store, *plain)
            if give is None:
                return None
            return give({"ok": answer} if fallible else answer)
        except FerroError as error:
            if give is not None and fallible:
                return give({"err": _error(error)})
            call.failure = error
        except BaseException as error:
            call.failure = error
        raise WasmtimeError("a host function failed")

    return host_function


def _error(error: FerroError) -> dict[str, Any]:
    """The WIT's `error`."""
    return {
        "kind": error.kind if error.kind in BY_KIND else "internal",
        "message": str(error),
        "code": error.code,
        "constraint": error.constraint,
        "table": error.table,
        "column": error.column,
        "retryable": error.retryable,
    }


def _open(call: GuestCall, _: StoreContext, label: str) -> ResourceHost:
    return call.own(_SESSION, call.gate.open(label))


def _dialect(call: GuestCall, store: StoreContext, session: ResourceAny) -> str:
    dialect: str = call.get(store, session).dialect()
    return dialect


def _fetch(
    call: GuestCall, store: StoreContext, session: ResourceAny, query: Any, values: Any
) -> ResourceHost:
    return call.own(_CURSOR, call.get(store, session).fetch(json.dumps(query), values))


def _execute(
    call: GuestCall, store: StoreContext, session: ResourceAny, query: Any, values: Any
) -> Any:
    return call.get(store, session).execute(json.dumps(query), values)


def _write(
    call: GuestCall, store: StoreContext, session: ResourceAny, query: Any, values: Any, rows: Any
) -> Any:
    return call.get(store, session).write(json.dumps(query), values, rows)


def _write_returning(
    call: GuestCall, store: StoreContext, session: ResourceAny, query: Any, values: Any, rows: Any
) -> ResourceHost:
    cursor = call.get(store, session).write_returning(json.dumps(query), values, rows)
    return call.own(_CURSOR, cursor)


def _begin(call: GuestCall, store: StoreContext, session: ResourceAny, options: Any) -> Any:
    return call.own(_SESSION, call.get(store, session).begin(json.dumps(options)))


def _commit(call: GuestCall, store: StoreContext, session: ResourceAny) -> None:
    call.take(store, session).commit()


def _rollback(call: GuestCall, store: StoreContext, session: ResourceAny) -> None:
    call.take(store, session).rollback()


def _columns(call: GuestCall, store: StoreContext, cursor: ResourceAny) -> Any:
    return json.loads(call.get(store, cursor).columns())


def _attached(call: GuestCall, store: StoreContext, cursor: ResourceAny) -> Any:
    return json.loads(call.get(store, cursor).attached())


def _next(call: GuestCall, store: StoreContext, cursor: ResourceAny, max_rows: int) -> Any:
    return call.get(store, cursor).next(max_rows)


def _next_result(call: GuestCall, store: StoreContext, cursor: ResourceAny) -> Any:
    return call.get(store, cursor).next_result()


def _fetch_raw(
    call: GuestCall, store: StoreContext, session: ResourceAny, sql: str, values: Any
) -> ResourceHost:
    return call.own(_CURSOR, call.get(store, session).fetch_raw(sql, values))


def _execute_raw(
    call: GuestCall, store: StoreContext, session: ResourceAny, sql: str, values: Any
) -> Any:
    return call.get(store, session).execute_raw(sql, values)


_DATABASE: dict[str, Callable[..., Any]] = {
    "[static]session.open": _open,
    "[method]session.dialect": _dialect,
    "[method]session.fetch": _fetch,
    "[method]session.execute": _execute,
    "[method]session.write": _write,
    "[method]session.write-returning": _write_returning,
    "[method]session.begin": _begin,
    "[static]session.commit": _commit,
    "[static]session.rollback": _rollback,
    "[method]cursor.columns": _columns,
    "[method]cursor.attached": _attached,
    "[method]cursor.next": _next,
    "[method]cursor.next-result": _next_result,
}

_RAW_SQL: dict[str, Callable[..., Any]] = {"fetch": _fetch_raw, "execute": _execute_raw}
