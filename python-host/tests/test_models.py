"""How models are defined, and what is wrong with those that are not."""

from __future__ import annotations

import enum
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pydantic
import pytest

import ferro
from ferro._tables.column import column_of
from ferro._tables.registry import registry
from models import User


def key() -> Any:
    return ferro.Field(default=None, primary_key=True)


def test_a_class_whose_definition_raised_is_not_registered() -> None:
    before = registry.version
    for fields, message in (
        ({"id": int | None, "thing": object}, "field `Broken.thing`: the type"),
        ({"id": int | None, "thing": int | str}, "field `Broken.thing`: the type"),
        ({"id": int | None, "thing": Path}, "`Path` has no column type: use one that does"),
        ({"thing": int}, "model `Broken` has no primary key"),
    ):
        namespace: dict[str, Any] = {"__annotations__": fields, "__module__": __name__}
        if "id" in fields:
            namespace["id"] = key()
        with pytest.raises(ferro.SchemaError, match=message):
            type(User)("Broken", (ferro.Model,), namespace, arbitrary_types_allowed=True)
    assert registry.version == before


def test_two_models_of_one_table_are_refused_and_both_are_named() -> None:
    with pytest.raises(ferro.SchemaError, match=r"models\.User.*Impostor.*`users`"):

        class Impostor(ferro.Model, table="users"):
            id: int | None = key()


@pytest.mark.usefixtures("db")
async def test_two_models_of_one_name_live_together() -> None:
    class Other:
        class User(ferro.Model, table="other_users"):
            id: int | None = key()
            nick: str

    await ferro.create_tables()
    await Other.User.create(nick="a")
    await User.create(name="b")
    assert [user.nick for user in await Other.User.all()] == ["a"]
    assert [user.name for user in await User.all()] == ["b"]


def test_models_of_one_name_are_told_apart_by_their_places() -> None:
    kinds: list[Any] = []
    try:
        for number, place in enumerate(
            ({"table": "same"}, {"table": "a_b"}, {"schema": "a", "table": "b"})
        ):
            body = {
                "__module__": __name__,
                "__qualname__": f"Same.{number}",
                "__annotations__": {"id": int | None},
                "id": key(),
            }
            kinds.append(type(User)("Same", (ferro.Model,), body, **place))
        names = [it.__ferro_table__.model_name for it in kinds]
        assert names == ["Same", "Same_a_b", "Same_a_b_"]
        registry.models()
    finally:
        for it in kinds:
            registry.remove(it.__ferro_table__)


def test_an_abstract_model_says_nothing_of_a_table() -> None:
    check = ferro.Check(lambda it: it.id > 0, name="positive")
    for option, value in (
        ("table", "somewhere"),
        ("schema", "there"),
        ("comment", "of"),
        ("renamed_from", "other"),
        ("uniques", [("id",)]),
        ("indexes", [("id",)]),
        ("checks", [check]),
    ):
        with pytest.raises(
            ferro.SchemaError, match=(f"`NoTable` is abstract, but `{option}` applies")
        ):
            type(User)("NoTable", (ferro.Model,), {}, abstract=True, **{option: value})


def test_a_table_is_named_after_the_class() -> None:
    class BlogEntry(ferro.Model):
        id: int | None = key()

    table = BlogEntry.__ferro_table__
    assert table is not None
    assert table.name == "blog_entry"


@pytest.mark.usefixtures("db")
async def test_abstract_models_give_their_fields_and_have_no_table() -> None:
    class Named(ferro.Model, abstract=True):
        id: int | None = key()
        name: str

    class Planet(Named):
        moons: int = 0

    assert Named.__ferro_table__ is None
    with pytest.raises(ferro.InvalidQuery, match="abstract"):
        Named.select()
    await ferro.create_tables()
    planet = await Planet.create(name="Mars", moons=2)
    assert await Planet.where(Planet.moons == 2, name="Mars").all() == [planet]


class Stamped:
    """Fields for models, in a plain class."""

    stamp: int = ferro.Field(default=3, index=True)


class Noted(pydantic.BaseModel):
    """Fields for models, in a Pydantic model without a table."""

    note: str = ferro.Field(default="none", max_length=5)


@pytest.mark.usefixtures("db")
async def test_fields_come_from_plain_classes_and_from_models_of_pydantic() -> None:
    class Parcel(Stamped, Noted, ferro.Model, table="mixed_parcel"):
        id: int | None = key()

    table = Parcel.__ferro_table__
    assert table is not None
    assert set(table.columns) == {"id", "stamp", "note"}
    assert table.columns["stamp"].index
    assert table.columns["note"].column_type == {"text": 5}
    await ferro.create_tables()
    parcel = await Parcel.create(note="glass")
    assert await Parcel.where(stamp=3, note="glass").all() == [parcel]
    with pytest.raises(pydantic.ValidationError):
        Parcel(note="too long")


@pytest.mark.usefixtures("db")
async def test_fields_of_mixins_are_expressions() -> None:
    class Counted:
        views: int = 3
        likes: int = ferro.Field(default=0, ge=0)

    class Video(Counted, ferro.Model):
        id: int | None = key()

    class Clip(Video):
        seconds: int = 1

    await ferro.create_tables()
    await Video.create()
    await Clip.create(views=4)
    assert await Video.where(Video.views == 3, Video.likes < 1).count() == 1
    assert await Clip.select().order_by(Clip.views.desc()).values(Clip.views) == [{"views": 4}]  # type: ignore[attr-defined]
    bare = Video.model_construct()
    del vars(bare)["views"]
    with pytest.raises(AttributeError, match="`Video` has no value for `views`"):
        _ = bare.views


def test_a_field_that_would_take_the_place_of_a_method_is_refused() -> None:
    for name in ("save", "where"):
        message = rf"field `Taken\.{name}`: models have a method .* `db_column='{name}'`"
        fields = {"id": int | None, name: int}
        namespace = {"__annotations__": fields, "__module__": __name__, "id": key()}
        with (
            pytest.raises(ferro.SchemaError, match=message),
            pytest.warns(UserWarning, match="shadows an attribute"),
        ):
            type(User)("Taken", (ferro.Model,), namespace)


def test_a_relation_in_a_class_that_is_no_model_is_refused() -> None:
    class Owned:
        owner: ferro.Relation[User] = ferro.ForeignKey(related_name="owned")

    with pytest.raises(ferro.SchemaError, match=r"Relation.*not a model needs `ferro.Model`"):

        class Car(Owned, ferro.Model):
            id: int | None = key()


@pytest.mark.usefixtures("db")
async def test_what_is_stored_is_loaded_whatever_the_field_says_of_new_values() -> None:
    class Adult(ferro.Model, table="adult_by_pydantic"):
        id: int | None = key()
        age: int = ferro.Field(default=20, ge=18)
        name: str = ferro.Field(default="ada", pattern="^[a-z]+$")

        @pydantic.field_validator("name")
        @classmethod
        def _never(cls, value: str) -> str:
            raise AssertionError("no value is validated twice")

    with pytest.raises(pydantic.ValidationError):
        Adult(age=3)
    await ferro.create_tables()
    await ferro.execute("insert into adult_by_pydantic (id, age, name) values (1, 3, 'A 1')")
    (found,) = await Adult.all()
    assert (found.age, found.name) == (3, "A 1")
    await found.refresh()
    assert [it.age async for it in Adult.select().stream()] == [3]


def test_options_may_stand_in_the_annotation() -> None:
    class Annotated_(ferro.Model, table="annotated"):  # noqa: N801
        id: Annotated[int | None, ferro.Field(primary_key=True)] = None
        code: Annotated[str, ferro.Field(unique=True, max_length=3)]

    table = Annotated_.__ferro_table__
    assert table is not None
    assert table.key.generated
    assert table.columns["code"].unique
    assert table.columns["code"].column_type == {"text": 3}
    with pytest.raises(pydantic.ValidationError):
        Annotated_(code="abcd")


def test_wrong_keys_and_enums_are_named() -> None:
    class Mixed(enum.Enum):
        A = 1
        B = "b"

    with pytest.raises(ferro.SchemaError, match="`Two`: a key of several fields cannot be gener"):

        class Two(ferro.Model):
            a: int | None = ferro.Field(default=None, primary_key=True)
            b: int = ferro.Field(primary_key=True)

    with pytest.raises(ferro.SchemaError, match="only an integer key can be generated"):

        class TextKey(ferro.Model):
            id: str | None = key()

    with pytest.raises(ferro.SchemaError, match="the values of an enum are texts, or integers"):

        class WithMixed(ferro.Model):
            id: int | None = key()
            mixed: Mixed


def test_a_misspelt_option_is_named() -> None:
    with pytest.raises(ferro.SchemaError, match="no option `uniqe`: did you mean `unique`"):
        ferro.Field(uniqe=True)
    with pytest.raises(ferro.SchemaError, match="no option `max_lenght`: did you mean `max_len"):
        ferro.Field(max_lenght=5)
    with pytest.raises(ferro.SchemaError, match=r"no option `zzz`: there is `primary_key`, "):
        ferro.Field(zzz=5)
    with pytest.raises(ferro.SchemaError, match="no option `tabel`: did you mean `table`"):

        class Misspelt(ferro.Model, tabel="x"):  # type: ignore[call-arg]
            id: int | None = key()


def test_a_class_option_of_a_base_is_its_own_matter() -> None:
    class Tagged:
        tag = ""

        def __init_subclass__(cls, *, tag: str = "", **options: Any) -> None:
            cls.tag = tag
            super().__init_subclass__(**options)

    class Both(Tagged, ferro.Model, abstract=True, tag="here"):
        id: int | None = key()

    assert Both.tag == "here"


def test_constraints_of_pydantic_reach_the_column() -> None:
    class Constrained(pydantic.BaseModel):
        price: Decimal = pydantic.Field(max_digits=8, decimal_places=2)
        count: Decimal = pydantic.Field(max_digits=8)
        plain: Decimal
        code: str = pydantic.Field(max_length=5)

    types = {
        name: column_of("Constrained", name, info).column_type
        for name, info in Constrained.model_fields.items()
    }
    assert types == {
        "price": {"decimal": {"precision": 8, "scale": 2}},
        "count": {"decimal": {"precision": 8, "scale": 0}},
        "plain": {"decimal": None},
        "code": {"text": 5},
    }


@pytest.mark.usefixtures("db")
async def test_a_row_is_in_a_set_by_its_key() -> None:
    new = User(name="Ada")
    with pytest.raises(TypeError, match="`User` has no key until it is saved"):
        hash(new)
    await new.save()
    loaded = await User.get(new.id)
    assert {new, loaded} == {loaded}
    loaded.name = "Eve"
    assert len({new, loaded}) == 2
    assert hash(new) == hash(loaded) == hash(await User.get(new.id))


@pytest.mark.usefixtures("db")
async def test_private_attributes_are_there_after_loading() -> None:
    class WithPrivate(ferro.Model, table="with_private"):
        id: int | None = key()
        _seen: list[int] = pydantic.PrivateAttr(default_factory=list)

    await ferro.create_tables()
    row = await WithPrivate.create()
    loaded = await WithPrivate.get(row.id)
    loaded._seen.append(1)
    assert (await WithPrivate.get(row.id))._seen == []


@pytest.mark.usefixtures("db")
async def test_what_a_model_does_after_init_is_done_after_loading_too() -> None:
    class WithHook(ferro.Model, table="with_hook"):
        id: int | None = key()
        name: str

        def model_post_init(self, _: Any) -> None:
            made.append(self.name)

    made: list[str] = []
    await ferro.create_tables()
    row = await WithHook.create(name="Ada")
    assert await WithHook.get(row.id) == row
    assert await WithHook.all() == [row]
    assert made == ["Ada", "Ada", "Ada"]


async def test_a_value_for_a_field_that_there_is_not_is_refused_unless_allowed() -> None:
    for make in (lambda: User(name="Ada", agee=36), lambda: User.where(agee=36)):  # type: ignore[call-arg]
        with pytest.raises((pydantic.ValidationError, ferro.UnknownField), match="agee"):
            make()
    with pytest.raises(pydantic.ValidationError, match=r"(?s)User.*agee"):
        await User.create(name="Ada", agee=36)

    class Lenient(ferro.Model, table="lenient"):
        model_config = pydantic.ConfigDict(extra="ignore")
        id: int | None = key()

    assert Lenient(id=1, other=2) == Lenient(id=1)  # type: ignore[call-arg]


def test_values_for_which_there_is_no_column_are_not_allowed() -> None:
    before = registry.version
    with pytest.raises(ferro.SchemaError, match=r'`Loose`: `extra="allow"` would .* `dict\[str'):

        class Loose(ferro.Model):
            model_config = pydantic.ConfigDict(extra="allow")
            id: int | None = key()

    assert registry.version == before


def test_a_class_that_is_defined_again_replaces_the_former_one() -> None:
    def define(**fields: Any) -> Any:
        annotations = {"id": int | None, **fields}
        namespace = {"__annotations__": annotations, "__module__": __name__, "id": key()}
        return type(User)("Redefined", (ferro.Model,), namespace)

    former = define(a=int)
    again = define(b=str)
    assert list(again.__ferro_table__.columns) == ["id", "b"]
    with pytest.raises(ferro.SchemaError, match="`Redefined` was defined again"):
        former.where(a=1)
