"""`db_default`: what the database puts where an insert says nothing, and rows that read it back."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

import pydantic
import pytest

import ferro
from ferro._tables.registry import registry

UTC = datetime.timezone.utc
DAY = datetime.date(2020, 2, 29)


class FilledMood(enum.Enum):
    CALM = "calm"
    LOUD = "loud"


class FilledEvent(ferro.Model, table="filled_event"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str = ferro.Field(unique=True)
    made: datetime.datetime = ferro.Field(db_default=ferro.now)
    token: Annotated[uuid.UUID, ferro.Field(db_default=ferro.random_uuid)]
    mood: FilledMood = ferro.Field(db_default=FilledMood.CALM)
    count: int = ferro.Field(default=None, db_default=3, db_column="counted")
    note: str | None = ferro.Field(default=None, db_default="none yet")
    other: int = ferro.Field(default=1, db_default=2)
    third: int = ferro.Field(default_factory=lambda: 5, db_default=6)


class FilledKey(ferro.Model, table="filled_key"):
    id: uuid.UUID | None = ferro.Field(default=None, primary_key=True, db_default=ferro.random_uuid)
    name: str
    parent: ferro.Relation[FilledKey | None] = ferro.ForeignKey(related_name="parts")


class FilledBase(ferro.Model, abstract=True):
    id: int | None = ferro.Field(default=None, primary_key=True)
    made: datetime.datetime = ferro.Field(db_default=ferro.now)


class FilledChild(FilledBase, table="filled_child"):
    event_id: int = ferro.Field(db_default=1)
    event: ferro.Relation[FilledEvent] = ferro.ForeignKey(default=None)


class FilledTypes(ferro.Model, table="filled_types", validate_default=True):
    id: int | None = ferro.Field(default=None, primary_key=True)
    truth: bool = ferro.Field(db_default=False)
    price: Decimal = ferro.Field(db_default=Decimal("1.50"))
    size: float = ferro.Field(db_default=0.5)
    day: datetime.date = ferro.Field(db_default=DAY)
    today: datetime.date = ferro.Field(db_default=ferro.now)
    hour: datetime.time = ferro.Field(db_default=ferro.now)
    reading: pydantic.NaiveDatetime = ferro.Field(db_default=ferro.now)
    counter: int = ferro.Field(db_default=1, version=True)


def near(moment: datetime.datetime) -> bool:
    return abs(datetime.datetime.now(UTC) - moment) < datetime.timedelta(minutes=10)


@pytest.mark.usefixtures("db")
async def test_a_row_has_what_the_database_has_put_into_it() -> None:
    new = FilledEvent(name="a")
    assert (new.made, new.token, new.mood, new.count, new.note) == (None,) * 5
    await new.save()
    assert near(new.made)
    assert isinstance(new.token, uuid.UUID)
    assert (new.mood, new.count, new.note) == (FilledMood.CALM, 3, "none yet")
    assert (new.other, new.third) == (1, 5)
    assert await FilledEvent.get(new.id) == new
    new.name = "b"
    await new.save()
    again = await FilledEvent.get(new.id)
    assert (again.name, again.token) == ("b", new.token)


@pytest.mark.usefixtures("db")
async def test_a_value_that_is_given_is_kept_and_none_where_there_may_be() -> None:
    token, made = uuid.UUID(int=5), datetime.datetime(2020, 1, 1, tzinfo=UTC)
    values = {"made": made, "token": token, "mood": FilledMood.LOUD, "count": 7}
    row = await FilledEvent.create(name="a", note=None, **values)
    found = await FilledEvent.get(row.id)
    assert (found.made, found.token, found.mood, found.count) == tuple(values.values())
    assert found.note is None
    assert await FilledEvent.create(name="b", note="x") == await FilledEvent.get(name="b")


@pytest.mark.usefixtures("db")
async def test_rows_that_others_make_have_the_defaults() -> None:
    await ferro.execute("insert into filled_event (name) values ('a')")
    row = await FilledEvent.get(name="a")
    assert near(row.made)
    assert (row.mood, row.count, row.note) == (FilledMood.CALM, 3, "none yet")
    assert (row.other, row.third) == (2, 6)
    assert row.token.version == 4
    await FilledEvent.insert_from(FilledEvent.select(name="copy of " + ferro.col(FilledEvent.name)))
    assert (await FilledEvent.get(name="copy of a")).token != row.token


@pytest.mark.usefixtures("db")
async def test_many_rows_read_it_back_with_their_keys() -> None:
    rows = [FilledEvent(name=f"{it}") for it in range(3)]
    rows += [FilledEvent(id=90 + it, name=f"k{it}", count=it) for it in range(2)]
    rows += [FilledEvent(name=f"n{it}", note=None) for it in range(2)]
    assert await FilledEvent.bulk_create(rows, return_keys=True) == 7
    assert [it.count for it in rows] == [3, 3, 3, 0, 1, 3, 3]
    assert [it.note for it in rows] == ["none yet"] * 5 + [None] * 2
    assert sorted(await FilledEvent.all(), key=lambda it: it.name) == sorted(
        rows, key=lambda it: it.name
    )
    rows[0].note = "changed"
    await rows[0].save()
    assert (await FilledEvent.get(rows[0].id)).note == "changed"


@pytest.mark.usefixtures("db")
async def test_many_rows_do_without() -> None:
    rows = [FilledEvent(name="a"), FilledEvent(id=50, name="b")]
    assert await FilledEvent.bulk_create(rows) == 2
    assert [it.made for it in rows] == [None, None]
    for row in rows:
        with pytest.raises(
            ferro.InvalidQuery, match="what the database has filled in is not known"
        ):
            await row.save()
    moment = datetime.datetime(2020, 1, 1, tzinfo=UTC)
    whole = {
        "made": moment,
        "token": uuid.uuid4(),
        "mood": FilledMood.CALM,
        "count": 1,
        "note": None,
    }
    row = FilledEvent(id=60, name="c", **whole)
    await FilledEvent.bulk_create([row])
    row.count = 8
    await row.save()
    assert (await FilledEvent.get(60)).count == 8


@pytest.mark.usefixtures("db")
async def test_a_key_may_be_filled_in() -> None:
    async with ferro.session():
        top = await FilledKey.create(name="top")
        assert isinstance(top.id, uuid.UUID)
        assert await FilledKey.get(top.id) is top
    part = await FilledKey.create(name="part", parent=top)
    assert part.parent_id == top.id
    assert await top.parts.one() == part  # type: ignore[attr-defined]
    rows = [FilledKey(name="a"), FilledKey(name="b", id=uuid.UUID(int=9))]
    await FilledKey.bulk_create(rows, return_keys=True)
    assert {it.id for it in await FilledKey.all()} == {top.id, part.id, *(it.id for it in rows)}
    copied = top.model_copy(update={"id": None})
    await copied.save()
    assert copied.id not in (None, top.id)
    assert (await FilledKey.get(copied.id)).name == "top"


@pytest.mark.usefixtures("db")
async def test_fields_that_are_inherited_and_keys_of_relations_are_filled_in() -> None:
    event = await FilledEvent.create(name="a")
    child = await FilledChild.create()
    assert near(child.made)
    assert await child.event == event
    other = await FilledEvent.create(name="b")
    assert (await FilledChild.create(event=other)).event_id == other.id


@pytest.mark.usefixtures("db")
async def test_upserts_leave_what_the_database_fills_in() -> None:
    first = await FilledEvent.upsert(name="a", count=1, conflict="name")
    assert near(first.made)
    second = await FilledEvent.upsert(name="a", count=2, conflict="name")
    assert (second.count, second.token, second.made) == (2, first.token, first.made)
    rows = [FilledEvent(name="a", count=5), FilledEvent(name="b")]
    assert await FilledEvent.bulk_upsert(rows, conflict="name") == 2
    third = await FilledEvent.get(name="a")
    assert (third.count, third.token, third.note) == (5, first.token, "none yet")
    assert (await FilledEvent.get(name="b")).count == 3
    rows = [FilledEvent(name="b", count=7), FilledEvent(name="a"), FilledEvent(name="d", count=8)]
    assert await FilledEvent.bulk_upsert(rows, conflict="name") == 3
    counts = await FilledEvent.select().order_by("name").column("count")
    assert counts == [5, 7, 8], "what a row leaves to the database stays as it is"
    row, made = await FilledEvent.get_or_create({"note": "x"}, name="c")
    assert made
    assert (row.count, row.note) == (3, "x")


@pytest.mark.usefixtures("db")
async def test_what_is_undone_may_be_stored_again() -> None:
    row, key = FilledEvent(name="a"), FilledKey(name="a")
    with pytest.raises(ZeroDivisionError):
        async with ferro.transaction():
            await row.save()
            await key.save()
            raise ZeroDivisionError
    assert (row.id, row.made, row.token, row.mood, row.count, row.note) == (None,) * 6
    assert key.id is None
    await row.save()
    await key.save()
    assert await FilledEvent.all() == [row]
    assert await FilledKey.all() == [key]


@pytest.mark.usefixtures("db")
async def test_what_was_filled_in_by_any_way_of_writing_goes_when_it_is_undone() -> None:
    one, *many = [FilledEvent(name=it) for it in "abc"]
    token = uuid.UUID(int=5)
    with pytest.raises(ZeroDivisionError):
        async with ferro.transaction():
            upserted = await FilledEvent.upsert(one, conflict="name", update=["note"])
            async with ferro.transaction():
                await FilledEvent.bulk_create(many, return_keys=True)
            many[1].token = token
            raise ZeroDivisionError
    for row in (upserted, *many):
        assert (row.id, row.made, row.mood, row.count) == (None,) * 4
    assert [it.token for it in (upserted, *many)] == [None, None, token]
    await FilledEvent.bulk_create([upserted, *many], return_keys=True)
    assert [it.count for it in await FilledEvent.all()] == [3, 3, 3]
    assert (await FilledEvent.get(name="c")).token == token


@pytest.mark.usefixtures("db")
async def test_what_a_stored_row_had_stays_when_a_write_as_of_a_new_one_is_undone() -> None:
    async with ferro.session():
        row = await FilledEvent.create(name="a")
        before = (row.id, row.made, row.token)
        with pytest.raises(ZeroDivisionError):
            async with ferro.transaction():
                row.other = 5
                await row.save()
                new = FilledEvent(name="a", note="again")
                async with ferro.transaction():
                    assert await FilledEvent.upsert(new, conflict="name", update=["note"]) is row
                raise ZeroDivisionError
        assert (row.id, row.made, row.token) == before
        await row.save()
    assert (await FilledEvent.get(name="a")).made == row.made


@pytest.mark.usefixtures("db")
async def test_a_row_of_which_nothing_is_known_any_more_does_not_hide_why_it_is_undone() -> None:
    with pytest.raises(ZeroDivisionError):
        async with ferro.transaction():
            row = await FilledEvent.create(name="a")
            await row.delete()
            row.id = None
            await FilledEvent.bulk_create([row])
            raise ZeroDivisionError
    assert await FilledEvent.select().count() == 0


@pytest.mark.usefixtures("db")
async def test_a_new_row_is_made_of_what_another_one_dumps() -> None:
    first = FilledEvent(name="a")
    made = await FilledEvent.create(**first.model_dump())
    assert (made.mood, made.count) == (FilledMood.CALM, 3)
    assert near(made.made)
    again = FilledEvent.model_validate_json(first.model_dump_json())
    assert (again.made, again.token, again.count) == (None,) * 3
    with pytest.raises(pydantic.ValidationError):
        FilledEvent(name="b", count="x")
    schema = FilledEvent.model_json_schema()["properties"]["count"]
    assert (schema["type"], "anyOf" in schema) == ("integer", False)
    for values in ({"count": None}, {"id": None}):
        with pytest.raises(ferro.InvalidQuery, match="of stored rows is never None"):
            await FilledEvent.select().update(**values)


@pytest.mark.usefixtures("db")
async def test_all_plain_types_have_one() -> None:
    row = await FilledTypes.create()
    assert await FilledTypes.get(row.id) == row
    assert (row.truth, row.price, row.size, row.day) == (False, Decimal("1.50"), 0.5, DAY)
    assert near(row.reading.replace(tzinfo=UTC))
    assert abs(row.today - row.reading.date()) <= datetime.timedelta(1)
    row.truth = True
    await row.save()
    assert row.counter == 2


@pytest.mark.usefixtures("db")
async def test_a_second_migration_plans_nothing() -> None:
    assert not (await ferro.migrate(dry_run=True)).left


@pytest.fixture
def forgotten() -> Iterator[None]:
    yield
    for table in list(registry._tables.values()):
        if table.name == "filled_change":
            registry.remove(table)


def changing(**fields: tuple[Any, Any]) -> Any:
    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__annotations__": {"id": int | None, **{it: kind for it, (kind, _) in fields.items()}},
        "id": ferro.Field(default=None, primary_key=True),
        **{it: field for it, (_, field) in fields.items()},
    }
    return type(ferro.Model)("FilledChange", (ferro.Model,), namespace, table="filled_change")


@pytest.mark.usefixtures("forgotten")
async def test_a_migration_gives_columns_their_defaults(url: str, dialect: str) -> None:
    first = changing()
    await ferro.connect(url, auto_migrate=True)
    await first.create()
    fields = {
        "made": (datetime.datetime, ferro.Field(db_default=ferro.now)),
        "token": (uuid.UUID, ferro.Field(db_default=ferro.random_uuid)),
        "age": (int, ferro.Field(db_default=4)),
    }
    second = changing(**fields)
    await ferro.migrate()
    assert not (await ferro.migrate(dry_run=True)).left
    row = await second.get(1)
    assert near(row.made)
    assert row.age == 4
    third = changing(**{**fields, "age": (int, ferro.Field(db_default=5))})
    await ferro.migrate()
    assert not (await ferro.migrate(dry_run=True)).left
    assert (await third.create()).age == 5


@pytest.mark.parametrize(
    ("annotation", "options", "message"),
    [
        (int, {"db_default": ferro.now}, "`ferro.now` is a default of date and time and timestamp"),
        (str, {"db_default": ferro.random_uuid}, "of uuid, and this is text"),
        (list[datetime.date], {"db_default": ferro.now}, "and this is a list of date"),
        (int, {"db_default": "5"}, "`FilledWrong.it`: its `db_default` is `ferro.now`, .*not `'5'"),
        (dict, {"db_default": {}}, "a plain value of its type, not `{}`"),
        (list[int], {"db_default": [1]}, r"a plain value of its type, not `\[1\]`"),
        (
            int | None,
            {"default": None, "primary_key": True, "db_default": 5},
            "the database generates it: leave out `db_default`",
        ),
    ],
)
def test_what_the_database_cannot_have_is_named(
    annotation: Any, options: dict[str, Any], message: str
) -> None:
    namespace = {
        "__module__": __name__,
        "__annotations__": {"id": int, "it": annotation},
        "id": ferro.Field(primary_key=True),
        "it": ferro.Field(**options),
    }
    with pytest.raises(ferro.SchemaError, match=message):
        type(ferro.Model)("FilledWrong", (ferro.Model,), namespace)


def test_a_value_that_is_left_to_the_database_is_none_until_then() -> None:
    assert repr(ferro.now) == "ferro.now"
    assert repr(ferro.random_uuid) == "ferro.random_uuid"
    assert FilledTypes().truth is None
    assert not FilledEvent.model_fields["made"].is_required()
    with pytest.raises(pydantic.ValidationError):
        FilledEvent(name="a", made="x")
