"""Queries that are combined: `union`, `union_all`, `intersect` and `except_`."""

from __future__ import annotations

import enum
from typing import Any

import pytest

import ferro
from models import Document


class Metal(enum.Enum):
    GOLD = "gold"
    TIN = "tin"


class Alloy(enum.Enum):
    TIN = "tin"
    STEEL = "steel"


class Jewel(ferro.Model, table="combined_ring"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    size: int = 0
    metal: Metal = Metal.GOLD
    price: float = 1.0
    box: ferro.Relation[Box | None] = ferro.ForeignKey(related_name="rings", default=None)


class Box(ferro.Model, table="combined_box"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    size: int = 0
    metal: Metal = Metal.TIN
    alloy: Alloy = Alloy.STEEL
    rings: ferro.Relation[list[Jewel]] = ferro.BackRef()


class Stock(ferro.Model, table="combined_stock"):
    metal: Metal = ferro.Field(primary_key=True)
    count: int


R: Any = Jewel
B: Any = Box


@pytest.fixture(autouse=True)
async def _rings(db: str) -> None:
    red = await Box.create(name="red", size=2)
    await Box.create(name="b", size=3, alloy=Alloy.TIN)
    for name, size, box in (("a", 1, red), ("b", 2, None), ("c", 3, red), ("d", 4, None)):
        await Jewel.create(name=name, size=size, box=box)


def small() -> ferro.Select[Jewel]:
    return Jewel.where(R.size <= 3)


def large() -> ferro.Select[Jewel]:
    return Jewel.where(R.size >= 2)


async def names(query: ferro.Select[Jewel]) -> list[str]:
    return [ring.name for ring in await query.order_by("name")]


class TestRowsOfAModel:
    async def test_are_combined(self) -> None:
        assert await names(small().union(large())) == ["a", "b", "c", "d"]
        assert await names(small().union_all(large())) == ["a", "b", "b", "c", "c", "d"]
        assert await names(small().intersect(large())) == ["b", "c"]
        assert await names(small().except_(large())) == ["a"]

    async def test_from_left_to_right(self) -> None:
        one = Jewel.where(name="d")
        assert await names(small().except_(large()).union(one)) == ["a", "d"]
        assert await names(small().except_(large().union(one))) == ["a"]
        assert await names(one.union(Jewel.where(name="a"), Jewel.where(name="b"))) == [
            "a",
            "b",
            "d",
        ]
        assert await names(small().union(one).intersect(large().except_(one))) == ["b", "c"]

    async def test_values_are_bound_in_the_order_of_the_queries(self) -> None:
        first = Jewel.where(R.size > 1, name="b")
        second = Jewel.where(R.size.between(3, 4)).order_by("-size").limit(1)
        assert await names(first.union(second).limit(9).offset(0)) == ["b", "d"]

    async def test_order_limit_and_offset_are_those_of_all_rows(self) -> None:
        query = small().union(large()).order_by("-size")
        assert [ring.name for ring in await query.limit(2)] == ["d", "c"]
        assert [ring.name for ring in await query.offset(2)] == ["b", "a"]
        assert await query.limit(3).count() == 3
        assert await query.count() == 4
        assert await query.offset(4).exists() is False
        assert await query.exists() is True
        with pytest.raises(ferro.InvalidQuery, match="ordered by what they list only"):
            await query.order_by("box.name")

    async def test_one_of_them(self) -> None:
        query = small().except_(large())
        assert (await query.one()).name == "a"
        found = await query.union(Jewel.where(name="d")).order_by("-name").first()
        assert found is not None
        assert found.name == "d"
        by_key = await Jewel.where(name="d").union(Jewel.where(name="b")).first()
        assert by_key is not None
        assert by_key.name == "b", "without an order it is the one with the least key"
        assert await query.intersect(Jewel.where(name="d")).one_or_none() is None
        with pytest.raises(ferro.MultipleObjectsReturned):
            await small().union(large()).one()

    async def test_one_of_those_whose_key_is_an_enum(self) -> None:
        await Stock.create(metal=Metal.TIN, count=3)
        stocks = Stock.where(count=3).union(Stock.where(count=4))
        assert (await stocks.one()).metal is Metal.TIN
        first = await stocks.first()
        assert first is not None
        assert first.count == 3

    async def test_are_streamed_explained_and_shown(self) -> None:
        query = small().union(large()).order_by("name")
        assert [ring.name async for ring in query.stream(batch=3)] == ["a", "b", "c", "d"]
        text, values = query.sql()
        assert " UNION " in text
        assert values == (3, 2)
        assert await query.explain()

    async def test_load_their_relations(self) -> None:
        rings = await small().union(large()).include("box").order_by("name")
        assert [ring.box and ring.box.name for ring in rings] == ["red", None, "red", None]
        with pytest.raises(ferro.InvalidQuery, match="`include` may follow"):
            small().union(large().include("box"))

    async def test_are_one_object_each_in_a_session(self) -> None:
        async with ferro.session():
            first = await Jewel.get(name="a")
            assert (await small().except_(large()).one()) is first

    async def test_rows_of_relations_are_combined(self) -> None:
        red, other = await Box.select().order_by("-name")
        await other.rings.create(name="e")
        assert await names(red.rings.union(other.rings)) == ["a", "c", "e"]
        assert await names(red.rings.where(R.size > 1).union(red.rings.where(name="a"))) == [
            "a",
            "c",
        ]
        with pytest.raises(ferro.InvalidQuery, match="call `using` on all of them, or on none"):
            Jewel.select().union(red.rings)

    async def test_become_a_common_table(self) -> None:
        last = (
            small().union_all(large().order_by("-size").limit(2)).order_by("-size", "id").limit(3)
        )
        table = last.cte("last")
        rows = await table.select().order_by("size", "id")
        assert [(row["name"], row["size"]) for row in rows] == [("c", 3), ("c", 3), ("d", 4)]
        assert rows[0]["metal"] is Metal.GOLD
        assert await table.where(lambda t: t.size > 3).values("name") == [{"name": "d"}]
        every = small().union(large(), small().union(large()).except_(Jewel.where(name="b")))
        assert await every.cte().select().count() == 4

    async def test_on_a_connection(self) -> None:
        query = small().except_(large()).using("default")
        assert await names(query) == ["a"]
        one = Jewel.using("default").where(name="a")
        assert await names(one.union(Jewel.using("default").where(name="b"))) == ["a", "b"]
        with pytest.raises(ferro.ConfigurationError, match="`elsewhere`"):
            await query.using("elsewhere")


class TestValues:
    async def test_of_several_models_have_the_names_of_the_first(self) -> None:
        query = small().values("name", many=R.size).union(Box.select("name", few=B.size))
        assert await query.order_by("name", "-many") == [
            {"name": "a", "many": 1},
            {"name": "b", "many": 3},
            {"name": "b", "many": 2},
            {"name": "c", "many": 3},
            {"name": "red", "many": 2},
        ]
        assert await query.order_by("-many", "name").limit(1).offset(1) == [
            {"name": "c", "many": 3}
        ]
        assert await query.count() == 5

    async def test_are_ordered_by_a_constant_that_tells_the_queries_apart(self) -> None:
        rings = Jewel.where(name="a").values(kind=ferro.value("ring"), name=R.name)
        boxes = Box.select(kind=ferro.value("box"), name=B.name)
        assert await rings.union_all(boxes).order_by("kind", "-name") == [
            {"kind": "box", "name": "red"},
            {"kind": "box", "name": "b"},
            {"kind": "ring", "name": "a"},
        ]
        with pytest.raises(ferro.InvalidQuery, match="ordered or grouped by a constant"):
            await rings.order_by("kind")

    async def test_of_rows_with_documents_are_told_apart_by_their_key(self) -> None:
        one, other = [await Document.create(title=it, data={"a": [it]}) for it in ("x", "y")]
        every = Document.select("key", "data")
        both = Document.where(title="x").values("key", "data").union(every)
        assert await both.count() == 2
        assert await every.except_(Document.where(title="x").values("key", "data")) == [
            {"key": other.key, "data": {"a": ["y"]}}
        ]
        assert await every.distinct().count() == 2
        rows = await Document.where(title="x").union(Document.select()).cte().select("key")
        assert {row["key"] for row in rows} == {one.key, other.key}

    async def test_of_groups_and_what_is_computed_with_values(self) -> None:
        odd = R.size % 2
        groups = Jewel.select().group_by(odd).values(odd=odd, n=ferro.count())
        query = groups.union_all(Box.select(odd=B.size % 2, n=B.size * 10)).order_by("odd", "n")
        assert await query == [
            {"odd": 0, "n": 2},
            {"odd": 0, "n": 20},
            {"odd": 1, "n": 2},
            {"odd": 1, "n": 30},
        ]
        assert await groups.intersect(groups).order_by(odd) == [
            {"odd": 0, "n": 2},
            {"odd": 1, "n": 2},
        ]

    async def test_members_of_an_enum_stay_members_if_all_are(self) -> None:
        same = Jewel.select("metal").union(Box.select("metal"))
        found = {row["metal"] for row in await same}
        assert found == {Metal.GOLD, Metal.TIN}
        other = Jewel.select("metal").union(Box.select("alloy"))
        assert {row["metal"] for row in await other} == {"gold", "tin", "steel"}

    async def test_stand_inside_of_other_queries(self) -> None:
        both = Jewel.where(name="a").values("size").union(Box.where(name="b").values("size"))
        assert await names(Jewel.where(R.size.in_(both))) == ["a", "c"]
        least = ferro.subquery(both.order_by("-size"))
        assert await names(Jewel.where(R.size >= least)) == ["c", "d"]
        own = Jewel.where(R.box_id == ferro.outer(B.id)).values("size")
        alike = own.intersect(Box.where(B.size > ferro.outer(B.size)).values("size"))
        boxes = await Box.where(ferro.exists(alike))
        assert [box.name for box in boxes] == ["red"]

    async def test_of_other_types_or_numbers_are_refused(self) -> None:
        with pytest.raises(ferro.TypeMismatch, match="`size` is of type integer, and `name` of"):
            Jewel.select("size").union(Box.select("name"))
        with pytest.raises(ferro.TypeMismatch, match="type float, .* type integer: cast one"):
            Jewel.select("price").except_(Box.select("size"))
        with pytest.raises(ferro.InvalidQuery, match="same number of values, not 1 and 2"):
            Jewel.select("size").intersect(Box.select("size", "name"))


async def test_what_cannot_be_combined_is_refused() -> None:
    for first, part in (
        (
            small().order_by("name"),
            "`union` combines all rows of the first query: leave out .*, and add it after",
        ),
        (
            small().limit(1),
            "`union` combines all rows of the first query: leave out .*, and add it after",
        ),
        (
            small().union(large()).offset(1),
            "`union` combines all rows of the first query: leave out .*, and add it after",
        ),
        (small().for_update(), "only combines rows: leave out `for_update`"),
        (small().include("box"), "leave out `include`; `include` may follow"),
        (Jewel.select("id"), "combines rows of one model, or queries with `values`"),
        (Jewel.using("other"), "call `using` on all of them"),
    ):
        query: Any = first.where() if isinstance(first, ferro.Connected) else first
        with pytest.raises(ferro.InvalidQuery, match=part):
            query.union(large())
    with pytest.raises(ferro.InvalidQuery, match="`<Select of Box>` has different rows from"):
        small().intersect(Box.select())  # type: ignore[arg-type]
    with pytest.raises(ferro.InvalidQuery, match="`except_` takes another query"):
        small().except_()
    with pytest.raises(ferro.InvalidQuery, match="`union_all` takes queries"):
        small().union_all([large()])  # type: ignore[arg-type]


async def test_what_is_asked_of_one_query_is_refused_for_combined_ones() -> None:
    query = small().union(large())
    for name, hint in (
        ("where", "use it on each of them"),
        ("group_by", "use it on each of them"),
        ("having", "use it on each of them"),
        ("values", "use it on each of them"),
        ("column", "use it on each of them"),
        ("with_values", "use it on each of them"),
        ("join", "use it on each of them"),
        ("distinct_on", "use it on each of them"),
        ("distinct", "use it on each of them"),
        ("get", "`first`, `one`"),
        ("get_or_none", "`first`, `one`"),
        ("for_update", "lock the rows of one query"),
        ("update", "use one query with a condition"),
        ("delete", "use one query with a condition"),
        ("update_returning", "use one query with a condition"),
        ("delete_returning", "use one query with a condition"),
        ("page", "`limit` and `offset` are"),
        ("page_after", "`limit` and `offset` are"),
        ("page_before", "`limit` and `offset` are"),
    ):
        with pytest.raises(AttributeError, match=f"`{name}` is not for .* combined: {hint}"):
            getattr(query, name)
    for name in ("sum", "avg", "min", "max"):
        with pytest.raises(AttributeError, match=f"`{name}` is not for"):
            getattr(query, name)
    assert await Jewel.select().count() == 4


async def test_deep_combinations_are_refused_before_pythons_own_limit() -> None:
    query = Jewel.select()
    for _ in range(400):
        query = Jewel.select().union(query)
    with pytest.raises(ferro.InvalidQuery, match="a query has at most 200 levels"):
        await query


async def test_t2_combined_queries_have_only_rows_in_scope() -> None:
    tenant = ferro.Tenant(
        "combined",
        grants={
            "default": ferro.Grant(
                tables={"combined_ring": ferro.TableGrant(filters={"metal": "gold", "size": 2})}
            )
        },
    )
    with ferro.scope(tenant):
        assert await names(small().union(large())) == ["b"]
        assert await names(small().except_(Jewel.where(name="x"))) == ["b"]
        with pytest.raises(ferro.FerroError):
            await small().values("name").union(Box.select("name"))
