"""The disk cache of compiled components: compiling takes a second, mapping a file almost no time.

The name of an entry contains the hash of its component and a checksum of its own content: wasmtime
rejects code of another version or configuration, but does not detect a flipped bit. The checksum
protects against corruption, not against anyone with write access to the folder, whose content is
executed. So the folder must belong to the user, and nobody else may write to it.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from wasmtime import Engine, WasmtimeError
from wasmtime.component import Component

from .folder import entries, private_folder, prune

MOST_BYTES = 512 * 1024 * 1024
"""The maximum size of all entries; the least recently used are removed first."""


def component_of(engine: Engine, code: bytes) -> Component:
    """Compile a component, or load it from the cache if it was compiled for such an engine before.

    Raises `WasmtimeError` if the code is invalid. Without a usable cache, it compiles.
    """
    folder = private_folder()
    if folder is None:
        return Component(engine, code)
    name = sha256(code).hexdigest()
    # One for each version and configuration of wasmtime.
    for entry in entries(folder, name):
        with suppress(OSError, WasmtimeError):
            if _is_whole(entry):
                component = Component.deserialize_file(engine, str(entry))
                _note_use(entry)
                return component
    component = Component(engine, code)
    with suppress(OSError):
        _add(folder, name, bytes(component.serialize()))
    return component


def _is_whole(entry: Path) -> bool:
    """Whether an entry's content matches the checksum in its name; removes it if not."""
    is_whole = entry.name.endswith(f"-{zlib.crc32(entry.read_bytes()):08x}")
    if not is_whole:
        entry.unlink()
    return is_whole


def _note_use(entry: Path) -> None:
    with suppress(OSError):
        os.utime(entry)


def _add(folder: Path, name: str, compiled: bytes) -> None:
    """Store compiled code. Other processes see all of it, or none."""
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
        try:
            part.write(compiled)
            part.close()
            os.replace(part.name, folder / f"{name}-{zlib.crc32(compiled):08x}")
        except OSError:
            os.unlink(part.name)
            raise
    prune(entries(folder), MOST_BYTES)
