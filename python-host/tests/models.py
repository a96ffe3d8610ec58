"""The models that tests share: each has a table of its own."""

from __future__ import annotations

import datetime
import enum
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pydantic

import ferro


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 10


class User(ferro.Model, table="users"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    age: int = 0
    email: str | None = ferro.Field(default=None, unique=True)
    active: bool = True


class Document(ferro.Model):
    """Its key is made by the client."""

    key: UUID = ferro.Field(default_factory=uuid4, primary_key=True)
    title: str = ferro.Field(max_length=50)
    data: dict[str, Any] = ferro.Field(default_factory=dict)
    tags: list[str] = ferro.Field(default_factory=list)


class Everything(ferro.Model):
    """A field of every type."""

    id: int | None = ferro.Field(default=None, primary_key=True)
    boolean: bool | None = None
    integer: int | None = None
    double: float | None = None
    decimal: Decimal | None = None
    price: Decimal | None = ferro.Field(default=None, max_digits=12, decimal_places=2)
    text: str | None = None
    blob: bytes | None = None
    uuid: UUID | None = None
    date: datetime.date | None = None
    time: datetime.time | None = None
    instant: datetime.datetime | None = None
    local: pydantic.NaiveDatetime | None = None
    duration: datetime.timedelta | None = None
    document: dict[str, Any] | None = None
    items: list[Any] | None = None
    colour: Colour | None = None
    size: Size | None = None
    integers: list[int] | None = None
    texts: list[str] | None = None
    instants: list[datetime.datetime] | None = None


class Sealed(ferro.Model, frozen=True):
    """How a model prints and is named outside says nothing of its columns."""

    id: int | None = ferro.Field(default=None, primary_key=True)
    secret: str = ferro.Field(exclude=True, alias="outsideName")


class Counter(ferro.Model):
    """Nothing but a generated key, of another name."""

    number: int | None = ferro.Field(default=None, primary_key=True)
