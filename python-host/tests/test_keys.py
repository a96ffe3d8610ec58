"""Keys of several fields: the order of their fields, and relations of the rows that have them."""

from __future__ import annotations

import enum
from typing import Any

import pydantic
import pytest

import ferro
from ferro import BackRef, ForeignKey, Relation

pytestmark = pytest.mark.usefixtures("db")


class Hall(ferro.Model, table="keys_hall"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    seats: Relation[list[Seat]] = BackRef()


class Seat(ferro.Model, table="keys_seat"):
    row: str = ferro.Field(primary_key=True)
    number: int = ferro.Field(primary_key=True)
    hall: Relation[Hall | None] = ForeignKey(related_name="seats")


class Ticket(ferro.Model, table="keys_ticket"):
    hall: Relation[Hall] = ForeignKey(primary_key=True)
    number: int = ferro.Field(primary_key=True)
    price: int = 1


class Renamed(ferro.Model, table="keys_renamed"):
    name: str = ferro.Field(primary_key=True)
    age: int = 0


class Odd(ferro.Model, table="keys_odd"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    self: int = 0
    cls: int = 0


class Strict(ferro.Model, table="keys_strict"):
    model_config = pydantic.ConfigDict(strict=True)
    id: int | None = ferro.Field(default=None, primary_key=True)
    hall: Relation[Hall | None] = ForeignKey()


async def test_rows_with_keys_of_several_fields_are_given_to_a_relation() -> None:
    hall, other = await Hall.create(), await Hall.create()
    seats = [await Seat.create(row=row, number=number) for row in "ab" for number in (1, 2)]
    await hall.seats.add(*seats[:3])
    assert [(it.row, it.number) for it in await hall.seats.order_by("row", "number")] == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
    ]
    await hall.seats.remove(seats[1], seats[3])
    assert [it.hall_id for it in seats] == [hall.id, None, hall.id, None]  # type: ignore[attr-defined]
    await other.seats.set(seats[2:])
    await hall.seats.set([])
    found = {(it.row, it.number): it.hall_id for it in await Seat.select()}  # type: ignore[attr-defined]
    assert found == {("a", 1): None, ("a", 2): None, ("b", 1): other.id, ("b", 2): other.id}
    await seats[0].delete()
    with pytest.raises(ferro.DoesNotExist, match="a `Seat` that was added no longer exists"):
        await hall.seats.add(*seats)


async def test_any_number_of_rows_with_keys_of_several_fields_is_given_to_a_relation() -> None:
    hall, other = await Hall.create(), await Hall.create()
    await Seat.bulk_create([Seat(row=row, number=it) for row in "abc" for it in range(1_000)])
    seats = await Seat.select().order_by("row", "number")
    await hall.seats.add(*seats)
    await other.seats.add(seats[0])
    await hall.seats.remove(*seats[:1_500])
    assert [it.hall_id for it in seats[:2]] == [other.id, None]  # type: ignore[attr-defined]
    assert await hall.seats.count() == 1_500
    await hall.seats.set(seats[:1_600])
    assert await hall.seats.count() == 1_600
    assert await hall.seats.where(row="c").count() == 0
    assert {it.hall_id for it in seats[:1_600]} == {hall.id}  # type: ignore[attr-defined]
    with pytest.raises(ferro.DoesNotExist, match="a `Seat` that was added no longer exists"):
        await other.seats.add(*seats[:1_600], Seat(row="z", number=0))


async def test_a_key_has_its_fields_in_the_order_of_their_declaration() -> None:
    hall = await Hall.create(id=7)
    ticket = await Ticket.create(hall=hall, number=3)
    assert list(Ticket.model_fields) == ["hall_id", "number", "price"]
    assert await Ticket.get((7, 3)) == ticket
    assert await Ticket.get_or_none((3, 7)) is None


async def test_the_key_of_a_row_can_be_among_what_is_updated() -> None:
    await Renamed.create(name="a", age=1)
    renamed, new = await Renamed.update_or_create({"name": "b", "age": 2}, name="a")
    assert (renamed.name, renamed.age, new) == ("b", 2, False)
    assert [it.name for it in await Renamed.select()] == ["b"]
    same, new = await Renamed.update_or_create({"name": "b", "age": 3}, name="b")
    assert (same.name, same.age, new) == ("b", 3, False)
    async with ferro.session():
        known = await Renamed.get("b")
        moved, _ = await Renamed.update_or_create({"name": "c"}, name="b")
        assert known is moved is await Renamed.get("c")
        moved.age = 4
        await moved.save()
    assert [(it.name, it.age) for it in await Renamed.select()] == [("c", 4)]


async def test_fields_may_be_called_as_the_arguments_of_methods() -> None:
    values: dict[str, Any] = {"self": 1, "cls": 2}
    await Odd.create(**values)
    assert await Odd.where(**values).update(self=3, cls=4) == 1  # type: ignore[misc]
    assert await Odd.select("self", "cls") == [{"self": 3, "cls": 4}]
    assert (await Odd.get(self=3)).cls == 4  # type: ignore[misc]


async def test_the_key_of_a_relation_is_as_strict_as_its_model() -> None:
    hall = await Hall.create()
    with pytest.raises(pydantic.ValidationError, match="valid integer"):
        Strict(hall_id=str(hall.id))  # type: ignore[call-arg]
    with pytest.raises(pydantic.ValidationError, match="valid integer"):
        Strict.model_validate_json('{"hall_id": "1"}')
    assert Strict.model_validate_json('{"hall_id": 1}').hall_id == 1  # type: ignore[attr-defined]
    assert (await Strict.create(hall=hall)).hall_id == hall.id  # type: ignore[attr-defined]


class Storey(enum.Enum):
    LOW = "low"


class Floor(ferro.Model, table="keys_floor"):
    level: Storey = ferro.Field(primary_key=True)


class Room(ferro.Model, table="keys_room"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    floor: Relation[Floor | None] = ForeignKey()


def test_the_schema_of_a_key_refers_to_what_it_has() -> None:
    schema = Room.model_json_schema()
    assert schema["$defs"]["Storey"]["enum"] == ["low"]
    assert {"$ref": "#/$defs/Storey"} in schema["properties"]["floor_id"]["anyOf"]
