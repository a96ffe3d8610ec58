"""The rows that all subjects write and read, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

FIELDS = ("id", "name", "email", "age", "score", "active", "visits", "note")

ROWS = 10_000
GETS = 1_000
PAGES = 500
PAGE = 20
WRITES = 500
POOL = 10

Row = tuple[Any, ...]

TABLE = {
    "sqlite": "id integer primary key, name text not null, email text not null, "
    "age integer not null, score real not null, active boolean not null, "
    "visits integer not null, note text",
    "postgres": "id bigint primary key, name text not null, email text not null, "
    "age bigint not null, score double precision not null, active boolean not null, "
    "visits bigint not null, note text",
}


def row(number: int) -> Row:
    """The row with a key."""
    note = None if number % 3 == 0 else f"a note of some length about the person {number}"
    name = f"Person {number}"
    email = f"person.{number}@example.org"
    return (number, name, email, number % 90, number / 8, number % 2 == 0, number * 7, note)


def rows(first: int, count: int) -> list[Row]:
    """Rows with consecutive keys."""
    return [row(number) for number in range(first, first + count)]


def keys(count: int) -> list[int]:
    """Keys of stored rows, all over the table."""
    return [(number * 7_919) % ROWS + 1 for number in range(count)]


def checksum(found: Iterable[Row]) -> int:
    """A number that differs if a value does, or the type of one in a way that matters."""
    total = 0
    for number, name, email, age, score, active, visits, note in found:
        total += number + len(name) + 3 * len(email) + 5 * age + int(score * 8) * 11
        total += 13 * bool(active) + 17 * visits + (19 if note is None else len(note))
        total %= 2**61 - 1
    return total
