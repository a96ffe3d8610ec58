"""Compiled code of components, kept on disk: compiling takes a second, mapping a file no time.

An entry has the hash of its component in its name, so that another component is another entry, and
a checksum of its own content: wasmtime takes no code of another version or configuration, but does
not notice a flipped bit. That is a guard against decay, not against whoever may write to the
folder: what is in it is run. So it belongs to the user, and nobody else may write to it.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from wasmtime import Engine, WasmtimeError
from wasmtime.component import Component

from .. import _native
from ..exceptions import ConfigurationError

MOST_BYTES = 512 * 1024 * 1024
"""What all entries may take; those that were not used for longest go first."""


def component_of(engine: Engine, code: bytes) -> Component:
    """A component, of the cache if it was compiled for such an engine before.

    Raises `WasmtimeError` if the code is not valid. No cache is no error: then it is compiled.
    """
    folder = _private_folder()
    if folder is None:
        return Component(engine, code)
    name = sha256(code).hexdigest()
    # One for each version and configuration of wasmtime.
    for entry in folder.glob(f"{name}-*"):
        with suppress(OSError, WasmtimeError):
            if _is_whole(entry):
                component = Component.deserialize_file(engine, str(entry))
                _note_use(entry)
                return component
    component = Component(engine, code)
    with suppress(OSError):
        _add(folder, name, bytes(component.serialize()))
    return component


def cache_folder() -> Path | None:
    """Where compiled code is kept; None if the environment does not tell."""
    caches = _native.cache_folder()
    return None if caches is None else caches / "python"


def _private_folder() -> Path | None:
    """The folder, made if it is missing; None if there can be none that is the user's alone."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        return _native.private_folder(folder)
    except ConfigurationError:
        return None


def _is_whole(entry: Path) -> bool:
    """Whether an entry has the content that its name says. One that has not is removed."""
    is_whole = entry.name.endswith(f"-{zlib.crc32(entry.read_bytes()):08x}")
    if not is_whole:
        entry.unlink()
    return is_whole


def _note_use(entry: Path) -> None:
    with suppress(OSError):
        os.utime(entry)


def _add(folder: Path, name: str, compiled: bytes) -> None:
    """Keep compiled code. Other processes see all of it, or none."""
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
        try:
            part.write(compiled)
            part.close()
            os.replace(part.name, folder / f"{name}-{zlib.crc32(compiled):08x}")
        except OSError:
            os.unlink(part.name)
            raise
    _prune(folder)


def _prune(folder: Path) -> None:
    files = [(file.stat(), file) for file in folder.iterdir()]
    files.sort(key=lambda it: it[0].st_mtime, reverse=True)
    total = 0
    for found, file in files:
        total += found.st_size
        if total > MOST_BYTES:
            file.unlink(missing_ok=True)
