"""Updates and deletes of a query which give back the rows."""

from __future__ import annotations

import enum
from typing import Any

import pytest

import ferro
from ferro import BackRef, ForeignKey, ManyToMany, Relation

pytestmark = pytest.mark.usefixtures("db")


class State(enum.Enum):
    OPEN = "open"
    DONE = "done"


class Owner(ferro.Model, table="returning_owner"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    tasks: Relation[list[Task]] = BackRef()


class Label(ferro.Model, table="returning_label"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    tasks: Relation[list[Task]] = BackRef()


class Task(ferro.Model, table="returning_task"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    title: str
    rank: int = 0
    state: State = State.OPEN
    data: dict[str, Any] = ferro.Field(default={})
    owner: Relation[Owner | None] = ForeignKey(related_name="tasks")
    labels: Relation[list[Label]] = ManyToMany(related_name="tasks")


async def tasks() -> list[Task]:
    made = [Task(title=title, rank=rank, data={"n": rank}) for rank, title in enumerate("abcd")]
    await Task.bulk_create(made, return_keys=True)
    return made


def titles(rows: list[Task]) -> list[str]:
    return sorted(row.title for row in rows)


async def test_an_update_gives_back_the_rows_as_they_are_then() -> None:
    await tasks()
    changed = await Task.where(Task.rank >= 2).update_returning(
        rank=lambda t: t.rank * 10, state=State.DONE
    )
    assert sorted((it.title, it.rank, it.state, it.data["n"]) for it in changed) == [
        ("c", 20, State.DONE, 2),
        ("d", 30, State.DONE, 3),
    ]
    assert all([await Task.get(it.id) == it for it in changed])
    assert await Task.where(title="none").update_returning(rank=1) == []


async def test_rows_that_are_given_back_are_stored_as_they_are() -> None:
    await tasks()
    (row,) = await Task.where(title="a").update_returning(rank=7)
    await Task.where(title="a").update(title="other")
    row.rank = 8
    await row.save()
    assert (await Task.get(row.id)).title == "other", "what did not change was not written"
    await row.delete()
    assert await Task.select().count() == 3


async def test_an_order_and_a_limit_say_which_rows() -> None:
    await tasks()
    by_rank = Task.select().order_by("-rank")
    assert titles(await by_rank.limit(2).update_returning(rank=0)) == ["c", "d"]
    assert titles(await by_rank.order_by("title").offset(1).limit(2).delete_returning()) == [
        "b",
        "c",
    ]
    assert titles(await Task.all()) == ["a", "d"]


async def test_rows_of_relations() -> None:
    ada, ben = await Owner.create(name="Ada"), await Owner.create(name="Ben")
    label = await Label.create()
    a, b, c, d = await tasks()
    await ada.tasks.add(a, b, c)
    await ben.tasks.add(d)
    await label.tasks.add(b, d)
    assert titles(await ada.tasks.update_returning(rank=5)) == ["a", "b", "c"]
    assert titles(await ada.tasks.where(title="a").update_returning(owner=ben)) == ["a"]
    assert titles(await ben.tasks) == ["a", "d"]
    assert titles(await label.tasks.where(rank=5).update_returning(rank=6)) == ["b"]
    of_ada = Task.where(lambda t: t.owner.name == "Ada")
    assert titles(await of_ada.delete_returning()) == ["b", "c"]
    assert titles(await label.tasks.delete_returning()) == ["d"]
    assert titles(await Task.all()) == ["a"]


async def test_rows_that_are_deleted_are_new_ones() -> None:
    a, b, *_ = await tasks()
    row, other = sorted(await Task.where(Task.rank < 2).delete_returning(), key=lambda it: it.rank)
    assert (row.id, row.title, other.id) == (a.id, "a", b.id)
    with pytest.raises(ferro.InvalidQuery, match="never saved, or it was deleted"):
        await row.delete()
    await row.save()
    assert await Task.get(a.id) == row
    with pytest.raises(ferro.DoesNotExist):
        await b.refresh()


async def test_what_is_undone_is_stored_again() -> None:
    await tasks()
    with pytest.raises(ZeroDivisionError):
        async with ferro.transaction():
            (row,) = await Task.where(title="a").delete_returning()
            raise ZeroDivisionError
    row.rank = 9
    await row.save()
    assert [it.rank for it in await Task.where(title="a")] == [9]


async def test_in_a_session_one_row_is_one_object() -> None:
    await tasks()
    async with ferro.session() as session:
        a = await Task.get(title="a")
        b = await Task.get(title="b")
        b.title = "mine"
        rows = await Task.where(Task.rank <= 1).update_returning(state=State.DONE)
        assert {id(it) for it in rows} == {id(a), id(b)}
        assert (a.state, b.state, b.title) == (State.DONE, State.OPEN, "mine")
        await b.save()
        stored = await Task.select("title", "state").order_by("id").limit(2)
        assert [tuple(it.values()) for it in stored] == [("a", State.DONE), ("mine", State.DONE)]
        known = len(session)
        assert [id(it) for it in await Task.where(title="a").delete_returning()] == [id(a)]
        assert len(session) == known - 1
        assert await Task.get_or_none(a.id) is None


@pytest.mark.parametrize(
    "query",
    [
        Task.select("title"),
        Task.select().group_by("title"),
        Task.select().distinct(),
        Task.select().include("owner"),
    ],
)
async def test_whole_rows_are_changed_only(query: Any) -> None:
    await tasks()
    with pytest.raises(ferro.InvalidQuery, match="`update` changes whole rows, .*: leave out"):
        await query.update_returning(rank=1)
    with pytest.raises(ferro.InvalidQuery, match="`delete` deletes whole rows, .*: leave out"):
        await query.delete_returning()
    with pytest.raises(
        ferro.InvalidQuery, match="`update` changes .* locks by itself: leave out `for_update`"
    ):
        await Task.select().for_update().update_returning(rank=1)
    with pytest.raises(
        ferro.InvalidQuery, match="`delete` deletes .* locks by itself: leave out `for_update`"
    ):
        await Task.select().for_update().delete()
    with pytest.raises(ferro.InvalidQuery, match="at least one field"):
        await Task.select().update_returning()
    assert await Task.where(rank=1).count() == 1


@pytest.mark.parametrize(
    "value",
    [
        Task.select("rank").limit(1),
        ferro.row_number(),
        ferro.col(Task.rank) > 1,
        lambda task: task.rank > 1,
    ],
)
async def test_a_field_is_set_to_a_value_of_its_row(value: Any) -> None:
    await tasks()
    with pytest.raises(
        ferro.InvalidQuery,
        match=(
            r"`Task\S*.rank` can only be set to a plain "
            r"value"
        ),
    ):
        await Task.select().update(rank=value)
