"""Reading the rows of a query: all of them, or the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._connections.transaction import block, runner_for
from .._expressions.path import field_of
from .._rows.identity import merge
from ..exceptions import TransactionError
from .computed import values_as_asked
from .pairs import pairs_of
from .selection import prepared

if TYPE_CHECKING:
    from .spec import QuerySpec


async def read(spec: QuerySpec) -> list[Any]:
    """All rows."""
    return (await read_with(spec, None))[0]


async def read_with(spec: QuerySpec, field: str | None) -> tuple[list[Any], list[Any]]:
    """Return all rows, and the stored value of a field of each: objects of a session may have an
    unsaved one.
    """
    check_lock(spec)
    query, values = prepared(spec)
    label, runner = runner_for(spec.using)
    if spec.form == "pair":
        rows, beside = await runner.fetch_instances_and(query, values, spec.table.loader)
        return pairs_of(spec, await as_objects(spec, label, rows), beside), []
    if spec.outputs is not None:
        return values_as_asked(spec, await runner.fetch_dicts(query, values)), []
    rows = await runner.fetch_instances(query, values, spec.table.loader)
    stored = [] if field is None else [row.__dict__[field] for row in rows]
    return await as_objects(spec, label, rows), stored


async def as_objects(spec: QuerySpec, label: str, read: list[Any]) -> list[Any]:
    """Merge read rows into the objects of the session, and load their relations."""
    rows = merge(label, spec.table, read)
    if spec.includes:
        from .._relations.include import load

        await load(spec.table, rows, spec.includes, spec.using or label)
    return rows


def check_lock(spec: QuerySpec) -> None:
    """Reject a lock on rows outside a transaction, where it has no end."""
    if spec.lock is not None and block(spec.using) is None:
        raise TransactionError(
            f"`for_{spec.lock[0]}` locks rows until the transaction ends, but there is none: "
            "query inside `async with ferro.transaction()`"
        )


def first_of(spec: QuerySpec) -> QuerySpec:
    """The query of the first row."""
    order = spec.order
    if order is None and spec.combined is not None and spec.outputs is None:
        # Combined rows cannot be ordered by an enum.
        keys = [it.name for it in spec.table.keys if it.enumeration is None]
        order = tuple([field_of(spec.table, it).asc() for it in keys])
    elif order is None and spec.group and not spec.distinct:
        order = tuple([it.asc() for it in spec.group])
    return spec.with_(order=order).at_most(1)
