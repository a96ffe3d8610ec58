"""Plugins that are made to harm whoever runs them, and the tenants beside them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from components import exporting, write_plugin
from wasmtime.component import _enter

import ferro
from ferro._core.component import Core
from ferro._plugins import plugin as plugins
from ferro._plugins.types import wit_functions

MANY = """(i32.store (i32.const 1000) (i32.const 4096))
    (i32.store (i32.const 1004) (i32.const 1000000)) (i32.const 1000)"""
"""The address of a list of a million zeros."""


def hasty(deadline: float, **limits: int) -> ferro.Tenant:
    return ferro.Tenant("hasty", limits={"deadline": deadline, **limits})


def nested(kind: str, depth: int, inner: str = "bool") -> str:
    return f"({kind} " * depth + inner + ")" * depth


async def test_s2_a_large_result_is_converted_within_the_deadline(tmp_path: Path) -> None:
    plugin = await ferro.Plugin.load(
        write_plugin(tmp_path, exporting("many", "(list (tuple bool))", MANY))
    )
    began = time.monotonic()
    with pytest.raises(ferro.QueryTimeout):
        await plugin.call("many", tenant=hasty(0.1))
    # Without an end it takes 13 s on an idle machine.
    assert time.monotonic() - began < 10
    few = await ferro.Plugin.load(write_plugin(tmp_path, exporting("many", "(list s64)", MANY)))
    assert await few.call("many", tenant=hasty(30)) == [0] * 1_000_000


async def test_s2_nested_types_take_no_time_that_grows_with_the_power_of_their_depth(
    tmp_path: Path,
) -> None:
    deep = exporting("deep", nested("option", 30), "(i32.const 1000)")
    plugin = await ferro.Plugin.load(write_plugin(tmp_path, deep))
    assert await plugin.call("deep", tenant=hasty(3)) is None


async def test_s4_types_that_are_too_deep_or_too_many_are_refused_at_load(tmp_path: Path) -> None:
    for kind in ("option", "list"):
        deep = exporting("deep", nested(kind, 90), "(i32.const 1000)")
        with pytest.raises(ferro.ConfigurationError, match="nested more than 32 deep"):
            await ferro.Plugin.load(write_plugin(tmp_path, deep))
    # Of each other, so that few bytes are many types.
    doubled = "".join(
        f"(type $t{number + 1} (tuple $t{number} $t{number}))" for number in range(15)
    )
    body = f"(type $t0 (tuple bool bool)) {doubled}"
    many = '(import "ferro:orm/types@0.1.0" (instance (export "f" (func (param "x" $t15)))))'
    with pytest.raises(ferro.ConfigurationError, match="more than 50000 types"):
        await ferro.Plugin.load(write_plugin(tmp_path, body + many))


OPEN = """(export "session" (type $s (sub resource)))
    (export "[static]session.open" (func (param "label" string) (result (result (own $s){}))))"""


@pytest.mark.parametrize(
    ("imported", "told"),
    [
        (("database", OPEN.format(" (error u32)")), "`[static]session.open` of `ferro:orm/data"),
        (("database", OPEN.format("")), "has different types here"),
        (("database", '(export "drop-all" (func))'), "`drop-all` of `ferro:orm/database"),
        (("database", '(export "secret" (type (sub resource)))'), "`secret` of"),
        (("database", '(export "inner" (instance))'), "`inner` of"),
        (("types", '(export "now" (func (result u64)))'), "`now` of `ferro:orm/types@0.1.0`"),
        (
            ("raw-sql", '(export "session" (type (sub resource)))'),
            "`session` of `ferro:orm/raw-sql@0.1.0`",
        ),
    ],
)
async def test_s1_functions_that_are_not_those_of_the_wit_are_refused_at_load(
    tmp_path: Path, imported: tuple[str, str], told: str
) -> None:
    interface, items = imported
    body = f'(import "ferro:orm/{interface}@0.1.0" (instance {items}))'
    with pytest.raises(ferro.UnsupportedError) as raised:
        await ferro.Plugin.load(write_plugin(tmp_path, body))
    assert told in str(raised.value)


async def test_s1_functions_of_wasi_have_the_types_of_wasi(tmp_path: Path) -> None:
    random = '(instance (export "get-random-u64" (func (result u32))))'
    for body in (
        f'(import "wasi:random/random@0.2.0" {random})',
        '(import "wasi:cli/exit@0.2.6" (instance (export "exit-with-code" (func (param "c" u8)))))',
        '(import "wasi:cli/exit@0.2.6" (func))',
    ):
        with pytest.raises(ferro.UnsupportedError, match="is not compatible with this host"):
            await ferro.Plugin.load(write_plugin(tmp_path, body))
    assert "ferro:orm/compiler" in wit_functions(), "which no plugin imports"


async def test_s1_a_description_of_another_type_is_refused(tmp_path: Path) -> None:
    from wasmtime import wat2wasm

    path = tmp_path / "described.wasm"
    for params, kind in (('(param "a" bool)', "(param i32)"), ("", "")):
        path.write_bytes(
            wat2wasm(f"""(component
                (core module $m (func (export "describe") {kind} (result i32) (i32.const 1)))
                (core instance $i (instantiate $m))
                (func $f {params} (result bool) (canon lift (core func $i "describe")))
                (instance $models (export "describe" (func $f)))
                (export "ferro:orm/models@0.1.0" (instance $models)))""")
        )
        with pytest.raises(ferro.UnsupportedError, match="describe` has different types"):
            await ferro.Plugin.load(path)


async def test_s4_what_is_asynchronous_is_refused_at_load(tmp_path: Path) -> None:
    for body in (
        '(import "ferro:orm/types@0.1.0" (instance (export "f" (func async (result u32)))))',
        "(type $s (stream u8)) (core func $new (canon stream.new $s))",
    ):
        with pytest.raises(ferro.ConfigurationError, match="is not a valid component"):
            await ferro.Plugin.load(write_plugin(tmp_path, body))


async def test_s4_a_session_is_not_given_away(tmp_path: Path) -> None:
    body = """
        (import "ferro:orm/database@0.1.0" (instance $db (export "session" (type (sub resource)))))
        (alias export $db "session" (type $s))
        (core module $m (func (export "give") (result i32) i32.const 1)
            (func (export "take") (param i32) (result i32) local.get 0))
        (core instance $i (instantiate $m))
        (func (export "give") (result (own $s)) (canon lift (core func $i "give")))
        (func (export "take") (param "s" (borrow $s)) (result u32)
            (canon lift (core func $i "take")))"""
    plugin = await ferro.Plugin.load(write_plugin(tmp_path, body))
    with pytest.raises(ferro.PluginError, match="`s` is of the type `borrow`"):
        await plugin.call("take", 1, tenant=hasty(5))
    with pytest.raises(ferro.PluginError):
        await plugin.call("give", tenant=hasty(5))


async def test_s4_a_plugin_does_not_choose_what_its_failure_is_called(tmp_path: Path) -> None:
    for name in (
        "wasm trap: interrupt",
        "all fuel consumed",
        "call stack exhausted",
        "x\\n\\nCaused by:\\n    wasm trap: interrupt",
    ):
        body = exporting("fail", "u32", "(unreachable)", f'(@name "{name}")')
        plugin = await ferro.Plugin.load(write_plugin(tmp_path, body))
        with pytest.raises(ferro.PluginTrap, match="unreachable"):
            await plugin.call("fail", tenant=hasty(5))


async def test_s5_an_exception_of_elsewhere_is_not_the_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = await ferro.Plugin.load(
        write_plugin(tmp_path, exporting("fail", "u32", "(unreachable)"))
    )
    # Where wasmtime-py keeps what a host function has raised, of whatever thread.
    monkeypatch.setattr(_enter, "LAST_EXCEPTION", KeyError("of another tenant"))
    with pytest.raises(ferro.PluginTrap, match="unreachable"):
        await plugin.call("fail", tenant=hasty(5))
    core = Core()
    monkeypatch.setattr("ferro._core.component._FUEL_OF_A_CALL", 10)
    with pytest.raises(ferro.LimitError, match="too large to compile"):
        core.call("[static]catalog.create", "{}")


STREAMS = """
    (import "wasi:io/error@0.2.6" (instance $errors (export "error" (type (sub resource)))))
    (alias export $errors "error" (type $error))
    (import "wasi:io/streams@0.2.6" (instance $streams
        (export "output-stream" (type $out (sub resource)))
        (alias outer 1 $error (type $outer-error))
        (export "error" (type $e (eq $outer-error)))
        (type $failed (variant (case "last-operation-failed" (own $e)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $failed)))
        (export "[method]output-stream.blocking-write-and-flush"
            (func (param "self" (borrow $out)) (param "contents" (list u8))
                (result (result (error $stream-error)))))))
    (alias export $streams "output-stream" (type $out))
    (import "wasi:cli/stdout@0.2.6" (instance $stdout
        (alias outer 1 $out (type $outer))
        (export "output-stream" (type $o (eq $outer)))
        (export "get-stdout" (func (result (own $o))))))
    (core func $get (canon lower (func $stdout "get-stdout")))
    (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
        (memory $memory)))
    (core module $w (import "m" "memory" (memory 1))
        (import "h" "get" (func $get (result i32)))
        (import "h" "write" (func $write (param i32 i32 i32 i32)))
        (func (export "hoard") (result i32) (local $i i32)
            (loop $more
                (drop (call $get))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $i) (i32.const 1000))))
            (local.get $i))
        (func (export "flood") (result i32)
            (memory.fill (i32.const 4096) (i32.const 97) (i32.const 1000000))
            (call $write (call $get) (i32.const 4096) (i32.const 1000000) (i32.const 1000))
            (i32.load8_u (i32.const 1000))))
    (core instance $writer (instantiate $w (with "m" (instance $memory-in))
        (with "h" (instance (export "get" (func $get)) (export "write" (func $write))))))
    (func (export "hoard") (result u32) (canon lift (core func $writer "hoard")))
    (func (export "flood") (result u32) (canon lift (core func $writer "flood")))"""


async def test_s3_streams_of_output_are_handles_and_hold_nothing_past_the_limit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = await ferro.Plugin.load(write_plugin(tmp_path, STREAMS))
    with pytest.raises(ferro.LimitError, match="`handles`: 16 held"):
        await plugin.call("hoard", tenant=hasty(5, handles=16))
    assert await plugin.call("hoard", tenant=hasty(5, handles=1_000)) == 1_000
    caplog.set_level("INFO", "ferro.guest")
    assert await plugin.call("flood", tenant=hasty(5, **{"log-bytes": 10_000})) == 0
    lines = [it.getMessage() for it in caplog.records]
    assert [len(it) for it in lines if it.startswith("a")] == [4096, 4096, 1808]
    assert sum("log-bytes" in it for it in lines) == 1


async def test_s6_functions_that_take_the_compiler_long_are_not_compiled(tmp_path: Path) -> None:
    steps = "(local.set 1 (i32.add (local.get 0) (local.get 2)))" * 25_000
    body = f"(core module $m (func (local {'i32 ' * 1_000}) {steps}))"
    with pytest.raises(ferro.ConfigurationError, match="parameters and locals are too many"):
        await ferro.Plugin.load(write_plugin(tmp_path, body))


async def test_s6_the_time_to_load_a_plugin_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_plugin(tmp_path, exporting("f", "u32", "(i32.const 1000)"))
    monkeypatch.setattr(plugins, "LONGEST_LOAD", 0.05)
    monkeypatch.setattr(ferro.Plugin, "_load", lambda *_: time.sleep(0.5))
    loads = [ferro.Plugin.load(path) for _ in range(3)]
    ends = await asyncio.gather(*loads, return_exceptions=True)
    assert sorted(type(it).__name__ for it in ends) == ["BusyError", "QueryTimeout", "QueryTimeout"]
    assert all("within 0.05 s" in str(it) for it in ends)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_y2_plugins_are_loaded_before_and_after_a_fork(tmp_path: Path) -> None:
    path = write_plugin(tmp_path, exporting("f", "u32", "(i32.const 1000)"))
    code = f"""if True:
        import asyncio, os, ferro, sys
        async def load():
            return (await ferro.Plugin.load({str(path)!r})).exports
        asyncio.run(load())
        child = os.fork()
        if child == 0:
            os._exit(7 if asyncio.run(load()) == ["f"] else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    assert subprocess.run(command, timeout=50).returncode == 7


def test_y2_plugins_end_in_time_after_a_fork_while_others_ran(tmp_path: Path) -> None:
    path = write_plugin(tmp_path, exporting("f", "u32", "(loop $l (br $l)) (unreachable)"))
    code = f"""if True:
        import asyncio, os, ferro, sys
        from ferro._plugins.plugin import _tickers
        async def load():
            return await ferro.Plugin.load({str(path)!r})
        async def call():
            plugin = await load()
            tenant = ferro.Tenant("acme", limits={{"deadline": 0.3}})
            try:
                await plugin.call("f", tenant=tenant)
            except ferro.QueryTimeout:
                return True
        asyncio.run(load())
        with _tickers[False]:
            child = os.fork()
            if child == 0:
                os._exit(7 if asyncio.run(call()) else 1)
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    assert subprocess.run(command, timeout=50).returncode == 7
