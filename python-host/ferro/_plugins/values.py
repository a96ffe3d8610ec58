"""The values of a component where wasmtime keeps them, and how many of them are passed.

A record is a dict, a variant is the name of its case or a dict of name and payload, an enum is a
text, an option is None or its value, a tuple and a list are lists, flags are a set, a list of bytes
is bytes. That is the form in which the WIT's types are written as JSON, too.

Values are read (`lift`) and written (`lower`) by what was made of their types where the plugin was
loaded. What wasmtime-py has for that looks at the types anew with every value, which takes a time
that grows with the power of their depth, and cannot be stopped.
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
"""What a list of these is a column of. They lie at the same distance, and are copied as one."""

CHUNK = 4096
"""So many values are converted before anybody looks at the clock."""


class Mismatch(Exception):
    """A Python value is not what the type takes."""


class Passing(Protocol):
    """What values are passed for."""

    context: Any
    """The store's, while a function of the host runs: only there handles are passed."""

    def spend(self, values: int) -> None:
        """Count values; raise where there is no more time for them."""

    def spend_text(self, size: int) -> None:
        """Count bytes of a query's texts; raise where they are too many."""


class Values:
    """Some values of wasmtime's, given back at the end of a block."""

    def __init__(self, number: int) -> None:
        # All are `false`, which owns nothing.
        self._values = (ffi.wasmtime_component_val_t * number)()

    def __enter__(self) -> Any:
        return self._values

    def __exit__(self, *_: object) -> None:
        for value in self._values:
            ffi.wasmtime_component_val_delete(ctypes.byref(value))


def succeed(error: Any) -> None:
    """Raise the error that a function of wasmtime's has returned, if it has."""
    if error:
        raise WasmtimeError._from_ptr(error)


def bytes_of(items: Any) -> memoryview:
    """The memory of the values of a list, of which there are some."""
    size = items.size * SIZE
    memory = (ctypes.c_uint8 * size).from_address(ctypes.addressof(items.data.contents))
    return memoryview(memory).cast("B")


def column(memory: Any, form: str) -> Any:
    """What lies in each of some values."""
    width = array(form).itemsize
    return memory.cast(form)[_OFFSET // width :: SIZE // width]
