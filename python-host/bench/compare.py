"""`cargo xtask bench python`: Ferro beside other ORMs and the bare drivers, from Python.

Each subject runs in a process of its own with a database of its own. The subjects take turns in
an order that rotates, so that the machine's drift hits all alike, and what they read and wrote has
to be the same. The environment says how much is measured and where results go, as for the
benchmarks in Rust: `FERRO_BENCH_DIR`, `FERRO_BENCH_QUICK`, `FERRO_BENCH_ONLY`; and, where there is
one, which interpreter has `ferro-orm`: `FERRO_BENCH_FERRO_ORM`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

HERE = Path(__file__).parent
FERRO_ORM = os.environ.get("FERRO_BENCH_FERRO_ORM")
SUBJECTS = (
    "bare",
    "ferro",
    "sqlalchemy",
    "tortoise",
    "piccolo",
    *(("ferro_orm",) if FERRO_ORM else ()),
)
BASELINE = "bare"
MEASURED = "ferro"
DRIVERS = {"sqlite": "aiosqlite", "postgres": "asyncpg"}
ROUNDS = 9
QUICK_ROUNDS = 2
OWN = {
    "start": ("import and connect, over Pydantic", 150_000.0),
    "compile": ("plan of a new page", 400.0),
    "page": ("Python of a page, without driver", 15.0),
    "get": ("Python of a get, without driver", 15.0),
}
"""What Ferro alone costs, in microseconds, and the most that it may."""
NEAR = 1.05
"""How far above a goal the table calls a result near it. Two runs differ by as much."""


@dataclass(frozen=True)
class Case:
    """What all subjects do; `goal` is the most that Ferro may take, as a ratio."""

    method: str
    name: str
    times: int = 1
    goal: float | None = None


CASES = (
    Case("bulk_insert", "bulk insert of 10,000 rows", goal=1.0),
    Case("make_and_insert", "the same, instances made for it"),
    Case("fetch", "fetch of 10,000 rows", goal=1.0),
    Case("get", "get by key", 1_000, goal=1.5),
    Case("page", "page of 20 rows", 500, goal=1.5),
    Case("create", "create", 500),
    Case("create_in_transaction", "create in a transaction", 500),
    Case("save_in_transaction", "save in a transaction", 500),
    Case("concurrent_gets", "get, 1,000 at once", 1_000),
)
IMPORT = Case("import", "import")
COLD = Case("cold", "cold start to first row")
MEMORY = Case("memory", "peak memory, 10,000 rows held")


@dataclass
class Result:
    """One line of the result, as the benchmarks in Rust write it."""

    case: str
    backend: str
    subject: str
    median: float
    best: float
    unit: str
    versus: str
    ratio: float
    goal: float | None
    goal_of: str | None
    met: bool | None

    def verdict(self) -> str:
        """What is to be reached, and whether it is."""
        if self.goal is None:
            return ""
        found, unit = (self.ratio, "×") if self.goal_of == "ratio" else (self.median, self.unit)
        nearly = "nearly met" if found <= self.goal * NEAR else "NOT MET"
        return f"≤ {self.goal} {unit} {'met' if self.met else nearly}"


class Worker:
    """A subject's process."""

    def __init__(self, subject: str, dialect: str, url: str) -> None:
        self.subject = subject
        self.process = subprocess.Popen(
            command(subject, dialect, url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None, "a pipe"
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"`{self.subject}` ended early: see above")
        found: dict[str, Any] = json.loads(line)
        return found

    def run(self, case: Case) -> tuple[float, int]:
        assert self.process.stdin is not None, "a pipe"
        self.process.stdin.write(f"{case.method}\n")
        self.process.stdin.flush()
        answer = self.answer()
        return answer["seconds"] * 1e6 / case.times, answer["checksum"]

    def end(self) -> None:
        self.process.communicate(timeout=60)
        if self.process.returncode != 0:
            raise SystemExit(f"`{self.subject}` failed at its end: see above")


def command(subject: str, dialect: str, url: str, *kind: str) -> list[str]:
    """The command line of a subject's process."""
    interpreter = FERRO_ORM if FERRO_ORM and subject == "ferro_orm" else sys.executable
    return [interpreter, str(HERE / "subject.py"), subject, dialect, url, *kind]


class Bench:
    """All results, and how they are found."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.quick = "FERRO_BENCH_QUICK" in os.environ
        self.only = os.environ.get("FERRO_BENCH_ONLY", "")
        self.rounds = QUICK_ROUNDS if self.quick else ROUNDS

    def wants(self, case: Case, backend: str) -> bool:
        """Whether a case is to be measured."""
        return self.only in f"{case.name}, {backend}"

    def compare(self, backend: str, urls: dict[str, str]) -> None:
        """Measure all cases on a database."""
        wanted = [case for case in CASES if self.wants(case, backend)]
        workers = {name: Worker(name, backend, urls[name]) for name in SUBJECTS}
        for case in wanted:
            print(f"  {case.name}, {backend}", file=sys.stderr, flush=True)
            check(case, {name: worker.run(case)[1] for name, worker in workers.items()})
            found: dict[str, list[float]] = {name: [] for name in SUBJECTS}
            for name in self.turns():
                value, _ = workers[name].run(case)
                found[name].append(value)
            self.record(case, backend, "µs", found)
        for worker in workers.values():
            worker.end()
        self.start_ups(backend, urls)

    def start_ups(self, backend: str, urls: dict[str, str]) -> None:
        """Measure what is so once in a process."""
        cases = [it for it in (IMPORT, COLD, MEMORY) if self.wants(it, backend)]
        found = {it: {name: list[float]() for name in SUBJECTS} for it in cases}
        if IMPORT in found or COLD in found:
            print(f"  start, {backend}", file=sys.stderr, flush=True)
            for name in self.turns():
                start = time.perf_counter()
                answer = started(name, backend, urls[name], "cold")
                found.get(COLD, {}).setdefault(name, []).append(time.perf_counter() - start)
                found.get(IMPORT, {}).setdefault(name, []).append(answer["seconds"])
        if MEMORY in found:
            print(f"  memory, {backend}", file=sys.stderr, flush=True)
            for name in SUBJECTS:
                answer = started(name, backend, urls[name], "memory")
                found[MEMORY][name].append(answer["mebibytes"])
        for case, values in found.items():
            if case is MEMORY:
                self.record(case, backend, "MiB", values)
            else:
                in_microseconds = {name: [it * 1e6 for it in values[name]] for name in values}
                self.record(case, backend, "µs", in_microseconds)

    def own(self) -> None:
        """Measure what Ferro alone costs."""
        wanted = {name: it for name, it in OWN.items() if self.only in it[0]}
        if not wanted:
            return
        print("  Ferro alone", file=sys.stderr, flush=True)
        line = [sys.executable, str(HERE / "own.py")]
        rounds: list[dict[str, float]] = []
        for _ in range(self.rounds // 2):
            done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
            rounds.append(json.loads(done.stdout))
        for name, (case, goal) in wanted.items():
            values = [found[name] for found in rounds]
            median = statistics.median(values)
            self.results.append(
                Result(
                    case=case,
                    backend="-",
                    subject=MEASURED,
                    median=median,
                    best=min(values),
                    unit="µs",
                    versus="",
                    ratio=1.0,
                    goal=goal,
                    goal_of="median",
                    met=median <= goal,
                )
            )

    def turns(self) -> list[str]:
        """Who comes when: each round begins with the next one."""
        turns = []
        for number in range(self.rounds):
            first = number % len(SUBJECTS)
            turns += [*SUBJECTS[first:], *SUBJECTS[:first]]
        return turns

    def record(self, case: Case, backend: str, unit: str, found: dict[str, list[float]]) -> None:
        """Add what was measured."""
        baseline = statistics.median(found[BASELINE])
        for name, values in found.items():
            median = statistics.median(values)
            goal = case.goal if name == MEASURED else None
            self.results.append(
                Result(
                    case=case.name,
                    backend=backend,
                    subject=DRIVERS[backend] if name == BASELINE else name,
                    median=median,
                    best=min(values),
                    unit=unit,
                    versus=DRIVERS[backend],
                    ratio=median / baseline,
                    goal=goal,
                    goal_of=None if goal is None else "ratio",
                    met=None if goal is None else median / baseline <= goal,
                )
            )

    def table(self) -> str:
        """All results, a line each."""
        head = ("case", "backend", "subject", "median", "best", "ratio")
        lines = ["python: subjects in turns in one run"]
        lines.append("{:<30} {:<9} {:<11} {:>14} {:>12} {:>7}  goal".format(*head))
        for it in self.results:
            median = f"{it.median:.1f} {it.unit}"
            lines.append(
                f"{it.case:<30} {it.backend:<9} {it.subject:<11} {median:>14} {it.best:>12.1f} "
                f"{it.ratio:>7.2f}  {it.verdict()}".rstrip()
            )
        return "\n".join(lines)


def check(case: Case, found: dict[str, int]) -> None:
    """Whoever read or wrote something else is not faster, but wrong."""
    for name, checksum in found.items():
        if checksum != found[BASELINE]:
            raise SystemExit(f"{case.name}: `{name}` gave {checksum}, not {found[BASELINE]}")


def started(name: str, backend: str, url: str, kind: str) -> dict[str, Any]:
    """What a process that does one thing says."""
    line = command(name, backend, url, kind)
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def sqlite_urls(folder: Path) -> dict[str, str]:
    """A file for each subject, with a write-ahead log, as Ferro makes them."""
    urls = {}
    for name in SUBJECTS:
        path = folder / f"{name}.db"
        with sqlite3.connect(path) as connection:
            connection.execute("pragma journal_mode = wal")
        connection.close()
        urls[name] = f"sqlite:{path}"
    return urls


async def postgres_urls(server: str) -> dict[str, str]:
    """A database for each subject."""
    connection = await asyncpg.connect(server)
    urls = {}
    for name in SUBJECTS:
        database = f"ferro_bench_{name}"
        await connection.execute(f"drop database if exists {database} with (force)")
        await connection.execute(f"create database {database}")
        urls[name] = urlunsplit(urlsplit(server)._replace(path=f"/{database}"))
    await connection.close()
    return urls


async def drop_databases(server: str) -> None:
    """Leave the server as it was."""
    connection = await asyncpg.connect(server)
    for name in SUBJECTS:
        await connection.execute(f"drop database if exists ferro_bench_{name} with (force)")
    await connection.close()


def main() -> None:
    """Measure, print the table, write it and draw it."""
    bench = Bench()
    bench.own()
    with tempfile.TemporaryDirectory(prefix="ferro-bench-") as folder:
        bench.compare("sqlite", sqlite_urls(Path(folder)))
    server = os.environ["FERRO_TEST_POSTGRES_URL"]
    try:
        bench.compare("postgres", asyncio.run(postgres_urls(server)))
    finally:
        asyncio.run(drop_databases(server))
    print(bench.table())
    folder = Path(os.environ["FERRO_BENCH_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "python.json"
    written.write_text(json.dumps([asdict(it) for it in bench.results], indent=2))
    print(f"written: {written}")
    compared = [it for it in bench.results if it.versus]
    if compared:
        from plot import draw

        print(f"drawn: {draw(compared, folder / 'python.png')}")


if __name__ == "__main__":
    main()
