"""Sessions: one row is one object."""

from __future__ import annotations

import asyncio
import time

import pytest

import ferro
from ferro._rows.identity import _place
from ferro._tables.table import table_of
from models import User

pytestmark = pytest.mark.usefixtures("db")


async def test_outside_of_a_session_each_query_makes_objects() -> None:
    user = await User.create(name="Ada")
    assert await User.get(user.id) is not user


async def test_inside_one_row_is_one_object() -> None:
    async with ferro.session() as session:
        user = await User.create(name="Ada")
        assert await User.get(user.id) is user
        assert (await User.where(name="Ada"))[0] is user
        assert [it async for it in User.select().stream()] == [user]
        assert len(session) == 1
    assert await User.get(user.id) is not user


async def test_a_row_that_is_read_again_has_what_the_database_has() -> None:
    async with ferro.session():
        user = await User.create(name="Ada", age=36)
        await User.where(id=user.id).update(age=37)
        assert (await User.get(user.id)).age == user.age == 37
        user.name = "Lovelace"
        await User.where(id=user.id).update(age=38)
        again = await User.get(user.id)
        assert (again.name, again.age) == ("Lovelace", 37), "what was not saved is kept"
        await user.save()
        assert (await User.get(user.id)).age == 38


async def test_y4_what_was_rolled_back_is_forgotten() -> None:
    async with ferro.session() as session:
        kept = await User.create(name="kept")
        with pytest.raises(ZeroDivisionError):
            async with ferro.transaction():
                lost = await User.create(name="lost")
                key = lost.id
                kept.name = "changed"
                await kept.save()
                raise ZeroDivisionError
        assert len(session) == 0
        assert lost.id is None
        assert await User.get_or_none(key) is None
        assert (await User.get(kept.id)).name == "kept"


async def test_a_deleted_row_is_forgotten() -> None:
    async with ferro.session() as session:
        user = await User.create(name="Ada")
        await user.delete()
        assert len(session) == 0


async def test_y4_connections_and_tasks_are_apart() -> None:
    await ferro.connect("sqlite::memory:", "other", auto_migrate=True)
    async with ferro.session():
        here = await User.create(id=1, name="here")
        there = await User.using("other").create(id=1, name="there")
        assert await User.get(1) is here
        assert await User.using("other").get(1) is there

    async def work() -> User:
        async with ferro.session():
            return await User.get(1)

    one, other = await asyncio.gather(work(), work())
    assert one == other
    assert one is not other


async def test_blocks_inside_blocks_and_clear() -> None:
    async with ferro.session() as outer:
        user = await User.create(name="Ada")
        async with ferro.session():
            assert await User.get(user.id) is not user
        assert await User.get(user.id) is user
        outer.clear()
        assert await User.get(user.id) is not user
    with pytest.raises(ferro.InvalidQuery, match="used once"):
        async with outer:
            pass


async def test_refresh_and_upsert_give_the_row_as_it_is_stored() -> None:
    async with ferro.session():
        user = await User.create(name="Ada", email="a@x.org")
        user.name = "lost"
        await user.refresh()
        assert user.name == "Ada"
        for updated in (["age"], []):
            user.name = "lost"
            stored = await User.upsert(
                name="new", email="a@x.org", age=5, conflict="email", update=updated
            )
            assert stored is user
            assert (user.name, user.age) == ("Ada", 5)
            await user.save()
        user.name = "lost"
        stored, made = await User.update_or_create({"age": 6}, email="a@x.org")
        assert (stored is user, user.name, user.age, made) == (True, "Ada", 6, False)
        user.name = "kept"
        assert (await User.get(user.id)).name == "kept"


async def test_a_row_with_the_key_of_one_that_has_gone_is_an_object_of_its_own() -> None:
    async with ferro.session():
        gone = await User.create(name="gone")
        await User.where(id=gone.id).delete()
        user = await User.create(id=gone.id, name="Ada")
        assert await User.get(user.id) is user
        assert gone.name == "gone"


async def test_an_object_goes_with_its_row_to_another_key() -> None:
    async with ferro.session():
        user, other = await User.create(name="Ada"), await User.create(name="Ben")
        former, user.id = user.id, 1_000
        async with ferro.session():
            await user.save()
        assert await User.get(1_000) is user
        taker = await User.create(id=former, name="taker")
        assert await User.get(former) is taker
        assert (user.id, user.name) == (1_000, "Ada")
        other.id, user.age = 2_000, 36
        await User.bulk_update([user, other])
        assert await User.get(2_000) is other
        assert await User.get(1_000) is user


async def test_an_object_goes_with_a_row_that_update_or_create_gives_another_key() -> None:
    async with ferro.session():
        user = await User.create(name="Ada", email="ada@x.org")
        former = user.id
        moved, made = await User.update_or_create({"id": former + 70}, email="ada@x.org")
        assert (moved is user, made) == (True, False)
        assert await User.get(former + 70) is user
        assert await User.get_or_none(former) is None


async def test_rows_made_in_bulk_are_objects_of_the_session_once_their_keys_are_known() -> None:
    async with ferro.session():
        users = [User(name="Ada"), User(name="Ben")]
        await User.bulk_create(users, return_keys=True)
        users += [User(id=1_000, name="Cyd")]
        await User.bulk_create(users[2:])
        for user in users:
            assert await User.get(user.id) is user


async def test_a_task_that_outlives_its_session_is_in_none() -> None:
    user = await User.create(name="Ada")
    is_over = asyncio.Event()

    async def later() -> bool:
        await is_over.wait()
        return await User.get(user.id) is await User.get(user.id)

    async with ferro.session() as outer:
        async with ferro.session() as inner:
            task = asyncio.create_task(later())
        is_over.set()
        assert await task
        assert (len(outer), len(inner)) == (1, 0)
        is_over.clear()
        task = asyncio.create_task(later())
    is_over.set()
    assert not await task
    assert len(outer) == 0


async def test_deleting_and_moving_many_rows_takes_no_walk_over_all() -> None:
    table = table_of(User)
    session = ferro.session()
    users = [User(id=key, name="x") for key in range(20_000)]
    for user in users:
        session._track(_place("default", table, user), user)
    began = time.perf_counter()
    for user in users:
        assert session._drop(user)
    assert time.perf_counter() - began < 2
    assert not session._drop(users[0])
    assert len(session) == 0
