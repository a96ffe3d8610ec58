"""`python -m ferro`, as a shell runs it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ferro

MODELS = """
import decimal
import ferro


class Crate(ferro.Model, table="command_crate"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    weight: decimal.Decimal = ferro.Field(max_digits=6, decimal_places=2)
"""
LABELLED = MODELS + "    label: str | None = None\n"
REBUILT = MODELS.replace("max_digits=6", "max_digits=8, unique=True") + "    label: str = ''\n"
REPLACED = MODELS.replace("weight: decimal.Decimal", "kilos: decimal.Decimal | None")
REPLACED = REPLACED.replace("(max", "(None, max")
PASSWORD = "hunter2"


class Shell:
    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url if not url.startswith("sqlite:") else f"{url.partition('?')[0]}?mode=rwc"

    def models(self, source: str) -> None:
        (self.folder / "crates.py").write_text(source)

    def run(
        self, *arguments: str, output: int = subprocess.PIPE, **environment: str
    ) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-B", "-W", "error", "-m", "ferro", *arguments],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            timeout=60,
            check=False,
            env={
                **{name: it for name, it in os.environ.items() if name != "DATABASE_URL"},
                "PYTHONPATH": str(Path(ferro.__file__).parents[1]),
                **environment,
            },
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    def migrate(self, *options: str) -> tuple[int, str, str]:
        return self.run("migrate", "crates", "env:CRATES", *options, CRATES=self.url)


@pytest.fixture
def shell(url: str, tmp_path: Path) -> Shell:
    shell = Shell(tmp_path, url)
    shell.models(MODELS)
    return shell


async def rows(url: str) -> list[dict[str, object]]:
    async with ferro.lifespan(url):
        return await ferro.fetch_all("select * from command_crate")


async def test_a_check_says_what_is_to_be_done_and_a_migration_does_it(shell: Shell) -> None:
    code, output, said = shell.migrate("--check")
    assert (code, said) == (1, "")
    assert "-- create table `command_crate`\nCREATE TABLE" in output
    code, output, said = shell.migrate()
    assert (code, output, said) == (0, "-- applied: create table `command_crate`\n", "")
    code, output, said = shell.migrate("--check")
    assert (code, said) == (0, "")
    assert output.startswith("-- nothing to do")
    assert await rows(shell.url) == []


def test_a_check_is_about_the_steps_that_a_migration_with_this_risk_takes(shell: Shell) -> None:
    shell.migrate()
    shell.models(REPLACED)
    code, output, said = shell.migrate()
    assert code == 0
    assert output.startswith("-- applied: ")
    assert "DROP COLUMN" in output
    assert said == "ferro: the steps above that are not applied need `--risk destructive`\n"
    assert shell.migrate("--check")[0] == 0
    assert shell.migrate("--check", "--risk", "destructive")[0] == 1
    assert shell.migrate("--risk", "destructive")[::2] == (0, "")
    assert shell.migrate("--check", "--risk", "destructive")[0] == 0


def test_the_url_is_in_an_environment_variable(shell: Shell) -> None:
    assert shell.run("migrate", "crates", DATABASE_URL=shell.url)[0] == 0
    assert shell.run("migrate", "crates", shell.url, "--check")[0] == 0
    code, output, said = shell.run("migrate", "crates")
    assert (code, output) == (2, "")
    assert said == (
        "ferro: the environment variable `DATABASE_URL` does not contain a database URL\n"
    )


async def test_a_script_that_was_read_is_applied_as_it_is_or_not_at_all(shell: Shell) -> None:
    shell.migrate()
    async with ferro.lifespan(shell.url):
        await ferro.execute("insert into command_crate (weight) values (1.5)")
    shell.models(REBUILT)
    assert shell.migrate("--script", "reviewed.sql") == (0, "", "")
    script = (shell.folder / "reviewed.sql").read_text()
    assert shell.migrate("--script", "-") == (0, script, "")

    shell.models(LABELLED)
    code, output, said = shell.migrate("--reviewed", "reviewed.sql")
    assert (code, output) == (1, "")
    assert said == "ferro: `reviewed.sql` does not match the steps that are needed now\n"

    shell.models(REBUILT)
    code, output, said = shell.migrate("--reviewed", "reviewed.sql")
    assert (code, said) == (0, "")
    assert all(line.startswith("-- applied: ") for line in output.splitlines())
    (row,) = await rows(shell.url)
    assert (str(row["weight"]), row["label"]) == ("1.50", "")
    assert shell.migrate("--reviewed", "reviewed.sql")[0] == 1, "it is done"


RENAMED = """
import ferro


class Box(ferro.Model, table="command_box"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    size: int = 0
    label: int = 0
"""


async def test_steps_that_nobody_has_reviewed_are_left(shell: Shell) -> None:
    shell.models(RENAMED)
    shell.migrate()
    if shell.url.startswith("sqlite:"):
        async with ferro.lifespan(shell.url):
            await ferro.execute(
                "create trigger boxed after insert on command_box begin "
                "update command_box set size = new.size; end"
            )
    new = RENAMED.replace('"command_box"', '"command_case", renamed_from="command_box"')
    shell.models(new.replace("    label: int = 0\n", "").replace("size: int = 0", "size: str = ''"))
    risk = ("--risk", "destructive")
    assert shell.migrate("--script", "reviewed.sql")[0] == 0
    script = (shell.folder / "reviewed.sql").read_text()
    code, output, said = shell.migrate("--reviewed", "reviewed.sql", *risk)
    assert code == 0, said
    applied = [it.removeprefix("-- applied: ") for it in output.splitlines() if "applied" in it]
    assert applied
    assert all(f"-- {it}\n" in script for it in applied)
    if shell.url.startswith("sqlite:"):
        assert "DROP" not in script
        assert "DROP" in output
        assert "are not in `reviewed.sql`: write and review a script for them" in said
        assert shell.migrate("--reviewed", "reviewed.sql", *risk)[0] == 1
        assert shell.migrate("--script", "reviewed.sql")[0] == 0
        assert shell.migrate("--reviewed", "reviewed.sql", *risk)[::2] == (0, "")
    assert shell.migrate("--check", *risk)[0] == 0


CHANGED = """
import enum
import ferro


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Paint(ferro.Model, table="command_paint"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    color: Color = Color.RED
    second: Color | None = ferro.Field(default=None, index=True)
"""


def test_what_takes_several_statements_is_one_line_of_what_was_done(shell: Shell) -> None:
    shell.models(CHANGED)
    assert shell.migrate()[0] == 0
    shell.models(CHANGED.replace("BLUE", "PINK").replace("blue", "pink"))
    code, script, _ = shell.migrate("--script", "-")
    sqlite = shell.url.startswith("sqlite:")
    step = "-- table `command_paint`: " if sqlite else "-- change the values of enum `color`\n"
    assert (code, script.count(step) > 3) == (0, True)
    done = "table `command_paint`: make it anew for checks"
    done = done if sqlite else "change the values of enum `color`"
    assert shell.migrate() == (0, f"-- applied: {done}\n", "")


def test_the_version_is_that_of_the_package(shell: Shell) -> None:
    project = Path(ferro.__file__).parents[1] / "pyproject.toml"
    (version,) = re.findall(r'^version = "(.*)"$', project.read_text(encoding="utf-8"), re.M)
    assert ferro.__version__ == version
    assert shell.run("--version") == (0, f"{version}\n", "")


def test_a_dry_run_is_called_otherwise(shell: Shell) -> None:
    code, output, said = shell.migrate("--dry-run")
    assert (code, output) == (2, "")
    assert said.endswith("--dry-run (to apply nothing: --check, or --script FILE)\n")
    assert shell.migrate("--check")[0] == 1


def test_a_module_may_have_connected_already(shell: Shell) -> None:
    connected = "import asyncio\nasyncio.run(ferro.connect('sqlite::memory:'))\n"
    shell.models(MODELS + connected)
    assert shell.migrate() == (0, "-- applied: create table `command_crate`\n", "")
    assert shell.migrate("--check")[0] == 0


def test_what_fails_is_one_line(tmp_path: Path) -> None:
    shell = Shell(tmp_path, f"sqlite:{tmp_path / 'crates.db'}")
    shell.models(MODELS)
    nowhere = f"postgresql://app:{PASSWORD}@127.0.0.1:1/shop"
    sources = {"broken": "1/0", "ended": "exit(0)", "empty": "import ferro"}
    sources |= {"wrong": MODELS.replace("int |", "list |")}
    sources |= {"split": r"raise ValueError('a\n\x1b[2Jb')"}
    for name, source in sources.items():
        (shell.folder / f"{name}.py").write_text(source)
    for arguments, message in (
        (("crates", nowhere), "cannot reach a server at `127.0.0.1:1`"),
        (("crates", nowhere.replace("//", "/")), "the URL needs `//`"),
        (("crates", f"env:{nowhere}"), "put the name of a variable after `env:`"),
        ((nowhere, "crates"), "MODULE is the name of a module, such as `app.models`"),
        (("nowhere", shell.url), "ModuleNotFoundError: No module named 'nowhere'"),
        (("broken", shell.url), f"division by zero ({shell.folder / 'broken.py'}:1)"),
        (("ended", shell.url, "--check"), "`ended` cannot be imported: SystemExit: 0"),
        (("empty", shell.url), "`empty` defines and imports no models"),
        (("split", shell.url), r"ValueError: a\n\u{1b}[2Jb"),
        (("wrong", shell.url), "Crate"),
        (("crates", shell.url, "--script", nowhere), "No such file or directory"),
        (("crates", shell.url, "--reviewed", "nowhere.sql"), "nowhere.sql"),
    ):
        code, output, said = shell.run("migrate", *arguments)
        assert (code, output) == (2, ""), arguments
        assert said.startswith("ferro: "), said
        assert said.count("\n") == 1, said
        assert message in said
        assert PASSWORD not in said
    code, output, said = shell.run("migrate", "crates", shell.url, nowhere)
    assert (code, output) == (2, "")
    assert PASSWORD not in said


async def test_what_is_done_and_cannot_be_shown_is_done(tmp_path: Path) -> None:
    shell = Shell(tmp_path, f"sqlite:{tmp_path / 'crates.db'}")
    shell.models(LABELLED)
    read, write = os.pipe()
    os.close(read)
    try:
        for arguments in (("--check",), ("--script", "-")):
            code, _, said = shell.run("migrate", "crates", shell.url, *arguments, output=write)
            assert (code, said.count("\n")) == (2, 1), said
        code, _, said = shell.run("migrate", "crates", shell.url, output=write)
    finally:
        os.close(write)
    assert code == 0
    assert said.startswith("ferro: the migration was applied, but cannot be shown: ")
    assert said.count("\n") == 1
    shell.models(LABELLED + "    größe: int | None = None\n")
    code, output, said = shell.run("migrate", "crates", shell.url, PYTHONIOENCODING="ascii")
    assert (code, output) == (0, "")
    assert said.startswith("ferro: the migration was applied, but cannot be shown: ")
    assert shell.run("migrate", "crates", shell.url, "--check")[0] == 0


async def test_a_step_that_a_row_forbids_changes_nothing(shell: Shell) -> None:
    shell.migrate()
    async with ferro.lifespan(shell.url):
        await ferro.execute("insert into command_crate (weight) values (1.5)")
    shell.models(MODELS + "    label: str\n")
    code, output, said = shell.migrate()
    assert (code, output) == (2, "")
    assert "label" in said
    assert len(await rows(shell.url)) == 1
    assert shell.migrate("--check")[0] == 1


async def test_programs_that_migrate_at_once_do_it_once(shell: Shell) -> None:
    async def at_once() -> list[tuple[int, str, str]]:
        return await asyncio.gather(*(asyncio.to_thread(shell.migrate) for _ in range(3)))

    for source in (MODELS, REBUILT):
        shell.models(source)
        done = await at_once()
        assert [(code, said) for code, _, said in done] == [(0, "")] * 3
        assert sum("-- applied: " in output for _, output, _ in done) == 1
        assert shell.migrate("--check")[0] == 0
