"""The SQL of `docs/security.md` does what the page says, as it stands there."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

import ferro
from conftest import on_server

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
TABLES = (
    "create table customer (id bigint primary key, tenant_id bigint not null, "
    "unique (tenant_id, id))",
    "create table invoice (id bigint primary key, tenant_id bigint not null, cents bigint, "
    "customer_id bigint references customer on delete cascade)",
)
NUMBERS = "select id from invoice order by id"


def statements(role: str, database: str) -> list[str]:
    blocks = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    text = re.sub(r"^--.*\n", "", "".join(blocks), flags=re.M)
    text = text.replace("DATABASE shop", f'DATABASE "{database}"')
    return [it.strip() for it in re.sub(r"\bacme\b", role, text).split(";\n") if it.strip()]


@pytest.fixture(params=["postgres"])
def dialect(request: pytest.FixtureRequest) -> str:
    param: str = request.param
    return param


@pytest.fixture
async def role(url: str) -> AsyncIterator[str]:
    """The tenant's role, in a database that was set up as the page says."""
    role = f"acme_{uuid.uuid4().hex}"
    await ferro.connect(url, "owner")
    for table in TABLES:
        await ferro.execute(table, using="owner")
    await ferro.execute("insert into invoice values (1, 42, 5), (2, 43, 6)", using="owner")
    try:
        for statement in statements(role, urlsplit(url).path[1:]):
            await ferro.execute(statement, using="owner")
        yield role
    finally:
        await ferro.disconnect_all()
        await on_server(f'drop database "{urlsplit(url).path[1:]}" with (force)')
        await on_server(f"drop role if exists {role}")


async def connect(url: str, role: str) -> None:
    server = urlsplit(url)
    place = f"{role}:change%20me@{server.netloc.rpartition('@')[2]}"
    await ferro.connect(urlunsplit(server._replace(netloc=place)), "tenant")


async def test_sql_text_of_a_tenant_sees_what_its_role_may_see(url: str, role: str) -> None:
    await connect(url, role)
    tenant = ferro.Tenant(role, grants={"tenant": ferro.Grant(raw_sql=True, role=role)})
    with ferro.scope(tenant):
        assert await ferro.fetch_all(NUMBERS, using="tenant") == [{"id": 1}]
        for refused in (
            "select set_config('app.tenant', '43', true)",
            "select pg_cancel_backend(1)",
            "select lo_creat(0)",
            "select pg_notify('a', 'b')",
            "select pid, query from pg_stat_activity",
            "select n_live_tup from pg_stat_user_tables",
            "select 1 from pg_advisory_lock(439788663407)",
            "select pg_try_advisory_xact_lock_shared(1, 2)",
            "select mode from pg_locks",
            "select 1 from pg_logical_emit_message(false, 'a', 'b')",
            "select qual from pg_policies",
            "select polname from pg_policy",
        ):
            with pytest.raises(ferro.DeniedError):
                await ferro.fetch_all(refused, using="tenant")


async def test_a_setting_of_the_grant_is_a_second_guard(url: str, role: str) -> None:
    await ferro.execute(f"drop policy {role} on invoice", using="owner")
    await connect(url, role)
    for number, rows in ((42, [{"id": 1}]), (43, [{"id": 2}])):
        grant = ferro.Grant(raw_sql=True, role=role, settings={"app.tenant": str(number)})
        with ferro.scope(ferro.Tenant(role, grants={"tenant": grant})):
            assert await ferro.fetch_all(NUMBERS, using="tenant") == rows
    assert await ferro.fetch_all(NUMBERS, using="tenant") == []


async def test_an_invoice_is_for_a_customer_of_its_tenant(url: str, role: str) -> None:
    await ferro.execute("insert into customer values (1, 42), (2, 43)", using="owner")
    await ferro.execute("insert into invoice values (3, 42, 7, 1)", using="owner")
    with pytest.raises(ferro.ForeignKeyViolation):
        await ferro.execute("insert into invoice values (4, 42, 8, 2)", using="owner")
    await ferro.execute("delete from customer", using="owner")
    assert await ferro.fetch_all(NUMBERS, using="owner") == [{"id": 1}, {"id": 2}]
