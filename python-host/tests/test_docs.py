"""The examples of the pages on Python run as they stand there, one after the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ferro

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "python").glob("*.md"))
PLUGINS = ("atlas", "jobs")

# Each page has models of its own, and so a process of its own.
RUN = """
import ast, asyncio, inspect, pathlib, re, sys

async def run(page):
    text = pathlib.Path(page).read_text(encoding="utf-8")
    examples = list(re.finditer(r"^```python\\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert examples, "the page has no example"
    for example in examples:
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
        pytest.fail(f"`{path}` is not there: run `cargo xtask test`, which builds it")
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
