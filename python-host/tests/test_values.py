"""Every type, both ways, on both databases."""

from __future__ import annotations

import contextlib
import datetime
import enum
import math
import uuid
from datetime import timezone
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ferro
from models import Colour, Everything, Size

pytestmark = pytest.mark.usefixtures("db")

UTC = timezone.utc
PLUS_TWO = timezone(datetime.timedelta(hours=2))

VALUES: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [0, -1, 2**63 - 1, -(2**63)],
    "double": [0.0, -1.5, 1e308, 5e-324, math.inf, -math.inf],
    "decimal": [Decimal("0"), Decimal("1.50"), Decimal("-12345678901234567890.123456789"), 7],
    "price": [Decimal("1.50"), Decimal("-9999999999.99")],
    "text": ["", "x", "é\n\t\"'\\ 😀", "a" * 100_000],
    "blob": [b"", b"\0\xff", bytes(range(256))],
    "uuid": [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.uuid4()],
    "date": [datetime.date(1, 1, 1), datetime.date(1970, 1, 1), datetime.date(9999, 12, 31)],
    "time": [datetime.time(0), datetime.time(23, 59, 59, 999_999)],
    "instant": [
        datetime.datetime(1970, 1, 1, tzinfo=UTC),
        datetime.datetime(2024, 2, 29, 12, 30, 15, 123_456, tzinfo=PLUS_TWO),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime.datetime(1, 1, 1, tzinfo=UTC),
    ],
    "local": [
        datetime.datetime(1, 1, 1),
        datetime.datetime(2024, 2, 29, 12, 30, 15, 123_456),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999),
    ],
    "duration": [
        datetime.timedelta(0),
        datetime.timedelta(days=-1, microseconds=1),
        datetime.timedelta(days=400, hours=23, microseconds=7),
    ],
    "document": [{}, {"a": [1, 2.5, None, True, "x"], "b": {"c": []}}, {"é": "😀\0"[:1]}],
    "items": [[], [1, "two", None, {"three": 3}]],
    "colour": [Colour.RED, Colour.GREEN],
    "size": [Size.SMALL, Size.LARGE],
    "integers": [[], [1, -2, 2**63 - 1]],
    "texts": [[], ["", "a,b", '"{}\\'], ["null", "NULL"]],
    "instants": [[datetime.datetime(2024, 1, 1, tzinfo=UTC)]],
}


async def test_every_type_comes_back_as_it_went() -> None:
    for field, values in VALUES.items():
        for value in [*values, None]:
            stored = await Everything.create(**{field: value})
            loaded = await Everything.get(stored.id)
            got = getattr(loaded, field)
            assert got == value, field
            if value is not None:
                assert type(got) is type(getattr(stored, field)), field
            if isinstance(value, Decimal):
                assert str(got) == str(value), "trailing zeros are kept"


async def test_every_type_is_found_by_its_value(dialect: str) -> None:
    not_compared = {"document", "items", "integers", "texts", "instants"}
    if dialect == "sqlite":
        not_compared.add("duration")
    for field, values in VALUES.items():
        if field in not_compared:
            continue
        for value in values:
            row = await Everything.create(**{field: value})
            assert await Everything.where(**{field: value}, id=row.id).exists(), field
            column = getattr(Everything, field)
            if field != "duration":
                assert await Everything.where(column.in_([value]), id=row.id).exists(), field


async def test_every_type_comes_back_from_a_bulk_insert() -> None:
    rows = [
        Everything(id=number, **{field: values[number % len(values)]})
        for number, (field, values) in enumerate(VALUES.items(), 1)
    ]
    await Everything.bulk_create(rows)
    assert await Everything.select().order_by("id").all() == rows


async def test_a_nan_is_stored_as_one() -> None:
    row = Everything(double=math.nan)
    # Pydantic itself takes no such decimal.
    row.decimal = Decimal("NaN")
    await row.save()
    loaded = await Everything.get(row.id)
    assert loaded.double is not None
    assert math.isnan(loaded.double)
    assert loaded.decimal is not None
    assert loaded.decimal.is_nan()


async def test_an_instant_is_one_in_any_zone_and_comes_back_in_utc() -> None:
    noon = datetime.datetime(2024, 6, 1, 12, tzinfo=UTC)
    row = await Everything.create(instant=noon.astimezone(PLUS_TWO))
    loaded = await Everything.get(row.id)
    assert loaded.instant == noon
    assert loaded.instant is not None
    assert loaded.instant.utcoffset() == datetime.timedelta(0)
    assert await Everything.where(Everything.instant < noon + datetime.timedelta(1)).exists()


async def test_an_instant_that_could_not_be_read_back_is_not_written() -> None:
    east, west = (datetime.timezone(datetime.timedelta(hours=hours)) for hours in (14, -3))
    for instant in (
        datetime.datetime(1, 1, 1, tzinfo=east),
        datetime.datetime(9999, 12, 31, 23, tzinfo=west),
    ):
        with pytest.raises(ferro.ValueOutOfRange, match="`Everything.instant` takes an instant"):
            await Everything.create(instant=instant)
    for limit in (datetime.datetime.min, datetime.datetime.max):
        row = await Everything.create(instant=limit.replace(tzinfo=datetime.timezone.utc))
        assert (await Everything.get(row.id)).instant == row.instant


async def test_aware_and_naive_datetimes_are_not_mixed() -> None:
    naive = datetime.datetime(2024, 6, 1)
    with pytest.raises(ferro.TypeMismatch, match="`Everything.instant` takes an aware datetime"):
        await Everything.where(instant=naive).all()
    with pytest.raises(ferro.TypeMismatch, match="`Everything.local` takes a naive datetime"):
        await Everything.where(local=naive.replace(tzinfo=UTC)).all()
    with pytest.raises(ferro.TypeMismatch, match="`Everything.date` takes a date"):
        await Everything.where(date=naive).all()


async def test_decimals_compare_and_sort_as_numbers() -> None:
    for number in ("10", "9.5", "-3", "100"):
        await Everything.create(decimal=Decimal(number))
    rows = await Everything.select().order_by("decimal").all()
    assert [row.decimal for row in rows] == [Decimal(it) for it in ("-3", "9.5", "10", "100")]
    assert await Everything.where(Everything.decimal > Decimal("9.9")).count() == 2


async def test_json_null_inside_a_document_is_not_sql_null() -> None:
    with_null = await Everything.create(document={"a": None})
    without = await Everything.create(document=None)
    assert (await Everything.get(with_null.id)).document == {"a": None}
    assert (await Everything.get(without.id)).document is None
    assert await Everything.where(document=None).count() == 1


async def test_what_is_no_json_is_refused() -> None:
    for document in ({"a": {1, 2}}, {"a": math.nan}, {1: "x"}, {"a": Decimal(1)}):
        row = Everything.model_construct(**dict.fromkeys(Everything.model_fields))
        row.document = document  # type: ignore[assignment]
        with pytest.raises(ferro.TypeMismatch, match="`Everything.document` takes a JSON document"):
            await row.save()
    deep: Any = 1
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(ferro.ValueOutOfRange, match="levels"):
        await Everything.create(document={"a": deep})


async def test_the_deepest_document_that_can_be_written_can_be_read() -> None:
    deepest: Any = {"a": "end"}
    for _ in range(99):
        deepest = {"a": [deepest]}
    assert str(deepest).count("{") + str(deepest).count("[") == 199
    row = await Everything.create(document={"a": deepest})
    await Everything.bulk_create([Everything(document={"a": deepest})])
    assert [it.document for it in await Everything.all()] == [{"a": deepest}] * 2
    found = await Everything.get(row.id)
    part = found.document
    while isinstance(part, dict) and isinstance(part["a"], list):
        part = part["a"][0]
    assert isinstance(part, dict)
    found.document = {"a": [deepest]}
    with pytest.raises(ferro.ValueOutOfRange, match="at most 200 levels"):
        await found.save()
    await found.refresh()
    assert found.document == {"a": deepest}


async def test_a_deeper_document_of_others_is_a_decode_error_that_names_it(dialect: str) -> None:
    await Everything.create(document={})
    cast = "::jsonb" if dialect == "postgres" else ""
    await ferro.execute(f"update everything set document = ?{cast}", "[" * 300 + "]" * 300)
    with pytest.raises(ferro.DecodeError, match="`document` holds a document that .* `id` is 1"):
        await Everything.all()
    with pytest.raises(ferro.DecodeError, match="cannot be read: recursion limit"):
        await Everything.select("document")
    assert await Everything.select().delete() == 1


async def test_values_out_of_range_are_errors_before_the_database() -> None:
    with pytest.raises(ferro.ValueOutOfRange, match="`Everything.integer` takes an int of at most"):
        await Everything.create(integer=2**63)
    with pytest.raises(ferro.ValueOutOfRange, match="surrogates"):
        await ferro.fetch_all("select ?", "\ud800")
    for number in ("Infinity", "-Infinity", "1e999999"):
        with pytest.raises(ferro.ValueOutOfRange, match="`Everything.decimal`"):
            await Everything.where(decimal=Decimal(number)).all()


async def test_y1_any_object_is_a_value_or_an_error_of_ferros() -> None:
    endless: list[Any] = []
    endless.append(endless)
    of_itself = enum.Enum("OfItself", "it").it
    of_itself._value_ = of_itself
    odd: list[Any] = [
        object(),
        (it for it in ()),
        endless,
        {"a": endless},
        10**5000,
        Decimal("NaN"),
        "\ud800",
        b"\0" * 3,
        bytearray(b"x"),
        memoryview(b"x"),
        {1, 2},
        range(3),
        1j,
        ...,
        NotImplemented,
        datetime.timezone.utc,
        datetime.time(1, tzinfo=PLUS_TWO),
        type("Text", (str,), {})("x"),
        type("Number", (int,), {"__index__": lambda _: 1 // 0})(3),
        -(2**63),
        type("Early", (datetime.date,), {"toordinal": lambda _: -(2**31)})(1, 1, 1),
        type("Far", (datetime.datetime,), {"utcoffset": lambda _: datetime.timedelta.max})(1, 1, 1),
    ]
    for value in odd:
        with contextlib.suppress(ferro.FerroError, pydantic.ValidationError):
            await ferro.fetch_all("select ?", value)
        for field in set(Everything.model_fields) - {"id"}:
            row = Everything.model_construct(**dict.fromkeys(Everything.model_fields))
            setattr(row, field, value)
            with contextlib.suppress(ferro.FerroError, pydantic.ValidationError):
                await row.save()
            with contextlib.suppress(ferro.FerroError, pydantic.ValidationError):
                await Everything.where(**{field: value}).count()
            with contextlib.suppress(ferro.FerroError, pydantic.ValidationError):
                await Everything.where(id=0).update(**{field: value})
    with pytest.raises(ferro.TypeMismatch, match="takes a `Colour`"):
        Everything.where(colour=Decimal("sNaN"))
    with pytest.raises(ferro.TypeMismatch, match="an enum that stands for a value"):
        await ferro.fetch_all("select ?", of_itself)


async def test_an_unknown_stored_enum_is_a_decode_error_that_names_it(dialect: str) -> None:
    row = await Everything.create(size=Size.SMALL)
    await ferro.execute("update everything set size = 5 where id = ?", row.id)
    with pytest.raises(ferro.DecodeError, match="column `size` holds 5") as raised:
        await Everything.all()
    assert raised.value.column == "size"


async def test_text_cannot_hold_nul_on_postgres_and_says_so(dialect: str) -> None:
    if dialect == "postgres":
        with pytest.raises(ferro.ValueOutOfRange, match="for field `text` contains the .* NUL"):
            await Everything.create(text="a\0b")
        rows = [Everything(text="ab"), Everything(text="a\0b")]
        with pytest.raises(ferro.ValueOutOfRange, match="for field `text` in row 2 contains"):
            await Everything.bulk_create(rows)
    else:
        row = await Everything.create(text="a\0b")
        assert (await Everything.get(row.id)).text == "a\0b"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text('ab"\\\n\u00e9\U0001f600'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz"), inner, max_size=3),
    max_leaves=8,
)

ROWS = st.fixed_dictionaries(
    {
        "boolean": st.none() | st.booleans(),
        "integer": st.none() | st.integers(-(2**63), 2**63 - 1),
        "double": st.none() | st.floats(allow_nan=False),
        "decimal": st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=6),
        "text": st.none()
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        "blob": st.none() | st.binary(max_size=50),
        "uuid": st.none() | st.uuids(),
        "date": st.none() | st.dates(),
        "time": st.none() | st.times(),
        "instant": st.none()
        | st.datetimes(
            datetime.datetime(2, 1, 1),
            datetime.datetime(9998, 1, 1),
            timezones=st.sampled_from([UTC, PLUS_TWO]),
        ),
        "local": st.none() | st.datetimes(),
        "duration": st.none()
        | st.timedeltas(datetime.timedelta(days=-100_000), datetime.timedelta(days=100_000)),
        "document": st.none() | st.dictionaries(st.text("xyz"), JSON, max_size=3),
        "integers": st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
        "texts": st.none() | st.lists(st.text("a,{}\"\\ '"), max_size=4),
        "colour": st.none() | st.sampled_from(Colour),
    }
)


@given(rows=st.lists(ROWS, min_size=1, max_size=4))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_any_rows_come_back_as_they_went(rows: list[dict[str, Any]]) -> None:
    await ferro.execute("delete from everything")
    instances = [Everything(id=number, **row) for number, row in enumerate(rows, 1)]
    await Everything.bulk_create(instances[1:])
    await instances[0].save()
    assert await Everything.select().order_by("id").all() == instances
