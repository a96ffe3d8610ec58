"""Plugins, run by wasmtime-py: what they may do, and what happens when they misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from components import write_plugin

import ferro
from ferro._plugins.wasi import Output

COMPONENTS = Path(__file__).parents[2] / "target" / "components"

EVERYTHING = ferro.Tenant("owner", grants={"app": ferro.Grant(access="read-write")})


def component(name: str) -> Path:
    path = COMPONENTS / f"{name}.wasm"
    if not path.exists():
        pytest.fail(f"`{path}` is not there: run `cargo xtask test`, which builds it")
    return path


async def load(name: str) -> ferro.Plugin:
    return await ferro.Plugin.load(component(name))


@pytest.fixture
async def atlas(url: str) -> AsyncIterator[ferro.Plugin]:
    await ferro.connect(url, "app", pool=ferro.PoolConfig(max_connections=4))
    plugin = await load("ferro-example-atlas")
    await plugin.create_tables(using="app")
    await plugin.call("import-countries", COUNTRIES, tenant=EVERYTHING)
    await plugin.call("import-cities", CITIES, tenant=EVERYTHING)
    yield plugin
    await ferro.disconnect("app")


@pytest.fixture
async def probe(url: str) -> AsyncIterator[ferro.Plugin]:
    await ferro.connect(url, "app", pool=ferro.PoolConfig(max_connections=4))
    plugin = await load("ferro-test-probe")
    await plugin.create_tables(using="app")
    yield plugin
    await ferro.disconnect("app")


def country(iso: str, name: str, continent: str, population: int) -> dict[str, Any]:
    return {
        "iso": iso,
        "name": name,
        "continent": continent,
        "capital": f"{name} City",
        "population": population,
        "area": 1.5,
    }


def city(number: int, name: str, of: dict[str, Any], population: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "country": of["iso"],
        "continent": of["continent"],
        "population": population,
        "latitude": 1.5,
        "longitude": -2.25,
        "timezone": "UTC",
        "slug": None,
    }


COUNTRIES = [
    country("CH", "Switzerland", "EU", 8_500_000),
    country("FR", "France", "EU", 67_000_000),
    country("JP", "Japan", "AS", 125_000_000),
]
CITIES = [
    city(1001, "Zürich", COUNTRIES[0], 400_000),
    city(1002, "Genève", COUNTRIES[0], 200_000),
    city(1003, "Paris", COUNTRIES[1], 2_100_000),
    city(1004, "Tokyo", COUNTRIES[2], 8_300_000),
    city(1005, "Switzerland City", COUNTRIES[0], 5),
]


async def test_a_plugin_queries_real_tables_with_typed_results(atlas: ferro.Plugin) -> None:
    found = await atlas.call("top-cities", "CH", 2, tenant=EVERYTHING)
    assert found == [CITIES[0], CITIES[1]]
    summary = await atlas.call("summary", tenant=EVERYTHING)
    assert summary == {"countries": 3, "cities": 5, "largest_city": CITIES[3]}
    largest = await atlas.call("largest-countries", "EU", 1, tenant=EVERYTHING)
    assert largest == [COUNTRIES[1]]


async def test_a_plugin_writes_in_transactions_with_savepoints(atlas: ferro.Plugin) -> None:
    founded = await atlas.call("found-city", "CH", "New Bern", 10, tenant=EVERYTHING)
    assert (founded["name"], founded["slug"]) == ("New Bern", "new-bern")
    again = await atlas.call("found-city", "CH", "New Bern", 10, tenant=EVERYTHING)
    assert again["slug"] is None, "the slug was taken: the savepoint was undone, the rest was not"
    row = await ferro.fetch_one("select population from country where iso = 'CH'", using="app")
    assert row == {"population": 8_500_020}
    with pytest.raises(ferro.DoesNotExist):
        await atlas.call("found-city", "XX", "Nowhere", 10, tenant=EVERYTHING)
    assert ferro.pool_stats("app").acquired == 0


async def test_t2_tenants_see_the_rows_of_their_grants(atlas: ferro.Plugin) -> None:
    europe = ferro.TableGrant(filters={"continent": "EU"})
    tenant = ferro.Tenant(
        "europe", grants={"app": ferro.Grant(tables={"city": europe, "country": europe})}
    )
    summary = await atlas.call("summary", tenant=tenant)
    assert (summary["countries"], summary["cities"]) == (2, 4)
    assert summary["largest_city"]["name"] == "Paris"
    assert await atlas.call("top-cities", "JP", 5, tenant=tenant) == []
    with pytest.raises((ferro.DeniedError, ferro.ReadOnlyError)):
        await atlas.call("found-city", "CH", "New Bern", 10, tenant=tenant)
    narrow = {"name": "narrow", "grants": {"app": {"tables": {"city": {}}}}}
    with pytest.raises(ferro.FerroError) as raised:
        await atlas.call("summary", tenant=narrow)
    assert raised.value.kind in ("denied", "invalid-query")
    with pytest.raises(ferro.DeniedError):
        await atlas.call("summary")
    with pytest.raises(ferro.DeniedError):
        await atlas.call("summary", tenant=ferro.Tenant("x", grants={"other": ferro.Grant()}))


async def test_limits_of_a_tenant_end_in_their_own_errors(atlas: ferro.Plugin) -> None:
    few = ferro.Tenant("few", grants=EVERYTHING.grants, limits={"rows": 1})
    with pytest.raises(ferro.LimitError, match="rows"):
        await atlas.call("top-cities", "CH", 5, tenant=few)
    with pytest.raises(ferro.ConfigurationError, match="rwos"):
        await atlas.call("summary", tenant={"name": "x", "limits": {"rwos": 1}})
    strict = ferro.Tenant("x", grants=EVERYTHING.grants, limits={"host-call-bytes": 1_000_000})
    for tenant in (strict, {"name": "x", "limits": {"host-call-bytes": 5}}):
        with pytest.raises(ferro.ConfigurationError, match="`x` has a limit on `host-call-bytes`"):
            await atlas.call("summary", tenant=tenant)


async def test_who_calls_is_a_tenant(atlas: ferro.Plugin) -> None:
    with pytest.raises(ferro.ConfigurationError, match=r"takes a `ferro.Tenant`, not `'europe'`"):
        await atlas.call("summary", tenant="europe")  # type: ignore[arg-type]


async def test_a_bulk_insert_that_fails_stores_nothing(atlas: ferro.Plugin) -> None:
    cities = [city(number, "x", COUNTRIES[0], 1) for number in (10, 11, 10)]
    with pytest.raises(ferro.UniqueViolation) as raised:
        await atlas.call("import-cities", cities, tenant=EVERYTHING)
    assert raised.value.table == "city"
    assert (await atlas.call("summary", tenant=EVERYTHING))["cities"] == 5


async def test_arguments_are_checked_before_the_plugin_runs(atlas: ferro.Plugin) -> None:
    wrong: list[tuple[tuple[Any, ...], str]] = [
        (("top-cities", "CH"), r"`top-cities\(country, limit\)` takes 2 arguments, not 1"),
        (("top-cities", "\ud800", 1), "`country` takes a str of Unicode text"),
        (("top-cities", 5, 5), "`country` takes a str, not `int`"),
        (("top-cities", "CH", -1), "`limit` takes an int from 0 to 4294967295"),
        (("top-cities", "CH", True), "`limit` takes an int, not `bool`"),
        (("import-cities", {}), "`cities` takes a list, not `dict`"),
        (("import-cities", [{}]), "`cities` lacks the field `id`"),
        (("import-cities", [{"id": None}]), "`cities` field `id` takes an int"),
        (("import-cities", [{"nmae": 1}]), "`cities` has no field `nmae`"),
        (("top-citys",), "did you mean `top-cities`"),
        ((None,), "`call` takes the name of an export"),
    ]
    for arguments, message in wrong:
        with pytest.raises(ferro.PluginError, match=message):
            await atlas.call(*arguments, tenant=EVERYTHING)


async def test_every_kind_of_export_can_be_called(probe: ferro.Plugin) -> None:
    assert await probe.call("greet", "Ada") == "hello Ada"
    assert await probe.call("mirror", {"x": 1, "y": 2}, None) == {"x": 2, "y": 1}
    assert await probe.call("mirror", {"x": 1, "y": 2}, -3) == {"x": -6, "y": -3}
    assert await probe.call("distinct", ["a", "b", "a"]) == 2
    with pytest.raises(ferro.PluginError, match="told") as raised:
        await probe.call("fail", "as told")
    assert raised.value.value == "as told"
    assert "ferro:test/notes#add" in probe.exports


async def test_s5_no_state_survives_a_call(probe: ferro.Plugin) -> None:
    assert [await probe.call("calls") for _ in range(3)] == [1, 1, 1]


async def notes(probe: ferro.Plugin) -> list[str]:
    bodies: list[str] = await probe.call("ferro:test/notes#bodies", "app", tenant=EVERYTHING)
    return bodies


async def test_p1_what_was_not_committed_is_undone_and_the_connection_is_back(
    probe: ferro.Plugin,
) -> None:
    async def add(body: str, end: str, **limits: Any) -> Any:
        tenant = ferro.Tenant("owner", grants=EVERYTHING.grants, limits=limits)
        return await probe.call("ferro:test/notes#add", "app", body, end, tenant=tenant)

    assert await add("kept", "commit") == 1
    assert await add("rolled back", "rollback") == 1
    assert await add("forgotten", "forget") == 1
    with pytest.raises(ferro.PluginTrap, match="unreachable"):
        await add("trapped", "trap")
    with pytest.raises(ferro.QueryTimeout, match=r"`deadline` of 0.3 s"):
        await add("spun", "spin", deadline=0.3)
    with pytest.raises(ferro.FerroError) as raised:
        await add("hoarded", "hoard", memory=16 * 1024 * 1024)
    assert isinstance(raised.value, (ferro.PluginTrap, ferro.LimitError))
    assert await notes(probe) == ["kept"]
    assert await probe.call("ferro:test/notes#count", "app", tenant=EVERYTHING) == 1
    stats = ferro.pool_stats("app")
    assert (stats.acquired, stats.waiting) == (0, 0)


async def test_many_rows_that_a_plugin_inserts_give_back_their_keys(probe: ferro.Plugin) -> None:
    bodies = ["b", "a", *(f"note {number}" for number in range(250))]
    keys = await probe.call("ferro:test/notes#add-all", "app", bodies, tenant=EVERYTHING)
    assert keys == list(range(1, 253))
    assert await notes(probe) == bodies
    reader = ferro.Tenant("reader", grants={"app": ferro.Grant()})
    with pytest.raises(ferro.ReadOnlyError):
        await probe.call("ferro:test/notes#add-all", "app", ["c"], tenant=reader)


async def test_s2_a_call_that_spins_ends_at_its_deadline(probe: ferro.Plugin) -> None:
    began = time.monotonic()
    tenant = ferro.Tenant("hasty", limits={"deadline": 0.2})
    neighbour = asyncio.create_task(probe.call("greet", "neighbour"))
    with pytest.raises(ferro.QueryTimeout):
        await probe.call("spin", tenant=tenant)
    assert time.monotonic() - began < 3
    assert await neighbour == "hello neighbour"


async def test_s2_fuel_that_is_used_up_ends_the_call(probe: ferro.Plugin) -> None:
    frugal = ferro.Tenant("frugal", grants=EVERYTHING.grants, limits={"fuel": 100_000})
    with pytest.raises(ferro.ConfigurationError, match="load it with `fuel=True`"):
        await probe.call("spin", tenant=frugal)
    metered = await ferro.Plugin.load(component("ferro-test-probe"), fuel=True)
    with pytest.raises(ferro.LimitError, match=r"over the limit `fuel`: 100000 units"):
        await metered.call("spin", tenant=frugal)
    assert await metered.call("greet", "Ada", tenant=frugal) == "hello Ada"
    assert await metered.call("ferro:test/notes#count", "app", tenant=EVERYTHING) == 0
    hasty = ferro.Tenant("hasty", limits={"deadline": 0.2})
    with pytest.raises(ferro.QueryTimeout):
        await metered.call("spin", tenant=hasty)


async def test_what_a_call_used_comes_with_its_result_and_goes_to_the_operator(
    atlas: ferro.Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ferro.call")
    found = await atlas.outcome("top-cities", "CH", 2, tenant=EVERYTHING)
    used = found.usage
    assert len(found.value) == used.rows_read == 2
    assert (used.statements, used.rows_written, used.fuel) == (1, 0, None)
    assert used.bytes > 10
    assert 0 < used.busy <= used.elapsed < 5
    with pytest.raises(ferro.FerroError):
        await atlas.call("import-cities", [CITIES[0], CITIES[0]], tenant=EVERYTHING)
    told, failed = [it for it in caplog.records if it.name == "ferro.call"][-2:]
    assert (told.name, told.levelname) == ("ferro.call", "INFO")
    expected = {
        "plugin": atlas.name,
        "tenant": EVERYTHING.name,
        "export": "top-cities",
        "outcome": "ok",
        "rows_read": 2,
        "result_bytes": used.bytes,
    }
    assert {name: vars(told)[name] for name in expected} == expected
    # An error that the function returns is a result like any other, as it is for the host in Rust.
    assert (vars(failed)["export"], vars(failed)["outcome"]) == ("import-cities", "ok")


async def test_what_a_call_used_is_told_when_it_fails(
    probe: ferro.Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ferro.call")
    frugal = ferro.Tenant("frugal", grants=EVERYTHING.grants, limits={"fuel": 100_000})
    metered = await ferro.Plugin.load(component("ferro-test-probe"), fuel=True)
    with pytest.raises(ferro.LimitError):
        await metered.call("spin", tenant=frugal)
    hasty = ferro.Tenant("hasty", grants=EVERYTHING.grants, limits={"deadline": 0.2})
    with pytest.raises(ferro.QueryTimeout):
        await probe.call("ferro:test/notes#add", "app", "x", "spin", tenant=hasty)
    told = [vars(it) for it in caplog.records if it.name == "ferro.call"]
    assert [(it["tenant"], it["outcome"]) for it in told] == [
        ("frugal", "limit-exceeded"),
        ("hasty", "timeout"),
    ]
    assert told[0]["fuel"] == 100_000
    assert told[1]["busy"] > 0.02, "however many others compute"
    assert told[1]["statements"] >= 2
    assert (await metered.outcome("greet", "Ada")).usage.fuel in range(1, 100_000)


async def test_p4_calls_of_a_tenant_share_its_limits(probe: ferro.Plugin) -> None:
    def greedy(**limits: Any) -> ferro.Tenant:
        of = {"deadline": 0.5, "acquire-timeout": 0.1, **limits}
        return ferro.Tenant("greedy", grants=EVERYTHING.grants, limits=of)

    # Two calls run, one waits in vain, and the next is told so at once.
    few = greedy(**{"calls": 2, "queued-calls": 1})
    ends = await asyncio.gather(
        *(probe.call("spin", tenant=few) for _ in range(4)), return_exceptions=True
    )
    kinds = sorted(type(it).__name__ for it in ends)
    assert kinds == ["BusyError", "BusyError", "QueryTimeout", "QueryTimeout"], ends
    # One connection for all of its calls: who has it keeps the others waiting.
    one = greedy(connections=1)
    add = "ferro:test/notes#add"
    kept = asyncio.create_task(probe.call(add, "app", "x", "spin", tenant=one))
    await asyncio.sleep(0.2)
    with pytest.raises(ferro.BusyError):
        await probe.call(add, "app", "y", "commit", tenant=one)
    with pytest.raises(ferro.QueryTimeout):
        await kept
    # However many calls it may have, others find a thread.
    many = [asyncio.create_task(probe.call("spin", tenant=greedy(calls=64))) for _ in range(64)]
    await asyncio.sleep(0.1)
    began = time.monotonic()
    assert await probe.call("greet", "neighbour") == "hello neighbour"
    assert time.monotonic() - began < 2
    await asyncio.gather(*many, return_exceptions=True)
    # Nothing is kept of calls that ended, in whatever way.
    assert await probe.call(add, "app", "z", "commit", tenant=greedy(calls=1, connections=1)) == 1


async def test_p4_a_cancelled_call_makes_room_for_the_next(probe: ferro.Plugin) -> None:
    limits = {"calls": 1, "queued-calls": 0, "deadline": 1}
    tenant = ferro.Tenant("one", grants=EVERYTHING.grants, limits=limits)
    task = asyncio.create_task(probe.call("spin", tenant=tenant))
    await asyncio.sleep(0.3)
    with pytest.raises(ferro.BusyError):
        await probe.call("greet", "Ada", tenant=tenant)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(200):
        with contextlib.suppress(ferro.BusyError):
            assert await probe.call("greet", "Ada", tenant=tenant) == "hello Ada"
            return
        await asyncio.sleep(0.05)
    pytest.fail("its place is lost")


async def test_a_call_can_be_cancelled(probe: ferro.Plugin) -> None:
    tenant = ferro.Tenant("slow", limits={"deadline": 0.5})
    task = asyncio.create_task(probe.call("spin", tenant=tenant))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await probe.call("greet", "Ada") == "hello Ada"


async def test_s3_handles_are_limited(probe: ferro.Plugin) -> None:
    assert await probe.call("ferro:test/notes#open", "app", 3, tenant=EVERYTHING) == 3
    with pytest.raises(ferro.LimitError, match="sessions"):
        await probe.call("ferro:test/notes#open", "app", 100, tenant=EVERYTHING)
    many = {"sessions": 1_000, "handles": 10}
    tenant = ferro.Tenant("many", grants=EVERYTHING.grants, limits=many)
    with pytest.raises(ferro.LimitError, match="handles"):
        await probe.call("ferro:test/notes#open", "app", 100, tenant=tenant)


async def test_k2_unknown_and_ungranted_labels_look_alike(probe: ferro.Plugin) -> None:
    messages = set()
    for label, grants in (("app", {}), ("nowhere", {}), ("nowhere", {"nowhere": ferro.Grant()})):
        tenant = ferro.Tenant("x", grants=grants)
        with pytest.raises(ferro.DeniedError) as raised:
            await probe.call("ferro:test/notes#count", label, tenant=tenant)
        messages.add(str(raised.value).replace(f"`{label}`", "`…`"))
    assert len(messages) == 1


async def test_a_database_that_is_not_granted_is_named_with_those_that_are(
    probe: ferro.Plugin,
) -> None:
    tenant = ferro.Tenant("x", grants={"app": ferro.Grant()})
    with pytest.raises(ferro.DeniedError, match="`ap` is not granted .* it can open `app`"):
        await probe.call("ferro:test/notes#count", "ap", tenant=tenant)


async def test_output_becomes_lines_of_the_log(
    probe: ferro.Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ferro.guest")
    await probe.call("print", "one\ntwo\x1b[2J", "three", tenant=ferro.Tenant("writer"))
    lines = {(record.stream, record.getMessage()) for record in caplog.records}  # type: ignore[attr-defined]
    assert lines == {("stdout", "one"), ("stdout", "two\\u{1b}[2J"), ("stderr", "three")}
    assert {record.tenant for record in caplog.records} == {"writer"}  # type: ignore[attr-defined]


def test_s3_output_past_the_limit_is_dropped_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ferro.guest")
    output = Output("plugin", "tenant", 73)
    for _ in range(100):
        output.write("stdout", b"12345\n")
    output.close()
    messages = [record.getMessage() for record in caplog.records]
    assert messages[:1] == ["12345"]
    assert sum("log-bytes" in message for message in messages) == 1
    assert messages[-1] == "1234"
    # The end of a line counts for 64 bytes. What fits to the byte is no reason for a warning,
    # and no byte at all is one.
    for budget, written, expected in ((69, b"12345\n", 0), (69, b"12345\n1", 1), (0, b"1", 1)):
        caplog.clear()
        output = Output("plugin", "tenant", budget)
        for byte in written:
            output.write("stdout", bytes([byte]))
        assert sum("log-bytes" in record.getMessage() for record in caplog.records) == expected


async def test_y2_calls_of_many_threads_are_apart(atlas: ferro.Plugin) -> None:
    tenants = {
        iso: ferro.Tenant(
            iso,
            grants={
                "app": ferro.Grant(tables={"city": ferro.TableGrant(filters={"country": iso})})
            },
        )
        for iso in ("CH", "FR", "JP")
    }
    isos = list(tenants) * 8
    found = await asyncio.gather(
        *(atlas.call("top-cities", iso, 5, tenant=tenants[iso]) for iso in isos)
    )
    for iso, cities in zip(isos, found, strict=True):
        assert {it["country"] for it in cities} == {iso}


async def test_s6_what_is_no_plugin_is_refused_at_load(tmp_path: Path) -> None:
    refused: list[tuple[bytes, str]] = [
        (b"", "is not a WebAssembly component"),
        (b"hello", "is not a WebAssembly component"),
        (b"(component)", "in text form"),
        (b"\0asm\x01\0\0\0", "is a core module"),
        (b"\0asm\x0d\0\1\0garbage", "is not a valid component: [^\n]*$"),
        (b"\0asm\x0d\0\1\0", "does not export `ferro:orm/models`"),
        (b"\0" * (16 * 1024 * 1024 + 1), "is larger than"),
        (b"\x7fELF", "is machine code"),
    ]
    for code, message in refused:
        path = tmp_path / "plugin.wasm"
        path.write_bytes(code)
        with pytest.raises(ferro.ConfigurationError, match=message):
            await ferro.Plugin.load(path)
    with pytest.raises(ferro.ConfigurationError, match="cannot read"):
        await ferro.Plugin.load(tmp_path / "none.wasm")


async def test_s1_imports_that_are_not_granted_are_refused_at_load_by_name(tmp_path: Path) -> None:
    from wasmtime import wat2wasm

    async def importing(interface: str) -> ferro.Plugin:
        path = tmp_path / "importing.wasm"
        path.write_bytes(wat2wasm(f'(component (import "{interface}" (instance)))'))
        return await ferro.Plugin.load(path)

    for interface in (
        "wasi:filesystem/types@0.2.0",
        "wasi:sockets/tcp@0.2.0",
        "wasi:clocks/monotonic-clock@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "other:package/secrets",
        "ferro:orm/compiler@0.1.0",
    ):
        with pytest.raises(ferro.DeniedError, match=interface):
            await importing(interface)
    for interface in ("ferro:orm/database@0.2.0", "ferro:orm/database@1.1.0"):
        with pytest.raises(ferro.UnsupportedError, match=interface):
            await importing(interface)


async def test_a_later_patch_of_the_package_is_as_good(tmp_path: Path) -> None:
    path = tmp_path / "patched.wasm"
    path.write_bytes(component("ferro-test-probe").read_bytes().replace(b"@0.1.0", b"@0.1.9"))
    assert await (await ferro.Plugin.load(path)).call("greet", "you") == "hello you"


async def test_an_import_of_another_version_of_wasi_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "late.wasm"
    path.write_bytes(component("ferro-test-probe").read_bytes().replace(b"@0.2.6", b"@0.3.6"))
    with pytest.raises(ferro.UnsupportedError, match=r"^[^\n]*`wasi:io/poll@0.3.6`[^\n]*$"):
        await ferro.Plugin.load(path)


@pytest.mark.parametrize(
    ("hoard", "pages"), [("(table 300000000 funcref)", 1), ("(memory 1)", 1), ("", 65536)]
)
async def test_s3_tables_and_memories_are_bounded_together(
    tmp_path: Path, hoard: str, pages: int
) -> None:
    body = f"(core module $hoard {hoard}) (core instance (instantiate $hoard))"
    with pytest.raises(ferro.PluginTrap, match=r"exceed|limit"):
        await ferro.Plugin.load(write_plugin(tmp_path, body, pages))


def test_y1_an_error_that_looks_like_ferros_is_the_plugins_own() -> None:
    from ferro._plugins.export import _is_ferros

    absent = dict.fromkeys(("code", "constraint", "table", "column"))
    error: dict[str, Any] = {"kind": "busy", "message": "no", "retryable": True, **absent}
    assert _is_ferros(error)
    for other in ({"kind": ["busy"]}, {"message": 1}, {"more": 1}, {"kind": "mine"}):
        assert not _is_ferros({**error, **other})
    assert not _is_ferros({"kind": "busy", "retryable": True})


async def test_r1_a_plugin_with_raw_sql_needs_the_grant(tmp_path: Path) -> None:
    from wasmtime import wat2wasm

    code = wat2wasm('(component (import "ferro:orm/raw-sql@0.1.0" (instance)))')
    path = tmp_path / "raw.wasm"
    path.write_bytes(code)
    with pytest.raises(ferro.ConfigurationError, match="does not export"):
        await ferro.Plugin.load(path)


async def test_floats_that_are_no_numbers_cross_the_wall(atlas: ferro.Plugin) -> None:
    odd = [
        {**country("XA", "x", "ZZ", 3), "area": math.nan},
        {**country("XB", "x", "ZZ", 2), "area": math.inf},
        {**country("XC", "x", "ZZ", 1), "area": -math.inf},
    ]
    await atlas.call("import-countries", odd, tenant=EVERYTHING)
    nan, *rest = await atlas.call("largest-countries", "ZZ", 3, tenant=EVERYTHING)
    assert math.isnan(nan["area"])
    assert [row["area"] for row in rest] == [math.inf, -math.inf]


async def test_what_a_plugin_is_not_told_is_in_the_log(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await ferro.connect(url, "other")
    plugin = await load("ferro-example-atlas")
    with pytest.raises(ferro.DeniedError) as raised:
        await plugin.call("summary", tenant=EVERYTHING)
    assert "other" not in str(raised.value)
    await ferro.fetch_one("select 1", using="other")
    (record,) = (it for it in caplog.records if it.name == "ferro.native")
    assert record.levelno == logging.ERROR
    assert 'tenant="owner" database="app"' in record.getMessage()
    assert "`other`" in record.getMessage()
    await ferro.disconnect("other")


async def test_what_fails_for_a_tenant_does_not_fill_the_log(
    atlas: ferro.Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ferro.native")
    with pytest.raises(ferro.UniqueViolation):
        await atlas.call("import-countries", COUNTRIES, tenant=EVERYTHING)
    (record,) = (it for it in caplog.records if it.name == "ferro.native")
    assert record.levelno == logging.INFO
    assert "kind=unique-violation" in record.getMessage()


async def test_t1_a_misspelt_column_is_found_where_a_tenant_is_checked(atlas: ferro.Plugin) -> None:
    def of(*columns: str) -> ferro.Tenant:
        table = ferro.TableGrant(read={"except": list(columns)})
        return ferro.Tenant("acme", grants={"app": ferro.Grant(tables={"city": table})})

    atlas.check(of("population"))
    atlas.check({"name": "nobody"})
    with pytest.raises(ferro.ConfigurationError, match="names column `populaton`"):
        atlas.check(of("populaton"))
    missing = ferro.TableGrant(filters={"planet": "Mars"})
    with pytest.raises(ferro.ConfigurationError, match="`planet`"):
        atlas.check(ferro.Tenant("a", grants={"app": ferro.Grant(tables={"city": missing})}))
    # A call goes on: the plugin may do without a column that is hidden from it.
    await atlas.call("top-cities", "FR", 1, tenant=of("of_later"))
