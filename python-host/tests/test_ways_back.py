"""One-to-one relations from the side that does not hold the key."""

from __future__ import annotations

import asyncio

import pydantic
import pytest

import ferro
from ferro import BackRef, ForeignKey, Relation

pytestmark = pytest.mark.usefixtures("db")


class Employee(ferro.Model, table="back_employee"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    desk: Relation[Desk | None] = BackRef()


class Desk(ferro.Model, table="back_desk"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    employee: Relation[Employee | None] = ForeignKey(related_name="desk", unique=True)


class Lamp(ferro.Model, table="back_lamp"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    owner: Relation[Employee] = ForeignKey()
    desk: Relation[Desk | None] = ForeignKey()


async def test_a_new_row_has_not_what_belongs_to_nobody() -> None:
    await Desk.create()
    with pytest.raises(ferro.InvalidQuery, match="`Employee.desk`: this `Employee` has no key yet"):
        await Employee(name="new").desk
    stored = Employee(name="stored")
    await Employee.bulk_create([stored])
    with pytest.raises(ferro.InvalidQuery, match="has no key yet: save it first"):
        await stored.desk


async def test_a_stored_row_without_one_has_none() -> None:
    await Desk.create()
    assert await (await Employee.create(name="Ada")).desk is None


async def test_that_there_is_none_is_not_kept_unless_it_was_included() -> None:
    ada = await Employee.create(name="Ada")
    (included,) = await Employee.select().include("desk")
    assert await ada.desk is None
    desk = await Desk.create(employee=ada)
    assert await ada.desk == desk
    assert await included.desk is None


async def test_a_row_that_is_not_loaded_is_given_to_a_relation_by_its_key() -> None:
    ada, ben = await Employee.create(name="Ada"), await Employee.create(name="Ben")
    desk = await Desk.get((await Desk.create(employee=ada)).id)
    assert (await Lamp.create(owner=desk.employee)).owner_id == ada.id  # type: ignore[attr-defined]
    lamp = Lamp(owner=ben)
    lamp.owner = desk.employee
    assert lamp.owner_id == ada.id  # type: ignore[attr-defined]
    # The key of this one is in the other table.
    ada = await Employee.get(ada.id)
    with pytest.raises(ferro.NotLoaded, match="`Employee.desk` is not loaded"):
        lamp.desk = ada.desk
    with pytest.raises(ferro.NotLoaded, match="`Employee.desk` is not loaded"):
        Lamp(owner=ben, desk=ada.desk)
    with pytest.raises(ferro.InvalidQuery, match="`Lamp.desk` leads to `Desk`, not to `<Desk.empl"):
        lamp.desk = desk.employee  # type: ignore[assignment]
    lamp.desk = await ada.desk
    assert lamp.desk_id == desk.id  # type: ignore[attr-defined]


async def test_a_row_and_a_key_that_is_not_its_own_are_not_given_together() -> None:
    ada, ben = await Employee.create(name="Ada"), await Employee.create(name="Ben")
    assert Desk(employee=ada, employee_id=ada.id).employee is ada  # type: ignore[call-arg]
    desk = await Desk.create(employee=ada, employee_id=str(ada.id))
    message = "`Desk.employee` and `employee_id` are both given, with different keys"
    for key in (ben.id, "x", None):
        with pytest.raises(ferro.InvalidQuery, match=message):
            Desk(employee=ada, employee_id=key)  # type: ignore[call-arg]
    for other in (ben.id, None, lambda it: it.id, Desk.id):
        with pytest.raises(ferro.InvalidQuery, match=message):
            await Desk.where().update(employee=ada, employee_id=other)
    with pytest.raises(ferro.InvalidQuery, match="both given"):
        desk.model_copy(update={"employee": ada, "employee_id": ben.id})
    assert await Desk.where().update(employee=ada, employee_id=ada.id) == 1
    # As the body of a request may have it.
    with pytest.raises(pydantic.ValidationError, match="is None, and `employee_id` is a key"):
        Desk.model_validate({"employee": None, "employee_id": ada.id})
    assert Desk.model_validate({"employee": None, "employee_id": None}) == Desk()


async def test_ways_back_that_are_not_loaded_are_awaited_together_and_not_compared() -> None:
    ada = await Employee.create(name="Ada")
    await Employee.create(name="Ben")
    await Desk.create(employee=ada)
    found = await Employee.select().order_by("name")
    with pytest.raises(ferro.NotLoaded, match="so it is not known whether there is a row"):
        assert found[0].desk == None  # noqa: E711
    with pytest.raises(ferro.NotLoaded, match="so it is not known which row it is"):
        assert found[0].desk == found[1].desk
    one, none = await asyncio.gather(found[0].desk, found[1].desk)
    assert one == found[0].desk
    assert none is None
