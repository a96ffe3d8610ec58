"""Versions: a writer notices that another one has changed the row since it was read."""

from __future__ import annotations

import enum
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import ferro
from ferro import BackRef, ForeignKey, Relation

pytestmark = pytest.mark.usefixtures("db")


class Team(ferro.Model, table="versions_team"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    tickets: Relation[list[Ticket]] = BackRef()


class Ticket(ferro.Model, table="versions_ticket"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    title: str = ferro.Field(unique=True)
    hours: int = 0
    version: int = ferro.Field(default=1, version=True, db_column="row_version")
    team: Relation[Team | None] = ForeignKey(related_name="tickets")


class Seat(ferro.Model, table="versions_seat"):
    hall: str = ferro.Field(primary_key=True)
    number: int = ferro.Field(primary_key=True)
    guest: str = ""
    edition: int = ferro.Field(default=0, version=True, db_type="smallint")


async def stored(row: Ticket) -> tuple[str, int, int]:
    (found,) = await Ticket.where(id=row.id).values("title", "hours", "version")
    return tuple(found.values())  # type: ignore[return-value]


async def test_each_update_counts() -> None:
    row = await Ticket.create(title="a")
    assert row.version == 1
    for hours in (1, 2):
        row.hours = hours
        await row.save()
    assert row.version == 3
    assert await stored(row) == ("a", 2, 3)
    await row.save()
    assert row.version == 3, "nothing had changed"
    assert await Ticket.where(id=row.id).update(hours=5) == 1
    (again,) = await Ticket.where(id=row.id).update_returning(title="b")
    assert await stored(row) == ("b", 5, again.version) == ("b", 5, 5)
    again.hours = 6
    await again.save()
    assert again.version == 6


async def test_a_row_that_was_changed_since_it_was_read_is_not_written() -> None:
    one = await Ticket.create(title="a")
    other = await Ticket.get(one.id)
    other.hours = 3
    await other.save()
    one.title = "mine"
    with pytest.raises(ferro.StaleObjectError, match="this `Ticket` has changed since") as e:
        await one.save()
    assert (e.value.kind, e.value.table, e.value.retryable) == (
        "serialization-failure",
        "versions_ticket",
        True,
    )
    with pytest.raises(ferro.StaleObjectError):
        await one.delete()
    assert (one.title, one.version) == ("mine", 1)
    assert await stored(one) == ("a", 3, 2)
    await one.refresh()
    one.title = "mine"
    await one.save()
    assert await stored(one) == ("mine", 3, 3)
    await one.delete()
    with pytest.raises(ferro.DoesNotExist):
        await other.delete()
    other.hours = 4
    with pytest.raises(ferro.DoesNotExist, match="this `Ticket` no longer exists"):
        await other.save()


async def test_a_transaction_that_is_retried_reads_again() -> None:
    row = await Ticket.create(title="a")
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        known = await Ticket.get(row.id) if runs > 1 else row
        known.hours += 1
        await known.save()

    await Ticket.where(id=row.id).update(hours=10)
    await ferro.retry(work, isolation="read-committed")
    assert runs == 2
    assert await stored(row) == ("a", 11, 3)


async def test_a_version_may_be_set() -> None:
    row = await Ticket.create(title="a", version=7)
    row.version = 20
    await row.save()
    assert await stored(row) == ("a", 0, 20)
    row.hours = 1
    await row.save()
    assert (row.version, await stored(row)) == (21, ("a", 1, 21))
    row.version, row.hours = 30, 2
    assert await Ticket.bulk_update([row]) == 1
    assert (row.version, await stored(row)) == (30, ("a", 2, 30))
    assert await Ticket.select().update(version=lambda t: t.version * 2) == 1
    assert await stored(row) == ("a", 2, 60)
    with pytest.raises(ferro.StaleObjectError):
        await Ticket.bulk_update([row.model_copy(update={"version": 61})])


async def test_many_at_once() -> None:
    rows = [Ticket(title=title) for title in "abc"]
    await Ticket.bulk_create(rows, return_keys=True)
    for row in rows:
        row.hours = 1
    rows[2].title = "d"
    assert await Ticket.bulk_update(rows) == 3
    assert [row.version for row in rows] == [2, 2, 2]
    rows[0].hours = rows[1].hours = 2
    assert await Ticket.bulk_update(rows) == 2
    assert [await stored(row) for row in rows] == [("a", 2, 3), ("b", 2, 3), ("d", 1, 2)]
    await Ticket.where(title="b").update(hours=9)
    rows[0].hours = rows[1].hours = 5
    rows[2].title = "e"
    with pytest.raises(ferro.StaleObjectError, match="one of these `Ticket`"):
        await Ticket.bulk_update(rows)
    assert [row.version for row in rows] == [3, 3, 2]
    assert [await stored(row) for row in rows] == [("a", 2, 3), ("b", 9, 4), ("d", 1, 2)]
    await rows[1].refresh()
    rows[1].hours = 5
    assert await Ticket.bulk_update(rows) == 3
    assert [row.version for row in rows] == [4, 5, 3]


async def test_a_row_that_is_gone_is_not_stale() -> None:
    rows = [Ticket(title=title) for title in "abc"]
    await Ticket.bulk_create(rows, return_keys=True)
    seats = [Seat(hall="a", number=it) for it in range(3)]
    await Seat.bulk_create(seats)
    await Ticket.where(title="b").delete()
    await Ticket.where(title="c").update(hours=9)
    await Seat.where(number=1).delete()
    await Seat.where(number=2).update(guest="Ben")
    for row, seat in zip(rows, seats, strict=True):
        row.hours, seat.guest = 5, "Ada"
    for gone in (rows, rows[:2], rows[1:2]):
        with pytest.raises(ferro.DoesNotExist, match="th(is|ese) `Ticket` no longer exists"):
            await Ticket.bulk_update(gone)
    with pytest.raises(ferro.StaleObjectError, match="one of these `Ticket` has changed"):
        await Ticket.bulk_update([rows[0], rows[2]])
    with pytest.raises(ferro.StaleObjectError, match="this `Ticket` has changed"):
        await Ticket.bulk_update(rows[2:])
    for some in (seats, seats[1:2]):
        with pytest.raises(ferro.DoesNotExist, match="th(is|ese) `Seat` no longer exists"):
            await Seat.bulk_update(some)
    with pytest.raises(ferro.StaleObjectError, match="one of these `Seat` has changed"):
        await Seat.bulk_update([seats[0], seats[2]])
    assert await stored(rows[0]) == ("a", 0, 1)


async def test_keys_of_several_fields_and_keys_that_change() -> None:
    seats = [Seat(hall="a", number=it) for it in (1, 2)]
    await Seat.bulk_create(seats)
    for seat in seats:
        seat.guest = "Ada"
    assert await Seat.bulk_update(seats) == 2
    for seat in seats:
        seat.number += 10
    assert await Seat.bulk_update(seats) == 2
    assert [(it.number, it.edition) for it in seats] == [(11, 2), (12, 2)]
    same = await Seat.get(("a", 11))
    same.hall = "b"
    await same.save()
    assert same.edition == 3
    other = await Seat.get(("a", 12))
    other.guest = "Ben"
    await other.save()
    seats[1].number = 13
    with pytest.raises(ferro.StaleObjectError):
        await Seat.bulk_update(seats[1:])
    seats[0].guest = "Cyd"
    with pytest.raises(ferro.DoesNotExist):
        await seats[0].save()


async def test_what_is_undone_is_written_again() -> None:
    row = await Ticket.create(title="a")
    row.hours = 1
    with pytest.raises(ZeroDivisionError):
        async with ferro.transaction():
            await row.save()
            row.hours = 2
            await row.save()
            raise ZeroDivisionError
    await row.save()
    assert await stored(row) == ("a", 2, row.version)
    row.hours = 3
    await row.save()
    assert await stored(row) == ("a", 3, row.version)


async def test_in_a_session_a_row_that_was_changed_elsewhere_is_noticed() -> None:
    row = await Ticket.create(title="a")
    async with ferro.session():
        known = await Ticket.get(row.id)
        known.hours = 1
        await Ticket.where(id=row.id).update(title="b")
        assert await Ticket.get(row.id) is known
        with pytest.raises(ferro.StaleObjectError):
            await known.save()
        await known.refresh()
        await Ticket.where(id=row.id).update(title="c")
        assert (await Ticket.get(row.id)).version == known.version
        known.hours = 2
        await known.save()
    assert await stored(row) == ("c", 2, 4)


async def test_rows_that_are_given_to_others_are_not_stale() -> None:
    team, other = await Team.create(), await Team.create()
    one, two = await Ticket.create(title="a"), await Ticket.create(title="b", team=team)
    await team.tickets.add(one, two)
    assert [one.version, two.version] == [2, 2]
    await team.tickets.remove(one)
    await other.tickets.set([two])
    for row in (one, two):
        assert (await stored(row))[2] == row.version
        row.hours = 8
        await row.save()
    await other.tickets.clear()
    with pytest.raises(ferro.StaleObjectError):
        await two.delete()


async def test_upserts_count_for_the_row_that_is_there() -> None:
    row = await Ticket.upsert(title="a", conflict="title")
    assert row.version == 1
    again = await Ticket.upsert(Ticket(title="a", hours=2, version=9), conflict="title")
    assert (again.id, again.hours, again.version) == (row.id, 2, 2)
    rows = [Ticket(title=title, hours=3) for title in "ab"]
    assert await Ticket.bulk_upsert(rows, conflict="title") == 2
    assert [await stored(it) for it in await Ticket.select().order_by("title")] == [
        ("a", 3, 3),
        ("b", 3, 1),
    ]
    named = await Ticket.upsert(Ticket(title="a", version=50), conflict="title", update=["version"])
    assert named.version == 50
    found, new = await Ticket.update_or_create({"hours": 4}, title="a")
    assert (found.version, new) == (51, False)
    found.hours = 5
    await found.save()


async def test_copies_know_the_version() -> None:
    row = await Ticket.create(title="a")
    for copy in (Ticket.model_copy, lambda it: pickle.loads(pickle.dumps(it))):
        copied = copy(row)
        copied.hours += 1
        await copied.save()
        row.hours = 9
        with pytest.raises(ferro.StaleObjectError):
            await row.save()
        await row.refresh()


async def test_on_another_connection_nothing_is_known_of_the_row() -> None:
    await ferro.connect("sqlite::memory:", "versions-other", auto_migrate=True)
    row = await Ticket.create(title="a")
    there = await Ticket.using("versions-other").create(title="z", id=row.id, version=40)
    row.hours = 3
    await row.save(using="versions-other")
    await there.refresh(using="versions-other")
    assert (there.title, there.hours, there.version) == ("a", 3, 1)
    row.hours = 4
    await row.save()
    assert row.version == 2
    row = await Ticket.get(row.id)
    await row.delete(using="versions-other")
    assert await Ticket.using("versions-other").all() == []


class Level(enum.IntEnum):
    LOW = 1


def optional() -> None:
    class Optional(ferro.Model, table="versions_optional"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        version: int | None = ferro.Field(default=None, version=True)


def of_text() -> None:
    class OfText(ferro.Model, table="versions_text"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        version: str = ferro.Field(default="1", version=True)


def of_enum() -> None:
    class OfEnum(ferro.Model, table="versions_enum"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        version: Level = ferro.Field(default=Level.LOW, version=True)


def key() -> None:
    class Key(ferro.Model, table="versions_key"):
        id: int = ferro.Field(primary_key=True, version=True)


def twice() -> None:
    class Twice(ferro.Model, table="versions_twice"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        one: int = ferro.Field(default=1, version=True)
        two: int = ferro.Field(default=1, version=True)


def no_flag() -> None:
    ferro.Field(version=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (optional, r"field `Optional\.version`: a version is an `int` that is never None"),
        (of_text, r"field `OfText\.version`: a version is an `int`"),
        (of_enum, r"field `OfEnum\.version`: a version is an `int`"),
        (key, r"field `Key\.id`: a version is an `int` that is never None, and not a key"),
        (twice, "model `Twice` has several versions: `one`, `two`"),
        (no_flag, "`version` takes True or False"),
    ],
)
def test_a_field_that_cannot_be_a_version_is_refused(
    define: Callable[[], Any], message: str
) -> None:
    with pytest.raises(ferro.SchemaError, match=message):
        define()
