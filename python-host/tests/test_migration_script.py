"""The script of a migration, as others run it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

import ferro
from ferro._tables.registry import registry


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Other tests do not get the models of these."""
    yield
    for table in list(registry._tables.values()):
        if table.name.startswith("scripted"):
            registry.remove(table)


def models(code: Any = None) -> tuple[Any, Any]:
    """Authors, later with a code, and their books, which go with them."""
    kind: Any = type(ferro.Model)
    key = ferro.Field(default=None, primary_key=True)
    fields: dict[str, Any] = {"id": int | None, "name": str}
    body = {"__module__": __name__, "__annotations__": fields, "id": key}
    if code is not None:
        fields["code"] = str | None if code.default is None else str
        body["code"] = code
    author = kind("Author", (ferro.Model,), body, table="scripted_author")
    fields = {"id": int | None, "author": ferro.Relation[author]}
    body = {"__module__": __name__, "__annotations__": fields, "id": key}
    body["author"] = ferro.ForeignKey()
    return author, kind("Book", (ferro.Model,), body, table="scripted_book")


def by_module(url: str, script: str) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:").partition("?")[0])
    connection.execute("PRAGMA foreign_keys = ON")
    try:
        connection.executescript(script.replace(".bail on\n", "", 1))
    except sqlite3.Error as error:
        raise RuntimeError(str(error)) from error
    finally:
        connection.close()


def by_shell(url: str, script: str) -> None:
    command = ["sqlite3", url.removeprefix("sqlite:").partition("?")[0]]
    if not url.startswith("sqlite:"):
        command = ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", url]
    if shutil.which(command[0]) is None:
        pytest.fail(f"this test runs `{command[0]}`: install it")
    done = subprocess.run(command, input=script, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


@pytest.fixture(params=["module", "shell"])
def run(request: pytest.FixtureRequest, dialect: str) -> Any:
    if request.param == "module" and dialect != "sqlite":
        pytest.skip("Python comes with SQLite alone")
    return by_module if request.param == "module" else by_shell


async def test_a_script_does_what_the_migration_would_do(url: str, run: Any) -> None:
    await ferro.connect(url)
    author, book = models()
    await ferro.create_tables()
    await book.create(author=await author.create(name="Ada"))
    author, book = models(ferro.Field(default=None, unique=True, max_length=9))
    script = str(await ferro.migrate(dry_run=True))
    run(url, script)
    assert str(await ferro.migrate(dry_run=True)).startswith("-- nothing to do")
    (row,) = await book.all()
    assert (await row.author).name == "Ada"
    await author.create(name="Ben", code="x")


async def test_a_script_that_fails_changes_nothing(url: str, run: Any) -> None:
    await ferro.connect(url)
    author, book = models()
    await ferro.create_tables()
    await book.create(author=await author.create(name="Ada"))
    models(ferro.Field())
    script = str(await ferro.migrate(dry_run=True))
    with pytest.raises(RuntimeError, match="code"):
        run(url, script)
    assert str(await ferro.migrate(dry_run=True)) == script
    assert len(await ferro.fetch_all("select id from scripted_author")) == 1
    assert len(await ferro.fetch_all("select id from scripted_book")) == 1


async def test_what_was_applied_is_a_comment(url: str) -> None:
    await ferro.connect(url)
    models()
    migration = await ferro.migrate()
    lines = str(migration).splitlines()
    assert all(it.startswith("-- applied: ") for it in lines)
    assert len(lines) >= len(migration.applied) > 0


def test_a_script_is_no_part_of_what_is_compared() -> None:
    assert ferro.Migration((), (), "x") == ferro.Migration((), ())
