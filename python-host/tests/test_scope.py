"""Scopes: every query of a block is a tenant's."""

from __future__ import annotations

import asyncio
import datetime
import enum
import gc
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

import ferro
from ferro import BackRef, ForeignKey, Relation
from ferro._tables.registry import registry
from ferro._tables.table import table_of

pytestmark = pytest.mark.usefixtures("db")


class Folder(ferro.Model, table="scope_folder"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    tenant: int = 0
    files: Relation[list[File]] = BackRef()


class File(ferro.Model, table="scope_file"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    tenant: int = 0
    name: str
    folder: Relation[Folder] = ForeignKey(related_name="files")


class Account(ferro.Model, table="scope_account"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    tenant: int
    name: str = ""
    version: int = ferro.Field(default=1, version=True)


class Visibility(enum.Enum):
    PUBLIC = "public"
    PRIVATE = "private"


class Weight(enum.IntEnum):
    LIGHT = 1
    HEAVY = 2


class Sheet(ferro.Model, table="scope_sheet"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    text: str
    visibility: Visibility
    weight: Weight
    number: uuid.UUID
    price: Decimal


def tenant(number: int, **options: Any) -> ferro.Tenant:
    rights = {"insert": True, "update": True, "delete": True, "filters": {"tenant": number}}
    tables = {"scope_folder": rights, "scope_file": rights, "scope_account": rights}
    grant = ferro.Grant(access="read-write", tables=tables, **options)
    return ferro.Tenant(f"tenant {number}", grants={"default": grant})


async def files(*tenants: int) -> None:
    for number in tenants:
        folder = await Folder.create(tenant=number)
        await File.create(tenant=number, name=f"file of {number}", folder=folder)


async def test_t2_reads_yield_only_rows_in_scope() -> None:
    await files(1, 2)
    with ferro.scope(tenant(1)):
        assert [file.name for file in await File.all()] == ["file of 1"]
        assert await File.select().count() == 1
        assert not await File.where(tenant=2).exists()
        assert await File.select().max("tenant") == 1
        (folder,) = await Folder.select().include("files")
        assert [file.name for file in folder.files] == ["file of 1"]
        assert (await (await File.get(1)).folder).tenant == 1
        with pytest.raises(ferro.DoesNotExist):
            await File.get(2)
    assert await File.select().count() == 2


async def test_t2_windows_have_only_rows_in_scope() -> None:
    await files(1, 2)
    await files(1)
    numbers = File.select(
        n=ferro.count().over(),
        before=ferro.lag(File.tenant).over(order_by=File.id),
        around=ferro.count().over(order_by=File.id, rows=(-1, 1)),
    )
    with ferro.scope(tenant(1)):
        assert await numbers.order_by("id") == [
            {"n": 2, "before": None, "around": 2},
            {"n": 2, "before": 1, "around": 2},
        ]


async def test_t2_joined_texts_are_of_rows_in_scope_only() -> None:
    await files(1, 2)
    await files(1)
    names: Any = File.name
    joined = File.select(
        names=names.string_agg(", ", order_by=File.id), all=names.array_agg(order_by=File.id)
    )
    with ferro.scope(tenant(1)):
        assert await joined == [{"names": "file of 1, file of 1", "all": ["file of 1"] * 2}]


async def test_t2_a_limit_for_each_row_counts_rows_in_scope_only() -> None:
    folder = await Folder.create(tenant=1)
    for number in (1, 2, 1, 2, 1):
        await File.create(tenant=number, name=f"file of {number}", folder=folder)
    some = File.select().order_by("-id").limit(2)
    with ferro.scope(tenant(1)):
        (folder,) = await Folder.select().include(files=some)
        assert [file.tenant for file in folder.files] == [1, 1]
        (folder,) = await Folder.select().include(files=some.offset(2))
        assert [file.tenant for file in folder.files] == [1]
    with ferro.scope(tenant(2)):
        assert await Folder.select().include(files=some) == []


async def test_t2_rows_that_a_query_gives_are_read_and_written_in_scope() -> None:
    await files(1, 2)
    with ferro.scope(tenant(1)):
        assert await File.insert_from(File.select("name", "folder_id")) == 1
        assert await File.select().count() == 2
    assert await File.where(tenant=2).count() == 1


async def test_t2_pages_have_only_rows_in_scope() -> None:
    await files(1, 2, 1, 2)
    query = File.select().order_by("-tenant").limit(1)
    outside = await query.page()
    with ferro.scope(tenant(1)):
        page = await query.page_after(str(outside.end))
        assert ([it.tenant for it in page.rows], page.more) == ([1], True)
        assert page.end is not None
        page = await query.page_after(page.end)
        assert ([it.tenant for it in page.rows], page.more) == ([1], False)
    with ferro.scope(tenant(2)):
        assert (await query.page_after(str(page.end))).rows == []


async def test_t1_pages_are_not_ordered_by_what_may_not_be_read() -> None:
    await files(1)
    rights = {"read": {"except": ["name"]}}
    grant = ferro.Grant(tables={"scope_file": rights})
    with (
        ferro.scope(ferro.Tenant("no names", grants={"default": grant})),
        pytest.raises(ferro.DeniedError, match="`name`"),
    ):
        await File.select().order_by("name").page()


async def test_t4_writes_reach_only_rows_in_scope() -> None:
    await files(1, 2)
    outside = await File.get(2)
    with ferro.scope(tenant(1)):
        assert await File.select().update(name="changed") == 1
        assert (await File.create(tenant=1, name="new", folder_id=1)).tenant == 1
        with pytest.raises(ferro.DeniedError):
            await File.create(tenant=2, name="stolen", folder_id=1)
        with pytest.raises(ferro.DoesNotExist):
            await outside.delete()
        assert await File.select().delete() == 2
    assert [file.name for file in await File.all()] == ["file of 2"]


async def test_t4_a_version_tells_nothing_of_rows_outside_of_the_scope() -> None:
    await Account.bulk_create([Account(tenant=1), Account(tenant=2)])
    own, other = await Account.select().order_by("tenant")
    await Account.select().update(name="changed")
    own.name = other.name = "mine"
    with ferro.scope(tenant(1)):
        with pytest.raises(ferro.StaleObjectError):
            await own.save()
        with pytest.raises(ferro.DoesNotExist):
            await other.save()
        with pytest.raises(ferro.DoesNotExist):
            await other.delete()
        with pytest.raises(ferro.StaleObjectError):
            await Account.bulk_update([own])
        for rows in ([other], [own, other]):
            with pytest.raises(ferro.DoesNotExist):
                await Account.bulk_update(rows)
        await own.refresh()
        own.name = "mine"
        await own.save()
    found = await Account.select("name", "version").order_by("tenant")
    assert found == [{"name": "mine", "version": 3}, {"name": "changed", "version": 2}]


async def test_t4_a_version_counts_only_where_a_scope_lets_it_be_written() -> None:
    await Account.create(tenant=1)
    for rights in ({"write": ["name"]}, {"filters": {"version": 1}}):
        table: dict[str, Any] = {"update": True, **rights}
        grant = ferro.Grant(access="read-write", tables={"scope_account": table})
        with ferro.scope(ferro.Tenant("no version", grants={"default": grant})):
            (row,) = await Account.all()
            row.name = "changed"
            for write in (row.save(), Account.select().update(name="changed")):
                with pytest.raises(ferro.DeniedError, match="`version` of `Account` may not be"):
                    await write
    assert await Account.select("name", "version") == [{"name": "", "version": 1}]


async def test_t4_upserts_that_compute_or_ask_reach_only_rows_in_scope() -> None:
    await Account.bulk_create([Account(tenant=1), Account(tenant=2)])
    own, other = await Account.select().order_by("tenant")
    taking: dict[str, Any] = {"conflict": "id", "update": {"name": ferro.excluded(Account.name)}}
    with ferro.scope(tenant(1)):
        with pytest.raises(ferro.UniqueViolation):
            await Account.upsert(id=other.id, name="stolen", **taking)
        with pytest.raises(ferro.UniqueViolation):
            await Account.upsert(
                id=other.id, name="stolen", **taking, only_if=ferro.col(Account.tenant) > 0
            )
        rows = [Account(id=it.id, tenant=1, name="new") for it in (own, other)]
        with pytest.raises(ferro.UniqueViolation):
            await Account.bulk_upsert(rows, **taking)
        assert await Account.bulk_upsert(rows, **taking, only_if=lambda a: a.tenant != 3) == 1
        with pytest.raises(ferro.DeniedError):
            await Account.upsert(id=own.id, conflict="id", update={"tenant": 2})
    rows = await Account.select("tenant", "name").order_by("tenant")
    assert rows == [{"tenant": 1, "name": "new"}, {"tenant": 2, "name": ""}]


async def test_t4_writes_that_give_rows_back_reach_only_rows_in_scope() -> None:
    await files(1, 2)
    with ferro.scope(tenant(1)):
        (file,) = await File.select().update_returning(name="changed")
        assert (file.tenant, file.name) == (1, "changed")
        assert await File.where(tenant=2).update_returning(name="stolen") == []
        assert await File.where(id=2).delete_returning() == []
        assert [it.id for it in await File.select().delete_returning()] == [file.id]
    assert [file.name for file in await File.all()] == ["file of 2"]


async def test_t1_a_write_gives_no_column_back_that_may_not_be_read() -> None:
    await files(1)
    rights = {"update": True, "delete": True, "read": {"except": ["name"]}}
    grant = ferro.Grant(access="read-write", tables={"scope_file": rights})
    with ferro.scope(ferro.Tenant("no names", grants={"default": grant})):
        with pytest.raises(ferro.DeniedError, match="`name`"):
            await File.select().update_returning(folder_id=1, tenant=3)
        with pytest.raises(ferro.DeniedError, match="`name`"):
            await File.select().delete_returning()
    assert await File.where(tenant=1).count() == 1


async def test_transactions_and_tasks_inside_are_in_scope() -> None:
    await files(1, 2)
    with ferro.scope(tenant(2)):
        async with ferro.transaction():
            assert await File.select().count() == 1
        assert await asyncio.create_task(File.select().count()) == 1
    async with ferro.transaction():
        with (
            ferro.scope(tenant(2)),
            pytest.raises(ferro.TransactionError, match="has one scope"),
        ):
            await File.select().count()
        assert await File.select().count() == 2


async def test_t2_a_model_that_is_imported_in_a_transaction_is_in_its_scope(dialect: str) -> None:
    key = "integer primary key" if dialect == "sqlite" else "serial primary key"
    await ferro.execute(f"create table scope_later (id {key}, tenant integer)")
    await ferro.execute("insert into scope_later (tenant) values (1), (2)")
    rights = {"filters": {"tenant": 1}}
    for tables, seen in (({"scope_later": rights}, [1]), ({"scope_file": rights}, None)):
        grants = {"default": ferro.Grant(tables=tables)}
        with ferro.scope(ferro.Tenant("one", grants=grants)):
            async with ferro.transaction() as transaction:

                class Later(ferro.Model, table="scope_later"):
                    id: int | None = ferro.Field(default=None, primary_key=True)
                    tenant: int

                try:
                    if seen is None:
                        with pytest.raises(ferro.DeniedError, match="no model `Later`"):
                            await Later.all()
                    else:
                        rows = await Later.using(transaction).all()
                        assert [row.tenant for row in rows] == seen
                finally:
                    registry.remove(table_of(Later))


async def test_scopes_of_tasks_are_apart_and_many_queries_run_in_one() -> None:
    await files(1, 2, 3)

    async def names(number: int) -> set[str]:
        with ferro.scope(tenant(number)):
            found = await asyncio.gather(*(File.all() for _ in range(50)))
        return {file.name for rows in found for file in rows}

    assert await asyncio.gather(names(1), names(2), names(3)) == [
        {"file of 1"},
        {"file of 2"},
        {"file of 3"},
    ]


async def test_t2_tasks_that_share_a_scope_leave_it_each_for_their_own() -> None:
    await files(1, 2, 3)
    one, two = ferro.scope(tenant(1)), ferro.scope(tenant(2))
    is_in, is_in_too = asyncio.Event(), asyncio.Event()

    async def names() -> list[str]:
        return [file.name for file in await File.select().order_by("id")]

    async def first() -> None:
        with one:
            is_in.set()
            await is_in_too.wait()
        assert len(await names()) == 3

    async def second() -> None:
        await is_in.wait()
        with two:
            with one:
                is_in_too.set()
                await asyncio.sleep(0.01)
                assert await names() == ["file of 1"]
            assert await names() == ["file of 2"]
        assert len(await names()) == 3

    await asyncio.gather(first(), second())


async def test_t2_a_generator_that_leaves_a_scope_leaves_others_as_they_are() -> None:
    await files(1, 2)

    def entered() -> Iterator[None]:
        with ferro.scope(tenant(1)):
            yield

    generator = entered()
    next(generator)
    with ferro.scope(tenant(2)):
        generator.close()
        assert [file.name for file in await File.all()] == ["file of 2"]
    assert await File.select().count() == 2


async def test_t2_the_scope_of_a_generator_that_was_left_ends_when_it_is_closed() -> None:
    await files(1, 2)

    async def seen() -> AsyncIterator[str]:
        with ferro.scope(tenant(1)):
            for file in await File.all():
                yield file.name

    async def leave() -> None:
        async for _ in seen():
            break
        # The collector has it closed by another task.
        gc.collect()
        await asyncio.sleep(0.01)

    await leave()
    assert await File.select().count() == 2
    with ferro.scope(tenant(2)):
        await leave()
        assert [file.name for file in await File.all()] == ["file of 2"]


async def test_t2_what_closes_the_generator_of_another_task_takes_no_scope_from_others() -> None:
    await files(1, 2)
    shared = ferro.scope(tenant(1))
    left = asyncio.Event()

    async def entered() -> AsyncIterator[None]:
        with shared:
            yield

    async def one() -> None:
        with shared:
            await left.wait()
            assert await File.select().count() == 1

    async def other() -> None:
        generator = entered()
        await anext(generator)
        await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]
        left.set()

    await asyncio.gather(one(), other())


async def test_t2_a_task_that_outlives_a_scope_stays_in_it() -> None:
    await files(1, 2)
    is_left = asyncio.Event()

    async def later() -> int:
        await is_left.wait()
        return await asyncio.create_task(File.select().count())

    with ferro.scope(tenant(1)):
        task = asyncio.create_task(later())
    is_left.set()
    assert await task == 1
    assert await File.select().count() == 2


async def test_r1_sql_text_is_refused_unless_it_is_granted() -> None:
    with ferro.scope(tenant(1)), pytest.raises(ferro.DeniedError, match="raw-sql"):
        await ferro.fetch_all("select 1 as one")


async def test_t2_a_connection_that_requires_a_scope_does_nothing_outside_of_one(db: str) -> None:
    await files(1, 2)
    row, other = await File.get(1), await File.get(2)
    await ferro.disconnect()
    await ferro.connect(db, require_scope=True, auto_migrate=True)
    await ferro.connect(db, "admin")

    async def stream() -> None:
        async for _ in File.select().stream():
            pass

    async def begin() -> None:
        async with ferro.transaction():
            pass

    outside: list[Callable[[], Awaitable[Any]]] = [
        lambda: File.all(),
        lambda: File.select().count(),
        lambda: File.select().explain(),
        lambda: File.create(name="new", folder_id=1),
        lambda: File.bulk_create([File(name="new", folder_id=1)]),
        lambda: File.get_or_create({"name": "new", "folder_id": 1}, id=1),
        lambda: File.select().update(name="new"),
        lambda: File.select().delete(),
        lambda: File(name="new", folder_id=1).save(),
        lambda: row.refresh(),
        lambda: row.delete(),
        lambda: _resolved(row.folder),
        lambda: ferro.execute("delete from scope_file"),
        lambda: ferro.fetch_all("select * from scope_file"),
        lambda: ferro.fetch_one("select * from scope_file"),
        stream,
        begin,
    ]
    for operation in outside:
        with pytest.raises(ferro.DeniedError, match=r"`default` requires a scope.*ferro\.scope"):
            await operation()
    with ferro.scope(tenant(1)):
        assert [file.name for file in await File.all()] == ["file of 1"]
        async with ferro.transaction():
            await row.refresh()
        with pytest.raises(ferro.DoesNotExist):
            await other.refresh()
    assert await File.using("admin").select().count() == 2

    # The next one under that name is as it is told.
    await ferro.disconnect()
    await ferro.connect(db)
    assert await File.select().count() == 2


async def _resolved(awaitable: Any) -> Any:
    return await awaitable


async def test_tables_are_neither_created_nor_changed_in_a_scope() -> None:
    for operation in (
        lambda: ferro.create_tables(),
        lambda: ferro.migrate(),
        lambda: ferro.migrate(dry_run=True),
    ):
        with (
            ferro.scope(tenant(1)),
            pytest.raises(ferro.DeniedError, match=r"inside `ferro\.scope`.*outside scopes"),
        ):
            await _resolved(operation())
        await _resolved(operation())


async def test_a_database_that_is_not_granted_is_denied() -> None:
    await ferro.connect("sqlite::memory:", "other", auto_migrate=True)
    with ferro.scope(tenant(1)), pytest.raises(ferro.DeniedError):
        await File.using("other").all()


async def test_an_error_names_a_connection_only_if_it_was_named() -> None:
    await ferro.connect("sqlite::memory:", "other")
    for given, can_open in ({"other": ferro.Grant()}, "`other`"), ({}, "nothing"):
        with ferro.scope(ferro.Tenant("x", grants=given)):
            told = f"not granted to this tenant, or not connected: it can open {can_open}"
            for operation in (File.all(), ferro.transaction().__aenter__()):
                with pytest.raises(ferro.DeniedError, match=f"^the default database is {told}"):
                    await operation
            with pytest.raises(ferro.DeniedError, match=f"^the database `default` is {told}"):
                await File.using("default").all()
            async with ferro.connection_context("default"):
                with pytest.raises(ferro.DeniedError, match=f"^the database `default` is {told}"):
                    await File.all()


async def test_a_grant_that_does_not_fit_the_models_is_refused() -> None:
    wrong = ferro.Grant(tables={"scope_file": ferro.TableGrant(filters={"tennant": 1})})
    with (
        ferro.scope(ferro.Tenant("x", grants={"default": wrong})),
        pytest.raises(ferro.ConfigurationError, match="tennant"),
    ):
        await File.all()
    with pytest.raises(ferro.ConfigurationError, match="takes a `ferro.Tenant`"):
        ferro.scope("acme")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tenant", "key", "fault"),
    [
        ({"limits": {"rows": 5, "rowz": 1}}, "limits.rowz", "unknown field `rowz`, expected"),
        ({"grants": {"default": {"acces": "x"}}}, "grants.default.acces", "unknown field"),
        ({"grants": {"default": {"access": "all"}}}, "grants.default.access", "unknown variant"),
        ({"grants": {"grün": {}, 'a"b\n': 5}}, 'grants.a\\"b\\n', "invalid type: integer `5`"),
        ({"grants": {"grün": {"role": 5}}}, "grants.grün.role", "invalid type: integer `5`"),
        ({"grants": {"a": {"search-path": ["b", 5]}}}, "grants.a.search-path[1]", "invalid type"),
        (
            {"grants": {"a": {"tables": {"t": {"read": {"but": []}}}}}},
            "grants.a.tables.t.read",
            "columns",
        ),
        ({"grants": {"a": {}}, "limit": {}}, "limit", "unknown field"),
        ({"grants": []}, "grants", "invalid type: sequence"),
    ],
)
async def test_a_fault_of_a_tenant_is_told_by_the_keys_that_lead_to_it(
    tenant: dict[str, Any], key: str, fault: str
) -> None:
    with ferro.scope({"name": "x", **tenant}), pytest.raises(ferro.ConfigurationError) as info:
        await File.all()
    message = str(info.value)
    assert message.startswith(f"`{key}` of a tenant: {fault}")
    assert "at line" not in message
    with ferro.scope({}), pytest.raises(ferro.ConfigurationError, match="^not a valid tenant: "):
        await File.all()


async def test_y4_objects_of_scopes_are_apart() -> None:
    await files(1, 2)
    async with ferro.session():
        everything = await File.get(1)
        with ferro.scope(tenant(1)):
            assert await File.get(1) is not everything


async def test_a_column_that_a_scope_hides_leaves_values_and_no_instances() -> None:
    await files(1)
    rights = ferro.TableGrant(read={"except": ["name"]})
    grants = {"default": ferro.Grant(tables={"scope_file": rights})}
    with ferro.scope(ferro.Tenant("half-blind", grants=grants)):
        assert await File.select().values("id", "tenant") == [{"id": 1, "tenant": 1}]
        with pytest.raises(
            ferro.DeniedError, match="may not read `name` of `scope_file`.*`values`"
        ):
            await File.all()


async def test_the_statement_of_a_query_under_a_scope_is_not_shown() -> None:
    with ferro.scope(tenant(1)):
        for show in (File.select().explain, File.select().sql):
            with pytest.raises(ferro.UnsupportedError, match="stay with the gate"):
                result = show()
                await result  # type: ignore[misc]
    assert File.select().sql()[1] == ()


async def test_t4_rows_of_another_tenant_are_in_the_way_of_all_rows_of_an_upsert() -> None:
    await files(1, 2)
    (own,) = await File.where(tenant=1)
    (other,) = await File.where(tenant=2)
    with ferro.scope(tenant(1)):
        rows = [
            File(id=own.id, tenant=1, name="new", folder_id=own.folder_id),  # type: ignore[call-arg, attr-defined]
            File(id=other.id, tenant=1, name="new", folder_id=own.folder_id),  # type: ignore[call-arg, attr-defined]
        ]
        with pytest.raises(ferro.UniqueViolation, match="is taken by a row that does not match"):
            await File.bulk_upsert(rows, conflict="id")
        assert await File.bulk_upsert(rows[:1], conflict="id") == 1
    assert {it.id: it.name for it in await File.all()} == {own.id: "new", other.id: "file of 2"}


_ONE, _TWO = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.mark.parametrize(
    "filters",
    [
        {"text": {"not-equal": {"private"}}},
        {"text": {"not-equal": frozenset(["private"])}},
        {"text": {"not-equal": ("private",)}},
        {"text": {"not-equal": {"private": None}.keys()}},
        {"text": {"not-equal": Visibility.PRIVATE}},
        {"text": {"public"}},
        {"visibility": {"not-equal": [Visibility.PRIVATE]}},
        {"visibility": Visibility.PUBLIC},
        {"weight": {"not-equal": {Weight.HEAVY}}},
        {"number": {"not-equal": _TWO}},
        {"number": {_ONE}},
        {"price": {"not-equal": Decimal("2.00")}},
        {"price": [Decimal(1)]},
    ],
)
async def test_t6_filters_take_sets_enums_uuids_and_whole_decimals(filters: dict[str, Any]) -> None:
    public, private = Visibility.PUBLIC, Visibility.PRIVATE
    for text, visibility, weight, number in (
        ("public", public, Weight.LIGHT, _ONE),
        ("private", private, Weight.HEAVY, _TWO),
    ):
        price = Decimal(int(weight))
        await Sheet.create(
            text=text, visibility=visibility, weight=weight, number=number, price=price
        )
    table = ferro.TableGrant(filters=filters)
    in_classes = ferro.Tenant("x", grants={"default": ferro.Grant(tables={"scope_sheet": table})})
    tables = {"scope_sheet": {"filters": filters}}
    as_a_file = {"name": "x", "grants": {"default": {"tables": tables}}}
    for granted in (in_classes, as_a_file):
        with ferro.scope(granted):
            assert [it["text"] for it in await Sheet.select("text")] == ["public"]


@pytest.mark.parametrize(
    "value",
    [
        datetime.date(2026, 1, 1),
        datetime.datetime(2026, 1, 1),
        b"private",
        Decimal("1.5"),
        Decimal("NaN"),
        object(),
        Visibility,
        {1: 2},
    ],
)
async def test_t6_a_value_that_no_filter_takes_is_refused_and_becomes_no_text(
    value: object,
) -> None:
    for operand in (value, [value], {"not-equal": [value]}):
        table = ferro.TableGrant(filters={"text": operand})
        grants = {"default": ferro.Grant(tables={"scope_sheet": table})}
        with pytest.raises(
            ferro.ConfigurationError,
            match=r"`grants\.default\.tables\.scope_sheet\.filters\.text.*` of a tenant: ",
        ):
            ferro.scope(ferro.Tenant("x", grants=grants))


def test_the_settings_of_a_grant_are_not_in_its_repr() -> None:
    assert "hunter2" not in repr(ferro.Grant(settings={"app.secret": "hunter2"}))
