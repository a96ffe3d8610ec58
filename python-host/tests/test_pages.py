"""Pages by key."""

from __future__ import annotations

import datetime
import enum
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import ferro
from ferro import BackRef, ForeignKey, Position, Relation
from models import Everything

pytestmark = pytest.mark.usefixtures("db")


class Rank(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Canton(ferro.Model, table="pages_canton"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    towns: Relation[list[Town]] = BackRef()


class Town(ferro.Model, table="pages_town"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    people: int | None = None
    rank: Rank = Rank.LOW
    tags: list[int] = ferro.Field(default_factory=list)
    data: dict[str, Any] = ferro.Field(default_factory=dict)
    canton: Relation[Canton | None] = ForeignKey(related_name="towns")


class Seat(ferro.Model, table="pages_seat"):
    hall: str = ferro.Field(primary_key=True)
    number: int = ferro.Field(primary_key=True)


async def towns() -> None:
    swiss, french = await Canton.create(name="CH"), await Canton.create(name="FR")
    people = [5, None, 3, 5, 1, None, 3]
    homes = [swiss, None, french, french, swiss, swiss, None]
    await Town.bulk_create(
        [
            Town(name=name, people=count, canton=home)
            for name, count, home in zip("abcdefg", people, homes, strict=True)
        ]
    )


async def read(query: Any, *, backward: bool = False) -> list[list[str]]:
    """The names of the rows of all pages, in the order in which they are read."""
    page = await query.page()
    if backward:
        last = page
        while last.more:
            last = await query.page_after(last.end)
        page = await query.page_before(str(last.end))
    pages = [[row.name for row in page.rows]]
    while page.more:
        if backward:
            page = await query.page_before(str(page.start))
        else:
            page = await query.page_after(str(page.end))
        pages.append([row.name for row in page.rows])
    return pages


async def test_pages_follow_the_order_and_then_the_key() -> None:
    await towns()
    everyone = Town.select().limit(3)
    assert await read(everyone) == [list("abc"), list("def"), ["g"]]
    assert await read(everyone.order_by("-id")) == [list("gfe"), list("dcb"), ["a"]]
    assert await read(everyone.order_by("people")) == [list("ecg"), list("adb"), ["f"]]
    assert await read(everyone.order_by("-people").limit(2)) == [
        ["a", "d"],
        ["c", "g"],
        ["e", "b"],
        ["f"],
    ]
    first: Any = Town.people
    assert await read(everyone.order_by(first.asc(nulls="first"), "-name")) == [
        ["f", "b", "e"],
        ["g", "c", "d"],
        ["a"],
    ]


@pytest.mark.parametrize("order", [["people"], ["-people"], ["-name"], ["canton.name", "people"]])
async def test_pages_before_are_those_after_from_the_other_end(order: list[str]) -> None:
    await towns()
    names = [row.name for row in await Town.select().order_by(*order)]
    for size in (1, 2, 3, 7, 9):
        query = Town.select().order_by(*order).limit(size)
        assert [name for page in await read(query) for name in page] == names
        backward = await read(query, backward=True)
        assert [name for page in reversed(backward) for name in page] == names[:-1]


async def test_a_page_is_of_the_rows_of_its_query() -> None:
    await towns()
    swiss = await Canton.get(name="CH")
    assert await read(swiss.towns.limit(2)) == [["a", "e"], ["f"]]
    assert await read(Town.where(Town.people > 2).limit(3)) == [list("acd"), ["g"]]
    people: Any = Town.people
    computed = Town.select().order_by((people.coalesce(4) % 3).desc(), "name").limit(4)
    assert await read(computed) == [list("adbe"), list("fcg")]
    page = await Town.where(name="none").page()
    assert (page.rows, page.start, page.end, page.more) == ([], None, None, False)
    page = await Town.select().page()
    assert (len(page.rows), page.more) == (7, False)


async def test_rows_that_come_and_go_meanwhile_move_no_others() -> None:
    await towns()
    query = Town.select().order_by("name").limit(3)
    page = await query.page()
    await Town.where(Town.name <= "b").delete()
    await Town.create(name="0")
    assert page.end is not None
    assert [row.name for row in (await query.page_after(page.end)).rows] == list("def")


async def test_rows_of_a_page_are_instances() -> None:
    await towns()
    async with ferro.session():
        known = await Town.get(name="a")
        page = await Town.select().include("canton").order_by("name").limit(2).page()
        assert page.rows[0] is known
        assert (known.canton.name, bool(page.rows[1].canton)) == ("CH", False)
        assert page.rows[1].rank is Rank.LOW
        page.rows[1].people = 9
        await page.rows[1].save()
    assert (await Town.get(name="b")).people == 9


async def test_keys_of_several_fields() -> None:
    await Seat.bulk_create([Seat(hall=hall, number=it) for hall in "ab" for it in (1, 2)])
    query = Seat.select().order_by("-number").limit(3)
    page = await query.page()
    assert [(it.hall, it.number) for it in page.rows] == [("a", 2), ("b", 2), ("a", 1)]
    assert page.end is not None
    assert [(it.hall, it.number) for it in (await query.page_after(page.end)).rows] == [("b", 1)]


VALUES: dict[str, Any] = {
    "boolean": True,
    "integer": -(2**63),
    "double": -0.5,
    "decimal": Decimal("-12.50"),
    "text": "é\u2028;",
    "blob": b"\x00\xff",
    "uuid": UUID(int=2**127 + 1),
    "date": datetime.date(1969, 12, 31),
    "time": datetime.time(23, 59, 59, 999999),
    "instant": datetime.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=datetime.timezone.utc),
    "local": datetime.datetime(1, 1, 1, 0, 0, 0, 1),
}


@pytest.mark.parametrize("field", VALUES)
async def test_a_position_holds_a_value_of_any_type(field: str) -> None:
    await Everything.bulk_create(
        [Everything(**{field: VALUES[field]}), Everything(**{field: VALUES[field]}), Everything()]
    )
    query = Everything.select().order_by(field).limit(1)
    seen, page = [], await query.page()
    while page.end is not None:
        (row,) = page.rows
        seen.append(getattr(row, field))
        assert Position.parse(str(page.end)) == page.end
        page = await query.page_after(str(page.end))
    assert seen == [VALUES[field], VALUES[field], None]


def test_the_text_of_a_position_has_a_part_for_each_value() -> None:
    values = (None, True, -(2**63), -0.0, Decimal("-12.50"), "é\0;", b"\x00\xff")
    before = datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999)
    moments = (before.date(), datetime.time(microsecond=1), before)
    late = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)
    values = (*values, UUID(int=(2**64 - 1) * 2**64 + 1), *moments, late)
    position = Position("-a,b", values)
    text = bytes.fromhex(str(position)).decode()
    assert text.split("\0") == [
        "-a,b",
        "n",
        "b1",
        "i-9223372036854775808",
        "f9223372036854775808",
        "m-12.50",
        "tc3a9003b",
        "x00ff",
        "uffffffffffffffff0000000000000001",
        "d-1",
        "h1",
        "s-1",
        "z946684800000000",
    ]
    again = Position.parse(str(position))
    assert again == position
    assert hash(again) == hash(position)
    assert again.values == position.values
    assert math.copysign(1, again.values[3]) == -1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6",
        "69",
        "zz",
        *(f"00{it.hex()}" for it in (b"n1", b"mx", b"z", b"bx", b"d99999999", b"f-1")),
    ],
)
async def test_a_text_that_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ferro.InvalidPosition, match="the text is not a position in a query"):
        await Town.select().page_after(text)


async def test_a_position_is_for_the_query_that_it_comes_from() -> None:
    await towns()
    page = await Town.select().order_by("name").limit(1).page()
    assert page.end is not None
    name: Any = Town.name
    for other in ("id", "people", "-name", name.asc(nulls="first"), name.upper()):
        with pytest.raises(ferro.InvalidPosition, match="for the order `name,id`, but the query "):
            await Town.select().order_by(other).page_after(page.end)
    for position in (None, 5, page):
        with pytest.raises(ferro.InvalidQuery, match="`position` takes"):
            await Town.select().page_after(position)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [(5, 1), ("a", "1"), (None, True), ("a",), (b"a", 1)])
async def test_a_position_that_was_made_up_is_refused(values: tuple[Any, ...]) -> None:
    made_up = str(Position("name,id", values))
    query = Town.select().order_by("name")
    for page in (query.page_after, query.page_before):
        with pytest.raises(ferro.InvalidPosition, match="the position "):
            await page(made_up)


@pytest.mark.parametrize(
    ("query", "part"),
    [
        (Town.select("name"), "`values`"),
        (Town.select().group_by("name"), "`group_by`"),
        (Town.select().distinct(), "`distinct`"),
        (Town.select().offset(1), "`offset`"),
    ],
)
async def test_rows_without_a_place_of_their_own_come_in_no_pages(query: Any, part: str) -> None:
    behind = Position("id", (1,))
    for call in (query.page, lambda: query.page_after(behind), lambda: query.page_before(behind)):
        with pytest.raises(ferro.InvalidQuery, match=f"begins at a row: leave out {part}"):
            await call()


async def test_rows_may_be_locked_in_a_transaction() -> None:
    await towns()
    with pytest.raises(ferro.TransactionError, match="`for_update` locks rows"):
        await Town.select().for_update().page()
    async with ferro.transaction():
        assert len((await Town.select().for_update().limit(2).page()).rows) == 2


async def test_a_page_has_rows() -> None:
    behind, query = Position("id", (1,)), Town.select().limit(0)
    for call in (query.page, lambda: query.page_after(behind), lambda: query.page_before(behind)):
        with pytest.raises(ferro.ValueOutOfRange, match="a page has at least one row"):
            await call()


@pytest.mark.parametrize(
    ("order", "named"),
    [
        ("rank", "`Town.rank` is an enum"),
        ("-rank", "`Town.rank` is an enum"),
        (lambda it: it.rank.coalesce(Rank.LOW), "`Town.rank` is an enum"),
        ("tags", "`Town.tags` is a list"),
        ("data", "`Town.data` is a document"),
    ],
)
async def test_what_has_no_order_of_its_own_is_refused_from_the_first_page_on(
    order: Any, named: str
) -> None:
    query = Town.select().order_by("name", order).limit(2)
    behind = Position("rank,id", ("low", 1))
    for call in (query.page, lambda: query.page_after(behind)):
        with pytest.raises(ferro.UnsupportedError, match=f"{named}, and a page cannot begin after"):
            await call()
