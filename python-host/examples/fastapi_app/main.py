"""Notes over HTTP: a whole application with FastAPI and ferro.

Start it with `uvicorn main:app` in this folder. `DATABASE_URL` names the database; without it the
notes are in `notes.db` beside it.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

import ferro


class Note(ferro.Model, table="note"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    title: str = ferro.Field(unique=True, min_length=1, max_length=80)
    text: str = ""
    likes: int = 0


class NewNote(BaseModel):
    title: Annotated[str, ferro.Field(min_length=1, max_length=80)]
    text: str = ""


app = FastAPI(
    title="Notes",
    # Connects when the server starts, and disconnects when it ends.
    lifespan=ferro.lifespan(
        os.environ.get("DATABASE_URL", "sqlite:notes.db?mode=rwc"),
        pool=ferro.PoolConfig(max_connections=10),
        auto_migrate=os.environ.get("ENV") != "production",
    ),
)


@app.exception_handler(ferro.ValueOutOfRange)
async def refuse(_: Request, error: ferro.ValueOutOfRange) -> JSONResponse:
    # A number of more than 64 bits, or a text that the database cannot hold.
    return JSONResponse({"detail": str(error)}, status_code=422)


@app.get("/ready")
async def ready(response: Response) -> dict[str, Any]:
    health = await ferro.health()
    response.status_code = 200 if health["ok"] else 503
    return health


@app.post("/notes", status_code=201)
async def add(new: NewNote) -> Note:
    try:
        return await Note.create(**new.model_dump())
    except ferro.UniqueViolation as error:
        raise HTTPException(409, "there is a note with this title") from error


@app.get("/notes")
async def search(
    words: str = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[Note]:
    notes = Note.where(lambda note: note.title.contains(words))
    return await notes.order_by("-likes", "title").limit(limit).offset(offset).all()


@app.get("/notes/{number}")
async def read(number: int) -> Note:
    return await _note(number)


@app.post("/notes/{number}/likes")
async def like(number: int) -> Note:
    # The database adds it up, so that of requests at the same time none is lost.
    await Note.where(id=number).update(likes=lambda note: note.likes + 1)
    return await _note(number)


@app.delete("/notes/{number}", status_code=204)
async def remove(number: int) -> None:
    await (await _note(number)).delete()


async def _note(number: int) -> Note:
    note = await Note.get_or_none(number)
    if note is None:
        raise HTTPException(404, "there is no such note")
    return note
