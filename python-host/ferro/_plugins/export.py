"""The functions that a plugin exports: calling them, and converting their results."""

from __future__ import annotations

import ctypes
import reprlib
from typing import Any, TypeGuard

from wasmtime import Store
from wasmtime import _ffi as ffi
from wasmtime.component import Func

from ..exceptions import BY_KIND, PluginError, from_native
from .guest import GuestCall
from .lift import lift
from .lower import lower
from .types import Function
from .values import Mismatch, Values, succeed

_ERROR: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "message": str,
    "code": (str, type(None)),
    "constraint": (str, type(None)),
    "table": (str, type(None)),
    "column": (str, type(None)),
    "retryable": bool,
}
"""The WIT's `error` in Python."""
_LONGEST_REPR = 1_000
"""Maximum length of a plugin's own error in the text of its exception."""
_REPR = reprlib.Repr()
_REPR.maxdict = _REPR.maxlist = _REPR.maxset = _REPR.maxtuple = 20
_REPR.maxstring = _REPR.maxother = _LONGEST_REPR


class Export:
    """A callable function, with the converters for its values."""

    def __init__(self, name: str, function: Function, *, snake_case: bool = True) -> None:
        self.name = name
        self.function = function
        self._lower = [(it, lower(kind)) for it, kind in function.params]
        result = function.result
        self._lift = None if result is None else lift(result, snake_case=snake_case)
        self._fallible = result is not None and result[0] == "result"

    def check(self, arguments: tuple[Any, ...]) -> None:
        """Raise an error for a wrong number of arguments."""
        if len(arguments) != len(self._lower):
            names = ", ".join(name for name, _ in self._lower)
            raise PluginError(
                f"`{self.name}({names})` takes {len(self._lower)} arguments, not {len(arguments)}"
            )

    def lower(self, arguments: tuple[Any, ...], into: Any, call: GuestCall) -> None:
        """Write the arguments to the buffer of the call."""
        for (name, give), argument, value in zip(self._lower, arguments, into, strict=True):
            try:
                give(argument, value, call)
            except Mismatch as error:
                raise PluginError(f"`{self.name}`: `{name}` {error}") from None

    def call(self, function: Func, store: Store, arguments: Any, call: GuestCall) -> Any:
        """Call the function; return its result as plain Python values."""
        own, context = ctypes.byref(function._func), store._context()
        with Values(0 if self._lift is None else 1) as results:
            succeed(
                ffi.wasmtime_component_func_call(
                    own, context, arguments, len(arguments), results, len(results)
                )
            )
            try:
                plain = None if self._lift is None else self._lift(results[0], call)
            except Mismatch as error:
                raise PluginError(f"`{self.name}`: the result {error}") from None
        succeed(ffi.wasmtime_component_func_post_return(own, context))
        return plain

    def answer(self, plain: Any) -> Any:
        """The returned value; raises the exception of a returned error."""
        if not self._fallible:
            return plain
        if plain == "ok":
            return None
        if isinstance(plain, dict) and "ok" in plain:
            return plain["ok"]
        value = plain["err"] if isinstance(plain, dict) else None
        if _is_ferros(value):
            return from_native(**value)
        told = _REPR.repr(value)
        told = told if len(told) <= _LONGEST_REPR else f"{told[:_LONGEST_REPR]}…"
        return PluginError(f"`{self.name}` returned an error: {told}", value=value)


def _is_ferros(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether an error is the WIT's. A plugin's own error may look the same, with other types."""
    if not isinstance(value, dict) or value.keys() != _ERROR.keys():
        return False
    fits = all(isinstance(value[name], kinds) for name, kinds in _ERROR.items())
    return fits and value["kind"] in BY_KIND
