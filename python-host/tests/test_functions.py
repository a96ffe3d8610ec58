"""Functions of values, casts and `case`: the same on both databases, wherever a value can stand."""

from __future__ import annotations

import datetime
import enum
from decimal import Decimal
from typing import Any

import pydantic
import pytest

import ferro
from models import Everything

UTC = datetime.timezone.utc


LARGE = "987654321098765432"


class Grade(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Parcel(ferro.Model):
    id: int | None = ferro.Field(default=None, primary_key=True)
    label: str = ""
    price: Decimal = Decimal(0)
    weight: float = 0.0
    pieces: int = 0
    grade: Grade = Grade.LOW
    day: datetime.date = datetime.date(2024, 2, 29)
    at: datetime.datetime = datetime.datetime(2024, 2, 29, 23, 59, 58, 999_999, UTC)
    naive: pydantic.NaiveDatetime = datetime.datetime(2023, 1, 1, 12)
    time: datetime.time = datetime.time(6, 7, 8, 900_000)
    note: str | None = None


async def values(**computed: Any) -> dict[str, Any]:
    """What is computed of the only row."""
    row: dict[str, Any] = await Parcel.select(**computed).one()
    return row


@pytest.mark.usefixtures("db")
async def test_texts_are_cut_searched_and_replaced() -> None:
    await Parcel.create(label=" größe ")
    label: Any = Parcel.label
    assert await values(
        start=label.trim_start(),
        end=label.trim_end(),
        left=label.left(4),
        right=label.right(3),
        middle=label.substring(2, 3),
        rest=label.substring(5),
        position=label.position("ö"),
        nowhere=label.position("x"),
        replaced=label.replace("ß", "ss"),
        with_field=label.replace(label.trim(), "x"),
        null=Parcel.note.left(1),
    ) == {
        "start": "größe ",
        "end": " größe",
        "left": " grö",
        "right": "ße ",
        "middle": "grö",
        "rest": "ße ",
        "position": 4,
        "nowhere": 0,
        "replaced": " grösse ",
        "with_field": " x ",
        "null": None,
    }


@pytest.mark.usefixtures("db")
async def test_numbers_are_rounded_and_decimals_to_digits() -> None:
    price: Any = Parcel.price
    weight: Any = Parcel.weight
    for given, whole, cents, below, above in (
        ("2.345", "2", "2.35", "2", "3"),
        ("-2.345", "-2", "-2.35", "-3", "-2"),
        ("0.5", "1", "0.50", "0", "1"),
        ("-0.5", "-1", "-0.50", "-1", "0"),
        (
            "12345678901234567890.005",
            *("1234567890123456789" + it for it in ("0", "0.01", "0", "1")),
        ),
    ):
        await Parcel.select().delete()
        await Parcel.create(price=Decimal(given), weight=2.5)
        row = await values(
            whole=price.round(), cents=price.round(2), below=price.floor(), above=price.ceiling()
        )
        expected = {"whole": whole, "cents": cents, "below": below, "above": above}
        assert {name: str(value) for name, value in row.items()} == expected
    assert await Parcel.where((price * Decimal("1.19")).round(1) > 1).count() == 1
    assert await values(a=weight.round(), b=weight.floor(), c=(-weight).ceiling()) == {
        "a": 3.0,
        "b": 2.0,
        "c": -2.0,
    }


@pytest.mark.usefixtures("db")
async def test_dates_and_times_have_parts_and_distances() -> None:
    await Parcel.create()
    at: Any = Parcel.at
    day: Any = Parcel.day
    time: Any = Parcel.time
    assert await values(
        **{name: getattr(at, name)() for name in ("year", "month", "day", "hour", "minute")},
        second=time.second(),
        weekday=day.isoweekday(),
        nth=day.day_of_year(),
    ) == {
        "year": 2024,
        "month": 2,
        "day": 29,
        "hour": 23,
        "minute": 59,
        "second": 8,
        "weekday": datetime.date(2024, 2, 29).isoweekday(),
        "nth": 60,
    }
    for part, moment in (
        ("year", (2024, 1, 1)),
        ("month", (2024, 2, 1)),
        ("day", (2024, 2, 29)),
        ("hour", (2024, 2, 29, 23)),
        ("minute", (2024, 2, 29, 23, 59)),
        ("second", (2024, 2, 29, 23, 59, 58)),
    ):
        assert await values(it=at.truncate(part)) == {"it": datetime.datetime(*moment, tzinfo=UTC)}
    midnight = datetime.datetime(2023, 1, 1)
    new_year = datetime.date(2024, 1, 1)
    assert await values(
        month=day.truncate("month"),
        naive=Parcel.naive.truncate("day"),
        days=day.days_between(new_year),
        before=(day.truncate("year")).days_between(day),
        micros=at.microseconds_between(at.truncate("second")),
        since=Parcel.naive.microseconds_between(midnight),
    ) == {
        "month": datetime.date(2024, 2, 1),
        "naive": midnight,
        "days": 59,
        "before": -59,
        "micros": 999_999,
        "since": 12 * 3_600_000_000,
    }


@pytest.mark.usefixtures("db")
async def test_dates_and_times_are_moved() -> None:
    await Parcel.create()
    day, at, naive = ferro.col(Parcel.day), ferro.col(Parcel.at), ferro.col(Parcel.naive)
    days, hours = datetime.timedelta(days=1), datetime.timedelta(hours=-25, microseconds=3)
    row: Any = await Parcel.get(id=1)
    assert await values(
        later=day + days,
        earlier=day - 60,
        field=day + Parcel.pieces,
        at=at + hours,
        reflected=hours + at,
        sides=ferro.col(Parcel.pieces) + 1 + day + 1,
        swapped=(at - at.truncate("year")) + naive,
        naive=naive - hours,
        between=at - datetime.datetime(2024, 1, 1, tzinfo=UTC),
        opposite=datetime.datetime(2024, 1, 1, tzinfo=UTC) - at,
        own=naive - naive.truncate("month"),
        moved=at + (at - at.truncate("year")),
    ) == {
        "later": row.day + days,
        "earlier": row.day - 60 * days,
        "field": row.day,
        "at": row.at + hours,
        "reflected": row.at + hours,
        "sides": row.day + 2 * days,
        "swapped": row.naive + (row.at - datetime.datetime(2024, 1, 1, tzinfo=UTC)),
        "naive": row.naive - hours,
        "between": row.at - datetime.datetime(2024, 1, 1, tzinfo=UTC),
        "opposite": datetime.datetime(2024, 1, 1, tzinfo=UTC) - row.at,
        "own": datetime.timedelta(hours=12),
        "moved": row.at + (row.at - datetime.datetime(2024, 1, 1, tzinfo=UTC)),
    }
    recent = Parcel.where(at - hours < datetime.datetime(2024, 3, 1, tzinfo=UTC))
    assert await recent.count() == 0
    moved = {"day": day + days, "at": at + days, "naive": lambda p: p.naive - days}
    assert await Parcel.select().update(**moved) == 1
    again: Any = await Parcel.get(id=1)
    assert (again.day, again.at) == (row.day + days, row.at + days)
    assert again.naive == row.naive - days


@pytest.mark.usefixtures("db")
async def test_weeks_and_quarters() -> None:
    await Parcel.create(day=datetime.date(2021, 1, 3))
    day, at = ferro.col(Parcel.day), ferro.col(Parcel.at)
    assert await values(
        week=day.week(),
        iso_year=day.iso_year(),
        quarter=day.quarter(),
        first=day.truncate("week"),
        naive=ferro.col(Parcel.naive).truncate("week"),
        at=at.truncate("quarter"),
    ) == {
        "week": 53,
        "iso_year": 2020,
        "quarter": 1,
        "first": datetime.date(2020, 12, 28),
        "naive": datetime.datetime(2022, 12, 26),
        "at": datetime.datetime(2024, 1, 1, tzinfo=UTC),
    }


@pytest.mark.usefixtures("db")
async def test_what_does_not_move_a_date_is_refused() -> None:
    day, at = ferro.col(Parcel.day), ferro.col(Parcel.at)
    with pytest.raises(ferro.TypeMismatch, match="takes whole days"):
        day + datetime.timedelta(hours=25)
    for compute in (
        lambda: day - day,
        lambda: day - datetime.date(2024, 1, 1),
        lambda: datetime.date(2024, 1, 1) - day,
    ):
        with pytest.raises(ferro.TypeMismatch, match="use `days_between`"):
            compute()
    with pytest.raises(ferro.TypeMismatch, match="is shifted by a `timedelta`, not by a date"):
        at + day
    with pytest.raises(ferro.TypeMismatch, match="not by a timestamptz"):
        at + at
    with pytest.raises(ferro.TypeMismatch, match="add whole days"):
        day + (at - at)
    with pytest.raises(ferro.TypeMismatch, match="cannot be subtracted from"):
        datetime.timedelta(1) - at
    for moved in (day, at, ferro.col(Parcel.naive)):
        for other in (None, moved == moved, ferro.col(Everything.document)["at"]):
            for compute in (lambda a, b: a + b, lambda a, b: a - b):
                with pytest.raises(ferro.TypeMismatch):
                    compute(moved, other)
                with pytest.raises(ferro.TypeMismatch):
                    compute(other, moved)
    await Parcel.create()
    for value in (at + 1, at * 2, at - ferro.col(Parcel.naive)):
        with pytest.raises(ferro.TypeMismatch):
            await values(value=value)
    with pytest.raises(ferro.ValueOutOfRange):
        await values(value=day + 10**12)


@pytest.mark.usefixtures("db")
async def test_casts_give_values_of_the_type_that_they_name() -> None:
    await Parcel.create(pieces=7, weight=-2.9, price=Decimal("1.50"))
    pieces: Any = Parcel.pieces
    at: Any = Parcel.at
    day: Any = Parcel.day
    row = await values(
        float=pieces.cast(float) / 2,
        decimal=pieces.cast(Decimal),
        text=pieces.cast(str) + " pieces",
        whole=Parcel.weight.cast(int),
        huge=(Parcel.weight * 1e300).cast(int),
        day=at.cast(datetime.date),
        time=at.cast(datetime.time),
        naive=at.cast(pydantic.NaiveDatetime),
        instant=day.cast(datetime.datetime),
        truth=Parcel.price.cast(float),
    )
    assert row == {
        "float": 3.5,
        "decimal": Decimal(7),
        "text": "7 pieces",
        "whole": -2,
        "huge": None,
        "day": datetime.date(2024, 2, 29),
        "time": datetime.time(23, 59, 58, 999_999),
        "naive": datetime.datetime(2024, 2, 29, 23, 59, 58, 999_999),
        "instant": datetime.datetime(2024, 2, 29, tzinfo=UTC),
        "truth": 1.5,
    }
    assert [type(row[name]) for name in ("float", "decimal", "whole")] == [float, Decimal, int]


@pytest.mark.usefixtures("db")
async def test_a_case_is_the_value_of_the_first_condition_that_holds() -> None:
    await Parcel.bulk_create([Parcel(label="abc"[n], pieces=n, price=Decimal(n)) for n in range(3)])
    pieces: Any = Parcel.pieces
    size = ferro.case((pieces < 1, "small"), (pieces < 2, "middling"), otherwise="large")
    rows = Parcel.select().order_by("label")
    assert [row["size"] for row in await rows.values(size=size)] == ["small", "middling", "large"]
    assert [row["size"] for row in await Parcel.select(size=size).order_by(size)] == [
        "large",
        "middling",
        "small",
    ]
    assert await Parcel.where(size == "large").count() == 1
    assert await Parcel.select().group_by(size).having(ferro.count() > 0).order_by(size).values(
        size=size, sum=pieces.sum()
    ) == [
        {"size": "large", "sum": 2},
        {"size": "middling", "sum": 1},
        {"size": "small", "sum": 0},
    ]
    first = rows.limit(1)
    assert await first.values(
        null=ferro.case((pieces > 5, 1)),
        given=ferro.case((pieces < 5, None), otherwise=1),
        wider=ferro.case((pieces > 5, 1), otherwise=0.5),
        field=ferro.case((pieces < 5, pieces), otherwise=Parcel.price),
    ) == [{"null": None, "given": None, "wider": 0.5, "field": Decimal(0)}]
    assert (
        await rows.update(pieces=lambda p: ferro.case((p.pieces > 1, 0), otherwise=p.pieces)) == 3
    )
    assert await Parcel.select().sum("pieces") == 1


@pytest.mark.usefixtures("db")
async def test_a_case_of_members_is_a_member() -> None:
    await Parcel.create(pieces=1)
    grade: Any = Parcel.grade
    some: Any = Parcel.pieces > 0
    assert await values(
        member=ferro.case((some, grade), otherwise=Grade.HIGH),
        other=ferro.case((~some, grade), otherwise=Grade.HIGH),
        none=grade.null_if(Grade.LOW),
        same=grade.null_if(Grade.HIGH),
    ) == {"member": Grade.LOW, "other": Grade.HIGH, "none": None, "same": Grade.LOW}


@pytest.mark.usefixtures("db")
async def test_an_aggregate_may_take_some_rows_of_its_group_only() -> None:
    await Parcel.bulk_create(
        [
            Parcel(label="ab"[n % 2], pieces=n, price=Decimal(n), note="x" * n or None)
            for n in range(5)
        ]
    )
    pieces: Any = Parcel.pieces
    many = pieces > 1
    groups = Parcel.select().group_by("label").order_by("label")
    assert await groups.values(
        label="label",
        all=ferro.count(),
        many=ferro.count(where=many),
        noted=Parcel.note.count(where=pieces < 2),
        sum=pieces.sum(where=many),
        average=Parcel.price.avg(where=many),
        least=pieces.min(where=many),
        most=pieces.max(where=~many),
    ) == [
        {
            "label": "a",
            "all": 3,
            "many": 2,
            "noted": 0,
            "sum": 6,
            "average": Decimal(3),
            "least": 2,
            "most": 0,
        },
        {
            "label": "b",
            "all": 2,
            "many": 1,
            "noted": 1,
            "sum": 3,
            "average": Decimal(3),
            "least": 3,
            "most": 1,
        },
    ]


@pytest.mark.usefixtures("db")
async def test_rows_are_grouped_by_what_is_computed() -> None:
    for month, count in ((1, 2), (3, 1)):
        await Parcel.bulk_create([Parcel(day=datetime.date(2024, month, 9)) for _ in range(count)])
    month: Any = Parcel.day.truncate("month")
    assert await Parcel.select().group_by(month).order_by(month).values(
        month=month, parcels=ferro.count()
    ) == [
        {"month": datetime.date(2024, 1, 1), "parcels": 2},
        {"month": datetime.date(2024, 3, 1), "parcels": 1},
    ]


@pytest.mark.usefixtures("db")
async def test_what_a_function_does_not_take_is_told_with_the_field() -> None:
    label: Any = Parcel.label
    weight: Any = Parcel.weight
    day: Any = Parcel.day
    pieces: Any = Parcel.pieces
    for make, error, message in (
        (lambda: label.year(), ferro.TypeMismatch, "`Parcel.label`: `year` does not take text"),
        (lambda: weight.round(2), ferro.TypeMismatch, "float and a number of digits"),
        (lambda: Parcel.price.round(101), ferro.ValueOutOfRange, "from 0 to 100"),
        (lambda: label.left(0), ferro.ValueOutOfRange, "from 1 to 2147483647"),
        (lambda: label.right(2**31), ferro.ValueOutOfRange, "from 1 to 2147483647"),
        (lambda: label.left(True), ferro.InvalidQuery, "`length` takes an int, not `bool`"),
        (lambda: label.coalesce(pieces), ferro.TypeMismatch, "of one type: text and integer"),
        (lambda: label.replace("a", 1), ferro.TypeMismatch, "`Parcel.label` takes a str"),
        (lambda: day.truncate("hour"), ferro.TypeMismatch, "`truncate-hour` does not take date"),
        (lambda: day.truncate("decade"), ferro.InvalidQuery, "`part` takes one of `year`"),
        (lambda: label.cast(int), ferro.UnsupportedError, "a cast from text to integer"),
        (lambda: label.cast("int"), ferro.TypeMismatch, "can only be cast to a field type"),
        (lambda: ferro.case(), ferro.InvalidQuery, "`case` needs a branch with a value"),
        (lambda: ferro.case((pieces > 1, None)), ferro.InvalidQuery, "needs a branch with a value"),
        (lambda: ferro.case(pieces > 1, 1), ferro.InvalidQuery, "a branch of `case` is a pair"),
        (lambda: ferro.case((True, 1)), ferro.InvalidQuery, "`case` takes a condition"),
        (lambda: ferro.case((pieces > 1, object())), ferro.TypeMismatch, "not `object`"),
        (lambda: ferro.case((pieces > 1, 1), otherwise="x"), ferro.TypeMismatch, "`case` takes"),
        (lambda: ferro.count(where=True), ferro.InvalidQuery, "`where` takes a condition"),
    ):
        with pytest.raises(error) as caught:
            await Parcel.select(it=make())
        assert message in str(caught.value)
