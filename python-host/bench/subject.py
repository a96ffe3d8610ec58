"""One subject of the benchmark, in a process of its own: `subject.py NAME DIALECT URL`.

It reads one command a line, the name of a case, and answers with a line of JSON: how many seconds
that took, and a checksum of what was read or written. With a fourth argument, `cold`, it does what
a program does that starts: it reads a row and says so; with `memory` it reads all rows and says how
much memory it has had.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from data import GETS, PAGES, ROWS, WRITES, checksum, keys, rows


def say(**answer: Any) -> None:
    """One line to whoever runs the benchmark."""
    print(json.dumps(answer), flush=True)


class Cases:
    """What is measured; each method returns its seconds and a checksum."""

    def __init__(self, subject: Any) -> None:
        self.subject = subject

    async def bulk_insert(self) -> tuple[float, int]:
        new = self.subject.made(rows(1, ROWS))
        await self.subject.delete_from(1)
        start = time.perf_counter()
        await self.subject.bulk_insert(new)
        return time.perf_counter() - start, await self._stored()

    async def make_and_insert(self) -> tuple[float, int]:
        new = rows(1, ROWS)
        await self.subject.delete_from(1)
        start = time.perf_counter()
        await self.subject.bulk_insert(self.subject.made(new))
        return time.perf_counter() - start, await self._stored()

    async def fetch(self) -> tuple[float, int]:
        start = time.perf_counter()
        found = await self.subject.fetch()
        return time.perf_counter() - start, self._sum(found)

    async def get(self) -> tuple[float, int]:
        wanted = keys(GETS)
        start = time.perf_counter()
        found = [await self.subject.get(key) for key in wanted]
        return time.perf_counter() - start, self._sum(found)

    async def page(self) -> tuple[float, int]:
        wanted = keys(PAGES)
        start = time.perf_counter()
        found = [await self.subject.page(key) for key in wanted]
        return time.perf_counter() - start, sum(self._sum(page) for page in found)

    async def create(self) -> tuple[float, int]:
        await self.subject.delete_from(ROWS + 1)
        new = rows(ROWS + 1, WRITES)
        start = time.perf_counter()
        for row in new:
            await self.subject.create(row)
        return time.perf_counter() - start, await self._written()

    async def create_in_transaction(self) -> tuple[float, int]:
        await self.subject.delete_from(ROWS + 1)
        new = rows(ROWS + 1, WRITES)
        start = time.perf_counter()
        async with self.subject.transaction():
            for row in new:
                await self.subject.create(row)
        return time.perf_counter() - start, await self._written()

    async def save_in_transaction(self) -> tuple[float, int]:
        await self.subject.delete_from(ROWS + 1)
        await self.subject.bulk_insert(self.subject.made(rows(ROWS + 1, WRITES)))
        stored = [await self.subject.get(ROWS + 1 + number) for number in range(WRITES)]
        start = time.perf_counter()
        async with self.subject.transaction():
            for row in stored:
                await self.subject.save(row)
        return time.perf_counter() - start, await self._written()

    async def concurrent_gets(self) -> tuple[float, int]:
        wanted = keys(GETS)
        start = time.perf_counter()
        found = await asyncio.gather(*(self.subject.get_at_once(key) for key in wanted))
        return time.perf_counter() - start, self._sum(found)

    async def _stored(self) -> int:
        return self._sum(await self.subject.fetch())

    async def _written(self) -> int:
        """What is stored beside the rows that are only read; those are left alone again."""
        total = await self._stored()
        await self.subject.delete_from(ROWS + 1)
        return total

    def _sum(self, found: Any) -> int:
        return checksum(map(self.subject.values, found))


async def serve(subject: Any, url: str) -> None:
    """Answer until the standard input ends."""
    await subject.open(url)
    await subject.create_table()
    await subject.bulk_insert(subject.made(rows(1, ROWS)))
    cases = Cases(subject)
    say(ready=True)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        gc.collect()
        seconds, found = await getattr(cases, line)()
        say(seconds=seconds, checksum=found)
    await subject.close()


async def start_up(subject: Any, url: str, kind: str, imported: float) -> None:
    """What a program does that has just started."""
    await subject.open(url)
    if kind == "cold":
        found = [await subject.get(1)]
        say(seconds=imported, checksum=checksum(map(subject.values, found)))
    else:
        found = await subject.fetch()
        say(
            mebibytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024,
            checksum=checksum(map(subject.values, found)),
        )
    await subject.close()


def main() -> None:
    """Import the subject, and do what the arguments say."""
    name, dialect, url, *kind = sys.argv[1:]
    sys.path.append(str(Path(__file__).parent))
    start = time.perf_counter()
    if name == "bare":
        importlib.import_module("asyncpg" if dialect == "postgres" else "aiosqlite")
    subject = importlib.import_module(f"subjects.{name}").make(dialect)
    imported = time.perf_counter() - start
    work = start_up(subject, url, kind[0], imported) if kind else serve(subject, url)
    asyncio.run(work)


if __name__ == "__main__":
    main()
