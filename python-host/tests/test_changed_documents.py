"""Documents of which an update sets or removes one part."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from typing_extensions import NotRequired, TypedDict

import ferro

pytestmark = pytest.mark.usefixtures("db")


class Ui(pydantic.BaseModel):
    theme: str
    since: datetime.date | None = None
    zoom: Decimal = Decimal(1)
    key: bytes = b""

    model_config = pydantic.ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class Badge(TypedDict):
    name: str
    rank: NotRequired[int]


@dataclasses.dataclass
class Limit:
    most: int
    least: int = 0


class Sealed(TypedDict):
    key: bytes


class Sealer(TypedDict):
    __pydantic_config__ = pydantic.ConfigDict(extra="allow")  # type: ignore[misc]
    key: bytes


class Vault(pydantic.BaseModel):
    keys: list[bytes] = []
    sealed: Sealed | None = None
    words: collections.Counter[str] = collections.Counter()
    own: Sealer | None = None

    model_config = pydantic.ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class Settings(pydantic.BaseModel):
    ui: Ui
    badges: list[Badge] = []
    limits: dict[str, Limit] = {}
    shouted: str = ""

    @pydantic.field_serializer("shouted")
    def shout(self, text: str) -> str:
        return text.upper()


class ChangedAccount(ferro.Model, table="changed_documents_account"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str = ""
    visits: int = 0
    data: dict[str, object] | None = ferro.Field(default={})
    settings: Settings | None = None
    vault: Vault | None = None


BEFORE = {"a": {"b": 1}, "list": [1, 2]}
EXTRA = {"c": [True, 1.5]}
DOTTED = {"it's": {"": "é"}}


async def account() -> ChangedAccount:
    settings = Settings(ui=Ui(theme="light"), badges=[Badge(name="new")])
    values = {"data": BEFORE, "settings": settings, "vault": Vault(keys=[b""])}
    return await ChangedAccount.create(name="Ada", **values)


async def changed(**values: Any) -> ChangedAccount:
    """A row after an update of it."""
    row = await account()
    assert await ChangedAccount.where(id=row.id).update(**values) == 1
    return await ChangedAccount.get(row.id)


async def test_one_part_is_set_or_removed() -> None:
    for change, expected in (
        (lambda a: a.data["a"]["b"].set_to("x"), {"a": {"b": "x"}, "list": [1, 2]}),
        (lambda a: a.data["a"]["b"].set_to(None), {"a": {"b": None}, "list": [1, 2]}),
        (lambda a: a.data["a"]["b"].removed(), {"a": {}, "list": [1, 2]}),
        (lambda a: a.data["a"].removed()["list"][0].removed(), {"list": [2]}),
        (lambda a: a.data["list"][2].set_to({"c": [True, 1.5]}), {**BEFORE, "list": [1, 2, EXTRA]}),
        (lambda a: a.data["list"][3].set_to(1), BEFORE),
        (lambda a: a.data["list"]["a"].set_to(1), BEFORE),
        (lambda a: a.data["a"]["b"]["c"].set_to(1), BEFORE),
        (lambda a: a.data["nowhere"].removed(), BEFORE),
        (lambda a: a.data["x"]["y"][0].set_to(1), {**BEFORE, "x": {"y": [1]}}),
        (lambda a: a.data["a.b[0]"]["it's"][""].set_to("é"), {**BEFORE, "a.b[0]": DOTTED}),
        (lambda a: a.data["big"].set_to(10**30), {**BEFORE, "big": 10**30}),
    ):
        assert (await changed(data=change)).data == expected


async def test_a_part_is_set_to_what_is_computed_from_the_row() -> None:
    row = await changed(
        data=lambda a: (
            a.data["visits"]
            .set_to(a.data["visits"].as_type(int).coalesce(0) + 1)["name"]
            .set_to(a.name)["old"]
            .set_to(a.data["a"])["often"]
            .set_to(a.visits > 3)["half"]
            .set_to(a.visits.cast(float) / 2)
        )
    )
    computed = {"visits": 1, "name": "Ada", "old": {"b": 1}, "often": False, "half": 0}
    assert row.data == {**BEFORE, **computed}


async def test_no_writer_loses_what_another_one_has_set() -> None:
    row = await ChangedAccount.create(name="Ada")
    this = ChangedAccount.where(id=row.id)

    async def write(number: int) -> None:
        part = ferro.col(ChangedAccount.data)[f"key{number}"]
        assert await this.update(data=part.set_to(number)) == 1

    await asyncio.gather(*map(write, range(20)))
    assert (await ChangedAccount.get(row.id)).data == {f"key{it}": it for it in range(20)}
    assert row.data == {}, "instances in memory do not change"


async def test_a_null_stays_null_unless_something_stands_in_for_it() -> None:
    row = await ChangedAccount.create(name="Ada", data=None)
    this = ChangedAccount.where(id=row.id)
    await this.update(data=lambda a: a.data["a"].set_to(1))
    assert (await this.one()).data is None
    await this.update(data=lambda a: a.data.coalesce({})["a"].set_to(1))
    assert (await this.one()).data == {"a": 1}


async def test_what_is_set_has_the_type_of_the_part() -> None:
    day = datetime.date(2026, 2, 3)
    row = await changed(
        settings=lambda a: (
            a.settings["ui"]["since"]
            .set_to(day)["ui"]["zoom"]
            .set_to(Decimal("1.50"))["ui"]["key"]
            .set_to(b"\xff")["badges"][0]["rank"]
            .set_to(7)["limits"]["day"]
            .set_to(Limit(5))["shouted"]
            .set_to("low")
        )
    )
    assert row.settings == Settings(
        ui=Ui(theme="light", since=day, zoom=Decimal("1.50"), key=b"\xff"),
        badges=[Badge(name="new", rank=7)],
        limits={"day": Limit(5)},
        shouted="low",
    )
    whole = Ui(theme="dark", since=day)
    row = await changed(settings=lambda a: a.settings["ui"].set_to(whole))
    assert row.settings == Settings(ui=whole, badges=[Badge(name="new")])


async def test_what_is_set_is_written_as_the_model_around_it_writes() -> None:
    key = b"\xff\x00"
    row = await changed(
        vault=lambda a: (
            a.vault["keys"][0].set_to(key)["sealed"].set_to({"key": key})["words"]["a"].set_to(1)
        )
    )
    words = collections.Counter(["a"])
    assert row.vault == Vault(keys=[key], sealed={"key": key}, words=words)
    row = await changed(
        vault=lambda a: (
            a.vault["sealed"]
            .set_to({"key": b""})["sealed"]["key"]
            .set_to(key)["own"]
            .set_to({"key": b""})["own"]["more"]
            .set_to(1)
        )
    )
    assert row.vault is not None
    assert row.vault.sealed == {"key": key}
    assert row.vault.own == {"key": b"", "more": 1}


async def test_what_could_not_be_read_again_is_refused() -> None:
    settings = ferro.col(ChangedAccount.settings)
    for part, wrong in (
        (settings["ui"]["theme"], 5),
        (settings["ui"]["theme"], None),
        (settings["ui"]["since"], "no date"),
        (settings["badges"][0]["rank"], "first"),
        (settings["limits"]["day"], {"most": "many"}),
    ):
        with pytest.raises(pydantic.ValidationError):
            part.set_to(wrong)
    with pytest.raises(ferro.UnknownField, match="no `thema`: did you mean `theme`"):
        settings["ui"]["thema"].set_to("dark")
    with pytest.raises(ferro.UnknownField, match="no `nam`: did you mean `name`"):
        settings["badges"][0]["nam"].removed()
    for required in (settings["ui"], settings["ui"]["theme"], settings["limits"]["x"]["most"]):
        with pytest.raises(ferro.TypeMismatch, match="is required"):
            required.removed()
    row = await changed(
        settings=lambda a: a.settings["ui"]["since"].removed()["badges"][0].removed()
    )
    assert row.settings == Settings(ui=Ui(theme="light"))


async def test_what_is_computed_has_the_type_of_the_part() -> None:
    it: Any = ChangedAccount
    settings = it.settings
    either = settings.coalesce(Settings(ui=Ui(theme="light")))
    for part, value, fault in (
        (settings["ui"]["theme"], it.visits, "takes a `str`, not a computed `int`"),
        (either["ui"]["theme"], it.visits, "takes a `str`, not a computed `int`"),
        (settings["ui"]["theme"], it.visits > 3, "takes a `str`, not a computed `bool`"),
        (settings["ui"]["since"], it.name, "takes a `date`, not a computed `str`"),
        (settings["ui"]["zoom"], it.visits > 3, "takes a `Decimal`, not a computed `bool`"),
        (settings["ui"]["zoom"], it.name, "takes a `Decimal`, not a computed `str`"),
        (settings["ui"], it.name, "takes a `Ui`, not a computed `str`"),
        (settings["badges"][0]["rank"], it.visits.cast(float), "`int`, not a computed `float`"),
        (settings["limits"]["day"]["most"], it.data["a"], "`int`, not a computed `document`"),
        (settings["ui"], it.data["a"], "takes a `Ui`, not a computed `document`"),
    ):
        with pytest.raises(ferro.TypeMismatch, match=fault):
            part.set_to(value)
    for part, value in (
        (settings["ui"]["theme"], it.data["a"].as_type(str)),
        (settings["badges"][0]["rank"], it.visits / 2),
        (settings["badges"][0]["rank"], ferro.case((it.visits > 3, 3))),
        (settings["ui"]["theme"], it.name.null_if("")),
        (settings["ui"], settings["ui"]),
        (settings["limits"]["day"], settings["limits"]["night"]),
    ):
        with pytest.raises(ferro.TypeMismatch, match="may be null: use `coalesce`"):
            part.set_to(value)


async def test_a_part_with_a_type_is_set_to_what_is_computed_from_the_row() -> None:
    it: Any = ChangedAccount
    most = it.settings["limits"]["day"]["most"]
    row = await account()
    this = ChangedAccount.where(id=row.id)
    await this.update(settings=lambda a: a.settings["limits"]["day"].set_to(Limit(5)))
    await this.update(
        settings=most.set_to(most.as_type(int).coalesce(0) + 1)["ui"]["theme"]
        .set_to(it.name + "!")["ui"]["zoom"]
        .set_to(it.visits + 2)["badges"][0]["name"]
        .set_to(ferro.case((it.visits > 3, "often"), otherwise=it.name))["shouted"]
        .set_to(it.settings["shouted"].as_type(str).coalesce("none"))
    )
    assert (await this.one()).settings == Settings(
        ui=Ui(theme="Ada!", zoom=Decimal(2)),
        badges=[Badge(name="Ada")],
        limits={"day": Limit(6)},
    )
    assert await this.update(settings=lambda a: a.settings["ui"]["since"].set_to(None)) == 1
    await this.update(settings=None)
    either = it.settings.coalesce(Settings(ui=Ui(theme="light")))
    assert await ChangedAccount.select().column(either["ui"]["theme"].set_to(it.name)) == [
        Settings(ui=Ui(theme="Ada"))
    ]


async def test_what_no_document_can_hold_is_refused() -> None:
    data = ferro.col(ChangedAccount.data)
    update = ChangedAccount.select().update
    for value in (float("nan"), object(), {"a": {1, object()}}):
        with pytest.raises(ferro.TypeMismatch):
            await update(data=data["a"].set_to(value))
    with pytest.raises(ferro.TypeMismatch, match="not to decimal"):
        await update(data=data["a"].set_to(ferro.value(Decimal("1.5"))))
    with pytest.raises(ferro.InvalidQuery, match="set to a plain value"):
        data["a"].set_to(ChangedAccount.select())
    with pytest.raises(ferro.UnsupportedError, match="a key with quotes"):
        await update(data=data['a"b'].set_to(1))
    with pytest.raises(ferro.InvalidQuery, match="aggregate"):
        await update(data=data["a"].set_to(ferro.count()))
    endless: list[Any] = []
    endless += [endless, endless]
    with pytest.raises(ferro.ValueOutOfRange, match="200 levels"):
        data["a"].set_to(endless)


async def test_a_document_is_as_deep_as_it_can_be_read() -> None:
    deep: list[Any] = []
    for _ in range(197):
        deep = [deep]
    row = await changed(data=lambda a: a.data["a"]["c"].set_to(deep))
    assert row.data == {**BEFORE, "a": {"b": 1, "c": deep}}
    with pytest.raises(ferro.ValueOutOfRange, match="200 levels"):
        ferro.col(ChangedAccount.data)["a"]["c"].set_to([deep])


async def test_a_changed_document_is_a_document() -> None:
    await account()
    shown = ChangedAccount.select(
        data=lambda a: a.data["a"].set_to(1),
        theme=lambda a: a.settings["ui"]["theme"].set_to("dark")["ui"]["theme"].as_type(str),
    )
    assert await shown == [{"data": {"a": 1, "list": [1, 2]}, "theme": "dark"}]
    found = ChangedAccount.where(lambda a: a.data["a"].removed()["a"].is_null())
    assert await found.count() == 1
    settings = await ChangedAccount.select().column(
        lambda a: a.settings["ui"]["theme"].set_to("dark")
    )
    assert settings == [Settings(ui=Ui(theme="dark"), badges=[Badge(name="new")])]


async def test_an_upsert_sets_a_part_of_the_row_that_is_there() -> None:
    row = await account()
    data = ferro.col(ChangedAccount.data)
    await ChangedAccount.upsert(
        id=row.id,
        data={"b": 2},
        conflict="id",
        update={"data": data["b"].set_to(ferro.excluded(ChangedAccount.data)["b"])},
    )
    assert (await ChangedAccount.get(row.id)).data == {**BEFORE, "b": 2}


async def test_t1_a_part_is_set_in_what_may_be_read_and_written_only() -> None:
    row = await account()

    def scope(**rights: Any) -> Any:
        table = ferro.TableGrant(update=True, **rights)
        grant = ferro.Grant(access="read-write", tables={"changed_documents_account": table})
        return ferro.scope(ferro.Tenant("one", grants={"default": grant}))

    this = ChangedAccount.where(id=row.id)
    for rights in ({"read": ["id"]}, {"read": ["id", "data"], "write": ["name"]}):
        with scope(**rights), pytest.raises(ferro.DeniedError, match="data"):
            await this.update(data=lambda a: a.data["a"].set_to(1))
    with scope(read=["id", "data"], write=["data"]):
        assert await this.update(data=lambda a: a.data["a"].set_to(1)) == 1
        with pytest.raises(ferro.DeniedError, match="name"):
            await this.update(data=lambda a: a.data["a"].set_to(a.name))
