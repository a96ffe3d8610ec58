"""`on_update`: what every update sets, unless it names the field."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Callable
from typing import Any

import pydantic
import pytest

import ferro
from ferro import BackRef, ForeignKey, Relation

UTC = datetime.timezone.utc
OLD = datetime.datetime(2000, 1, 1, tzinfo=UTC)


class TouchedBase(ferro.Model, abstract=True):
    id: int | None = ferro.Field(default=None, primary_key=True)
    edited_at: datetime.datetime = ferro.Field(
        default=None, db_default=ferro.now, on_update=ferro.now, db_column="edited"
    )


class TouchedShelf(ferro.Model, table="touched_shelf"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    books: Relation[list[TouchedBook]] = BackRef()


class TouchedBook(TouchedBase, table="touched_book"):
    title: str = ferro.Field(unique=True)
    pages: int = 0
    extra: dict[str, Any] = ferro.Field(default_factory=dict)
    tag: uuid.UUID | None = ferro.Field(default=None, on_update=ferro.random_uuid)
    version: int = ferro.Field(default=1, version=True)
    shelf: Relation[TouchedShelf | None] = ForeignKey(related_name="books", on_delete="set null")


class TouchedTypes(ferro.Model, table="touched_types"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    text: str = ""
    day: datetime.date = ferro.Field(default=OLD.date(), on_update=ferro.now)
    hour: datetime.time | None = ferro.Field(default=None, on_update=ferro.now)
    local: pydantic.NaiveDatetime = ferro.Field(
        default=OLD.replace(tzinfo=None), on_update=ferro.now
    )


pytestmark = pytest.mark.usefixtures("db")


def near(moment: datetime.datetime) -> bool:
    return abs(datetime.datetime.now(UTC) - moment) < datetime.timedelta(minutes=10)


async def book(title: str = "a", **values: Any) -> TouchedBook:
    return await TouchedBook.create(title=title, edited_at=OLD, **values)


async def is_touched(row: TouchedBook) -> bool:
    """Whether an update has set the fields in the database; they are old again afterwards."""
    found = await TouchedBook.get(row.id)
    assert (found.edited_at == OLD) == (found.tag is None)
    await TouchedBook.where(id=row.id).update(edited_at=OLD, tag=None)
    assert (await TouchedBook.get(row.id)).edited_at == OLD
    return near(found.edited_at)


async def test_save_sets_it_and_reads_it_back() -> None:
    row = await book()
    assert (row.edited_at, row.tag) == (OLD, None), "an insert is no update"
    await row.save()
    assert (row.edited_at, row.version) == (OLD, 1), "nothing had changed"
    row.pages = 5
    await row.save()
    assert near(row.edited_at)
    assert row.tag is not None
    assert row.version == 2
    assert await TouchedBook.get(row.id) == row
    await row.save()
    tag = row.tag
    assert (await TouchedBook.get(row.id)).version == 2, "it is known to be stored"
    row.extra["a"] = 1
    await row.save()
    assert row.tag not in (None, tag)
    assert await TouchedBook.get(row.id) == row


async def test_what_is_assigned_is_stored_as_it_is() -> None:
    row = await book()
    row.edited_at = later = OLD + datetime.timedelta(days=1)
    await row.save()
    assert (row.edited_at, row.tag is None) == (later, False)
    assert await TouchedBook.get(row.id) == row
    assert await TouchedBook.where(id=row.id).update(edited_at=OLD) == 1
    assert (await TouchedBook.get(row.id)).edited_at == OLD


async def test_a_stale_or_missing_row_is_still_noticed() -> None:
    row, other = await book(), await book("b")
    await TouchedBook.where(id=row.id).update(pages=3)
    row.pages = 4
    with pytest.raises(ferro.StaleObjectError):
        await row.save()
    assert (row.edited_at, row.version) == (OLD, 1)
    await row.refresh()
    row.pages = 4
    await row.save()
    await TouchedBook.where(id=other.id).delete()
    other.pages = 1
    with pytest.raises(ferro.DoesNotExist):
        await other.save()
    assert other.edited_at == OLD


async def test_updates_by_queries_set_it() -> None:
    row = await book()
    assert await TouchedBook.where(id=row.id).update(pages=1) == 1
    assert await is_touched(row)
    assert await TouchedBook.where(id=row.id).update(pages=lambda b: b.pages + 1) == 1
    assert await is_touched(row)
    (found,) = await TouchedBook.where(title="a").limit(1).update_returning(pages=3)
    assert near(found.edited_at)
    assert await is_touched(row)
    changed = TouchedBook.where(id=row.id).update(extra=lambda b: b.extra["a"].set_to(1))
    assert await changed == 1
    assert await is_touched(row)
    assert not await is_touched(row)
    assert row.edited_at == OLD, "instances are not refreshed"


async def test_bulk_update_sets_it_in_the_database() -> None:
    rows = [await book(title) for title in "abc"]
    for row in rows[:2]:
        row.pages = 7
    assert await TouchedBook.bulk_update(rows) == 2
    assert [row.edited_at for row in rows] == [OLD] * 3, "instances are not refreshed"
    assert [await is_touched(row) for row in rows] == [True, True, False]
    row = await TouchedBook.get(rows[2].id)
    row.version = 30
    assert await TouchedBook.bulk_update([row]) == 1
    assert await is_touched(row)


async def test_upserts_set_it_on_the_row_that_is_there() -> None:
    new = await TouchedBook.upsert(title="a", edited_at=OLD, conflict="title")
    assert (new.edited_at, new.tag) == (OLD, None)
    again = await TouchedBook.upsert(
        TouchedBook(title="a", pages=2, edited_at=OLD), conflict="title"
    )
    assert near(again.edited_at)
    assert again.pages == 2
    assert again.tag is not None
    assert await is_touched(again)
    rows = [TouchedBook(title=title, pages=3, edited_at=OLD) for title in "ab"]
    assert await TouchedBook.bulk_upsert(rows, conflict="title") == 2
    assert await is_touched(again)
    assert not await is_touched(await TouchedBook.get(title="b"))
    named = await TouchedBook.upsert(
        TouchedBook(title="a", pages=4, edited_at=OLD),
        conflict="title",
        update=["pages", "edited_at"],
    )
    assert named.edited_at == OLD
    found, is_new = await TouchedBook.update_or_create({"pages": 5}, title="a")
    assert near(found.edited_at)
    assert not is_new
    kept = await TouchedBook.get_or_create({"pages": 6}, title="a")
    assert kept == (found, False)


async def test_relations_set_it_on_the_rows_that_hold_the_key() -> None:
    shelf, row = await TouchedShelf.create(), await book()
    await shelf.books.add(row)
    assert await is_touched(row)
    await row.refresh()
    await shelf.books.remove(row)
    assert await is_touched(row)
    await shelf.books.set([await TouchedBook.get(row.id)])
    assert await is_touched(row)
    await shelf.books.clear()
    assert await is_touched(row)
    await shelf.books.add(await TouchedBook.get(row.id))
    assert await is_touched(row)
    await shelf.delete()
    assert not await is_touched(row), "the database itself has set the key to null"
    await ferro.execute("update touched_book set pages = 9")
    assert not await is_touched(row), "SQL text is what it says"


async def test_a_rollback_brings_back_what_was_there() -> None:
    row = await book()
    row.pages = 1
    with pytest.raises(ZeroDivisionError):
        async with ferro.transaction():
            async with ferro.transaction():
                await row.save()
            row.pages = 2
            await row.save()
            assert near(row.edited_at)
            raise ZeroDivisionError
    assert (row.edited_at, row.tag) == (OLD, None)
    await row.save()
    assert near(row.edited_at)
    assert row.pages == 2
    assert await TouchedBook.get(row.id) == row

    row = await book("b")
    row.pages, own = 1, OLD + datetime.timedelta(days=2)
    with pytest.raises(ZeroDivisionError):
        async with ferro.transaction():
            await row.save()
            row.edited_at = own
            raise ZeroDivisionError
    assert row.edited_at == own, "what was assigned since is kept"


async def test_a_rollback_leaves_no_time_of_an_update_that_never_was() -> None:
    async def assign_and_save(row: TouchedBook) -> TouchedBook:
        row.tag = uuid.uuid4()
        await row.save()
        row.pages += 1
        await row.save()
        return row

    async def bulk_update(row: TouchedBook) -> TouchedBook:
        row.pages += 1
        await TouchedBook.bulk_update([row])
        await row.refresh()
        return row

    async def update_or_create(row: TouchedBook) -> TouchedBook:
        row, _ = await TouchedBook.update_or_create({"pages": row.pages + 1}, title=row.title)
        return row

    for title, change in enumerate((assign_and_save, bulk_update, update_or_create)):
        row = await book(str(title))
        with pytest.raises(ZeroDivisionError):
            async with ferro.transaction():
                row = await change(row)
                assert near(row.edited_at)
                raise ZeroDivisionError
        assert row.edited_at == OLD, change
        row.pages = 9
        await row.save()
        assert near((await TouchedBook.get(row.id)).edited_at), change


async def test_a_rollback_keeps_what_was_assigned_as_of_every_field() -> None:
    own = OLD + datetime.timedelta(days=3)

    async def saved(row: TouchedBook) -> None:
        row.pages += 1
        await row.save()

    async def assigned(row: TouchedBook) -> None:
        row.edited_at = own
        await row.save()

    async def inside(row: TouchedBook) -> None:
        async with ferro.transaction():
            await assigned(row)

    async def inside_and_saved(row: TouchedBook) -> None:
        async with ferro.transaction():
            await assigned(row)
            await saved(row)

    async def refreshed(row: TouchedBook) -> None:
        await TouchedBook.bulk_update([row])
        await row.refresh()

    kept = [
        (saved, assigned),
        (assigned, saved),
        (assigned, saved, saved),
        (saved, assigned, saved, refreshed),
        (saved, inside),
        (saved, inside_and_saved),
        (saved, inside_and_saved, saved),
    ]
    for title, steps in enumerate(kept):
        row = await book(str(title))
        with pytest.raises(ZeroDivisionError):
            async with ferro.transaction():
                for step in steps:
                    await step(row)
                raise ZeroDivisionError
        assert row.edited_at == own, steps
        await row.save()
        assert (await TouchedBook.get(row.id)).edited_at == own, "it is written again"

    row = await book("before")
    row.edited_at = own
    with pytest.raises(ZeroDivisionError):
        async with ferro.transaction():
            await saved(row)
            await saved(row)
            raise ZeroDivisionError
    assert row.edited_at == own


async def test_a_rollback_leaves_a_new_row_as_it_was_before_its_updates() -> None:
    row, filled = TouchedBook(title="a", edited_at=OLD), TouchedBook(title="b")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with ferro.transaction():
                for it in (row, filled):
                    await it.save()
                    async with ferro.transaction():
                        it.pages += 1
                        await it.save()
                    assert near(it.edited_at)
                raise ZeroDivisionError
        assert (row.id, row.edited_at, row.tag) == (None, OLD, None)
        assert (filled.id, filled.edited_at, filled.tag) == (None, None, None)
    await row.save()
    assert (await TouchedBook.get(title="a")).edited_at == OLD


async def test_a_rollback_takes_back_what_a_relation_has_set() -> None:
    shelf, row = await TouchedShelf.create(), await book()
    with pytest.raises(ZeroDivisionError):
        async with ferro.transaction():
            await shelf.books.add(row)
            await row.refresh()
            assert near(row.edited_at)
            raise ZeroDivisionError
    assert (row.edited_at, row.tag) == (OLD, None)


async def test_a_row_saved_elsewhere_is_updated_there() -> None:
    await ferro.connect("sqlite::memory:", "other", auto_migrate=True)
    row = await book()
    there = await TouchedBook.using("other").create(id=row.id, title="b", edited_at=OLD)
    await row.save(using="other")
    found = await TouchedBook.using("other").get(there.id)
    assert near(found.edited_at)
    assert found.tag is not None
    assert found.title == "a"
    assert found == row, "it is read back"
    assert not await is_touched(await TouchedBook.get(row.id)), "nothing has changed here"

    row, own = await TouchedBook.get(row.id), OLD + datetime.timedelta(days=1)
    row.edited_at = own
    await row.save(using="other")
    assert (await TouchedBook.using("other").get(row.id)).edited_at == own, "it is assigned"

    rows = [await TouchedBook.get(row.id)]
    await TouchedBook.using("other").bulk_update(rows)
    assert near((await TouchedBook.using("other").get(row.id)).edited_at)


async def test_what_is_assigned_while_it_is_saved_is_kept() -> None:
    row, own = await book(), OLD + datetime.timedelta(days=1)
    row.pages = 1
    saving = asyncio.create_task(row.save())
    await asyncio.sleep(0)
    row.edited_at, row.version, row.pages = own, 7, 2
    await saving
    assert (row.edited_at, row.version, row.pages) == (own, 7, 2)
    await row.save()
    assert await TouchedBook.get(row.id) == row

    new = TouchedBook(title="b")
    saving = asyncio.create_task(new.save())
    await asyncio.sleep(0)
    new.id, new.edited_at = 70, own
    await saving
    assert (new.id, new.edited_at) == (70, own)
    await new.save()
    assert await TouchedBook.get(70) == new


async def test_each_type_gets_the_time() -> None:
    row = await TouchedTypes.create()
    row.text = "a"
    await row.save()
    assert near(row.local.replace(tzinfo=UTC))
    assert abs(row.day - datetime.datetime.now(UTC).date()) <= datetime.timedelta(days=1)
    assert row.hour is not None
    assert row.hour.tzinfo is None
    assert await TouchedTypes.get(row.id) == row


async def test_many_tasks_update_one_row() -> None:
    row = await book()

    async def one(pages: int) -> None:
        await TouchedBook.where(id=row.id).update(pages=pages)

    await asyncio.gather(*map(one, range(8)))
    assert (await TouchedBook.get(row.id)).version == 9
    assert await is_touched(row)


async def test_t4_a_scope_that_may_not_write_it_updates_nothing() -> None:
    row = await book()
    write = ["pages", "version", "tag"]
    for allowed in (write, [*write, "edited"]):
        table: dict[str, Any] = {"update": True, "write": allowed}
        grant = ferro.Grant(access="read-write", tables={"touched_book": table})
        with ferro.scope(ferro.Tenant("editor", grants={"default": grant})):
            mine = await TouchedBook.get(row.id)
            mine.pages = 8
            if allowed is write:
                with pytest.raises(ferro.DeniedError, match="field `edited_at` of `TouchedBook`"):
                    await mine.save()
            else:
                await mine.save()
                assert near(mine.edited_at)
    assert await is_touched(row)


def no_moment() -> None:
    class NoMoment(ferro.Model, table="touched_no_moment"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        text: str = ferro.Field(default="", on_update=ferro.now)


def a_list() -> None:
    class AList(ferro.Model, table="touched_list"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        ids: list[uuid.UUID] = ferro.Field(default_factory=list, on_update=ferro.random_uuid)


def a_key() -> None:
    class AKey(ferro.Model, table="touched_key"):
        id: uuid.UUID = ferro.Field(primary_key=True, on_update=ferro.random_uuid)


def a_generated_key() -> None:
    class AGeneratedKey(ferro.Model, table="touched_generated"):
        id: int | None = ferro.Field(default=None, primary_key=True, on_update=ferro.now)


def a_version() -> None:
    class AVersion(ferro.Model, table="touched_version"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        version: int = ferro.Field(default=1, version=True, on_update=ferro.now)


def a_foreign_key() -> None:
    class AParent(ferro.Model, table="touched_parent"):
        id: uuid.UUID = ferro.Field(primary_key=True)

    class AForeignKey(ferro.Model, table="touched_foreign"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        parent_id: uuid.UUID = ferro.Field(on_update=ferro.random_uuid)
        parent: Relation[AParent] = ForeignKey()


def a_value() -> None:
    class AValue(ferro.Model, table="touched_value"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        at: datetime.datetime = ferro.Field(on_update=OLD)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (no_moment, r"`NoMoment\.text`: `ferro\.now` is for date and time .* and this is text"),
        (a_list, r"`AList\.ids`: `ferro\.random_uuid` is for uuid, and this is a list of uuid"),
        (a_key, r"`AKey\.id`: a primary key identifies its row: leave out `on_update`"),
        (a_generated_key, r"`AGeneratedKey\.id`: `ferro\.now` is for .* and this is integer"),
        (a_version, r"`AVersion\.version`: `ferro\.now` is for .* and this is integer"),
        (a_foreign_key, r"`AForeignKey\.parent_id`: it holds the key of `parent`: leave out"),
        (a_value, r"`AValue\.at`: its `on_update` is `ferro\.now` or `ferro\.random_uuid`, not"),
    ],
)
def test_a_field_that_updates_cannot_set_is_refused(
    define: Callable[[], Any], message: str
) -> None:
    with pytest.raises(ferro.SchemaError, match=message):
        define()
