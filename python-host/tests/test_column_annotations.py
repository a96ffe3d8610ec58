"""`ferro.Column[T]` is `T` at run time.

This module has no `from __future__ import annotations`: most of its annotations are no texts.
"""

import datetime
import enum
import pickle
import typing
from typing import Annotated, Any, Generic, TypeVar

import pydantic
import pytest

import ferro

T = TypeVar("T")


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Label(pydantic.BaseModel):
    text: str
    size: Size = Size.SMALL


class Measure(pydantic.BaseModel, Generic[T]):
    value: ferro.Column[T]


class Keyed(ferro.Model, abstract=True):
    id: ferro.Column[int | None] = ferro.Field(default=None, primary_key=True)
    made: ferro.Column[datetime.datetime] = ferro.Field(default=None, db_default=ferro.now)


class Shelf(Keyed, table="column_shelf"):
    name: ferro.Column[str] = ferro.Field(unique=True, max_length=20)
    boxes: ferro.Relation[list["Box"]] = ferro.BackRef()


class Box(Keyed, table="column_box", checks=[ferro.Check(lambda it: it.weight >= 0, name="heavy")]):
    size: ferro.Column["Size"]
    weight: Annotated[ferro.Column[int], pydantic.Field(ge=0)]
    label: ferro.Column[Label | None] = ferro.Field(default=None)
    data: ferro.Column[dict[str, Any]] = ferro.Field(default_factory=dict)
    words: ferro.Column[list[str]] = ferro.Field(default_factory=list)
    shelf_id: ferro.Column[int] = ferro.Field(index=True)
    shelf: ferro.Relation[Shelf] = ferro.ForeignKey(related_name="boxes", default=None)


class PlainBox(ferro.Model, table="column_plain_box"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    made: datetime.datetime = ferro.Field(default=None, db_default=ferro.now)
    size: Size
    weight: Annotated[int, pydantic.Field(ge=0)]
    label: Label | None = ferro.Field(default=None)
    data: dict[str, Any] = ferro.Field(default_factory=dict)
    words: list[str] = ferro.Field(default_factory=list)
    shelf_id: int = ferro.Field(index=True)


class TextBox(ferro.Model, table="column_text_box"):
    """As with `from __future__ import annotations`, by which all annotations are texts."""

    id: "ferro.Column[int | None]" = ferro.Field(default=None, primary_key=True)
    made: "ferro.Column[datetime.datetime]" = ferro.Field(default=None, db_default=ferro.now)
    size: "ferro.Column['Size']"
    weight: "Annotated[ferro.Column[int], pydantic.Field(ge=0)]"
    label: "ferro.Column[Label | None]" = ferro.Field(default=None)
    data: "ferro.Column[dict[str, Any]]" = ferro.Field(default_factory=dict)
    words: "ferro.Column[list[str]]" = ferro.Field(default_factory=list)
    shelf_id: "ferro.Column[int]" = ferro.Field(index=True)


class Seat(ferro.Model, table="column_seat"):
    row: ferro.Column[int] = ferro.Field(primary_key=True)
    number: ferro.Column[int] = ferro.Field(primary_key=True)
    guest: ferro.Column[str]
    height: ferro.Column[Measure[float] | None] = ferro.Field(default=None)


def columns(model: type[ferro.Model]) -> dict[str, Any]:
    """What the database is told of each field."""
    table = model.__ferro_table__
    assert table is not None
    return {
        name: (it.column_type, it.kind, it.many, it.nullable, it.primary_key, it.enum_class)
        for name, it in table.columns.items()
    }


@pytest.mark.parametrize("model", [Box, TextBox])
def test_a_field_is_that_of_the_plain_annotation(model: type[ferro.Model]) -> None:
    assert columns(model) == columns(PlainBox)
    for name, field in PlainBox.model_fields.items():
        assert model.model_fields[name].annotation == field.annotation
        assert model.model_fields[name].metadata == field.metadata
    schema, plain = model.model_json_schema(), PlainBox.model_json_schema()
    assert (schema["properties"], schema["$defs"]) == (plain["properties"], plain["$defs"])
    assert typing.get_type_hints(PlainBox).items() <= typing.get_type_hints(model).items()


def test_values_are_validated_dumped_and_pickled() -> None:
    box = Box.model_validate({"size": "large", "weight": "3", "shelf_id": 1, "words": ["a"]})
    assert (box.size, box.weight, box.label) == (Size.LARGE, 3, None)
    assert Box.model_validate_json(box.model_dump_json()) == box
    assert pickle.loads(pickle.dumps(box)) == box
    with pytest.raises(pydantic.ValidationError, match="greater than or equal to 0"):
        Box(size=Size.SMALL, weight=-1, shelf_id=1)
    with pytest.raises(pydantic.ValidationError, match="valid string"):
        Seat(row=1, number=1, guest=5)  # type: ignore[arg-type]


async def test_fastapi_takes_and_gives_it() -> None:
    # Where packages are the oldest, there is no server.
    fastapi, httpx = pytest.importorskip("fastapi"), pytest.importorskip("httpx")
    app = fastapi.FastAPI()

    @app.post("/seats", response_model=Seat)
    async def seats(seat: Seat) -> Seat:
        return seat

    given = {"row": 1, "number": 2, "guest": "Ada", "height": {"value": 0.5}}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.post("/seats", json=given)).json() == given
        assert (await client.post("/seats", json={**given, "row": "first"})).status_code == 422
    schema = app.openapi()["components"]["schemas"]["Seat"]
    assert schema["properties"]["guest"] == {"title": "Guest", "type": "string"}


@pytest.mark.usefixtures("db")
async def test_rows_are_written_and_found_by_fields_of_the_class() -> None:
    shelf = await Shelf.create(name="left")
    await Shelf.create(name="right")
    label = Label(text="screws", size=Size.LARGE)
    box = await Box.create(
        size=Size.LARGE, weight=3, label=label, data={"a": [1]}, words=["x", "y"], shelf=shelf
    )
    light = await Box.create(size=Size.SMALL, weight=1, shelf_id=shelf.id)
    assert box.made.tzinfo is not None
    found = await Box.get(box.id)
    assert (found.size, found.label, found.data) == (Size.LARGE, label, {"a": [1]})
    assert (found.words, found.shelf_id) == (["x", "y"], shelf.id)

    assert await Shelf.where(Shelf.name.like("l%"), ~Shelf.name.in_(["right"])).one() == shelf
    assert await Box.where(Box.size.in_([Size.LARGE]) | Box.label.is_not_null()).one() == box
    assert await Box.where(Box.data["a"][0].as_type(int) == 1, Box.words.contains("x")).one() == box
    assert await Box.select().order_by(Box.weight.desc()).column(Box.weight) == [3, 1]
    assert await Box.where(Box.shelf.name == "left", Box.weight + 1 < 4).all() == [light]
    assert await shelf.boxes.order_by(Box.id).column(Box.weight * 2) == [6, 2]
    assert await Shelf.where(Shelf.boxes.any(Box.weight > 2)).column(Shelf.name) == ["left"]

    found.weight, found.size = 5, Size.SMALL
    await found.save()
    assert await Box.where(weight=5, size=Size.SMALL).update(weight=Box.weight + 1) == 1
    await found.refresh()
    assert (found.weight, found.size) == (6, Size.SMALL)


@pytest.mark.usefixtures("db")
async def test_keys_of_several_fields_and_inherited_fields_are_found() -> None:
    await Seat.create(row=1, number=2, guest="Ada", height=Measure[float](value=1.5))
    (found,) = await Seat.where(Seat.height["value"].as_type(float) > 1)
    assert (found.guest, found.height) == ("Ada", Measure[float](value=1.5))
    seat = await Seat.upsert(row=1, number=2, guest="Ben", conflict=["row", "number"])
    assert (seat.row, await Seat.where(Seat.guest.startswith("B")).count()) == (1, 1)
    shelf = await Shelf.create(name="low")
    assert await Shelf.where(Shelf.id.in_([shelf.id]), Shelf.made <= shelf.made).one() == shelf


def test_a_column_without_a_type_is_refused() -> None:
    with pytest.raises(ferro.SchemaError, match=r"`Column` of `name`: name its type"):

        class Untyped(ferro.Model, table="column_untyped"):
            id: int | None = ferro.Field(default=None, primary_key=True)
            name: ferro.Column  # type: ignore[type-arg]


def test_a_column_of_two_types_is_refused() -> None:
    with pytest.raises(ferro.SchemaError, match=r"one type, such as `Column\[int \| None\]`"):
        ferro.Column[int, None]  # type: ignore[misc]


def test_a_column_in_the_place_of_a_field_is_refused() -> None:
    with pytest.raises(ferro.SchemaError, match=r"annotation: write `name: ferro.Column\[str\] ="):
        ferro.Column(str, primary_key=True)  # type: ignore[call-arg]
