"""Blocks around a whole request: what a middleware opens, and whether it holds in the endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware

import ferro

pytestmark = pytest.mark.usefixtures("db")


class Parcel(ferro.Model, table="middleware_parcel"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    owner: str


async def ask(method: str, around: Any, plain: bool) -> Any:
    """The answer of an application of two routes, with a middleware that runs them in `around`."""
    app = FastAPI()

    @app.get("/")
    async def owners() -> list[str]:
        return [it.owner for it in await Parcel.select().order_by("id")]

    @app.post("/")
    async def add() -> int:
        await Parcel.create(owner="new")
        return await Parcel.select().count()

    if plain:

        class Plain:
            def __init__(self, app: Any) -> None:
                self._app = app

            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                async with around():
                    await self._app(scope, receive, send)

        app.add_middleware(Plain)
    else:

        async def dispatch(request: Any, call_next: Any) -> Any:
            async with around():
                return await call_next(request)

        app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return (await client.request(method, "/")).json()


@pytest.mark.parametrize("plain", [True, False])
async def test_a_scope_holds_for_the_endpoint(plain: bool) -> None:
    await Parcel.bulk_create([Parcel(owner="acme"), Parcel(owner="other")])
    tables = {"middleware_parcel": ferro.TableGrant(filters={"owner": "acme"})}
    acme = ferro.Tenant("acme", grants={"default": ferro.Grant(tables=tables)})

    @asynccontextmanager
    async def around() -> AsyncIterator[None]:
        with ferro.scope(acme):
            yield

    assert await ask("GET", around, plain) == ["acme"]
    assert await ask("GET", ferro.session, plain) == ["acme", "other"]


@pytest.mark.parametrize("plain", [True, False])
async def test_a_transaction_holds_for_an_endpoint_of_its_own_task_only(plain: bool) -> None:
    @asynccontextmanager
    async def undone() -> AsyncIterator[None]:
        with suppress(ZeroDivisionError):
            async with ferro.transaction():
                yield
                raise ZeroDivisionError

    assert await ask("POST", undone, plain) == 1
    assert await Parcel.select().count() == (0 if plain else 1)
