"""The user's folder for what the core has compiled, and the core's code."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

from .. import _native
from ..exceptions import ConfigurationError, InternalError

MOST_BYTES = 512 * 1024 * 1024
"""The maximum size of all entries; the least recently used are removed first."""

MOST_ENTRIES = 1_000


def cache_folder() -> Path | None:
    """The folder for compiled code; None if the environment does not define one."""
    caches = _native.cache_folder()
    return None if caches is None else caches / "python"


def private_folder() -> Path | None:
    """The folder, created if it is missing; None if it cannot be private to the user."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        return _native.private_folder(folder)
    except ConfigurationError:
        return None


def prune(folder: Path) -> None:
    """Remove what has not been used for longest, if there is too much."""
    files = [(file.stat(), file) for file in folder.iterdir()]
    files.sort(key=lambda it: it[0].st_mtime, reverse=True)
    total = 0
    for number, (found, file) in enumerate(files):
        total += found.st_size
        if total > MOST_BYTES or number >= MOST_ENTRIES:
            file.unlink(missing_ok=True)


def core_code() -> bytes:
    """The core component."""
    # Next to the native module, so it is a file: `importlib.resources` takes 10 ms to find it.
    try:
        return Path(__file__).parents[1].joinpath("core.wasm").read_bytes()
    except FileNotFoundError as error:
        raise InternalError(
            "this package has no core.wasm: run `cargo xtask setup`, and install it again"
        ) from error


@cache
def core_hash() -> str:
    """The hash of the core component."""
    return sha256(core_code()).hexdigest()
