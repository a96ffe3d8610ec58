"""What is stored, changed and deleted."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from typing import Any

import pydantic
import pytest

import ferro
from models import Counter, Document, Sealed, User

pytestmark = pytest.mark.usefixtures("db")


async def test_create_inserts_a_row_and_reads_its_key_back() -> None:
    ada = await User.create(name="Ada", age=36)
    ben = await User.create(name="Ben")
    assert isinstance(ada.id, int)
    assert ada.id != ben.id
    assert await User.get(ada.id) == ada
    assert await User.select().count() == 2


async def test_create_validates_before_the_database_is_asked() -> None:
    with pytest.raises(pydantic.ValidationError):
        await User.create(name="Ada", age="old")
    assert await User.all() == []


async def test_a_key_that_the_client_made_is_kept() -> None:
    key = uuid.uuid4()
    made = await Document.create(key=key, title="one", data={"a": [1, None]}, tags=["x"])
    assert made.key == key
    assert await Document.get(key) == made
    given = await User.create(id=77, name="Ada")
    assert given.id == 77


async def test_a_duplicate_key_is_an_integrity_error_and_overwrites_nothing() -> None:
    await User.create(name="Ada", email="ada@example.org")
    with pytest.raises(ferro.UniqueViolation) as raised:
        await User.create(name="Eve", email="ada@example.org")
    assert isinstance(raised.value, ferro.IntegrityError)
    assert (raised.value.table, raised.value.column) == ("users", "email")
    assert [user.name for user in await User.all()] == ["Ada"]


async def test_save_inserts_what_is_new_and_updates_what_changed() -> None:
    user = User(name="Ada")
    await user.save()
    assert user.id is not None
    user.age = 36
    await user.save()
    assert (await User.get(user.id)).age == 36
    assert await User.select().count() == 1


async def test_save_writes_only_the_fields_that_changed() -> None:
    first = await User.create(name="Ada", age=1)
    second = await User.get(first.id)
    first.age = 2
    second.name = "Eve"
    await first.save()
    await second.save()
    stored = await User.get(first.id)
    assert (stored.name, stored.age) == ("Eve", 2)


async def test_saving_twice_writes_once() -> None:
    user = await User.create(name="Ada")
    await ferro.execute("update users set name = 'Eve' where id = ?", user.id)
    await user.save()
    assert (await User.get(user.id)).name == "Eve", "nothing had changed, so nothing was written"


async def test_a_change_in_place_is_a_change() -> None:
    document = await Document.create(title="one", data={"a": {"b": 1}}, tags=["x"])
    document.data["a"]["b"] = 2
    await document.save()
    loaded = await Document.get(document.key)
    assert loaded.data == {"a": {"b": 2}}
    loaded.data["a"]["b"] = 3
    loaded.tags.append("y")
    await loaded.save()
    again = await Document.get(document.key)
    assert (again.data, again.tags) == ({"a": {"b": 3}}, ["x", "y"])


async def test_saving_a_row_that_is_gone_is_an_error_and_no_insert() -> None:
    user = await User.create(name="Ada")
    await ferro.execute("delete from users")
    user.age = 5
    with pytest.raises(ferro.DoesNotExist, match="no longer exists"):
        await user.save()
    assert await User.all() == []


async def test_a_key_can_be_changed() -> None:
    user = await User.create(id=1, name="Ada")
    user.id = 2
    await user.save()
    assert [row.id for row in await User.all()] == [2]
    user.age = 3
    await user.save()
    assert (await User.get(2)).age == 3


async def test_a_new_row_that_is_awaited_says_how_it_is_written() -> None:
    with pytest.raises(
        ferro.InvalidQuery,
        match=(
            r"a new `User` does not write it: await "
            r"`.save\(\)`"
        ),
    ):
        await User(name="Ada")
    assert await User.all() == []
    ada = await User.create(name="Ada")
    assert await ada is ada
    await ada.delete()
    assert await ada is ada, "a relation may lead to it still"


async def test_delete_deletes_the_row_and_only_it() -> None:
    ada, ben = await User.create(name="Ada"), await User.create(name="Ben")
    await ada.delete()
    assert await User.all() == [ben]
    for again in (ada.delete, ada.refresh):
        with pytest.raises(ferro.InvalidQuery, match="never saved, or it was deleted"):
            await again()
    stale = await User.get(ben.id)
    await ben.delete()
    with pytest.raises(ferro.DoesNotExist, match="no longer exists"):
        await stale.delete()
    await ada.save()
    assert [user.name for user in await User.all()] == ["Ada"]


async def test_a_row_that_lacks_a_field_is_refused_and_the_field_is_named() -> None:
    def incomplete() -> User:
        return User.model_construct(id=5, age=3, email="x")

    stored = await User.create(name="Ada")
    del stored.name
    stored.age = 7
    for work in (
        incomplete().save(),
        User.bulk_create([User(name="x"), incomplete()]),
        User.bulk_create([incomplete()], return_keys=True),
        User.upsert(incomplete(), conflict="email"),
        User.bulk_upsert([incomplete()], conflict="email"),
        stored.save(),
        User.bulk_update([stored]),
    ):
        with pytest.raises(ferro.InvalidQuery, match="a row has no value .* `name`: set"):
            await work
    assert [(user.name, user.age) for user in await User.all()] == [("Ada", 0)]


async def test_a_row_without_its_generated_key_gets_one() -> None:
    one = User.model_construct(name="Ada", email=None, age=1, active=True)
    vars(one).pop("id", None)
    others = [User.model_construct(**{**vars(one), "name": name}) for name in ("Ben", "Cyd")]
    for row in others:
        vars(row).pop("id", None)
    await one.save()
    assert await User.bulk_create(others, return_keys=True) == 2
    assert len({one.id, *(row.id for row in others)} - {None}) == 3
    assert await User.select().count() == 3


async def test_bulk_create_stores_any_number_of_rows() -> None:
    assert await User.bulk_create([]) == 0
    users = [User(name=f"user {number}", age=number) for number in range(2_345)]
    assert await User.bulk_create(users) == 2_345
    assert await User.select().count() == 2_345
    last = await User.select().order_by("-age").first()
    assert last is not None
    assert last.name == "user 2344"


async def test_bulk_create_is_all_or_nothing() -> None:
    users = [User(name="x", email=f"{number % 1_999}@example.org") for number in range(2_000)]
    with pytest.raises(ferro.UniqueViolation):
        await User.bulk_create(users)
    assert await User.all() == []
    mixed = [User(name="a"), User(id=5, name="b"), User(id=5, name="c")]
    with pytest.raises(ferro.UniqueViolation):
        await User.bulk_create(mixed)
    assert await User.all() == []


async def test_bulk_create_takes_new_rows_with_and_without_keys() -> None:
    rows = [User(id=100, name="a"), User(name="b"), User(id=101, name="c")]
    assert await User.bulk_create(rows) == 3
    assert await User.select().count() == 3
    rows[0].age = 9
    await rows[0].save()
    assert (await User.get(100)).age == 9
    with pytest.raises(ferro.InvalidQuery, match="without `return_keys=True`"):
        await rows[1].save()
    with pytest.raises(ferro.InvalidQuery, match="stored"):
        await User.bulk_create([rows[0]])
    with pytest.raises(ferro.InvalidQuery, match="takes `User`"):
        await User.bulk_create([Document(title="x")])  # type: ignore[list-item]


async def test_bulk_create_stores_arrays_documents_and_nulls() -> None:
    documents = [
        Document(title="none"),
        Document(title="some", data={"a": None}, tags=["x", "y"]),
        Document(title="more", tags=["z"]),
    ]
    await Document.bulk_create(documents)
    for document in documents:
        assert await Document.get(document.key) == document


async def test_how_a_model_prints_does_not_change_what_is_stored() -> None:
    sealed = await Sealed.create(outsideName="x")
    assert "secret" not in sealed.model_dump()
    assert sealed.id is not None
    loaded = await Sealed.get(sealed.id)
    assert loaded.secret == "x"
    with pytest.raises(pydantic.ValidationError):
        loaded.secret = "y"  # type: ignore[misc]


async def test_a_model_with_only_a_generated_key_can_be_stored() -> None:
    one, two = await Counter.create(), await Counter.create()
    assert sorted(row.number or 0 for row in await Counter.all()) == [one.number, two.number]
    assert await Counter.bulk_create([Counter(), Counter()]) == 2
    assert await Counter.select().count() == 4


async def test_a_loaded_row_is_a_whole_instance() -> None:
    created = await User.create(name="Ada", email="a@example.org")
    loaded = await User.get(created.id)
    assert type(loaded) is User
    assert loaded == created
    assert loaded.model_dump() == created.model_dump()
    assert loaded.model_fields_set == set(User.model_fields)
    assert User.model_validate_json(loaded.model_dump_json()) == loaded
    assert repr(loaded) == repr(created)


async def assigned_meanwhile(writing: Coroutine[Any, Any, Any], user: User) -> None:
    """Assign to a row while it is on its way to the database, or has just arrived there."""
    task = asyncio.ensure_future(writing)
    await asyncio.sleep(0)
    user.age = 99
    await task


@pytest.mark.parametrize("return_keys", [False, True])
async def test_what_is_assigned_while_a_row_is_inserted_is_a_change(return_keys: bool) -> None:
    one, two = User(name="one"), User(name="two")
    await assigned_meanwhile(one.save(), one)
    if not return_keys:
        two.id = 50
    await assigned_meanwhile(User.bulk_create([two], return_keys=return_keys), two)
    for user in (one, two):
        assert (await User.get(user.id)).age == 0
        await user.save()
        assert (await User.get(user.id)).age == 99


async def test_what_is_assigned_while_a_row_is_updated_is_a_change() -> None:
    user, other = await User.create(name="one"), await User.create(name="other")
    user.name = "two"
    await assigned_meanwhile(user.save(), user)
    await user.save()
    assert (await User.get(user.id)).age == 99
    for name, value in (("name", "three"), ("id", 77)):
        await User.where(id=user.id).update(age=0)
        await user.refresh()
        setattr(user, name, value)
        other.active = not other.active
        await assigned_meanwhile(User.bulk_update([other, user]), user)
        assert getattr(await User.get(user.id), name) == value
        await user.save()
        assert (await User.get(user.id)).age == 99


class Careful(ferro.Model, table="writes_careful"):
    """A model that says more of its fields than their types."""

    model_config = pydantic.ConfigDict(strict=True, str_strip_whitespace=True, frozen=True)
    id: int | None = ferro.Field(default=None, primary_key=True)
    age: int = ferro.Field(default=0, ge=0, alias="years")
    name: str = ""

    @pydantic.field_validator("name", mode="before")
    @classmethod
    def lower(cls, name: object) -> object:
        return name.lower() if isinstance(name, str) else name

    @pydantic.model_validator(mode="after")
    def whole(self) -> Careful:
        if self.age == 3:
            raise ValueError("no")
        return self


async def test_update_validates_a_field_as_the_model_does() -> None:
    row = await Careful.create(years=1, name=" ADA ")
    everyone = Careful.where(id=row.id)
    for value, message in ((-7, "greater than or equal to 0"), ("5", "a valid integer")):
        with pytest.raises(
            pydantic.ValidationError, match=f"for Careful\nage\n.*{message}"
        ) as raised:
            await everyone.update(age=value)
        assert raised.value.errors()[0]["loc"] == ("age",)
    assert await everyone.update(name=" BEN ", age=3) == 1
    found = await everyone.values("age", "name")
    assert found == [{"age": 3, "name": "ben"}], "a model's own validators are of whole instances"
