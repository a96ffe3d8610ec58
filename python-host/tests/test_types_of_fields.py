"""What a field may be, besides the plain types: structures, literals, checks, types by name."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType

import pydantic
import pytest
from typing_extensions import TypeAliasType, TypedDict

import ferro

pytestmark = pytest.mark.usefixtures("db")


class Address(pydantic.BaseModel):
    street: str
    since: datetime.date
    geo: tuple[float, float] | None = None


@dataclasses.dataclass
class Phone:
    number: str
    kind: str = "home"


class Extra(TypedDict):
    score: int


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Contact(ferro.Model, table="fields_contact"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    address: Address | None = None
    addresses: list[Address] = ferro.Field(default=[])
    by_name: dict[str, Address] = ferro.Field(default={})
    phone: Phone | None = None
    extra: Extra | None = None
    days: list[datetime.date] = ferro.Field(default=[], db_type="jsonb")
    any: list[Any] = ferro.Field(default=[])


class Checked(ferro.Model, table="fields_checked"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    age: int = ferro.Field(default=20, ge=18, lt=150, db_check=True, db_type="smallint")
    price: Decimal = ferro.Field(
        default=Decimal(1), db_type="numeric(6,2)", db_check=lambda it: it > 0
    )
    colour: Literal["red", "green"] = ferro.Field(default="red", db_check=True)
    level: Level = ferro.Field(default=Level.LOW, db_type="varchar(4)", db_check=True)
    size: Literal[1, 2, 3] = 1
    name: Annotated[str, ferro.Field(db_column="full_name", db_type="varchar(10)")] = ""
    odd: int = ferro.Field(default=1, db_check=lambda it: (it < 0) | (it >= 1) & (it != 13))


async def test_structures_are_documents_and_come_back_as_they_were() -> None:
    home = Address(street="Way 1", since=datetime.date(2020, 2, 29), geo=(1.5, 2.5))
    away = Address(street="Way 2", since=datetime.date(2021, 1, 1))
    made = await Contact.create(
        address=home,
        addresses=[home, away],
        by_name={"away": away},
        phone=Phone("123"),
        extra={"score": 5},
        days=[datetime.date(2024, 1, 2)],
        any=[1, "two", {"three": None}],
    )
    found = await Contact.get(made.id)
    assert found == made
    assert isinstance(found.address, Address)
    assert found.phone == Phone("123")
    assert await Contact.select().values("phone", "days") == [
        {"phone": Phone("123"), "days": [datetime.date(2024, 1, 2)]}
    ]
    stored = await ferro.fetch_all("select address from fields_contact")
    assert "2020-02-29" in str(stored)


async def test_a_change_inside_of_a_structure_is_saved() -> None:
    home = Address(street="Way 1", since=datetime.date(2020, 2, 29))
    made = await Contact.create(address=home)
    found = await Contact.get(made.id)
    assert found.address is not None
    found.address.street = "Way 9"
    found.addresses.append(home)
    await found.save()
    again = await Contact.get(made.id)
    assert again.address is not None
    assert (again.address.street, len(again.addresses)) == ("Way 9", 1)


async def test_a_document_of_another_shape_is_named() -> None:
    made = await Contact.create(address=Address(street="x", since=datetime.date(2020, 1, 1)))
    await Contact.where(id=made.id).update(any=[1])
    await ferro.execute("""update fields_contact set address = '{"street": 5}'""")
    with pytest.raises(
        ferro.DecodeError, match="column `address` holds a document with a different"
    ):
        await Contact.all()


async def test_checks_of_the_database_are_those_of_pydantic() -> None:
    await Checked.create(age=18, price=Decimal("9999.99"), colour="green", level=Level.HIGH)
    for column, value in (
        ("age", 17),
        ("age", 150),
        ("price", 0),
        ("colour", "'blue'"),
        ("level", "'none'"),
        ("odd", 0),
        ("odd", 13),
    ):
        with pytest.raises(ferro.CheckViolation):
            await ferro.execute(f"update fields_checked set {column} = {value}")
    await ferro.execute("update fields_checked set odd = -1, full_name = 'ok'")
    assert [(it.odd, it.name) for it in await Checked.all()] == [(-1, "ok")]
    assert await Checked.where(name="ok", level=Level.HIGH, colour="green").count() == 1


async def test_pydantic_says_no_before_the_database_is_asked() -> None:
    for wrong in ({"age": 17}, {"colour": "blue"}, {"size": 4}):
        with pytest.raises(pydantic.ValidationError):
            await Checked.create(**wrong)
        with pytest.raises(pydantic.ValidationError):
            await Checked.select().update(**wrong)


def test_types_and_checks_that_do_not_fit_are_named() -> None:
    def define(annotation: Any, **options: Any) -> None:
        namespace = {
            "__module__": __name__,
            "__annotations__": {"id": int | None, "it": annotation},
            "id": ferro.Field(default=None, primary_key=True),
            "it": ferro.Field(**options),
        }
        type(ferro.Model)("Wrong", (ferro.Model,), namespace)

    for annotation, options, message in (
        (int, {"db_type": "money"}, "`Wrong.it`: there is no `db_type` `money`"),
        (int, {"db_type": "integer; drop table x"}, "there is no `db_type`"),
        (int, {"db_type": "text"}, "a field of type integer cannot be stored as `text`"),
        (int, {"db_type": "jsonb"}, "a field of type integer is not a document"),
        (int, {"db_type": "integer(5)"}, "the type `integer` has no size"),
        (int, {"db_check": True}, "checks what Pydantic checks, but there is nothing"),
        (int, {"db_check": lambda it: it > "x"}, "a check cannot compare integer with `'x'`"),
        (
            int,
            {"db_check": lambda _: True},
            "`db_check` must compare fields, such as `lambda age: age >= 18`, not return `bool`",
        ),
        (Literal["a", 1], {}, "the values of a `Literal` are all texts"),
        (int, {"db_column": 5}, "`db_column` takes a `str` or None, not `int`"),
        (int, {"db_type": int}, "`db_type` takes a `str` or None, not `type`"),
        (int, {"db_check": "it > 5"}, "`db_check` takes True, or a function"),
    ):
        with pytest.raises(ferro.SchemaError, match=message):
            define(annotation, **options)
    number: Any = 5
    with pytest.raises(ferro.SchemaError, match="`table` takes a `str` or None, not `int`"):

        class Wrong(ferro.Model, table=number):
            id: int | None = ferro.Field(default=None, primary_key=True)


MemberId = NewType("MemberId", int)
Email = NewType("Email", str)
Addresses = TypeAliasType("Addresses", list[Address])
Score = TypeAliasType("Score", int | None)


class Named(ferro.Model, table="fields_named"):
    id: MemberId | None = ferro.Field(default=None, primary_key=True)
    email: Email = ferro.Field(unique=True, db_type="varchar(50)")
    score: Score = None
    emails: list[Email] = ferro.Field(default=[])
    addresses: Addresses = ferro.Field(default=[])
    friend: ferro.Relation[Named | None] = ferro.ForeignKey(related_name="friends", default=None)


async def test_types_with_another_name_are_what_they_stand_for() -> None:
    address = Address(street="Kramgasse", since=datetime.date(1903, 1, 1))
    one = await Named.create(email=Email("a@b"), emails=["x", "y"], addresses=[address])
    two = await Named.create(email=Email("c@d"), score=5, friend=one)
    assert await Named.where(Named.emails.contains("x")).one() == one
    assert await Named.where(friend=one, score=5).one() == two
    assert await Named.where(score=None).one() == one
    assert (await Named.get(MemberId(one.id or 0))).addresses == [address]


class Shelf(ferro.Model, table="fields_shelf"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    label: str = ferro.Field(default="", index=True)
    loose: str = ferro.Field(default="", nullable=True)
    filled: str | None = ferro.Field(default="", nullable=False)
    contact: ferro.Relation[Contact | None] = ferro.ForeignKey(index=True)
    other: ferro.Relation[Contact | None] = ferro.ForeignKey()


class Seat(ferro.Model, table="fields_seat", uniques=[("row", "hall")], indexes=[("hall", "row")]):
    hall: str = ferro.Field(primary_key=True)
    number: int = ferro.Field(primary_key=True)
    row: int = 0
    taken: bool = False


async def test_a_key_of_several_fields() -> None:
    seat = await Seat.create(hall="A", number=1, row=1)
    await Seat.create(hall="B", number=1, row=1)
    assert await Seat.get(("A", 1)) == seat
    assert await Seat.get(hall="A", number=1) == seat
    seat.taken = True
    await seat.save()
    assert await Seat.where(taken=True) == [seat]
    with pytest.raises(ferro.UniqueViolation):
        await Seat.create(hall="A", number=1, row=2)
    with pytest.raises(ferro.UniqueViolation):
        await Seat.create(hall="A", number=2, row=1)
    await seat.refresh()
    await seat.delete()
    assert [it.hall for it in await Seat.select().limit(5)] == ["B"]
    with pytest.raises(ferro.InvalidQuery, match="is a tuple of `hall`, `number`"):
        await Seat.get("A")


async def test_indexes_are_there(dialect: str) -> None:
    sql = {
        "sqlite": "select count(*) as n from sqlite_master "
        "where type = 'index' and tbl_name = 'fields_seat'",
        "postgres": "select count(*) as n from pg_indexes where tablename = 'fields_seat'",
    }[dialect]
    assert await ferro.fetch_one(sql) == {"n": 3}


async def test_a_field_and_a_relation_may_have_an_index(dialect: str) -> None:
    sql = {
        "sqlite": "select i.name as field from pragma_index_list('fields_shelf') l, "
        "pragma_index_info(l.name) i where l.origin = 'c' and not l.\"unique\"",
        "postgres": "select a.attname::text as field from pg_index i join pg_attribute a "
        "on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[]) "
        "where i.indrelid = 'fields_shelf'::regclass and not i.indisunique",
    }[dialect]
    fields = sorted(row["field"] for row in await ferro.fetch_all(sql))
    assert fields == ["contact_id", "label"]


async def test_a_column_may_be_null_as_its_field_says_whatever_its_type() -> None:
    with pytest.raises(ferro.NotNullViolation):
        await Shelf.create(filled=None)
    shelf = await Shelf.create()
    await ferro.execute("update fields_shelf set loose = null")
    with pytest.raises(ferro.NotNullViolation):
        await ferro.execute("update fields_shelf set label = null")
    # It is loaded as it is.
    assert (await Shelf.get(shelf.id)).loose is None


def test_fields_that_there_are_not_cannot_be_indexed() -> None:
    with pytest.raises(ferro.SchemaError, match="has no field `nope` to index"):

        class Wrong(ferro.Model, table="fields_wrong", uniques=[("id", "nope")]):
            id: int = ferro.Field(primary_key=True)

    with pytest.raises(ferro.SchemaError, match="are lists of lists of fields"):

        class Flat(ferro.Model, table="fields_flat", uniques=["id"]):
            id: int = ferro.Field(primary_key=True)


class Span(pydantic.BaseModel):
    days: int


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (dict[str, int], "a document cannot be {}, as SQLite .* a separate field"),
        (list[Span], "a document cannot be {}"),
        (Span, "a document cannot be {}"),
        (datetime.timedelta, "a `timedelta` cannot be {}, as SQLite .* as an `int`"),
    ],
)
def test_what_cannot_be_compared_is_no_key(annotation: Any, message: str) -> None:
    def define(key: bool, field: Any, **options: Any) -> None:
        namespace = {
            "__module__": __name__,
            "__annotations__": {"id": int, "it": annotation},
            "id": ferro.Field(primary_key=key),
            "it": field,
        }
        type(ferro.Model)("Keyed", (ferro.Model,), namespace, **options)

    where = "field `Keyed.it`: "
    with pytest.raises(ferro.SchemaError, match=where + message.format("a primary key")):
        define(False, ferro.Field(primary_key=True))
    with pytest.raises(ferro.SchemaError, match=where + message.format("a primary key")):
        define(True, ferro.Field(primary_key=True))
    with pytest.raises(ferro.SchemaError, match=where + message.format("unique")):
        define(True, ferro.Field(unique=True))
    with pytest.raises(ferro.SchemaError, match=where + message.format("unique")):
        define(True, ferro.Field(), uniques=[("id", "it")])


def test_a_list_is_no_primary_key() -> None:
    with pytest.raises(ferro.SchemaError, match=r"`Listed.id`: a list cannot be a primary key"):

        class Listed(ferro.Model, table="fields_listed"):
            id: list[int] = ferro.Field(primary_key=True)


Name = Annotated[str, ferro.Field(unique=True, max_length=5)]
Amount = Annotated[Decimal, pydantic.Field(max_digits=5, decimal_places=2, ge=0)]


class Aliased(ferro.Model, table="fields_aliased"):
    id: Annotated[int, ferro.Field(primary_key=True)] | None = None
    name: Name | None = None
    amount: Annotated[Amount | None, ferro.Field(db_check=True)] = None
    other: Annotated[Name | None, ferro.Field(index=True, db_column="another")] = None


async def test_what_the_alias_of_a_type_says_holds_where_there_may_be_none(db: str) -> None:
    made = await Aliased.create(name="a", amount=Decimal("1.5"), other="b")
    assert made.id == 1
    for twice in ({"name": "a"}, {"other": "b"}):
        with pytest.raises(ferro.UniqueViolation):
            await Aliased.create(**twice)
    for long in ("name", "another"):
        with pytest.raises(ferro.CheckViolation):
            await ferro.execute(f"update fields_aliased set {long} = 'abcdef'")
    with pytest.raises(ferro.CheckViolation):
        await ferro.execute("update fields_aliased set amount = '-1'")


async def test_a_field_may_be_deprecated(db: str) -> None:
    class Older(ferro.Model, table="fields_older"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        age: int = ferro.Field(default=1, deprecated=True)

    await ferro.create_tables()
    made = await Older.create(age=2)
    assert (await Older.get(age=2)).model_dump() == {"id": made.id, "age": 2}


class Anything(ferro.Model, table="fields_anything"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    value: pydantic.JsonValue = None
    values: list[pydantic.JsonValue] = ferro.Field(default=[])


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "7", [], [1, None, {"a": "b"}], {"a": [2]}])
async def test_a_json_value_is_any_document(value: Any) -> None:
    made = await Anything.create(value=value, values=[value])
    assert made.id is not None
    found = await Anything.get(made.id)
    assert found == made
    assert (found.value, found.values) == (value, [value])
    assert await Anything.where(ferro.col(Anything.value).is_null()).exists() == (value is None)
    found.value = [value]
    await found.save()
    found.value.append(1)
    await found.save()
    assert (await Anything.get(made.id)).value == [value, 1]


class Dated(ferro.Model, table="fields_dated"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    born: pydantic.PastDate
    due: pydantic.FutureDate | None = None
    seen: pydantic.PastDatetime | None = None
    next: pydantic.FutureDatetime | None = None
    days: list[pydantic.PastDate] = ferro.Field(default=[])


async def test_dates_that_pydantic_compares_with_now_are_dates() -> None:
    day, later = datetime.date(2020, 1, 1), datetime.date(2999, 1, 1)
    seen = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    made = await Dated.create(
        born=day, due=later, seen=seen, next=seen.replace(year=2999), days=[day]
    )
    found = await Dated.where(born=day, due=later, seen=seen).one()
    assert found == made
    assert await Dated.where(ferro.col(Dated.days).contains(day)).count() == 1
    with pytest.raises(pydantic.ValidationError):
        await Dated.select().update(born=later)
