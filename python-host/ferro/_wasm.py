"""Engines of wasmtime-py, and components compiled for them."""

from __future__ import annotations

import functools
from pathlib import Path

from wasmtime import Config, Engine, WasmtimeError
from wasmtime.component import Component

from .exceptions import PluginError

LARGEST_COMPONENT = 16 * 1024 * 1024
"""A component of more bytes is not compiled."""

# The preamble of a component: magic number, then version 13 of layer 1. Text and precompiled code,
# which wasmtime-py would take too, do not begin like this.
_PREAMBLE = b"\0asm\x0d\x00\x01\x00"
_MODULE_PREAMBLE = b"\0asm\x01\x00\x00\x00"


@functools.cache
def core_engine() -> Engine:
    """The engine of the core component: its steps are counted as fuel."""
    config = _cached_config()
    config.consume_fuel = True
    return Engine(config)


@functools.cache
def plugin_engine() -> Engine:
    """The engine of all plugins: they are interrupted by epochs."""
    config = _cached_config()
    config.epoch_interruption = True
    config.max_wasm_stack = 512 * 1024
    return Engine(config)


def _cached_config() -> Config:
    """Compiled code is kept on disk, by its hash and by wasmtime's version, in the user's cache."""
    config = Config()
    try:
        config.cache = True
    except WasmtimeError:
        # No home, or one that cannot be written: each process compiles for itself.
        return Config()
    return config


def read_component(path: Path) -> bytes:
    """The bytes of a component, and nothing else that a file may hold."""
    try:
        size = path.stat().st_size
        if size > LARGEST_COMPONENT:
            raise PluginError(f"`{path}` has {size} bytes: at most {LARGEST_COMPONENT} are loaded")
        code = path.read_bytes()
    except OSError as error:
        raise PluginError(f"cannot read `{path}`: {error.strerror}") from error
    if code.startswith(_MODULE_PREAMBLE):
        raise PluginError(f"`{path}` is a core module: make a component of it")
    if not code.startswith(_PREAMBLE):
        raise PluginError(f"`{path}` is not a WebAssembly component")
    return code


def compile_component(engine: Engine, code: bytes, name: str) -> Component:
    """Compile a component, or take it from the cache."""
    try:
        return Component(engine, code)
    except WasmtimeError as error:
        raise PluginError(f"`{name}` cannot be compiled: {error}") from error
