"""SQL as text."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

import pytest

import ferro
from models import User

pytestmark = pytest.mark.usefixtures("db")


async def test_placeholders_are_question_marks_or_numbers_on_every_database() -> None:
    await User.create(name="Ada?", age=36)
    for sql in (
        "select name from users where age = ? and name = ?",
        "select name from users where age = $1 and name = $2",
        "select name from users where age = ? and name like '%?' and name = ? -- ?",
    ):
        assert await ferro.fetch_all(sql, 36, "Ada?") == [{"name": "Ada?"}], sql


async def test_execute_counts_and_fetch_one_takes_the_first() -> None:
    insert = "insert into users (name, age, active) values (?, ?, ?)"
    assert await ferro.execute(insert, "Ada", 1, True) == 1
    assert await ferro.execute(insert, "Ben", 2, False) == 1
    assert await ferro.execute("update users set age = age + ?", 1) == 2
    assert await ferro.fetch_one("select age from users order by age") == {"age": 2}
    assert await ferro.fetch_one("select age from users where age > 100") is None
    assert await ferro.fetch_all("select age from users where age > 100") == []


async def test_values_in_a_tuple_are_not_taken_for_an_array() -> None:
    for call in (ferro.execute, ferro.fetch_all, ferro.fetch_one):
        with pytest.raises(ferro.InvalidQuery, match=r"pass the values one by one, `fetch_all\("):
            await call("select name from users where age = ?", (36,))


async def test_a_list_is_an_array_and_not_the_values_of_in(dialect: str) -> None:
    await User.bulk_create([User(name=name, age=age) for age, name in enumerate("abc")])
    message = r"`in \(\?\)` takes one value, not a list: write a placeholder for each value"
    for sql, arguments in (
        ("select name from users where age in (?)", ([1, 2],)),
        ("select name from users where age NOT IN ( $1 )", ([1, 2],)),
        ("select '?', name as \"?\" from users where name = ? and age in\n(?) -- ?", ("a", [1])),
        ("select name from users where name = $2 and age in ($1)", ([1], "a")),
    ):
        for call in (ferro.fetch_all, ferro.fetch_one, ferro.execute, User.from_sql):
            with pytest.raises(ferro.InvalidQuery, match=message):
                await call(sql, *arguments)
        with pytest.raises(ferro.InvalidQuery, match=message):
            async for _ in User.stream_sql(sql, *arguments):
                pass
    array = {"sqlite": "in (select value from json_each(?))", "postgres": "= any(?)"}[dialect]
    for sql, arguments in (
        (f"select name from users where age {array} order by age", ([1, 2],)),
        ("select name from users where age in (?, ?) order by age", (1, 2)),
        (f"select name from users where age in (?) or age {array} order by age", (1, [2])),
        (f"select name from users where 'in (?)' <> '' and age {array} order by age", ([1, 2],)),
    ):
        assert await ferro.fetch_all(sql, *arguments) == [{"name": "b"}, {"name": "c"}], sql


async def test_fetch_one_of_a_write_writes_all_of_it() -> None:
    for number in range(3):
        await User.create(name=f"user{number}", age=number)
    row = await ferro.fetch_one("update users set age = age + 10 returning age")
    assert row is not None
    assert row["age"] in (10, 11, 12)
    assert await User.where(User.age >= 10).count() == 3


async def test_a_missing_or_extra_value_is_an_error_before_the_database() -> None:
    for values in ((), (1, 2)):
        message = f"the statement takes 1 parameters, but {len(values)} were given"
        with pytest.raises(ferro.QueryError, match=message):
            await ferro.fetch_all("select * from users where age = ?", *values)


async def test_several_statements_are_refused() -> None:
    await User.create(name="Ada")
    with pytest.raises(ferro.QueryError, match="there is more than one statement"):
        await ferro.execute("delete from users; delete from users")
    assert await User.select().count() == 1


async def test_wrong_sql_is_a_query_error_with_its_code(dialect: str) -> None:
    with pytest.raises(ferro.SqlSyntaxError) as raised:
        await ferro.fetch_all("selec 1")
    with pytest.raises(ferro.UndefinedObject) as missing:
        await ferro.fetch_all("select * from nowhere")
    for error, sqlstate in ((raised.value, "42601"), (missing.value, "42P01")):
        assert isinstance(error, ferro.QueryError)
        assert error.sqlstate == (sqlstate if dialect == "postgres" else None)


async def test_values_have_the_type_of_the_object(dialect: str) -> None:
    if dialect == "sqlite":
        pytest.skip("SQLite has no types for the results of expressions")
    values: list[tuple[str, Any]] = [
        ("bigint", 5),
        ("float8", 1.5),
        ("boolean", True),
        ("text", "x"),
        ("bytea", b"\0"),
        ("numeric", Decimal("1.50")),
        ("uuid", uuid.uuid4()),
        ("date", datetime.date(2024, 2, 29)),
        ("time", datetime.time(1, 2, 3)),
        ("timestamp", datetime.datetime(2024, 2, 29)),
        ("timestamptz", datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc)),
        ("interval", datetime.timedelta(days=2, seconds=3)),
        ("jsonb", {"a": [1, None]}),
        ("jsonb", [{"a": 1}, None, 2]),
        ("bigint[]", [1, 2]),
        ("text[]", ["a", None]),
        ("text", None),
    ]
    for kind, value in values:
        assert await ferro.fetch_one(f"select ?::{kind} as it", value) == {"it": value}, kind


async def test_an_object_without_a_type_in_sql_is_refused_by_position() -> None:
    with pytest.raises(ferro.TypeMismatch, match="argument 2 takes a value .* not `object`"):
        await ferro.fetch_all("select ?, ?", 1, object())


async def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ferro.InvalidQuery, match="two columns are called `a`: name one of them"):
        await ferro.fetch_all("select 1 as a, 2 as a")
    assert await ferro.fetch_all("select 1 as a, 2 as b") == [{"a": 1, "b": 2}]
