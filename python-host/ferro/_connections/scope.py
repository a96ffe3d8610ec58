"""Scopes: blocks in which every query sees only the rows of one tenant."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import _native
from .._tables.registry import registry
from .nesting import Block, Blocks, Nesting

if TYPE_CHECKING:
    from .._plugins.tenant import Tenant

_scopes: Nesting[Block[Scope]] = Nesting("ferro_scope", Block.counts)


class Scope:
    """A block in which a tenant's grants apply; created by `ferro.scope`."""

    def __init__(self, tenant: Tenant | Mapping[str, Any]) -> None:
        from .._plugins.tenant import tenant_json

        self._tenant = tenant_json(tenant)
        self._gate: tuple[int, _native.Databases, _native.Gate] | None = None
        self._blocks = Blocks(_scopes, self)

    def gate(self, databases: _native.Databases) -> _native.Gate:
        """The gate with the grants, for the current models."""
        known = self._gate
        if known is None or known[:2] != (registry.version, databases):
            version, models = registry.versioned()
            gate = _native.Gate(databases, models, self._tenant)
            known = self._gate = (version, databases, gate)
        return known[2]

    def __enter__(self) -> Scope:
        self._blocks.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._blocks.leave()


def scope(tenant: Tenant | Mapping[str, Any]) -> Scope:
    """A block in which every operation of this task, and of tasks that it starts, has a tenant's
    rights.

    The tenant's grants define which tables and columns it may read and write. They also force
    filters on every read, update and delete, including relations, and fill in the values of these
    filters on inserted rows. The core writes them into each statement, so queries cannot bypass
    them. SQL text is refused unless the grant has `raw_sql`: forced filters do not apply to it. The
    tenant's limits only apply to plugins.

    Example:
        >>> import asyncio, ferro
        >>> class Bill(ferro.Model, table="doc_bill"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     tenant: int = 0
        >>> acme = ferro.Tenant("acme", grants={"doc-scope": ferro.Grant(
        ...     access="read-write",
        ...     tables={"doc_bill": ferro.TableGrant(insert=True, filters={"tenant": 7})},
        ... )})
        >>> async def main() -> list[int]:
        ...     await ferro.connect("sqlite::memory:", "doc-scope", auto_migrate=True)
        ...     async with ferro.connection_context("doc-scope"):
        ...         await Bill.create(tenant=8)
        ...         with ferro.scope(acme):
        ...             await Bill.create()
        ...             tenants = [bill.tenant for bill in await Bill.all()]
        ...     await ferro.disconnect("doc-scope")
        ...     return tenants
        >>> asyncio.run(main())
        [7]
    """
    return Scope(tenant)


def current_scope() -> Scope | None:
    """The scope that this code runs in."""
    block = _scopes.current()
    return None if block is None else block.choice
