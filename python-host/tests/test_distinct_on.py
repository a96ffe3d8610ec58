"""`distinct_on`: of the rows that agree, the first one."""

from __future__ import annotations

from typing import Any

import pytest

import ferro


class Reading(ferro.Model, table="distinct_on_reading"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    meter: str
    hour: int
    amount: int
    note: str | None = None
    of: ferro.Relation[Meter | None] = ferro.ForeignKey(related_name="readings", default=None)


class Meter(ferro.Model, table="distinct_on_meter"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    readings: ferro.Relation[list[Reading]] = ferro.BackRef()


R: Any = Reading


@pytest.fixture(autouse=True)
async def _readings(db: str) -> None:
    for meter, hour, amount in (("a", 1, 5), ("a", 2, 9), ("b", 1, 3), ("b", 3, 2), ("c", 1, 7)):
        await Reading.create(meter=meter, hour=hour, amount=amount)


async def found(query: ferro.Select[Reading]) -> list[tuple[str, int]]:
    return [(it.meter, it.hour) for it in await query]


async def test_the_first_row_in_the_order_of_the_query_comes() -> None:
    latest = Reading.select().distinct_on("meter").order_by("meter", "-hour")
    assert await found(latest) == [("a", 2), ("b", 3), ("c", 1)]
    assert await found(latest.order_by("-amount")) == [("a", 2), ("c", 1), ("b", 1)]
    assert await found(latest.limit(1).offset(1)) == [("b", 3)]
    assert await found(latest.where(R.hour < 3)) == [("a", 2), ("b", 1), ("c", 1)]
    assert await latest.count() == 3
    first = await latest.first()
    assert first is not None
    assert first.hour == 2
    assert [it.meter async for it in latest.stream()] == ["a", "b", "c"]


async def test_fields_and_what_is_computed_with_values() -> None:
    query = Reading.where(R.hour < 3).distinct_on(R.hour % 2, lambda r: r.meter.null_if("c"))
    assert await found(query.order_by("-amount")) == [("a", 2), ("c", 1), ("a", 1), ("b", 1)]
    rows = query.values("meter", more=R.amount + 100).order_by("-amount").limit(2)
    assert await rows == [{"meter": "a", "more": 109}, {"meter": "c", "more": 107}]


async def test_inside_of_other_queries() -> None:
    latest = Reading.select("id").distinct_on("meter").order_by("meter", "-hour")
    assert await Reading.where(R.id.in_(latest)).sum("amount") == 18
    both = Reading.where(meter="a").union(Reading.where(meter="b").distinct_on("meter"))
    assert await both.count() == 3


async def test_what_it_cannot_be_beside_is_refused() -> None:
    query = Reading.select().distinct_on("meter")
    with pytest.raises(ferro.InvalidQuery, match="for rows, not for groups"):
        await query.group_by("meter").values("meter")
    with pytest.raises(ferro.InvalidQuery, match="of the first query: leave out `distinct_on`"):
        query.union(Reading.select())
    with pytest.raises(ferro.InvalidQuery, match="leave out `distinct_on`"):
        await query.sum("amount")
    for change in (query.update(amount=0), query.delete()):
        with pytest.raises(ferro.InvalidQuery, match="`distinct_on`"):
            await change
    with pytest.raises(ferro.InvalidQuery, match="`lock` is for"):
        async with ferro.transaction():
            await query.for_update()
    with pytest.raises(ferro.UnknownField, match="did you mean `meter`"):
        query.distinct_on("metre")
    with pytest.raises(
        ferro.InvalidQuery, match="`Meter.readings` is loaded with whole rows of a plain query"
    ):
        Meter.select().include(readings=query)
    assert await found(query.distinct().where(hour=3)) == [("b", 3)], "the latter holds"
