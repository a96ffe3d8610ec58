"""What counts as a change: all that a database keeps apart, though it is equal in Python."""

from __future__ import annotations

import datetime
import enum
import zoneinfo
from decimal import Decimal
from typing import Any

import pydantic
import pytest

import ferro

pytestmark = pytest.mark.usefixtures("db")

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
SUMMER = datetime.datetime(2024, 7, 1, 12, tzinfo=BERLIN)
FIRST = datetime.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)
NAN = float("nan")


class ChangedColour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Part(pydantic.BaseModel):
    value: Any = None


class Doc(ferro.Model, table="changes_doc"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    data: dict[str, Any] = ferro.Field(default={})
    items: list[Any] = ferro.Field(default=[])
    part: Part | None = None
    amount: Decimal = Decimal(0)
    amounts: list[Decimal] = ferro.Field(default=[])
    number: float = 0.0
    price: Decimal = ferro.Field(default=Decimal(0), max_digits=10, decimal_places=2)
    numbers: list[float] = ferro.Field(default=[])
    times: list[datetime.datetime] = ferro.Field(default=[])
    at: datetime.datetime | None = None
    local: pydantic.NaiveDatetime | None = None
    colour: ChangedColour | None = None
    version: int = ferro.Field(default=1, version=True)


def as_read(value: Any) -> Any:
    """As it comes from a database."""
    if isinstance(value, dict):
        return {key: as_read(it) for key, it in value.items()}
    return [as_read(it) for it in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("data", {"active": 1}, {"active": True}),
        ("data", {"a": [{"b": 0}]}, {"a": [{"b": False}]}),
        ("data", {"a": 1}, {"a": 1.5}),
        ("items", [0, 2], [False, 2]),
        ("items", [(0, 2)], [(False, 2)]),
        ("part", Part(value=1), Part(value=True)),
        ("part", Part(value={"x": [0]}), Part(value={"x": [False]})),
        ("amount", Decimal("1.0"), Decimal("1.00")),
        ("amounts", [Decimal("1.0")], [Decimal("1.00")]),
        ("number", 0.0, -0.0),
        ("at", FIRST, FIRST.replace(fold=1)),
    ],
)
@pytest.mark.parametrize("again", [False, True])
async def test_what_is_equal_and_not_the_same_is_written(
    field: str, before: Any, after: Any, again: bool
) -> None:
    for save in (Doc.save, lambda row: Doc.bulk_update([row])):
        row = await Doc.create(**{field: before})
        if again:
            row = await Doc.get(row.id)
        setattr(row, field, after)
        await save(row)
        found = getattr(await Doc.get(row.id), field)
        if field == "at":
            assert found.astimezone(BERLIN).fold == 1
        elif field == "number":
            # SQLite keeps whole numbers without their sign of zero.
            assert found == after
        else:
            assert repr(found) == repr(as_read(after))


async def test_a_change_inside_of_a_document_is_written() -> None:
    row = await Doc.get((await Doc.create(data={"active": 1})).id)
    row.data["active"] = True
    await row.save()
    assert await Doc.where(lambda it: it.data["active"] == True).count() == 1  # noqa: E712


async def test_what_is_the_same_is_not_written_again() -> None:
    made = await Doc.create(
        data={"a": [1, {"b": None}]}, items=[1], amount=Decimal("1.5"), number=2.5, at=SUMMER
    )
    row = await Doc.get(made.id)
    row.data = {"a": [1, {"b": None}]}
    row.at = SUMMER
    row.amount = Decimal("1.5")
    assert await Doc.bulk_update([row, made]) == 0


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("price", Decimal("1.1"), Decimal("1.10")),
        ("price", Decimal("1"), 1),
        ("price", Decimal("0.00"), Decimal("-0")),
        ("amount", Decimal("20"), Decimal("2E+1")),
        ("amount", Decimal("20"), 20),
        ("amount", Decimal("NaN"), Decimal("NaN")),
        ("amounts", [Decimal("20")], [20]),
        ("number", 2.0, 2),
        ("number", NAN, float("nan")),
        ("numbers", [1.0, NAN], [1, float("nan")]),
        ("numbers", [1.0], (1.0,)),
        ("at", SUMMER, SUMMER.astimezone(datetime.timezone.utc)),
        ("at", FIRST, FIRST.astimezone(datetime.timezone.utc)),
        ("times", [FIRST], [FIRST.astimezone(datetime.timezone.utc)]),
        ("local", FIRST.replace(tzinfo=None), FIRST.replace(tzinfo=None, fold=1)),
        ("colour", ChangedColour.RED, "red"),
        ("data", {"a": 1, "b": [1]}, {"b": (1,), "a": 1}),
        ("part", Part(value={"a": 1, "b": 2}), Part(value={"b": 2, "a": 1})),
        ("part", Part(value=1), {"value": 1}),
    ],
)
@pytest.mark.parametrize("again", [False, True])
async def test_what_is_stored_alike_is_not_written_again(
    field: str, before: Any, after: Any, again: bool
) -> None:
    for save in (Doc.save, lambda row: Doc.bulk_update([row])):
        for one, other in ((before, after), (after, before)):
            row = await Doc.create()
            setattr(row, field, one)
            await save(row)
            version = row.version
            if again:
                row = await Doc.get(row.id)
            setattr(row, field, other)
            await save(row)
            assert (row.version, (await Doc.get(row.id)).version) == (version, version)


async def test_a_value_of_another_type_is_refused_though_it_is_equal() -> None:
    row = await Doc.create(number=1.0, amount=Decimal(1))
    for field, value in (("number", True), ("amount", 1.0), ("at", datetime.date(2024, 7, 1))):
        setattr(row, field, value)
        with pytest.raises(ferro.TypeMismatch, match=field):
            await row.save()
        await row.refresh()
