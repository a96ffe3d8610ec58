"""What an upsert does to the row that has the key: other values, and conditions."""

from __future__ import annotations

import enum
from typing import Any

import pydantic
import pytest

import ferro
from ferro import BackRef, ForeignKey, Relation, excluded

pytestmark = pytest.mark.usefixtures("db")


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Site(ferro.Model, table="upserts_site"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    pages: Relation[list[Page]] = BackRef()


class Page(ferro.Model, table="upserts_page"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    path: str = ferro.Field(unique=True)
    title: str = ""
    views: int = 1
    level: Level = Level.LOW
    tags: list[str] = ferro.Field(default=[])
    site: Relation[Site | None] = ForeignKey(related_name="pages")

    @pydantic.field_validator("title")
    @classmethod
    def _plain(cls, title: str) -> str:
        return title.strip()


page: Any = Page


async def test_fields_get_other_values_than_those_of_the_new_row() -> None:
    site = await Site.create()
    first = await Page.upsert(path="/", views=5, conflict="path", update={"views": page.views + 1})
    assert (first.views, first.title) == (5, "")
    again = await Page.upsert(
        path="/",
        views=3,
        title="new",
        conflict="path",
        update={
            "views": lambda p: p.views * 2 + excluded(p.views),
            "title": excluded(page.title).upper() + "!",
            "level": Level.HIGH,
            "tags": ["seen"],
            "site": site,
        },
    )
    assert again.id == first.id
    assert (again.views, again.title, again.level, again.tags, again.site_id) == (
        13,
        "NEW!",
        Level.HIGH,
        ["seen"],
        site.id,
    )
    assert await Page.all() == [again]
    plain = await Page.upsert(Page(path="/"), conflict="path", update={"title": "  as it is "})
    assert (plain.title, plain.views) == ("as it is", 13)


async def test_only_where_a_condition_holds() -> None:
    await Page.create(path="/", views=5, title="old")
    for views, title, expected in ((3, "less", (5, "old")), (7, "more", (7, "more"))):
        row = await Page.upsert(
            path="/",
            views=views,
            title=title,
            conflict="path",
            only_if=lambda p: p.views < excluded(p.views),
        )
        assert (row.views, row.title) == expected
        assert await Page.all() == [row]
    row = await Page.upsert(path="/", conflict="path", update={"views": 0}, only_if=page.views > 50)
    assert row.views == 7
    row = await Page.upsert(
        path="/", title="x", conflict="path", update=["title"], only_if=page.views > 5
    )
    assert (row.views, row.title) == (7, "x")
    new = await Page.upsert(path="/new", views=1, conflict="path", only_if=page.views > 50)
    assert new.id is not None
    assert new.views == 1


async def test_many_at_once() -> None:
    await Page.bulk_create([Page(path="a", views=1), Page(path="b", views=9)])

    async def write(**options: Any) -> list[tuple[Any, ...]]:
        rows = [Page(path=path, views=5, title=path) for path in "abc"]
        written = await Page.bulk_upsert(rows, conflict="path", **options)
        stored = await Page.select().order_by("path")
        return [written, *((it.path, it.views, it.title) for it in stored)]

    assert await write(update={"views": page.views + excluded(page.views) + 100}) == [
        3,
        ("a", 106, ""),
        ("b", 114, ""),
        ("c", 5, "c"),
    ]
    assert await write(only_if=page.views < 10) == [
        1,
        ("a", 106, ""),
        ("b", 114, ""),
        ("c", 5, "c"),
    ]
    assert await write(
        update={"views": 3, "title": lambda p: excluded(p.title) + "-" + p.path},
        only_if=lambda p: p.path.in_(["b", "c"]) & (p.views > 5),
    ) == [1, ("a", 106, ""), ("b", 3, "b-b"), ("c", 5, "c")]


async def test_more_rows_than_one_statement_takes() -> None:
    paths = [f"{number}" for number in range(1_234)]
    for _ in range(2):
        rows = [Page(path=path, views=1) for path in paths]
        options: dict[str, Any] = {"update": {"views": page.views + 40}, "only_if": page.views < 9}
        assert await Page.bulk_upsert(rows, conflict="path", **options) == 1_234
    assert await Page.where(views=41).count() == 1_234
    assert await Page.bulk_upsert([Page(path="0"), Page(path="x")], conflict="path", **options) == 1


async def test_rows_with_and_without_keys_together() -> None:
    first = await Page.create(path="a")
    rows = [Page(id=first.id, path="a", views=2), Page(path="b", views=2)]
    written = await Page.bulk_upsert(rows, conflict="path", update={"views": page.views + 40})
    assert written == 2
    assert [it.views for it in await Page.select().order_by("path")] == [41, 2]


async def test_in_a_session_and_a_transaction() -> None:
    async with ferro.session():
        known = await Page.create(path="a")
        assert await Page.upsert(path="a", conflict="path", update={"views": 7}) is known
        assert known.views == 7
        with pytest.raises(ZeroDivisionError):
            async with ferro.transaction():
                await Page.upsert(path="a", conflict="path", update={"views": 8})
                raise ZeroDivisionError
        assert (await Page.get(path="a")).views == 7


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"update": {"nothing": 1}}, ferro.UnknownField, "no field `nothing`"),
        ({"update": {"views": "many"}}, pydantic.ValidationError, "valid integer"),
        (
            {"update": {"id": None}},
            ferro.InvalidQuery,
            "`Page.id` of stored rows is never",
        ),
        ({"update": {"views": page.views > 1}}, ferro.InvalidQuery, "not to `<condition>`"),
        ({"update": {"views": page.title}}, ferro.TypeMismatch, "views|title"),
        ({"update": {}, "only_if": page.views > 1}, ferro.InvalidQuery, "there are none"),
        ({"update": 5}, ferro.InvalidQuery, "`update` takes a `str`, a list, a dict or None"),
        ({"update": [page.views]}, ferro.InvalidQuery, "`update` takes names of fields"),
        (
            {"update": {5: 1}},
            ferro.InvalidQuery,
            "`update` takes names of fields, such as .* not `5`",
        ),
        ({"only_if": "views > 1"}, ferro.InvalidQuery, "is not a condition"),
        ({"only_if": lambda p: p.site.id == 1}, ferro.UnsupportedError, "of its own row"),
    ],
)
async def test_what_cannot_be_done_writes_nothing(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await Page.upsert(path="new", title="new", conflict="path", **options)
    with pytest.raises(error, match=message):
        await Page.bulk_upsert([Page(path="new")], conflict="path", **options)
    assert await Page.all() == []


async def test_a_key_is_given_by_names() -> None:
    for key in ([page.path], [5]):
        with pytest.raises(ferro.InvalidQuery, match="`conflict` takes names of fields"):
            await Page.upsert(path="new", conflict=key)
    with pytest.raises(ferro.InvalidQuery, match="`conflict` takes a `str` or a list"):
        await Page.upsert(path="new", conflict=page.path)


async def test_what_was_excluded_is_known_in_an_upsert_only() -> None:
    for given in (page.views + 1, page.site.id, "views", 5):
        with pytest.raises(ferro.InvalidQuery, match="`excluded` takes a field of the model"):
            excluded(given)
    with pytest.raises(ferro.InvalidQuery, match="excluded|insert"):
        await Page.where(page.views == excluded(page.views))
    site: Any = Site
    with pytest.raises(ferro.InvalidQuery, match="a field of `Site` in a query of `Page`"):
        await Page.upsert(path="x", conflict="path", update={"views": excluded(site.id)})
