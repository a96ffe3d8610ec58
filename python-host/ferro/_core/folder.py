"""The user's folder for what the core has compiled, and the core's code."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

from .. import _native
from ..exceptions import ConfigurationError, InternalError


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


def entries(folder: Path, code: str = "*") -> Iterable[Path]:
    """The compiled components, or those of the component with a hash."""
    return folder.glob(f"{code}-*")


def prune(files: Iterable[Path], most_bytes: int) -> None:
    """Remove those files that have not been used for longest, if they are too large together."""
    found = [(file.stat(), file) for file in files]
    found.sort(key=lambda it: it[0].st_mtime, reverse=True)
    total = 0
    for status, file in found:
        total += status.st_size
        if total > most_bytes:
            file.unlink(missing_ok=True)


def core_code() -> bytes:
    """The core component."""
    code = _read_core()
    if sha256(code).hexdigest() != core_hash():
        raise InternalError(
            "the package was replaced while this process was running: start it again"
        )
    return code


@cache
def core_hash() -> str:
    """The hash of the core component that this process uses."""
    return sha256(_read_core()).hexdigest()


def _read_core() -> bytes:
    # Next to the native module, so it is a file: `importlib.resources` takes 10 ms to find it.
    try:
        return Path(__file__).parents[1].joinpath("core.wasm").read_bytes()
    except FileNotFoundError as error:
        raise InternalError(
            "this package has no core.wasm: run `cargo xtask setup`, and install it again"
        ) from error
