"""Instances from SQL text: `User.from_sql`."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

import pydantic
import pytest

import ferro
from models import Colour, Document, Everything, Sealed, Size, User

pytestmark = pytest.mark.usefixtures("db")

INSTANT = datetime.datetime(2024, 3, 1, 12, 30, tzinfo=datetime.timezone.utc)
VALUES: dict[str, Any] = {
    "boolean": True,
    "integer": 2**62,
    "double": 2.5,
    "decimal": Decimal("1.500"),
    "price": Decimal("3.10"),
    "text": "36",
    "blob": b"\x00x",
    "uuid": uuid.UUID(int=5),
    "date": datetime.date(2024, 2, 29),
    "time": datetime.time(1, 2, 3, 4),
    "instant": INSTANT,
    "local": datetime.datetime(2024, 1, 1),
    "duration": datetime.timedelta(days=2, seconds=5, microseconds=7),
    "document": {"a": [1, None]},
    "items": [1, "x"],
    "colour": Colour.RED,
    "size": Size.LARGE,
    "integers": [1, 2],
    "texts": ["a", "5"],
    "instants": [INSTANT],
}


class Shape(pydantic.BaseModel):
    sides: int


class Sticker(ferro.Model, table="from_sql_sticker"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    label: str = ferro.Field(db_column="text of label", min_length=3)
    shape: Shape | None = None
    made: list[uuid.UUID] = ferro.Field(default_factory=list)
    blobs: list[bytes] = ferro.Field(default_factory=list)
    prices: list[Decimal] = ferro.Field(default_factory=list)
    flags: list[bool] = ferro.Field(default_factory=list)
    owner: ferro.Relation[User | None] = ferro.ForeignKey(related_name="stickers", default=None)
    _seen: list[str] = pydantic.PrivateAttr(default_factory=list)

    def model_post_init(self, context: object) -> None:
        self._seen.append(self.label)


class Loose(ferro.Model, table="from_sql_loose"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    strict: list[Any] = ferro.Field(default=[1])
    loose: pydantic.JsonValue = ferro.Field(default=[1])


async def test_rows_are_instances_with_the_values_of_their_fields() -> None:
    for values in (VALUES, {}):
        made = await Everything.create(**values)
        (found,) = await Everything.from_sql("select * from everything where id = ?", made.id)
        assert found == made
        assert {it: type(getattr(found, it)) for it in values} == {
            it: type(getattr(made, it)) for it in values
        }
        assert found == await Everything.get(made.id)


async def test_they_are_stored_rows() -> None:
    ada = await User.create(name="Ada", age=36)
    (found,) = await User.from_sql("select * from users where name = ?", "Ada")
    assert found.model_fields_set == set(User.model_fields)
    await found.save()
    found.age = 37
    await found.save()
    await ada.refresh()
    assert ada.age == 37
    (changed,) = await User.from_sql("update users set age = age + 1 returning *")
    assert changed.age == 38
    await changed.delete()
    assert await User.select().count() == 0


async def test_columns_are_named_as_in_the_database_in_any_order() -> None:
    sealed = await Sealed.create(outsideName="x")
    (found,) = await Sealed.from_sql("select secret, id from sealed")
    assert (found.id, found.secret) == (sealed.id, "x")
    ada = await User.create(name="Ada")
    made = [uuid.UUID(int=7)]
    sticker = await Sticker.create(
        label="star",
        shape=Shape(sides=5),
        made=made,
        blobs=[b"\xca\xfe", b""],
        prices=[Decimal("1.10")],
        flags=[True, False],
        owner=ada,
    )
    (same,) = await Sticker.from_sql("select * from from_sql_sticker")
    assert same == sticker
    assert (same.shape, same.made, same._seen) == (Shape(sides=5), made, ["star"])
    assert (await same.owner) == ada
    same.shape = Shape(sides=6)
    await same.save()
    assert await Sticker.where(lambda s: s.shape["sides"] == 6).count() == 1


async def test_what_is_read_is_not_validated_again() -> None:
    sticker = await Sticker.create(label="star")
    await ferro.execute("update from_sql_sticker set \"text of label\" = 'x'")
    (found,) = await Sticker.from_sql("select * from from_sql_sticker")
    assert (found.id, found.label, found.blobs) == (sticker.id, "x", [])


async def test_what_is_computed_has_the_type_of_the_field() -> None:
    await Everything.create(**VALUES)
    names = [name for name in Everything.model_fields if name not in ("document", "items")]
    rest = ", ".join(f"coalesce({name}, null) as {name}" for name in names)
    (found,) = await Everything.from_sql(f"select {rest}, document, items from everything")
    assert found == await Everything.select().one()
    (user,) = await User.from_sql(
        "select sum(1) as id, 'x' as name, 1 as age, null as email, 1 = 1 as active"
    )
    assert user == User(id=1, name="x", age=1)
    assert type(user.id) is int


async def test_intervals_that_are_computed_have_a_sign_for_each_part() -> None:
    columns = ", ".join(it for it in Everything.model_fields if it != "duration")
    sql = f"select {columns}, coalesce(duration, null) as duration from everything"
    hour = datetime.timedelta(hours=1)
    for duration in (-hour, -49 * hour, datetime.timedelta(microseconds=-1), 10**6 * hour):
        made = await Everything.create(duration=duration)
        (found,) = await Everything.from_sql(f"{sql} where id = ?", made.id)
        assert found.duration == duration


async def test_texts_of_intervals_are_read_as_the_driver_reads_them(dialect: str) -> None:
    if dialect != "sqlite":
        pytest.skip("a text is a text on PostgreSQL")
    await Everything.create()
    columns = ", ".join(it for it in Everything.model_fields if it != "duration")
    sql = f"select {columns}, ? as duration from everything"
    (found,) = await Everything.from_sql(sql, "P1W1DT-4H5M-6.5S")
    assert found.duration == datetime.timedelta(8, hours=-4, minutes=5, seconds=-6.5)
    for text in ("P", "P1DT", "PT", "P1M", "P-1M0DT0.000000S", "1 day", f"P{'9' * 40}D"):
        with pytest.raises(ferro.DecodeError, match="a `str` for `Everything.duration`"):
            await Everything.from_sql(sql, text)


async def test_documents_that_are_computed_are_texts_where_they_may_be(dialect: str) -> None:
    if dialect != "sqlite":
        pytest.skip("documents have a type on PostgreSQL")
    await Loose.create()
    sql = "select id, json_set({}, '$[0]', 2) as {}, {} from from_sql_loose"
    with pytest.raises(ferro.DecodeError, match="a `str` for `Loose.strict`"):
        await Loose.from_sql(sql.format("strict", "strict", "loose"))
    (found,) = await Loose.from_sql(sql.format("loose", "loose", "strict"))
    assert (found.strict, found.loose) == ([1], "[2]")


async def test_a_connection_and_a_transaction_are_named() -> None:
    await ferro.connect("sqlite::memory:", "other", auto_migrate=True)
    await User.using("other").create(name="Eve")
    (found,) = await User.using("other").from_sql("select * from users")
    assert found.name == "Eve"
    async with ferro.transaction() as transaction:
        await User.create(name="Ada")
        (ada,) = await User.using(transaction).from_sql("select * from users")
        assert ada.name == "Ada"


async def test_one_row_is_one_object_in_a_session() -> None:
    async with ferro.session():
        ada = await User.create(name="Ada")
        (found,) = await User.from_sql("select * from users")
        assert found is ada


async def test_a_missing_column_and_one_too_many_are_named() -> None:
    assert await User.from_sql("select id from users") == []
    await User.create(name="Ada")
    with pytest.raises(ferro.InvalidQuery, match="`User.from_sql`: .* gives no `age`, `email`, `a"):
        await User.from_sql("select id, name from users")
    with pytest.raises(ferro.InvalidQuery, match="no column `ages`: .*did you mean `age`"):
        await User.from_sql("select *, age as ages from users")
    with pytest.raises(ferro.InvalidQuery, match="two columns are called `id`"):
        await User.from_sql("select *, id from users")


@pytest.mark.parametrize(
    ("column", "sql", "given"),
    [
        ("age", "'x'", "a `str` for `User.age`"),
        ("age", "null", "a null for `User.age`"),
        ("age", "1.5", "a `(float|Decimal)` for `User.age`"),
        ("name", "5", "a `int` for `User.name`"),
        ("active", "7", "a `int` for `User.active`"),
    ],
)
async def test_a_value_that_a_field_cannot_hold_is_an_error(
    column: str, sql: str, given: str
) -> None:
    columns = {"id": "1", "name": "'x'", "age": "1", "email": "null", "active": "1", column: sql}
    listed = ", ".join(f"{value} as {name}" for name, value in columns.items())
    with pytest.raises(ferro.DecodeError, match=f"gives {given}") as raised:
        await User.from_sql(f"select {listed}")
    assert raised.value.column == column


async def test_documents_and_enums_of_another_shape_are_errors() -> None:
    key, plain = str(uuid.UUID(int=1)), "'t' as title, data, tags"
    await Document.create(title="t")
    with pytest.raises(ferro.DecodeError, match="a `str` for `Document.data`"):
        await Document.from_sql(
            f"select '{key}' as key, 't' as title, 'x' as data, tags from document"
        )
    (found,) = await Document.from_sql(f"select '{key}' as key, {plain} from document")
    assert found.key == uuid.UUID(key)
    await Everything.create(colour=Colour.RED)
    columns = [it for it in Everything.model_fields if it != "colour"]
    with pytest.raises(ferro.DecodeError, match="not a value of its enum"):
        await Everything.from_sql(f"select {', '.join(columns)}, 'x' as colour from everything")


async def test_r1_instances_from_sql_text_are_refused_unless_it_is_granted() -> None:
    acme = ferro.Tenant("acme", grants={"default": {"access": "read-write"}})
    with ferro.scope(acme), pytest.raises(ferro.DeniedError):
        await User.from_sql("select * from users")


async def test_what_execute_refuses_is_refused() -> None:
    with pytest.raises(ferro.InvalidQuery, match="a tuple is no value"):
        await User.from_sql("select * from users where age = ?", (1,))
    with pytest.raises(ferro.InvalidQuery, match="`sql` takes a `str`"):
        await User.from_sql(User.select())  # type: ignore[arg-type]
    with pytest.raises(ferro.QueryError, match="takes 1 parameters"):
        await User.from_sql("select * from users where age = ?")
