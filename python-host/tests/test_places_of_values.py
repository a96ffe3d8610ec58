"""Values find their places, and fields their rows, however queries stand inside of each other."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import ferro

pytestmark = pytest.mark.usefixtures("db")


class Spot(ferro.Model, table="places_spot"):
    """One row, which leads to itself."""

    id: int | None = ferro.Field(default=None, primary_key=True)
    zero: int = 0
    one: int = 1
    up: ferro.Relation[Spot | None] = ferro.ForeignKey(related_name="downs", default=None)


S: Any = Spot


class Maker:
    """Makes queries that find the row. No two of their values are alike, so that they would not if
    one was in the place of another.
    """

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._last = 1
        self._around = 0
        """How many rows there are around."""

    def query(self, deep: int) -> ferro.Select[Any]:
        """A query of the row."""
        query = Spot.where(self.condition(deep)) if self._choose(3) else Spot.select()
        if deep and self._choose(2):
            table, found = self.table(deep - 1)
            on = (table.c.found == S.zero + found) & self.condition(deep - 1)
            query = query.join(table, on).where(table.c.found - self.number() < found)
        elif deep and not self._choose(3):
            query = query.distinct_on(S.zero + self.number())
        if self._choose(2):
            query = query.order_by(S.one * self.number() if deep else "id")
        if self._choose(2):
            query = query.limit(self.number())
        if not self._choose(3):
            query = query.offset(0)
        return query

    def values(self, deep: int) -> tuple[ferro.Select[Any], int]:
        """A query of one value, and what that is."""
        value, number = self.value(deep)
        match self._choose(5 if deep else 1):
            case 1:
                other = self.query(deep - 1).values(found=S.zero + number)
                both = Spot.where(self.condition(deep - 1)).values(found=value).intersect(other)
                return both.order_by("found").limit(self.number()), number
            case 2:
                group, found = self.number(), self.number()
                groups = Spot.where(self.condition(deep - 1)).group_by(S.zero + group)
                with self.alone():
                    some = ferro.exists(self.query(deep - 1))
                groups = groups.having(some & (S.zero + group == group))
                sum = S.one.sum() * self.number() - self._last
                return groups.values(found=(S.zero + group) * found + sum), group * found
            case 3:
                table, number = self.table(deep - 1)
                more = self.number()
                rows = table.where(lambda it: it.found + more == number + more)
                return rows.values(found=table.c.found + more), number + more
        return self.query(deep).values(found=value), number

    def table(self, deep: int) -> tuple[ferro.CommonTable, int]:
        """A common table of one value, and what that is."""
        with self.alone():
            rows, number = self.values(deep)
        return rows.cte(f"found {self.number()}"), number

    def condition(self, deep: int) -> Any:
        """A condition that is true of the row."""
        value, number = self.value(deep)
        match self._choose(6 if deep else 2):
            case 0:
                return value == number
            case 1:
                return value.between(number, number)
            case 2:
                with self.inside():
                    return ferro.exists(self.query(deep - 1))
            case 3:
                with self.inside():
                    query, found = self.values(deep - 1)
                return value.in_([number]) & (S.zero + found).in_(query)
            case 4:
                with self.inside():
                    condition = self.condition(deep - 1)
                return S.downs.any(condition)
        return self.condition(deep - 1) & ~(value < self.number() - 1_000_000)

    def value(self, deep: int) -> tuple[Any, int]:
        """A value of the row, and what it is."""
        number = self.number()
        match self._choose(5 if deep else 2):
            case 0:
                return self.field(S.zero) + number, number
            case 1:
                return self.field(S.one) * number, number
            case 2:
                condition = self.condition(deep - 1)
                return ferro.case((condition, S.zero + number), otherwise=-number), number
            case 3:
                with self.inside():
                    query, found = self.values(deep - 1)
                return ferro.subquery(query) + number, found + number
        value, found = self.value(deep - 1)
        return value - number, found - number

    def field(self, field: Any) -> Any:
        """A field of the row, or of one around."""
        for _ in range(self._choose(self._around + 1)):
            field = ferro.outer(field)
        return field

    def number(self) -> int:
        self._last += 1
        return self._last

    @contextmanager
    def alone(self) -> Iterator[None]:
        around, self._around = self._around, 0
        yield
        self._around = around

    @contextmanager
    def inside(self) -> Iterator[None]:
        self._around += 1
        yield
        self._around -= 1


async def test_queries_inside_of_queries_find_the_row() -> None:
    spot = await Spot.create()
    await Spot.where(id=spot.id).update(up=spot)
    for seed in range(100):
        query = Maker(random.Random(seed).randrange).query(3)
        assert await query.count() == 1, seed
        assert len(await query) == 1, seed
