"""The part of WASI that a plugin has: what the standard library of a language needs to start.

Arguments and environment are empty, standard input is closed, standard output and error become
lines of the log `ferro.guest`. There are no files, sockets and clocks: wasmtime-py could link them,
so a plugin that imports them is refused before.
"""

from __future__ import annotations

import logging

from wasmtime import WasiConfig

from .. import _native

INTERFACES = frozenset(
    {
        "wasi:cli/environment",
        "wasi:cli/exit",
        "wasi:cli/stdin",
        "wasi:cli/stdout",
        "wasi:cli/stderr",
        "wasi:cli/terminal-input",
        "wasi:cli/terminal-output",
        "wasi:cli/terminal-stdin",
        "wasi:cli/terminal-stdout",
        "wasi:cli/terminal-stderr",
        "wasi:io/error",
        "wasi:io/poll",
        "wasi:io/streams",
        "wasi:random/insecure-seed",
        "wasi:random/random",
    }
)

_log = logging.getLogger("ferro.guest")
_LINE = 4 * 1024
"""A line that is longer is cut into several."""
_RECORD = 64
"""What the end of a line counts for: a record of the log is about so much longer than its line."""


class Output:
    """What a guest writes in one call, up to a number of bytes; the rest is dropped."""

    def __init__(self, plugin: str, tenant: str, budget: int) -> None:
        self._extra = {"plugin": plugin, "tenant": tenant}
        self._budget = budget
        self._told = False
        self._pending = {"stdout": b"", "stderr": b""}

    def config(self) -> WasiConfig:
        """A configuration that grants the guest nothing but this output."""
        config = WasiConfig()
        config.stdout_custom = lambda written: self._write("stdout", written)
        config.stderr_custom = lambda written: self._write("stderr", written)
        return config

    def close(self) -> None:
        """Log what was not ended by a new line."""
        for stream, rest in self._pending.items():
            if rest:
                self._line(stream, rest)
        self._pending.clear()

    def _write(self, stream: str, written: bytes) -> None:
        within = self._within_budget(written)
        if len(within) < len(written) and not self._told:
            self._told = True
            _log.warning(
                "the limit `log-bytes` is reached: further output is dropped", extra=self._extra
            )
        *lines, rest = (self._pending[stream] + within).split(b"\n")
        for line in lines:
            self._line(stream, line)
        while len(rest) >= _LINE:
            self._line(stream, rest[:_LINE])
            rest = rest[_LINE:]
        self._pending[stream] = rest

    def _within_budget(self, written: bytes) -> bytes:
        cost = len(written) + written.count(b"\n") * (_RECORD - 1)
        if cost <= self._budget:
            self._budget -= cost
            return written
        left, self._budget = self._budget, 0
        for place, byte in enumerate(written):
            left -= _RECORD if byte == ord("\n") else 1
            if left < 0:
                return written[:place]
        return written

    def _line(self, stream: str, line: bytes) -> None:
        for start in range(0, max(len(line), 1), _LINE):
            text = _native.escape_line(line[start : start + _LINE].decode(errors="replace"))
            _log.info("%s", text, extra={**self._extra, "stream": stream})
