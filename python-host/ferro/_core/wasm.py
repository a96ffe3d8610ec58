"""Engines of wasmtime-py, and components compiled for them."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from wasmtime import Config, Engine, WasmtimeError
from wasmtime.component import Component

from ..exceptions import ConfigurationError
from .cache import component_of

LARGEST_COMPONENT = 16 * 1024 * 1024
"""A component of more bytes is not compiled."""

STACK = 512 * 1024
"""Bytes of a plugin's stack."""

# The preamble of a component: magic number, then version 13 of layer 1. Text and precompiled code,
# which wasmtime-py would take too, do not begin like this.
_PREAMBLE = b"\0asm\x0d\x00\x01\x00"
_MODULE_PREAMBLE = b"\0asm\x01\x00\x00\x00"


def core_engine() -> Engine:
    """An engine for the core component: its steps are counted as fuel."""
    config = Config()
    config.consume_fuel = True
    return Engine(config)


_plugin_engines: dict[bool, Engine] = {}
_lock = threading.Lock()


def plugin_engine(fuel: bool = False) -> Engine:
    """The engine of all plugins, or of those that count fuel: they are interrupted by epochs."""
    with _lock:
        if fuel not in _plugin_engines:
            config = Config()
            config.epoch_interruption = True
            config.consume_fuel = fuel
            config.max_wasm_stack = STACK
            _plugin_engines[fuel] = Engine(config)
        return _plugin_engines[fuel]


def read_component(path: Path) -> bytes:
    """The bytes of a component, and nothing else that a file may hold."""
    try:
        with path.open("rb") as file:
            code = file.read(LARGEST_COMPONENT + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read the plugin `{path}`: {error.strerror}") from error
    if len(code) > LARGEST_COMPONENT:
        raise _refused(path, f"is larger than {LARGEST_COMPONENT} bytes, the most that is loaded")
    if code.startswith(_PREAMBLE):
        return code
    if code.startswith(_MODULE_PREAMBLE):
        raise _refused(path, "is a core module and not a component: build it for wasm32-wasip2")
    if code.lstrip().startswith((b"(", b";;")):
        raise _refused(path, "is WebAssembly in text form: give the component in binary form")
    raise _refused(path, "is not a WebAssembly component")


def _refused(path: Path, fault: str) -> ConfigurationError:
    return ConfigurationError(f"the plugin `{path.stem}` {fault}")


def compile_component(engine: Engine, code: bytes, name: str) -> Component:
    """Compile a component, or take it from the cache."""
    try:
        return component_of(engine, code)
    except WasmtimeError as error:
        message = f"the plugin `{name}` is not a valid component: {innermost(error)}"
        raise ConfigurationError(message) from error


def innermost(error: WasmtimeError) -> str:
    """The last cause of an error, whose text lists all of them, one a line, with numbers."""
    lines = str(error).strip().splitlines() or ["no cause is given"]
    return re.sub(r"^\d+: ", "", lines[-1].strip())
