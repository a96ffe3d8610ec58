"""What is public, and that it is what it says."""

from __future__ import annotations

import inspect
import pickle
import re
from pathlib import Path

import pytest
from test_connections import run

import ferro
from ferro import exceptions

WIT = Path(__file__).parents[2] / "wit" / "types.wit"


def test_the_public_list_is_sorted_and_complete() -> None:
    assert ferro.__all__ == sorted(ferro.__all__)
    assert all(hasattr(ferro, name) for name in ferro.__all__)
    public = {name for name in vars(ferro) if not name.startswith("_")}
    modules = {name for name in public if inspect.ismodule(getattr(ferro, name))}
    assert public - modules - {"annotations"} == set(ferro.__all__)
    # The others are imported by whoever needs them.
    assert modules - {"fastapi", "testing"} == {"exceptions"}


def test_every_public_thing_has_a_docstring_and_an_example() -> None:
    for name in ferro.__all__:
        thing = getattr(ferro, name)
        assert inspect.getdoc(thing), f"{name} has no docstring"
        if not (isinstance(thing, type) and issubclass(thing, ferro.FerroError)):
            assert ">>>" in (thing.__doc__ or ""), f"{name} has no example"
        if isinstance(thing, type):
            for method, function in vars(thing).items():
                if not method.startswith("_") and callable(getattr(thing, method, None)):
                    assert inspect.getdoc(function), f"{name}.{method} has no docstring"


def test_every_exception_is_public_and_in_the_drawing() -> None:
    defined = {
        name
        for name, thing in vars(exceptions).items()
        if isinstance(thing, type) and issubclass(thing, exceptions.FerroError)
    }
    assert defined <= set(ferro.__all__)
    drawn = set(re.findall(r"\w+", (exceptions.__doc__ or "").split("Example")[0]))
    assert defined <= drawn


def test_every_kind_of_error_has_a_class() -> None:
    match = re.search(r"enum error-kind \{(.*?)\n    \}", WIT.read_text(), re.DOTALL)
    assert match is not None
    kinds = re.findall(r"^\s+([a-z-]+),$", match[1], re.MULTILINE)
    assert len(kinds) > 20
    assert set(kinds) == set(exceptions.BY_KIND)
    for kind in kinds:
        error = exceptions.from_native(kind, "it failed", "42P01", "c", "t", "k", False)
        assert type(error) is exceptions.BY_KIND[kind]
        assert (error.kind, str(error), error.sqlstate) == (kind, "it failed", "42P01")
        assert (error.constraint, error.table, error.column) == ("c", "t", "k")


def test_a_busy_pool_is_told_from_a_busy_database() -> None:
    pool = exceptions.from_native("busy", "", "FERRO_POOL_TIMEOUT", None, None, None, True)
    lock = exceptions.from_native("busy", "", "SQLITE_BUSY", None, None, None, True)
    limit = exceptions.from_native("busy", "", None, None, None, None, True)
    assert type(pool) is ferro.PoolTimeout
    assert type(lock) is type(limit) is ferro.BusyError


@pytest.mark.parametrize("name", ["UniqueViolation", "PluginError", "QueryError"])
def test_exceptions_survive_a_pickle(name: str) -> None:
    error = getattr(ferro, name)("it failed")
    error.table = "users"
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied), copied.table) == (type(error), "it failed", "users")


def test_importing_and_defining_models_loads_no_wasmtime() -> None:
    done = run("""
        import sys, ferro
        class Note(ferro.Model):
            id: int = ferro.Field(primary_key=True)
        query = Note.where(id=1)
        print(sorted(it for it in sys.modules if it.partition(".")[0] == "wasmtime"))
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_what_models_do_on_a_connection_is_described_as_what_they_do_without() -> None:
    from ferro._models.connected import Connected

    for name, method in vars(Connected).items():
        if not name.startswith("_"):
            assert inspect.getdoc(method) == inspect.getdoc(getattr(ferro.Model, name)), name


def test_the_package_is_typed() -> None:
    assert (Path(ferro.__file__).parent / "py.typed").exists()


def test_the_stubs_name_what_the_native_module_has() -> None:
    from ferro import _native

    stubs = Path(ferro.__file__).with_name("_native.pyi").read_text()
    stubbed = set(re.findall(r"^(?:class |def |(?=\w+: ))(\w+)", stubs, re.MULTILINE))
    real = {name for name in vars(_native) if not name.startswith("_")}
    assert {name for name in stubbed if not name.startswith("_")} == real
    for name in real:
        thing = getattr(_native, name)
        if not isinstance(thing, type):
            continue
        body = re.search(rf"^class {name}:\n((?:    .*\n|\n)+)", stubs, re.MULTILINE)
        assert body is not None
        methods = set(re.findall(r"    def ([a-z]\w*)", body[1]))
        assert methods == {it for it in vars(thing) if not it.startswith("_")}, name
