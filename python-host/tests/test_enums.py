"""Fields of enums: what is stored can be read back, whoever put it there."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest

import ferro
from ferro._tables.registry import registry

pytestmark = pytest.mark.usefixtures("db")


class Mood(enum.Enum):
    GLAD = "glad"
    SAD = "sad"


class Weather(str, enum.Enum):
    GLAD = "glad"


class Rank(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Right(enum.IntFlag):
    READ = 1
    WRITE = 2
    BOTH = 3


class Side(enum.Flag):
    LEFT = 1
    RIGHT = 2


class Enumerated(ferro.Model, table="enums_enumerated"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    mood: Mood | None = None
    rank: Rank = Rank.LOW
    right: Right = Right.READ
    side: Side = Side.LEFT


class Plain(ferro.Model, table="enums_plain"):
    model_config = pydantic.ConfigDict(use_enum_values=True, validate_default=True)
    id: int | None = ferro.Field(default=None, primary_key=True)
    mood: Mood = Mood.SAD
    rank: Rank = Rank.LOW
    right: Right = Right.READ


class Urgency(enum.Enum):
    """In another order than that of the texts."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Errand(ferro.Model, table="enums_errand"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    urgency: Urgency | None = None
    former: Urgency | None = None
    note: str = "high"


WRONG: list[tuple[str, Any]] = [
    ("mood", "furious"),
    ("mood", Weather.GLAD),
    ("mood", ["glad"]),
    ("rank", 9),
    ("rank", Right.READ),
    ("right", "read"),
    ("side", 8),
]


async def test_a_list_of_a_group_has_members() -> None:
    await Enumerated.bulk_create(
        [
            Enumerated(mood=Mood.SAD, right=Right.BOTH),
            Enumerated(mood=Mood.GLAD, rank=Rank.HIGH, side=Side.RIGHT),
            Enumerated(),
        ]
    )
    it: Any = Enumerated
    names = ("mood", "rank", "right", "side")
    lists = {name: getattr(it, name).array_agg(order_by=it.id) for name in names}
    moods = it.mood.array_agg(distinct=True, order_by=it.mood)
    assert await Enumerated.select(**lists, moods=moods) == [
        {
            "mood": [Mood.SAD, Mood.GLAD],
            "rank": [Rank.LOW, Rank.HIGH, Rank.LOW],
            "right": [Right.BOTH, Right.READ, Right.READ],
            "side": [Side.LEFT, Side.RIGHT, Side.LEFT],
            "moods": [Mood.GLAD, Mood.SAD],
        }
    ]
    query = Enumerated.select(ranks=lists["rank"]).group_by("right").order_by("right")
    assert await query.having(moods.contains(Mood.SAD)) == [{"ranks": [Rank.LOW]}]
    table = Enumerated.select("right", moods=moods).group_by("right").cte("moods")
    assert await table.where(lambda t: t.moods.overlaps([Mood.SAD])).values("moods") == [
        {"moods": [Mood.SAD]}
    ]


async def test_what_is_no_member_is_refused_before_it_is_stored() -> None:
    kept = await Enumerated.create(mood=Mood.GLAD)
    for name, value in WRONG:
        with pytest.raises(ferro.TypeMismatch, match=rf"`Enumerated.{name}` takes a `\w+` or"):
            row = Enumerated()
            setattr(row, name, value)
            await row.save()
        with pytest.raises(ferro.TypeMismatch, match=f"`Enumerated.{name}`") as raised:
            row = Enumerated()
            setattr(row, name, value)
            await Enumerated.bulk_create([Enumerated(), row])
        assert "furious" not in str(raised.value)
        with pytest.raises(ferro.TypeMismatch):
            changed = await Enumerated.get(kept.id)
            setattr(changed, name, value)
            await changed.save()
        with pytest.raises(ferro.TypeMismatch):
            await Enumerated.bulk_update([changed])
    for value in (True, 1.0):
        with pytest.raises(ferro.TypeMismatch, match=r"`Enumerated.rank` takes an int"):
            await Enumerated.model_construct(
                id=None, mood=None, rank=value, right=Right.READ, side=Side.LEFT
            ).save()
    assert await Enumerated.all() == [kept]


async def test_the_value_of_a_member_is_stored_as_the_member() -> None:
    row = await Enumerated.create()
    row.mood, row.rank = "sad", 2  # type: ignore[assignment]
    await row.save()
    found = await Enumerated.get(row.id)
    assert (found.mood, found.rank) == (Mood.SAD, Rank.HIGH)
    assert isinstance(found.rank, Rank)


async def test_flags_are_stored_with_all_their_combinations() -> None:
    for right in (Right(0), Right.READ, Right.BOTH, Right.READ | Right.WRITE):
        for side in (Side(0), Side.LEFT | Side.RIGHT):
            made = await Enumerated.create(right=right, side=side)
            found = await Enumerated.get(made.id)
            assert (found.right, found.side) == (right, side)
            assert isinstance(found.right, Right)
            assert isinstance(found.side, Side)
            assert found in await Enumerated.where(right=right, side=side).all()
            assert await Enumerated.where(id=made.id).values("right", "side") == [
                {"right": right, "side": side}
            ]


def test_a_database_cannot_check_flags_by_a_list() -> None:
    with pytest.raises(ferro.SchemaError, match="there is nothing"):

        class CheckedFlags(ferro.Model):
            id: int | None = ferro.Field(default=None, primary_key=True)
            right: Right = ferro.Field(default=Right.READ, db_check=True)


async def test_a_model_of_enum_values_is_loaded_as_it_was_made() -> None:
    made = await Plain.create(mood=Mood.GLAD, rank=Rank.HIGH, right=Right.READ | Right.WRITE)
    found = await Plain.get(made.id)
    assert found == made
    assert (found.mood, found.rank, found.right) == ("glad", 2, 3)
    assert {type(found.mood), type(found.rank)} == {str, int}
    assert await Plain.where(mood=Mood.GLAD).values("mood", "rank") == [{"mood": "glad", "rank": 2}]
    found.mood = "furious"  # type: ignore[assignment]
    with pytest.raises(ferro.TypeMismatch, match="`Plain.mood` takes a `Mood`"):
        await found.save()


async def test_an_unknown_stored_value_is_a_decode_error_in_values_too() -> None:
    row = await Enumerated.create()
    for column, value in (("rank", 7), ("side", 64)):
        await ferro.execute(f"update enums_enumerated set {column} = {value} where id = ?", row.id)
        with pytest.raises(ferro.DecodeError) as raised:
            await Enumerated.all()
        assert raised.value.column == column
        with pytest.raises(ferro.DecodeError, match=f"`Enumerated.{column}` holds") as raised:
            await Enumerated.select(column).all()
        assert raised.value.column == column
        await ferro.execute(f"update enums_enumerated set {column} = 1")


def table_with(name: str, members: type[enum.Enum], **options: Any) -> Any:
    namespace = {
        "__module__": __name__,
        "__annotations__": {"id": int | None, "it": members},
        "id": ferro.Field(default=None, primary_key=True),
        "it": ferro.Field(**options),
    }
    return type(ferro.Model)(name, (ferro.Model,), namespace)


@pytest.fixture
def forgotten() -> Iterator[list[Any]]:
    """Models that do not fit the others."""
    models: list[Any] = []
    yield models
    for model in models:
        registry.remove(model.__ferro_table__)


async def test_two_enums_of_one_name_are_named_with_the_way_out(forgotten: list[Any]) -> None:
    one, two = enum.Enum("Twice", {"A": "a"}), enum.Enum("Twice", {"A": "a", "B": "b"})
    forgotten += [table_with("HasTwice", one), table_with("HasTwiceToo", two)]
    with pytest.raises(ferro.SchemaError) as raised:
        await ferro.create_tables()
    for part in ("`HasTwice.it`", "`HasTwiceToo.it`", "`twice`", 'ferro.Field(db_type="text")'):
        assert part in str(raised.value)
    forgotten.append(table_with("HasTwiceToo", two, db_type="text"))
    await ferro.create_tables()
    for model, member in ((forgotten[0], one["A"]), (forgotten[2], two["B"])):
        row = await model.create(it=member)
        assert await model.where(it=member) == [row]


async def test_an_enum_named_like_a_type_or_a_table_is_named_with_the_way_out(
    forgotten: list[Any],
) -> None:
    for name in ("Text", "Date", "Point", "EnumsPlain"):
        members = enum.Enum(name, {"A": "a"})
        forgotten.append(table_with("HasOdd", members))
        with pytest.raises(ferro.SchemaError, match="`HasOdd.it` otherwise, .* type `text`"):
            await ferro.create_tables()
        forgotten.append(table_with("HasOdd", members, db_type="text"))
        await ferro.create_tables()
        row = await forgotten[-1].create(it=members["A"])
        assert await forgotten[-1].where(it="a") == [row]
        await row.delete()


async def test_computed_values_that_are_those_of_a_field_are_its_members() -> None:
    await Enumerated.create(mood=Mood.SAD, rank=Rank.HIGH, right=Right.BOTH, side=Side.RIGHT)
    await Enumerated.create()
    assert await Enumerated.select().max("rank") is Rank.HIGH
    assert await Enumerated.select().min("rank") is Rank.LOW
    assert await Enumerated.select().max("right") == Right.BOTH
    assert await Enumerated.select().max("side") is Side.RIGHT
    assert await Enumerated.where(id=0).max("rank") is None
    rows = Enumerated.select().group_by("mood").values("mood", most=lambda e: e.rank.max())
    assert {it["mood"]: it["most"] for it in await rows} == {Mood.SAD: Rank.HIGH, None: Rank.LOW}
    moods = Enumerated.select(mood=lambda e: e.mood.coalesce(Mood.GLAD)).order_by("id")
    assert [it["mood"] for it in await moods] == [Mood.SAD, Mood.GLAD]
    moods = Enumerated.select(mood=lambda e: e.mood.coalesce(e.mood)).order_by("id")
    assert [it["mood"] for it in await moods] == [Mood.SAD, None]
    ranks = Enumerated.select(rank=lambda e: (e.rank + 1).coalesce(0), id="id").order_by("id")
    assert [it["rank"] for it in await ranks] == [3, 2]
    assert {type(it["rank"]) for it in await ranks} == {int}, "they are no values of the field"
    with pytest.raises(ferro.TypeMismatch, match="takes a `Mood`, and this is not one"):
        Enumerated.select(mood=lambda e: e.mood.coalesce("furious"))
    await Plain.create()
    assert await Plain.select().max("rank") == 1
    assert type(await Plain.select().max("rank")) is int


def one_of_several() -> dict[str, Any]:
    """Values that are one of several of an enum."""
    it: Any = Errand
    by_key = {"order_by": it.id}
    any_of = it.urgency.coalesce(it.former).coalesce(Urgency.MEDIUM)
    return {
        "coalesce": any_of,
        "null_if": any_of.null_if(Urgency.LOW),
        "case": ferro.case((it.urgency.is_null(), Urgency.MEDIUM), otherwise=it.urgency),
        "lag": ferro.lag(any_of).over(**by_key),
        "lead": ferro.lead(it.urgency, default=Urgency.MEDIUM).over(**by_key),
        "first_value": ferro.first_value(any_of).over(partition_by=it.former, **by_key),
        "last_value": ferro.last_value(any_of).over(partition_by=it.former, **by_key),
        "nth_value": ferro.nth_value(any_of, 1).over(partition_by=it.former, **by_key),
    }


async def errands() -> list[Errand]:
    rows = [
        Errand(urgency=Urgency.HIGH),
        Errand(former=Urgency.LOW),
        Errand(),
        Errand(urgency=Urgency.LOW, former=Urgency.HIGH),
    ]
    await Errand.bulk_create(rows)
    return await Errand.select().order_by("id").all()


async def test_one_of_several_values_has_the_order_of_its_enum() -> None:
    await errands()
    for name, value in one_of_several().items():
        found = await Errand.select().order_by(value, Errand.id).column(value)
        ranks = [3 if it is None else list(Urgency).index(it) for it in found]
        assert ranks == sorted(ranks), name
        assert len({*ranks}) > 1, name


async def test_one_of_several_values_is_written_where_its_enum_is_wanted() -> None:
    await errands()
    values = one_of_several()
    for name in ("coalesce", "null_if", "case"):
        wanted = await Errand.select(value=values[name]).order_by("id")
        await Errand.select().update(former=values[name])
        found = await Errand.select().order_by("id").all()
        assert [it.former for it in found] == [it["value"] for it in wanted], name
    await Errand.where(urgency=None).update(urgency=lambda e: e.urgency.coalesce(e.former))
    copied = Errand.select(
        urgency=ferro.value("low"), former=lambda e: e.urgency.coalesce(Urgency.HIGH)
    )
    assert await Errand.insert_from(copied) == 4
    assert await Errand.where(urgency=Urgency.LOW).count() >= 4
    with pytest.raises(ferro.TypeMismatch, match="text where enum `urgency` is wanted"):
        await Errand.select().update(former=lambda e: e.note)


async def test_text_beside_an_enum_is_no_value_of_it() -> None:
    either = ferro.case((Errand.note == "low", Errand.urgency), otherwise=Errand.note)
    await Errand.create(urgency=Urgency.LOW)
    assert await Errand.select().column(either) == ["high"]
    with pytest.raises(ferro.TypeMismatch, match="text where enum `urgency` is wanted"):
        await Errand.select().update(former=either)
