"""Where tables are and what they are called in the database: `schema`, `comment`, `db_column`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import ferro
from ferro._tables.registry import registry


class GeoLand(ferro.Model, table="geo_land", schema="geo", comment="Where people live, it's said."):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str = ferro.Field(unique=True)
    towns: ferro.Relation[list[GeoTown]] = ferro.BackRef()


class GeoTown(ferro.Model, table="geo_town", schema="geo", indexes=[("name", "land")]):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    land: ferro.Relation[GeoLand] = ferro.ForeignKey(related_name="towns", db_column="land_no")
    twins: ferro.Relation[list[GeoTown]] = ferro.ManyToMany(related_name="twins_of")


class GeoMayor(ferro.Model, table="geo_mayor"):
    town_id: int
    town: ferro.Relation[GeoTown] = ferro.ForeignKey(primary_key=True, db_column="town")


@pytest.fixture
async def columns(dialect: str) -> Callable[[str], Any]:
    async def columns(table: str) -> list[str]:
        if dialect == "sqlite":
            sql = "select name from pragma_table_info(?) order by cid"
        else:
            sql = (
                "select column_name as name from information_schema.columns "
                "where table_name = $1 order by ordinal_position"
            )
        return [it["name"] for it in await ferro.fetch_all(sql, table)]

    return columns


async def test_tables_of_a_schema_are_as_all_others(db: str, dialect: str) -> None:
    swiss = await GeoLand.create(name="CH")
    bern = await swiss.towns.create(name="Bern")
    biel = await GeoTown.create(name="Biel", land=swiss)
    await bern.twins.add(biel)
    await GeoMayor.create(town=bern)
    assert await GeoTown.where(lambda t: t.land.name == "CH").count() == 2
    assert await GeoTown.where(lambda t: t.twins.any(name="Biel")).one() == bern
    assert [it.name for it in await biel.twins_of] == ["Bern"]  # type: ignore[attr-defined]
    (land,) = await GeoLand.select().include("towns")
    assert sorted(it.name for it in land.towns) == ["Bern", "Biel"]
    assert await GeoTown.where(name="Biel").update(name="Bienne") == 1
    with pytest.raises(ferro.UniqueViolation) as raised:
        await GeoLand.create(name="CH")
    assert raised.value.table == "geo_land"
    sql, _ = GeoTown.select().sql()
    assert ('FROM "geo"."geo_town"' in sql) == (dialect == "postgres")
    if dialect == "postgres":
        found = await ferro.fetch_all(
            "select tablename from pg_tables where schemaname = 'geo' order by tablename"
        )
        assert [it["tablename"] for it in found] == ["geo_land", "geo_town", "geo_town_twins"]


async def test_a_key_of_another_model_has_the_column_that_is_named(
    db: str, columns: Callable[[str], Any]
) -> None:
    assert await columns("geo_town") == ["id", "name", "land_no"]
    assert await columns("geo_mayor") == ["town"]


async def test_a_comment_is_kept_with_the_table(db: str, dialect: str) -> None:
    if dialect == "postgres":
        sql = "select obj_description('geo.geo_land'::regclass) as comment"
        assert await ferro.fetch_all(sql) == [{"comment": "Where people live, it's said."}]


async def test_a_second_migration_plans_nothing(db: str) -> None:
    assert not (await ferro.migrate(dry_run=True)).left


@pytest.fixture
async def forgotten() -> AsyncIterator[None]:
    yield
    for table in list(registry._tables.values()):
        if table.name.startswith("commented"):
            registry.remove(table)


@pytest.mark.usefixtures("forgotten")
async def test_a_migration_follows_comments_and_columns(
    url: str, dialect: str, columns: Callable[[str], Any]
) -> None:
    await ferro.connect(url, auto_migrate=True)

    class Commented(ferro.Model, table="commented"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        land: ferro.Relation[GeoLand | None] = ferro.ForeignKey()

    await ferro.migrate()
    land = await GeoLand.create(name="CH")
    await Commented.create(land=land)
    first = Commented.__ferro_table__
    assert first is not None
    registry.remove(first)

    class Comments(ferro.Model, table="commented", comment="what it is"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        country: ferro.Relation[GeoLand | None] = ferro.ForeignKey(
            db_column="country_no", renamed_from="land"
        )

    planned = await ferro.migrate(dry_run=True)
    assert ("comment on table `commented`" in str(planned)) == (dialect == "postgres")
    await ferro.migrate()
    assert not (await ferro.migrate(dry_run=True)).left
    assert await columns("commented") == ["id", "country_no"]
    assert (await Comments.get(1)).country_id == land.id


@pytest.mark.usefixtures("forgotten")
async def test_an_empty_comment_is_none(url: str, dialect: str) -> None:
    await ferro.connect(url)
    for comment in ("", "what it is", ""):

        class Commented(ferro.Model, table="commented", comment=comment):
            id: int | None = ferro.Field(default=None, primary_key=True)

        planned = await ferro.migrate()
        assert not (await ferro.migrate(dry_run=True)).left
        steps = [it.description for it in planned.applied]
        is_new = "create table `commented`" in steps
        told = "comment on table `commented`" in steps
        assert told == (dialect == "postgres" and not is_new)
        registry.remove(Commented.__ferro_table__)
    if dialect == "postgres":
        (row,) = await ferro.fetch_all("select obj_description('commented'::regclass) as it")
        assert row == {"it": None}


@pytest.mark.usefixtures("forgotten")
async def test_two_schemas_may_have_a_table_of_one_name(url: str, dialect: str) -> None:
    class Commented(ferro.Model, table="commented", schema="one"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        pairs: ferro.Relation[list[Commented]] = ferro.ManyToMany()

    first = Commented

    class Other(ferro.Model, table="commented", schema="two"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        first: ferro.Relation[Commented] = ferro.ForeignKey()

    if dialect == "sqlite":
        with pytest.raises(ferro.SchemaError, match="on SQLite, which has no schemas"):
            await ferro.connect(url, auto_migrate=True)
        return
    await ferro.connect(url, auto_migrate=True)
    async with ferro.session():
        row = await first.create()
        other = await Other.create(first=row)
        assert (row.id, other.id) == (1, 1)
        assert await first.get(1) is row
        assert await Other.get(1) is other
    assert not (await ferro.migrate(dry_run=True)).left


def test_wrong_names_are_told() -> None:
    anything: Any = ferro

    def define(**options: Any) -> None:
        namespace = {
            "__module__": __name__,
            "__annotations__": {"id": int | None},
            "id": ferro.Field(default=None, primary_key=True),
        }
        type(ferro.Model)("WrongPlace", (ferro.Model,), namespace, **options)

    for make, message in (
        (lambda: define(schema=5), "`schema` takes a `str` or None, not `int`"),
        (lambda: define(comment=5), "`comment` takes a `str` or None, not `int`"),
        (lambda: define(comment="x", comments=""), "no option `comments`: did you mean `comment`"),
        (lambda: anything.ForeignKey(db_column=5), "`db_column` takes a `str` or None, not `int`"),
    ):
        with pytest.raises(ferro.SchemaError, match=message):
            make()
