"""Window functions: what is computed of a row and the rows around it."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any

import pytest

import ferro
from ferro import BackRef, ForeignKey, Relation

pytestmark = pytest.mark.usefixtures("runs")


class Surface(enum.Enum):
    ROAD = "road"
    TRAIL = "trail"


class Club(ferro.Model, table="windows_club"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    runs: Relation[list[Run]] = BackRef()


class Run(ferro.Model, table="windows_run"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    runner: str
    seconds: int
    fee: Decimal
    surface: Surface | None = None
    club: Relation[Club] = ForeignKey(related_name="runs")


run: Any = Run


@pytest.fixture
async def runs(db: str) -> None:
    red, blue = await Club.create(name="red"), await Club.create(name="blue")
    await Run.bulk_create(
        [
            Run(runner="Ada", seconds=50, fee=Decimal("0.10"), surface=Surface.ROAD, club=red),
            Run(runner="Ben", seconds=40, fee=Decimal("0.20"), surface=Surface.TRAIL, club=red),
            Run(runner="Cyd", seconds=50, fee=Decimal("0.30"), club=red),
            Run(runner="Dan", seconds=45, fee=Decimal("5.00"), surface=Surface.ROAD, club=blue),
        ]
    )


async def column(value: Any, query: Any = None) -> list[Any]:
    """A value of each run, in the order of their keys."""
    rows = await (Run.select() if query is None else query).values(value=value).order_by("id")
    return [row["value"] for row in rows]


async def test_numbers_of_rows() -> None:
    assert await column(ferro.row_number().over(order_by=run.seconds.desc())) == [1, 4, 2, 3]
    assert await column(ferro.rank().over(order_by=run.seconds.desc())) == [1, 4, 1, 3]
    assert await column(ferro.dense_rank().over(order_by=run.seconds.desc())) == [1, 3, 1, 2]
    assert await column(ferro.row_number().over()) == [1, 2, 3, 4]
    in_club = ferro.rank().over(partition_by=run.club_id, order_by=run.seconds)
    assert await column(in_club) == [2, 1, 2, 1]


async def test_places_among_all() -> None:
    by_time = {"order_by": run.seconds}
    assert await column(ferro.percent_rank().over(**by_time)) == [2 / 3, 0, 2 / 3, 1 / 3]
    assert await column(ferro.cume_dist().over(**by_time)) == [1, 0.25, 1, 0.5]
    assert await column(ferro.percent_rank().over(**by_time) * 3) == [2, 0, 2, 1]
    assert await column(ferro.ntile(3).over(**by_time)) == [2, 1, 3, 1]
    large = await column(ferro.ntile(9).over(**by_time) * 2**40)
    assert large == [3 * 2**40, 2**40, 4 * 2**40, 2 * 2**40]
    second = ferro.nth_value(run.runner, 2)
    assert await column(second.over(**by_time)) == ["Dan"] * 4
    in_club = second.over(partition_by=run.club_id, order_by=run.seconds.desc())
    assert await column(in_club) == ["Cyd", "Cyd", "Cyd", None]
    surface = ferro.nth_value(run.surface, 1).over(order_by=run.id)
    assert await column(surface) == [Surface.ROAD] * 4
    for function in (ferro.ntile(0), ferro.nth_value(run.id, 0)):
        with pytest.raises(ferro.ValueOutOfRange, match="whole number from 1"):
            await column(function.over(**by_time))
    with pytest.raises(ferro.InvalidQuery, match="`ntile` depends on an order"):
        ferro.ntile(2).over()


async def test_values_of_other_rows() -> None:
    by_key = {"order_by": run.id}
    assert await column(ferro.lag(run.runner).over(**by_key)) == [None, "Ada", "Ben", "Cyd"]
    assert await column(ferro.lead(run.runner).over(**by_key)) == ["Ben", "Cyd", "Dan", None]
    assert await column(ferro.lag(run.seconds, 2).over(**by_key)) == [None, None, 50, 40]
    assert await column(ferro.lag(run.seconds, 0).over(**by_key)) == [50, 40, 50, 45]
    assert await column(ferro.lead(run.seconds, default=-1).over(**by_key)) == [40, 50, 45, -1]
    other = ferro.lead(run.seconds, 3, default=run.seconds * 2).over(**by_key)
    assert await column(other) == [45, 80, 100, 90]
    fees = await column(ferro.lag(run.fee, default=Decimal("1.5")).over(**by_key))
    assert fees == [Decimal("1.5"), Decimal("0.10"), Decimal("0.20"), Decimal("0.30")]
    fastest = {"partition_by": run.club_id, "order_by": run.seconds}
    assert await column(ferro.first_value(run.runner).over(**fastest)) == ["Ben"] * 3 + ["Dan"]
    assert await column(ferro.last_value(run.runner).over(**fastest)) == ["Cyd"] * 3 + ["Dan"]


async def test_an_enum_stays_one() -> None:
    before = ferro.lag(run.surface).over(order_by=run.id)
    assert await column(before) == [None, Surface.ROAD, Surface.TRAIL, None]
    before = ferro.lag(run.surface, default=Surface.TRAIL).over(order_by=run.id)
    assert await column(before) == [Surface.TRAIL, Surface.ROAD, Surface.TRAIL, None]
    assert await column(ferro.first_value(run.surface).over(order_by=run.id)) == [Surface.ROAD] * 4


async def test_aggregates() -> None:
    assert await column(run.seconds.sum().over()) == [185] * 4
    assert await column(run.seconds.sum().over(order_by=run.id)) == [50, 90, 140, 185]
    assert await column(run.fee.sum().over(partition_by=run.club_id)) == [
        *[Decimal("0.60")] * 3,
        Decimal("5.00"),
    ]
    assert await column(ferro.count().over(partition_by=[run.club_id, run.seconds])) == [2, 1, 2, 1]
    assert await column(run.seconds.max().over(order_by=[run.fee.desc()])) == [50, 50, 50, 45]
    assert await column(run.seconds - run.seconds.min().over(partition_by=run.club_id)) == [
        10,
        0,
        10,
        0,
    ]
    share = run.seconds * 100 / (run.seconds.avg().over() * 4)
    assert [round(it) for it in await column(share)] == [27, 22, 27, 24]


async def test_frames_of_rows() -> None:
    by_time = {"order_by": run.seconds}
    assert await column(run.seconds.sum().over(**by_time, rows=(-1, 0))) == [95, 40, 100, 85]
    assert await column(run.seconds.sum().over(rows=(None, 0))) == [50, 90, 140, 185]
    assert await column(ferro.count().over(**by_time, rows=(1, 2))) == [1, 2, 0, 2]
    assert await column(run.seconds.max().over(**by_time, rows=(None, -1))) == [45, None, 50, 40]
    fees = await column(run.fee.sum().over(order_by=run.id, rows=(-1, 0)))
    assert fees == [Decimal("0.10"), Decimal("0.30"), Decimal("0.50"), Decimal("5.30")]
    average = run.seconds.avg().over(partition_by=run.club_id, order_by=run.id, rows=(0, 1))
    assert await column(average) == [45, 45, 50, 45]
    first = ferro.first_value(run.runner).over(**by_time, rows=(1, None))
    assert await column(first) == ["Cyd", "Dan", None, "Ada"]
    last = ferro.last_value(run.surface).over(**by_time, rows=(-1, 0))
    assert await column(last) == [Surface.ROAD, Surface.TRAIL, None, Surface.ROAD]
    second = ferro.nth_value(run.runner, 2).over(**by_time, rows=(-1, 1))
    assert await column(second) == ["Ada", "Dan", "Cyd", "Dan"]


async def test_frames_of_groups() -> None:
    by_time = {"order_by": run.seconds}
    assert await column(ferro.count().over(**by_time, groups=(0, 0))) == [2, 1, 2, 1]
    assert await column(run.seconds.sum().over(**by_time, groups=(-1, 0))) == [145, 40, 145, 85]
    assert await column(ferro.count().over(**by_time, groups=(1, None))) == [0, 3, 0, 2]
    totals = (
        Run.select()
        .group_by("club_id")
        .values(
            "club_id",
            two=lambda r: r.seconds.sum().sum().over(order_by=r.club_id, rows=(-1, 0)),
            same=lambda r: ferro.count().over(order_by=r.id.count(), groups=(0, 0)),
        )
    )
    rows = await totals.order_by("club_id")
    assert [(row["two"], row["same"]) for row in rows] == [(140, 1), (185, 1)]


async def test_across_relations_and_with_values() -> None:
    names = ferro.row_number().over(partition_by=run.club.name, order_by=run.runner)
    assert await column(names) == [1, 2, 3, 1]
    even = ferro.count().over(partition_by=(run.seconds % 2, run.club_id))
    query = Run.where(run.seconds < 60).limit(10)
    assert await column(even, query) == [3, 3, 3, 1]
    assert await Run.where(run.fee < 1).values(
        "runner", behind=lambda r: r.seconds - ferro.lag(r.seconds, default=40).over(order_by=r.id)
    ).order_by("runner") == [
        {"runner": "Ada", "behind": 10},
        {"runner": "Ben", "behind": -10},
        {"runner": "Cyd", "behind": 10},
    ]


async def test_in_an_order() -> None:
    place = ferro.row_number().over(partition_by=run.club_id, order_by=run.seconds)
    rows = await Run.select().order_by(place, "-fee").limit(3)
    assert [row.runner for row in rows] == ["Dan", "Ben", "Ada"]
    named = Run.select("runner", place=place).order_by("-place", "runner")
    assert [row["runner"] for row in await named] == ["Cyd", "Ada", "Ben", "Dan"]
    assert await named.count() == 4
    places = await Run.select(place=place).distinct().order_by("place")
    assert [row["place"] for row in places] == [1, 2, 3]


async def test_over_groups() -> None:
    rows = await (
        Run.select()
        .group_by("club.name")
        .values(
            "club.name",
            total=lambda r: r.seconds.sum(),
            rank=lambda r: ferro.rank().over(order_by=r.seconds.sum().desc()),
            all=lambda r: r.seconds.sum().sum().over(),
        )
        .order_by("rank")
    )
    assert rows == [
        {"club.name": "red", "total": 140, "rank": 1, "all": 185},
        {"club.name": "blue", "total": 45, "rank": 2, "all": 185},
    ]
    slow = run.seconds - 5
    rows = await (
        Run.where(run.fee < 1)
        .group_by(slow)
        .values(slow=slow, before=ferro.lag(slow, default=run.seconds.count()).over(order_by=slow))
        .order_by(slow)
    )
    assert rows == [{"slow": 35, "before": 1}, {"slow": 45, "before": 35}]


async def test_each_value_is_bound_where_it_belongs() -> None:
    window = ferro.lag(run.seconds + 1, 1, run.seconds * 2).over(
        partition_by=run.seconds % 7, order_by=[(run.seconds * -3).desc(), run.id]
    )
    for _ in range(2):
        assert await column(window, Run.where(run.seconds > 41).limit(9)) == [100, 51, 90]


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (lambda: ferro.rank().over(), "`rank` depends on an order"),
        (lambda: ferro.dense_rank().over(partition_by=run.id), "`dense_rank` depends on an order"),
        (lambda: ferro.lag(run.id).over(), "`lag` depends on an order"),
        (lambda: ferro.last_value(run.id).over(), "`last_value` depends on an order"),
        (
            lambda: ferro.rank().over(order_by="seconds"),
            ("`order_by` takes a field, such as `User.age`"),
        ),
        (lambda: ferro.rank().over(partition_by=["a"]), "`partition_by` takes a field"),
        (lambda: ferro.first_value("seconds"), "`first_value` takes a field"),
        (lambda: ferro.lag(run.id, 1.5), "`offset` takes an int, not `float`"),
        (lambda: run.id.over(), "`over` applies to an aggregate"),
        (lambda: run.id.sum(distinct=True).over(), "does not support `distinct` or `where`"),
        (lambda: ferro.count(where=run.id > 1).over(), "does not support `distinct` or `where`"),
        (lambda: Run.select(n=ferro.rank()), r"add a window, `.over\(…\)`"),
        (lambda: ferro.row_number().over(rows=(0, 0)), "`row_number` takes neither `rows`"),
        (lambda: ferro.lag(run.id).over(order_by=run.id, groups=(0, 0)), "`lag` takes neither"),
        (lambda: ferro.count().over(groups=(0, 0)), "`groups` needs an order in which rows tie"),
        (
            lambda: ferro.count().over(order_by=run.id, rows=(0, 0), groups=(0, 0)),
            "`rows` or `groups`, not both",
        ),
        (
            lambda: ferro.first_value(run.id).over(order_by=run.id, groups=(0, 0)),
            "`first_value` takes `rows`, not `groups`",
        ),
        (lambda: ferro.count().over(rows=(1, 0)), "starts at 1, which is after its end, 0"),
        (lambda: ferro.count().over(rows=-6), "`rows` takes a start and an end"),
        (lambda: ferro.count().over(rows=(1, 2, 3)), "`rows` takes a start and an end"),
        (lambda: ferro.count().over(rows=("a", 0)), r"`rows\[0\]` takes an int or None"),
        (lambda: ferro.count().over(rows=(0, True)), r"`rows\[1\]` takes an int or None"),
    ],
)
def test_what_is_no_window_is_refused(window: Any, message: str) -> None:
    with pytest.raises(ferro.InvalidQuery, match=message):
        window()


async def test_a_bound_has_32_bits() -> None:
    farthest = 2**31 - 1
    assert await column(ferro.count().over(rows=(-farthest, farthest))) == [4] * 4
    with pytest.raises(ferro.ValueOutOfRange, match="`rows` is at most 2147483647 away"):
        ferro.count().over(rows=(-farthest - 1, None))


async def test_an_offset_is_not_negative() -> None:
    with pytest.raises(ferro.ValueOutOfRange, match="`offset` takes a non-negative int"):
        ferro.lag(run.id, -1)
    with pytest.raises(ferro.ValueOutOfRange, match="an int of at most 64 bits"):
        await column(ferro.lag(run.id, 2**65).over(order_by=run.id))
    with pytest.raises(ferro.TypeMismatch, match="`Run.seconds` takes an int, not `str`"):
        await column(ferro.lag(run.seconds, default="none").over(order_by=run.id))


async def test_a_window_stands_where_rows_are_chosen_already() -> None:
    place = ferro.row_number().over(order_by=run.seconds)
    for query in (
        Run.where(place == 1),
        Run.where(lambda r: r.club.runs.any(place > 1)),
        Run.select().group_by(place).values(n=ferro.count()),
        Run.select().group_by("runner").having(place == 1).values("runner"),
        Run.select(n=ferro.rank().over(order_by=place)),
        Run.select(n=place.max()),
        Run.select(n=ferro.count(where=place == 1)),
    ):
        with pytest.raises(ferro.InvalidQuery, match="can only be used in `values` and `order_by`"):
            await query
    with pytest.raises(ferro.InvalidQuery, match="can only be used in `values` and `order_by`"):
        await Run.select().update(seconds=place)
    with pytest.raises(ferro.InvalidQuery, match="can only be used in `values` and `order_by`"):
        await Run.select().sum(place)
    with pytest.raises(ferro.InvalidQuery, match="can only be used in `values` and `order_by`"):
        await Run.where(ferro.exists(Run.where(place == 1)))
    placed = Run.select("runner", place=place).cte("placed")
    assert await placed.where(lambda r: r.place == 1).values("runner") == [{"runner": "Ben"}]
    inside = Run.where(run.id.in_(Run.select("id").order_by(place).limit(2)))
    assert await inside.order_by("runner").values("runner") == [
        {"runner": "Ben"},
        {"runner": "Dan"},
    ]
