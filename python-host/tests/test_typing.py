"""What a type checker makes of the API."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api

import ferro

SOURCE = """
from __future__ import annotations

import contextlib

import pydantic

import ferro


class Person(
    ferro.Model,
    table="typed_person",
    frozen=True,
    uniques=[("name", "age")],
    indexes=[("name", "age"), ferro.Index("name", unique=True, where=lambda p: p.age > 3)],
    checks=[ferro.Check(lambda p: (p.age >= 0) | p.name.is_null(), name="born")],
):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    age: int = 0
    visits: int = ferro.Field(default=None, db_default=0)
    pets: ferro.Relation[list[Pet]] = ferro.BackRef()


class Pet(ferro.Model, table="typed_pet"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    owner: ferro.Relation[Person] = ferro.ForeignKey(related_name="pets")
    sitter: ferro.Relation[Person | None] = ferro.ForeignKey(related_name="sat", default=None)


class PetOut(pydantic.BaseModel, from_attributes=True):
    sitter: ferro.Loaded[Person | None]


@ferro.transaction(immediate=True)
async def adopt(owner: Person, *, number: int = 1) -> list[Pet]:
    transaction = ferro.current_transaction()
    if transaction is not None:
        transaction.on_commit(Pet.all)
        transaction.on_commit(lambda: print("done"))
    return [await Pet.create(owner=owner) for _ in range(number)]


async def main() -> None:
    person = await Person.create(name="Ada", age=36)
    reveal_type(person)
    reveal_type(person.age)
    reveal_type(Person(name="Ben").visits)
    reveal_type(await Person.select().where(Person.age >= 18, name="Ada").all())
    reveal_type(await Person.where(lambda p: (p.age >= 18) & p.name.like("a%")).first())
    reveal_type(await Person.where(ferro.col(Person.name).like("a%")).first())
    reveal_type(await Person.using("service").get(1))
    reveal_type(await Person.where(Person.age > 1).order_by("-age").limit(1).count())
    fare = ferro.case((Person.age < 6, 0), (Person.name == "Ada", 150), otherwise=300)
    adults = ferro.count(where=Person.age >= 18)
    years = ferro.col(Person.age).sum(where=Person.name != "Ada")
    reveal_type(await Person.select().group_by(fare).values(fare=fare, adults=adults, years=years))
    names = ferro.col(Person.name).string_agg(", ", order_by=ferro.col(Person.age).desc())
    reveal_type(await Person.select(names=names).having(names.startswith("Ada")))
    listed = ferro.col(Person.name).array_agg(distinct=True, order_by=ferro.col(Person.name).desc())
    week = ferro.col(Person.age).avg().over(order_by=Person.age, rows=(-6, 0))
    reveal_type(await Person.select(names=listed, week=week).where(Person.age > 1))
    owners = Person.where(ferro.col(Person.id).in_(Pet.select("owner_id")))
    reveal_type(await owners.union(Person.where(age=3)).first())
    own = Pet.where(ferro.col(Pet.id) == ferro.outer(Person.id))
    first = ferro.subquery(own.values("id"))
    reveal_type(await Person.where(ferro.exists(own), first > 3).distinct_on("name").all())
    reveal_type(await Person.where(Person.age > 1).column(Person.age))
    reveal_type(await person.pets.column(Pet.id).first())
    reveal_type(await Person.select().column("age").all())
    totals = Person.select("age", people=ferro.count()).group_by("age").cte("totals")
    reveal_type(await totals.where(lambda t: t.people > 3).limit(2))
    reveal_type(await Person.select().join(totals, lambda p, t: p.age == t.age).one())
    reveal_type(await Person.select().with_values(pets=Person.pets.count()).limit(2))
    reveal_type((await Person.where(age=3).with_values(n=ferro.count()).one())[0])
    reveal_type(await Person.from_sql("select * from typed_person where age = ?", 3))
    reveal_type(Person.stream_sql("select * from typed_person"))
    async with ferro.transaction(using="service", isolation="serializable") as transaction:
        reveal_type(await Person.using(transaction).all())
        reveal_type(await adopt(person))
    pet = await Pet.create(owner=person)
    reveal_type(await pet.owner)
    reveal_type(await pet.sitter)
    reveal_type(PetOut.model_validate(pet).sitter)
    reveal_type(await person.pets.order_by("-id"))
    async with contextlib.aclosing(Pet.select().stream()) as pets:
        async for each in pets:
            reveal_type(each)
    await ferro.connect("sqlite::memory:", pool=ferro.PoolConfig(max_connections=3))
    Person(name=5)
    await Person.create("Ada")
    await Person.select().limit("ten").all()
    await owners.union(Person.where(age=3)).limit(1).update(age=4)
    await totals.where(lambda t: t.people > 3).page()
    await Person.select().join(totals, lambda p, t: p.age == t.age).where(age=3).delete()
    await person.pets.set([pet, 3])
    await person.pets.add(person)
    await person.pets.where(id=1).add(pet)
    await adopt("Ada")
    await pet.delete(usnig="service")
"""

REVEALED = [
    "Person",
    "int",
    "int",
    "list[Person]",
    "Person | None",
    "Person | None",
    "Person",
    "int",
    "list[dict[str, Any]]",
    "list[dict[str, Any]]",
    "list[dict[str, Any]]",
    "Person | None",
    "list[Person]",
    "list[int]",
    "int | None",
    "list[Any]",
    "list[dict[str, Any]]",
    "Person",
    "list[tuple[Person, dict[str, Any]]]",
    "Person",
    "list[Person]",
    "AsyncGenerator[Person, None]",
    "list[Person]",
    "list[Pet]",
    "Person",
    "Person | None",
    "Person | None",
    "list[Pet]",
    "Pet",
]

WRONG = [
    'Argument "name" to "Person" has incompatible type "int"; expected "str"',
    'Too many arguments for "create" of "Model"',
    'Argument 1 to "limit" of "Query" has incompatible type "str"; expected "int"',
    '"CombinedSelect[Person]" has no attribute "update"',
    '"CommonTableSelect[dict[str, Any]]" has no attribute "page"',
    '"CommonTableSelect[Person]" has no attribute "delete"',
    'Argument 1 to "add" of "RelatedRows" has incompatible type "Person"; expected '
    '"Pet | int | str | bytes | UUID | <6 more items>"',
    '"Select[Pet]" has no attribute "add"',
    'Argument 1 to "adopt" has incompatible type "str"; expected "Person"',
    'Unexpected keyword argument "usnig" for "delete" of "Model"; did you mean "using"?',
]


LAMBDAS = """
from __future__ import annotations

import ferro


class Author(ferro.Model, table="typed_author"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    age: int = 0
    posts: ferro.Relation[list[Post]] = ferro.BackRef()


class Post(ferro.Model, table="typed_post"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    views: int = 0
    author: ferro.Relation[Author] = ferro.ForeignKey(related_name="posts")


async def main(author: Author) -> None:
    query = Author.select().order_by(lambda a: a.name.lower(), "-age", Author.id)
    reveal_type(await query.order_by(lambda a: a.age.desc()))
    reveal_type(await query.distinct_on(lambda a: a.age, Author.name).all())
    reveal_type(await query.values("name", born=lambda a: 2_000 - a.age))
    reveal_type(await Author.select(length=lambda a: a.name.length()).first())
    reveal_type(await Author.select("name", length=lambda a: a.name.length()).first())
    reveal_type(await Author.using("app").select("name", length=lambda a: a.name.length()))
    reveal_type(await query.with_values(posts=lambda a: a.posts.count()).one())
    reveal_type(await query.column(lambda a: a.age + 1).first())
    groups = query.group_by(lambda a: a.age % 10).having(lambda a: a.id.count() > 1)
    reveal_type(await groups.values(oldest=lambda a: a.age.max()))
    reveal_type(await query.sum(lambda a: a.age + 1))
    reveal_type([await query.avg(lambda a: a.age), await query.min("age")])
    reveal_type([await query.max(lambda a: a.age), await query.min(lambda a: a.age)])
    reveal_type(await query.update(age=lambda a: a.age + 1, name="Ada"))
    reveal_type(await query.update_returning(age=lambda a: a.age + 1))
    totals = Post.select("author_id", views=lambda p: p.views.sum()).group_by("author_id").cte()
    reveal_type(await totals.select("views", twice=lambda t: t.views * 2))
    reveal_type(await totals.where(lambda t: t.views > 1).order_by(lambda t: t.views.desc()).one())
    joined = query.join(totals, lambda a, t: a.id == t.author_id)
    reveal_type(await joined.values(views=lambda a: totals.c.views + a.age))
    reveal_type(await joined.with_values(views=lambda a: totals.c.views).first())
    reveal_type(await author.posts.order_by(lambda p: p.views.desc()).update(views=lambda p: 3))
"""

LAMBDAS_REVEALED = [
    "list[Author]",
    "list[Author]",
    "list[dict[str, Any]]",
    "dict[str, Any] | None",
    "dict[str, Any] | None",
    "list[dict[str, Any]]",
    "tuple[Author, dict[str, Any]]",
    "Any | None",
    "list[dict[str, Any]]",
    "Any",
    "list[Any]",
    "list[Any]",
    "int",
    "list[Author]",
    "list[dict[str, Any]]",
    "dict[str, Any]",
    "list[dict[str, Any]]",
    "tuple[Author, dict[str, Any]] | None",
    "int",
]

COLUMNS = """
from __future__ import annotations

import enum
from typing import Annotated, Any

import pydantic
from typing_extensions import Self

import ferro


class Size(enum.Enum):
    SMALL = "small"


class Base(ferro.Model, abstract=True):
    id: ferro.Column[int | None] = ferro.Field(default=None, primary_key=True)


class Shelf(Base, table="typed_shelf", checks=[ferro.Check(lambda s: s.name != "", name="named")]):
    name: ferro.Column[str]
    nick: ferro.Column[str | None] = ferro.Field(default=None)
    places: ferro.Column[int] = ferro.Field(default=3, ge=0)
    size: ferro.Column["Size"] = ferro.Field(default=Size.SMALL)
    width: Annotated[ferro.Column[int], pydantic.Field(gt=0)] = ferro.Field(default=1)
    data: ferro.Column[dict[str, Any]] = ferro.Field(default_factory=dict)
    plain: int = 0
    boxes: ferro.Relation[list[Box]] = ferro.BackRef()

    @classmethod
    def named(cls, pattern: str) -> ferro.Select[Self]:
        return cls.where(cls.name.like(pattern), cls.places > 0)


class Box(Base, table="typed_box"):
    shelf_id: ferro.Column[int] = ferro.Field(index=True)
    shelf: ferro.Relation[Shelf] = ferro.ForeignKey(related_name="boxes", default=None)


async def main() -> None:
    shelf = Shelf(name="left", places=4, nick=None)
    shelf.nick = "l"
    shelf.places += 1
    reveal_type(shelf.name)
    reveal_type(Shelf(name="right").nick)
    reveal_type(shelf.size)
    reveal_type(shelf.width)
    reveal_type(shelf.data)
    reveal_type(Shelf.name)
    reveal_type(Shelf.id)
    reveal_type(Shelf.name == "left")
    reveal_type(Shelf.name.like("l%") & ~(Shelf.nick < "m"))
    reveal_type(Shelf.size.in_([Size.SMALL]))
    reveal_type(Shelf.places.desc())
    reveal_type(Shelf.places + 1)
    reveal_type(await Shelf.named("l%").order_by(Shelf.nick.asc(), Shelf.id).all())
    reveal_type(await Shelf.where(Shelf.data["a"].as_type(int) > 3, Shelf.plain > 1).first())
    reveal_type(await Shelf.select().column(Shelf.nick))
    reveal_type(await Shelf.select().column(Shelf.id).first())
    reveal_type(await Shelf.select().column(Shelf.name.length()))
    reveal_type(await Shelf.select("name", most=Shelf.places.max()).group_by(Shelf.name))
    reveal_type(await shelf.boxes.where(Box.shelf_id.is_not_null()).column(Box.shelf_id))
    reveal_type(Box(shelf_id=3).shelf_id)
    Shelf(name=5)
    Shelf(name="left", plaices=4)
    shelf.name = None
    Shelf.name.lik("l%")
    shelf.name.like("l%")
    Box(shelf_id="left")
    Shelf.plain.desc()


class Default(Base, table="typed_default"):
    places: ferro.Column[int] = 3
"""

COLUMNS_REVEALED = [
    "str",
    "str | None",
    "Size",
    "int",
    "dict[str, Any]",
    "FieldExpression[str]",
    "FieldExpression[int | None]",
    "Expression",
    "Expression",
    "Expression",
    "Order",
    "Value",
    "list[Shelf]",
    "Shelf | None",
    "list[str | None]",
    "int | None",
    "list[Any]",
    "list[dict[str, Any]]",
    "list[int]",
    "int",
]

COLUMNS_WRONG = [
    'Argument "name" to "Shelf" has incompatible type "int"; expected "str"',
    'Unexpected keyword argument "plaices" for "Shelf"; did you mean "places"?',
    'Incompatible types in assignment (expression has type "None", variable has type "str")',
    '"FieldExpression[str]" has no attribute "lik"',
    '"str" has no attribute "like"',
    'Argument "shelf_id" to "Box" has incompatible type "str"; expected "int"',
    '"int" has no attribute "desc"',
    'Incompatible types in assignment (expression has type "int", variable has type "Column[int]")',
]

INHERITED = """
import ferro


class Base(ferro.Model, abstract=True):
    id: ferro.Column[int | None] = ferro.Field(default=None, primary_key=True)


class Crate(Base, table="typed_crate"):
    name: ferro.Column[str]


reveal_type(Crate(name="left").name)
reveal_type(Crate.name)
reveal_type(Crate.id)
reveal_type(ferro.col(Crate.id))
Crate(name=5)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all programs, so that mypy reads the package once."""
    return tmp_path_factory.mktemp("typing")


def test_types_are_inferred_and_mistakes_are_found(folder: Path) -> None:
    assert mypy(folder, SOURCE) == (REVEALED, WRONG)


def test_a_column_is_a_field_on_the_class_and_a_value_on_the_row(folder: Path) -> None:
    assert mypy(folder, COLUMNS) == (COLUMNS_REVEALED, COLUMNS_WRONG)


def test_the_plugin_of_pydantic_forgets_columns_that_are_inherited(folder: Path) -> None:
    config = folder / "mypy.ini"
    config.write_text("[mypy]\nplugins = pydantic.mypy\n[pydantic-mypy]\ninit_typed = true\n")
    revealed, wrong = mypy(folder, INHERITED, "--config-file", str(config))
    assert revealed == ["str", "FieldExpression[str]", "int | None", "Value"]
    assert wrong == ['Argument "name" to "Crate" has incompatible type "int"; expected "str"']


def test_pyright_infers_the_same_and_finds_the_same_mistakes(folder: Path) -> None:
    revealed, rules = pyright_of(folder, SOURCE)
    assert revealed == REVEALED
    assert rules == [
        "reportArgumentType",
        "reportCallIssue",
        "reportArgumentType",
        *["reportAttributeAccessIssue"] * 3,
        "reportArgumentType",
        "reportAttributeAccessIssue",
        "reportArgumentType",
        "reportCallIssue",
    ]


def test_pyright_takes_columns_for_the_same(folder: Path) -> None:
    revealed, rules = pyright_of(folder, COLUMNS)
    assert revealed == COLUMNS_REVEALED
    assert rules == [
        "reportArgumentType",
        "reportCallIssue",
        *["reportAttributeAccessIssue"] * 3,
        "reportArgumentType",
        "reportAttributeAccessIssue",
        "reportAssignmentType",
    ]


def test_the_arguments_of_lambdas_have_a_type(folder: Path) -> None:
    assert mypy(folder, LAMBDAS) == (LAMBDAS_REVEALED, [])
    # Strict, it refuses what has no type that it knows.
    assert pyright_of(folder, f"# pyright: strict\n{LAMBDAS}") == (LAMBDAS_REVEALED, [])


def test_the_package_is_clean_for_pyright() -> None:
    assert pyright(Path(ferro.__file__).parents[1]) == []


def test_the_stubs_are_those_of_the_native_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "ferro._native", "--ignore-disjoint-bases"],
        cwd=Path(ferro.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def mypy(folder: Path, text: str, *options: str) -> tuple[list[str], list[str]]:
    """The types that mypy reveals in a program, and the mistakes that it finds."""
    source = folder / "typed_program.py"
    source.write_text(text)
    output, errors, _ = api.run(
        ["--strict", "--python-version", "3.10", "--cache-dir", str(folder), *options, str(source)]
    )
    assert errors == ""
    revealed = [line.split('"')[1] for line in output.splitlines() if "Revealed type" in line]
    found = [line.partition(": error: ")[2] for line in output.splitlines() if "error:" in line]
    return (
        [re.sub(r"\b[a-z_]\w*\.", "", it) for it in revealed],
        [line.partition("  [")[0] for line in found],
    )


def pyright_of(folder: Path, text: str) -> tuple[list[str], list[str]]:
    """The types that pyright reveals in a program, and the rules that this breaks."""
    (folder / "typed_program.py").write_text(text)
    found = pyright(folder)
    told = [it["message"].split('" is "')[-1] for it in found if it["severity"] == "information"]
    rules = [it["rule"] for it in found if it["severity"] == "error"]
    return [it.removesuffix('"') for it in told], rules


def pyright(folder: Path) -> list[dict[str, str]]:
    """What pyright says of a folder. This one brings the JavaScript engine that it needs."""
    done = subprocess.run(
        ["basedpyright", "--outputjson", "--pythonpath", sys.executable],
        cwd=folder,
        env={
            "PATH": str(Path(sys.executable).parent),
            "PYTHONPATH": str(Path(ferro.__file__).parents[1]),
        },
        capture_output=True,
        text=True,
    )
    found: list[dict[str, str]] = json.loads(done.stdout)["generalDiagnostics"]
    return found
