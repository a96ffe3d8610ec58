"""One-to-one relations from the side that does not hold the key."""

from __future__ import annotations

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
