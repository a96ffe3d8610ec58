"""The part of WASI that plugins get: what the standard library of a language needs to start.

Arguments and environment are empty, standard input is closed, and standard output and error are
logged by `ferro.guest`. There are no files, sockets and clocks: a plugin that imports them is
rejected.

wasmtime provides all of this too, but allocates a task and a buffer for each stream that a guest
requests, outside the guest's limits.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _native
from .types import RESOURCES, Function, Type

if TYPE_CHECKING:
    from .guest import GuestCall

_log = logging.getLogger("ferro.guest")
_LINE = 4 * 1024
"""Longer lines are split."""
_RECORD = 64
"""The size charged for each line, by which a log record exceeds its text."""
_PERMIT = 64 * 1024
"""Maximum bytes per write, and per request for random bytes."""


class Fault(Exception):
    """A violation by the guest that ends its call."""


class Output:
    """The output of a guest in one call, up to a number of bytes; the rest is dropped."""

    def __init__(self, plugin: str, tenant: str, budget: int) -> None:
        self._extra = {"plugin": plugin, "tenant": tenant}
        self._budget = budget
        self._told = False
        self._pending = {"stdout": b"", "stderr": b""}

    def close(self) -> None:
        """Log the last line, if it does not end with a newline."""
        for stream, rest in self._pending.items():
            if rest:
                self._line(stream, rest)
        self._pending.clear()

    def write(self, stream: str, written: bytes) -> None:
        """Log the completed lines, within the limit."""
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


class _Stream:
    """A stream of a guest: closed, or one that is logged."""

    def __init__(self, name: str) -> None:
        self.name = name

    def close(self) -> None:
        """Do nothing: no resource is held."""


def _stream(name: str) -> Callable[[GuestCall], int]:
    return lambda call: call.own(_Stream(name))


def _pollable(call: GuestCall, _: int) -> int:
    return call.own(_Stream("ready"))


def _closed(_: GuestCall, *__: Any) -> dict[str, str]:
    return {"err": "closed"}


def _write(call: GuestCall, stream: int, written: bytes) -> dict[str, None]:
    call.output.write(call.get(stream).name, written)
    return {"ok": None}


def _write_zeroes(call: GuestCall, stream: int, length: int) -> dict[str, None]:
    _permit(length)
    return _write(call, stream, bytes(length))


def _permit(length: int) -> None:
    if length > _PERMIT:
        raise Fault(f"{length} bytes at once, but only {_PERMIT} are permitted")


def _random_bytes(_: GuestCall, length: int) -> bytes:
    _permit(length)
    return os.urandom(length)


def _random(_: GuestCall | None = None) -> int:
    return int.from_bytes(os.urandom(8), "little")


def _exit(_: GuestCall, status: str) -> None:
    raise Fault(f"exited with status {0 if status == 'ok' else 1}")


def _poll(_: GuestCall, pollables: list[int]) -> list[int]:
    if not pollables:
        raise Fault("nothing to wait for")
    return list(range(len(pollables)))


def _function(*params: tuple[str, Type], result: Type | None = None) -> Function:
    return Function(params, result)


def _handle(name: str, kind: str = "own") -> Type:
    return (kind, next(it for it in RESOURCES if it.endswith(f"#{name}")))


_U64 = ("u64",)
_TEXT = ("string",)
_BYTES = ("list", ("u8",))
_ERROR = ("variant", (("last-operation-failed", _handle("error")), ("closed", None)))
_POLLABLE, _READ, _WRITTEN = (
    ("self", _handle(it, "borrow")) for it in ("pollable", "input-stream", "output-stream")
)
_LENGTH = ("len", _U64)
_SOURCE = ("src", _handle("input-stream", "borrow"))


def _result(ok: Type | None) -> Type:
    return ("result", ok, _ERROR)


FUNCTIONS: dict[str, dict[str, tuple[Function, Callable[..., Any]]]] = {
    "wasi:cli/environment": {
        "get-environment": (
            _function(result=("list", ("tuple", (_TEXT, _TEXT)))),
            lambda _: [],
        ),
        "get-arguments": (_function(result=("list", _TEXT)), lambda _: []),
        "initial-cwd": (_function(result=("option", _TEXT)), lambda _: None),
    },
    "wasi:cli/exit": {"exit": (_function(("status", ("result", None, None))), _exit)},
    "wasi:cli/stdin": {
        "get-stdin": (_function(result=_handle("input-stream")), _stream("stdin")),
    },
    "wasi:cli/stdout": {
        "get-stdout": (_function(result=_handle("output-stream")), _stream("stdout")),
    },
    "wasi:cli/stderr": {
        "get-stderr": (_function(result=_handle("output-stream")), _stream("stderr")),
    },
    "wasi:cli/terminal-input": {},
    "wasi:cli/terminal-output": {},
    "wasi:cli/terminal-stdin": {
        "get-terminal-stdin": (
            _function(result=("option", _handle("terminal-input"))),
            lambda _: None,
        ),
    },
    "wasi:cli/terminal-stdout": {
        "get-terminal-stdout": (
            _function(result=("option", _handle("terminal-output"))),
            lambda _: None,
        ),
    },
    "wasi:cli/terminal-stderr": {
        "get-terminal-stderr": (
            _function(result=("option", _handle("terminal-output"))),
            lambda _: None,
        ),
    },
    "wasi:io/error": {
        # No stream returns one.
        "[method]error.to-debug-string": (
            _function(("self", _handle("error", "borrow")), result=_TEXT),
            lambda *_: "",
        ),
    },
    "wasi:io/poll": {
        "[method]pollable.ready": (_function(_POLLABLE, result=("bool",)), lambda *_: True),
        "[method]pollable.block": (_function(_POLLABLE), lambda *_: None),
        "poll": (
            _function(("in", ("list", _handle("pollable", "borrow"))), result=("list", ("u32",))),
            _poll,
        ),
    },
    "wasi:io/streams": {
        **{
            f"[method]input-stream.{name}": (_function(_READ, _LENGTH, result=_result(ok)), _closed)
            for name, ok in (
                ("read", _BYTES),
                ("blocking-read", _BYTES),
                ("skip", _U64),
                ("blocking-skip", _U64),
            )
        },
        "[method]input-stream.subscribe": (
            _function(_READ, result=_handle("pollable")),
            _pollable,
        ),
        "[method]output-stream.check-write": (
            _function(_WRITTEN, result=_result(_U64)),
            lambda *_: {"ok": _PERMIT},
        ),
        **{
            f"[method]output-stream.{name}": (
                _function(_WRITTEN, ("contents", _BYTES), result=_result(None)),
                _write,
            )
            for name in ("write", "blocking-write-and-flush")
        },
        **{
            f"[method]output-stream.{name}": (
                _function(_WRITTEN, result=_result(None)),
                lambda *_: {"ok": None},
            )
            for name in ("flush", "blocking-flush")
        },
        "[method]output-stream.subscribe": (
            _function(_WRITTEN, result=_handle("pollable")),
            _pollable,
        ),
        **{
            f"[method]output-stream.{name}": (
                _function(_WRITTEN, _LENGTH, result=_result(None)),
                _write_zeroes,
            )
            for name in ("write-zeroes", "blocking-write-zeroes-and-flush")
        },
        **{
            f"[method]output-stream.{name}": (
                _function(_WRITTEN, _SOURCE, _LENGTH, result=_result(_U64)),
                _closed,
            )
            for name in ("splice", "blocking-splice")
        },
    },
    "wasi:random/insecure-seed": {
        "insecure-seed": (
            _function(result=("tuple", (_U64, _U64))),
            lambda _: (_random(), _random()),
        ),
    },
    "wasi:random/random": {
        "get-random-bytes": (_function(_LENGTH, result=_BYTES), _random_bytes),
        "get-random-u64": (_function(result=_U64), _random),
    },
}
"""The functions of each interface that a plugin may import, with types and implementations."""
