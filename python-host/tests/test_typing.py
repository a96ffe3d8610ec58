"""What a type checker makes of the API."""

from __future__ import annotations

from pathlib import Path

from mypy import api

SOURCE = """
import ferro


class Person(ferro.Model, table="typed_person", frozen=True):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    age: int = 0


async def main() -> None:
    person = await Person.create(name="Ada", age=36)
    reveal_type(person)
    reveal_type(person.age)
    reveal_type(await Person.select().where(Person.age >= 18, name="Ada").all())
    reveal_type(await Person.where(lambda p: (p.age >= 18) & p.name.like("a%")).first())
    reveal_type(await Person.using("service").get(1))
    reveal_type(await Person.where(Person.age > 1).order_by("-age").limit(1).count())
    async with ferro.transaction(using="service", isolation="serializable") as transaction:
        reveal_type(await Person.using(transaction).all())
    await ferro.connect("sqlite::memory:", pool=ferro.PoolConfig(max_connections=3))
    Person(name=5)
    await Person.create("Ada")
    await Person.select().limit("ten").all()
"""

REVEALED = [
    "Person",
    "int",
    "list[Person]",
    "Person | None",
    "Person",
    "int",
    "list[Person]",
]

WRONG = [
    'Argument "name" to "Person" has incompatible type "int"; expected "str"',
    'Too many arguments for "create" of "Model"',
    'Argument 1 to "limit" of "Select" has incompatible type "str"; expected "int"',
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
