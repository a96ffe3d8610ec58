"""`get_or_create`, `update_or_create` and `upsert` where another row has the key."""

from __future__ import annotations

import asyncio
import enum
from decimal import Decimal
from typing import Annotated, Any

import pydantic
import pytest

import ferro

pytestmark = pytest.mark.usefixtures("db")


class Kind(enum.Enum):
    PERSON = "person"
    ROBOT = "robot"


class Address(pydantic.BaseModel):
    city: str


class Contact(ferro.Model, table="taken_contact"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    email: Annotated[str, pydantic.StringConstraints(to_lower=True, strip_whitespace=True)] = (
        ferro.Field(unique=True)
    )
    name: str = "nobody"
    tenant: int = 0
    kind: Kind = Kind.PERSON
    address: Address | None = None
    balance: Decimal = ferro.Field(default=Decimal(0), max_digits=8, decimal_places=2)

    @pydantic.field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        return name.title()


async def within_seconds(work: Any) -> Any:
    return await asyncio.wait_for(work, 20)


async def test_a_key_that_is_taken_by_a_row_that_does_not_match_is_an_error() -> None:
    ada = await Contact.create(email="ada@x.org", name="Ada")
    for ensure in (Contact.get_or_create, Contact.update_or_create):
        with pytest.raises(ferro.UniqueViolation, match="key `email` of `Contact`") as raised:
            await within_seconds(ensure({"tenant": 1}, email="ada@x.org", name="Secret"))
        assert "Secret" not in str(raised.value)
        assert "ada@x.org" not in str(raised.value)
        assert (raised.value.table, raised.value.column) == ("taken_contact", "email")
    assert await Contact.all() == [ada]


async def test_values_are_looked_up_as_they_were_validated() -> None:
    ada, made = await Contact.get_or_create(email=" ADA@x.org", name="ada")
    assert (ada.email, ada.name, made) == ("ada@x.org", "Ada", True)
    for email, name in (("ADA@x.org", "ADA"), ("ada@x.org", "Ada")):
        found, made = await within_seconds(Contact.get_or_create(email=email, name=name))
        assert (found.id, made) == (ada.id, False)
        work = Contact.update_or_create({"tenant": 3}, email=email, name=name)
        found, made = await within_seconds(work)
        assert (found.id, found.tenant, made) == (ada.id, 3, False)
    for updated in ((), ("name",)):
        found = await within_seconds(
            Contact.upsert(email="Ada@X.org", name="eve", conflict="email", update=updated)
        )
        assert (found.id, found.name) == (ada.id, "Eve" if updated else "Ada")
    with pytest.raises(pydantic.ValidationError, match=r"(?s)Contact.*balance"):
        await Contact.get_or_create(email="a@x.org", balance=Decimal("1.234"))


async def test_values_of_every_kind_are_looked_up(dialect: str) -> None:
    equal: dict[str, Any] = {
        "email": "robot@x.org",
        "kind": Kind.ROBOT,
        "balance": Decimal("1.50"),
    }
    if dialect == "postgres":
        # SQLite does not compare documents.
        equal["address"] = Address(city="Bern")
    robot, made = await Contact.get_or_create(**equal)
    assert made
    found, made = await within_seconds(Contact.get_or_create(**equal))
    assert (found, made) == (robot, False)
    with pytest.raises(ferro.UniqueViolation):
        await within_seconds(Contact.get_or_create(**{**equal, "kind": "person"}))


async def test_t4_a_key_that_is_taken_out_of_scope_is_an_error_that_says_no_more() -> None:
    await Contact.create(email="ada@x.org", name="Hidden", tenant=2)
    rights = ferro.TableGrant(insert=True, update=True, filters={"tenant": 1})
    grant = ferro.Grant(access="read-write", tables={"taken_contact": rights})
    with ferro.scope(ferro.Tenant("one", grants={"default": grant})):
        for work in (
            Contact.get_or_create({"tenant": 1}, email="ada@x.org"),
            Contact.update_or_create({"tenant": 1, "name": "x"}, email="ada@x.org"),
            Contact.upsert(email="ada@x.org", tenant=1, conflict="email", update=["name"]),
            Contact.upsert(email="ada@x.org", tenant=1, conflict="email", update=[]),
        ):
            with pytest.raises(ferro.UniqueViolation, match="is taken") as raised:
                await within_seconds(work)
            assert not any(it in str(raised.value).lower() for it in ("hidden", "2", "ada@"))
    assert [(it.name, it.tenant) for it in await Contact.all()] == [("Hidden", 2)]


async def test_a_row_that_another_one_makes_meanwhile_is_found() -> None:
    """Also where some of the values are not of the key."""
    found = await within_seconds(
        asyncio.gather(
            *(Contact.get_or_create({"tenant": 1}, email="A@x.org", name="a") for _ in range(20))
        )
    )
    assert sum(made for _, made in found) == 1
    assert len({contact.id for contact, _ in found}) == 1


class Seat(ferro.Model, table="taken_seat", uniques=[("row", "number")]):
    id: int | None = ferro.Field(default=None, primary_key=True)
    row: int | None = None
    number: int | None = None


async def test_none_in_a_key_identifies_no_row() -> None:
    key = "one row of `Seat` by the key `row`, `number`, and None for"
    for ensure in (Seat.get_or_create, Seat.update_or_create):
        for values, none in (
            ({"row": None, "number": 3}, "`row`"),
            ({"row": None, "number": None}, "`row`, `number`"),
        ):
            with pytest.raises(ferro.InvalidQuery, match=f"{key} {none} identifies no row"):
                await ensure(**values)
        with pytest.raises(ferro.InvalidQuery, match="by the key `id`, and None for `id`"):
            await ensure(id=None)
        assert (await ensure(row=1, number=3))[0].id == 1
