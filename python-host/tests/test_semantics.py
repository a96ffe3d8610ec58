"""What operations mean at their edges, where no other test of the package says it."""

from __future__ import annotations

import datetime
import random
import uuid
from typing import Any

import pytest

import ferro
from models import Everything, User

pytestmark = pytest.mark.usefixtures("db")


class Country(ferro.Model, table="sem_country"):
    """Its key is a text, of another name than usual."""

    code: str = ferro.Field(primary_key=True)
    cities: ferro.Relation[list[City]] = ferro.BackRef()


class City(ferro.Model, table="sem_city"):
    """Its key is made by the client."""

    token: uuid.UUID = ferro.Field(default_factory=uuid.uuid4, primary_key=True)
    name: str
    country: ferro.Relation[Country] = ferro.ForeignKey(related_name="cities")
    twins: ferro.Relation[list[City]] = ferro.ManyToMany(related_name="twin_of")


Country.model_rebuild()


async def test_a_null_of_any_type_binds_with_that_type() -> None:
    await Everything.create(integer=1)
    for field in Everything.model_fields:
        if field != "id":
            assert await Everything.select().update(**{field: None}) == 1, field
            assert await Everything.where(**{field: None}).count() == 1, field


async def test_exists_stops_at_the_first_row() -> None:
    await User.bulk_create([User(name="first"), User(name="second", age=-(2**63))])
    # Of the second row the condition cannot be computed: whoever goes on to it fails.
    query = User.where(User.age.abs() >= 0)
    assert await query.exists() is True
    with pytest.raises(ferro.ValueOutOfRange):
        await query.count()
    assert await User.where(User.age > 0).exists() is False


async def test_pages_are_right_with_nulls_and_ties() -> None:
    ages = [number % 3 for number in range(40)]
    users = [
        User(id=number + 1, name="same", age=age, email=None if number % 2 else f"{number:02}")
        for number, age in enumerate(ages)
    ]
    random.Random(3).shuffle(users)
    await User.bulk_create(users)
    for terms in (["age"], ["-age"], ["email"], ["-email", "age"], ["name"], []):
        query = User.select().order_by(*terms)
        pages = [
            user.id for start in range(0, 40, 7) for user in await query.limit(7).offset(start)
        ]
        assert sorted(pages, key=lambda it: it or 0) == list(range(1, 41)), terms
        assert pages == [user.id for user in await query.limit(100)], terms
    by_email = await User.select().order_by("-email").limit(40)
    assert [user.email is None for user in by_email] == [False] * 20 + [True] * 20


async def test_a_key_may_have_any_name_and_type_relations_included() -> None:
    swiss, french = Country(code="CH"), Country(code="FR")
    await Country.bulk_create([swiss, french])
    bern = await City.create(name="Bern", country=swiss)
    lyon = await swiss.cities.create(name="Lyon")
    assert (bern.country_id, lyon.country_id) == ("CH", "CH")  # type: ignore[attr-defined]
    lyon.country = french  # type: ignore[assignment]
    await lyon.save()
    await bern.twins.add(lyon)
    assert [city.name for city in await bern.twins] == ["Lyon"]
    assert [city.token for city in await lyon.twin_of] == [bern.token]  # type: ignore[attr-defined]
    assert [city.name for city in await french.cities] == ["Lyon"]
    loaded = await Country.select().include("cities.twins").order_by("code")
    assert [[city.name for city in country.cities] for country in loaded] == [["Bern"], ["Lyon"]]
    assert await City.where(lambda c: c.country.code == "FR").count() == 1
    assert await City.where(lambda c: c.twins.any(name="Lyon")).count() == 1
    # The pairs go, and no city does.
    await bern.twins.clear()
    assert await City.select().count() == 2
    assert await bern.twins.count() == 0


async def test_deleting_over_a_relation_deletes_exactly_its_rows() -> None:
    swiss, french = Country(code="CH"), Country(code="FR")
    await Country.bulk_create([swiss, french])
    for country in (swiss, french):
        for name in ("a", "b", "c"):
            await country.cities.create(name=name)
    assert await swiss.cities.where(City.name > "a").delete() == 2
    assert (
        await City.where(lambda c: c.country.code == "FR").order_by("-name").limit(1).delete() == 1
    )
    assert [city.name for city in await City.select().order_by("name")] == ["a", "a", "b"]
    one, *_ = await french.cities.order_by("name")
    await one.twins.add(*await swiss.cities)
    assert await one.twins.update(name="twin") == 1
    assert await one.twins.delete() == 1
    assert await City.select().count() == 2


async def test_the_stored_form_of_instants_sorts_as_it_stands(dialect: str) -> None:
    zones = [datetime.timezone(datetime.timedelta(hours=hours)) for hours in (-11, 0, 2, 14)]
    start = datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=zones[1])
    instants = [
        (start + datetime.timedelta(microseconds=step)).astimezone(zones[step % 4])
        for step in (0, 1, 2, 10, 1_000_000, 86_400_000_000, 40_000 * 86_400_000_000)
    ]
    shuffled = list(enumerate(instants))
    random.Random(5).shuffle(shuffled)
    for number, instant in shuffled:
        await Everything.create(integer=number, instant=instant)
    rows = await ferro.fetch_all("select integer as n from everything order by instant")
    assert [row["n"] for row in rows] == list(range(len(instants)))
    stored = await Everything.select().order_by("integer")
    assert [row.instant for row in stored] == instants
    assert all(
        row.instant is not None and row.instant.utcoffset() == datetime.timedelta()
        for row in stored
    )


async def test_integers_have_64_bits_and_never_become_floats() -> None:
    row = await Everything.create(integer=2**63 - 1)
    with pytest.raises(ferro.ValueOutOfRange):
        await Everything.select().update(integer=lambda e: e.integer + 1)
    assert (await Everything.get(row.id)).integer == 2**63 - 1
    with pytest.raises(ferro.ValueOutOfRange):
        await Everything.select().update(integer=2**63)
    with pytest.raises(ferro.ValueOutOfRange):
        await Everything.bulk_create([Everything(integer=2**64)])


async def test_schema_changes_under_a_live_pool_give_no_stale_plans() -> None:
    await User.create(name="Ada")

    async def everywhere() -> None:
        for _ in range(3):
            assert [user.name for user in await User.where(name="Ada")] == ["Ada"]
            assert len(await ferro.fetch_all("select * from users where name = ?", "Ada")) == 1

    await everywhere()
    await ferro.execute("alter table users add column extra text")
    await everywhere()
    (row,) = await ferro.fetch_all("select * from users")
    assert "extra" in row
    await ferro.execute("alter table users rename column extra to other")
    await everywhere()
    (row,) = await ferro.fetch_all("select * from users")
    assert "other" in row
    await ferro.execute("alter table users drop column other")
    await everywhere()
    (row,) = await ferro.fetch_all("select * from users")
    assert list(row) == list(User.model_fields)


async def test_an_inner_failure_leaves_the_outer_block_usable() -> None:
    await User.create(name="Ada", email="a@x.org")
    async with ferro.transaction():
        await User.create(name="Ben")
        with pytest.raises(ferro.UniqueViolation):
            async with ferro.transaction():
                await User.create(name="Cyd")
                await User.create(name="Dee", email="a@x.org")
        await User.create(name="Eve")
    assert {user.name for user in await User.all()} == {"Ada", "Ben", "Eve"}


async def test_one_row_that_cannot_be_decoded_is_named(dialect: str) -> None:
    await Everything.create(id=1, date=datetime.date(2024, 1, 1))
    # On PostgreSQL a column holds nothing but its type: what cannot be read is what Python has not.
    value = "99999-01-01" if dialect == "postgres" else "never"
    await ferro.execute(f"insert into everything (id, date) values (77, '{value}')")
    with pytest.raises(ferro.DecodeError, match="date.* whose `id` is 77") as raised:
        await Everything.select().order_by("id")
    assert (raised.value.table, raised.value.column) == ("everything", "date")
    await ferro.execute("update everything set date = null, size = 5 where id = 77")
    with pytest.raises(ferro.DecodeError, match="holds 5.* whose `id` is 77") as raised:
        await Everything.all()
    assert (raised.value.table, raised.value.column) == ("everything", "size")


async def test_a_field_of_another_model_is_refused_wherever_it_stands() -> None:
    swiss = await Country.create(code="CH")
    await City.create(name="Bern", country=swiss)
    queries: list[Any] = [
        City.where(User.name == "Bern"),
        City.where(lambda c: ~((c.name == "Bern") & (User.name == c.name))),
        City.where(City.name == User.name),
        City.where(lambda c: c.country.cities.any(User.name == "Bern")),
        City.where(lambda c: c.country.cities.any(lambda _: Country.cities.any())),
        City.where(City.country.code == "CH", Country.cities.none()),
        City.select().order_by(User.name),
        City.select().order_by(User.name.desc()),
        City.select().values(User.name),
        City.select().values(name=lambda _: User.name.upper()),
        City.select().group_by(User.name).values(n=ferro.count()),
        City.select().group_by("name").having(User.name.count() > 0).values(n=ferro.count()),
    ]
    for query in queries:
        with pytest.raises(ferro.InvalidQuery, match=r"a field of `(User|Country)` in .* `City`"):
            await query
    for work in (
        City.select().update(name=User.name),
        City.where(User.name == "Bern").delete(),
        City.select().max(User.name),
        City.where(User.name == "Bern").count(),
    ):
        with pytest.raises(ferro.InvalidQuery, match="a field of `User` in a query of `City`"):
            await work
    assert [city.name for city in await City.all()] == ["Bern"]


async def test_fields_of_the_same_model_are_taken_from_wherever_they_come() -> None:
    class Named(ferro.Model, abstract=True):
        id: int | None = ferro.Field(default=None, primary_key=True)
        name: str
        chief: ferro.Relation[Country | None] = ferro.ForeignKey()

    class Person(Named, table="sem_person"):
        boss: ferro.Relation[Person | None] = ferro.ForeignKey(related_name="staff")

    class Worker(Named, table="sem_worker"):
        pass

    class Pilot(Worker, table="sem_pilot"):
        hours: int = 0

    await ferro.create_tables()
    swiss = await Country.create(code="CH")
    ada = await Person.create(name="Ada", chief=swiss)
    ben = await Person.create(name="Ben", boss=ada)
    for condition in (
        Person.boss.name == "Ada",
        Person.boss.chief.code == "CH",
        Person.boss == ada,
        (Person.name == "Ben") & Person.staff.none(),  # type: ignore[attr-defined]
        Person.boss.staff.any(Person.name == "Ben"),  # type: ignore[attr-defined]
    ):
        assert await Person.where(condition).all() == [ben]
    pilot = await Pilot.create(name="Cyd", hours=3)
    assert await Pilot.where(Worker.name == "Cyd").order_by(Worker.id).limit(1).all() == [pilot]
    with pytest.raises(ferro.InvalidQuery, match="a field of `Pilot` in a query of `Worker`"):
        await Worker.where(Pilot.hours > 1)


async def test_an_error_of_the_core_names_the_fields_that_it_is_about() -> None:
    for query, message in (
        (lambda: User.where(lambda u: u.age + u.name > 3), "`User.age`, `User.name`: expected a"),
        (lambda: User.select(n=lambda u: u.age.lower()), "`User.age`: `lower` does not take integ"),
        (lambda: User.select("age").group_by("name"), "`User.age`: the field is neither grouped"),
        (lambda: User.where(lambda u: (u.age > 1) & u.name), "`User.name`: expected a boolean as"),
        (
            lambda: Country.where(lambda c: c.cities.any(lambda t: t.name * t.country_id < "")),
            "`City.name`, `City.country_id`: expected a number, got text",
        ),
        (
            lambda: City.select(it=lambda c: c.name * c.country.code),
            "`City.name`, `City.country.code`: expected a number, got text",
        ),
    ):
        with pytest.raises(ferro.QueryError, match=f"^{message}"):
            await query().all()
