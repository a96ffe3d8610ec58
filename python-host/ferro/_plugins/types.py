"""The types of a component's functions, read once when it is loaded, as plain tuples.

`("list", element)`, `("option", payload)`, `("tuple", elements)`, `("result", ok, err)`,
`("record", fields)` and `("variant", cases)` of names and types, `("enum", names)`, `("flags",
names)`, `("own", resource)`, `("borrow", resource)`, and all others by their names alone:
`("s64",)`. The native module describes the functions of the WIT package in the same form, so that
they can be compared with a plugin's imports directly.

A component can define in a few bytes a type that consists of two of another type, which consists of
two of a third, and so on. So the depth and the number of types are limited before they are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from wasmtime import Engine
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
    ComponentInstanceType,
    EnumType,
    FlagsType,
    FuncType,
    ListType,
    OptionType,
    OwnType,
    RecordType,
    ResourceType,
    ResultType,
    String,
    TupleType,
    ValType,
    VariantType,
)

from .. import _native
from ..exceptions import ConfigurationError

Type = tuple[Any, ...]

DEEPEST = 32
"""Maximum nesting depth of types; that of the WIT package is 18."""
MOST = 50_000
"""Maximum number of types in all functions of a plugin, counting each occurrence."""

RESOURCES = (
    "ferro:orm/database#session",
    "ferro:orm/database#cursor",
    "wasi:io/error#error",
    "wasi:io/poll#pollable",
    "wasi:io/streams#input-stream",
    "wasi:io/streams#output-stream",
    "wasi:cli/terminal-input#terminal-input",
    "wasi:cli/terminal-output#terminal-output",
)
"""The host's resources, each as interface and name."""

_SCALARS: dict[type[ValType], str] = {
    Bool: "bool",
    S8: "s8",
    S16: "s16",
    S32: "s32",
    S64: "s64",
    U8: "u8",
    U16: "u16",
    U32: "u32",
    U64: "u64",
    F32: "f32",
    F64: "f64",
    Char: "char",
    String: "string",
}


class Function(NamedTuple):
    """The parameters and the result of a function."""

    params: tuple[tuple[str, Type], ...]
    result: Type | None


class Interface(NamedTuple):
    """The contents of an instance, without value types."""

    functions: dict[str, Function]
    resources: dict[str, str | None]
    """The resources by local name; one of `RESOURCES` if it is the host's."""
    others: list[str]
    """Names of items that are neither functions nor resources."""


def path_of(interface: str) -> str:
    """The name of an interface without its version."""
    return interface.partition("@")[0]


@cache
def wit_functions() -> dict[str, dict[str, Function]]:
    """The functions of the WIT package, by their interfaces and names."""

    def frozen(value: Any) -> Any:
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    interfaces = json.loads(_native.WIT_FUNCTIONS)
    return {
        f"ferro:orm/{interface}": {name: Function(*frozen(it)) for name, it in functions.items()}
        for interface, functions in interfaces.items()
    }


class Reader:
    """Reads the types of one component. Raises `ConfigurationError` if there are too many."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._left = MOST
        self._resources: list[tuple[str, ResourceType]] = []

    def interfaces(self, items: Mapping[str, Any]) -> dict[str, Interface]:
        """Read the interfaces among imports or exports, by name."""
        found = {}
        for name, item in items.items():
            self._count(1)
            kind = item.ty
            if isinstance(kind, ComponentInstanceType):
                found[name] = self._interface(name, kind.exports(self._engine))
        return found

    def function(self, kind: FuncType) -> Function:
        """The parameters and the result of a function."""
        result = kind.result
        return Function(
            tuple((name, self._of(it, 1)) for name, it in kind.params),
            None if result is None else self._of(result, 1),
        )

    def _interface(self, name: str, items: Mapping[str, Any]) -> Interface:
        found = Interface({}, {}, [])
        for inner, item in items.items():
            self._count(1)
            kind = item.ty
            if isinstance(kind, FuncType):
                found.functions[inner] = self.function(kind)
            elif isinstance(kind, ResourceType):
                # The first name is in the interface that defines it; others use it.
                self._resources.append((f"{path_of(name)}#{inner}", kind))
                found.resources[inner] = self._resource(kind)
            elif not isinstance(kind, ValType):
                found.others.append(inner)
        return found

    def _of(self, kind: ValType, depth: int) -> Type:
        self._count(1)
        if depth > DEEPEST:
            raise self._refused(f"types nested more than {DEEPEST} deep")
        scalar = _SCALARS.get(type(kind))
        if scalar is not None:
            return (scalar,)

        def inner(kind: ValType | None) -> Type | None:
            return None if kind is None else self._of(kind, depth + 1)

        def named(kinds: Iterable[tuple[str, ValType | None]]) -> Type:
            return tuple((name, inner(it)) for name, it in kinds)

        if isinstance(kind, ListType):
            return ("list", inner(kind.element))
        if isinstance(kind, OptionType):
            return ("option", inner(kind.payload))
        if isinstance(kind, RecordType):
            return ("record", named(kind.fields))
        if isinstance(kind, VariantType):
            return ("variant", named(kind.cases))
        if isinstance(kind, ResultType):
            return ("result", inner(kind.ok), inner(kind.err))
        if isinstance(kind, TupleType):
            return ("tuple", tuple(map(inner, kind.elements)))
        if isinstance(kind, (EnumType, FlagsType)):
            names = tuple(kind.names)
            self._count(len(names))
            return ("enum" if isinstance(kind, EnumType) else "flags", names)
        if isinstance(kind, (OwnType, BorrowType)):
            return ("own" if isinstance(kind, OwnType) else "borrow", self._resource(kind.ty))
        return (type(kind).__name__,)

    def _resource(self, kind: ResourceType) -> str | None:
        self._count(len(self._resources))
        return next((name for name, known in self._resources if known == kind), None)

    def _count(self, types: int) -> None:
        self._left -= types
        if self._left < 0:
            raise self._refused(f"more than {MOST} types")

    def _refused(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"the functions of the plugin `{self._name}` have {what}")
