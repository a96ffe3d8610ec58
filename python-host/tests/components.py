"""Components in text form: plugins that are made to misbehave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wasmtime import wat2wasm

from ferro._plugins.types import wit_functions

_SCHEMA_AT = 32


def write_plugin(folder: Path, body: str, pages: int = 1024) -> Path:
    """The file of a plugin that has no models, and what is in `body`, where `$memory` may be used.

    That is one of 64 MiB, or of so many pages.
    """
    memory = f"""
        (core module $memory-of (memory (export "memory") {pages}))
        (core instance $memory-in (instantiate $memory-of))
        (alias core export $memory-in "memory" (core memory $memory))"""
    path = folder / "plugin.wasm"
    path.write_bytes(wat2wasm(f"(component {memory} {_models()} {body})"))
    return path


def exporting(name: str, result: str, core: str, names: str = "") -> str:
    """A function of an interface of its own, whose result is at the address that `core` gives."""
    return f"""
        (core module $m (import "m" "memory" (memory 1)) (func $f {names} (result i32) {core})
            (export "{name}" (func $f)))
        (core instance $i (instantiate $m (with "m" (instance $memory-in))))
        (func (export "{name}") (result {result}) (canon lift (core func $i "{name}")
            (memory $memory)))"""


def _models() -> str:
    """The export of `describe`: its type is that of the WIT, or the plugin is refused."""
    types, kind = _named(wit_functions()["ferro:orm/models"]["describe"].result)
    raw = "".join(f"(type $raw{number} {text.replace('$', '$raw')})" for number, text in types)
    taken = "".join(
        f'(type $own{number} {text.replace("$", "$in")}) (import "t{number}" (type $in{number} '
        f"(eq $own{number})))"
        for number, text in types
    )
    given = "".join(
        f'(type $made{number} {text.replace("$", "$out")}) (export $out{number} "t{number}" (type '
        f"$made{number}))"
        for number, text in types
    )
    with_types = "".join(f'(with "t{number}" (type $raw{number}))' for number, _ in types)
    return f"""
        (core module $describe-of
            (func (export "describe") (result i32) i32.const {_SCHEMA_AT}))
        (core instance $describe-in (instantiate $describe-of))
        {raw}
        (func $describe (result {kind.replace("$", "$raw")})
            (canon lift (core func $describe-in "describe") (memory $memory)))
        (component $models-of
            {taken}
            (import "f" (func $f (result {kind.replace("$", "$in")})))
            {given}
            (export "describe" (func $f) (func (result {kind.replace("$", "$out")}))))
        (instance $models (instantiate $models-of {with_types} (with "f" (func $describe))))
        (export "ferro:orm/models@0.1.0" (instance $models))"""


def _named(kind: Any) -> tuple[list[tuple[int, str]], str]:
    """The types that need names, by numbers, and how a type is written with these."""
    known: dict[Any, int] = {}
    texts: list[tuple[int, str]] = []

    def text(kind: Any) -> str:
        name, *parts = kind
        if name == "list":
            return f"(list {text(parts[0])})"
        if name == "option":
            return f"(option {text(parts[0])})"
        if name == "tuple":
            return f"(tuple {' '.join(map(text, parts[0]))})"
        if not parts:
            return str(name)
        if kind not in known:
            if name == "enum":
                made = f"(enum {' '.join(map(_quoted, parts[0]))})"
            else:
                part = "field" if name == "record" else "case"
                made = " ".join(
                    f"({part} {_quoted(it)} {'' if of is None else text(of)})"
                    for it, of in parts[0]
                )
                made = f"({name} {made})"
            known[kind] = len(known)
            texts.append((known[kind], made))
        return f"${known[kind]}"

    return texts, text(kind)


def _quoted(name: str) -> str:
    return f'"{name}"'
