"""No operation leaves out what a query asks for: it does it, or says that it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import ferro
from ferro._queries.spec import ALL_PARTS, QuerySpec
from ferro._tables.table import table_of


class Parcel(ferro.Model, table="parts_parcel"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    weight: int
    sender: ferro.Relation[Sender] = ferro.ForeignKey(related_name="parcels")
    sender_id: int = 0


class Sender(ferro.Model, table="parts_sender"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    parcels: ferro.Relation[list[Parcel]] = ferro.BackRef()


class Letter(ferro.Model, table="parts_letter"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    weight: int


P: Any = Parcel

PARTS: dict[str, Callable[[Any], Any]] = {
    "where": lambda it: it.where(weight=2),
    "values": lambda it: it.values("weight"),
    "column": lambda it: it.column("weight"),
    "with_values": lambda it: it.with_values(double=P.weight * 2),
    "group_by": lambda it: it.group_by("weight").values("weight"),
    "having": lambda it: it.group_by("weight").having(P.id.count() > 0).values("weight"),
    "distinct": lambda it: it.distinct(),
    "distinct_on": lambda it: it.distinct_on("weight"),
    "order_by": lambda it: it.order_by("-weight"),
    "limit": lambda it: it.limit(2),
    "offset": lambda it: it.offset(1),
    "include": lambda it: it.include("sender"),
    "for_update": lambda it: it.for_update(),
    "for_share": lambda it: it.for_share(),
    "using": lambda it: it.using("default"),
    "join": lambda it: it.join(weights(), lambda p, w: p.weight == w.weight),
    "union": lambda it: it.union(Parcel.where(weight=1)),
}
LOCKS = {"for_update", "for_share"}
GROUPS = {"group_by", "having"}
PAIRS_OR_VALUES = {"values", "column", "with_values"}
NOT_CHANGED = {*LOCKS, *GROUPS, *PAIRS_OR_VALUES, "distinct", "distinct_on", "include"}
ONLY_READS = {*LOCKS, "include"}


def weights() -> ferro.CommonTable:
    return Parcel.select("weight").distinct().cte("weights")


async def streamed(query: Any) -> list[Any]:
    return [row async for row in query.stream()]


async def united(query: Any) -> Any:
    """As the second of two, which ask for the same values."""
    is_whole = query._spec.outputs is None or query._spec.form == "pair"
    first: Any = Parcel.select() if is_whole else Parcel.select("weight")
    return await first.union(query)


async def inside(query: Any) -> list[Parcel]:
    return await Parcel.where(ferro.exists(query))


async def tabled(query: Any) -> Any:
    return await query.cte().select()


async def inserted(query: Any) -> int:
    if query._spec.combined is not None:
        query = Parcel.select("weight").union(Parcel.select("weight"))
    elif query._spec.outputs is None:
        query = query.values("weight")
    return await Letter.insert_from(query)


async def included(query: Any) -> list[Sender]:
    return await Sender.select().include(parcels=query)


OPERATIONS: dict[str, tuple[Callable[[Any], Any], set[str]]] = {
    "all": (lambda it: it.all(), set()),
    "first": (lambda it: it.first(), set()),
    "stream": (streamed, {"include"}),
    "explain": (lambda it: it.explain(), set()),
    "count": (lambda it: it.count(), LOCKS),
    "exists": (lambda it: it.exists(), LOCKS),
    "sum": (
        lambda it: it.sum("weight"),
        {*LOCKS, *GROUPS, "distinct", "distinct_on", "limit", "offset", "union"},
    ),
    "get": (lambda it: it.get_or_none(weight=3), {"union"}),
    "page": (
        lambda it: it.page(),
        {*GROUPS, "values", "column", "distinct", "distinct_on", "offset", "join", "union"},
    ),
    "update": (lambda it: it.update(weight=3), {*NOT_CHANGED, "join", "union"}),
    "delete": (lambda it: it.delete(), {*NOT_CHANGED, "join", "union"}),
    "update_returning": (lambda it: it.update_returning(weight=3), {*NOT_CHANGED, "join", "union"}),
    "delete_returning": (lambda it: it.delete_returning(), {*NOT_CHANGED, "join", "union"}),
    "union": (united, {*ONLY_READS, "with_values", "using"}),
    "ferro.exists": (inside, {*ONLY_READS, "using"}),
    "cte": (tabled, ONLY_READS),
    "insert_from": (inserted, {*ONLY_READS, "with_values", "using"}),
    "include": (
        included,
        {*GROUPS, *PAIRS_OR_VALUES, "distinct_on", "join", "union"},
    ),
}


@pytest.fixture
async def parcels(db: str) -> None:
    ada = await Sender.create(name="Ada")
    for weight in (1, 2, 2):
        await Parcel.create(weight=weight, sender=ada)


def test_every_part_is_tried() -> None:
    assert set(PARTS) == ALL_PARTS


@pytest.mark.usefixtures("parcels")
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_each_part_is_done_or_refused(operation: str) -> None:
    run, refused = OPERATIONS[operation]
    for part, ask in PARTS.items():
        query = ask(Parcel.select())
        async with ferro.transaction() as transaction:
            if part not in refused:
                await run(query)
            elif part in ("join", "union") and operation not in ("include",):
                with pytest.raises(AttributeError, match=f"`{operation}.*` is not for queries"):
                    await run(query)
            else:
                with pytest.raises(ferro.InvalidQuery, match=f"`{part}`"):
                    await run(query)
            await transaction.rollback()


@pytest.mark.usefixtures("parcels")
async def test_parts_that_exclude_each_other_are_refused() -> None:
    groups = Parcel.select().group_by("weight")
    for query, part in (
        (Parcel.select("weight").include("sender"), "`values` does not load relations"),
        (Parcel.select().include("sender").column("weight"), "`column` does not load"),
        (groups.values("weight").include("sender"), "`values` does not load relations"),
        (Parcel.select("weight").union(Parcel.select("weight")).include("sender"), "not load"),
        (groups.with_values(n=P.weight), "`with_values` .* leave out `group_by`"),
        (groups.distinct_on("weight").values("weight"), "`distinct_on` .* leave out `group_by`"),
        (groups, "groups have no instances"),
    ):
        with pytest.raises(ferro.InvalidQuery, match=part):
            await query


def test_a_copy_has_all_that_was_asked() -> None:
    spec = QuerySpec(table_of(Parcel))
    whole = spec.with_(**{name: object() for name in QuerySpec.__slots__})
    copied = whole.with_()
    for name in QuerySpec.__slots__:
        expected = False if name == "plain" else getattr(whole, name)
        assert getattr(copied, name) is expected, name
    assert spec.plain
