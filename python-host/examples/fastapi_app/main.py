"""Notes over HTTP: a whole application with FastAPI and ferro.

Start it with `uvicorn main:app` in this folder. `DATABASE_URL` names the database; without it the
notes are in `notes.db` beside it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Response
from pydantic import BaseModel

import ferro
from ferro.fastapi import add_exception_handlers


class Author(ferro.Model, table="author"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str = ferro.Field(unique=True, min_length=1, max_length=80)
    notes: ferro.Relation[list[Note]] = ferro.BackRef()


class Note(ferro.Model, table="note"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    title: str = ferro.Field(unique=True, min_length=1, max_length=80)
    text: str = ""
    likes: int = 0
    author: ferro.Relation[Author | None] = ferro.ForeignKey(
        related_name="notes", on_delete="set null", index=True, default=None
    )


# What a client sends and gets is not what is stored: models of their own say so.
class NewNote(BaseModel):
    title: Annotated[str, ferro.Field(min_length=1, max_length=80)]
    text: str = ""
    author: Annotated[str | None, ferro.Field(min_length=1, max_length=80)] = None


class AuthorOut(BaseModel):
    id: int
    name: str


class NoteOut(BaseModel):
    id: int
    title: str
    text: str
    likes: int
    author: ferro.Loaded[AuthorOut | None]


class AuthorWithNotes(AuthorOut):
    notes: int


app = FastAPI(
    title="Notes",
    # Connects when the server starts, brings the tables in line with the models, and disconnects
    # when the server ends. In production, migrate before: a table may be locked meanwhile.
    lifespan=ferro.lifespan(
        os.environ.get("DATABASE_URL", "sqlite:notes.db?mode=rwc"),
        pool=ferro.PoolConfig(max_connections=10),
        auto_migrate=os.environ.get("ENV") != "production",
    ),
)
# 404 where there is no row, 409 where a title is taken, 422 for a number of more than 64 bits …
add_exception_handlers(app)


async def transaction() -> AsyncIterator[ferro.Transaction]:
    # `immediate`: on SQLite, one that reads before it writes waits for its turn at its beginning.
    async with ferro.transaction(immediate=True) as transaction:
        yield transaction


# `function`: it is committed before the answer is sent, so that nobody is told of what then fails.
# Whatever the function raises rolls it back.
in_transaction = Depends(transaction, scope="function")


@app.get("/ready")
async def ready(response: Response) -> dict[str, Any]:
    health = await ferro.health()
    response.status_code = 200 if health["ok"] else 503
    return health


@app.post("/notes", status_code=201, response_model=NoteOut, dependencies=[in_transaction])
async def add(new: NewNote) -> Note:
    author = None
    if new.author is not None:
        author, _ = await Author.get_or_create(name=new.author)
    # If the title is taken, the author is not kept either.
    return await Note.create(title=new.title, text=new.text, author=author)


@app.get("/notes", response_model=list[NoteOut])
async def search(
    words: str = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[Note]:
    notes = Note.where(lambda note: note.title.contains(words)).include("author")
    return await notes.order_by("-likes", "title").limit(limit).offset(offset).all()


@app.get("/notes/{number}", response_model=NoteOut)
async def read(number: int) -> Note:
    return await Note.select().include("author").get(number)


@app.post("/notes/{number}/likes", response_model=NoteOut, dependencies=[in_transaction])
async def like(number: int) -> Note:
    # The database adds it up, so that of requests at the same time none is lost.
    await Note.where(id=number).update(likes=lambda note: note.likes + 1)
    return await read(number)


@app.delete("/notes/{number}", status_code=204)
async def remove(number: int) -> None:
    await (await Note.get(number)).delete()


@app.get("/authors")
async def authors() -> list[AuthorWithNotes]:
    found = Author.select().with_values(notes=lambda author: author.notes.count())
    return [
        AuthorWithNotes(**author.model_dump(), **values)
        for author, values in await found.order_by("-notes", "name")
    ]
