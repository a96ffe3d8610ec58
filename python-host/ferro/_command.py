"""The command `python -m ferro`: migrations from the shell."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from itertools import groupby, takewhile
from pathlib import Path
from typing import NoReturn, get_args

from . import _native
from ._connections.lifespan import lifespan
from ._migrations.migrate import migrate_of
from ._migrations.migration import Migration, Risk
from ._tables.registry import registry
from .exceptions import ConfigurationError, FerroError

_DIFFERS, _FAILED = 1, 2
"""Exit codes, like those of `diff`."""
_PART = re.compile("-- applied: table `[^`]*`: (?!make it anew for )")
"""A step of a table's rebuild on SQLite, except the first, which says why."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report wrong arguments, and mask URLs."""
        hint = " (to apply nothing: --check, or --script FILE)" if "--dry-run" in message else ""
        super().error(_masked(message) + hint)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.reviewed is not None and (given.check or given.script is not None):
        parser.error("--reviewed applies a migration: leave --check and --script out")
    try:
        return _migrate(given)
    except FerroError as error:
        _say(error)
    except (OSError, UnicodeError) as error:
        _say(_masked(error))
    return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m ferro")
    parser.add_argument(
        "--version",
        action="version",
        version=_native.__version__,
        help="show the version of Ferro and exit",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    command = commands.add_parser(
        "migrate",
        help="migrate the tables of a database to match the models",
        description="Migrates the tables of a database to match the models of a module, and "
        "prints the applied and remaining steps as an SQL script.",
        epilog="Exit codes: 0 success, 1 differences found (--check, --reviewed), 2 an error.",
    )
    command.add_argument(
        "module", metavar="MODULE", help="a module that imports all models: app.models"
    )
    command.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        default="env:DATABASE_URL",
        help="the database, or env:NAME for an environment variable with its URL, which other "
        "users of the machine cannot read; default: %(default)s",
    )
    command.add_argument(
        "--check",
        action="store_true",
        help="apply nothing; exit with 1 if there are steps to apply",
    )
    command.add_argument(
        "--risk",
        choices=get_args(Risk),
        default="blocking",
        help="apply steps up to this risk; default: %(default)s",
    )
    command.add_argument(
        "--script",
        metavar="FILE",
        help="apply nothing; write the script of all steps to a file, or - for standard output",
    )
    command.add_argument(
        "--reviewed",
        metavar="FILE",
        help="apply only if the script would still be that of this file; otherwise exit with 1",
    )
    return parser


def _migrate(given: argparse.Namespace) -> int:
    _import(given.module)
    reviewed = given.reviewed and Path(given.reviewed).read_text(encoding="utf-8")
    migration = asyncio.run(_migrated(given, reviewed))
    if reviewed is not None and not migration.applied and str(migration) != reviewed:
        _say(f"`{given.reviewed}` does not match the steps that are needed now")
        return _DIFFERS
    if given.script in (None, "-"):
        script = str(migration)
        try:
            _show(script if given.script is not None else _brief(script))
        except (OSError, UnicodeError) as error:
            if given.check or given.script is not None:
                raise
            _say(f"the migration was applied, but cannot be shown: {_masked(error)}")
    else:
        Path(given.script).write_text(str(migration), encoding="utf-8")
    risks = get_args(Risk)
    if given.check:
        due = [it for it in migration.left if risks.index(it.risk) <= risks.index(given.risk)]
        return _DIFFERS if due else 0
    if migration.left and given.script is None:
        most = max((it.risk for it in migration.left), key=risks.index)
        way = f"need `--risk {most}`"
        if reviewed is not None and risks.index(most) <= risks.index(given.risk):
            way = f"are not in `{given.reviewed}`: write and review a script for them"
        _say(f"the steps above that are not applied {way}")
    return 0


def _import(name: str) -> None:
    """Import the models like `python -m`, also from the current folder."""
    if not all(it.isidentifier() for it in name.split(".")):
        raise ConfigurationError("MODULE is the name of a module, such as `app.models`")
    try:
        importlib.import_module(name)
    except FerroError:
        raise
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if place.filename.startswith("<") else f" ({place.filename}:{place.lineno})"
        raise ConfigurationError(
            f"`{name}` cannot be imported: {type(error).__name__}: {_masked(error)}{where}"
        ) from None
    if registry.version == 0:
        raise ConfigurationError(f"`{name}` defines and imports no models")


def _url(given: str) -> str:
    if not given.startswith("env:"):
        return given
    name = given.removeprefix("env:")
    if not name.isidentifier():
        # It is not quoted: it may be the URL itself.
        raise ConfigurationError(
            "put the name of a variable after `env:`, such as `env:DATABASE_URL`"
        )
    url = os.environ.get(name)
    if not url:
        raise ConfigurationError(
            f"the environment variable `{name}` does not contain a database URL"
        )
    return url


async def _migrated(given: argparse.Namespace, reviewed: str | None) -> Migration:
    """The result of the migration."""
    is_dry = given.check or given.script is not None
    # The module may have connected already.
    label = "python -m ferro"
    async with lifespan(_url(given.url), label):
        return await migrate_of(registry.models(), label, given.risk, is_dry, reviewed)


def _brief(script: str) -> str:
    """A script with one line for what took several statements: a rebuilt table, a changed enum."""
    lines = script.splitlines(keepends=True)
    applied = [*takewhile(lambda it: it.startswith("-- applied: "), lines)]
    shown = [it for it, _ in groupby(it for it in applied if not _PART.match(it))]
    return "".join([*shown, *lines[len(applied) :]])


def _show(text: str) -> None:
    try:
        print(text, end="", flush=True)
    except OSError:
        # Python would try again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _say(message: object) -> None:
    print(f"ferro: {_native.escape_line(str(message))}", file=sys.stderr)


def _masked(text: object) -> str:
    """A text from elsewhere, with the contents of URLs masked, as they may have a password."""
    return re.sub(":/.*", ":/…", str(text), flags=re.DOTALL)
