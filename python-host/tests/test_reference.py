"""The reference has every public function and method, with the signature that it has."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import ferro
from ferro import fastapi, testing
from ferro._expressions.functions import Functions
from ferro._expressions.path import RelatedExpression, RelationExpression
from ferro._expressions.texts import Texts
from ferro._expressions.value import FieldExpression, Value
from ferro._queries.query import Query
from ferro._queries.table_query import TableQuery
from ferro._rows.identity import Session

WITH_SIGNATURES = {
    ferro.CombinedSelect,
    ferro.CommonTable,
    ferro.CommonTableSelect,
    ferro.Connected,
    ferro.Expression,
    ferro.Model,
    ferro.Plugin,
    ferro.RelatedRows,
    ferro.Select,
    ferro.Transaction,
    FieldExpression,
    Functions,
    Query,
    RelatedExpression,
    RelationExpression,
    TableQuery,
    Texts,
    Value,
}
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
        ("Queries: `Select`", {**methods(Query), **methods(TableQuery), **methods(ferro.Select)}),
        ("`CommonTable`", methods(ferro.CommonTable)),
        (
            "Fields in conditions",
            {
                **methods(ferro.Expression),
                **methods(Texts),
                **methods(Functions),
                **methods(Value),
            },
        ),
        (
            "Relations",
            {
                **methods(RelationExpression),
                **methods(RelatedExpression),
                **methods(ferro.RelatedRows),
            },
        ),
        (
            "Transactions",
            {it: methods(ferro.Transaction)[it] for it in ("on_commit", "rollback")},
        ),
        ("`Plugin`", methods(ferro.Plugin)),
        ("`ferro.fastapi`", functions(fastapi)),
        ("`ferro.testing`", functions(testing)),
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


def attributes(kind: type) -> list[str]:
    """What has a name without an underscore: of the class, or set when one is made."""
    made = re.findall(r"\bself\.(\w+)(?:: [^=\n]+)? = ", inspect.getsource(kind))
    names = {*vars(kind), *inspect.get_annotations(kind), *made}
    names -= {name for base in kind.__mro__[1:] for name in vars(base)}
    public = sorted(name for name in names if not name.startswith("_"))
    called = {name for name in public if inspect.isroutine(getattr(kind, name, None))}
    if kind in WITH_SIGNATURES:
        return [name for name in public if name not in called]
    return [f"{name}(…)" if name in called else name for name in public]


def test_what_else_has_a_public_name_is_in_the_reference() -> None:
    classes = {it for it in vars(ferro).values() if isinstance(it, type)}
    found = {it.__name__: attributes(it) for it in classes | WITH_SIGNATURES | {Session}}
    page = PAGE.read_text(encoding="utf-8").split("\n## Other attributes and methods\n")[1]
    shown = re.findall(r"^\| `(\w+)`.*? \| (`.*`) \|$", page, re.M)
    assert {name: re.findall(r"`([^`]+)`", names) for name, names in shown} == {
        name: names for name, names in found.items() if names
    }
