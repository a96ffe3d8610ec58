"""Names that no database takes, and when that is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ferro
from ferro._tables.registry import registry
from ferro._tables.table import table_of


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
