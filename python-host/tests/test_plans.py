"""Plans come from the core component, and a repeated shape comes from nowhere but the cache."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

import ferro
from ferro._core import folder
from ferro._core.compiler import Compiler, compiler
from ferro._queries.selection import prepared
from models import User

pytestmark = pytest.mark.usefixtures("db")


def adults(age: int, limit: int) -> ferro.Select[User]:
    return User.where((User.age >= age) & User.name.like("%a%")).order_by("-age").limit(limit)


async def test_a_repeated_query_shape_makes_no_wasm_call() -> None:
    user = await User.create(name="Ada", age=20)
    await adults(18, 5).all()
    await User.get(user.id)
    user.age = 21
    await user.save()
    before = compiler.calls
    for number in range(20):
        await adults(number, number).all()
        await User.create(name=f"user {number}", age=number)
        await User.get(user.id)
        user.age += 1
        await user.save()
    assert compiler.calls == before
    await adults(18, 5).offset(1).all()
    assert compiler.calls == before + 1, "another shape is another plan"


async def test_a_shape_is_lowered_once() -> None:
    table = User.__ferro_table__
    assert table is not None
    one, _ = prepared(adults(18, 5)._spec)
    other, values = prepared(adults(30, 7)._spec)
    assert one is other
    assert values == (30, "%a%", 7)
    assert prepared(adults(18, 5)._spec, "count")[0] is not one


async def test_a_new_model_gives_no_stale_plans() -> None:
    await User.create(name="Ada")
    assert len(await User.all()) == 1

    class Another(ferro.Model, table="plans_another"):
        id: int | None = ferro.Field(default=None, primary_key=True)

    await ferro.create_tables()
    assert len(await User.all()) == 1
    await Another.create()
    assert await Another.select().count() == 1


async def test_new_shapes_of_many_tasks_at_once_are_all_compiled() -> None:
    def query(number: int) -> ferro.Select[User]:
        condition: Any = User.age == -1
        for _ in range(number):
            condition = condition | (User.age > 1_000)
        return User.where(condition)

    counts = await asyncio.gather(*(query(number).count() for number in range(60)))
    assert counts == [0] * 60


def test_the_component_is_entered_by_one_thread_at_a_time() -> None:
    own = Compiler()
    schema = (
        '{"models": [{"name": "A", "fields": [{"name": "id", "kind": {"integer": "big"}, '
        '"nullable": false, "unique": false, "indexed": false, "generated-key": true, '
        '"version": false}], "primary-key": ["id"]}]}'
    )
    request = (
        '{"query": {"selects": [{"model": "A", "projection": "model", "distinct": "no"}], '
        '"statement": {"select": 0}}, "dialect": "sqlite"}'
    )
    plans: list[str] = []

    def compile_many() -> None:
        catalog = own.catalog(schema)
        plans.extend(catalog.compile(request) for _ in range(20))

    threads = [threading.Thread(target=compile_many) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(plans) == 120
    assert len(set(plans)) == 1
    assert own.calls == 120 + 6


def test_a_package_without_the_core_says_what_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "__file__", str(tmp_path / "_core" / "folder.py"))
    with pytest.raises(ferro.InternalError, match="`cargo xtask setup`"):
        Compiler().load()


def test_a_core_that_failed_is_thrown_away() -> None:
    own = Compiler()
    own.load()
    catalog = own.catalog('{"models": []}')
    core = own._core
    assert core is not None

    def fail(*_: Any) -> Any:
        from wasmtime import WasmtimeError

        raise WasmtimeError("trapped")

    request = '{"dialect": "sqlite", "found": []}'
    name = "[method]catalog.create-tables"
    core._functions[name] = fail  # type: ignore[assignment]
    with pytest.raises(ferro.InternalError, match="trapped"):
        catalog.create_tables(request)
    assert catalog.create_tables(request) == "[]"
    assert own._core is not core


def test_faults_of_models_are_all_named() -> None:
    with pytest.raises(ferro.SchemaError, match="not valid") as raised:
        Compiler().catalog('{"models": [{"name": "A", "fields": [], "primary-key": ["x"]}]}')
    assert "A" in str(raised.value)
