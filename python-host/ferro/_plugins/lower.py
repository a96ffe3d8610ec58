"""Conversion from plain Python to the values of a component, by type.

wasmtime does not check the size of integers, so this module does.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wasmtime import _ffi as ffi

from .._message import quoted
from .types import RESOURCES, Type
from .values import CHUNK, FORMATS, SIZE, Mismatch, Passing, Value, bytes_of, column, succeed

Lower = Callable[[Any, Value, Passing], None]
"""Converts plain Python into an empty wasmtime value."""

_INTEGERS = {
    "s8": range(-(2**7), 2**7),
    "s16": range(-(2**15), 2**15),
    "s32": range(-(2**31), 2**31),
    "s64": range(-(2**63), 2**63),
    "u8": range(2**8),
    "u16": range(2**16),
    "u32": range(2**32),
    "u64": range(2**64),
}


def lower(kind: Type) -> Lower:
    """Return a function that writes values of a type."""
    name, *parts = kind
    if name in _WRITE:
        return _scalar(*_WRITE[name])
    if name == "string":
        return _lower_text
    if name == "list":
        return _lower_list(parts[0])
    if name == "record":
        return _lower_record(parts[0])
    if name == "tuple":
        return _lower_tuple(list(map(lower, parts[0])))
    if name == "option":
        return _lower_option(lower(parts[0]))
    if name == "result":
        return _lower_case(dict(zip(("ok", "err"), parts, strict=True)), _put_result)
    if name == "variant":
        return _lower_case(dict(parts[0]), _put_variant)
    if name == "enum":
        return _lower_enum(parts[0])
    if name == "flags":
        return _lower_flags(parts[0])
    if name == "own" and parts[0] in RESOURCES:
        return _lower_handle(RESOURCES.index(parts[0]) + 1)
    return _cannot_lower(name)


def _cannot_lower(name: str) -> Lower:
    def cannot_lower(_: Any, __: Value, ___: Passing) -> None:
        raise Mismatch(f"is of the type `{name}`, which cannot be passed")

    return cannot_lower


def _integer(allowed: range) -> Callable[[Any], int]:
    def integer(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Mismatch(f"takes an int, not `{type(value).__name__}`")
        if value not in allowed:
            raise Mismatch(f"takes an int from {allowed.start} to {allowed.stop - 1}")
        return value

    return integer


def _float(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise Mismatch(f"takes a float, not `{type(value).__name__}`")
    try:
        return float(value)
    except OverflowError:
        raise Mismatch("takes a float, and this int is too large for one") from None


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Mismatch(f"takes a bool, not `{type(value).__name__}`")
    return value


def _char(value: Any) -> int:
    text = _checked_text(value)
    if len(text) != 1:
        raise Mismatch(f"takes a str of one character, not of {len(text)}")
    return ord(text)


def _checked_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Mismatch(f"takes a str, not `{type(value).__name__}`")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Mismatch("takes a str of Unicode text, and this one holds a surrogate") from None
    return value


_WRITE: dict[str, tuple[int, str, Callable[[Any], Any]]] = {
    "bool": (ffi.WASMTIME_COMPONENT_BOOL.value, "boolean", _bool),
    "f32": (ffi.WASMTIME_COMPONENT_F32.value, "f32", _float),
    "f64": (ffi.WASMTIME_COMPONENT_F64.value, "f64", _float),
    "char": (ffi.WASMTIME_COMPONENT_CHAR.value, "character", _char),
    **{
        name: (getattr(ffi, f"WASMTIME_COMPONENT_{name.upper()}").value, name, _integer(allowed))
        for name, allowed in _INTEGERS.items()
    },
}
"""For each scalar, the kind of its values, their name, and their check."""


def _scalar(kind: int, name: str, check: Callable[[Any], Any]) -> Lower:
    def lower_scalar(value: Any, into: Value, _: Passing) -> None:
        setattr(into.of, name, check(value))
        into.kind = kind

    return lower_scalar


def _lower_text(value: Any, into: Value, _: Passing) -> None:
    into.of.string = ffi.str_to_capi(_checked_text(value))
    into.kind = ffi.WASMTIME_COMPONENT_STRING.value


def _items(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise Mismatch(f"takes a list, not `{type(value).__name__}`")
    return list(value)


def _room(into: Value, name: str, size: int) -> Any:
    """Allocate the parts of a value; all are `false` until they are set."""
    raw = getattr(ffi, f"wasmtime_component_val{name}_t")()
    getattr(ffi, f"wasmtime_component_val{name}_new_uninit")(ctypes.byref(raw), size)
    if size:
        data = raw.data.contents
        ctypes.memset(ctypes.addressof(data), 0, size * ctypes.sizeof(data))
    setattr(into.of, name, raw)
    into.kind = getattr(ffi, f"WASMTIME_COMPONENT_{name.upper()}").value
    return getattr(into.of, name)


def _lower_list(kind: Type) -> Lower:
    if kind[0] in FORMATS:
        return _lower_column(kind[0])
    element = lower(kind)

    def lower_list(value: Any, into: Value, passing: Passing) -> None:
        items = _items(value)
        data = _room(into, "list", len(items)).data
        for place, item in enumerate(items):
            if place % CHUNK == 0:
                passing.spend(min(CHUNK, len(items) - place))
            element(item, data[place], passing)

    return lower_list


def _lower_column(name: str) -> Lower:
    form, (kind, _, check) = FORMATS[name], _WRITE[name]

    def lower_column(value: Any, into: Value, passing: Passing) -> None:
        if name == "u8" and isinstance(value, (bytes, bytearray, memoryview)):
            items = array(form, bytes(value))
        else:
            items = array(form, map(check, _items(value)))
        passing.spend(1)
        room = _room(into, "list", len(items))
        if items:
            memory = bytes_of(room)
            memory[::SIZE] = bytes([kind]) * len(items)
            column(memory, form)[:] = memoryview(items)

    return lower_column


def _lower_record(parts: Iterable[tuple[str, Type]]) -> Lower:
    fields = [(name, name.replace("-", "_"), lower(field)) for name, field in parts]
    known = {name for field in fields for name in field[:2]}
    optional = {name for name, field in parts if field[0] == "option"}

    def lower_record(value: Any, into: Value, passing: Passing) -> None:
        if not isinstance(value, dict):
            raise Mismatch(f"takes a dict, not `{type(value).__name__}`")
        unknown = set(value) - known
        if unknown:
            raise Mismatch(f"has no field `{sorted(map(str, unknown))[0]}`")
        passing.spend(len(fields))
        data = _room(into, "record", len(fields)).data
        for place, (name, python_name, give) in enumerate(fields):
            item = value.get(name, value.get(python_name))
            if item is None and name not in optional and not {name, python_name} & value.keys():
                raise Mismatch(f"lacks the field `{name}`")
            entry = data[place]
            entry.name = ffi.str_to_capi(name)
            try:
                give(item, entry.val, passing)
            except Mismatch as error:
                raise Mismatch(f"field `{name}` {error}") from None

    return lower_record


def _lower_tuple(elements: list[Lower]) -> Lower:
    def lower_tuple(value: Any, into: Value, passing: Passing) -> None:
        items = _items(value)
        if len(items) != len(elements):
            raise Mismatch(f"takes {len(elements)} items, not {len(items)}")
        passing.spend(len(elements))
        data = _room(into, "tuple", len(items)).data
        for place, (give, item) in enumerate(zip(elements, items, strict=True)):
            give(item, data[place], passing)

    return lower_tuple


def _boxed() -> Any:
    """Allocate a value that another one owns."""
    return ffi.wasmtime_component_val_new(ctypes.byref(ffi.wasmtime_component_val_t()))


def _lower_option(payload: Lower) -> Lower:
    def lower_option(value: Any, into: Value, passing: Passing) -> None:
        boxed = None if value is None else _boxed()
        into.of.option = boxed
        into.kind = ffi.WASMTIME_COMPONENT_OPTION.value
        if boxed is not None:
            payload(value, boxed.contents, passing)

    return lower_option


def _put_result(into: Value, name: str, payload: Any) -> Any:
    into.of.result.is_ok = name == "ok"
    into.of.result.val = payload
    into.kind = ffi.WASMTIME_COMPONENT_RESULT.value
    return into.of.result.val


def _put_variant(into: Value, name: str, payload: Any) -> Any:
    into.of.variant.discriminant = ffi.str_to_capi(name)
    into.of.variant.val = payload
    into.kind = ffi.WASMTIME_COMPONENT_VARIANT.value
    return into.of.variant.val


def _lower_case(parts: Mapping[str, Type | None], put: Callable[[Value, str, Any], Any]) -> Lower:
    cases = {name: None if it is None else lower(it) for name, it in parts.items()}

    def lower_case(value: Any, into: Value, passing: Passing) -> None:
        name, payload = value, None
        if isinstance(value, dict) and len(value) == 1:
            ((name, payload),) = value.items()
        if not isinstance(name, str) or name not in cases:
            raise Mismatch(f"takes one of {quoted(cases)}")
        give = cases[name]
        if give is None and payload is not None:
            raise Mismatch(f"takes `{name}` on its own, without a value")
        box = put(into, name, None if give is None else _boxed())
        if give is not None:
            give(payload, box.contents, passing)

    return lower_case


def _lower_enum(names: tuple[str, ...]) -> Lower:
    def lower_enum(value: Any, into: Value, _: Passing) -> None:
        if not isinstance(value, str) or value not in names:
            raise Mismatch(f"takes one of {quoted(names)}")
        into.of.enumeration = ffi.str_to_capi(value)
        into.kind = ffi.WASMTIME_COMPONENT_ENUM.value

    return lower_enum


def _lower_flags(names: tuple[str, ...]) -> Lower:
    def lower_flags(value: Any, into: Value, _: Passing) -> None:
        allowed = isinstance(value, (set, frozenset, list, tuple))
        if not allowed or not all(isinstance(it, str) and it in names for it in value):
            raise Mismatch(f"takes a set of {quoted(names)}")
        flags = set(value)
        data = _room(into, "flags", len(flags)).data
        for place, flag in enumerate(flags):
            data[place] = ffi.str_to_capi(flag)

    return lower_flags


def _lower_handle(kind: int) -> Lower:
    def lower_handle(number: int, into: Value, passing: Passing) -> None:
        if passing.context is None:
            raise Mismatch("is a resource, which cannot be passed")
        host = ffi.wasmtime_component_resource_host_new(True, number, kind)
        handle = ctypes.POINTER(ffi.wasmtime_component_resource_any_t)()
        try:
            succeed(
                ffi.wasmtime_component_resource_host_to_any(
                    passing.context, host, ctypes.byref(handle)
                )
            )
        finally:
            ffi.wasmtime_component_resource_host_delete(host)
        into.of.resource = handle
        into.kind = ffi.WASMTIME_COMPONENT_RESOURCE.value

    return lower_handle
