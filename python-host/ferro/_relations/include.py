"""Relations that are loaded with the rows: one more query for each, however many rows there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._expressions.path import Fields
from .._queries.select import Select
from .._tables.table import Table
from ..exceptions import InvalidQuery
from .edge import Edge
from .loaded import remember

if TYPE_CHECKING:
    from .._connections.transaction import Transaction


@dataclass(frozen=True)
class Branch:
    """A relation that is loaded, and those that are loaded with its rows."""

    edge: Edge
    rows: Select[Any] | None
    """Which of the related rows; None: all."""
    further: Tree


Tree = dict[str, Branch]


def added(
    table: Table, tree: Tree, relations: Iterable[str], chosen: dict[str, Select[Any]]
) -> Tree:
    """The relations to load, with more of them."""
    for path in relations:
        if not isinstance(path, str):
            raise InvalidQuery(
                f'`include` takes names of relations, as in `include("author")`, not `{path!r}`'
            )
        tree = _grown(table, tree, path.split("."), None)
    for name, rows in chosen.items():
        edge = table.edge(name)
        if getattr(rows, "_table", None) is not edge.target:
            raise InvalidQuery(f"`{edge}` takes a query of `{edge.target.label}`")
        if rows._limit is not None or rows._offset is not None or rows._outputs is not None:
            raise InvalidQuery(
                f"`{edge}`: the rows of all parents are loaded by one query: leave out `limit`, "
                "`offset` and `values`"
            )
        tree = _grown(table, tree, [name], rows)
    return tree


def _grown(table: Table, tree: Tree, path: list[str], rows: Select[Any] | None) -> Tree:
    name, *rest = path
    edge = table.edge(name)
    known = tree.get(name) or Branch(edge, None, {})
    further = _grown(edge.target, known.further, rest, None) if rest else known.further
    return {**tree, name: Branch(edge, known.rows if rows is None else rows, further)}


async def load(table: Table, rows: list[Any], tree: Tree, using: str | Transaction) -> None:
    """Load relations of rows, and keep with each row what it leads to."""
    for branch in tree.values():
        if not rows:
            return
        edge = branch.edge
        found = await (_by_pairs if edge.through else _by_key)(rows, branch, using)
        if branch.further:
            await load(edge.target, found, branch.further, using)


async def _by_key(rows: list[Any], branch: Branch, using: str | Transaction) -> list[Any]:
    """The field of one end is equal to that of the other."""
    edge = branch.edge
    (own,), (other,) = edge.source_fields, edge.target_fields
    keys = {row.__dict__[own] for row in rows} - {None}
    found, stored = await _chosen(branch, using, other, keys)
    by_key = defaultdict(list)
    for row, key in zip(found, stored, strict=True):
        by_key[key].append(row)
    way_back = next((it for it in edge.target.relations.values() if _is_reverse(it, edge)), None)
    for row in rows:
        related = by_key.get(row.__dict__[own], [])
        if edge.many:
            remember(row, edge, list(related))
        elif related:
            remember(row, edge, related[0])
        elif not edge.holds_key:
            remember(row, edge, None)
        if way_back is not None and not way_back.many:
            for other_row in related:
                if other_row.__dict__[other] == row.__dict__[own]:
                    remember(other_row, way_back, row)
    return found


async def _by_pairs(rows: list[Any], branch: Branch, using: str | Transaction) -> list[Any]:
    """A table of pairs says which row belongs to which."""
    edge = branch.edge
    through = edge.through
    assert through is not None, "asked before"
    (own,), (source,), (target,) = edge.source_fields, through.source_fields, through.target_fields
    keys = [row.__dict__[own] for row in rows]
    all_pairs: Select[Any] = Select(through.table.model, through.table, using)
    condition = getattr(Fields(through.table), source).in_(keys)
    pairs = await all_pairs.where(condition).values(source, target).all()
    (key,) = edge.key_fields
    found, stored = await _chosen(branch, using, key, {pair[target] for pair in pairs})
    # In the order of the query that found them.
    places = {it: place for place, it in enumerate(stored)}
    by_source = defaultdict(set)
    for pair in pairs:
        if pair[target] in places:
            by_source[pair[source]].add(places[pair[target]])
    for row in rows:
        remember(row, edge, [found[place] for place in sorted(by_source[row.__dict__[own]])])
    return found


async def _chosen(
    branch: Branch, using: str | Transaction, field: str, keys: set[Any]
) -> tuple[list[Any], list[Any]]:
    """The related rows whose field is one of some keys, and which one that is of each."""
    if not keys:
        return [], []
    edge = branch.edge
    rows: Select[Any] = Select(edge.target.model, edge.target, using)
    if branch.rows is not None:
        rows = branch.rows._copy()
        named, label = _label(rows._using or using), _label(using)
        if named != label:
            raise InvalidQuery(
                f"`{edge}` is loaded on `{label}`, where the rows are from, not on `{named}`"
            )
        rows._using = using
    if rows._order is None:
        rows = rows.order_by(*(it.name for it in edge.target.keys))
    rows = rows.where(getattr(Fields(edge.target), field).in_(keys))
    return await rows._all_and(field)


def _label(using: str | Transaction) -> str:
    return using if isinstance(using, str) else using.label


def _is_reverse(one: Edge, other: Edge) -> bool:
    return (
        one.target is other.source
        and one.through is None
        and one.source_fields == other.target_fields
        and one.target_fields == other.source_fields
    )
