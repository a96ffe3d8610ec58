"""Which model a relation leads to, where several have one name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import ferro
import models
from ferro import ForeignKey
from ferro._tables.registry import registry
from ferro._tables.table import table_of
from models import User


def key() -> Any:
    return ferro.Field(default=None, primary_key=True)


class Shop:
    class User(ferro.Model, table="same_names_shop"):
        id: int | None = key()


@pytest.fixture
def forum() -> Iterator[ModuleType]:
    """A module that imports no `User`."""
    module = sys.modules["forum"] = ModuleType("forum")
    before = set(registry._tables)
    yield module
    del sys.modules["forum"]
    for name in set(registry._tables) - before:
        registry.remove(registry._tables[name])


def referring(annotation: str, module: str = __name__) -> Any:
    body = {
        "__module__": module,
        "__annotations__": {"id": "int | None", "user": annotation},
        "id": key(),
        "user": ForeignKey(),
    }
    return type(User)("Referring", (ferro.Model,), body, table="same_names_referring")


@pytest.mark.parametrize(
    ("annotation", "model"),
    [
        ("Relation[User]", User),
        ("Relation[models.User]", models.User),
        ("Relation['models.User']", models.User),
        ("Relation[Shop.User]", Shop.User),
        ("ferro.Relation[Shop.User | None]", Shop.User),
    ],
)
def test_a_name_is_what_the_module_calls_so(annotation: str, model: Any, forum: ModuleType) -> None:
    assert table_of(referring(annotation)).relation("user").target.model is model


def test_a_name_that_may_be_several_is_told_apart_by_its_module(forum: ModuleType) -> None:
    with pytest.raises(ferro.SchemaError, match=r"may be .*name one with its module.*Relation\["):
        table_of(referring("Relation[User]", "forum")).relation("user")
    found = table_of(referring("Relation['test_same_names.Shop.User']", "forum"))
    assert found.relation("user").target.model is Shop.User


def test_a_model_of_the_module_goes_before_those_of_others(forum: ModuleType) -> None:
    body = {"__module__": "forum", "__annotations__": {"id": "int | None"}, "id": key()}
    inside = type(User)("User", (ferro.Model,), body, table="same_names_forum")
    assert table_of(referring("Relation[User]", "forum")).relation("user").target.model is inside
