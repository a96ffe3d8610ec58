"""Instances with values beside them: `with_values`."""

from __future__ import annotations

import enum
import logging
from decimal import Decimal
from typing import Any

import pytest

import ferro


class Fur(enum.Enum):
    SHORT = "short"
    LONG = "long"


class Keeper(ferro.Model, table="pairs_keeper"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    data: dict[str, Any] = ferro.Field(default_factory=dict)
    cats: ferro.Relation[list[Cat]] = ferro.BackRef()


class Cat(ferro.Model, table="pairs_cat"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    weight: Decimal = ferro.Field(max_digits=6, decimal_places=2)
    fur: Fur = Fur.SHORT
    keeper: ferro.Relation[Keeper] = ferro.ForeignKey(related_name="cats")


K: Any = Keeper
C: Any = Cat


@pytest.fixture(autouse=True)
async def _cats(db: str) -> None:
    ada, ben, _ = [await Keeper.create(name=it) for it in ("Ada", "Ben", "Cyd")]
    await Cat.create(name="Tom", weight=Decimal("4.50"), keeper=ada)
    await Cat.create(name="Kit", weight=Decimal("3.00"), fur=Fur.LONG, keeper=ada)
    await Cat.create(name="Sid", weight=Decimal("5.25"), fur=Fur.LONG, keeper=ben)


def counted() -> ferro.Select[tuple[Keeper, dict[str, Any]]]:
    return Keeper.select().with_values(cats=K.cats.count()).order_by("-cats", "name")


async def found(query: ferro.Select[tuple[Any, dict[str, Any]]]) -> list[tuple[Any, ...]]:
    return [(row.name, *values.values()) for row, values in await query]


async def test_each_row_comes_with_its_values() -> None:
    pairs = await Cat.select().with_values("keeper.name", heavy=C.weight * 2).order_by("name")
    assert [values for _, values in pairs] == [
        {"keeper.name": "Ada", "heavy": Decimal("6.00")},
        {"keeper.name": "Ben", "heavy": Decimal("10.50")},
        {"keeper.name": "Ada", "heavy": Decimal("9.00")},
    ]
    (kit, _), *_ = pairs
    assert (type(kit), kit.fur, kit.weight) == (Cat, Fur.LONG, Decimal("3.00"))
    kit.name = "Kitty"
    await kit.save()
    assert await Cat.where(name="Kitty").count() == 1


async def test_values_are_what_fields_hold() -> None:
    await Keeper.where(name="Cyd").update(data={"town": "Bern"})
    query = Keeper.select().with_values(
        fur=ferro.subquery(of_keeper().values("fur")),
        town=lambda k: k.data["town"].as_type(str),
    )
    pairs = await query.order_by("name")
    assert [it for _, it in pairs] == [
        {"fur": Fur.SHORT, "town": None},
        {"fur": Fur.LONG, "town": None},
        {"fur": None, "town": "Bern"},
    ]
    assert pairs[2][0].data == {"town": "Bern"}


def of_keeper() -> ferro.Select[Cat]:
    return Cat.where(C.keeper_id == ferro.outer(K.id)).order_by("id")


async def test_conditions_orders_and_limits_come_before_or_after() -> None:
    assert await found(counted()) == [("Ada", 2), ("Ben", 1), ("Cyd", 0)]
    assert await found(counted().limit(1).offset(1)) == [("Ben", 1)]
    assert await found(counted().where(K.name != "Ada", K.cats.count() > 0)) == [("Ben", 1)]
    last = Keeper.where(K.name > "A").order_by("-name").limit(1).with_values(cats=K.cats.count())
    assert await found(last) == [("Cyd", 0)]
    assert await found(counted().order_by(lambda k: k.name).limit(1)) == [("Ada", 2)]
    assert await found(counted().distinct_on(K.name).order_by("name").limit(1)) == [("Ada", 2)]


async def test_relations_are_loaded_with_the_rows() -> None:
    chosen = Cat.where(C.weight > 3).order_by("name")
    before = Keeper.select().include(cats=chosen).with_values(n=K.cats.count())
    for query in (before, counted().include(cats=chosen)):
        cats = {row.name: [cat.name for cat in row.cats] for row, _ in await query}
        assert cats == {"Ada": ["Tom"], "Ben": ["Sid"], "Cyd": []}
    ((cat, values),) = await Cat.where(name="Tom").include("keeper").with_values(n=ferro.value(1))
    assert (cat.keeper.name, values) == ("Ada", {"n": 1})


async def test_one_pair_and_how_many_there_are() -> None:
    pair = await counted().first()
    assert pair is not None
    assert (pair[0].name, pair[1]) == ("Ada", {"cats": 2})
    row, values = await counted().get(name="Ben")
    assert (row.name, values) == ("Ben", {"cats": 1})
    assert (await counted().get(row.id))[0] == row
    assert (await counted().where(name="Cyd").one())[1] == {"cats": 0}
    assert await counted().get_or_none(name="Eve") is None
    with pytest.raises(ferro.MultipleObjectsReturned):
        await counted().one()
    assert await counted().include("cats").count() == 3
    assert await counted().where(name="Ada").exists()
    assert await counted().max(K.cats.count()) == 2


async def test_the_statement_is_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ferro.statement")
    await counted()
    assert [it.name for it in caplog.records] == ["ferro.statement"]
    assert await counted().explain()


async def test_the_rows_of_a_relation_and_of_a_session() -> None:
    async with ferro.session():
        ada = await Keeper.get(name="Ada")
        ((first, values), *_) = await ada.cats.with_values(n=C.keeper.cats.count()).order_by("name")
        assert (first.name, values) == ("Kit", {"n": 2})
        assert first is await Cat.get(name="Kit")
        assert (await counted().first() or [None])[0] is ada


async def test_rows_with_values_are_locked() -> None:
    async with ferro.transaction():
        assert await found(counted().for_update().limit(1)) == [("Ada", 2)]


async def test_pages_have_pairs() -> None:
    query = counted().limit(2).include("cats")
    page = await query.page()
    assert [(row.name, len(row.cats), values) for row, values in page.rows] == [
        ("Ada", 2, {"cats": 2}),
        ("Ben", 1, {"cats": 1}),
    ]
    assert page.more
    assert page.end is not None
    page = await query.page_after(str(page.end))
    assert [(row.name, values) for row, values in page.rows] == [("Cyd", {"cats": 0})]
    assert page.start is not None
    page = await query.page_before(page.start)
    assert [(row.name, values) for row, values in page.rows] == [
        ("Ada", {"cats": 2}),
        ("Ben", {"cats": 1}),
    ]


async def test_values_may_have_any_name_in_a_page() -> None:
    names: dict[str, Any] = {"order 0": K.cats.count(), "order 1": K.name.length()}
    query = Keeper.select().with_values(**names).order_by("-order 0", "name").limit(1)
    page = await query.page()
    assert page.end is not None
    page = await query.page_after(page.end)
    assert [(row.name, it) for row, it in page.rows] == [("Ben", {"order 0": 1, "order 1": 3})]


async def test_a_page_refuses_windows_which_would_see_the_rest_only() -> None:
    place = ferro.row_number().over(order_by=C.weight)
    beside = Cat.select().with_values(place=place, next=place + 1, size=C.name.length())
    ordered = Cat.select().order_by(place.desc())
    for query, part in ((beside, "place`, `next"), (ordered, "order_by")):
        for page in (query.page(), query.page_after("6964006930"), query.page_before("6964006930")):
            with pytest.raises(ferro.InvalidQuery, match=rf"leave it out of `{part}`.*query\.cte"):
                await page
    places = Cat.select("id", place=place).cte("places")
    of_it = places.where(lambda p: p.id == ferro.outer(C.id)).column("place")
    query = Cat.select().with_values(place=ferro.subquery(of_it)).order_by("name").limit(2)
    page = await query.page()
    assert [(row.name, it["place"]) for row, it in page.rows] == [("Kit", 1), ("Sid", 3)]
    assert page.end is not None
    page = await query.page_after(page.end)
    assert [(row.name, it["place"]) for row, it in page.rows] == [("Tom", 2)]


async def test_a_position_is_for_one_order_by_values() -> None:
    query = Keeper.select().with_values(cats=K.cats.count(), size=K.name.length()).limit(1)
    page = await query.order_by("cats").page()
    assert page.end is not None
    assert page.end.order == "cats,id"
    assert (await query.order_by("cats").page_after(str(page.end))).rows[0][1]["cats"] == 1
    with pytest.raises(ferro.InvalidPosition, match="for the order `cats,id`, but .* `size,id`"):
        await query.order_by("size").page_after(page.end)


async def test_values_of_a_common_table_stand_beside_rows() -> None:
    weights = Cat.select("keeper_id", weight=C.weight.sum()).group_by("keeper_id").cte("weights")
    joined = Keeper.select().join(weights, lambda k, w: k.id == w.keeper_id)
    pairs = joined.with_values(weight=weights.c.weight).order_by("-weight")
    assert await found(pairs) == [("Ada", Decimal("7.50")), ("Ben", Decimal("5.25"))]
    table = counted().cte("counted")
    assert await table.where(lambda t: t.cats > 1).values("name", "cats") == [
        {"name": "Ada", "cats": 2}
    ]


async def test_window_functions_stand_beside_rows() -> None:
    place = ferro.row_number().over(order_by=C.weight)
    pairs = Cat.select().with_values(place=place).order_by("place")
    assert await found(pairs) == [("Kit", 1), ("Tom", 2), ("Sid", 3)]


async def test_t2_values_beside_rows_are_of_rows_in_scope() -> None:
    (ben,) = await Keeper.where(name="Ben")
    tables = {
        "pairs_keeper": {"filters": {"id": ben.id}},
        "pairs_cat": {"filters": {"fur": "long"}},
    }
    acme = ferro.Tenant("acme", grants={"default": {"access": "read-only", "tables": tables}})
    with ferro.scope(acme):
        assert await found(counted()) == [("Ben", 1)]
        assert await found(Cat.select().with_values(n=C.keeper.cats.count()).order_by("n")) == [
            ("Kit", 0),
            ("Sid", 1),
        ]


async def test_a_later_column_or_values_asks_for_values_alone() -> None:
    assert await counted().order_by("name").column("name") == ["Ada", "Ben", "Cyd"]
    assert await counted().values("name").order_by("name").limit(1) == [{"name": "Ada"}]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Keeper.select().with_values(), "takes a value: `with_values"),
        (lambda: Keeper.select().with_values("name"), "have `Keeper.name` already"),
        (lambda: Keeper.select().with_values(id=K.cats.count()), "have `Keeper.id` already"),
        (lambda: Keeper.select().with_values(K.cats.count()), r"result: `with_values\(name=…"),
        (lambda: Cat.select().with_values(n=C.weight.sum()), r"`n` is an aggregate, .*\.over\(\)"),
        (lambda: Keeper.select().with_values(n=ferro.count() + 1), "use it over a window"),
        (lambda: Cat.select().with_values(n=C.name.string_agg(",")), r"`Author.posts.count\(\)`"),
        (lambda: Keeper.select().with_values(n=3), "`3` is not a value"),
        (lambda: counted().with_values(n=K.id), "called once: name all values there"),
        (lambda: Keeper.select("name").with_values(n=K.id), "with whole rows"),
        (lambda: Keeper.select().column("name").with_values(n=K.id), "with whole rows"),
        (lambda: counted().cte().select().union(counted()), "leave out `with_values`"),
        (lambda: Keeper.select().union(counted()), "leave out `with_values`"),  # type: ignore[arg-type]
        (lambda: Cat.select().include(keeper=counted()), "leave out `with_values`"),
    ],
)
def test_mistakes_are_told_before_the_query_runs(wrong: Any, message: str) -> None:
    with pytest.raises(ferro.InvalidQuery, match=message):
        wrong()


async def test_pairs_are_streamed() -> None:
    query = counted()
    pairs = await query
    for batch in (1, 2, 3, 4):
        assert [it async for it in query.stream(batch=batch)] == pairs
    assert [it async for it in query.limit(0).stream()] == []
    furs = Cat.select().with_values(other=C.fur).order_by("name")
    assert [values async for _, values in furs.stream(batch=2)] == [
        {"other": it} for it in (Fur.LONG, Fur.LONG, Fur.SHORT)
    ]
    async with ferro.session():
        kit = await Cat.get(name="Kit")
        first, *_ = [cat async for cat, _ in furs.stream(batch=1)]
        assert first is kit


async def test_what_has_no_pairs_refuses_them() -> None:
    for wrong in (counted().group_by("name"), counted().having(K.id.count() > 1)):
        with pytest.raises(
            ferro.InvalidQuery, match="with whole rows: leave out `(group_by|having)`"
        ):
            await wrong
    for change in (counted().update(name="x"), counted().delete(), counted().delete_returning()):
        with pytest.raises(ferro.InvalidQuery, match="whole rows, .*: leave out `with_values`"):
            await change


def test_what_other_orms_call_it_is_told() -> None:
    with pytest.raises(AttributeError, match=r"use `.with_values\(name=lambda it"):
        Keeper.select().annotate(n=1)  # type: ignore[attr-defined]
