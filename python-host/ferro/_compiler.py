"""The core component, run by wasmtime-py: from models and queries to plans.

The native module calls in here where it has no plan for a query, and never for one that it has.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from wasmtime import Store, WasmtimeError
from wasmtime.component import Func, Instance, Linker, ResourceAny

from ._wasm import compile_component, core_engine
from .exceptions import BY_KIND, FerroError, InternalError, LimitError, SchemaError

INTERFACE = "ferro:orm/compiler-text@0.1.0"

# A page of a large model takes some 10^6; who needs a thousand times that is hostile or lost.
_FUEL_OF_A_CALL = 2_000_000_000
_MEMORY = 256 * 1024 * 1024


class Compiler:
    """Runs the core component. One thread at a time is inside: wasmtime's stores are not shared.

    `calls` counts how often the component was entered.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._lock = threading.Lock()
        self._core: _Core | None = None
        self._dropped: list[tuple[_Core, ResourceAny]] = []

    def load(self) -> None:
        """Compile the component, if that was not done: the first call does it else."""
        with self._lock:
            self._running()

    def catalog(self, models: str) -> Catalog:
        """Check models, given as the JSON of a `schema`."""
        catalog = Catalog(self, models)
        with self._lock:
            self._handle(catalog)
        return catalog

    def call(self, catalog: Catalog, method: str, request: str) -> str:
        """Call a method of a catalog; its error becomes an exception."""
        with self._lock:
            handle = self._handle(catalog)
            answer = self._enter(f"[method]catalog.{method}", handle, request)
        if answer.tag == "err":
            raise _error(answer.payload)
        text: str = answer.payload
        return text

    def drop(self, catalog: Catalog) -> None:
        """Let go of a catalog. Called at any time, so the handle only waits for the next call."""
        if catalog.core is not None and catalog.handle is not None:
            self._dropped.append((catalog.core, catalog.handle))

    def _running(self) -> _Core:
        if self._core is None:
            self._core = _Core()
        return self._core

    def _handle(self, catalog: Catalog) -> ResourceAny:
        """The catalog in the instance that runs now: made anew, if that is another one."""
        core = self._running()
        while self._dropped:
            of, dropped = self._dropped.pop()
            if of is core:
                dropped.drop(core.store)
        known = catalog.handle
        if catalog.core is core and known is not None:
            return known
        # wasmtime-py tells ok and err by their classes here, and by a tag below.
        made: ResourceAny | str = self._enter("[static]catalog.create", catalog.models)
        if isinstance(made, str):
            raise SchemaError(_faults(made))
        catalog.core, catalog.handle = core, made
        return made

    def _enter(self, name: str, *arguments: Any) -> Any:
        self.calls += 1
        core = self._running()
        try:
            return core.call(name, *arguments)
        except WasmtimeError as error:
            # Its memory may be in any state: the next call gets a new instance.
            self._core = None
            if core.store.get_fuel() == 0:
                raise LimitError("the query or the models are too large to compile") from error
            raise InternalError(f"the core component failed: {error}") from error


class Catalog:
    """Models that the core component has checked; what the native module compiles against."""

    def __init__(self, compiler: Compiler, models: str) -> None:
        self.models = models
        self.core: _Core | None = None
        self.handle: ResourceAny | None = None
        self._compiler = compiler

    def compile(self, request: str) -> str:
        """From `{query, dialect, scope}` to a `plan`."""
        return self._compiler.call(self, "compile", request)

    def create_tables(self, dialect: str) -> str:
        """From a `dialect` to a list of `migration-step`."""
        return self._compiler.call(self, "create-tables", dialect)

    def __del__(self) -> None:
        self._compiler.drop(self)


class _Core:
    """One instance of the core component."""

    def __init__(self) -> None:
        engine = core_engine()
        # Beside the native module, so it is a file: `importlib.resources` takes 10 ms to say so.
        code = Path(__file__).with_name("core.wasm").read_bytes()
        component = compile_component(engine, code, "core.wasm")
        self.store = Store(engine)
        self.store.set_limits(memory_size=_MEMORY)
        self.store.set_fuel(_FUEL_OF_A_CALL)
        # An empty linker: the core imports nothing, and could not get it.
        self._instance: Instance = Linker(engine).instantiate(self.store, component)
        self._interface = self._instance.get_export_index(self.store, INTERFACE)
        if self._interface is None:
            raise InternalError(f"core.wasm does not export `{INTERFACE}`: build it again")
        self._functions: dict[str, Func] = {}

    def call(self, name: str, *arguments: Any) -> Any:
        function = self._functions.get(name) or self._function(name)
        self.store.set_fuel(_FUEL_OF_A_CALL)
        result = function(self.store, *arguments)
        function.post_return(self.store)
        return result

    def _function(self, name: str) -> Func:
        index = self._instance.get_export_index(self.store, name, self._interface)
        function = None if index is None else self._instance.get_func(self.store, index)
        if function is None:
            raise InternalError(f"core.wasm does not export `{name}`: build it again")
        self._functions[name] = function
        return function


def _error(text: str) -> FerroError:
    error = json.loads(text)
    return BY_KIND.get(error["kind"], InternalError)(error["message"], kind=error["kind"])


def _faults(text: str) -> str:
    """Every fault of the models, one a line."""
    return "the models are not valid:\n" + "\n".join(f"  {fault}" for fault in json.loads(text))


compiler = Compiler()
"""The one of this process."""
