"""Writes of many rows: each is all or none, and takes few statements, however many rows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import ferro
from models import Document, User

pytestmark = pytest.mark.usefixtures("db")


class Seat(ferro.Model, uniques=[("hall", "number")]):
    hall: str = ferro.Field(primary_key=True)
    number: int = ferro.Field(primary_key=True)
    guest: str | None = None


class Word(ferro.Model):
    """A generated key of another name, and a unique field."""

    number: int | None = ferro.Field(default=None, primary_key=True)
    text: str = ferro.Field(unique=True)
    uses: int = 0


@pytest.fixture
async def crowd(url: str) -> ferro.Connected[Word]:
    """On a connection on which a hundred may wait for their turn, however slow the machine is."""
    pool, sqlite = ferro.PoolConfig(acquire_timeout=120), ferro.SqliteConfig(busy_timeout=120)
    await ferro.connect(url, "crowd", pool=pool, sqlite=sqlite)
    return Word.using("crowd")


LOGGED = {
    "postgres": [
        "create function logged() returns trigger language plpgsql as "
        "'begin insert into log values (1); return null; end'",
        "create trigger logged after insert or update on word "
        "for each statement execute function logged()",
    ],
    # It has no triggers for statements, and `changes()` are the rows of the one before.
    "sqlite": [
        f"create trigger logged_{write} after {write} on word "
        "begin insert into log values (changes()); end"
        for write in ("insert", "update")
    ],
}
"""What notes in the table `log` how the table `word` is written."""


async def log_of(work: Any) -> dict[int, int]:
    """What a piece of work has left in the log, and how often."""
    await ferro.execute("delete from log")
    await work
    rows = await ferro.fetch_all("select n, count(*) as times from log group by n")
    return {row["n"]: row["times"] for row in rows}


async def names() -> list[str]:
    return [user.name for user in await User.select().order_by("name")]


class TestBulkCreate:
    async def test_an_instance_that_is_given_twice_is_not_inserted_twice(self) -> None:
        ada = User(name="Ada")
        for return_keys in (False, True):
            with pytest.raises(ferro.InvalidQuery, match=r"got `User\(.*name='Ada'.*\)` twice"):
                await User.bulk_create([User(name="Ben"), ada, ada], return_keys=return_keys)
        assert not await User.select().exists()

    async def test_generated_keys_are_written_back_in_the_order_of_the_rows(self) -> None:
        users = [User(name=f"user {number}", age=number) for number in range(3_000)]
        assert await User.bulk_create(users, return_keys=True) == 3_000
        assert len({user.id for user in users}) == 3_000
        for user in (users[0], users[1_234], users[-1]):
            assert (await User.get(user.id)).name == user.name
        users[7].age = -1
        await users[7].save()
        assert (await User.get(users[7].id)).age == -1

    async def test_rows_with_a_key_of_their_own_keep_it(self) -> None:
        mixed = [User(name="a"), User(id=70, name="b"), User(name="c")]
        assert await User.bulk_create(mixed, return_keys=True) == 3
        assert mixed[1].id == 70
        for user in mixed:
            assert await User.get(user.id) == user

    async def test_a_key_that_the_client_makes_is_there_already(self) -> None:
        documents = [Document(title="one"), Document(title="two", tags=["x"])]
        assert await Document.bulk_create(documents, return_keys=True) == 2
        assert await Document.get(documents[1].key) == documents[1]

    async def test_all_or_none_get_keys(self) -> None:
        await User.create(name="Ada", email="ada@example.org")
        users = [User(name=f"user {number}") for number in range(1_500)]
        users.append(User(name="Eve", email="ada@example.org"))
        with pytest.raises(ferro.UniqueViolation):
            await User.bulk_create(users, return_keys=True)
        assert await names() == ["Ada"]
        assert {user.id for user in users} == {None}

    async def test_a_value_that_does_not_fit_names_its_field(self) -> None:
        user = User(name="Ada")
        user.age = "old"  # type: ignore[assignment]
        with pytest.raises(ferro.TypeMismatch, match=r"`User.age` takes an int, not `str`"):
            await User.bulk_create([User(name="Ben"), user])
        user.age = 2**63
        with pytest.raises(ferro.ValueOutOfRange, match=r"`User.age` takes an int of at most 64"):
            await User.bulk_create([User(name="Ben"), user])
        assert await names() == []


class TestBulkUpdate:
    async def test_each_row_gets_the_values_of_its_own(self) -> None:
        users = [User(name=f"user {number}", age=number) for number in range(2_500)]
        await User.bulk_create(users, return_keys=True)
        for user in users[:2_400]:
            user.age += 10_000
        users[5].name = "five"
        assert await User.bulk_update(users) == 2_400
        stored = {user.id: user for user in await User.all()}
        assert [stored[user.id] for user in users] == users
        assert await User.bulk_update(users) == 0, "nothing has changed since"

    async def test_a_null_is_a_value(self) -> None:
        users = [User(name="a", email="a@x.org"), User(name="b", email="b@x.org")]
        await User.bulk_create(users, return_keys=True)
        users[0].email, users[1].email = None, "c@x.org"
        assert await User.bulk_update(users) == 2
        assert {user.email for user in await User.all()} == {None, "c@x.org"}

    async def test_documents_and_lists(self) -> None:
        documents = [Document(title=f"{number}") for number in range(3)]
        await Document.bulk_create(documents)
        for document in documents:
            document.data = {"of": document.title}
            document.tags.append("new")
        assert await Document.bulk_update(documents) == 3
        for document in documents:
            assert await Document.get(document.key) == document

    async def test_a_row_that_is_gone_undoes_all_of_it(self) -> None:
        users = [User(name="a"), User(name="b"), User(name="c")]
        await User.bulk_create(users, return_keys=True)
        await User.where(name="b").delete()
        for user in users:
            user.age = 50
        with pytest.raises(ferro.DoesNotExist, match="no longer exists"):
            await User.bulk_update(users)
        assert {user.age for user in await User.all()} == {0}
        assert await User.bulk_update([users[0], users[2]]) == 2, "they are still to be saved"

    async def test_a_key_that_changes_and_a_row_that_comes_twice(self) -> None:
        one, two = await User.create(name="a"), await User.create(name="b")
        again = await User.get(two.id)
        one.id, two.age, again.age = 900, 5, 6
        assert await User.bulk_update([one, two, two, again]) == 3
        assert (await User.get(900)).name == "a"
        assert (await User.get(again.id)).age == 6, "the last one wins"

    async def test_keys_of_several_fields(self) -> None:
        seats = [Seat(hall=hall, number=number) for hall in "AB" for number in range(3)]
        await Seat.bulk_create(seats)
        for seat in seats:
            seat.guest = f"{seat.hall}{seat.number}"
        assert await Seat.bulk_update(seats) == 6
        assert await Seat.where(hall="B", number=2, guest="B2").exists()

    async def test_new_rows_are_refused(self) -> None:
        with pytest.raises(ferro.InvalidQuery, match="never saved"):
            await User.bulk_update([User(name="a")])


async def test_many_rows_take_few_statements(dialect: str) -> None:
    for sql in ("create table log (n integer)", *LOGGED[dialect]):
        await ferro.execute(sql)
    words = [Word(text=f"word {number}") for number in range(500)]
    logs = [await log_of(Word.bulk_create(words, return_keys=True))]
    for word in words:
        word.uses = 3
    logs.append(await log_of(Word.bulk_update(words)))
    logs.append(await log_of(Word.bulk_upsert(words, conflict="text")))
    if dialect == "postgres":
        assert logs[:2] == [{1: 1}, {1: 1}]
        assert logs[2] in ({1: 1}, {1: 2}), "one that inserts, and one that updates"
    else:
        # All but the first hundred rows come after a statement of a hundred.
        assert [log[100] for log in logs] == [400] * 3


class TestUpsert:
    async def test_it_inserts_or_updates_by_any_key(self) -> None:
        made = await Word.upsert(text="a", uses=1, conflict="text")
        again = await Word.upsert(text="a", uses=5, conflict="text")
        assert (again.number, again.uses) == (made.number, 5)
        by_key = await Word.upsert(number=made.number, text="b", conflict="number")
        assert (by_key.number, by_key.text) == (made.number, "b")
        assert await Word.select().count() == 1

    async def test_fields_that_are_not_named_keep_their_value(self) -> None:
        await User.create(name="Ada", email="a@x.org", age=36)
        found = await User.upsert(
            name="Eve", email="a@x.org", age=9, conflict="email", update=["name"]
        )
        assert (found.name, found.age) == ("Eve", 36)
        found = await User.upsert(name="Flo", email="a@x.org", conflict="email")
        assert (found.name, found.age) == ("Flo", 36), "a default that was not given is not set"
        found = await User.upsert(name="Gil", email="a@x.org", conflict="email", update=[])
        assert found.name == "Flo", "nothing is updated, and the row is there"

    async def test_what_is_no_key_is_refused(self) -> None:
        with pytest.raises(ferro.InvalidQuery, match="`name` is not a key"):
            await User.upsert(name="Ada", conflict="name")
        with pytest.raises(ferro.UnknownField, match="did you mean `email`"):
            await User.upsert(name="Ada", conflict="emial")
        with pytest.raises(ferro.InvalidQuery, match="an instance, or values"):
            await User.upsert(User(name="Ada"), name="Ben", conflict="id")

    async def test_many_at_once(self) -> None:
        await Word.bulk_create([Word(text=f"{number}", uses=1) for number in range(100)])
        words = [Word(text=f"{number}", uses=2) for number in range(50, 1_300)]
        await Word.bulk_upsert(words, conflict="text")
        assert await Word.where(uses=1).count() == 50
        assert await Word.where(uses=2).count() == 1_250
        with pytest.raises(ferro.InvalidQuery, match="two of the `Word` have the same `text`"):
            await Word.bulk_upsert([Word(text="x"), Word(text="x")], conflict="text")

    async def test_a_hundred_at_once_make_one_row(self, crowd: ferro.Connected[Word]) -> None:
        await asyncio.gather(
            *(crowd.upsert(text="a", uses=it, conflict="text") for it in range(100))
        )
        assert await Word.select().count() == 1


class TestGetOrCreate:
    async def test_a_hundred_at_once_make_one_row(self, crowd: ferro.Connected[Word]) -> None:
        found = await asyncio.gather(
            *(crowd.get_or_create({"uses": 1}, text="a") for _ in range(100))
        )
        assert len({word.number for word, _ in found}) == 1
        assert sum(made for _, made in found) == 1
        assert await Word.select().count() == 1

    async def test_the_defaults_are_only_for_a_new_row(self) -> None:
        word, made = await Word.get_or_create({"uses": 1}, text="a")
        assert (word.uses, made) == (1, True)
        word, made = await Word.get_or_create({"uses": 2}, text="a")
        assert (word.uses, made) == (1, False)

    async def test_values_that_are_no_key_are_refused(self) -> None:
        with pytest.raises(ferro.InvalidQuery, match="the values of a key"):
            await User.get_or_create(name="Ada")


class TestUpdateOrCreate:
    async def test_a_hundred_at_once_make_one_row(self, crowd: ferro.Connected[Word]) -> None:
        work = (crowd.update_or_create({"uses": number}, text="a") for number in range(100))
        found = await asyncio.gather(*work)
        assert sum(made for _, made in found) == 1
        assert await Word.select().count() == 1

    async def test_a_row_that_is_there_gets_the_defaults(self) -> None:
        word, made = await Word.update_or_create({"uses": 1}, text="a")
        assert made
        again, made = await Word.update_or_create({"uses": 2}, text="a")
        assert (again.number, again.uses, made) == (word.number, 2, False)


class TestRowsOfAQuery:
    @pytest.fixture(autouse=True)
    async def _users(self, db: str) -> None:
        await User.bulk_create([User(name=f"{number}", age=number) for number in range(10)])

    async def test_update_computes_from_the_row(self) -> None:
        assert await User.where(User.age >= 8).update(age=lambda u: u.age * 2, active=False) == 2
        assert [user.age for user in await User.where(active=False).order_by("age")] == [16, 18]

    async def test_an_order_by_what_is_computed_is_no_fault(self) -> None:
        ordered = User.select().order_by(ferro.col(User.age) * -1)
        assert await ordered.limit(1).update(name="last") == 1
        assert (await User.get(age=9)).name == "last"
        assert await ordered.update(name="all") == 10
        assert await ordered.where(name="all").delete() == 10

    async def test_update_and_delete_touch_what_the_limit_selects(self) -> None:
        oldest = User.select().order_by("-age").limit(2)
        assert await oldest.update(active=False) == 2
        assert {user.age for user in await User.where(active=False)} == {8, 9}
        assert await User.select().order_by("age").offset(1).limit(3).delete() == 3
        assert [user.age for user in await User.select().order_by("age")] == [0, 4, 5, 6, 7, 8, 9]

    async def test_what_they_cannot_do_exactly_is_refused(self) -> None:
        for query in (
            User.select().distinct(),
            User.select("name"),
            User.select().group_by("name"),
        ):
            with pytest.raises(
                ferro.InvalidQuery, match="s whole rows, which it locks by itself: leave out"
            ):
                await query.update(age=1)
            with pytest.raises(
                ferro.InvalidQuery, match="s whole rows, which it locks by itself: leave out"
            ):
                await query.delete()
        with pytest.raises(ferro.InvalidQuery, match="at least one field"):
            await User.select().update()
        with pytest.raises(ferro.UnknownField, match="did you mean `name`"):
            await User.select().update(naem="x")
        assert await User.select().count() == 10

    async def test_values_are_validated(self) -> None:
        import pydantic

        with pytest.raises(pydantic.ValidationError):
            await User.select().update(age="old")
        with pytest.raises(ferro.UniqueViolation):
            await User.select().update(email="one@x.org")
        assert await User.where(email=None).count() == 10
