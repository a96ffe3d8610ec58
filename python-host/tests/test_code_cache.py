"""Compiled code is kept on disk, whole and private, and no process depends on that."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from wasmtime import Config, Engine, WasmtimeError, wat2wasm
from wasmtime.component import Component

from ferro._core import cache
from ferro._core import folder as folders
from ferro._core.cache import component_of

CODE = bytes(wat2wasm("(component)"))
OTHER = bytes(wat2wasm('(component (core module (func (export "f"))))'))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = folders.cache_folder()
    assert folder is not None
    assert folder.is_relative_to(tmp_path)
    return folder


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was compiled, and not taken from the cache."""
    found = []

    class Noted(Component):
        def __init__(self, engine: Engine, code: bytes) -> None:
            found.append(code)
            super().__init__(engine, code)

    monkeypatch.setattr(cache, "Component", Noted)
    return found


def engine(*, fuel: bool = False) -> Engine:
    config = Config()
    config.consume_fuel = fuel
    return Engine(config)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_what_was_compiled_once_is_not_compiled_again(folder: Path, compiled: list[bytes]) -> None:
    component_of(engine(), CODE)
    component_of(engine(), CODE)
    assert compiled == [CODE]
    component_of(engine(), OTHER)
    assert compiled == [CODE, OTHER], "each component has an entry of its own"
    assert len(entries(folder)) == 2


def test_code_of_another_configuration_is_not_taken(folder: Path, compiled: list[bytes]) -> None:
    for _ in range(2):
        component_of(engine(), CODE)
        component_of(engine(fuel=True), CODE)
    assert compiled == [CODE, CODE]
    assert len(entries(folder)) == 2


@pytest.mark.parametrize("content", ["a flipped bit", "half of it", "nothing"])
def test_an_entry_that_decayed_is_made_anew(
    folder: Path, compiled: list[bytes], content: str
) -> None:
    component_of(engine(), CODE)
    (entry,) = entries(folder)
    code = entry.read_bytes()
    half = len(code) // 2
    flipped = code[:half] + bytes([code[half] ^ 1]) + code[half + 1 :]
    entry.write_bytes(
        {"a flipped bit": flipped, "half of it": code[:half], "nothing": b""}[content]
    )
    component_of(engine(), CODE)
    component_of(engine(), CODE)
    assert compiled == [CODE, CODE]
    assert entries(folder) == [entry]


def test_s6_a_folder_that_others_may_write_to_is_not_used(
    folder: Path, compiled: list[bytes]
) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    component_of(engine(), CODE)
    component_of(engine(), CODE)
    assert compiled == [CODE, CODE]
    assert entries(folder) == []


def test_s6_a_folder_that_others_may_exchange_is_not_used(
    folder: Path, compiled: list[bytes]
) -> None:
    component_of(engine(), CODE)
    folder.parent.chmod(0o777)
    component_of(engine(), CODE)
    assert compiled == [CODE, CODE]
    folder.parent.chmod(0o1777)
    component_of(engine(), CODE)
    assert compiled == [CODE, CODE], "nobody can exchange what is another's there"


def test_s6_a_folder_on_a_way_that_others_may_exchange_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, compiled: list[bytes]
) -> None:
    far = tmp_path / "of" / "the" / "users" / "own"
    far.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(far))
    monkeypatch.setenv("XDG_CACHE_HOME", str(far))
    (tmp_path / "of").chmod(0o777)
    component_of(engine(), CODE)
    component_of(engine(), CODE)
    assert compiled == [CODE, CODE]
    (tmp_path / "of").chmod(0o755)
    component_of(engine(), CODE)
    component_of(engine(), CODE)
    assert compiled == [CODE, CODE, CODE]


def test_a_link_to_a_folder_of_ones_own_is_followed(
    folder: Path, compiled: list[bytes], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.parent.symlink_to(elsewhere)
    component_of(engine(), CODE)
    component_of(engine(), CODE)
    assert compiled == [CODE]
    assert len(entries(elsewhere / "python")) == 1


def test_the_folder_is_the_users_alone(folder: Path) -> None:
    component_of(engine(), CODE)
    assert folder.stat().st_mode & 0o777 == 0o700
    (entry,) = entries(folder)
    assert entry.stat().st_mode & 0o777 == 0o600


def test_no_folder_is_no_error(folder: Path, compiled: list[bytes]) -> None:
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_text("a file where the folder has to be")
    component_of(engine(), CODE)
    component_of(engine(), CODE)
    assert compiled == [CODE, CODE]


def test_what_was_not_used_for_longest_goes_first(
    folder: Path, compiled: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    component_of(engine(), CODE)
    (used,) = entries(folder)
    component_of(engine(), OTHER)
    (unused,) = set(entries(folder)) - {used}
    long_ago = time.time() - 1_000_000
    for entry in used, unused:
        os.utime(entry, (long_ago, long_ago))
    component_of(engine(), CODE)
    room = 2 * used.stat().st_size + unused.stat().st_size // 2
    monkeypatch.setattr(cache, "MOST_BYTES", room)
    component_of(engine(fuel=True), CODE)
    component_of(engine(), CODE)
    assert compiled == [CODE, OTHER, CODE]
    component_of(engine(), OTHER)
    assert compiled == [CODE, OTHER, CODE, OTHER]


def test_what_is_no_component_is_refused_and_not_kept(folder: Path) -> None:
    with pytest.raises(WasmtimeError):
        component_of(engine(), b"\0asm\x0d\x00\x01\x00 and no more")
    assert entries(folder) == []
