"""The examples of the pages on Python run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ferro

ROOT = Path(__file__).parents[2]
TESTING = ROOT / "docs" / "python" / "testing.md"
PAGES = [page for page in sorted(TESTING.parent.glob("*.md")) if page != TESTING]
PLUGINS = ("atlas", "jobs")

# Each page has models of its own, and so a process of its own.
RUN = """
import ast, asyncio, importlib.util, inspect, pathlib, re, sys

def is_servable(example):
    # Servers are not among the oldest packages.
    needed = re.findall(r"^(?:import|from) (fastapi|httpx)\\b", example[1], re.MULTILINE)
    return all(importlib.util.find_spec(it) for it in needed)

async def run(page):
    text = pathlib.Path(page).read_text(encoding="utf-8")
    examples = list(re.finditer(r"^```python\\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert examples, "the page has no example"
    for example in filter(is_servable, examples):
        # As many lines as are above it, so that a failure names the line of the page.
        source = "\\n" * text[: example.start(1)].count("\\n") + example[1]
        code = compile(source, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(code, globals())
        if inspect.iscoroutine(running):
            await running

asyncio.run(run(sys.argv[1]))
"""


def component(name: str) -> Path:
    path = ROOT / "target" / "components" / f"{name}.wasm"
    if not path.exists():
        pytest.fail(f"`{path}` is not there: run `cargo xtask setup`, which builds it")
    return path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(page: Path, url: str, tmp_path: Path) -> None:
    package = str(Path(ferro.__file__).parents[1])
    if page.stem == "plugins":
        for name in PLUGINS:
            (tmp_path / f"{name}.wasm").symlink_to(component(f"ferro-example-{name}"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, str(page)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
        env={**os.environ, "DATABASE_URL": url, "PYTHONPATH": package},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("folder", [".", "rollback"])
def test_the_files_of_the_page_on_testing_pass_beside_a_postgres_server(
    folder: str, url: str, tmp_path: Path
) -> None:
    """They begin with their names; parts of one file are put together."""
    text = TESTING.read_text(encoding="utf-8")
    for name, part in re.findall(r"^```(?:python|ini)\n# (\S+)\n(.*?)^```$", text, re.M | re.S):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with (tmp_path / name).open("a") as file:
            file.write(part)
    package = str(Path(ferro.__file__).parents[1])
    files = sorted(it.name for it in (tmp_path / folder).glob("test_*.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *files],
        capture_output=True,
        text=True,
        cwd=tmp_path / folder,
        timeout=120,
        check=False,
        env={
            **os.environ,
            "TEST_SERVER_URL": os.environ["FERRO_TEST_POSTGRES_URL"],
            "TEST_DATABASE_URL": url,
            "PYTHONPATH": os.pathsep.join([package, str(tmp_path)]),
        },
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
