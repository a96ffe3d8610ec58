"""Documents that have a shape: what is stored is all of them, and can be read back."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import sys
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional

import pydantic
import pytest
from typing_extensions import TypeAliasType, TypedDict

import ferro

pytestmark = pytest.mark.usefixtures("db")


class Street(pydantic.BaseModel):
    name: str
    since: Optional[datetime.date] = None  # noqa: UP045
    toll: Decimal = 0  # type: ignore[assignment]


class Size(TypedDict):
    width: int


@dataclasses.dataclass
class Door:
    number: int


class House(ferro.Model, table="documents_house"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    street: Street | None = None
    streets: list[Street] = ferro.Field(default=[])
    days: dict[str, datetime.date] = ferro.Field(default={})
    size: Size | None = None
    door: Door | None = None


async def test_a_document_that_has_not_its_shape_is_refused_before_it_is_stored() -> None:
    kept = await House.create(street=Street(name="Way"), days={"a": datetime.date(2024, 1, 2)})
    for name, value in (
        ("street", {"nam": "typo"}),
        ("street", 5),
        ("street", Street.model_construct(name=["no"])),
        ("streets", [Street(name="Way"), {"since": "1999-01-01"}]),
        ("days", {"a": "no date"}),
        ("size", {"width": "wide"}),
        ("size", {}),
        ("door", {"number": None}),
        ("door", Door("x")),  # type: ignore[arg-type]
    ):
        row = House()
        setattr(row, name, value)
        with pytest.raises(ferro.TypeMismatch, match=f"`House.{name}` takes a doc"):
            await row.save()
        with pytest.raises(ferro.TypeMismatch, match=f"`House.{name}` takes a doc") as raised:
            await House.bulk_create([House(), row])
        for given in ("typo", "no date", "wide"):
            assert given not in str(raised.value)
        changed = await House.get(kept.id)
        setattr(changed, name, value)
        with pytest.raises(ferro.TypeMismatch):
            await changed.save()
    assert await House.all() == [kept]
    with pytest.raises(ferro.TypeMismatch, match="its shape: `name`: Field required$"):
        row.door, row.street = None, {"nam": "typo"}  # type: ignore[assignment]
        await row.save()


async def test_what_validates_is_stored_as_its_shape() -> None:
    row = await House.create(street=Street(name="Way"))
    row.street = {"name": "Lane", "since": "2020-02-29"}  # type: ignore[assignment]
    row.days = {"a": "2024-01-02"}  # type: ignore[dict-item]
    await row.save()
    found = await House.get(row.id)
    assert found.street == Street(name="Lane", since=datetime.date(2020, 2, 29))
    assert found.days == {"a": datetime.date(2024, 1, 2)}


class Counted(pydantic.BaseModel):
    number: int
    made: int = 0

    @pydantic.field_validator("number")
    @classmethod
    def count(cls, number: int) -> int:
        Counted.validated += 1
        return number

    validated = 0

    model_config = pydantic.ConfigDict(ignored_types=(int,))


class Many(ferro.Model, table="documents_many"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    counted: Counted


async def test_what_is_of_the_right_class_is_not_validated_again() -> None:
    rows = [Many(counted=Counted(number=number)) for number in range(10)]
    before = Counted.validated
    assert await Many.bulk_create(rows) == 10
    assert Counted.validated == before


class Camel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        alias_generator=lambda name: name.title().replace("_", ""), serialize_by_alias=True
    )
    first_name: str
    last_name: str = "none"


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)
    day: datetime.date
    pair: tuple[int, int] = (1, 2)

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def year(self) -> int:
        return self.day.year


class Hidden(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True)
    shown: int
    hidden: str = pydantic.Field(exclude=True)
    inner: Optional["Hidden"] = pydantic.Field(default=None, exclude=True)  # noqa: UP037, UP045


class Swapped(pydantic.BaseModel):
    one: int = pydantic.Field(alias="two")
    two: int = pydantic.Field(validation_alias=pydantic.AliasChoices("three", "one"))


@dataclasses.dataclass
class Point:
    x: Annotated[int, pydantic.Field(alias="left")]
    hidden: Annotated[Hidden | None, pydantic.Field(exclude=True)] = None


class Text(pydantic.BaseModel):
    text: bytes


class Blob(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    blob: bytes


class Embedded(pydantic.BaseModel):
    document: pydantic.Json[list[int]]


class Login(pydantic.BaseModel):
    password: pydantic.SecretStr

    @pydantic.field_serializer("password")
    def value(self, password: pydantic.SecretStr) -> str:
        return password.get_secret_value()


class Shown(pydantic.BaseModel):
    price: float
    card: str | None = None
    paid: Annotated[Decimal, pydantic.PlainSerializer(lambda it: f"{it:.2f} €")]

    @pydantic.field_serializer("price")
    def rounded(self, price: float) -> str:
        return f"{price:.1f} €"

    @pydantic.field_serializer("card")
    def masked(self, card: str | None) -> str | None:
        return card and "*" * len(card)


class Whole(pydantic.BaseModel):
    number: int

    @pydantic.model_serializer
    def as_text(self) -> str:
        return f"number {self.number}"


class Milliseconds(pydantic.BaseModel):
    at: datetime.datetime

    @pydantic.field_serializer("at")
    def as_number(self, at: datetime.datetime) -> int:
        return int(at.timestamp() * 1000)

    @pydantic.field_validator("at", mode="before")
    @classmethod
    def of_number(cls, at: Any) -> datetime.datetime:
        if isinstance(at, datetime.datetime):
            return at
        return datetime.datetime.fromtimestamp(at / 1000, datetime.timezone.utc)


class Printed(ferro.Model, table="documents_printed"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    camel: Camel | None = None
    camels: dict[str, list[Camel]] = ferro.Field(default={})
    strict: Strict | None = None
    hidden: Hidden | None = None
    hiddens: list[Hidden] = ferro.Field(default=[])
    swapped: Swapped | None = None
    point: Point | None = None
    text: Text | None = None
    blob: Blob | None = None
    embedded: Embedded | None = None
    login: Login | None = None
    shown: Shown | None = None
    wholes: list[Whole] = ferro.Field(default=[])
    milliseconds: Milliseconds | None = None


HIDDEN = Hidden(shown=1, hidden="it", inner=Hidden(shown=2, hidden="too"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("camel", Camel(FirstName="Ada")),
        ("camels", {"a": [Camel(FirstName="Ada"), Camel(FirstName="Ben", LastName="B")]}),
        ("strict", Strict(day=datetime.date(2024, 2, 29))),
        ("hidden", HIDDEN),
        ("hiddens", [HIDDEN, HIDDEN]),
        ("swapped", Swapped(two=1, three=2)),
        ("point", Point(x=1, hidden=HIDDEN)),
        ("shown", Shown(price=1.25, card="4711", paid=Decimal("1.234"))),
        ("wholes", [Whole(number=1), Whole(number=2)]),
        (
            "milliseconds",
            Milliseconds(at=datetime.datetime.fromtimestamp(1.5, datetime.timezone.utc)),
        ),
        ("text", Text(text="Zürich".encode())),
        ("blob", Blob(blob=b"\xff\x00\xfe>?")),
        ("embedded", Embedded(document="[1, 2]")),
        ("login", Login(password=pydantic.SecretStr("hunter2"))),
    ],
)
async def test_how_a_nested_model_prints_does_not_change_what_is_stored(
    name: str, value: Any
) -> None:
    made = await Printed.create(**{name: value})
    found = await Printed.get(made.id)
    assert found == made
    assert getattr(found, name) == value
    assert await Printed.select(name).all() == [{name: value}]
    await Printed.where(id=made.id).update(**{name: value})
    assert getattr(await Printed.get(made.id), name) == value


async def test_a_document_has_the_names_of_the_fields() -> None:
    await Printed.create(camel=Camel(FirstName="Ada"), strict=Strict(day=datetime.date(2024, 1, 2)))
    assert await Printed.where(lambda p: p.camel["first_name"] == "Ada").count() == 1
    (row,) = await ferro.fetch_all("select camel, strict from documents_printed")
    camel, strict = (json.loads(it) if isinstance(it, str) else it for it in row.values())
    assert camel == {"first_name": "Ada", "last_name": "none"}
    assert strict == {"day": "2024-01-02", "pair": [1, 2]}


async def test_documents_by_alias_are_read_too(dialect: str) -> None:
    row = await Printed.create()
    cast = "::jsonb" if dialect == "postgres" else ""
    for name, document, value in (
        ("camel", {"FirstName": "A", "LastName": "B"}, Camel(FirstName="A", LastName="B")),
        ("point", {"left": 3}, Point(x=3)),
        ("swapped", {"two": 1, "three": 2}, Swapped(two=1, three=2)),
    ):
        sql = f"update documents_printed set {name} = ?{cast} where id = ?"
        await ferro.execute(sql, json.dumps(document), row.id)
        assert getattr(await Printed.get(row.id), name) == value


async def test_what_json_cannot_hold_is_refused_and_the_way_out_is_named() -> None:
    for value in (Text(text=b"\xff"), {"text": b"\xff"}):
        row = Printed()
        row.text = value  # type: ignore[assignment]
        with pytest.raises(ferro.TypeMismatch, match=r"`Printed.text` takes .*ser_json_bytes"):
            await row.save()
    row = Printed(camels={"a": [Camel(FirstName="x")]})
    row.camels["a"][0].last_name = object()  # type: ignore[assignment]
    with pytest.raises(ferro.TypeMismatch, match="`Printed.camels` takes"):
        await row.save()
    row = Printed(camel=Camel(FirstName="x"))
    row.camel.first_name = math.nan  # type: ignore[union-attr, assignment]
    with pytest.raises(ferro.TypeMismatch, match="`Printed.camel` takes"):
        await row.save()
    assert await Printed.select().count() == 0


def test_secrets_that_would_be_lost_are_refused_where_the_class_is_defined() -> None:
    class Account(pydantic.BaseModel):
        passwords: list[pydantic.SecretStr]

    class Key(pydantic.BaseModel):
        number: pydantic.Secret[int]

    for shape in (Account, list[Account], dict[str, Key], list[pydantic.SecretBytes]):
        namespace = {
            "__module__": __name__,
            "__annotations__": {"id": int, "it": shape},
            "id": ferro.Field(primary_key=True),
        }
        with pytest.raises(ferro.SchemaError, match=r"field `Safe.it`: a secret"):
            type(ferro.Model)("Safe", (ferro.Model,), namespace)


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Leveled(ferro.Model, table="documents_leveled"):
    model_config = pydantic.ConfigDict(use_enum_values=True)
    id: int | None = ferro.Field(default=None, primary_key=True)
    levels: list[Level]


async def test_a_list_of_members_holds_what_the_model_says() -> None:
    made = await Leveled.create(levels=[Level.LOW, "high"])
    found = await Leveled.get(made.id)
    assert found == made
    assert list(map(type, found.levels)) == [str, str]


async def test_what_a_serializer_loses_is_refused_where_nothing_else_is_read() -> None:
    moment = datetime.datetime.fromtimestamp(1.2345678, datetime.timezone.utc)
    with pytest.raises(ferro.TypeMismatch, match="`Printed.milliseconds`: a serializer of its"):
        await Printed.create(milliseconds=Milliseconds(at=moment))


def test_members_that_json_cannot_hold_are_refused_where_the_class_is_defined() -> None:
    class Day(enum.Enum):
        FIRST = datetime.date(2024, 1, 1)

    with pytest.raises(ferro.SchemaError, match=r"`Calendar.days`: the values of an enum inside"):

        class Calendar(ferro.Model, table="documents_calendar"):
            id: int | None = ferro.Field(default=None, primary_key=True)
            days: list[Day]


async def test_a_document_of_another_shape_is_a_decode_error_in_values_too() -> None:
    await House.create(street=Street(name="x"))
    await ferro.execute("""update documents_house set street = '{"nam": 1}'""")
    with pytest.raises(ferro.DecodeError, match="`House.street` holds a doc") as raised:
        await House.select("street").all()
    assert raised.value.column == "street"


async def test_what_is_wrong_with_a_document_is_told_without_its_values() -> None:
    await House.create(street=Street(name="x"))
    await ferro.execute("""update documents_house set street = '{"name": ["secret"]}'""")
    for read in (House.select("street").all, House.all):
        with pytest.raises(ferro.DecodeError) as raised:
            await read()
        message = str(raised.value)
        assert "with a different shape: `name`: Input should be a valid string" in message
        assert "secret" not in message
        assert "\n" not in message
        assert "pydantic.dev" not in message


class Lv(enum.Enum):
    A = "a"
    B = "b"


class Path(pydantic.BaseModel):
    name: str
    since: datetime.date | None = None


class Loose(ferro.Model, table="documents_loose"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    by_number: dict[int, str] = ferro.Field(default={})
    by_day: dict[datetime.date, list[int]] = ferro.Field(default={})
    sets: dict[str, set[int]] = ferro.Field(default={})
    listed_sets: list[set[int]] = ferro.Field(default=[])
    pairs: list[tuple[int, int]] = ferro.Field(default=[])
    by_name: dict[str, tuple[int, ...]] = ferro.Field(default={})
    floats: dict[str, float] = ferro.Field(default={})
    numbers: list[float | None] = ferro.Field(default=[])
    levels: list[Lv] = ferro.Field(default=[])
    street: Path | None = None
    door: Door | None = None


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("by_number", {1: "one", -2: "two"}, {1: "one"}),
        ("by_day", {datetime.date(2024, 2, 29): [1]}, {}),
        ("sets", {"a": {1, 2}, "b": set()}, {"a": {1}}),
        ("listed_sets", [{3, 1}, set()], [{3}]),
        ("pairs", [(1, 2), (3, 4)], [(1, 2)]),
        ("by_name", {"a": (1, 2, 3), "b": ()}, {"a": (1,)}),
        ("floats", {"a": 1e17, "b": 2.0, "c": 0.5}, {"a": 1.0}),
        ("numbers", [1e17, None, 2.0], [None]),
    ],
)
async def test_what_json_has_no_type_for_comes_back_as_it_was(
    name: str, value: Any, other: Any
) -> None:
    made = await Loose.create(**{name: value})
    found = await Loose.get(made.id)
    assert repr(getattr(found, name)) == repr(value)
    assert await Loose.select(name).all() == [{name: value}]
    setattr(found, name, other)
    await found.save()
    assert getattr(await Loose.get(made.id), name) == other
    await Loose.where(id=made.id).update(**{name: value})
    assert getattr(await Loose.get(made.id), name) == value


async def test_what_no_json_is_made_of_is_refused_in_them_too() -> None:
    for name, value in (
        ("floats", {"a": math.nan}),
        ("by_number", {"x": "y"}),
        ("pairs", [(1, 2, 3)]),
    ):
        row = Loose()
        setattr(row, name, value)
        with pytest.raises(ferro.TypeMismatch, match=f"`Loose.{name}`"):
            await row.save()


class ByPair(pydantic.BaseModel):
    names: dict[tuple[int, int], str]


class Number(enum.Enum):
    ONE = 1


@pytest.mark.parametrize(
    "shape",
    [
        dict[tuple[int, int], str],
        dict[int | str, str],
        dict[int | None, str],
        dict[Literal[1, 2], str],
        dict[Number, str],
        dict[Any, datetime.date],
        list[dict[tuple[int, int], str]],
        ByPair,
    ],
)
def test_keys_that_a_text_does_not_tell_are_refused_where_the_class_is_defined(shape: Any) -> None:
    namespace = {
        "__module__": __name__,
        "__annotations__": {"id": int, "it": shape},
        "id": ferro.Field(primary_key=True),
    }
    with pytest.raises(ferro.SchemaError, match=r"`Keyed.it`: the keys .* a list of pairs"):
        type(ferro.Model)("Keyed", (ferro.Model,), namespace)


async def test_documents_are_compared_as_they_are_stored(dialect: str) -> None:
    way = Path(name="Way", since=datetime.date(2024, 1, 2))
    one = await Loose.create(street=way, door=Door(5), levels=[Lv.A, Lv.B], by_number={1: "x"})
    two = await Loose.create(street=Path(name="Lane"), levels=[Lv.B], pairs=[(1, 2)])
    if dialect == "sqlite":
        with pytest.raises(ferro.UnsupportedError):
            await Loose.where(street=way).all()
        with pytest.raises(ferro.UnsupportedError):
            await Loose.where(Loose.levels.contains(Lv.A)).all()
        return
    for condition, rows in (
        (Loose.street == way, [one]),
        (Loose.street != way, [two]),
        (Loose.street == {"name": "Lane"}, [two]),
        (Loose.door == Door(5), [one]),
        (Loose.levels == [Lv.B], [two]),
        (Loose.pairs == [(1, 2)], [two]),
        (Loose.by_number == {1: "x"}, [one]),
        (Loose.levels.contains(Lv.A), [one]),
        (Loose.levels.contains([Lv.B, Lv.A]), [one]),
        (Loose.levels.contains("b"), [one, two]),
        (Loose.street.contains({"since": datetime.date(2024, 1, 2)}), [one]),
        (Loose.street.contains(way), [one]),
        (Loose.street.contains({"name": "Lane"}), [two]),
        (Loose.by_number.contains({1: "x"}), [one]),
        (Loose.pairs.contains([(1, 2)]), [two]),
    ):
        assert await Loose.where(condition).order_by("id") == rows
    assert await Loose.where(street=way).one() == one
    with pytest.raises(ferro.TypeMismatch, match="`Loose.street` takes a document"):
        await Loose.where(street={"nam": "typo"}).all()
    with pytest.raises(ferro.TypeMismatch):
        await Loose.where(Loose.levels.contains(object())).all()


def about_itself() -> Any:
    """`type Tree = dict[str, Tree] | int`, made by hand before Python 3.12."""
    if sys.version_info >= (3, 12):
        made: dict[str, Any] = {}
        exec("type Tree = dict[str, Tree] | int", made)
        return made["Tree"]
    alias: Any = TypeAliasType("Tree", int)
    object.__setattr__(alias, "__value__", dict[str, alias] | int)
    return alias


Tree = about_itself()


class Wood(ferro.Model, table="documents_wood"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    tree: dict[str, Tree] = ferro.Field(default={})
    data: dict[str, pydantic.JsonValue] = ferro.Field(default={})


@pytest.mark.usefixtures("db")
async def test_a_type_that_is_about_itself_is_a_document() -> None:
    made = await Wood.create(tree={"a": {"b": 1}}, data={"a": [1, {"b": None}]})
    assert await Wood.get(made.id) == made


class Parts(ferro.Model, table="documents_parts"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    data: dict[str, Any] = ferro.Field(default={})
    name: str = ""
    size: int = 0
    day: datetime.date | None = None


async def test_a_field_is_set_to_a_part_of_a_document_read_as_its_type() -> None:
    parts: Any = Parts
    made = await Parts.create(data={"name": "a", "size": 3, "more": {"x": [1]}})
    query = Parts.where(id=made.id)
    await query.update(name=parts.data["name"], size=lambda p: p.data["size"])
    await query.update(data=lambda p: p.data["more"])
    found = await query.one()
    assert (found.name, found.size, found.data) == ("a", 3, {"x": [1]})
    with pytest.raises(ferro.UnsupportedError, match=r"`Parts\.data`: a part .* read as date"):
        await query.update(day=parts.data["name"])
