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


class FromSqlLater(ferro.Model, table="from_sql_later"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str


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
        with pytest.raises(ferro.DecodeError, match="column `duration`"):
            await Everything.from_sql(sql, text)


async def test_documents_that_are_computed_are_documents(dialect: str) -> None:
    await Loose.create()
    one = {
        "sqlite": "json_set({}, '$[0]', 2) as {}",
        "postgres": "jsonb_set({}, '{{0}}', '2') as {}",
    }[dialect]
    for name, other in (("strict", "loose"), ("loose", "strict")):
        sql = f"select id, {one.format(name, name)}, {other} from from_sql_loose"
        (found,) = await Loose.from_sql(sql)
        assert (getattr(found, name), getattr(found, other)) == ([2], [1])
        await found.save()
        found.strict.append(3)
        await found.save()
        assert (await Loose.get(found.id)).strict == found.strict
        await Loose.where(id=found.id).update(strict=[1])
    for text, expected in (('"x"', "x"), ("null", None), ("7", 7)):
        cast = "?" if dialect == "sqlite" else "cast(? as text)"
        (found,) = await Loose.from_sql(
            f"select id, {cast} as loose, strict from from_sql_loose", text
        )
        assert found.loose == expected


async def test_numbers_and_texts_of_another_type_are_read_as_the_field(dialect: str) -> None:
    await Everything.create(**VALUES)
    more = {"sqlite": "ferro_add(price, '0.5')", "postgres": "price + 0.5"}[dialect]
    other = {
        "double": ("3", 3.0),
        "decimal": ("2", Decimal(2)),
        "price": (more, Decimal("3.60")),
        "integer": ("(select sum(integer) from everything)", VALUES["integer"]),
        "date": ("cast('2024-02-28' as text)", datetime.date(2024, 2, 28)),
        "instant": ("cast('2024-03-01T13:30:00+01:00' as text)", INSTANT),
        "uuid": (f"cast('{VALUES['uuid']}' as text)", VALUES["uuid"]),
    }
    names = [name for name in Everything.model_fields if name not in other]
    columns = ", ".join(names + [f"{sql} as {name}" for name, (sql, _) in other.items()])
    (found,) = await Everything.from_sql(f"select {columns} from everything")
    for name, (_, expected) in other.items():
        value = getattr(found, name)
        assert (value, type(value)) == (expected, type(expected)), name
    columns = columns.replace(more, "cast(price as double precision)")
    with pytest.raises(ferro.DecodeError, match="`price` in row 1, .* a float, which does not"):
        await Everything.from_sql(f"select {columns} from everything")


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
    for _ in range(2):
        for sql, message in {
            "select id, name from users": "returns no `age`, `email`, `active`: .* of `users`",
            "select *, age as ages from users": "returns `ages`, which is not expected: leave",
            "select id, name, age as ages, email, active from users": "no `age`, but `ages`",
            "select *, id from users": "two columns are called `id`",
            "create table from_sql_nothing (id integer)": "the statement returns no rows",
            "update users set age = 1": r"returns no rows: add `returning \*`",
        }.items():
            with pytest.raises(ferro.InvalidQuery, match=message):
                await User.from_sql(sql)
        await User.create(name="Ada")
    with pytest.raises(ferro.UndefinedObject):
        await ferro.fetch_all("select * from from_sql_nothing")


async def test_what_has_other_columns_writes_nothing() -> None:
    for sql in (
        "insert into users (name, age, active) values ('Ada', 1, true) returning id",
        "insert into users (name, age, active) values ('Ada', 1, true) returning *, 1 as one",
    ):
        for _ in range(2):
            with pytest.raises(ferro.InvalidQuery, match="its columns must be those of `users`"):
                await User.from_sql(sql)
        async with ferro.transaction():
            with pytest.raises(ferro.InvalidQuery, match="its columns must be those of `users`"):
                await User.from_sql(sql)
            assert await User.select().count() == 0
    await User.from_sql("insert into users (name, age, active) values ('Ada', 1, true) returning *")
    assert await User.select().count() == 1


async def test_a_statement_that_was_prepared_before_a_migration_is_prepared_anew(
    dialect: str,
) -> None:
    await FromSqlLater.from_sql("select * from from_sql_later")
    sql = "update from_sql_later set name = name returning *"
    assert await FromSqlLater.from_sql(sql) == []
    await ferro.execute("alter table from_sql_later drop column name")
    for statement in ("select * from from_sql_later", "delete from from_sql_later returning *"):
        with pytest.raises(ferro.InvalidQuery, match="returns no `name`"):
            await FromSqlLater.from_sql(statement)
    default = "default 'x' not null"
    await ferro.execute(f"alter table from_sql_later add column name text {default}")
    await ferro.execute("insert into from_sql_later (id) values (7)")
    (found,) = await FromSqlLater.from_sql("select * from from_sql_later")
    (same,) = await FromSqlLater.from_sql(sql)
    (gone,) = await FromSqlLater.from_sql("delete from from_sql_later returning *")
    assert found == same == gone == FromSqlLater(id=7, name="x")


async def test_rows_are_streamed() -> None:
    users = [await User.create(name=f"user {number}") for number in range(5)]
    sql = "select * from users where id > ? order by id"
    for batch in (1, 2, 5, 1_000):
        assert [it async for it in User.stream_sql(sql, 0, batch=batch)] == users
    async with ferro.session(), ferro.transaction() as transaction:
        (last,) = [it async for it in User.using(transaction).stream_sql(sql, users[-2].id)]
        assert await User.get(users[-1].id) is last
    with pytest.raises(ferro.ValueOutOfRange, match="`batch` takes an int of at least 1"):
        await anext(User.stream_sql(sql, 0, batch=0))
    with pytest.raises(ferro.InvalidQuery, match="returns no `name`"):
        await anext(User.stream_sql("select id from users"))
    with pytest.raises(ferro.DecodeError, match="column `age` in row 3") as raised:
        listed = "id, name, email, active, case when id = ? then null else age end as age"
        rows = User.stream_sql(f"select {listed} from users order by id", users[2].id, batch=1)
        assert [await anext(rows), await anext(rows)] == users[:2]
        await anext(rows)
    assert raised.value.column == "age"


@pytest.mark.parametrize(
    ("column", "sql", "given"),
    [
        ("age", "'x'", "is (stored as|of type) `text`, where `integer` is expected"),
        ("age", "null", "is null, where `integer` is expected"),
        ("age", "1.5", "is (stored as `real`, where|a decimal that is not a 64-bit integer)"),
        ("name", "5", "is (stored as|of type) `integer`, where `text` is expected"),
        ("active", "7", "is the integer 7, where a boolean is 0 or 1"),
    ],
)
async def test_a_value_that_a_field_cannot_hold_is_an_error(
    column: str, sql: str, given: str
) -> None:
    columns = {"id": "1", "name": "'x'", "age": "1", "email": "null", "active": "1", column: sql}
    listed = ", ".join(f"{value} as {name}" for name, value in columns.items())
    place = f"the value of column `{column}` in row 1, whose `id` is 1, "
    with pytest.raises(ferro.DecodeError, match=place + given) as raised:
        await User.from_sql(f"select {listed}")
    assert (raised.value.table, raised.value.column) == ("users", column)


async def test_documents_and_enums_of_another_shape_are_errors() -> None:
    key, plain = str(uuid.UUID(int=1)), "'t' as title, data, tags"
    await Document.create(title="t")
    with pytest.raises(ferro.DecodeError, match="column `data` .* JSON"):
        await Document.from_sql(
            f"select '{key}' as key, 't' as title, 'x' as data, tags from document"
        )
    (found,) = await Document.from_sql(f"select '{key}' as key, {plain} from document")
    assert found.key == uuid.UUID(key)
    await Everything.create(colour=Colour.RED)
    columns = [it for it in Everything.model_fields if it != "colour"]
    with pytest.raises(ferro.DecodeError, match="'x', which is not a value of its enum"):
        await Everything.from_sql(f"select {', '.join(columns)}, 'x' as colour from everything")


async def test_a_transaction_rolls_back_what_was_written_with_values_that_no_field_holds() -> None:
    sql = (
        "insert into users (name, age, active) values ('Ada', 1, true) "
        "returning id, name, 'x' as age, email, active"
    )
    with pytest.raises(ferro.DecodeError):
        async with ferro.transaction():
            await User.from_sql(sql)
    assert await User.select().count() == 0


async def test_r1_instances_from_sql_text_are_refused_unless_it_is_granted() -> None:
    acme = ferro.Tenant("acme", grants={"default": {"access": "read-write"}})
    with ferro.scope(acme), pytest.raises(ferro.DeniedError):
        await User.from_sql("select * from users")


async def test_what_execute_refuses_is_refused() -> None:
    with pytest.raises(ferro.InvalidQuery, match="a tuple is not a value"):
        await User.from_sql("select * from users where age = ?", (1,))
    with pytest.raises(ferro.InvalidQuery, match="`sql` takes a `str`"):
        await User.from_sql(User.select())  # type: ignore[arg-type]
    with pytest.raises(ferro.QueryError, match="takes 1 parameters"):
        await User.from_sql("select * from users where age = ?")
