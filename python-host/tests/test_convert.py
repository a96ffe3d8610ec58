"""Python values for the parameters of a component: what fits, and what is said of the rest.

Results are checked too: what a plugin answered with can be passed to it again.
"""

from __future__ import annotations

from typing import Any

import pytest

from ferro._plugins.lift import lift
from ferro._plugins.lower import lower
from ferro._plugins.types import Type
from ferro._plugins.values import Mismatch, Values

NOTE = ("variant", (("nothing", None), ("text", ("string",)), ("not-ready", ("u32",))))
TYPES: dict[str, Type] = {
    "char": ("char",),
    "string": ("string",),
    "f64": ("f64",),
    "bytes": ("list", ("u8",)),
    "flags": ("flags", ("red", "green")),
    "variant": NOTE,
    "record": ("record", (("page-size", ("u32",)), ("last-note", NOTE))),
    "integers": ("list", ("s16",)),
}


class Nothing:
    """What is passed in these tests takes no time."""

    context = None

    def spend(self, values: int) -> None:
        """Of no account."""

    def spend_text(self, size: int) -> None:
        """Of no account."""


def passed(kind: Type, value: Any, *, snake_case: bool = True) -> Any:
    """A value as it comes out again."""
    with Values(1) as (place,):
        lower(kind)(value, place, Nothing())
        return lift(kind, snake_case=snake_case)(place, Nothing())


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
        ("integers", [0, 2**15], "from -32768 to 32767"),
    ],
)
def test_y1_a_value_that_does_not_fit_is_told_apart(kind: str, value: Any, message: str) -> None:
    with pytest.raises(Mismatch, match=message):
        passed(TYPES[kind], value)


def test_whatever_holds_bytes_is_taken_for_bytes() -> None:
    for value in (b"\0\xff", bytearray(b"\0\xff"), memoryview(b"\0\xff"), [0, 255], (0, 255)):
        assert passed(TYPES["bytes"], value) == b"\0\xff"
    assert passed(TYPES["bytes"], []) == b""


def test_what_comes_back_can_be_passed_again() -> None:
    kind = TYPES["record"]
    for note in ("nothing", {"text": "x"}, {"not-ready": 5}):
        page = {"page_size": 3, "last_note": note}
        as_in_wit = {"page-size": 3, "last-note": note}
        assert passed(kind, page) == passed(kind, as_in_wit) == page
        assert passed(kind, page, snake_case=False) == as_in_wit


BITS = (8, 16, 32, 64)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (("bool",), [True, False]),
        *(((f"s{bits}",), [-(2 ** (bits - 1)), -1, 2 ** (bits - 1) - 1]) for bits in BITS),
        *(((f"u{bits}",), [0, 2**bits - 1]) for bits in BITS),
        (("f32",), [0.0, -1.5, float("inf")]),
        (("f64",), [1e300, -0.1]),
        (("char",), ["x", "\U0001f600"]),
        (("string",), ["", "é\0"]),
        (("enum", ("red", "dark-green")), ["red", "dark-green"]),
        (("flags", ("red", "green")), [set(), {"red", "green"}]),
        (("list", ("string",)), [[], ["a", "b"]]),
        (("list", ("list", ("s64",))), [[], [[], [1, 2]]]),
        (("tuple", (("u8",), ("string",))), [[1, "x"]]),
        (("option", ("bool",)), [None, True]),
        (("result", None, ("string",)), ["ok", {"err": "x"}]),
        (("result", ("option", ("u8",)), None), [{"ok": None}, {"ok": 3}, "err"]),
    ],
)
def test_every_value_comes_through_alone_and_in_a_list(kind: Type, values: list[Any]) -> None:
    for value in values:
        assert passed(kind, value) == value
    many = values * 5_000
    found = passed(("list", kind), many)
    assert (list(found) if kind == ("u8",) else found) == many
    assert set(map(type, found)) == set(map(type, values))


def test_what_cannot_be_passed_is_told_where_it_is_tried() -> None:
    for kind in (
        ("own", None),
        ("borrow", "its:own/thing#x"),
        ("own", "ferro:orm/database#session"),
        ("StreamType",),
    ):
        with pytest.raises(Mismatch, match="cannot be passed"):
            passed(("list", kind), [1])
        with pytest.raises(Mismatch, match="cannot be passed"), Values(1) as (place,):
            lift(kind)(place, Nothing())


def test_s2_conversions_take_note_of_how_much_they_convert() -> None:
    class Counting(Nothing):
        def __init__(self, most: int) -> None:
            self.left = most

        def spend(self, values: int) -> None:
            self.left -= values
            if self.left < 0:
                raise TimeoutError

    for element, value in (
        (("tuple", (("bool",),)), [True]),
        (("list", ("bool",)), []),
        (("record", (("a", ("option", ("u8",))),)), {"a": None}),
        (("variant", (("a", None),)), "a"),
    ):
        with Values(1) as (place,):
            kind: Type = ("list", element)
            lower(kind)([value] * 20_000, place, Nothing())
            with pytest.raises(TimeoutError):
                lift(kind)(place, Counting(10_000))
        with Values(1) as (place,), pytest.raises(TimeoutError):
            lower(kind)([value] * 20_000, place, Counting(10_000))


def test_s7_the_texts_of_a_query_are_counted_before_they_are_copied() -> None:
    class Short(Nothing):
        def spend_text(self, size: int) -> None:
            assert size == 5
            raise OverflowError

    kind: Type = ("option", ("string",))
    with Values(1) as (place,):
        lower(kind)("12345", place, Nothing())
        with pytest.raises(OverflowError):
            lift(kind, is_query=True)(place, Short())
