"""The disk cache of the core's answers: if it has all that a process asks, wasmtime is not loaded.

The core imports nothing, so an answer depends on nothing but its code, the models and the request.
Each version of the models has a file, with a line per answer. Other processes may append at the
same time, and one may end while it does: each line has a checksum.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from .folder import core_hash, prune

MOST_BYTES = 4 * 1024 * 1024
"""The maximum size of a file; one that is full begins again."""

MOST_BYTES_OF_ALL = 64 * 1024 * 1024
"""The maximum size of all files; the least recently used are removed first."""


class Answers:
    """Answers about one version of the models. Not for several threads at a time."""

    def __init__(self, models: str, folder: Path | None) -> None:
        """Without a folder, nothing is cached."""
        self._file: Path | None = None
        self._known: dict[str, str] = {}
        self._size = 0
        """How much of the file has been read."""
        if folder is not None:
            name = sha256(f"{core_hash()} {models}".encode()).hexdigest()
            self._file = folder / f"{name}.answers"
            with suppress(OSError):
                # It is in use: others are removed first.
                os.utime(self._file)

    def get(self, method: str, request: str) -> str | None:
        """The answer to a request, if this process or another one has cached it."""
        key = _key(method, request)
        if key not in self._known:
            self._read_on()
        return self._known.get(key)

    def add(self, method: str, request: str, answer: str) -> None:
        """Cache an answer."""
        if self._file is None:
            return
        entry = f"{_key(method, request)} {answer}".encode()
        with suppress(OSError):
            is_new = _append(self._file, b"%08x %b\n" % (zlib.crc32(entry), entry))
            if is_new:
                prune(self._file.parent.glob("*.answers"), MOST_BYTES_OF_ALL)

    def _read_on(self) -> None:
        """Read what was appended since the last time."""
        if self._file is None:
            return
        with suppress(OSError), self._file.open("rb") as file:
            file.seek(self._size)
            text = file.read(MOST_BYTES)
            # The last line may not be complete yet.
            whole = text[: text.rfind(b"\n") + 1]
            self._size += len(whole)
            for line in whole.splitlines():
                checksum, _, entry = line.partition(b" ")
                if checksum == b"%08x" % zlib.crc32(entry):
                    key, _, answer = entry.decode().partition(" ")
                    self._known[key] = answer


def _key(method: str, request: str) -> str:
    return sha256(f"{method} {request}".encode()).hexdigest()


def _append(path: Path, line: bytes) -> bool:
    """Append a line to a file, which begins again if it is full. Return whether it is new."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size + len(line) > MOST_BYTES:
            os.ftruncate(descriptor, 0)
        # At once: lines of several processes are not mixed.
        os.write(descriptor, line)
        return size == 0
    finally:
        os.close(descriptor)
