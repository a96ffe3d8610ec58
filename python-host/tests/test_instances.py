"""Instances as the native module makes and marks them."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import pytest

import ferro
from models import Document, User


def loader_of(model: type[ferro.Model]) -> Any:
    table = model.__ferro_table__
    assert table is not None
    return table.loader


def test_only_instances_of_the_model_are_marked_as_stored() -> None:
    class Other(ferro.Model, table="other_of_instances"):
        id: int | None = ferro.Field(default=None, primary_key=True)

    class Lookalike:
        """Has all that is read of an instance, and no place for what is written."""

        def __init__(self) -> None:
            self.__dict__.update(User(name="Ada").__dict__)

    loader = loader_of(User)
    with pytest.raises(TypeError):
        loader.store([Lookalike()], loader.know([Lookalike()], "app"))
    with pytest.raises(ferro.InvalidQuery, match="no value for its field `name`"):
        loader.know([Other()], "app")
    assert not loader.any_stored([Lookalike(), Other(), object(), None, 1])


def test_a_mark_is_kept_and_replaced_without_a_leak() -> None:
    user, loader = User(id=1, name="Ada"), loader_of(User)
    assert not loader.any_stored([user])
    loader.store([user], loader.know([user], "app"))
    assert loader.any_stored([user])
    first = user._ferro_loaded
    assert first[0] == "app"
    count = sys.getrefcount(first)
    loader.store([user], loader.know([user], "elsewhere"))
    assert user._ferro_loaded[0] == "elsewhere"
    assert sys.getrefcount(first) == count - 1
    del user._ferro_loaded
    assert not loader.any_stored([user])


@pytest.mark.usefixtures("db")
async def test_the_fields_of_one_row_are_not_those_of_others() -> None:
    await User.bulk_create([User(name="Ada"), User(name="Ben")])
    ada, ben = await User.all()
    ada.model_fields_set.clear()
    assert ben.model_fields_set == ada.model_fields_set == set(User.model_fields)
    assert User(name="Cyd").model_fields_set == {"name"}


@pytest.mark.usefixtures("db")
async def test_what_is_loaded_goes_when_nobody_has_it() -> None:
    await User.bulk_create([User(name=f"user {number}") for number in range(100)])
    users = await User.all()
    assert all(it.model_fields_set == set(User.model_fields) for it in users)
    assert [it.model_extra for it in users[:2]] == [None, None]
    fields_set = users[0].__pydantic_fields_set__
    count = sys.getrefcount(fields_set)
    del users
    gc.collect()
    assert sys.getrefcount(fields_set) == count - 100


@pytest.mark.usefixtures("db")
async def test_loading_and_writing_leaves_nothing_behind() -> None:
    await User.bulk_create([User(name=f"user {number}") for number in range(500)])
    kept = [Document(title="kept", data={"number": number}) for number in range(500)]
    await Document.bulk_create(kept)

    async def one_round() -> int:
        assert len(await User.all()) == 500
        assert len(await Document.where(title="kept")) == 500
        await Document.bulk_create([Document(title="new") for _ in range(500)])
        assert await Document.where(title="new").delete() == 500
        gc.collect()
        return sys.getallocatedblocks()

    for _ in range(3):
        before = await one_round()
    for _ in range(5):
        after = await one_round()
    # One that is lost with each row would be 2,500.
    assert after - before < 500


@pytest.mark.usefixtures("db")
async def test_the_collector_of_garbage_looks_only_at_what_may_hold_others() -> None:
    await User.create(name="Ada")
    await Document.create(title="Notes", data={"numbers": [1]})
    (user,), (document,) = await User.all(), await Document.all()
    assert not gc.is_tracked(user._ferro_loaded)
    assert gc.is_tracked(document._ferro_loaded)
    assert gc.is_tracked(user)


@pytest.mark.usefixtures("db")
async def test_a_row_in_a_circle_with_a_value_of_it_is_collected_once_it_is_written() -> None:
    class Text(str):
        row: User

    text = Text("Ada")
    user = User.model_construct(id=1, name=text, age=0, email=None, active=True)
    text.row = user
    await User.bulk_create([user])
    assert user._ferro_loaded[2] is text
    gone = weakref.ref(user)
    del user, text
    gc.collect()
    assert gone() is None


@pytest.mark.usefixtures("db")
async def test_models_of_several_bases_are_marked_all_the_same() -> None:
    class Stamped(ferro.Model, abstract=True):
        note: str = "new"

    class Counted:
        def one_more_than(self, number: int) -> int:
            return number + 1

    class Both(Counted, Stamped):
        id: int | None = ferro.Field(default=None, primary_key=True)
        number: int = 0

    await ferro.create_tables()
    await Both.bulk_create([Both(number=21)])
    (found,) = await Both.all()
    assert found.one_more_than(found.number) == 22
    found.number = 4
    await found.save()
    assert [(it.number, it.note) for it in await Both.all()] == [(4, "new")]
