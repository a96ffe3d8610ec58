"""The values of a component in wasmtime's memory, and the limits on passing them.

A record is a dict, a variant is the name of its case or a dict of name and payload, an enum is a
text, an option is None or its value, a tuple and a list are lists, flags are a set, a list of bytes
is bytes. The JSON form of the WIT's types is the same.

Values are read (`lift`) and written (`lower`) by functions that are built from their types when the
plugin is loaded. Those of wasmtime-py inspect the types again for every value, which takes time
exponential in their depth, and cannot be interrupted.
"""

from __future__ import annotations

import ctypes
from array import array
from typing import Any, Protocol

from wasmtime import WasmtimeError
from wasmtime import _ffi as ffi

Value = Any
"""A `wasmtime_component_val_t`."""

SIZE = ctypes.sizeof(ffi.wasmtime_component_val_t)
_OFFSET = ffi.wasmtime_component_val_t.of.offset

FORMATS = {
    "bool": "B",
    "s8": "b",
    "s16": "h",
    "s32": "i",
    "s64": "q",
    "u8": "B",
    "u16": "H",
    "u32": "I",
    "u64": "Q",
    "f32": "f",
    "f64": "d",
}
"""Scalars whose lists are contiguous columns, which are copied as a whole."""

CHUNK = 4096
"""The number of values converted between two checks of the clock."""


class Mismatch(Exception):
    """A Python value does not fit the type."""


class Passing(Protocol):
    """The call that values are passed for."""

    context: Any
    """The context of the store, while a host function runs; handles are passed only then."""

    def spend(self, values: int) -> None:
        """Count values; raise an error if there is no time left for them."""

    def spend_text(self, size: int) -> None:
        """Count the bytes of a query's texts; raise an error if there are too many."""


class Values:
    """Values of wasmtime, freed at the end of a block."""

    def __init__(self, number: int) -> None:
        # All are `false`, which owns nothing.
        self._values = (ffi.wasmtime_component_val_t * number)()

    def __enter__(self) -> Any:
        return self._values

    def __exit__(self, *_: object) -> None:
        for value in self._values:
            ffi.wasmtime_component_val_delete(ctypes.byref(value))


def succeed(error: Any) -> None:
    """Raise the error that a wasmtime function returned, if any."""
    if error:
        raise WasmtimeError._from_ptr(error)


def bytes_of(items: Any) -> memoryview:
    """The memory of the values of a non-empty list."""
    size = items.size * SIZE
    memory = (ctypes.c_uint8 * size).from_address(ctypes.addressof(items.data.contents))
    return memoryview(memory).cast("B")


def column(memory: Any, form: str) -> Any:
    """A view of one member of each value in memory."""
    width = array(form).itemsize
    return memory.cast(form)[_OFFSET // width :: SIZE // width]
