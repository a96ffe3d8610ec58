"""Names of classes in a database; names that no database takes, and when that is found."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ferro
from ferro._tables.registry import registry
from ferro._tables.table import table_of

NAMES: dict[str, str] = json.loads(
    (Path(__file__).parents[2] / "tests" / "names.json").read_text("utf-8")
)
"""Names of classes, and what they become in a database: the tests in Rust read it, too."""


@pytest.fixture
def define() -> Iterator[Callable[..., None]]:
    """Defines a model `Unfit`, which is gone after the test."""
    made = []

    def define(
        table: str | None = "misnamed", db_column: str | None = None, **options: Any
    ) -> None:
        class Unfit(ferro.Model, table=table, **options):
            id: int | None = ferro.Field(default=None, primary_key=True)
            one: int = ferro.Field(db_column=db_column)
            two: int = 0

        made.append(table_of(Unfit))

    yield define
    for table in made:
        registry.remove(table)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"table": "n" * 64}, "model `Unfit`: the name of its table is longer than 63 bytes"),
        ({"table": ""}, "model `Unfit`: the name of its table is empty"),
        ({"table": "sqlite_n"}, "model `Unfit`: the table `sqlite_n` belongs to the database"),
        (
            {"db_column": "n" * 64},
            "model `Unfit`, field `one`: the name of its column is longer",
        ),
        ({"db_column": ""}, "model `Unfit`, field `one`: the name of its column is empty"),
        ({"db_column": "ctid"}, "model `Unfit`, field `one`: the column `ctid` belongs to"),
        ({"db_column": "t1"}, "alias of ours: give the column another one, with `db_column`"),
        ({"table": "T12"}, "the table `T12` has the name of an alias of ours: give it another"),
        ({"db_column": "TWO"}, "field `two`: the column `two` is that of field `one` already"),
        ({"uniques": [("two", "two")]}, "model `Unfit`, index: `two` stands there twice"),
    ],
)
async def test_names_that_no_database_takes_are_found_when_connecting(
    names: dict[str, Any], message: str, url: str, define: Callable[..., None]
) -> None:
    define(**names)
    with pytest.raises(ferro.SchemaError, match=message):
        await ferro.connect(url)
    with pytest.raises(ferro.ConfigurationError, match="no default connection"):
        ferro.pool_stats()


async def test_names_of_models_that_are_imported_later_are_found_when_their_tables_are_created(
    db: str, define: Callable[..., None]
) -> None:
    define(table="n" * 64)
    with pytest.raises(ferro.SchemaError, match="model `Unfit`: the name of its table is longer"):
        await ferro.create_tables()


async def test_models_may_be_imported_after_connecting() -> None:
    class NamedEarly(ferro.Model, table="named_early"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        late: ferro.Relation[NamedLate] = ferro.ForeignKey(related_name="earlies")

    models: list[Any] = [NamedEarly]
    try:
        await ferro.connect("sqlite::memory:")

        class NamedLate(ferro.Model, table="named_late"):
            id: int | None = ferro.Field(default=None, primary_key=True)
            earlies: ferro.Relation[list[NamedEarly]] = ferro.BackRef()

        models.append(NamedLate)
        await ferro.create_tables()
        assert await (await NamedLate.create()).earlies.create() is not None
    finally:
        for model in models:
            registry.remove(table_of(model))


async def test_models_and_enums_are_called_in_a_database_as_in_rust(db: str) -> None:
    def define(name: str) -> Any:
        kind = enum.Enum(f"{name}Kind", {"ONE": "one"})
        body = {
            "__module__": __name__,
            "__annotations__": {"id": int | None, "kind": kind},
            "id": ferro.Field(default=None, primary_key=True),
        }
        return type(ferro.Model)(name, (ferro.Model,), body), kind

    made = {name: define(name) for name in NAMES}
    try:
        await ferro.create_tables()
        for name, (model, kind) in made.items():
            await model.create(kind=kind.ONE)
            rows = await ferro.fetch_all(f'select kind from "{NAMES[name]}"')
            assert [it["kind"] for it in rows] == ["one"]
            if db.startswith("postgres"):
                rows = await ferro.fetch_all(f"select 'one'::\"{NAMES[name]}_kind\" as kind")
                assert [it["kind"] for it in rows] == ["one"]
            # A grant names the table, or the model.
            for granted in (name, NAMES[name]):
                grant = ferro.Grant(tables={granted: ferro.TableGrant()})
                with ferro.scope(ferro.Tenant("reader", grants={"default": grant})):
                    assert await model.select().count() == 1
    finally:
        for model, _ in made.values():
            registry.remove(table_of(model))
