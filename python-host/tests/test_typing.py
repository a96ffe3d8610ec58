"""What a type checker makes of the API."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
    await person.pets.where(id=1).add(pet)
    await adopt("Ada")
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
    '"Select[Pet]" has no attribute "add"',
    'Argument 1 to "adopt" has incompatible type "str"; expected "Person"',
]


def test_types_are_inferred_and_mistakes_are_found(tmp_path: Path) -> None:
    source = tmp_path / "typed_program.py"
    source.write_text(SOURCE)
    output, errors, _ = api.run(
        ["--strict", "--python-version", "3.10", "--cache-dir", str(tmp_path), str(source)]
    )
    assert errors == ""
    revealed = [line.split('"')[1] for line in output.splitlines() if "Revealed type" in line]
    assert [
        it.replace("typed_program.", "").replace("builtins.", "") for it in revealed
    ] == REVEALED
    found = [line.partition(": error: ")[2] for line in output.splitlines() if "error:" in line]
    assert [line.partition("  [")[0] for line in found] == WRONG


def test_pyright_infers_the_same_and_finds_the_same_mistakes(tmp_path: Path) -> None:
    (tmp_path / "typed_program.py").write_text(SOURCE)
    found = pyright(tmp_path)
    told = [it for it in found if it["severity"] == "information"]
    revealed = [it["message"].split('"')[-2] for it in told]
    assert revealed == REVEALED
    rules = [it["rule"] for it in found if it["severity"] == "error"]
    assert rules == [
        "reportArgumentType",
        "reportCallIssue",
        "reportArgumentType",
        *["reportAttributeAccessIssue"] * 4,
        "reportArgumentType",
    ]


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
