"""What counts as a change: all that a database keeps apart, though it is equal in Python."""

from __future__ import annotations

import datetime
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
    at: datetime.datetime | None = None


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("data", {"active": 1}, {"active": True}),
        ("data", {"a": [{"b": 0}]}, {"a": [{"b": False}]}),
        ("data", {"a": 1}, {"a": 1.5}),
        ("items", [0, 2], [False, 2]),
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
            assert repr(found) == repr(after)


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
