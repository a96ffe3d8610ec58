"""A process whose queries were compiled before does not load wasmtime, and no process depends on
that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import ferro
from ferro._core import answers, component
from ferro._core import folder as folders
from ferro._core.answers import Answers
from ferro._core.compiler import Compiler, compiler
from ferro._core.component import Core
from ferro._core.folder import cache_folder, core_hash
from models import User

SCHEMA = '{"models": []}'
REQUEST = '{"dialect": "sqlite", "found": []}'

PROGRAM = """
import asyncio, sys
import ferro

class Cached(ferro.Model):
    id: int = ferro.Field(primary_key=True)
    tenant: int = 1
    name: str = FIRST

TENANT = ferro.Tenant("t", grants={"default": ferro.Grant(
    tables={"cached": ferro.TableGrant(filters={"tenant": 1})})})

async def main():
    await ferro.connect(sys.argv[1], auto_migrate=True)
    await Cached.create(id=1)
    print([it.name for it in await Cached.where(Cached.id > 0).order_by("name").all()])
    MORE
    await Cached.where(id=1).delete()
    print("loaded" if "wasmtime" in sys.modules else "light")

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def core() -> Core:
    return Core()


@pytest.fixture
def folder(core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, for which the core is not compiled each time."""
    monkeypatch.setattr(component, "Core", lambda: core)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder()
    assert folder is not None
    return folder


@pytest.fixture
def run(url: str, tmp_path: Path) -> Callable[..., list[str]]:
    """Run the program in a process of its own, with a cache that only has the core's code."""
    compiled = cache_folder()
    folder = tmp_path / "ferro" / "python"
    folder.mkdir(parents=True, mode=0o700)
    if compiled is not None and compiled.exists():
        for entry in compiled.glob("*-*"):
            shutil.copy2(entry, folder)
    environment = os.environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}

    def run(first: str = "'a'", more: str = "pass") -> list[str]:
        program = PROGRAM.replace("FIRST", first).replace("MORE", more)
        arguments = [sys.executable, "-c", program, url]
        ended = subprocess.run(arguments, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    return run


def stored(folder: Path) -> Path:
    (file,) = folder.glob("*.answers")
    return file


def test_a_process_whose_queries_are_known_does_not_load_the_compiler(
    run: Callable[..., list[str]],
) -> None:
    assert run() == ["['a']", "loaded"]
    # The tables were missing before.
    run()
    assert run() == ["['a']", "light"]
    assert run(more="print(await Cached.select().count())") == ["['a']", "1", "loaded"]
    assert run(more="print(await Cached.select().count())") == ["['a']", "1", "light"]


def test_other_models_are_other_answers(run: Callable[..., list[str]]) -> None:
    run()
    assert run("ferro.Field(default='b', max_length=9)")[0] == "['b']"
    assert run()[1] == "loaded", "the column has another type than it had"


def test_what_is_compiled_for_a_tenant_is_not_cached(run: Callable[..., list[str]]) -> None:
    more = "with ferro.scope(TENANT): print(await Cached.select().count())"
    for _ in range(3):
        assert run(more=more) == ["['a']", "1", "loaded"]


def test_an_answer_is_given_again_without_the_core(folder: Path) -> None:
    first, second = Compiler(caches=True), Compiler(caches=True)
    made = first.catalog(SCHEMA).create_tables(REQUEST)
    assert first.calls == 2
    assert second.catalog(SCHEMA).create_tables(REQUEST) == made
    assert second.calls == 0
    assert stored(folder).stat().st_mode & 0o777 == 0o600


def test_answers_of_another_process_are_seen_while_it_runs(folder: Path) -> None:
    one, two = Answers(SCHEMA, folder), Answers(SCHEMA, folder)
    folder.mkdir(parents=True)
    assert one.get("compile", "{}") is None
    two.add("compile", "{}", "é")
    assert one.get("compile", "{}") == "é"
    assert one.get("migrate", "{}") is None
    assert Answers('{"models": [1]}', folder).get("compile", "{}") is None


def test_errors_are_not_cached(folder: Path) -> None:
    for _ in range(2):
        own = Compiler(caches=True)
        catalog = own.catalog(SCHEMA)
        with pytest.raises(ferro.FerroError):
            catalog.compile('{"query": 1}')
        assert own.calls > 0
        with pytest.raises(ferro.SchemaError):
            own.catalog('{"models": [{"name": ""}]}')


@pytest.mark.parametrize("at", [0, 30, 75, -1])
def test_a_line_that_decayed_is_no_answer_and_spoils_no_other(folder: Path, at: int) -> None:
    folder.mkdir(parents=True)
    kept = Answers(SCHEMA, folder)
    for request in "abc":
        kept.add("compile", request, f"[{request}]")
    lines = stored(folder).read_bytes().splitlines(keepends=True)
    spoilt = bytearray(lines[1])
    spoilt[at] ^= 1
    stored(folder).write_bytes(lines[0] + bytes(spoilt) + lines[2])
    answers = Answers(SCHEMA, folder)
    assert answers.get("compile", "a") == "[a]"
    assert answers.get("compile", "b") is None
    if at != -1:
        assert answers.get("compile", "c") == "[c]"


def test_half_a_line_is_no_answer_yet(folder: Path) -> None:
    folder.mkdir(parents=True)
    kept = Answers(SCHEMA, folder)
    kept.add("compile", "a", "[a]")
    whole = stored(folder).read_bytes()
    stored(folder).write_bytes(whole[:-2])
    answers = Answers(SCHEMA, folder)
    assert answers.get("compile", "a") is None
    stored(folder).write_bytes(whole)
    assert answers.get("compile", "a") == "[a]"


def test_a_file_does_not_grow_without_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    monkeypatch.setattr(answers, "MOST_BYTES", 1_000)
    for number in range(100):
        Answers(SCHEMA, folder).add("compile", str(number), "x" * 100)
        assert stored(folder).stat().st_size <= 1_000
        assert Answers(SCHEMA, folder).get("compile", str(number)) == "x" * 100
    assert stored(folder).stat().st_size > 800


def test_old_files_of_answers_go_and_no_code_goes_for_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    monkeypatch.setattr(answers, "MOST_BYTES_OF_ALL", 2_000)
    code = folder / "0-0"
    code.write_bytes(b"x" * 9_000)
    os.utime(code, (0, 0))
    for number in range(50):
        Answers(f"[{number}]", folder).add("compile", "a", "x" * 500)
    assert len(list(folder.glob("*.answers"))) < 5
    assert Answers("[49]", folder).get("compile", "a") is not None
    assert code.exists()


def test_a_component_without_compiled_code_is_compiled_while_connecting(folder: Path) -> None:
    own = Compiler(caches=True)
    own.catalog(SCHEMA)
    own = Compiler(caches=True)
    own.prepare()
    assert own._core is not None
    (folder / f"{core_hash()}-0").write_bytes(b"")
    own = Compiler(caches=True)
    own.prepare()
    assert own._core is None


async def test_the_event_loop_does_not_wait_for_the_core(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    running = Compiler._running

    def noted(own: Compiler) -> Core:
        threads.append(threading.current_thread())
        return running(own)

    rows = User.where(User.age > 1, User.age < 2, User.age != 3).order_by("age", "id")
    compiler.close()
    monkeypatch.setattr(Compiler, "_running", noted)
    assert await rows.all() == []
    assert threads
    assert threading.main_thread() not in threads
    # Once it is there, it takes no other thread.
    threads.clear()
    assert await rows.order_by("name").all() == []
    assert set(threads) == {threading.main_thread()}


def test_a_core_that_was_replaced_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    core_hash()
    monkeypatch.setattr(folders, "_read_core", lambda: b"another")
    with pytest.raises(ferro.InternalError, match="start it again"):
        Compiler().load()


def test_without_a_folder_each_process_asks_the_core(tmp_path: Path, folder: Path) -> None:
    folder.parent.write_text("a file where the folder has to be")
    for _ in range(2):
        own = Compiler(caches=True)
        assert own.catalog(SCHEMA).create_tables(REQUEST) == "[]"
        assert own.calls == 2


def test_s6_answers_in_a_folder_that_others_may_write_to_are_not_used(folder: Path) -> None:
    Compiler(caches=True).catalog(SCHEMA)
    folder.chmod(0o777)
    own = Compiler(caches=True)
    own.catalog(SCHEMA)
    assert own.calls == 1
