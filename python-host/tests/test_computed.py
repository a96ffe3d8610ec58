"""What queries compute: aggregates, groups, values, and operators on documents and lists."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import ferro
from models import Colour, Document, Everything, Size, User


class Sale(ferro.Model):
    id: int | None = ferro.Field(default=None, primary_key=True)
    shop: str
    amount: Decimal
    pieces: int = 1
    note: str | None = None


class Valued(ferro.Model, table="computed_valued"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    value: int


class Counting(ferro.Model):
    """Not a table, but a view of numbers, which are counted as they are read."""

    number: int = ferro.Field(primary_key=True)


@pytest.fixture
async def sales(db: str) -> None:
    rows = [
        ("north", "0.10", 1, None),
        ("north", "0.20", 2, "gift"),
        ("north", "12345678901234567.89", 3, "gift"),
        ("south", "5.00", 4, None),
    ]
    await Sale.bulk_create(
        [
            Sale(shop=shop, amount=Decimal(amount), pieces=pieces, note=note)
            for shop, amount, pieces, note in rows
        ]
    )


@pytest.mark.usefixtures("sales")
class TestAggregates:
    async def test_of_all_rows(self) -> None:
        assert await Sale.select().sum("pieces") == 10
        assert await Sale.select().avg("pieces") == 2.5
        assert await Sale.select().min("shop") == "north"
        assert await Sale.select().max(Sale.pieces) == 4
        assert await Sale.where(shop="north").sum(lambda s: s.pieces * 2) == 12
        assert await Sale.where(shop="north").count() == 3

    async def test_decimals_stay_exact(self) -> None:
        total = await Sale.select().sum("amount")
        assert isinstance(total, Decimal)
        assert total == Decimal("12345678901234573.19")
        average = await Sale.where(Sale.amount < 1).avg("amount")
        assert isinstance(average, Decimal)
        assert average == Decimal("0.15")

    async def test_of_no_rows_they_are_none_and_the_count_is_0(self) -> None:
        nothing = Sale.where(shop="west")
        found = [await nothing.sum("pieces"), await nothing.avg("amount")]
        found += [await nothing.min("pieces"), await nothing.max("shop")]
        assert found == [None] * 4
        assert await nothing.count() == 0

    async def test_over_a_page_or_groups_they_are_refused(self) -> None:
        many = Sale.select().having(lambda s: s.id.count() > 100)
        for query, part in (
            (Sale.select().limit(1), "`limit`"),
            (Sale.select().offset(1), "`offset`"),
            (Sale.select().distinct(), "`distinct`"),
            (many, "`having`"),
            (many.group_by("shop"), "`group_by`, `having`"),
        ):
            with pytest.raises(
                ferro.InvalidQuery,
                match=(f"`sum` covers all rows, and does not lock them: leave out {part}"),
            ):
                await query.sum("pieces")


@pytest.mark.usefixtures("sales")
class TestGroups:
    async def test_values_of_groups(self) -> None:
        rows = await (
            Sale.select()
            .group_by("shop")
            .values("shop", pieces=lambda s: s.pieces.sum(), sales=ferro.count())
            .order_by("-pieces", "shop")
        )
        assert rows == [
            {"shop": "north", "pieces": 6, "sales": 3},
            {"shop": "south", "pieces": 4, "sales": 1},
        ]

    async def test_groups_by_what_is_computed(self) -> None:
        rows = await (
            Sale.select()
            .group_by(Sale.shop.upper())
            .values(shop=Sale.shop.upper(), pieces=lambda s: s.pieces.sum())
            .order_by(Sale.shop.upper())
        )
        assert rows == [{"shop": "NORTH", "pieces": 6}, {"shop": "SOUTH", "pieces": 4}]

    async def test_groups_by_what_is_computed_with_values(self) -> None:
        odd = Sale.pieces % 2
        query = Sale.where(Sale.pieces < 4).group_by(odd, "shop")
        query = query.having(lambda s: s.id.count() > 0)
        rows = query.values("shop", odd=odd, n=ferro.count()).order_by((Sale.pieces - 1).min())
        expected = [{"shop": "north", "odd": 1, "n": 2}, {"shop": "north", "odd": 0, "n": 1}]
        assert await rows == expected
        assert await rows.order_by("odd").limit(5) == expected[::-1]
        assert await rows.order_by(odd.desc()).offset(1) == expected[1:]
        assert await rows.count() == 2
        with pytest.raises(ferro.InvalidQuery, match="neither grouped by nor aggregated"):
            await query.values(third=Sale.pieces % 3)

    async def test_a_group_is_known_inside_of_what_is_computed(self) -> None:
        odd = Sale.pieces % 2
        groups = Sale.select().group_by(odd, "shop").having(odd == 1, Sale.pieces % 2 < 5)
        rows = groups.values(
            "shop",
            more=odd + 10,
            word=ferro.case((odd == 1, "odd"), otherwise="even"),
            n=ferro.count(where=Sale.pieces % 3 == 0),
        )
        assert await rows.order_by(odd * 2, "shop") == [
            {"shop": "north", "more": 11, "word": "odd", "n": 1}
        ]
        with pytest.raises(ferro.InvalidQuery, match="neither grouped by nor aggregated"):
            await groups.having(Sale.pieces % 3 == 1).values("shop")

    async def test_the_first_group_is_that_of_the_least_values(self) -> None:
        rows = [Sale(shop=f"{it:02}", amount=Decimal(1), pieces=it) for it in (9, 5)]
        await Sale.bulk_create(rows)
        sales = Sale.select("pieces", n=ferro.count())
        assert await sales.group_by("pieces").first() == {"pieces": 1, "n": 1}
        assert await sales.group_by("shop").values(pieces=Sale.pieces.sum()).first() == {
            "pieces": 5
        }
        assert await sales.group_by("pieces").order_by("-pieces").first() == {"pieces": 9, "n": 1}
        assert await sales.group_by(Sale.pieces % 7, "pieces").first() == {"pieces": 1, "n": 1}
        of_alike = sales.group_by("pieces").distinct().values(n=ferro.count())
        assert await of_alike.first() == {"n": 1}

    async def test_having_chooses_groups(self) -> None:
        many = Sale.select().group_by("shop").having(lambda s: s.id.count() > 1)
        assert await many.values("shop") == [{"shop": "north"}]
        assert await many.having(lambda s: s.pieces.sum() > 6).values("shop") == []

    async def test_distinct_values(self) -> None:
        notes = await Sale.select("note").distinct().order_by("note")
        assert notes == [{"note": "gift"}, {"note": None}], "nulls come last"
        noted = Sale.select(note=ferro.col(Sale.note).coalesce("none"), shop=Sale.shop.upper())
        noted = noted.distinct()
        expected = [
            {"note": "gift", "shop": "NORTH"},
            {"note": "none", "shop": "NORTH"},
            {"note": "none", "shop": "SOUTH"},
        ]
        assert await noted.order_by("note", "shop") == expected
        assert await noted.order_by("-shop", ferro.col(Sale.note).coalesce("none")).limit(2) == [
            expected[2],
            expected[0],
        ]
        with pytest.raises(ferro.InvalidQuery, match="ordered by what they list only"):
            await noted.order_by("pieces")
        count = Sale.select(n=lambda s: s.note.count(distinct=True))
        assert await count == [{"n": 1}]

    async def test_of_alike_values_distinct_ones_take_one(self) -> None:
        await Sale.create(shop="north", amount=Decimal(1), pieces=3)
        (row,) = await Sale.where(shop="north").values(
            average=lambda s: s.pieces.avg(),
            of_distinct=lambda s: s.pieces.avg(distinct=True),
            sum=lambda s: s.pieces.sum(distinct=True),
        )
        assert row == {"average": 2.25, "of_distinct": 2.0, "sum": 6}

    async def test_texts_are_joined(self) -> None:
        await Sale.create(shop="south", amount=Decimal(1), pieces=4, note="last")
        joined = {
            "notes": lambda s: s.note.string_agg("; ", order_by=[s.pieces.desc(), s.note]),
            "large": lambda s: s.note.upper().string_agg("", order_by=s.id, where=s.pieces > 2),
            "years": lambda s: s.note.string_agg(", ", where=s.pieces > 9),
        }
        rows = await Sale.select().group_by("shop").values("shop", **joined).order_by("shop")
        assert rows == [
            {"shop": "north", "notes": "gift; gift", "large": "GIFT", "years": None},
            {"shop": "south", "notes": "last", "large": "LAST", "years": None},
        ]
        shop: Any = Sale.shop
        pieces = shop.string_agg(", ", order_by=Sale.pieces)
        south = Sale.select(shops=pieces).having(pieces.startswith("north, north"))
        assert await south == [{"shops": "north, north, north, south, south"}]
        shops = Sale.select("shop").distinct().cte("shops")
        assert await shops.select(n=lambda s: s.shop.string_agg("+", order_by=s.shop)) == [
            {"n": "north+south"}
        ]

    async def test_values_become_lists(self) -> None:
        await Sale.create(shop="south", amount=Decimal("1.50"), pieces=4, note="last")
        lists = {
            "notes": lambda s: s.note.array_agg(order_by=[s.pieces.desc(), s.note]),
            "pieces": lambda s: s.pieces.array_agg(distinct=True, order_by=s.pieces.desc()),
            "large": lambda s: (s.pieces * 2).array_agg(order_by=s.id, where=s.pieces > 2),
            "years": lambda s: s.note.array_agg(where=s.pieces > 9),
        }
        rows = await Sale.select().group_by("shop").values("shop", **lists).order_by("shop")
        pieces = [row["pieces"] for row in rows]
        assert pieces == [sorted(it, reverse=True) for it in pieces]
        assert [row["notes"] for row in rows] == [["gift", "gift"], ["last"]]
        assert [row["years"] for row in rows] == [None, None]
        assert [row["large"] for row in rows] == [[6], [8, 8]]
        # Each value is bound where it belongs.
        twos = lambda s: (s.pieces % 2).array_agg(  # noqa: E731
            distinct=True, order_by=(s.pieces % 2).desc(), where=s.shop == "north"
        )
        assert await Sale.select(twos=twos).where(Sale.pieces > 1) == [{"twos": [1, 0]}]
        shop: Any = Sale.shop
        amounts: Any = Sale.amount
        fair = Sale.select(amounts=amounts.array_agg(order_by=Sale.id)).group_by("shop")
        (found,) = await fair.having(shop.array_agg().contains("south") & (shop == "south"))
        assert found["amounts"][-1] == Decimal("1.50")
        lists_of = Sale.select("shop", notes=lambda s: s.note.array_agg()).group_by("shop")
        table = lists_of.cte("lists")
        assert await table.where(lambda t: t.notes.contains("last")).values("shop") == [
            {"shop": "south"}
        ]

    async def test_what_is_no_list_of_values_is_refused(self) -> None:
        sale: Any = Sale
        with pytest.raises(ferro.InvalidQuery, match="can only be ordered by its value"):
            sale.note.array_agg(distinct=True, order_by=sale.id)
        with pytest.raises(ferro.InvalidQuery, match="can only be ordered by its value"):
            (sale.pieces * 2).array_agg(distinct=True, order_by=sale.pieces * 3)
        with pytest.raises(ferro.InvalidQuery, match="`distinct` takes True or False"):
            sale.note.array_agg(distinct="yes")
        with pytest.raises(ferro.InvalidQuery, match="`order_by` takes a field"):
            sale.note.array_agg(order_by="id")
        with pytest.raises(ferro.InvalidQuery, match="do not support `over`"):
            sale.note.array_agg().over()
        with pytest.raises(ferro.TypeMismatch, match="`array_agg` makes lists of plain values"):
            table = Sale.select("shop", notes=sale.note.array_agg()).group_by("shop").cte("lists")
            await table.select(n=lambda t: t.notes.array_agg())
        with pytest.raises(ferro.InvalidQuery, match="a window function is computed"):
            place = ferro.row_number().over()
            await Sale.select(n=sale.shop.array_agg(order_by=place))

    async def test_what_cannot_be_joined_is_refused(self) -> None:
        sale: Any = Sale
        with pytest.raises(ferro.TypeMismatch, match="`string_agg` only joins texts"):
            sale.pieces.string_agg(", ")
        with pytest.raises(ferro.InvalidQuery, match="`separator` takes"):
            sale.shop.string_agg(7)
        with pytest.raises(ferro.InvalidQuery, match="`order_by` takes a field"):
            sale.shop.string_agg(", ", order_by="shop")
        with pytest.raises(ferro.InvalidQuery, match="do not support `over`"):
            sale.shop.string_agg(", ").over()
        with pytest.raises(ferro.InvalidQuery, match="a window function is computed"):
            place = ferro.row_number().over()
            await Sale.select(n=sale.shop.string_agg(", ", order_by=place))

    async def test_computed_values(self) -> None:
        rows = await Sale.select("id", double=Sale.pieces * 2, shop=Sale.shop.upper()).order_by(
            "id"
        )
        assert [(row["double"], row["shop"]) for row in rows][-1] == (8, "SOUTH")
        (row,) = await Sale.where(pieces=1).values(note=lambda s: s.note.coalesce("none"))
        assert row == {"note": "none"}

    async def test_groups_without_values_are_refused(self) -> None:
        with pytest.raises(ferro.InvalidQuery, match="groups have no instances"):
            await Sale.select().group_by("shop")
        with pytest.raises(ferro.InvalidQuery, match="needs a name"):
            Sale.select(Sale.pieces * 2)


@pytest.mark.usefixtures("db")
class TestDocuments:
    @pytest.fixture(autouse=True)
    async def _documents(self, db: str) -> None:
        await Document.bulk_create(
            [
                Document(
                    title="a",
                    data={"city": {"name": "Zürich"}, "size": 3, "ok": True},
                    tags=["x", "y"],
                ),
                Document(
                    title="b",
                    data={"city": {"name": "Bern"}, "size": 20, "list": [1, 2]},
                    tags=["y"],
                ),
                Document(title="c", data={"city": None}),
            ]
        )

    async def titles(self, condition: Any) -> list[str]:
        return [document.title for document in await Document.where(condition).order_by("title")]

    async def test_parts_of_documents(self) -> None:
        data: Any = Document.data
        assert await self.titles(data["city"]["name"] == "Zürich") == ["a"]
        assert await self.titles(data["size"] > 3) == ["b"]
        assert await self.titles(data["size"] >= 3) == ["a", "b"]
        assert await self.titles(data["ok"] == True) == ["a"]  # noqa: E712 - what is tested
        assert await self.titles(data["list"][1] == 2) == ["b"]
        assert await self.titles(data["city"]["name"].ilike("z%")) == ["a"]
        assert await self.titles(data["city"]["name"].in_(["Bern", "Basel"])) == ["b"]
        assert await self.titles(data["city"].is_null()) == [], "a JSON null is there"
        assert await self.titles(data["list"].is_null()) == ["a", "c"]
        assert await self.titles(data["list"].is_not_null()) == ["b"]
        assert await self.titles(data["size"] == None) == ["c"]  # noqa: E711 - what is tested
        by_size = await Document.select("title").order_by(data["size"].as_type(int).desc())
        assert [row["title"] for row in by_size] == ["b", "a", "c"]

    async def test_a_part_is_asked_what_a_text_is_asked(self) -> None:
        data: Any = Document.data
        city = data["city"]["name"]
        assert await self.titles(city.contains("ric")) == ["a"]
        assert await self.titles(city.contains("%")) == []
        assert await self.titles(city.startswith("Z")) == ["a"]
        assert await self.titles(city.endswith("n")) == ["b"]
        assert await self.titles(city.not_like("B%")) == ["a"]
        assert await self.titles(city.not_ilike("b%")) == ["a"]
        assert await self.titles(city.lower() == "bern") == ["b"]
        assert await self.titles(city.upper() == "BERN") == ["b"]
        assert await self.titles(city.trim().length() == 4) == ["b"]
        assert await self.titles(city.length() > 4) == ["a"]
        assert await self.titles(city.trim_start().trim_end() == "Bern") == ["b"]
        assert await self.titles(city.left(1) + city.right(1) == "Bn") == ["b"]
        assert await self.titles(city.substring(2, 2) == "er") == ["b"]
        assert await self.titles(city.position("rn") == 3) == ["b"]
        assert await self.titles(city.replace("rn", "ll") == "Bell") == ["b"]
        assert await self.titles(city.coalesce("none") == "none") == ["c"]
        assert await self.titles(city.is_distinct_from("Bern")) == ["a", "c"]
        assert await self.titles(data["list"].is_distinct_from(None)) == ["b"]
        assert await self.titles(data["size"].between(3, 4)) == ["a"]
        assert await self.titles(data["size"].between(3.5, 40)) == ["b"]

    async def test_integers_among_floats_are_floats(self) -> None:
        size: Any = Document.data["size"]  # type: ignore[attr-defined, index]
        for values in ([3, 1.5], [1.5, 3]):
            assert await self.titles(size.in_(values)) == ["a"]
            assert await self.titles(size.not_in(values)) == ["b"]
            assert await self.titles(size.between(*sorted(values))) == ["a"]

    async def test_a_part_that_is_compared_with_a_field_is_read_as_a_type(self) -> None:
        size: Any = Document.data["size"]  # type: ignore[attr-defined, index]
        title: Any = Document.title
        for compared in (
            lambda: size > title,
            lambda: title > size,
            lambda: size.in_([title]),
            lambda: size.between(1, title),
            lambda: size.coalesce(title),
            lambda: size == size,
            lambda: size + title,
            lambda: title + size,
        ):
            with pytest.raises(ferro.TypeMismatch, match=r"has no type: .* `as_type\(int\)`"):
                compared()
        assert await self.titles(size.as_type(int) > title.length()) == ["a", "b"]

    async def test_none_among_the_values_of_a_part_is_a_part_that_is_not_there(self) -> None:
        size: Any = Document.data["size"]  # type: ignore[attr-defined, index]
        for values in ([3, None], [None, 3]):
            assert await self.titles(size.in_(values)) == ["a", "c"]
            assert await self.titles(size.not_in(values)) == ["b"]
        assert await self.titles(size.in_([None])) == ["c"]
        assert await self.titles(size.not_in([None])) == ["a", "b"]
        assert await self.titles(size.in_([])) == []
        assert await self.titles(size.not_in([])) == ["a", "b", "c"]
        assert await self.titles(size.in_(["x", None])) == ["c"], "one of another type is there"
        for wrong in ("text", 5, None):
            with pytest.raises(ferro.TypeMismatch, match=r"`Document.data\['size'\]` takes a list"):
                size.in_(wrong)
        with pytest.raises(ferro.TypeMismatch, match="has no type: set its type with"):
            size.not_in(Document.select("title"))
        titles = Document.where(title="b").values(length=Document.title.length() + 2)  # type: ignore[attr-defined]
        assert await self.titles(size.as_type(int).in_(titles)) == ["a"]

    async def test_a_document_contains_a_document(self, dialect: str) -> None:
        data: Any = Document.data
        for contains in (
            data.contains({"city": {"name": "Bern"}}),
            data["city"].contains({"name": "Bern"}),
            data["list"].contains([2]),
        ):
            if dialect == "postgres":
                assert await self.titles(contains) == ["b"]
            else:
                with pytest.raises(ferro.UnsupportedError):
                    await self.titles(contains)

    async def test_lists(self) -> None:
        tags: Any = Document.tags
        assert await self.titles(tags.contains("x")) == ["a"]
        assert await self.titles(tags.contains(["x", "y"])) == ["a"]
        assert await self.titles(tags.overlaps(["y", "z"])) == ["a", "b"]
        assert await self.titles(tags == []) == ["c"]

    async def test_what_is_no_document_has_no_parts(self) -> None:
        with pytest.raises(ferro.TypeMismatch, match="is not a document"):
            User.name["x"]
        with pytest.raises(ferro.TypeMismatch, match="is not a list"):
            Document.title.overlaps(["x"])  # type: ignore[attr-defined]


@pytest.mark.usefixtures("db")
class TestTexts:
    async def test_capitals_count_for_like_and_not_for_ilike(self) -> None:
        await User.bulk_create([User(name="Ada_1"), User(name="ada%"), User(name="Ben")])

        async def found(condition: Any) -> set[str]:
            return {user.name for user in await User.where(condition)}

        assert await found(User.name.like("A%")) == {"Ada_1"}
        assert await found(User.name.ilike("A%")) == {"Ada_1", "ada%"}
        assert await found(User.name.not_like("A%")) == {"ada%", "Ben"}
        assert await found(User.name.not_ilike("a%")) == {"Ben"}
        assert await found(User.name.contains("_")) == {"Ada_1"}
        assert await found(User.name.endswith("%")) == {"ada%"}
        assert await found(User.name.startswith("a")) == {"ada%"}
        assert await found(User.name.lower() == "ben") == {"Ben"}
        assert await found(User.name.length() == 4) == {"ada%"}

    async def test_spaces_at_the_ends_are_trimmed(self) -> None:
        await User.create(name="  Ada B  ")
        assert await User.select(trimmed=User.name.trim()) == [{"trimmed": "Ada B"}]

    async def test_texts_are_joined_with_plus(self) -> None:
        await User.create(name="Ada")
        assert await User.select(greeting="Hi " + User.name + "!") == [{"greeting": "Hi Ada!"}]


@pytest.mark.usefixtures("db")
async def test_numbers_are_computed() -> None:
    await User.create(name="Ada", age=7)
    row = await User.select(
        sum=User.age + 3, difference=10 - User.age, rest=User.age % 4, negative=-User.age
    )
    assert row == [{"sum": 10, "difference": 3, "rest": 3, "negative": -7}]
    assert await User.where(User.age * 2 > 13).exists()
    numbers: Any = User.age
    row = await User.select(parts=20 / numbers, share=14.0 / numbers, rest=20 % numbers)
    assert row == [{"parts": 2, "share": 2.0, "rest": 6}]


@pytest.mark.usefixtures("db")
async def test_whole_numbers_stay_whole_and_nothing_is_divided_by_0() -> None:
    await User.create(name="Ada", age=-7)
    row = await User.select(
        product=3 * User.age,
        sum=3 + User.age,
        half=User.age / 2,
        rest=User.age % 4,
        size=User.age.abs(),
        by_0=User.age / (User.age + 7),
        rest_by_0=User.age % (User.age + 7),
    )
    whole = {"product": -21, "sum": -4, "half": -3, "rest": -3, "size": 7}
    assert row == [{**whole, "by_0": None, "rest_by_0": None}]


async def test_a_list_of_a_group_has_values_of_every_type(db: str) -> None:
    utc = datetime.timezone.utc
    row = Everything(
        boolean=False,
        integer=-(2**63),
        double=0.1 + 0.2,
        decimal=Decimal("10.50"),
        price=Decimal("-0.10"),
        text='it\'s "a" \\ é😀',
        blob=b"\x00\xff[",
        uuid=UUID(int=7),
        date=datetime.date(1, 1, 1),
        time=datetime.time(23, 59, 59, 999999),
        instant=datetime.datetime(2024, 5, 6, 7, 8, 9, 1, tzinfo=utc),
        local=datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
        duration=datetime.timedelta(days=-3, microseconds=5),
        document={"a": [1, None, "]"]},
        items=[{"b": 2}, "null"],
        colour=Colour.RED,
        size=Size.LARGE,
    )
    await Everything.bulk_create([row, Everything()])
    given = {name: value for name, value in row.model_dump().items() if value is not None}
    lists = {name: getattr(Everything, name).array_agg() for name in given}
    assert await Everything.select(**lists) == [{name: [it] for name, it in given.items()}]
    texts: Any = Everything.texts
    with pytest.raises(ferro.TypeMismatch, match="`array_agg` makes lists of plain values"):
        texts.array_agg()


@pytest.mark.usefixtures("db")
async def test_floats_are_divided_and_rounded() -> None:
    double: Any = Everything.double
    for value, half, size, rounded in ((2.5, 1.25, 2.5, 3.0), (-0.4, -0.2, 0.4, 0.0)):
        await Everything.select().delete()
        await Everything.create(double=value)
        row = await Everything.select(half=double / 2.0, size=double.abs(), rounded=double.round())
        assert row == [{"half": half, "size": size, "rounded": rounded}]
    for wrong in (double % 2.0, Everything.integer.round()):  # type: ignore[union-attr]
        with pytest.raises(ferro.TypeMismatch):
            await Everything.select(it=wrong)


@pytest.mark.usefixtures("db")
async def test_decimals_are_computed_exactly() -> None:
    for value in ("-7.25", "0.1", "0.2"):
        await Everything.create(decimal=Decimal(value))
    decimal: Any = Everything.decimal
    rows = Everything.select(half=decimal / Decimal(2), size=decimal.abs()).order_by(decimal)
    assert (await rows)[0] == {"half": Decimal("-3.625"), "size": Decimal("7.25")}
    groups = Everything.where(decimal > 0).group_by("text")
    (found,) = await groups.values(total=decimal.sum(), mean=decimal.avg())
    assert found == {"total": Decimal("0.3"), "mean": Decimal("0.15")}
    assert await Everything.where(decimal + Decimal("0.1") == Decimal("0.3")).count() == 1
    assert await Everything.where(decimal > 0).update(decimal=decimal * 3) == 2
    assert await Everything.where(decimal > 0).sum("decimal") == Decimal("0.9")


class Priced(ferro.Model, table="computed_priced"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    price: Decimal = ferro.Field(default=Decimal(5), db_type="numeric(6, 2)")


@pytest.mark.usefixtures("db")
async def test_one_computed_value_has_no_name() -> None:
    await Valued.bulk_create([Valued(value=it) for it in (2, 3, 1)])
    negated = Valued.select().column(-ferro.col(Valued.value))
    assert await negated.order_by("value") == [-1, -2, -3]
    with pytest.raises(ferro.UnknownField, match="no field `value`"):
        await Sale.select().column(Sale.pieces + 1).order_by("value")


@pytest.mark.usefixtures("db")
async def test_decimals_have_the_digits_of_their_column() -> None:
    await Priced.bulk_create([Priced(), Priced(price=Decimal("1.005")), Priced(price=Decimal(-3))])
    prices = [str(it.price) for it in await Priced.select().order_by("id")]
    assert prices == ["5.00", "1.01", "-3.00"]
    (row,) = await Priced.where(price=5)
    row.price = Decimal("2.5")
    await row.save()
    assert str((await Priced.get(row.id)).price) == "2.50"
    with pytest.raises(ferro.ValueOutOfRange):
        await Priced.create(price=Decimal(10_000))
    with pytest.raises(ferro.ValueOutOfRange):
        await Priced.select().update(price=lambda p: p.price * 10_000)


@pytest.mark.usefixtures("db")
class TestStreams:
    async def test_rows_come_one_by_one_from_batches(self) -> None:
        await User.bulk_create([User(name=f"{number}", age=number) for number in range(2_500)])
        ages = [user.age async for user in User.select().order_by("age").stream(batch=7)]
        assert ages == list(range(2_500))
        pairs = [row async for row in User.select("age").order_by("-age").limit(2).stream()]
        assert pairs == [{"age": 2_499}, {"age": 2_498}]
        for batch in (2**32, 2**63, 10**30):
            assert len([row async for row in User.select().stream(batch=batch)]) == 2_500

    async def test_no_more_is_read_than_the_batch_that_was_asked_for(self) -> None:
        # The eighth number is none of 64 bits: whoever reads on to it fails.
        await ferro.execute("drop table counting")
        await ferro.execute(
            "create view counting as with recursive n (number) as "
            f"(select {2**63 - 7} union all select number + 1 from n) select number from n"
        )
        for batch, seen in ((1, 7), (3, 6), (7, 7), (8, 0), (1_000, 0)):
            numbers = []
            with pytest.raises((ferro.DecodeError, ferro.ValueOutOfRange)):
                async for row in Counting.select().stream(batch=batch):
                    numbers.append(row.number)
            assert numbers == [2**63 - 7 + it for it in range(seen)], batch

    async def test_what_cannot_be_streamed_is_refused(self) -> None:
        with pytest.raises(ferro.ValueOutOfRange, match="`batch`"):
            async for _ in User.select().stream(batch=0):
                pass

    async def test_a_stream_sees_its_transaction(self) -> None:
        async with ferro.transaction():
            await User.create(name="Ada")
            assert [user.name async for user in User.select().stream()] == ["Ada"]


@pytest.mark.usefixtures("db")
async def test_sql_and_explain_show_what_is_run(dialect: str) -> None:
    query = User.where(User.age >= 18, active=True).order_by("name").limit(5)
    sql, values = query.sql()
    assert sql.startswith("SELECT")
    assert values == (18, True, 5)
    assert ("$1" in sql) == (dialect == "postgres")
    assert await query.explain()
    quiet = User.select("name", both=lambda u: u.age.coalesce(0) + 1).where(lambda u: u.name != "x")
    sql, values = quiet.sql()
    placeholders = set(re.findall(r"[$?][0-9]+", sql))
    assert len(values) == len(placeholders) >= 3
    assert await User.where(id=1).explain() != await query.explain()


@pytest.mark.usefixtures("db")
async def test_one_row_that_cannot_be_decoded_names_table_column_and_row(dialect: str) -> None:
    if dialect == "postgres":
        # Its columns have types: what cannot be read is a value that Python has none for.
        await ferro.execute("insert into everything (id, date) values (3, '99999-01-01')")
    else:
        await ferro.execute("insert into everything (id, date) values (3, 'never')")
    await Everything.create(id=4, date=datetime.date(2024, 1, 1))
    with pytest.raises(ferro.DecodeError, match="`date`") as raised:
        await Everything.all()
    assert raised.value.column == "date"
