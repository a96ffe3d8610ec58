"""Python values for the parameters of a component: what fits, and what is said of the rest.

Results are checked too: what a plugin answered with can be passed to it again.
"""

from __future__ import annotations

from typing import Any

import pytest
from wasmtime import wat2wasm
from wasmtime.component import Component, FuncType, ValType

from ferro._core.wasm import plugin_engine
from ferro._plugins.convert import Mismatch, lift, lower

COMPONENT = """
    (component
        (type $colours-here (flags "red" "green"))
        (import "colours" (type $colours (eq $colours-here)))
        (type $note-here (variant (case "nothing") (case "text" string)
            (case "not-ready" u32)))
        (import "note" (type $note (eq $note-here)))
        (type $page-here (record (field "page-size" u32) (field "last-note" $note)))
        (import "page" (type $page (eq $page-here)))
        (import "f" (func
            (param "char" char) (param "string" string) (param "f64" f64)
            (param "bytes" (list u8)) (param "flags" $colours) (param "variant" $note)
            (param "record" $page))))
"""


def types() -> dict[str, ValType]:
    """The types of a component, which nothing but wasmtime can make."""
    component = Component(plugin_engine(), wat2wasm(COMPONENT))
    function = component.type.imports(plugin_engine())["f"].ty
    assert isinstance(function, FuncType)
    return dict(function.params)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("char", "", "one character, not of 0"),
        ("char", "ab", "one character, not of 2"),
        ("string", "\ud800", "surrogate"),
        ("string", b"x", "not `bytes`"),
        ("f64", 10**400, "too large"),
        ("f64", True, "not `bool`"),
        ("bytes", [256], "from 0 to 255"),
        ("bytes", ["x"], "not `str`"),
        ("bytes", "x", "takes a list"),
        ("flags", ["red", []], "a set of `red`, `green`"),
        ("variant", {"nothing": 1}, "without a value"),
        ("variant", {"text": None}, "takes a str"),
        ("variant", "other", "one of `nothing`, `text`, `not-ready`"),
    ],
)
def test_y1_a_value_that_does_not_fit_is_told_apart(kind: str, value: Any, message: str) -> None:
    with pytest.raises(Mismatch, match=message):
        lower(types()[kind])(value)


def test_whatever_holds_bytes_is_taken_for_bytes() -> None:
    give = lower(types()["bytes"])
    for value in (b"\0\xff", bytearray(b"\0\xff"), memoryview(b"\0\xff"), [0, 255], (0, 255)):
        assert give(value) == b"\0\xff"


def test_what_comes_back_can_be_passed_again() -> None:
    kind = types()["record"]
    for note in ("nothing", {"text": "x"}, {"not-ready": 5}):
        page = {"page_size": 3, "last_note": note}
        assert lift(kind, snake_case=True)(lower(kind)(page)) == page
        as_in_wit = {"page-size": 3, "last-note": note}
        assert lift(kind)(lower(kind)(page)) == as_in_wit
        assert lift(kind)(lower(kind)(as_in_wit)) == as_in_wit
