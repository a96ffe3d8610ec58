"""Running the core component, which turns models and queries into plans.

The native module calls this only if it has no plan for a query.
"""

from __future__ import annotations

import atexit
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _native
from ..exceptions import BY_KIND, FerroError, InternalError, SchemaError
from .answers import Answers
from .folder import core_hash, entries, private_folder

if TYPE_CHECKING:
    from wasmtime.component import ResourceAny

    from .component import Core


_numbers = itertools.count()


class Compiler:
    """Runs the core component, in one thread at a time, since wasmtime's stores cannot be shared.

    It is loaded when it is called first. `calls` counts the calls. If `caches`, answers are cached
    on disk, and a process that finds all of its answers there does not load the component.
    """

    def __init__(self, caches: bool = False) -> None:
        self.calls = 0
        self.caches = caches
        self._lock = threading.Lock()
        self._core: Core | None = None
        self._handles: dict[int, ResourceAny] = {}
        """Catalogs that the core has created, by number."""
        self._dropped: list[int] = []

    def load(self) -> None:
        """Load the component, unless that is done; otherwise the first call does it."""
        with self._lock:
            self._running()

    def prepare(self) -> None:
        """Load the component, if that may take seconds later, since its code is not cached."""
        folder = self._folder()
        if folder is None or not any(entries(folder, core_hash())):
            self.load()

    def catalog(self, models: str) -> Catalog:
        """Check models, passed as the JSON of a `schema`."""
        answers = Answers(models, self._folder())
        catalog = Catalog(self, models, answers)
        with self._lock:
            if answers.get("create", "") is None:
                self._handle(catalog)
                answers.add("create", "", "valid")
        return catalog

    def call(self, catalog: Catalog, method: str, request: str, cached: bool = True) -> str:
        """Call a method of a catalog, unless the answer is cached; an error is raised."""
        with self._lock:
            known = catalog.answers.get(method, request) if cached else None
            return known or self._ask(catalog, method, request, cached)

    def call_at_once(self, catalog: Catalog, method: str, request: str, cached: bool) -> str | None:
        """The same, or None if that may take long: the component is not loaded, or in use."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            known = catalog.answers.get(method, request) if cached else None
            if known is None and self._core is not None:
                return self._ask(catalog, method, request, cached)
            return known
        finally:
            self._lock.release()

    def drop(self, catalog: Catalog) -> None:
        """Drop a catalog. As this can be called at any time, it takes effect at the next call."""
        self._dropped.append(catalog.number)

    def close(self) -> None:
        """Drop the component; the next call creates a new instance."""
        # At the end of a forked process, the lock may belong to a thread that does not exist there.
        if self._lock.acquire(blocking=False):
            self._forget()
            self._lock.release()

    def _forget(self) -> None:
        self._handles.clear()
        self._core = None

    def _running(self) -> Core:
        if self._core is None:
            from .component import Core

            self._core = Core()
        return self._core

    def _handle(self, catalog: Catalog) -> ResourceAny:
        """The catalog in the current instance; created again if that is a new one."""
        while self._dropped:
            dropped = self._handles.pop(self._dropped.pop(), None)
            if dropped is not None:
                with self._entered() as core:
                    core.drop(dropped)
        known = self._handles.get(catalog.number)
        if known is not None:
            return known
        # wasmtime-py distinguishes ok and err by class here, and by a tag below.
        made: ResourceAny | str = self._enter("[static]catalog.create", catalog.models)
        if isinstance(made, str):
            raise SchemaError(_faults(made))
        self._handles[catalog.number] = made
        return made

    def _folder(self) -> Path | None:
        return private_folder() if self.caches else None

    def _ask(self, catalog: Catalog, method: str, request: str, cached: bool) -> str:
        answer = self._enter(f"[method]catalog.{method}", self._handle(catalog), request)
        if answer.tag == "err":
            raise _error(answer.payload)
        text: str = answer.payload
        if cached:
            catalog.answers.add(method, request, text)
        return text

    def _enter(self, name: str, *arguments: Any) -> Any:
        self.calls += 1
        with self._entered() as core:
            return core.call(name, *arguments)

    @contextmanager
    def _entered(self) -> Iterator[Core]:
        try:
            yield self._running()
        except BaseException:
            # Its memory may be inconsistent: the next call gets a new instance.
            self._forget()
            raise


class Catalog:
    """Models that the core component has checked, against which the native module compiles."""

    def __init__(self, compiler: Compiler, models: str, answers: Answers) -> None:
        self.models = models
        self.answers = answers
        self.number = next(_numbers)
        self._compiler = compiler

    def compile(self, request: str, cached: bool = True) -> str:
        """Compile `{query, dialect, scope}` to a `plan`.

        Plans for tenants are not `cached` on disk, where they could fill the place of others.
        """
        return self._compiler.call(self, "compile", request, cached)

    def compile_at_once(self, request: str, cached: bool) -> str | None:
        """The same, or None if that may take long, as loading the component does."""
        return self._compiler.call_at_once(self, "compile", request, cached)

    def create_tables(self, request: str) -> str:
        """Return a list of `migration-step` for `{dialect, found}`."""
        return self._compiler.call(self, "create-tables", request)

    def introspection(self, dialect: str) -> str:
        """Return a list of statements for a `dialect`."""
        return self._compiler.call(self, "introspection", dialect)

    def migrate(self, request: str) -> str:
        """Return a list of `migration-step` for `{dialect, found}`."""
        return self._compiler.call(self, "migrate", request)

    def __del__(self) -> None:
        self._compiler.drop(self)


def _error(text: str) -> FerroError:
    error = json.loads(text)
    return BY_KIND.get(error["kind"], InternalError)(error["message"], kind=error["kind"])


def _faults(text: str) -> str:
    """All faults of the models, one per line."""
    faults = (f"  {fault}" for fault in json.loads(text))
    return "the models are not valid:\n" + "\n".join(faults)


compiler = Compiler(caches=True)
"""The instance of this process."""

# Later, the modules of wasmtime-py that it needs are unloaded.
atexit.register(compiler.close)
# Dropped first: then no thread is inside.
atexit.register(_native.end)
