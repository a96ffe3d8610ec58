"""The core component in wasmtime-py.

This is a separate module, since it is slow to load: importing Ferro does not wait for it.
"""

from __future__ import annotations

from typing import Any

from wasmtime import Store
from wasmtime.component import Func, Instance, Linker, ResourceAny

from .. import _native
from ..exceptions import FerroError, InternalError, LimitError
from .folder import core_code
from .wasm import compile_component, core_engine

INTERFACE = f"ferro:orm/compiler-text@{_native.WIT_VERSION}"

# A page of a large model takes about 10^6; a thousand times that is a bug or an attack.
_FUEL_OF_A_CALL = 2_000_000_000
_MEMORY = 256 * 1024 * 1024


class Core:
    """One instance of the core component."""

    def __init__(self) -> None:
        engine = core_engine()
        component = compile_component(engine, core_code(), "core.wasm")
        self._store = Store(engine)
        self._store.set_limits(memory_size=_MEMORY)
        self._store.set_fuel(_FUEL_OF_A_CALL)
        # An empty linker: the core imports nothing, and could not get it.
        self._instance: Instance = Linker(engine).instantiate(self._store, component)
        self._interface = self._instance.get_export_index(self._store, INTERFACE)
        if self._interface is None:
            raise InternalError(f"core.wasm does not export `{INTERFACE}`: build it again")
        self._functions: dict[str, Func] = {}

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function. After an error, the instance is unusable."""
        function = self._functions.get(name) or self._function(name)
        self._store.set_fuel(_FUEL_OF_A_CALL)
        try:
            result = function(self._store, *arguments)
            function.post_return(self._store)
        except Exception as error:
            raise self._failure(error) from error
        return result

    def drop(self, handle: ResourceAny) -> None:
        """Drop a resource. After an error, the instance is unusable."""
        self._store.set_fuel(_FUEL_OF_A_CALL)
        try:
            handle.drop(self._store)
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> FerroError:
        # Not only wasmtime's errors: wasmtime-py may raise here what another host function in this
        # process raised, in any thread.
        if self._store.get_fuel() == 0:
            return LimitError("the query or the models are too large to compile")
        return InternalError(f"the core component failed: {error}")

    def _function(self, name: str) -> Func:
        index = self._instance.get_export_index(self._store, name, self._interface)
        function = None if index is None else self._instance.get_func(self._store, index)
        if function is None:
            raise InternalError(f"core.wasm does not export `{name}`: build it again")
        self._functions[name] = function
        return function
