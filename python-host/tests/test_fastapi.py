"""The example application, served by uvicorn and asked over HTTP."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import ferro

EXAMPLE = Path(__file__).parents[1] / "examples" / "fastapi_app"


@pytest.fixture
def server(url: str) -> Iterator[str]:
    """Where the application listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    package = str(Path(ferro.__file__).parents[1])
    options = ["--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "main:app", *options],
        cwd=EXAMPLE,
        env={**os.environ, "DATABASE_URL": url, "PYTHONPATH": package},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        output, _ = server.communicate(timeout=30)
    assert output == "", "it starts, serves and ends without a word"


@pytest.fixture
async def client(server: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server, timeout=30) as client:
        for _ in range(300):
            try:
                await client.get("/ready")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
        yield client


async def test_the_application_does_what_its_routes_say(client: httpx.AsyncClient) -> None:
    ready = await client.get("/ready")
    assert (ready.status_code, ready.json()["ok"]) == (200, True)

    made = await client.post("/notes", json={"title": "Groceries", "text": "milk"})
    note: dict[str, Any] = made.json()
    assert made.status_code == 201
    assert note == {"id": 1, "title": "Groceries", "text": "milk", "likes": 0}
    assert (await client.get("/notes/1")).json() == note
    assert (await client.post("/notes", json={"title": "Groceries"})).status_code == 409
    assert (await client.post("/notes", json={"title": ""})).status_code == 422
    assert (await client.get("/notes/2")).status_code == 404
    assert (await client.post("/notes/2/likes")).status_code == 404

    for too_large in (f"/notes/{2**64}", f"/notes?offset={2**64}"):
        assert (await client.get(too_large)).status_code == 422
    assert (await client.delete("/notes/1")).status_code == 204
    assert (await client.delete("/notes/1")).status_code == 404
    assert (await client.get("/notes")).json() == []


async def test_requests_at_once_share_the_pool_and_lose_nothing(
    client: httpx.AsyncClient,
) -> None:
    added = (client.post("/notes", json={"title": f"note {it:02}"}) for it in range(50))
    assert {made.status_code for made in await asyncio.gather(*added)} == {201}
    page = await client.get("/notes", params={"words": "note", "limit": 3, "offset": 1})
    assert [note["title"] for note in page.json()] == ["note 01", "note 02", "note 03"]
    number = page.json()[0]["id"]
    await asyncio.gather(*(client.post(f"/notes/{number}/likes") for _ in range(30)))
    assert (await client.get(f"/notes/{number}")).json()["likes"] == 30
    assert (await client.get("/notes")).json()[0]["id"] == number
    pool = (await client.get("/ready")).json()["connections"]["default"]["pool"]
    assert pool["size"] <= pool["max"] == 10
