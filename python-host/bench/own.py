"""What Ferro alone costs in Python: `own.py` prints a line of JSON, microseconds by name.

- `start`: `import ferro` and connecting, over `import pydantic`, each in a process of its own
- `compile`: the plan of a filtered, ordered page that is new, from its query to its SQL
- `page`, `get`: the Python of a query whose plan is kept, without the driver

The component has been compiled before: its code is in the user's cache. What only computes is
measured in time of the processor, whatever else runs on it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.append(str(HERE))

PYDANTIC = "import pydantic; pydantic.BaseModel"
CONNECTED = """
import asyncio, ferro
asyncio.run(ferro.connect("sqlite::memory:"))
"""
SHAPES = 40
QUERIES = 2_000


def start() -> float:
    """How much longer a process takes that connects than one that imports Pydantic."""
    seconds: dict[str, list[float]] = {PYDANTIC: [], CONNECTED: []}
    for _ in range(5):
        for code, found in seconds.items():
            began = time.perf_counter()
            # Not where the package's own sources are: `-c` would import those.
            subprocess.run([sys.executable, "-c", code], cwd=HERE, check=True)
            found.append(time.perf_counter() - began)
    return statistics.median(seconds[CONNECTED]) - statistics.median(seconds[PYDANTIC])


async def compile_new() -> float:
    """The time that a plan takes which nobody has asked for."""
    from subjects.ferro import Person

    import ferro

    await ferro.connect("sqlite::memory:", auto_migrate=True)
    found = []
    for number in range(SHAPES):
        condition: Any = Person.id > 0
        for other in range(number % 8):
            condition &= Person.age != other
        query = Person.where(condition, active=True).order_by("id", *["name"] * (number // 8))
        began = time.process_time()
        query.limit(20).sql()
        found.append(time.process_time() - began)
    await ferro.disconnect()
    return statistics.median(found)


async def of_a_query(make: Callable[[Any], Coroutine[Any, Any, Any]]) -> float:
    """The time that a query takes whose rows are there at once; best of some rounds."""
    from subjects.ferro import Person

    import ferro
    from ferro._connections.engine import engine

    class NoDriver:
        async def fetch_instances(self, *_: object) -> list[Any]:
            return []

    await ferro.connect("sqlite::memory:", auto_migrate=True)
    await make(Person)
    label = engine.label(None)
    sessions: dict[str, Any] = engine._current().shared
    session = sessions[label]
    sessions[label] = NoDriver()
    rounds = []
    for _ in range(7):
        began = time.process_time()
        for _ in range(QUERIES):
            await make(Person)
        rounds.append((time.process_time() - began) / QUERIES)
    sessions[label] = session
    await ferro.disconnect()
    return min(rounds)


def main() -> None:
    """Measure, and say it."""

    def page(person: Any) -> Any:
        return person.where(person.id > 3, active=True).order_by("id").limit(20).all()

    found = {
        "start": start(),
        "compile": asyncio.run(compile_new()),
        "page": asyncio.run(of_a_query(page)),
        "get": asyncio.run(of_a_query(lambda person: person.get_or_none(3))),
    }
    print(json.dumps({name: seconds * 1e6 for name, seconds in found.items()}))


if __name__ == "__main__":
    main()
