"""`ferro.migrate` and `auto_migrate`: tables follow their models."""

from __future__ import annotations

import asyncio
import datetime
import enum
import logging
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pydantic
import pytest

import ferro
from ferro._tables.registry import registry


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


@pytest.fixture
async def connected(url: str) -> Any:
    await ferro.connect(url)
    yield url
    await ferro.disconnect()


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Other tests do not get the models of these."""
    yield
    for table in list(registry._tables.values()):
        if table.name.startswith("migrated"):
            registry.remove(table)


def person(fields: dict[str, tuple[Any, Any]] | None = None, **options: Any) -> Any:
    """The model of people, as it is at a time."""
    fields = {"name": (str, ...), **(fields or {})}
    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__annotations__": {"id": int | None, **{it: kind for it, (kind, _) in fields.items()}},
        "id": ferro.Field(default=None, primary_key=True),
    }
    namespace |= {name: default for name, (_, default) in fields.items() if default is not ...}
    options = {"table": "migrated_person", **options}
    return type(ferro.Model)("Person", (ferro.Model,), namespace, **options)


async def test_a_field_that_is_new_comes_with_its_default(connected: str) -> None:
    first = person()
    await ferro.create_tables()
    await first.create(name="Ada")
    key = uuid.UUID(int=7)
    moment = datetime.datetime(1969, 7, 20, 20, 17, 40, 1, datetime.timezone.utc)
    fields: dict[str, tuple[Any, Any]] = {
        "age": (int, 3),
        "active": (bool, True),
        "weight": (float, 1),
        "price": (Decimal, Decimal("1.50")),
        "note": (str, "it's"),
        "key": (uuid.UUID, key),
        "level": (Level, Level.HIGH),
        "day": (datetime.date, datetime.date(2020, 2, 29)),
        "hour": (datetime.time, datetime.time(23, 59, 59, 5)),
        "moment": (datetime.datetime, moment),
        "reading": (pydantic.NaiveDatetime, moment.replace(tzinfo=None)),
        "nickname": (str | None, None),
        "email": (str | None, ferro.Field(default=None, unique=True, max_length=50)),
    }
    grown = person(fields)
    migration = await ferro.migrate()
    assert not migration.left
    assert migration.applied
    row = await grown.get(1)
    found = [getattr(row, name) for name in fields]
    assert found == [default for _, default in [*fields.values()][:-1]] + [None]
    assert await ferro.migrate() == ferro.Migration((), ())
    await grown.create(name="Ben", email="x")
    with pytest.raises(ferro.UniqueViolation):
        await grown.create(name="Cid", email="x")


async def test_a_field_without_a_default_fails_where_there_are_rows_and_says_so(
    connected: str,
) -> None:
    first = person()
    await ferro.create_tables()
    await first.create(name="Ada")
    person({"country": (str, ...)})
    with pytest.raises(ferro.NotNullViolation, match="country"):
        await ferro.migrate()
    await first.where(name="Ada").delete()
    await ferro.migrate()
    assert not (await ferro.migrate(dry_run=True)).left


async def test_a_dry_run_tells_what_would_be_done_and_does_nothing(connected: str) -> None:
    person()
    await ferro.create_tables()
    person({"age": (int, 3)})
    planned = await ferro.migrate(dry_run=True)
    assert not planned.applied
    step = next(it for it in planned.left if "`age`" in it.description)
    assert (step.risk, step.reason) == ("safe", None)
    assert f"-- {step.description}" in str(planned)
    assert f"{step.sql};" in str(planned)
    with pytest.raises(ferro.UndefinedObject):
        await ferro.fetch_all("select age from migrated_person")


async def test_what_loses_data_waits_for_permission(connected: str, dialect: str) -> None:
    before = person({"age": (int, ...)})
    await ferro.create_tables()
    await before.create(name="Ada", age=36)
    after = person()
    migration = await ferro.migrate()
    assert [it.risk for it in migration.left] == ["destructive"]
    await after.create(name="Ben")
    ages = await ferro.fetch_all("select age from migrated_person order by id")
    assert [it["age"] for it in ages] == [36, None]
    assert not (await ferro.migrate(risk="destructive")).left
    with pytest.raises(ferro.UndefinedObject):
        await ferro.fetch_all("select age from migrated_person")


async def test_names_change_with_their_rows(connected: str) -> None:
    before = person({"age": (int, 3)})
    await ferro.create_tables()
    await before.create(name="Ada", age=36)
    registry.remove(before.__ferro_table__)
    after = person(
        {"years": (int, ferro.Field(default=3, renamed_from="age"))},
        table="migrated_people",
        renamed_from="migrated_person",
    )
    assert not (await ferro.migrate()).left
    assert (await after.get(1)).years == 36


async def test_a_relation_changes_its_name(connected: str) -> None:
    class Team(ferro.Model, table="migrated_team"):
        id: int | None = ferro.Field(default=None, primary_key=True)

    def member(name: str, **options: Any) -> Any:
        namespace: dict[str, Any] = {
            "__module__": __name__,
            "__annotations__": {"id": int | None, name: ferro.Relation[Team]},
            "id": ferro.Field(default=None, primary_key=True),
            name: ferro.ForeignKey(**options),
        }
        kind = type(ferro.Model)
        return kind("Member", (ferro.Model,), namespace, table="migrated_member")

    before = member("team")
    await ferro.create_tables()
    team = await Team.create()
    await before.create(team=team)
    after = member("group", renamed_from="team")
    assert not (await ferro.migrate()).left
    (row,) = await after.all()
    assert await row.group == team
    await team.delete()
    assert await after.select().count() == 0


@pytest.mark.parametrize("former", ["MigratedBook", "MigratedHTTPBook"])
async def test_pairs_keep_their_rows_when_models_are_renamed(connected: str, former: str) -> None:
    def models(book: str, tag: str, formers: tuple[str | None, str | None]) -> Any:
        kind = type(ferro.Model)

        def model(name: str, renamed_from: str | None, **body: Any) -> Any:
            annotations = {"id": int | None, **body.pop("annotations", {})}
            body = {"__module__": __name__, "__annotations__": annotations, **body}
            body["id"] = ferro.Field(default=None, primary_key=True)
            return kind(name, (ferro.Model,), body, renamed_from=renamed_from)

        other = model(tag, formers[1])
        relations = {"tags": ferro.Relation[list[other]], "seeAlso": ferro.Relation[list[book]]}  # type: ignore[valid-type]
        own = model(
            book,
            formers[0],
            annotations=relations,
            tags=ferro.ManyToMany(),
            seeAlso=ferro.ManyToMany(),
        )
        return own, other

    book, tag = models(former, "MigratedTag", (None, None))
    await ferro.create_tables()
    row, label = await book.create(), await tag.create()
    await row.tags.add(label)
    await row.seeAlso.add(row)
    for table in list(registry._tables.values()):
        if table.name.startswith("migrated"):
            registry.remove(table)
    volume, _ = models("MigratedVolume", "MigratedLabel", (former, "MigratedTag"))
    assert not (await ferro.migrate()).left
    assert not (await ferro.migrate(dry_run=True)).left
    row = await volume.get(1)
    assert [it.id for it in await row.tags.all()] == [1]
    assert [it.id for it in await row.seeAlso.all()] == [1]


async def test_a_declared_key_of_a_relation_says_itself_what_it_was(connected: str) -> None:
    class Team(ferro.Model, table="migrated_team"):
        id: int | None = ferro.Field(default=None, primary_key=True)

    before = person({"team_number": (int | None, None)})
    await ferro.create_tables()
    await before.create(name="Ada", team_number=None)
    kind: Any = type(ferro.Model)
    namespace = {
        "__module__": __name__,
        "__annotations__": {
            "id": int | None,
            "name": str,
            "team_id": int | None,
            "team": ferro.Relation[Team | None],
        },
        "id": ferro.Field(default=None, primary_key=True),
        "team_id": ferro.Field(default=None, renamed_from="team_number"),
        "team": ferro.ForeignKey(),
    }
    kind("Person", (ferro.Model,), namespace, table="migrated_person")
    migration = await ferro.migrate()
    assert not migration.left
    assert "`team_number` of table `migrated_person` to `team_id`" in str(migration)


async def test_defaults_that_no_column_holds_are_those_of_python_alone(connected: str) -> None:
    before = person()
    await ferro.create_tables()
    fields: dict[str, tuple[Any, Any]] = {
        "nul": (str | None, "a\0b"),
        "half": (str | None, "\ud800"),
        "hidden": (str | None, "a\x1b[2K"),
        "large": (float | None, 10**400),
        "inexact": (float | None, 2**60 + 1),
        "infinite": (float | None, float("inf")),
        "nothing": (Decimal | None, Decimal("NaN")),
    }
    await before.create(name="Ada")
    after = person(fields)
    assert not (await ferro.migrate()).left
    row = await after.get(1)
    assert [getattr(row, name) for name in fields] == [None] * len(fields)


async def test_auto_migrate_aligns_tables_and_logs_what_that_would_lose(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = person({"age": (int, ...)})
    await ferro.connect(url, auto_migrate=True)
    await before.create(name="Ada", age=36)
    await ferro.disconnect()
    after = person({"note": (str, "new")})
    with caplog.at_level(logging.WARNING, "ferro.migrate"):
        await ferro.connect(url, auto_migrate=True)
    assert [it.note for it in await after.all()] == ["new"]
    assert "drop column `age` of table `migrated_person`" in caplog.text
    await ferro.disconnect()


async def test_checks_that_others_wrote_survive_auto_migrate(
    url: str, dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = {
        "sqlite": "integer primary key autoincrement not null",
        "postgres": "bigint generated by default as identity primary key",
    }
    await ferro.connect(url)
    await ferro.execute(
        f"create table migrated_person (id {key[dialect]}, age bigint not null default 3, "
        "name varchar(20) not null constraint migrated_person_name_check check (name <> ''), "
        "constraint migrated_person_check check (age + length(name) < 200))"
    )
    await ferro.disconnect()
    after = person({"name": (str, ferro.Field(max_length=20)), "age": (int, 3)})
    with caplog.at_level(logging.WARNING, "ferro.migrate"):
        await ferro.connect(url, auto_migrate=True)
    for check in ("migrated_person_name_check", "migrated_person_check"):
        assert f"`{check}`" in caplog.text
    for name, age in (("", 3), ("Ada", 300)):
        with pytest.raises(ferro.CheckViolation):
            await after.create(name=name, age=age)
    await after.create(name="Ada", age=36)
    await ferro.disconnect()


async def test_processes_that_start_at_once_migrate_once(url: str) -> None:
    person()
    await ferro.connect(url, "first", auto_migrate=True)
    person({"age": (int, 3)})
    names = [f"other-{it}" for it in range(4)]
    await asyncio.gather(*(ferro.connect(url, it, auto_migrate=True) for it in names))
    columns = await ferro.fetch_all("select * from migrated_person", using="first")
    assert columns == []
    for name in ["first", *names]:
        await ferro.disconnect(name)


async def test_what_makes_no_sense_is_said(connected: str) -> None:
    choices = "`risk` takes one of `safe`, `blocking`, `destructive`"
    with pytest.raises(ferro.ConfigurationError, match=choices):
        await ferro.migrate(risk="all")  # type: ignore[arg-type]
    async with ferro.transaction():
        with pytest.raises(ferro.TransactionError, match="tables cannot be changed"):
            await ferro.migrate()
    with pytest.raises(ferro.ConfigurationError):
        await ferro.migrate(using="nowhere")
    with pytest.raises(ferro.SchemaError, match="`renamed_from` takes a `str`"):
        ferro.Field(renamed_from=3)  # type: ignore[arg-type]


async def test_creating_tables_changes_no_table_that_is_there(connected: str) -> None:
    person()
    await ferro.create_tables()
    person({"age": (int, 3)}, indexes=[("name",)])
    pet = type(ferro.Model)(
        "Pet",
        (ferro.Model,),
        {
            "__module__": __name__,
            "__annotations__": {"id": int | None, "name": str},
            "id": ferro.Field(default=None, primary_key=True),
            "name": ferro.Field(index=True),
        },
        table="migrated_pet",
    )
    await ferro.create_tables()
    await pet.create(name="Tom")
    left = [it.description for it in (await ferro.migrate(dry_run=True)).left]
    assert left == [
        "add column `age` to table `migrated_person`",
        "create index `migrated_person_name_idx`",
    ]


async def test_a_new_table_is_refused_if_its_index_has_a_name_that_is_taken(connected: str) -> None:
    person(indexes=[("name",)])
    await ferro.create_tables()
    person()
    type(ferro.Model)(
        "Pet",
        (ferro.Model,),
        {
            "__module__": __name__,
            "__annotations__": {"id": int | None, "name": str},
            "id": ferro.Field(default=None, primary_key=True),
        },
        table="migrated_pet",
        indexes=[ferro.Index("name", name="migrated_person_name_idx")],
    )
    says = "table `migrated_person` has an index of that name: drop or rename that, or name this"
    with pytest.raises(ferro.UnsupportedError, match=says):
        await ferro.create_tables()
    with pytest.raises(ferro.UndefinedObject):
        await ferro.fetch_all("SELECT id FROM migrated_pet")


async def test_a_cancelled_migration_is_done_or_not(connected: str) -> None:
    first = person()
    await ferro.create_tables()
    await first.create(name="Ada")
    changed = person({"age": (int, 3)}, uniques=[("name",)])
    planned = (await ferro.migrate(dry_run=True)).left
    for milliseconds in range(0, 40, 4):
        task = asyncio.create_task(ferro.migrate())
        await asyncio.sleep(milliseconds / 1000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await ferro.migrate(dry_run=True)).left in ((), planned)
    await ferro.migrate()
    assert not (await ferro.migrate(dry_run=True)).left
    assert [(it.name, it.age) for it in await changed.all()] == [("Ada", 3)]


def test_tables_that_differ_in_case_only_are_refused() -> None:
    person()
    with pytest.raises(
        ferro.SchemaError, match="only in case, `migrated_person`, `Migrated_Person`"
    ):
        type(ferro.Model)(
            "Human",
            (ferro.Model,),
            {
                "__module__": __name__,
                "__annotations__": {"id": int | None},
                "id": ferro.Field(default=None, primary_key=True),
            },
            table="Migrated_Person",
        )
