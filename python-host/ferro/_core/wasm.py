"""Engines of wasmtime-py, and components compiled for them."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from wasmtime import Config, Engine, WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import Component

from .. import _native
from ..exceptions import ConfigurationError
from .cache import component_of

LARGEST_COMPONENT = 16 * 1024 * 1024
"""Larger components, in bytes, are not compiled."""

STACK = 512 * 1024
"""Size of a plugin's stack in bytes."""


def core_engine() -> Engine:
    """The engine for the core component, which counts fuel."""
    config = Config()
    config.consume_fuel = True
    return Engine(config)


_plugin_engines: dict[bool, Engine] = {}
_lock = threading.Lock()


def plugin_engine(fuel: bool = False) -> Engine:
    """The engine of all plugins, or of those that count fuel; interrupted by epochs."""
    with _lock:
        if fuel not in _plugin_engines:
            config = Config()
            config.epoch_interruption = True
            config.consume_fuel = fuel
            config.max_wasm_stack = STACK
            # With all cores, compiling a plugin could delay unrelated work.
            config.parallel_compilation = False
            # The worlds are synchronous; asynchronous code could continue outside a call.
            ffi.wasmtime_config_wasm_component_model_async_set(config.ptr(), False)
            ffi.wasmtime_config_concurrency_support_set(config.ptr(), False)
            _plugin_engines[fuel] = Engine(config)
        return _plugin_engines[fuel]


def read_component(path: Path) -> bytes:
    """Read a component in binary form from a file; rejects anything else.

    wasmtime would accept text and precompiled code, too.
    """
    try:
        with path.open("rb") as file:
            code = file.read(LARGEST_COMPONENT + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read the plugin `{path}`: {error.strerror}") from error
    _native.check_component(path.stem, code, LARGEST_COMPONENT)
    return code


def compile_component(engine: Engine, code: bytes, name: str) -> Component:
    """Compile a component, or load it from the cache."""
    try:
        return component_of(engine, code)
    except WasmtimeError as error:
        message = f"the plugin `{name}` is not a valid component: {innermost(error)}"
        raise ConfigurationError(message) from error


def innermost(error: WasmtimeError) -> str:
    """The innermost cause of an error, whose text lists all causes in numbered lines."""
    lines = str(error).strip().splitlines() or ["no cause is given"]
    return re.sub(r"^\d+: ", "", lines[-1].strip())
