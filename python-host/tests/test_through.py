"""Many-to-many through a model of one's own, and keys that a class declares beside the relation."""

from __future__ import annotations

import datetime

import pytest

import ferro
from ferro import BackRef, ForeignKey, ManyToMany, Relation
from ferro._tables.registry import registry

pytestmark = pytest.mark.usefixtures("db")


class Member(ferro.Model, table="through_member"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    badge: Relation[Badge | None] = BackRef()
    card: Relation[Card | None] = BackRef()


class Club(ferro.Model, table="through_club"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    members: Relation[list[Member]] = ManyToMany(related_name="clubs", through="Membership")


class Membership(ferro.Model, table="through_membership", uniques=[("member_id", "club_id")]):
    id: int | None = ferro.Field(default=None, primary_key=True)
    member_id: int
    club_id: int
    since: datetime.date | None = None
    member: Relation[Member] = ForeignKey(index=True)
    club: Relation[Club] = ForeignKey()


class Badge(ferro.Model, table="through_badge"):
    member_id: int
    level: int = 1
    member: Relation[Member] = ForeignKey("badge", primary_key=True)


class Card(ferro.Model, table="through_card"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    member_id: int = ferro.Field(unique=True)
    member: Relation[Member] = ForeignKey("card")


async def people() -> tuple[Club, Member, Member]:
    club = await Club.create(name="chess")
    return club, await Member.create(name="Ada"), await Member.create(name="Ben")


async def names_in(club: Club) -> list[str]:
    return [it.name for it in await club.members.order_by("name").all()]


async def test_pairs_of_a_model_are_added_once_and_removed() -> None:
    club, ada, ben = await people()
    await club.members.add(ada, ben)
    await club.members.add(ada)
    assert await names_in(club) == ["Ada", "Ben"]
    assert await Membership.select().count() == 2
    await club.members.remove(ada)
    assert await names_in(club) == ["Ben"]
    await club.members.set([ada])
    assert await names_in(club) == ["Ada"]
    await club.members.clear()
    assert await Membership.select().count() == 0
    assert await Member.select().count() == 2


async def test_the_pair_is_a_row_with_fields_of_its_own() -> None:
    club, ada, ben = await people()
    since = datetime.date(2020, 2, 29)
    await Membership.create(member=ada, club=club, since=since)
    await club.members.add(ada, ben)
    pair = await Membership.where(member_id=ada.id).one()
    assert pair.since == since, "a pair that is there stays as it is"
    assert (await pair.club).name == "chess"


async def test_both_ways_are_included_and_filtered_by() -> None:
    club, ada, _ = await people()
    await club.members.add(ada)
    (found,) = await Club.select().include("members").all()
    assert [it.name for it in found.members] == ["Ada"]
    members = await Member.select().include("clubs").order_by("name").all()
    assert [[it.name for it in member.clubs] for member in members] == [["chess"], []]  # type: ignore[attr-defined]
    chosen = await Club.where(lambda c: c.members.any(lambda m: m.name == "Ada")).all()
    assert [it.name for it in chosen] == ["chess"]
    assert await Club.where(lambda c: c.members.any(lambda m: m.name == "Ben")).count() == 0


async def test_a_model_that_may_hold_a_pair_twice_is_refused() -> None:
    class Visit(ferro.Model, table="through_visit"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        member: Relation[Member] = ForeignKey()
        house: Relation[House] = ForeignKey()

    class House(ferro.Model, table="through_house"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        guests: Relation[list[Member]] = ManyToMany(through=Visit)

    try:
        with pytest.raises(
            ferro.SchemaError, match=r"`Visit` may hold a pair twice: make `house_id`"
        ):
            House.select().sql()
    finally:
        registry.remove(Visit.__ferro_table__)
        registry.remove(House.__ferro_table__)


async def test_a_key_that_is_declared_is_what_the_relation_says(dialect: str) -> None:
    _, ada, ben = await people()
    await Badge.create(member_id=ada.id)
    assert (await Badge.get(ada.id)).level == 1
    with pytest.raises(ferro.UniqueViolation):
        await Badge.create(member=ada)
    assert (await (await Badge.create(member=ben, level=2)).member).name == "Ben"
    sql = {
        "sqlite": "select count(*) as n from sqlite_master where type = 'index' and "
        "tbl_name = 'through_membership' and sql like '%(\"member_id\")%'",
        "postgres": "select count(*) as n from pg_indexes where "
        "tablename = 'through_membership' and indexdef like '%(member_id)%'",
    }[dialect]
    assert await ferro.fetch_one(sql) == {"n": 1}, "`index=True` is not lost"


async def test_the_way_back_of_a_relation_that_is_the_key_is_one_row() -> None:
    _, ada, ben = await people()
    badge, card = await Badge.create(member=ada, level=3), await Card.create(member=ada)
    assert (await ada.badge, await ada.card) == (badge, card)
    assert (await ben.badge, await ben.card) == (None, None)
    assert await Member.where(lambda m: m.badge.level == 3).all() == [ada]
    found = await Member.select().include("badge", "card").order_by("name")
    assert [(bool(it.badge), bool(it.card)) for it in found] == [(True, True), (False, False)]
