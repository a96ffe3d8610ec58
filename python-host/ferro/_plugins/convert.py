"""Between the values of a component and plain Python, by the types of the component.

A record is a dict, a variant is the name of its case or a dict of name and payload, an enum is a
text, an option is None or its value, a tuple and a list are lists, flags are a set, a list of bytes
is bytes. That is the form in which the WIT's types are written as JSON, too.

wasmtime-py writes integers without looking at their size and decides by the types of all cases
whether a variant is tagged: here is where that is taken care of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from wasmtime.component import (
    F32,
    F64,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    Bool,
    BorrowType,
    Char,
    EnumType,
    FlagsType,
    ListType,
    OptionType,
    OwnType,
    Record,
    RecordType,
    ResultType,
    String,
    TupleType,
    ValType,
    Variant,
    VariantType,
)

from .._message import quoted

Convert = Callable[[Any], Any]

_INTEGERS: dict[type[ValType], range] = {
    S8: range(-(2**7), 2**7),
    S16: range(-(2**15), 2**15),
    S32: range(-(2**31), 2**31),
    S64: range(-(2**63), 2**63),
    U8: range(2**8),
    U16: range(2**16),
    U32: range(2**32),
    U64: range(2**64),
}


class Mismatch(Exception):
    """A Python value is not what the type takes."""


def lift(kind: ValType, *, snake_case: bool = False) -> Convert:
    """From wasmtime-py's value of a type to plain Python.

    Fields of records are named as in the WIT, or in snake case; cases of variants as in the WIT.
    """
    inner = partial(lift, snake_case=snake_case)
    if isinstance(kind, RecordType):
        fields = [
            (name, name.replace("-", "_") if snake_case else name, inner(field))
            for name, field in kind.fields
        ]
        return lambda record: {given: take(getattr(record, it)) for it, given, take in fields}
    if isinstance(kind, ListType):
        if isinstance(kind.element, U8):
            return _same
        element = inner(kind.element)
        return _same if element is _same else lambda items: [element(item) for item in items]
    if isinstance(kind, TupleType):
        elements = [inner(element) for element in kind.elements]
        return lambda items: [take(it) for take, it in zip(elements, items, strict=True)]
    if isinstance(kind, OptionType):
        return _lift_option(kind, inner(kind.payload))
    if isinstance(kind, (VariantType, ResultType)):
        cases = {name: None if it is None else inner(it) for name, it in _cases(kind).items()}
        return _lift_variant(kind, cases)
    return _same


def lower(kind: ValType) -> Convert:
    """From plain Python to wasmtime-py's value of a type."""
    if type(kind) in _INTEGERS:
        return _lower_integer(_INTEGERS[type(kind)])
    if isinstance(kind, (F32, F64)):
        return _lower_float
    if isinstance(kind, Bool):
        return _lower_bool
    if isinstance(kind, String):
        return _lower_text
    if isinstance(kind, Char):
        return _lower_char
    if isinstance(kind, RecordType):
        return _lower_record(kind)
    if isinstance(kind, ListType):
        return _lower_list(kind)
    if isinstance(kind, TupleType):
        return _lower_tuple(kind)
    if isinstance(kind, OptionType):
        return _lower_option(kind)
    if isinstance(kind, (VariantType, ResultType)):
        return _lower_variant(kind)
    if isinstance(kind, EnumType):
        return _lower_enum(kind.names)
    if isinstance(kind, FlagsType):
        return _lower_flags(kind.names)
    if isinstance(kind, (OwnType, BorrowType)):
        return _same
    raise Mismatch(f"values of the type `{type(kind).__name__}` cannot be passed")


def _same(value: Any) -> Any:
    return value


def _lift_option(kind: OptionType, payload: Convert) -> Convert:
    if kind._tagged():
        return lambda option: None if option.tag == "none" else payload(option.payload)
    return lambda option: None if option is None else payload(option)


def _cases(kind: VariantType | ResultType) -> dict[str, ValType | None]:
    if isinstance(kind, ResultType):
        return {"ok": kind.ok, "err": kind.err}
    return dict(kind.cases)


def _lift_variant(kind: VariantType | ResultType, cases: dict[str, Convert | None]) -> Convert:
    if kind._tagged():

        def lift_tagged(variant: Variant) -> Any:
            take = cases[variant.tag]
            return variant.tag if take is None else {variant.tag: take(variant.payload)}

        return lift_tagged
    classes = _classes(kind)

    def lift_untagged(value: Any) -> Any:
        for name, take in cases.items():
            if isinstance(value, classes[name]):
                return name if take is None else {name: take(value)}
        raise Mismatch("a variant of no known case")

    return lift_untagged


def _classes(kind: VariantType | ResultType) -> dict[str, tuple[type, ...]]:
    """The Python classes of each case, where they tell the cases apart."""
    found: dict[str, tuple[type, ...]] = {}
    for name, payload in _cases(kind).items():
        classes: set[type] = {object}
        if payload is not None:
            classes.clear()
            payload.add_classes(classes)
        # `object` is how wasmtime-py says None.
        found[name] = tuple(type(None) if it is object else it for it in classes)
    return found


def _lower_integer(allowed: range) -> Convert:
    def lower_integer(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Mismatch(f"takes an int, not `{type(value).__name__}`")
        if value not in allowed:
            raise Mismatch(f"takes an int from {allowed.start} to {allowed.stop - 1}")
        return value

    return lower_integer


_lower_byte = _lower_integer(_INTEGERS[U8])


def _lower_float(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise Mismatch(f"takes a float, not `{type(value).__name__}`")
    try:
        return float(value)
    except OverflowError:
        raise Mismatch("takes a float, and this int is too large for one") from None


def _lower_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Mismatch(f"takes a str, not `{type(value).__name__}`")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Mismatch("takes a str of Unicode text, and this one holds a surrogate") from None
    return value


def _lower_char(value: Any) -> str:
    text = _lower_text(value)
    if len(text) != 1:
        raise Mismatch(f"takes a str of one character, not of {len(text)}")
    return text


def _lower_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Mismatch(f"takes a bool, not `{type(value).__name__}`")
    return value


def _lower_record(kind: RecordType) -> Convert:
    fields = [(name, name.replace("-", "_"), lower(field)) for name, field in kind.fields]
    known = {name for field in fields for name in field[:2]}
    optional = {name for name, field in kind.fields if isinstance(field, OptionType)}

    def lower_record(value: Any) -> Record:
        if not isinstance(value, dict):
            raise Mismatch(f"takes a dict, not `{type(value).__name__}`")
        unknown = set(value) - known
        if unknown:
            raise Mismatch(f"has no field `{sorted(map(str, unknown))[0]}`")
        record = Record()
        for name, python_name, give in fields:
            item = value.get(name, value.get(python_name))
            if item is None and name not in optional and not {name, python_name} & value.keys():
                raise Mismatch(f"lacks the field `{name}`")
            try:
                setattr(record, name, give(item))
            except Mismatch as error:
                raise Mismatch(f"field `{name}` {error}") from None
        return record

    return lower_record


def _lower_list(kind: ListType) -> Convert:
    if isinstance(kind.element, U8):
        return _lower_bytes
    element = lower(kind.element)
    return lambda value: [element(item) for item in _items(value)]


def _lower_bytes(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    return bytes(_lower_byte(item) for item in _items(value))


def _items(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise Mismatch(f"takes a list, not `{type(value).__name__}`")
    return list(value)


def _lower_tuple(kind: TupleType) -> Convert:
    elements = [lower(element) for element in kind.elements]

    def lower_tuple(value: Any) -> tuple[Any, ...]:
        items = _items(value)
        if len(items) != len(elements):
            raise Mismatch(f"takes {len(elements)} items, not {len(items)}")
        return tuple(give(item) for give, item in zip(elements, items, strict=True))

    return lower_tuple


def _lower_option(kind: OptionType) -> Convert:
    payload = lower(kind.payload)
    if kind._tagged():

        def lower_tagged(value: Any) -> Variant:
            return Variant("none") if value is None else Variant("some", payload(value))

        return lower_tagged
    return lambda value: None if value is None else payload(value)


def _lower_variant(kind: VariantType | ResultType) -> Convert:
    tagged = kind._tagged()
    cases = {
        name: None if payload is None else lower(payload) for name, payload in _cases(kind).items()
    }

    def lower_variant(value: Any) -> Any:
        name, payload = value, None
        if isinstance(value, dict) and len(value) == 1:
            ((name, payload),) = value.items()
        if not isinstance(name, str) or name not in cases:
            raise Mismatch(f"takes one of {quoted(cases)}")
        give = cases[name]
        if give is None and payload is not None:
            raise Mismatch(f"takes `{name}` on its own, without a value")
        lowered = None if give is None else give(payload)
        return Variant(name, lowered) if tagged else lowered

    return lower_variant


def _lower_enum(names: list[str]) -> Convert:
    def lower_enum(value: Any) -> str:
        if value not in names:
            raise Mismatch(f"takes one of {quoted(names)}")
        name: str = value
        return name

    return lower_enum


def _lower_flags(names: list[str]) -> Convert:
    def lower_flags(value: Any) -> set[str]:
        allowed = isinstance(value, (set, frozenset, list, tuple))
        if not allowed or not all(flag in names for flag in value):
            raise Mismatch(f"takes a set of {quoted(names)}")
        return set(value)

    return lower_flags
