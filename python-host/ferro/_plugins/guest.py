"""The imports of a plugin: the interfaces `database` and `raw-sql`, over sessions of the gate.

One linker serves all calls of a plugin. Each call runs on its own thread, by which a host function
finds the call that it belongs to.
"""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from wasmtime import Engine, Store, StoreContext, WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import Component, Instance, Linker, LinkerInstance, ResourceType

from .. import _native
from ..exceptions import BY_KIND, DeniedError, FerroError, UnsupportedError
from .lift import lift
from .lower import lower
from .types import RESOURCES, Function, Interface, Reader, path_of, wit_functions
from .values import succeed
from .wasi import FUNCTIONS as WASI
from .wasi import Fault, Output

DATABASE = "ferro:orm/database"
RAW_SQL = "ferro:orm/raw-sql"
_PACKAGE = "ferro:orm/"
_INTERFACES = {DATABASE, RAW_SQL, "ferro:orm/types", "ferro:orm/schema", "ferro:orm/query"}
"""The interfaces of the package that a plugin may import; those not named above are types."""

_WASI_TRACK = "0.2"

_VALUES = 4096
"""The number of passed values between two checks of the clock."""

_calls = threading.local()


class Gate(Protocol):
    """The databases that a call may open, and its time limit."""

    def open(self, label: str) -> Any: ...
    def remaining(self) -> float: ...
    def usage(self) -> dict[str, int]: ...
    def close(self) -> None: ...


class GuestCall:
    """One call of a plugin: its gate, its limits and its handles."""

    def __init__(self, plugin: str, gate: Gate, limits: _native.GuestLimits) -> None:
        self.plugin = plugin
        self.gate = gate
        self.limits = limits
        self.output = Output(plugin, limits.tenant, limits.log_bytes)
        self.fuel: int | None = None
        """The fuel that its code has used, if it is counted."""
        self.failure: BaseException | None = None
        self.cancelled = False
        self.context: Any = None
        """The context of the store, while a host function runs."""
        self._next = 1
        self._handles: dict[int, Any] = {}
        self._values = 0
        self._query_bytes = 0

    def __enter__(self) -> GuestCall:
        _calls.call = self
        return self

    def __exit__(self, *_: object) -> None:
        """Drop the guest's remaining handles; unfinished transactions are rolled back."""
        _calls.call = None
        # A savepoint is younger than its transaction, and a cursor than its session.
        for number in sorted(self._handles, reverse=True):
            self._handles[number].close()
        self._handles.clear()
        self.gate.close()
        self.output.close()

    def own(self, thing: Any) -> int:
        """Create a handle for a resource that is closed at the end of the call."""
        if len(self._handles) >= self.limits.handles:
            thing.close()
            raise self.limits.handles_exceeded()
        number = self._next
        self._next += 1
        self._handles[number] = thing
        return number

    def get(self, number: int) -> Any:
        """The resource of a handle."""
        return self._handles[number]

    def take(self, number: int) -> Any:
        """Remove a handle, and return its resource, which the host then owns."""
        return self._handles.pop(number)

    def drop(self, number: int) -> None:
        """Drop a handle for the guest."""
        thing = self._handles.pop(number, None)
        if thing is not None:
            thing.close()

    def spend(self, values: int) -> None:
        """Charge the call for values that are converted between guest and host."""
        self._values += values
        if self._values >= _VALUES:
            self._values = 0
            if self.cancelled:
                raise Fault("the call was cancelled")
            if self.gate.remaining() <= 0:
                raise self.limits.deadline_exceeded()

    def enter(self, context: Any) -> None:
        """Begin a host function."""
        if self.cancelled:
            raise Fault("the call was cancelled")
        self.context = context
        self._query_bytes = 0

    def spend_text(self, size: int) -> None:
        """Charge the call for a text of a query, all of which is copied for the compiler."""
        self._query_bytes += size
        if self._query_bytes > _native.QUERY_BYTES:
            raise self.limits.query_exceeded()


def check_interfaces(engine: Engine, component: Component, name: str) -> None:
    """Reject a component whose imports cannot be granted, or are of another version, by name."""
    imports, exports = component.type.imports(engine), component.type.exports(engine)
    for interface in (*imports, *exports):
        if path_of(interface).startswith(_PACKAGE) and _track(interface) != _OWN_TRACK:
            raise UnsupportedError(
                f"the plugin `{name}` was built against `{interface}`; this host has version "
                f"{_native.WIT_VERSION}: build it against that one"
            )
    for interface in imports:
        path = path_of(interface)
        if path in WASI and _track(interface) != _WASI_TRACK:
            raise unfit(name, f"`{interface}` is imported, but this host has WASI version 0.2")
        if path not in _INTERFACES and path not in WASI:
            raise DeniedError(
                f"the plugin `{name}` imports `{interface}`, which is not granted to plugins"
            )


def _track(interface: str) -> str:
    """The compatible versions: before 1.0, only the last number may differ."""
    return interface.partition("@")[2].rpartition(".")[0]


_OWN_TRACK = _track(f"@{_native.WIT_VERSION}")


def needs_raw_sql(engine: Engine, component: Component) -> bool:
    """Whether a component imports `raw-sql`, so that only tenants with that grant may call it."""
    return any(path_of(name) == RAW_SQL for name in component.type.imports(engine))


class Imports:
    """A linker for the imports of a component, with the exact type of each function.

    wasmtime does not compare the types of functions written in Python with those that a component
    imports: it passes whatever types the component declares.
    """

    def __init__(self, engine: Engine, component: Component, name: str, reader: Reader) -> None:
        self._name = name
        self._linker = Linker(engine)
        self._callbacks: list[Any] = []
        """The callbacks of wasmtime, which does not keep them alive."""
        imports = component.type.imports(engine)
        interfaces = reader.interfaces(imports)
        with self._linker.root() as root:
            for interface in imports:
                self._check(interface, interfaces.get(interface))
                with root.add_instance(interface) as instance:
                    self._define(instance, path_of(interface), interfaces[interface])

    def instantiate(self, store: Store, component: Component) -> Instance:
        """Create an instance, and run its start functions."""
        return self._linker.instantiate(store, component)

    def _check(self, name: str, interface: Interface | None) -> None:
        """Reject imports whose types differ from the interface."""
        if interface is None:
            raise unfit(self._name, f"`{name}` is not imported as an interface")
        path = path_of(name)
        known = _signatures(path)
        for function, signature in interface.functions.items():
            if known.get(function) != signature:
                what = "has different types here" if function in known else "is not known here"
                raise unfit(self._name, f"the function `{function}` of `{name}` {what}")
        resources = (it for it, known in interface.resources.items() if known not in RESOURCES)
        for other in (*resources, *interface.others):
            raise unfit(self._name, f"`{other}` of `{name}` is not known here")

    def _define(self, instance: LinkerInstance, path: str, interface: Interface) -> None:
        for inner, resource in interface.resources.items():
            kind = ResourceType.host(RESOURCES.index(resource) + 1)
            instance.add_resource(inner, kind, _drop)
        for inner, signature in interface.functions.items():
            is_own = path in _FUNCTIONS
            work = _FUNCTIONS[path][inner] if is_own else WASI[path][inner][1]
            callback = _callback(signature, work, errors=is_own)
            self._callbacks.append(callback)
            encoded = inner.encode()
            succeed(
                ffi.wasmtime_component_linker_instance_add_func(
                    instance.ptr(), encoded, len(encoded), callback, None, _KEPT
                )
            )


def _signatures(path: str) -> Mapping[str, Function]:
    """The functions of an interface that a plugin may import."""
    if path in WASI:
        return {name: signature for name, (signature, _) in WASI[path].items()}
    return wit_functions().get(path, {})


def unfit(plugin: str, why: str) -> UnsupportedError:
    """The error for a plugin that was built for another host."""
    return UnsupportedError(f"the plugin `{plugin}` is not compatible with this host: {why}")


_KEPT = ctypes.CFUNCTYPE(None, ctypes.c_void_p)()
"""The finalizer of callbacks for wasmtime: none."""


def _drop(_: StoreContext, number: int) -> None:
    call: GuestCall = _calls.call
    try:
        call.drop(number)
    except BaseException as error:
        call.failure = error
        raise WasmtimeError("a host function failed") from error


def _callback(signature: Function, work: Callable[..., Any], *, errors: bool) -> Any:
    """The callback for wasmtime: converts arguments and result, and returns errors as values if the
    function can return `errors`.

    It never raises: wasmtime-py would keep the exception for the next call, in any thread.
    """
    takes = [lift(kind, is_query=name == "query") for name, kind in signature.params]
    give = None if signature.result is None else lower(signature.result)
    fallible = errors and signature.result is not None and signature.result[0] == "result"

    def answer(call: GuestCall, arguments: Any) -> Any:
        try:
            plain = [take(arguments[place], call) for place, take in enumerate(takes)]
            answered = work(call, *plain)
        except FerroError as error:
            if not fallible:
                raise
            return {"err": _error(error)}
        return {"ok": answered} if fallible else answered

    def callback(_: Any, context: Any, __: Any, arguments: Any, ___: int, results: Any, ____: int):  # type: ignore[no-untyped-def]
        call: GuestCall = _calls.call
        try:
            call.enter(context)
            answered = answer(call, arguments)
            if give is not None:
                give(answered, results[0], call)
        except BaseException as error:
            call.failure = error
            return _address(ffi.wasmtime_error_new(b"a host function failed"))
        finally:
            call.context = None
        return 0

    return ffi.wasmtime_component_func_callback_t(callback)


def _address(pointer: Any) -> int | None:
    return ctypes.cast(pointer, ctypes.c_void_p).value


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


def _open(call: GuestCall, label: str) -> int:
    return call.own(call.gate.open(label))


def _dialect(call: GuestCall, session: int) -> str:
    dialect: str = call.get(session).dialect()
    return dialect


def _fetch(call: GuestCall, session: int, query: Any, values: Any) -> int:
    return call.own(call.get(session).fetch(json.dumps(query), values))


def _execute(call: GuestCall, session: int, query: Any, values: Any) -> Any:
    return call.get(session).execute(json.dumps(query), values)


def _write(call: GuestCall, session: int, query: Any, values: Any, rows: Any) -> Any:
    return call.get(session).write(json.dumps(query), values, rows)


def _write_returning(call: GuestCall, session: int, query: Any, values: Any, rows: Any) -> int:
    return call.own(call.get(session).write_returning(json.dumps(query), values, rows))


def _begin(call: GuestCall, session: int, options: Any) -> int:
    return call.own(call.get(session).begin(json.dumps(options)))


def _commit(call: GuestCall, session: int) -> None:
    call.take(session).commit()


def _rollback(call: GuestCall, session: int) -> None:
    call.take(session).rollback()


def _columns(call: GuestCall, cursor: int) -> Any:
    return json.loads(call.get(cursor).columns())


def _attached(call: GuestCall, cursor: int) -> Any:
    return json.loads(call.get(cursor).attached())


def _next(call: GuestCall, cursor: int, max_rows: int) -> Any:
    return call.get(cursor).next(max_rows)


def _next_result(call: GuestCall, cursor: int) -> Any:
    return call.get(cursor).next_result()


def _fetch_raw(call: GuestCall, session: int, sql: str, values: Any) -> int:
    return call.own(call.get(session).fetch_raw(sql, values))


def _execute_raw(call: GuestCall, session: int, sql: str, values: Any) -> Any:
    return call.get(session).execute_raw(sql, values)


_FUNCTIONS: dict[str, dict[str, Callable[..., Any]]] = {
    DATABASE: {
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
    },
    RAW_SQL: {"fetch": _fetch_raw, "execute": _execute_raw},
}
