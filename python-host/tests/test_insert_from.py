"""`insert_from`: new rows that a query gives."""

from __future__ import annotations

import decimal
import enum
import uuid
from typing import Any

import pytest

import ferro


class Ripeness(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Fame(enum.Enum):
    GOOD = "good"


class Grower(ferro.Model, table="insert_from_grower"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    fame: Fame = Fame.GOOD


class Apple(ferro.Model, table="insert_from_apple"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    sort: str
    grams: int = 100
    grade: Ripeness = Ripeness.GOOD
    labels: list[str] = ferro.Field(default_factory=list)
    grower: ferro.Relation[Grower] = ferro.ForeignKey(related_name="apples")


class Crate(ferro.Model, table="insert_from_crate"):
    sort: str = ferro.Field(primary_key=True)
    weight: decimal.Decimal = decimal.Decimal("1.5")
    grade: Ripeness = Ripeness.BAD
    origin: str | None = None
    labels: list[str] | None = None
    token: uuid.UUID | None = None


A: Any = Apple


@pytest.fixture(autouse=True)
async def _apples(db: str) -> None:
    ada = await Grower.create(name="Ada")
    await Apple.create(sort="boskop", grams=200, grower=ada, labels=["old"])
    await Apple.create(sort="boskop", grams=220, grower=ada)
    await Apple.create(sort="gala", grams=150, grade=Ripeness.BAD, grower=ada)


async def crates() -> list[tuple[Any, ...]]:
    rows = await Crate.select().order_by("sort")
    return [(it.sort, it.weight, it.grade, it.origin) for it in rows]


async def test_the_rows_of_a_query_are_inserted() -> None:
    gala = Apple.where(sort="gala").values(
        "sort", "grade", weight=A.grams, origin=lambda a: a.grower.name.upper()
    )
    assert await Crate.insert_from(gala) == 1
    assert await crates() == [("gala", 150, Ripeness.BAD, "ADA")]
    assert await Crate.insert_from(Apple.where(sort="none").values("sort")) == 0


async def test_a_relation_takes_the_key_of_its_row() -> None:
    gala = Apple.where(sort="gala").values("labels", sort=A.sort + "!", grower=A.grower_id)
    assert await Apple.insert_from(gala) == 1
    ada = await Grower.get(name="Ada")
    assert (await Apple.get(sort="gala!")).grower_id == ada.id
    with pytest.raises(ferro.UnknownField, match="`Grower` has no field `sort`"):
        await Grower.insert_from(Apple.select("sort"))
    with pytest.raises(ferro.InvalidQuery, match="`grower_id` is inserted twice"):
        await Apple.insert_from(Apple.select("grower_id", grower=A.grower_id))


async def test_what_is_left_out_takes_its_default() -> None:
    assert await Crate.insert_from(Apple.select("sort").distinct()) == 2
    kept = [(sort, decimal.Decimal("1.5"), Ripeness.BAD, None) for sort in ("boskop", "gala")]
    assert await crates() == kept
    assert (await Crate.get("gala")).labels is None


async def test_groups_limits_unions_and_common_tables_are_inserted(db: str) -> None:
    sums = Apple.select("sort", weight=A.grams.sum()).group_by("sort")
    assert await Crate.insert_from(sums) == 2
    assert [weight for _, weight, *_ in await crates()] == [420, 150]
    await Crate.select().delete()

    heaviest = Apple.select("sort", weight=A.grams).order_by("-grams").limit(1)
    assert await Crate.insert_from(heaviest) == 1
    assert [weight for _, weight, *_ in await crates()] == [220]

    new = Apple.where(sort="gala").values("sort").union(Grower.select(sort="name"))
    assert await Crate.insert_from(new) == 2
    assert [sort for sort, *_ in await crates()] == ["Ada", "boskop", "gala"]
    await Crate.select().delete()

    table = sums.cte("sums")
    assert await Crate.insert_from(table.where(lambda t: t.weight > 200)) == 1
    assert [weight for _, weight, *_ in await crates()] == [420]


async def test_a_table_is_copied_into_itself_once() -> None:
    fields = ("grams", "grade", "labels", "grower_id")
    copies = Apple.select("sort", *fields)
    assert await Apple.insert_from(copies) == 3
    assert await Apple.where(sort="boskop").count() == 4
    assert await Apple.where(A.labels.contains("old")).count() == 2


async def test_a_key_that_is_taken_is_a_violation_and_nothing_is_inserted() -> None:
    with pytest.raises(ferro.UniqueViolation) as raised:
        await Crate.insert_from(Apple.select("sort"))
    assert raised.value.table == "insert_from_crate"
    assert await crates() == []
    with pytest.raises(ferro.NotNullViolation):
        await Apple.insert_from(Apple.select("sort"))


async def test_what_does_not_fit_is_refused_before_the_database_is_asked() -> None:
    given: Any = Apple.select()
    for wrong in (given, Apple, [Apple]):
        with pytest.raises(ferro.InvalidQuery, match="takes a query of values"):
            await Crate.insert_from(wrong)
    with pytest.raises(ferro.UnknownField, match="grams"):
        await Crate.insert_from(Apple.select("sort", "grams"))
    for text in ("weight", "labels", "token"):
        with pytest.raises(ferro.TypeMismatch, match=f"field `{text}` of `Crate` wants"):
            await Crate.insert_from(Apple.select("sort", **{text: A.sort}))
    for good in (A.grower.fame, A.sort):
        with pytest.raises(ferro.TypeMismatch, match="wants enum"):
            await Crate.insert_from(Apple.select("sort", grade=good))
    with pytest.raises(ferro.InvalidQuery, match="for_update"):
        await Crate.insert_from(Apple.select("sort").for_update())


async def test_the_query_runs_where_the_rows_are_inserted(db: str) -> None:
    async with ferro.transaction() as transaction:
        assert await Crate.using(transaction).insert_from(Apple.where(sort="gala").values("sort"))
        assert await Crate.select().count() == 1
    with pytest.raises(ferro.InvalidQuery, match="leave out `using`"):
        await Crate.insert_from(Apple.using("default").select("sort"))
