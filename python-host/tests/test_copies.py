"""Copies of instances: which row they are, and what they know of it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import ferro
from ferro import BackRef, ForeignKey, Relation
from models import Counter, User

pytestmark = pytest.mark.usefixtures("db")


class Shelf(ferro.Model, table="copies_shelf"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str = ""
    books: Relation[list[Book]] = BackRef()


class Book(ferro.Model, table="copies_book"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    title: str
    shelf: Relation[Shelf] = ForeignKey(related_name="books")


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "model_copy": lambda row: row.model_copy(),
    "deep model_copy": lambda row: row.model_copy(deep=True),
    "pickle": lambda row: pickle.loads(pickle.dumps(row)),
}
every_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


@every_copy
async def test_a_copy_of_a_row_is_that_row(copied: Callable[[Any], Any]) -> None:
    user = await User.create(name="Ada")
    other = copied(user)
    other.age += 1
    await other.save()
    assert (await User.get(user.id)).age == other.age
    assert await User.select().count() == 1


@every_copy
async def test_a_copy_has_the_relations_that_are_loaded(copied: Callable[[Any], Any]) -> None:
    shelf = await Shelf.create(name="high")
    await shelf.books.create(title="Emma")
    book = copied(await Book.select().include("shelf").one())
    assert book.shelf.name == "high"
    book.shelf_id = 0
    with pytest.raises(ferro.NotLoaded):
        book.shelf.name  # noqa: B018
    shelf = await Shelf.select().include("books.shelf").one()
    assert [it.shelf.name for it in copied(shelf).books] == ["high"]
    with pytest.raises(ferro.NotLoaded):
        len(copied(await Shelf.get(shelf.id)).books)


async def test_a_deep_copy_of_rows_that_lead_to_each_other_ends() -> None:
    shelf = await Shelf.create()
    await shelf.books.create(title="Emma")
    async with ferro.session():
        shelf = await Shelf.select().include("books.shelf").one()
        for deep in (copy.deepcopy, COPIES["pickle"]):
            other = deep(shelf)
            (book,) = other.books
            assert book.shelf is other is not shelf


async def test_a_copy_with_another_key_is_a_new_row() -> None:
    user = await User.create(name="Ada")
    other = user.model_copy(update={"id": None, "name": "Ben"})
    await other.save()
    third = user.model_copy(update={"id": 77})
    await third.save()
    same = user.model_copy(update={"id": user.id, "name": "Lovelace"})
    await same.save()
    found = await User.select().order_by("name")
    assert [(it.id, it.name) for it in found] == [
        (77, "Ada"),
        (other.id, "Ben"),
        (user.id, "Lovelace"),
    ]
    assert other.id not in (None, user.id)


async def test_a_key_that_is_taken_away_is_no_change_to_save() -> None:
    user = await User.create(name="Ada")
    user.id = None
    for saving in (user.save(), User.bulk_update([user])):
        with pytest.raises(ferro.InvalidQuery, match=r"`User\.id`.*set to None.*model_copy"):
            await saving
    with pytest.raises(ferro.InvalidQuery, match=r"key `User\.id` of stored rows is never None"):
        await User.where(name="Ada").update(id=None)
    counter = (await Counter.create()).model_copy(update={"number": None})
    await counter.save()
    assert await Counter.select().count() == 2


async def test_a_copy_is_given_rows_and_no_name_that_is_no_field() -> None:
    low, high = await Shelf.create(name="low"), await Shelf.create(name="high")
    book = await low.books.create(title="Emma")
    moved = book.model_copy(update={"shelf": high})
    assert (moved.shelf_id, moved.shelf.name) == (high.id, "high")
    await moved.save()
    assert (await Book.get(book.id)).shelf_id == high.id
    with pytest.raises(ferro.UnknownField, match="did you mean `title`"):
        book.model_copy(update={"titel": "Emma"})
    with pytest.raises(ferro.InvalidQuery, match="cannot be set when the row is created"):
        low.model_copy(update={"books": [book]})


async def test_in_a_session_a_copy_is_the_object_of_the_row_that_it_makes() -> None:
    async with ferro.session():
        user = await User.create(name="Ada")
        other = user.model_copy(update={"id": None})
        await other.save()
        assert await User.get(other.id) is other
        assert await User.get(user.id) is user


async def test_in_a_session_a_copy_that_moves_its_row_is_the_object_of_it() -> None:
    async with ferro.session():
        user = await User.create(name="Ada")
        other = copy.copy(user)
        other.name = "Lovelace"
        await other.save()
        assert await User.get(user.id) is user, "the same row is the object that is known"
        assert user.name == "Lovelace"
        other.id = 99
        await other.save()
        assert await User.get(99) is other
        assert await User.get_or_none(user.id) is None
        reused = await User.create(id=user.id, name="Ben")
        assert await User.get(reused.id) is reused
