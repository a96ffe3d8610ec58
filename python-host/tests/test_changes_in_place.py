"""Values that change in place, documents and lists: `save` notices, and nothing else is written."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any, Optional

import pydantic
import pytest
from typing_extensions import TypedDict

import ferro

pytestmark = pytest.mark.usefixtures("db")


class Street(pydantic.BaseModel):
    name: str
    notes: list[Any] = []
    lanes: int = 2


class Size(TypedDict):
    width: int


@dataclasses.dataclass
class Door:
    number: int


class Blob(pydantic.BaseModel):
    """What is read may be bytes of no UTF-8, and could not be written again."""

    model_config = pydantic.ConfigDict(val_json_bytes="base64")
    blob: bytes

    @pydantic.field_validator("blob", mode="before")
    @classmethod
    def decoded(cls, given: Any) -> Any:
        return b"\xff" if given == "ff" else given


class House(ferro.Model, table="in_place_house"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str = ""
    data: dict[str, Any] = ferro.Field(default={})
    anything: list[Any] = ferro.Field(default=[])
    tags: list[str] = ferro.Field(default=[])
    street: Optional[Street] = None  # noqa: UP045
    streets: list[Street] = ferro.Field(default=[])
    size: Size | None = None
    door: Door | None = None
    blob: Blob | None = None


class Note(ferro.Model, table="in_place_note"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    data: dict[str, Any]
    tags: list[str]


def full() -> House:
    return House(
        data={"a": {"b": [1, {"c": "d"}]}, "n": None},
        anything=[1.5, True],
        tags=["x"],
        street=Street(name="Way", notes=[{"n": 1}]),
        streets=[Street(name="Lane")],
        size={"width": 3},
        door=Door(4),
    )


def change_each(house: House) -> None:
    house.data["a"]["b"][1]["c"] = "changed"
    house.anything.append(None)
    house.tags.append("changed")
    assert house.street is not None
    assert house.size is not None
    assert house.door is not None
    house.street.notes[0]["n"] = "changed"
    house.streets[0].name = "changed"
    house.size["width"] = 5
    house.door.number = 6


FIELDS = ("data", "anything", "tags", "street", "streets", "size", "door")


async def stored(house: House) -> list[Any]:
    row = await House.get(house.id)
    return [getattr(row, name) for name in FIELDS]


@pytest.mark.parametrize("way", ["created", "in bulk", "loaded", "saved", "refreshed"])
async def test_a_change_in_place_is_saved(way: str) -> None:
    house = full()
    if way == "in bulk":
        await House.bulk_create([house], return_keys=True)
    else:
        await house.save()
    if way == "loaded":
        house = await House.get(house.id)
    elif way == "saved":
        house.name = "other"
        await house.save()
    elif way == "refreshed":
        await house.refresh()
    before = await stored(house)
    assert await House.bulk_update([house]) == 0, "nothing has changed"
    change_each(house)
    now = [getattr(house, name) for name in FIELDS]
    assert all(one != other for one, other in zip(before, now, strict=True))
    await house.save()
    assert await stored(house) == now
    assert await House.bulk_update([house]) == 0
    house.tags.clear()
    house.street = None
    assert await House.bulk_update([house]) == 1
    assert (await stored(house))[2:4] == [[], None]


async def test_rows_with_a_key_of_their_own_are_watched_too() -> None:
    houses = [full(), full()]
    for key, house in enumerate(houses, 7):
        house.id = key
    await House.bulk_create(houses)
    assert await House.bulk_update(houses) == 0
    change_each(houses[1])
    assert await House.bulk_update(houses) == 1
    assert await stored(houses[0]) != await stored(houses[1])


async def test_what_a_default_fills_in_is_no_change(dialect: str) -> None:
    house = await House.create(street=Street(name="Way"))
    cast = "::jsonb" if dialect == "postgres" else ""
    sql = f"update in_place_house set street = ?{cast}, streets = ?{cast} where id = ?"
    await ferro.execute(sql, '{"name": "Old"}', '[{"lanes": 1, "name": "x"}]', house.id)
    async with ferro.session():
        house = await House.get(house.id)
        assert house.street == Street(name="Old")
        assert await House.bulk_update([house]) == 0
        await House.where(id=house.id).update(name="has changed since")
        assert (await House.get(house.id)).name == house.name == "has changed since"
        house.street.lanes = 4
        await house.save()
    (row,) = await ferro.fetch_all("select street from in_place_house")
    street = row["street"]
    street = json.loads(street) if isinstance(street, str) else street
    assert street == {"name": "Old", "notes": [], "lanes": 4}


async def test_a_document_that_cannot_be_written_stays_as_long_as_it_is_left_alone() -> None:
    house = await House.create()
    await ferro.execute("""update in_place_house set blob = '{"blob": "ff"}'""")
    house = await House.get(house.id)
    assert house.blob == Blob.model_construct(blob=b"\xff")
    for name in ("one", "two"):
        house.name = name
        await house.save()
    assert (await House.get(house.id)).name == "two"
    house.blob.blob = b"\xfe"
    with pytest.raises(ferro.TypeMismatch, match="`House.blob`"):
        await house.save()


async def test_documents_without_a_shape_are_loaded_without_a_call_for_each() -> None:
    await Note.bulk_create([Note(data={"a": {"b": [1, 2]}}, tags=["x"]) for _ in range(500)])
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        rows = await Note.all()
    finally:
        sys.setprofile(None)
    assert len(rows) == 500
    assert calls < 500
