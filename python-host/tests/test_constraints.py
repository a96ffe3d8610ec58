"""`ferro.Index` and `ferro.Check`: rules on several fields of a row, with names and conditions."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pydantic
import pytest

import ferro
from ferro._tables.registry import registry

pytestmark = pytest.mark.usefixtures("db")
DAY = datetime.date(2020, 1, 1)
NOON = datetime.time(12)
NAIVE = datetime.datetime(2020, 1, 1, 12, 0, 0, 5)
AWARE = datetime.datetime(1969, 12, 31, 23, tzinfo=datetime.timezone(datetime.timedelta(hours=-2)))
ZERO = uuid.UUID(int=0)


class RuledStage(enum.Enum):
    DRAFT = "draft"
    PUBLIC = "public"


class RuledUser(ferro.Model, table="ruled_user"):
    id: int | None = ferro.Field(default=None, primary_key=True)


class RuledOffer(
    ferro.Model,
    table="ruled_offer",
    indexes=[
        ("stage", "low"),
        ferro.Index("high", name="ruled_offers_by_high"),
        ferro.Index("name", unique=True, where=lambda o: ~o.retired, name="ruled_offer_one_name"),
        ferro.Index("buyer", "stage", where=lambda o: o.buyer.is_not_null() & (o.low > 0)),
        ferro.Index("name", "high", unique=True),
    ],
    checks=[
        ferro.Check(lambda o: o.low < o.full_height, name="ruled_offer_order"),
        ferro.Check(lambda o: (o.buyer == None) | (o.buyer_id != o.seller), name="two_people"),  # noqa: E711
        ferro.Check(lambda o: (o.stage != RuledStage.DRAFT) | ~o.retired | o.name.in_(["a", "b"])),
    ],
):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    low: int = ferro.Field(default=1, db_check=lambda low: low >= 0)
    full_height: int = ferro.Field(default=9, db_column="height", db_type="smallint")
    high: int | None = None
    retired: bool = False
    stage: RuledStage = RuledStage.PUBLIC
    seller: ferro.Relation[RuledUser | None] = ferro.ForeignKey()
    buyer: ferro.Relation[RuledUser | None] = ferro.ForeignKey()


class RuledTypes(
    ferro.Model,
    table="ruled_types",
    checks=[
        ferro.Check(lambda t: (t.date > DAY) & (t.time > NOON), name="ruled_date"),
        ferro.Check(lambda t: (t.naive > NAIVE) & (t.aware > AWARE), name="ruled_instant"),
        ferro.Check(
            lambda t: (t.key != ZERO) & (t.size != 1.5) & (t.price < Decimal("1.01")),
            name="ruled_key",
        ),
    ],
):
    id: int | None = ferro.Field(default=None, primary_key=True)
    date: datetime.date = DAY + datetime.timedelta(1)
    time: datetime.time = NOON.replace(microsecond=1)
    naive: pydantic.NaiveDatetime = NAIVE + datetime.timedelta(microseconds=1)
    aware: datetime.datetime = AWARE + datetime.timedelta(microseconds=1)
    key: uuid.UUID = uuid.UUID(int=1)
    size: float = 1.0
    price: Decimal = Decimal("1.00")


def _or_another_rule(number: int, condition: Callable[[Any], Any]) -> ferro.Check:
    """Only rows of a rule have to satisfy its condition."""
    return ferro.Check(lambda it: (it.rule != number) | condition(it), name=f"ruled_logic_{number}")


LOGIC: list[Callable[[Any], Any]] = [
    lambda it: ~(it.a > 1),
    lambda it: ~(it.a <= it.b),
    lambda it: ~((it.a > 1) & (it.b < 2)),
    lambda it: ~((it.a > 1) | it.on),
    lambda it: ~(~(it.a > 1) & ~((it.b == 2) | ~it.on)),
    lambda it: it.a.between(1, 2),
    lambda it: ~it.a.between(1, 2),
    lambda it: it.a.in_([1, 3]),
    lambda it: ~it.a.in_([1, 3]),
    lambda it: it.a.in_([1, None]),
    lambda it: it.a.in_([None]),
    lambda it: it.a.not_in([1, 3]),
    lambda it: it.a.not_in([1, None]),
    lambda it: it.a.not_in([None]),
    lambda it: it.a.is_null(),
    lambda it: ~it.a.is_null(),
    lambda it: it.a == None,  # noqa: E711
    lambda it: it.a.is_distinct_from(1),
    lambda it: it.a.is_distinct_from(it.b),
    lambda it: ~it.a.is_distinct_from(it.b),
    lambda it: it.a.is_not_distinct_from(1),
    lambda it: it.a.is_not_distinct_from(it.b),
    lambda it: ~it.a.is_not_distinct_from(it.b),
    lambda it: (it.a > it.b).is_true(),
    lambda it: (it.a > it.b).is_false(),
    lambda it: ~((it.a > 1) & it.on).is_true(),
    lambda it: ((it.a.is_null()) | it.on).is_false(),
    lambda it: it.on.is_true(),
    lambda it: ~it.on,
    lambda it: it.on != False,  # noqa: E712
    lambda it: ferro.value(2) >= it.a,
    lambda it: ferro.value(2) == it.a,
]


class RuledLogic(
    ferro.Model,
    table="ruled_logic",
    checks=[_or_another_rule(*it) for it in enumerate(LOGIC, 1)],
):
    id: int | None = ferro.Field(default=None, primary_key=True)
    rule: int
    a: int | None
    b: int | None
    on: bool | None


async def test_a_check_holds_for_the_rows_for_which_its_condition_is_not_false() -> None:
    numbers, truths = (None, 1, 2, 3), (None, True, False)
    rows = [{"a": a, "b": b, "on": on} for a in numbers for b in numbers for on in truths]
    for row in rows:
        await RuledLogic.create(rule=0, **row)
    for number, condition in enumerate(LOGIC, 1):
        wrong = await RuledLogic.where(rule=0).where(lambda it: condition(it).is_false())  # noqa: B023
        refused = []
        for row in rows:
            try:
                await RuledLogic.create(rule=number, **row)
            except ferro.CheckViolation as error:
                refused.append({**row, "check": error.constraint})
        name = f"ruled_logic_{number}"
        assert refused == [{"a": it.a, "b": it.b, "on": it.on, "check": name} for it in wrong]
        assert 0 < len(refused) < len(rows), number


class RuledTruth(ferro.Model, table="ruled_truth"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    active: bool = ferro.Field(default=True, db_check=lambda active: active)


async def test_a_boolean_field_is_a_check_by_itself() -> None:
    await RuledTruth.create()
    with pytest.raises(ferro.CheckViolation):
        await RuledTruth.create(active=False)
    with pytest.raises(ferro.SchemaError, match="is not a condition"):

        class RuledNumber(ferro.Model, table="ruled_number"):
            id: int | None = ferro.Field(default=None, primary_key=True, db_check=lambda it: it)


async def test_the_database_compares_fields_and_names_the_check(dialect: str) -> None:
    await RuledOffer.create(name="a", low=1, full_height=2)
    with pytest.raises(ferro.CheckViolation) as raised:
        await RuledOffer.create(name="b", low=2, full_height=2)
    assert raised.value.constraint == "ruled_offer_order"
    with pytest.raises(ferro.CheckViolation) as raised:
        await RuledOffer.create(name="c", low=-1)
    assert raised.value.constraint != "ruled_offer_order"


async def test_a_check_may_be_of_relations_nulls_truths_and_enums() -> None:
    one, two = await RuledUser.create(), await RuledUser.create()
    await RuledOffer.create(name="x", buyer=one)
    await RuledOffer.create(name="y", buyer=one, seller=two)
    with pytest.raises(ferro.CheckViolation) as raised:
        await RuledOffer.create(name="z", buyer=one, seller=one)
    assert raised.value.constraint == "two_people"
    await RuledOffer.create(name="a", retired=True, stage=RuledStage.DRAFT)
    with pytest.raises(ferro.CheckViolation):
        await RuledOffer.create(name="c", retired=True, stage=RuledStage.DRAFT)


async def test_a_unique_index_may_be_of_some_rows_only(dialect: str) -> None:
    await RuledOffer.create(name="n")
    await RuledOffer.create(name="n", retired=True)
    await RuledOffer.create(name="n", retired=True)
    with pytest.raises(ferro.UniqueViolation) as raised:
        await RuledOffer.create(name="n")
    assert raised.value.constraint == ("ruled_offer_one_name" if dialect == "postgres" else None)
    with pytest.raises(ferro.InvalidQuery, match="`name` is not a key"):
        await RuledOffer.upsert(name="n", conflict="name")
    row = await RuledOffer.upsert(name="m", high=1, low=2, conflict=["name", "high"])
    same = await RuledOffer.upsert(name="m", high=1, low=3, conflict=["name", "high"])
    assert (same.id, same.low) == (row.id, 3)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"date": DAY}, "ruled_date"),
        ({"time": NOON}, "ruled_date"),
        ({"naive": NAIVE}, "ruled_instant"),
        ({"aware": AWARE}, "ruled_instant"),
        ({"key": ZERO}, "ruled_key"),
        ({"size": 1.5}, "ruled_key"),
        ({"price": Decimal("1.01")}, "ruled_key"),
    ],
)
async def test_constants_of_all_types_are_compared(values: dict[str, Any], constraint: str) -> None:
    await RuledTypes.create()
    with pytest.raises(ferro.CheckViolation) as raised:
        await RuledTypes.create(**values)
    assert raised.value.constraint == constraint


async def test_indexes_have_their_names_and_conditions(dialect: str) -> None:
    if dialect == "sqlite":
        found = await ferro.fetch_all(
            "select name, sql from sqlite_master where type = 'index' and tbl_name = 'ruled_offer'"
        )
    else:
        found = await ferro.fetch_all(
            "select indexname as name, indexdef as sql from pg_indexes "
            "where tablename = 'ruled_offer'"
        )
    indexes = {it["name"]: it["sql"] for it in found}
    assert "WHERE" not in indexes["ruled_offers_by_high"]
    assert "WHERE" in indexes["ruled_offer_one_name"]
    assert "UNIQUE" in indexes["ruled_offer_one_name"]
    assert "WHERE" in indexes["ruled_offer_buyer_id_stage_idx"]
    assert "ruled_offer_stage_low_idx" in indexes


async def test_a_second_migration_plans_nothing_and_rules_that_change_are_followed() -> None:
    assert not (await ferro.migrate(dry_run=True)).left
    ruled = {
        "table": "ruled_change",
        "indexes": [ferro.Index("name", name="ruled_change_names", where=lambda it: it.age > 3)],
        "checks": [ferro.Check(lambda it: it.age < it.most, name="ruled_change_most")],
    }
    first = _changing(**ruled)
    try:
        await ferro.migrate()
        assert not (await ferro.migrate(dry_run=True)).left
        await first.create(name="a", age=4, most=5)
        ruled["indexes"] = [
            ferro.Index("name", name="ruled_change_names", unique=True, where=lambda it: it.age > 4)
        ]
        ruled["checks"] = [ferro.Check(lambda it: it.age <= it.most, name="ruled_change_most")]
        second = _changing(**ruled)
        await ferro.migrate(risk="destructive")
        assert not (await ferro.migrate(dry_run=True)).left
        await second.create(name="a", age=5, most=5)
        with pytest.raises(ferro.UniqueViolation):
            await second.create(name="a", age=5, most=5)
        with pytest.raises(ferro.CheckViolation) as raised:
            await second.create(name="b", age=6, most=5)
        assert raised.value.constraint == "ruled_change_most"
    finally:
        registry.remove(first.__ferro_table__)


def _changing(**options: Any) -> Any:
    namespace = {
        "__module__": __name__,
        "__annotations__": {"id": int | None, "name": str, "age": int, "most": int},
        "id": ferro.Field(default=None, primary_key=True),
    }
    return type(ferro.Model)("RuledChange", (ferro.Model,), namespace, **options)


def _with_alternatives(it: Any) -> Any:
    either = it.active | (it.age > 1)
    for number in range(2, 10):
        either = either & (it.active | (it.age > number))
    return either


def _wrong(**options: Any) -> None:
    namespace = {
        "__module__": __name__,
        "__annotations__": {
            "id": int | None,
            "age": int,
            "name": str,
            "active": bool,
            "tags": list[int],
            "settings": dict[str, Any],
            "more": dict[str, Any],
            "boss": "ferro.Relation[RuledUser]",
            "stage": RuledStage,
            "last": RuledStage,
            "price": Decimal,
            "day": datetime.date,
        },
        "price": ferro.Field(max_digits=6, decimal_places=2),
        "id": ferro.Field(default=None, primary_key=True),
        "boss": ferro.ForeignKey(),
    }
    type(ferro.Model)("RuledWrong", (ferro.Model,), namespace, **options)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (lambda it: it.age.like("a%"), "`(checks|where)`: `RuledWrong.age` is not a text: `like`"),
        (lambda it: it.name.like("a%"), "and cannot compute values: leave out `like`"),
        (lambda it: it.name.startswith("a"), "leave out `startswith`"),
        (lambda it: it.name.length() > 3, "leave out `length`"),
        (lambda it: it.day.isoweekday() > 5, "leave out `isoweekday`"),
        (lambda it: it.day.truncate("month") == it.day, "leave out `truncate`"),
        (lambda it: it.day.day_of_year() == 1, "leave out `day_of_year`"),
        (lambda it: it.age == ferro.excluded(it.age), "leave out `ferro.excluded`"),
        (lambda it: it.age > it.age.coalesce(3), "leave out `coalesce`"),
        (lambda it: ferro.case((it.active, 1), otherwise=2) == 1, "leave out `case`"),
        (lambda it: it.settings["a"].as_type(str) == "x", r"leave out `\[…\]`"),
        (lambda it: it.settings["a"].set_to(1) == it.more, "leave out `set_to`"),
        (lambda it: it.settings["a"].removed() == it.more, "leave out `removed`"),
        (lambda it: it.settings.contains({"a": 1}), "leave out `contains`"),
        (lambda it: ferro.value(1) == 1, "leave out `ferro.value`"),
        (lambda it: it.age > ferro.count(), "cannot use other rows"),
        (lambda it: it.id.in_(RuledUser.select("id")), "cannot use other rows"),
        (lambda it: ferro.exists(RuledUser.select()), "cannot use other rows"),
        (lambda it: ferro.col(RuledOffer.low) > 3, "`RuledOffer.low` is a field of another model"),
        (
            lambda it: it.boss.name == "x",
            "the fields of one row: `boss` is a relation and means its key, `RuledWrong.boss_id`",
        ),
        (lambda it: it.boss.offers.count() > 1, "means its key, .* which has no `offers`"),
        (lambda it: it.age > None, "`RuledWrong.age` can only be combined with a value, not"),
        (
            lambda it: it.age < ferro.now,
            "`RuledWrong.age` takes a value, and `ferro.now` is a default",
        ),
        (_with_alternatives, "has more than 256 alternatives when it is written with"),
        (lambda it: it.agee > 1, "`RuledWrong` has no field `agee`: did you mean `age`"),
        (lambda it: it.age > "x", "`RuledWrong.age`: a check cannot compare integer with `'x'`"),
        (lambda it: it.age > it.name, "compare integer with `RuledWrong.name`, which is text"),
        (lambda it: it.age > it.tags, "`RuledWrong.tags`, which is list of integer"),
        (lambda it: it.tags == [1], r"cannot compare list of integer with `\[1\]`"),
        (lambda it: it.settings == it.more, "cannot compare json with `RuledWrong.more`"),
        (lambda it: it.boss == 1.5, "`RuledWrong.boss_id`: a check cannot compare key with `1.5`"),
        (lambda it: it.age, "field `RuledWrong.age` is not a condition"),
        (lambda it: ~it.age, "field `RuledWrong.age` is not a condition"),
        (lambda it: it.age + 1 > it.age, r"leave out `\+`"),
        (lambda it: -it.age > 1, "leave out `-`"),
        (lambda it: (it.age > 1) & True, "cannot be combined with `True`"),
        (lambda it: it.age > 1 and it.active, r"combine conditions with `&`, `\|` and `~`"),
        (lambda it: it.active or it.age > 1, r"combine conditions with `&`, `\|` and `~`"),
        (lambda it: 1 < it.age < 5, r"combine conditions with `&`, `\|` and `~`"),
        (lambda it: it.age.in_([]), "field `RuledWrong.age`: the list of `in_` is empty"),
        (lambda it: it.age.not_in([]), "field `RuledWrong.age`: the list of `not_in` is empty"),
        (lambda it: it.age.in_(5), "`RuledWrong.age` takes a list of values, not `int`"),
        (lambda it: it.stage == "nothing", "takes a `RuledStage`, and this is not"),
        (lambda it: it.stage > RuledStage.DRAFT, "`RuledWrong.stage`: the databases order enums"),
        (lambda it: it.stage.between("draft", "public"), "`RuledWrong.stage`: the databases order"),
        (lambda it: it.stage == it.name, "compare a `RuledStage` with `RuledWrong.name`, which is"),
        (lambda it: it.stage <= it.last, "cannot use `<`, `<=`, `>`, `>=` and `between`"),
        (lambda it: it.price > Decimal("0.001"), r"more digits than a decimal of \(6, 2\)"),
        (lambda it: it.price.in_([-10000]), r"`-10000` has more digits than a decimal"),
        (lambda it: True, "must compare fields, such as `lambda it: .*`, not return `bool`"),
        (lambda it: it.active & it.name, "field `RuledWrong.name` is not a condition"),
    ],
)
def test_what_no_check_can_say_is_named_where_the_class_is(
    condition: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(ferro.SchemaError, match=message):
        _wrong(checks=[ferro.Check(condition)])
    with pytest.raises(ferro.SchemaError, match=message):
        _wrong(indexes=[ferro.Index("age", where=condition)])


def test_wrong_declarations_are_named() -> None:
    anything: Any = ferro

    def positive(row: Any) -> Any:
        return row.age > 0

    for make, message in (
        (lambda: anything.Index(), "`Index` takes the names of its fields"),
        (
            lambda: anything.Index(["a", "b"]),
            (
                r"`Index` takes names of fields, such as "
                r"`\"email\"`, not"
            ),
        ),
        (lambda: anything.Index("a", name=5), "`name` takes a `str` or None, not `int`"),
        (lambda: anything.Index("a", unique="x"), "`unique` takes True or False, not `str`"),
        (lambda: anything.Index("a", where="a > 1"), "`where` takes a function or None, not `str`"),
        (lambda: anything.Check("a > 1"), "`condition` takes a function, not `str`"),
        (lambda: anything.Check(len, name=5), "`name` takes a `str` or None, not `int`"),
        (lambda: _wrong(checks=len), "`checks` takes a list, not `builtin_function_or_method`"),
        (lambda: _wrong(checks=[ferro.Check(positive, name=it) for it in "aba"]), "name.*: `a`$"),
        (lambda: _wrong(checks=[len]), r"`checks` is a list of `ferro.Check\(…\)`"),
        (lambda: _wrong(uniques=[ferro.Index("age")]), r"`ferro.Index\(…, unique=True\)` in its"),
        (lambda: _wrong(indexes=[ferro.Index("agee")]), "has no field `agee` to index"),
        (lambda: _wrong(indexes=[ferro.Index("more", unique=True)]), "cannot be unique"),
        (lambda: _wrong(chekcs=[]), "has no option `chekcs`: did you mean `checks`"),
    ):
        with pytest.raises(ferro.SchemaError, match=message):
            make()
