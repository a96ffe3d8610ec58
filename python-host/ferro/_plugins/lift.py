"""Conversion from the values of a component to plain Python, by type."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

from wasmtime import _ffi as ffi

from .types import RESOURCES, Type
from .values import CHUNK, FORMATS, Mismatch, Passing, Value, bytes_of, column, succeed

Lift = Callable[[Value, Passing], Any]
"""Converts a wasmtime value, which it does not change, to plain Python."""


def lift(kind: Type, *, snake_case: bool = False, is_query: bool = False) -> Lift:
    """Return a function that reads values of a type.

    Fields of records are named as in the WIT, or in snake case; cases of variants as in the WIT.
    The texts of a query are charged to the call before they are copied.
    """
    inner = partial(lift, snake_case=snake_case, is_query=is_query)
    name, *parts = kind
    if name == "string" and is_query:
        return _lift_text_of_query
    if name in _READ:
        return _READ[name]
    if name == "list":
        return _lift_list(parts[0], inner)
    if name == "record":
        names = (it.replace("-", "_") if snake_case else it for it, _ in parts[0])
        return _lift_record(list(zip(names, (inner(it) for _, it in parts[0]), strict=True)))
    if name == "tuple":
        return _lift_tuple(list(map(inner, parts[0])))
    if name == "option":
        return _lift_option(inner(parts[0]))
    if name == "result":
        return _lift_result(*(None if it is None else inner(it) for it in parts))
    if name == "variant":
        return _lift_variant({it: None if of is None else inner(of) for it, of in parts[0]})
    if name in ("own", "borrow") and parts[0] in RESOURCES:
        return _lift_handle
    return _cannot_lift(name)


def _cannot_lift(name: str) -> Lift:
    def cannot_lift(_: Value, __: Passing) -> Any:
        raise Mismatch(f"is of the type `{name}`, which cannot be passed")

    return cannot_lift


def _text(name: Any) -> str:
    return ctypes.string_at(name.data, name.size).decode() if name.size else ""


def _lift_text_of_query(value: Value, passing: Passing) -> str:
    passing.spend_text(value.of.string.size)
    return _text(value.of.string)


def _lift_flags(value: Value, passing: Passing) -> set[str]:
    flags = value.of.flags
    passing.spend(flags.size)
    return {_text(flags.data[place]) for place in range(flags.size)}


_READ: dict[str, Lift] = {
    "bool": lambda value, _: value.of.boolean,
    "s8": lambda value, _: value.of.s8,
    "s16": lambda value, _: value.of.s16,
    "s32": lambda value, _: value.of.s32,
    "s64": lambda value, _: value.of.s64,
    "u8": lambda value, _: value.of.u8,
    "u16": lambda value, _: value.of.u16,
    "u32": lambda value, _: value.of.u32,
    "u64": lambda value, _: value.of.u64,
    "f32": lambda value, _: value.of.f32,
    "f64": lambda value, _: value.of.f64,
    "char": lambda value, _: chr(value.of.character),
    "string": lambda value, _: _text(value.of.string),
    "enum": lambda value, _: _text(value.of.enumeration),
    "flags": _lift_flags,
}


_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "u8": bytes,
    "bool": lambda column: list(map(bool, column)),
}
"""Columns that do not become a list of their values."""


def _lift_list(kind: Type, inner: Callable[[Type], Lift]) -> Lift:
    form = FORMATS.get(kind[0])
    if form is not None:
        give = _COLUMNS.get(kind[0], list)

        def lift_column(value: Value, passing: Passing) -> Any:
            items = value.of.list
            passing.spend(1)
            return give(column(bytes_of(items), form) if items.size else ())

        return lift_column
    element = inner(kind)

    def lift_list(value: Value, passing: Passing) -> list[Any]:
        items, found = value.of.list, []
        data, size = items.data, items.size
        for start in range(0, size, CHUNK):
            end = min(start + CHUNK, size)
            passing.spend(end - start)
            found += [element(data[place], passing) for place in range(start, end)]
        return found

    return lift_list


def _lift_record(fields: list[tuple[str, Lift]]) -> Lift:
    def lift_record(value: Value, passing: Passing) -> dict[str, Any]:
        passing.spend(len(fields))
        data = value.of.record.data
        return {name: take(data[place].val, passing) for place, (name, take) in enumerate(fields)}

    return lift_record


def _lift_tuple(elements: list[Lift]) -> Lift:
    def lift_tuple(value: Value, passing: Passing) -> list[Any]:
        passing.spend(len(elements))
        data = value.of.tuple.data
        return [take(data[place], passing) for place, take in enumerate(elements)]

    return lift_tuple


def _lift_option(payload: Lift) -> Lift:
    def lift_option(value: Value, passing: Passing) -> Any:
        option = value.of.option
        return payload(option.contents, passing) if option else None

    return lift_option


def _lift_result(ok: Lift | None, err: Lift | None) -> Lift:
    def lift_result(value: Value, passing: Passing) -> Any:
        result = value.of.result
        name, take = ("ok", ok) if result.is_ok else ("err", err)
        return name if take is None else {name: take(result.val.contents, passing)}

    return lift_result


def _lift_variant(cases: dict[str, Lift | None]) -> Lift:
    def lift_variant(value: Value, passing: Passing) -> Any:
        variant = value.of.variant
        name = _text(variant.discriminant)
        take = cases[name]
        return name if take is None else {name: take(variant.val.contents, passing)}

    return lift_variant


def _lift_handle(value: Value, passing: Passing) -> int:
    if passing.context is None:
        raise Mismatch("is a resource, which cannot be passed")
    host = ctypes.POINTER(ffi.wasmtime_component_resource_host_t)()
    succeed(
        ffi.wasmtime_component_resource_any_to_host(
            passing.context, value.of.resource, ctypes.byref(host)
        )
    )
    try:
        number: int = ffi.wasmtime_component_resource_host_rep(host)
        return number
    finally:
        ffi.wasmtime_component_resource_host_delete(host)
