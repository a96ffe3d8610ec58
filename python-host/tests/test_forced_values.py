"""Values that a scope forces: rows that are made in it have them."""

from __future__ import annotations

import enum
import uuid
from decimal import Decimal
from typing import Any

import pytest

import ferro
from ferro import BackRef, ForeignKey, ManyToMany, Relation

pytestmark = pytest.mark.usefixtures("db")

CODE = uuid.uuid4()


class TeamKind(enum.Enum):
    SHOP = "shop"
    SCHOOL = "school"


class Team(ferro.Model, table="forced_team"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    members: Relation[list[Member]] = BackRef()


class Tag(ferro.Model, table="forced_tag"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    team: int | None = None


class Member(ferro.Model, table="forced_member", uniques=[("team", "email")]):
    """What is forced on it has no default, or another one, and is of every kind that can be."""

    id: int | None = ferro.Field(default=None, primary_key=True)
    team: Relation[Team] = ForeignKey(related_name="members")
    kind: TeamKind
    code: uuid.UUID = ferro.Field(alias="externalCode")
    share: Decimal | None = None
    active: bool = True
    email: str = ""
    age: int = 0
    tags: Relation[list[Tag]] = ManyToMany(through="Tagging")


class Tagging(ferro.Model, table="forced_tagging", uniques=[("member", "tag")]):
    id: int | None = ferro.Field(default=None, primary_key=True)
    team: int
    member: Relation[Member] = ForeignKey()
    tag: Relation[Tag] = ForeignKey()


FORCED: dict[str, Any] = {
    "team_id": 1,
    "kind": "school",
    "code": str(CODE),
    "share": 5,
    "active": False,
}


@pytest.fixture
async def acme(db: str) -> ferro.Tenant:
    await Team.bulk_create([Team(id=1), Team(id=2)])
    every = {"insert": True, "update": True, "delete": True}
    tables = {
        "forced_team": ferro.TableGrant(),
        "forced_member": ferro.TableGrant(**every, filters=FORCED),
        "forced_tag": ferro.TableGrant(**every, filters={"team": 1}),
        "forced_tagging": ferro.TableGrant(**every, filters={"team": 1}),
    }
    grants = {"default": ferro.Grant(access="read-write", tables=tables)}
    return ferro.Tenant("acme", grants=grants)


def is_forced(member: Member) -> bool:
    held = (member.team_id, member.kind, member.code, member.share, member.active)  # type: ignore[attr-defined]
    return held == (1, TeamKind.SCHOOL, CODE, Decimal(5), False)


async def test_t4_a_row_that_is_created_in_a_scope_has_what_the_scope_forces(
    acme: ferro.Tenant,
) -> None:
    made: Any = Member
    with ferro.scope(acme):
        member = await made.create(email="a")
        assert is_forced(member)
        member.age = 5
        await member.save()
        async with ferro.transaction():
            assert is_forced(await made.create(email="b", kind=TeamKind.SCHOOL, team_id=1))
    stored = await Member.select().order_by("email")
    assert [(it.email, it.age) for it in stored] == [("a", 5), ("b", 0)]
    assert all(map(is_forced, stored))
    assert stored[0] == member


async def test_t4_instances_that_were_given_nothing_get_what_a_scope_forces(
    acme: ferro.Tenant,
) -> None:
    with ferro.scope(acme):
        tags = [Tag(), Tag(team=None), Tag(team=1)]
        await tags[0].save()
        await Tag.bulk_create(tags[1:], return_keys=True)
        assert {(await Tag.upsert(Tag(id=90), conflict="id")).team} == {1}
        assert await Tag.bulk_upsert([Tag(id=91)], conflict="id") == 1
    assert [tag.team for tag in tags] == [1, 1, 1]
    assert [tag.team for tag in await Tag.all()] == [1] * 5
    assert all(tag.id is not None for tag in tags)
    await tags[0].save()
    assert (await Tag.get(tags[0].id)).team == 1


async def test_t4_a_row_that_is_given_another_value_than_a_scope_forces_is_refused(
    acme: ferro.Tenant,
) -> None:
    made: Any = Member
    two = await Team.get(2)
    with ferro.scope(acme):
        assert is_forced(await made.create(externalCode=CODE.hex, active=False))
        for given in (
            {"team": two},
            {"team_id": 2},
            {"active": True},
            {"externalCode": uuid.UUID(int=1)},
        ):
            with pytest.raises(ferro.DeniedError, match="only be given the value that the grant"):
                await made.create(**given)
        with pytest.raises(ferro.DeniedError):
            await Tag.bulk_create([Tag(), Tag(team=2)])
        with pytest.raises(ferro.DeniedError):
            await Tag(team=0).save()
    assert await Member.select().count() == 1
    assert not await Tag.select().exists()


async def test_a_key_with_a_field_that_a_scope_forces_is_named_without_it(
    acme: ferro.Tenant,
) -> None:
    made: Any = Member
    with ferro.scope(acme):
        member, is_new = await made.get_or_create({"age": 1}, email="a")
        assert is_new
        assert is_forced(member)
        again, is_new = await made.get_or_create({"age": 2}, email="a")
        assert (again.id, again.age, is_new) == (member.id, 1, False)
        changed, is_new = await made.update_or_create({"age": 3}, email="a")
        assert (changed.id, changed.age, is_new) == (member.id, 3, False)
        upserted = await made.upsert(email="a", age=4, conflict=("team", "email"))
        assert (upserted.id, upserted.age) == (member.id, 4)
        assert is_forced(upserted)
    assert await Member.select().count() == 1


async def test_rows_of_relations_have_what_a_scope_forces(acme: ferro.Tenant) -> None:
    with ferro.scope(acme):
        team: Any = await Team.get(1)
        member = await team.members.create(email="a")
        assert is_forced(member)
        await member.tags.add(await Tag.create())
        await member.tags.create()
    assert [it.team for it in await Tagging.all()] == [1, 1]


async def test_outside_of_a_scope_nothing_is_filled_in() -> None:
    made: Any = Tagging
    with pytest.raises(ValueError, match="team"):
        await made.create(member_id=1, tag_id=1)
    assert (await Tag.create()).team is None
