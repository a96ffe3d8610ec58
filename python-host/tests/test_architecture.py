"""Which packages of `ferro` import which: never in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import ferro

ROOT = Path(ferro.__file__).parent
MODULES = {it.stem for it in ROOT.glob("*.py")} | {"_native"}

# From what knows least to what knows most: each imports those before it only.
ORDER = [
    "_statements",
    "_core",
    "_tables",
    "_connections",
    "_migrations",
    "_expressions",
    "_rows",
    "_queries",
    "_relations",
    "_models",
    "_plugins",
]

# Inside of functions, where what is above is made of what is below.
LATE = {
    ("_connections", "_plugins"),
    ("_expressions", "_queries"),
    ("_expressions", "_relations"),
    ("_queries", "_relations"),
    ("_tables", "_expressions"),
}


def imports(node: ast.AST, package: str, late: bool = False) -> Iterator[tuple[str, bool]]:
    """The packages that a module imports from, and whether it does so inside of a function."""
    for it in ast.iter_child_nodes(node):
        if isinstance(it, ast.If) and ast.unparse(it.test) == "TYPE_CHECKING":
            continue
        if isinstance(it, ast.ImportFrom) and it.level == 2:
            names = [it.module] if it.module else [name.name for name in it.names]
            yield from ((name.split(".")[0], late) for name in names)
        elif isinstance(it, ast.ImportFrom):
            assert it.level < 2, f"`{package}` has no folders inside"
        yield from imports(
            it, package, late or isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef)
        )


def test_packages_import_only_what_is_below_them() -> None:
    assert sorted(ORDER) == sorted(it.parent.name for it in ROOT.glob("*/__init__.py"))
    wrong = []
    late_seen = set()
    for path in sorted(ROOT.glob("*/*.py")):
        package = path.parent.name
        for name, late in imports(ast.parse(path.read_text(encoding="utf-8")), package):
            if name in MODULES or ORDER.index(name) < ORDER.index(package):
                continue
            if late and (package, name) in LATE:
                late_seen.add((package, name))
            else:
                wrong.append(f"{package}/{path.name} imports {name}")
    assert wrong == []
    assert late_seen == LATE


def test_the_docs_have_a_line_for_each_package() -> None:
    page = ROOT.parents[1] / "docs" / "architecture.md"
    shown = [
        line.split("`")[1]
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `_")
    ]
    assert shown == [f"{it}/" for it in ORDER]
