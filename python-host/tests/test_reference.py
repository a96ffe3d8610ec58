"""The reference has every public function and method, with the signature that it has."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import ferro
from ferro._expressions.functions import Functions
from ferro._expressions.path import RelationExpression
from ferro._expressions.value import Value

PAGE = Path(__file__).parents[2] / "docs" / "python" / "reference.md"


def signature(name: str, function: Any) -> str:
    """As the page has it: without types, and with `await` where it is a coroutine."""
    found = inspect.signature(function)
    parameters = [
        it.replace(annotation=it.empty)
        for it in found.parameters.values()
        if it.name not in ("self", "cls")
    ]
    plain = found.replace(parameters=parameters, return_annotation=found.empty)
    text = f"{name}{plain}".replace("Ellipsis", "...")
    return f"await {text}" if inspect.iscoroutinefunction(function) else text


def methods(kind: type) -> dict[str, Any]:
    """Those of its own, without what only the package calls."""
    public = [name for name in vars(kind) if not name.startswith("_")]
    found = {name: inspect.getattr_static(kind, name) for name in public}
    plain = {name: getattr(it, "__func__", it) for name, it in found.items()}
    return {name: it for name, it in plain.items() if inspect.isfunction(it)}


def functions(module: Any) -> dict[str, Any]:
    found = {name: getattr(module, name) for name in module.__all__}
    return {name: it for name, it in found.items() if inspect.isfunction(it)}


@pytest.mark.parametrize(
    ("heading", "things"),
    [
        ("Functions of the module", functions(ferro)),
        ("`Model`", methods(ferro.Model)),
        ("Queries: `Select`", methods(ferro.Select)),
        ("`CommonTable`", methods(ferro.CommonTable)),
        (
            "Fields in conditions",
            {**methods(ferro.Expression), **methods(Functions), **methods(Value)},
        ),
        ("Relations", {**methods(RelationExpression), **methods(ferro.RelatedRows)}),
        ("`Plugin`", methods(ferro.Plugin)),
    ],
)
def test_the_reference_has_the_signatures_of_the_package(
    heading: str, things: dict[str, Any]
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    shown = re.findall(r"^\| `(.*?\))` \|", section, re.M)
    assert sorted(shown) == sorted(signature(*it) for it in things.items())


def test_a_model_on_a_connection_has_the_methods_of_the_class() -> None:
    of_class = methods(ferro.Model)
    for name, function in methods(ferro.Connected).items():
        assert signature(name, function) == signature(name, of_class[name])
