"""What the package has for tests of applications."""

from __future__ import annotations

import asyncio
import os
import re
from urllib.parse import urlsplit

import pytest

import ferro
from conftest import on_server
from ferro.testing import new_database, rolled_back
from models import User


@pytest.mark.usefixtures("db")
class TestRolledBack:
    async def test_nothing_is_left_of_a_block(self) -> None:
        async with rolled_back() as transaction:
            ada = await User.create(name="Ada")
            assert await User.using(transaction).select().count() == 1
        assert await User.select().count() == 0
        await ada.save()
        assert await User.select().count() == 1

    async def test_it_is_a_decorator_of_a_test_with_arguments(self) -> None:
        @rolled_back()
        async def test(name: str) -> int:
            await User.create(name=name)
            return await User.select().count()

        assert [await test("Ada"), await test(name="Ben")] == [1, 1]
        assert await User.select().count() == 0

    async def test_transactions_inside_are_savepoints(self) -> None:
        async with rolled_back():
            await User.create(name="Ada", email="ada@example.org")
            with pytest.raises(ferro.UniqueViolation):
                async with ferro.transaction():
                    await User.create(name="Ben")
                    await User.create(name="Eve", email="ada@example.org")
            async with ferro.transaction():
                await User.create(name="Cyd")
            async with rolled_back():
                await User.create(name="Dan")
            assert await User.select().count() == 2
        assert await User.select().count() == 0

    async def test_what_a_test_raises_comes_out(self) -> None:
        with pytest.raises(ZeroDivisionError):
            async with rolled_back():
                await User.create(name="Ada")
                raise ZeroDivisionError
        assert await User.select().count() == 0

    async def test_the_application_may_roll_it_back_itself(self) -> None:
        async with rolled_back() as transaction:
            await User.create(name="Ada")
            await transaction.rollback()
        assert await User.select().count() == 0

    async def test_another_connection_is_named(self) -> None:
        await ferro.connect("sqlite::memory:", "other", auto_migrate=True)
        async with rolled_back(using="other") as transaction:
            assert transaction.label == "other"
            await User.using("other").create(name="Ada")
        assert await User.using("other").select().count() == 0

    def test_a_decorator_without_a_call_is_an_error(self) -> None:
        with pytest.raises(TypeError, match="takes 0 positional arguments"):
            rolled_back(test_a_server_is_one_of_postgres)  # type: ignore[call-arg]


async def databases(url: str) -> set[str]:
    await ferro.connect(url, "asking")
    found = await ferro.fetch_all("select datname from pg_database", using="asking")
    await ferro.disconnect("asking")
    return {it["datname"] for it in found}


@pytest.mark.parametrize("dialect", ["postgres"], indirect=True)
class TestNewDatabase:
    async def test_it_is_empty_and_goes_with_those_that_are_connected(self, url: str) -> None:
        async with new_database(url + "?application_name=tests") as other:
            assert other.endswith("?application_name=tests")
            await ferro.connect(other, "other", auto_migrate=True)
            assert await User.using("other").select().count() == 0
            name = urlsplit(other).path[1:]
            assert name in await databases(url)
        assert name not in await databases(url)
        ferro.reset_engine()

    async def test_it_goes_when_a_test_fails(self, url: str) -> None:
        with pytest.raises(ZeroDivisionError):
            async with new_database(url) as other:
                raise ZeroDivisionError
        assert urlsplit(other).path[1:] not in await databases(url)

    async def test_two_are_apart_and_connections_stay(self, url: str) -> None:
        await ferro.connect(url, auto_migrate=True)
        async with new_database(url) as one, new_database(url) as two:
            assert len({url, one, two}) == 3
            assert await User.select().count() == 0
        assert (await ferro.health())["connections"].keys() == {"default"}

    async def test_it_goes_whenever_a_test_is_cancelled(self, url: str) -> None:
        async def test() -> None:
            async with new_database(url):
                await asyncio.sleep(60)

        before = await databases(url)
        for steps in (1, 2, 4, 8, 16, 32, 64, 128):
            task = asyncio.ensure_future(test())
            for _ in range(steps):
                await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await databases(url) <= before

    async def test_a_url_may_name_its_database_otherwise(self, url: str) -> None:
        parts = urlsplit(url)
        query = f"dbname={parts.path[1:]}&application_name=tests"
        async with new_database(parts._replace(path="/", query=query).geturl()) as other:
            assert re.search(r"/test_\w+\?application_name=tests$", other)
            await ferro.connect(other, "other")
            await ferro.disconnect("other")

    async def test_inside_of_blocks_there_is_none(self, url: str) -> None:
        await ferro.connect(url)
        tenant = ferro.Tenant("acme", grants={"default": {"access": "read-write"}})
        with ferro.scope(tenant), pytest.raises(ferro.DeniedError, match="a database cannot be"):
            async with new_database(url):
                pass
        async with rolled_back():
            with pytest.raises(ferro.TransactionError, match="a database cannot be created: this"):
                async with new_database(url):
                    pass

    async def test_who_may_not_create_one_is_told(self, url: str) -> None:
        role = f"nobody_{os.getpid()}"
        await on_server(f"create role {role} login password 'x'")
        try:
            parts = urlsplit(url)
            host = parts.netloc.rpartition("@")[2]
            with pytest.raises(ferro.DeniedError, match="create database"):
                async with new_database(parts._replace(netloc=f"{role}:x@{host}").geturl()):
                    pass
        finally:
            await on_server(f"drop role {role}")


async def test_a_server_is_one_of_postgres() -> None:
    for wrong in ("sqlite::memory:", "sqlite:app.db", "localhost/app"):
        with pytest.raises(ferro.ConfigurationError, match="takes the URL of a server"):
            async with new_database(wrong):
                pass
    with pytest.raises(ferro.ConfigurationError, match="`server` takes a `str`"):
        async with new_database(None):  # type: ignore[arg-type]
            pass
