"""What is easily written by who knows Python or another ORM: each gets an error that says how."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pydantic
import pytest

import ferro
from ferro import BackRef, ForeignKey, Relation
from ferro._expressions.value import Value
from ferro._other_orms import LOOKUPS, WORDS
from ferro._queries.select import Select
from models import Document, Everything, User

users: Any = User
things: Any = Everything


class Pond(ferro.Model, table="mistakes_pond"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str = ""
    frogs: Relation[list[Frog]] = BackRef()


class Frog(ferro.Model, table="mistakes_frog"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    pond: Relation[Pond] = ForeignKey(related_name="frogs")


class Choice(ferro.Model, table="mistakes_choice"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    options: Relation[list[Option]] = BackRef()


class Option(ferro.Model, table="mistakes_option"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    query: Relation[Choice] = ForeignKey(related_name="options")


class Hill(ferro.Model, table="mistakes_hill"):
    model_config = pydantic.ConfigDict(hide_input_in_errors=True)

    id: int = ferro.Field(primary_key=True)
    name: str = ferro.Field(alias="Name")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _named(cls, values: dict[str, Any]) -> dict[str, Any]:
        named = values.pop("named", None)
        return values if named is None else {**values, "Name": named}


class Tree(ferro.Model, table="mistakes_tree"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str = ""


class Oak(Tree, table="mistakes_oak"):
    acorns: int = 0


class Nest(ferro.Model, table="mistakes_nest"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    tree: Relation[Tree] = ForeignKey(related_name="nests")


class Hole(ferro.Model, table="mistakes_hole"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    tree: Relation[Tree] = ForeignKey(related_name="hole", unique=True)


class Pear(ferro.Model, table="mistakes_pear"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    full_weight: int = ferro.Field(default=1, db_column="weight")
    tree: Relation[Tree] = ForeignKey(related_name="pears")


class Garden(ferro.Model, table="mistakes_garden"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    trees: Relation[list[Tree]] = ferro.ManyToMany(related_name="gardens")


async def loop() -> None:
    async for _ in users.select():
        pass


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: list(users.select()), "for row in await query"),
        (lambda: len(users.where(age=3)), r"await query.count\(\)"),
        (lambda: not users.where(age=3), r"await query.exists\(\)"),
        (lambda: users.select()[0], "a query cannot be indexed"),
        (lambda: users.select()[:5], r"await query.offset\(…\).limit\(…\)"),
    ],
)
def test_a_query_is_no_list(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


def test_a_word_of_another_orm_is_answered_with_ferros() -> None:
    query: Any = users.where(age=3)
    with pytest.raises(AttributeError, match=r"a query has no `filter`: use `.where\(…\)`"):
        query.filter(name="a")
    with pytest.raises(AttributeError, match=r"no `select_related`: use `.include\("):
        query.select_related("frogs")
    with pytest.raises(AttributeError, match=r"no `oder_by`: did you mean `order_by`\?"):
        query.oder_by("name")
    assert not hasattr(query, "filter")
    with pytest.raises(
        TypeError, match=r"`in` does not query the database: use `User.name.contains\('a'\)`"
    ):
        assert "a" in users.name


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (lambda: users.age > 1 and users.age < 5, "`&`"),
        (lambda: 1 < users.age < 5, "`a < b < c`"),
        (lambda: users.name in ["a"], r"use `.in_\(…\)` instead of `in`"),
    ],
)
def test_what_python_decides_by_itself_is_no_condition(
    condition: Callable[[], Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        condition()


def test_what_a_word_of_others_is_answered_with_is_there() -> None:
    for own in WORDS.values():
        assert callable(getattr(Select, own.partition("(")[0]))
        for function in re.findall(r"ferro\.(\w+)", own):
            assert callable(getattr(ferro, function))
    for own in LOOKUPS.values():
        assert own.startswith(" ") or callable(getattr(Value, own[1:].partition("(")[0]))


@pytest.mark.parametrize("word", ["__tablename__", "__table_args__", "Meta"])
def test_what_others_say_in_the_body_of_a_class_is_answered_with_its_options(word: str) -> None:
    body = {"__module__": __name__, "__annotations__": {"id": int}, word: ()}
    with pytest.raises(
        ferro.SchemaError, match=rf"`{word}` has no effect here: write `class Elm\(ferro\.Model, "
    ):
        type(ferro.Model)("Elm", (ferro.Model,), body)


def test_a_relation_that_is_declared_as_in_other_orms_is_answered_with_ferros() -> None:
    def define(annotation: Any, **fields: Any) -> None:
        body = {"__module__": __name__, "__annotations__": {"id": int, "pond": annotation}}
        fields["id"] = ferro.Field(primary_key=True)
        type(ferro.Model)("Newt", (ferro.Model,), {**body, **fields})

    for rows in (Pond, Pond | None, list[Pond], dict[str, list[Pond]]):
        with pytest.raises(
            ferro.SchemaError, match=r"`Newt\.pond`: a row of `Pond` .*`Relation\[Pond\] = ferro\."
        ):
            define(rows, pond=ferro.Field(default=None))
    for fields in ({}, {"pond": ferro.Field()}):
        with pytest.raises(
            ferro.SchemaError,
            match=(
                r"`Relation` of `pond`: in a model, define it with .*`= "
                r"ferro\.ForeignKey"
            ),
        ):
            define(ferro.Relation[Pond], **fields)


def test_a_type_that_is_not_defined_yet_is_named() -> None:
    body = {"__module__": __name__, "__annotations__": {"id": int, "eggs": "list[Egg]"}}
    message = r"model `Toad`: `Egg` in its annotations is not defined yet: .*`Relation\[…\]`"
    with pytest.raises(ferro.SchemaError, match=message):
        type(ferro.Model)("Toad", (ferro.Model,), body)


def test_a_relation_may_have_the_name_of_a_method_or_of_a_word_of_others() -> None:
    assert isinstance(Choice.options.any(id=1), ferro.Expression)
    assert isinstance(Option.query.id == 1, ferro.Expression)


async def test_a_query_is_read_row_by_row_as_a_stream() -> None:
    with pytest.raises(TypeError, match=r"async for row in query.stream\(\)"):
        await loop()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: users.first(), r"`User` has no `first`: use a query, `User.select\(\).first\("),
        (lambda: users.order_by("name"), r"use a query, `User.select\(\).order_by\(…\)`"),
        (lambda: users.filter(name="a"), r"no `filter`: use a query, `User.where\(…\)`"),
        (lambda: users.objects.all(), r"no `objects`: use a query, `User.where\(…\)`"),
        (lambda: users.nmae, "`User` has no field `nmae`: did you mean `name`"),
        (
            lambda: Frog.where(pond__name="a"),
            r"across a relation, use `lambda it: it.pond.name == …`",
        ),
        (
            lambda: Frog.where(pond__name__icontains="a"),
            r"use `lambda it: it.pond.name.ilike\(\"%…%\"\)`",
        ),
        (lambda: users.where(age__gte=18), r"`age__gte`: use `lambda it: it.age >= …`"),
        (lambda: users.name.contians("a"), "`User.name` has no `contians`: did you mean `contain"),
        (
            lambda: Document.where(lambda it: it.data.size == 3),
            r"`Document.data` has no `size`: access a part of a document with brackets, `\[\"size",
        ),
        (
            lambda: Document.where(lambda it: it.data["size"].width == 3),
            r"has no `width`: access a part of a document with brackets, `\[\"width\"\]",
        ),
        (
            lambda: Document.select().order_by(lambda it: it.data["size"].desc()),
            r"has no `desc`: set its type with `as_type\(int\).desc\(…\)`; otherwise, access",
        ),
    ],
)
def test_a_name_that_is_none_is_answered_with_what_is_meant(
    call: Callable[[], Any], message: str
) -> None:
    with pytest.raises(ferro.UnknownField, match=message):
        call()
    assert not hasattr(User, "nmae")
    assert not hasattr(User.name, "nmae")


FROGS: Any = Frog.select()


@pytest.mark.parametrize(
    "call",
    [
        lambda: Pond.where(nmae="a").all(),
        lambda: Pond.get(nmae="a"),
        lambda: Pond.get_or_none(nmae="a"),
        lambda: Pond.create(nmae="a"),
        lambda: Pond.using("mistakes").create(id=1, nmae="a"),
        lambda: Pond.upsert(id=1, nmae="a", conflict="id"),
        lambda: Pond.upsert(id=1, name="a", conflict="nmae"),
        lambda: Pond.upsert(id=1, name="a", conflict="id", update=["nmae"]),
        lambda: Pond.upsert(id=1, name="a", conflict="id", update={"nmae": "a"}),
        lambda: Pond.bulk_upsert([Pond(id=1)], conflict="nmae"),
        lambda: Pond.get_or_create(nmae="a", id=1),
        lambda: Pond.get_or_create({"nmae": "a"}, id=1),
        lambda: Pond.update_or_create(nmae="a", id=1),
        lambda: Pond.update_or_create({"nmae": "a"}, id=1),
        lambda: Pond.select().update(nmae="a"),
        lambda: Pond.select().update_returning(nmae="a"),
        lambda: Pond.select("nmae").all(),
        lambda: Pond.select().column("nmae").all(),
        lambda: Pond.select().with_values("nmae").all(),
        lambda: Pond.select().distinct_on("nmae").all(),
        lambda: Pond.select("id").group_by("nmae").all(),
        lambda: Pond.select().max("nmae"),
        lambda: Pond.select().order_by("-nmae").all(),
        lambda: Pond.select().order_by("-nmae").exists(),
        lambda: Pond.select().order_by("-nmae").count(),
        lambda: Pond.select().order_by("-nmae").sum("id"),
        lambda: Pond.select().order_by("-nmae").delete(),
        lambda: Pond.select(name=Pond.name.length()).order_by("-nmae").all(),  # type: ignore[attr-defined]
        lambda: Pond.select("id").union(Pond.select("id")).order_by("nmae").all(),
        lambda: FROGS.where(pond=3, pnod=3).all(),
        lambda: FROGS.include("pnod").all(),
        lambda: FROGS.include("pond.frgos").all(),
        lambda: FROGS.include(pnod=Pond.select()).all(),
        lambda: FROGS.order_by("pond.nmae").all(),
        lambda: FROGS.order_by("pnod.name").all(),
        lambda: FROGS.values("pond.nmae").all(),
    ],
)
async def test_a_misspelt_name_is_told_before_a_database_is_asked(
    call: Callable[[], Any],
) -> None:
    meant = r"did you mean `(name|pond|frogs)`\?"
    with pytest.raises((ferro.UnknownField, pydantic.ValidationError), match=meant):
        await call()


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        (lambda: FROGS.values("pond"), r"name the field of its key, `pond_id`"),
        (lambda: FROGS.group_by("pond"), r"name the field of its key, `pond_id`"),
        (lambda: FROGS.column("pond.frogs"), r"such as `lambda it: it\.pond\.frogs\.count\(\)`"),
        (lambda: Nest.select("tree.hole"), r"name a field of its row, such as `tree.hole.id`"),
    ],
)
def test_a_relation_in_place_of_a_field_is_answered_with_a_field(
    call: Callable[[], Any], instead: str
) -> None:
    with pytest.raises(ferro.InvalidQuery, match=f"is a relation, not a field: .*{instead}"):
        call()


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: things.where(things.instant < ferro.now), "instant"),
        (lambda: things.where(instant=ferro.now), "instant"),
        (lambda: things.where(things.instant.in_([ferro.now])), "instant"),
        (lambda: things.where(things.local.between(ferro.now, None)), "local"),
        (lambda: things.where(things.instant - ferro.now > 1), "instant"),
        (lambda: things.select(it=things.date.coalesce(ferro.now)), "date"),
        (lambda: things.select().update(instant=ferro.now), "instant"),
        (lambda: things.select().update(date=ferro.now), "date"),
        (lambda: things.upsert(id=1, conflict="id", update={"time": ferro.now}), "time"),
    ],
)
async def test_defaults_of_the_database_are_no_values(call: Callable[[], Any], field: str) -> None:
    default = r"`Field\(db_default=ferro.now\)`: pass .* `datetime.now\(timezone.utc\)`"
    with pytest.raises(ferro.TypeMismatch, match=f"`Everything.{field}` takes a value.*{default}"):
        await call()
    await things.create()
    with pytest.raises(ferro.TypeMismatch, match=r"pass `uuid.uuid4\(\)`"):
        await things.select().update(uuid=ferro.random_uuid)


@pytest.mark.usefixtures("db")
async def test_methods_of_rows_that_are_called_on_the_class_say_so() -> None:
    pond = await Pond.create()
    way = r"is a method of a row, not of a model: use a query, `User.where\(…\).delete\(\)`"
    for call in (Pond.delete, lambda: Pond.delete(using="app")):  # type: ignore[call-arg]
        with pytest.raises(ferro.InvalidQuery, match=way):
            await call()  # type: ignore[call-arg]
    for name in ("save", "refresh"):
        with pytest.raises(ferro.InvalidQuery, match=f"`{name}` is a method of a row"):
            await getattr(Pond, name)()
    assert await Pond.all() == [pond]
    await Pond.delete(pond)
    assert await Pond.all() == []


@pytest.mark.parametrize(
    "condition",
    [
        lambda: (users.age > 1) == True,  # noqa: E712
        lambda: (users.age > 1) != False,  # noqa: E712
        lambda: (users.age > 1) == (users.age < 3),
        lambda: True == ~users.active,  # noqa: E712, SIM300
        lambda: ~users.name == "x",
        lambda: ~users.name != "x",
        lambda: users.name.is_null() == None,  # noqa: E711
        lambda: User.where(lambda it: ~it.name == "x"),
    ],
)
def test_conditions_are_not_compared(condition: Callable[[], Any]) -> None:
    message = r"use `.is_true\(\)` or .* in parentheses, `~\(User.name == "
    with pytest.raises(TypeError, match=message):
        condition()
    known = users.age > 1
    assert known in [known]
    assert known in {known}


@pytest.mark.usefixtures("db")
async def test_a_misspelt_name_of_a_new_row_is_told_with_all_else_that_is_wrong() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        await users.create(nmae="Ada", age="old", email=5)
    assert {it["loc"]: it["type"] for it in caught.value.errors()} == {
        ("name",): "missing",
        ("age",): "int_parsing",
        ("email",): "string_type",
        ("nmae",): "extra_forbidden",
    }
    assert "model `User` has no field `nmae`: did you mean `name`?" in str(caught.value)
    found, _ = await users.get_or_create({"name": "Ada"}, email="ada@example.org")
    for make in (users.get_or_create, users.update_or_create):
        with pytest.raises(pydantic.ValidationError, match="did you mean `age`"):
            await make({"aeg": 36}, email="ada@example.org")
    assert await users.all() == [found]


@pytest.mark.usefixtures("db")
async def test_names_that_a_model_takes_besides_its_fields_are_not_misspelt() -> None:
    for it, name in enumerate(("named", "Name")):
        hill, new = await Hill.get_or_create({name: "a"}, id=it)
        assert (hill.name, new) == ("a", True)
        assert (await Hill.get_or_create({name: "b"}, id=it)) == (hill, False)
    assert (await Hill.create(id=5, named="c")).name == "c"  # type: ignore[call-arg]
    with pytest.raises(pydantic.ValidationError, match="did you mean `name`") as caught:
        await Hill.create(id=6, nmae="c")
    assert "input_value" not in str(caught.value)


@pytest.mark.usefixtures("db")
async def test_rows_of_a_relation_that_are_loaded_are_a_list() -> None:
    pond = await Pond.create()
    frogs = [await pond.frogs.create() for _ in range(3)]
    with pytest.raises(ferro.NotLoaded, match="`await` it"):
        pond.frogs[0]
    pond = await Pond.select().include("frogs").one()
    assert pond.frogs[0] == frogs[0]
    assert pond.frogs[1:] == frogs[1:]
    assert frogs[2] in pond.frogs
    with pytest.raises(IndexError):
        pond.frogs[3]


@pytest.mark.usefixtures("db")
async def test_placeholders_of_other_drivers_are_answered_with_those_there_are() -> None:
    with pytest.raises(ferro.InvalidQuery, match=r"a placeholder is `\?` or `\$1`"):
        await ferro.fetch_all("select id from users where name = %s", "Ada")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: users.age.startswith("x"),
            "`User.age` is not a text: `startswith` only works on texts",
        ),
        (
            lambda: users.age.not_like("x"),
            "`User.age` is not a text: `not_like` only works on texts",
        ),
        (lambda: users.age.contains(5), "`contains` only works on texts, lists and documents"),
        (lambda: users.name.endswith(5), "`User.name`: `endswith` takes a `str`, not `int`"),
        (
            lambda: users.name.overlaps(["x"]),
            "`User.name` is not a list: `overlaps` only works on lists",
        ),
        (lambda: users.name["x"], "`User.name` is not a document: it has no part `x`"),
        (
            lambda: users.age.between(users.id, 9),
            "`User.age` takes values here, not `<field User.id>",
        ),
        (lambda: users.age.in_([users.id]), "`User.age` takes values here, .* compare fields with"),
        (lambda: users.age > (users.age > 3), "with a value or a field, not with a condition"),
        (lambda: users.age + (users.age > 3), "with a value or a field, not with a condition"),
        (lambda: users.age + None, "`User.age` can only be combined with a value, not with None"),
        (lambda: None + users.name, "`User.name` can only be combined with a value, not with None"),
        (lambda: users.age < None, "not with None, .* use `is_null\\(\\)`"),
    ],
)
def test_a_method_of_another_type_is_refused_by_its_name(
    call: Callable[[], Any], message: str
) -> None:
    with pytest.raises(ferro.TypeMismatch, match=message):
        call()


@pytest.mark.usefixtures("db")
async def test_what_the_core_refuses_is_named_by_field_and_relation() -> None:
    pear: Any = Pear
    heavy = pear.full_weight.sum() > 3
    with pytest.raises(ferro.InvalidQuery, match="^`Pear.full_weight`: `sum` cannot be used in a "):
        await Pear.where(heavy).all()
    with pytest.raises(ferro.InvalidQuery, match="^`Pear.tree.name`: the field is neither grouped"):
        await Pear.select().group_by("id").values(name=pear.tree.name.upper())
    with pytest.raises(ferro.InvalidQuery, match="^`Pear.full_weight`: `sum` cannot be used in"):
        await Tree.where(lambda tree: tree.pears.any(heavy)).all()


@pytest.mark.usefixtures("db")
async def test_what_is_no_key_finds_no_row_that_was_meant() -> None:
    await User.create(name="Ada")
    for get in (users.get, users.get_or_none, users.where(name="Ada").get):
        with pytest.raises(ferro.InvalidQuery, match="the key of a `User` is never None"):
            await get(None)
        with pytest.raises(ferro.InvalidQuery, match="never None"):
            await get(None, name="Ada")
        with pytest.raises(ferro.InvalidQuery, match="`get` takes a key, or values of fields"):
            await get()
        for condition in (users.name == "Ada", lambda user: user.name == "Ada"):
            with pytest.raises(ferro.InvalidQuery, match=r"`get` takes .*`where\(…\)\.one\(\)`"):
                await get(condition)


@pytest.mark.usefixtures("db")
async def test_a_value_is_named_by_its_path_however_it_is_asked_for() -> None:
    await Frog.create(pond=await Pond.create(name="Green"))
    pond: Any = Frog.pond
    assert await Frog.select("pond.name") == [{"pond.name": "Green"}]
    assert await Frog.select(pond.name) == [{"pond.name": "Green"}]
    assert await Frog.select("id", pond.id) == [{"id": 1, "pond.id": 1}]


@pytest.mark.usefixtures("db")
async def test_a_row_of_a_class_that_derives_from_a_model_is_none_of_its_table() -> None:
    tree, oak = await Tree.create(name="tree"), await Oak.create(name="oak", acorns=3)
    assert tree.id == oak.id
    nest, garden = await Nest.create(tree=tree), await Garden.create()
    oak.name = "changed"
    given: Any = oak
    for operation in (
        lambda: Tree.bulk_update([given]),
        lambda: Tree.bulk_create([Oak(name="new")]),
        lambda: Tree.upsert(given, conflict="id"),
        lambda: Tree.bulk_upsert([given], conflict="id"),
    ):
        with pytest.raises(ferro.InvalidQuery, match="takes `Tree`, not `Oak`$"):
            await operation()
    for relation in (
        lambda: garden.trees.add(given),
        lambda: garden.trees.remove(given),
        lambda: garden.trees.set([given]),
        lambda: Nest.create(tree=given),
        lambda: Nest.where(tree=given).all(),
        lambda: Nest.where(Nest.tree == given).all(),
    ):
        with pytest.raises(ferro.InvalidQuery, match="leads to `Tree`, not to `Oak`$"):
            await relation()
    with pytest.raises(ferro.InvalidQuery, match="leads to `Tree`, not to `Oak`$"):
        nest.tree = given
    assert (await Nest.get(nest.id)).tree != oak
    assert (await Tree.get(tree.id)).name == "tree"
    assert await Tree.select().count() == 1


@pytest.mark.usefixtures("db")
async def test_a_key_is_computed_for_the_field_that_holds_it() -> None:
    update = Pear.select().update
    way = "`Pear.tree` leads to `Tree`, not to a function: compute its key for `tree_id`"
    with pytest.raises(ferro.InvalidQuery, match=way):
        await update(tree=lambda p: p.tree)
    for value in (Pear.tree, lambda p: p.tree):
        way = "`Pear.tree_id` can be set to a key, not to the row at .* `Pear.tree`: use `tree_id`"
        with pytest.raises(ferro.InvalidQuery, match=way):
            await update(tree_id=value)
    with pytest.raises(ferro.TypeMismatch, match=r"`Nest.tree_id`: text where integer is wanted"):
        await Nest.select().update(tree_id=lambda n: ferro.value("1"))
