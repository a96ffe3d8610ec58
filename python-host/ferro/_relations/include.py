"""Relations that are loaded with rows: one more query for each, however many rows there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._connections.transaction import runner_for
from .._expressions.path import Fields, field_of
from .._queries.query import Query
from .._queries.read import read, read_with
from .._queries.selection import selection
from .._queries.spec import LOCKS, QuerySpec, refuse
from .._rows.identity import merge
from .._tables.relationship import Relationship
from .._tables.table import Table
from ..exceptions import InvalidQuery
from .loaded import own_key, remember

if TYPE_CHECKING:
    from .._connections.transaction import Transaction


@dataclass(frozen=True)
class Branch:
    """A relation to load, and the relations to load with its rows."""

    relation: Relationship
    rows: QuerySpec | None
    """The query of the related rows; None means all."""
    further: Tree


Tree = dict[str, Branch]

_CHOSEN = LOCKS | {"using", "where", "distinct", "order_by", "limit", "offset", "include"}

Found = tuple[list[Any], list[Any]]
"""Related rows, in their order, and the key of the parent that each belongs to."""


def added(
    table: Table, tree: Tree, relations: Iterable[str], chosen: dict[str, Query[Any, Any]]
) -> Tree:
    """Add relations to those to load."""
    for path in relations:
        if not isinstance(path, str):
            raise InvalidQuery(
                f'`include` takes names of relations, as in `include("author")`, not `{path!r}`'
            )
        tree = _grown(table, tree, path.split("."), None)
    for name, rows in chosen.items():
        relation = table.relation(name)
        if not isinstance(rows, Query) or rows._spec.table is not relation.target:
            raise InvalidQuery(f"`{relation}` takes a query of `{relation.target.label}`")
        _check_chosen(relation, rows._spec)
        tree = _grown(table, tree, [name], rows._spec)
    return tree


def _check_chosen(relation: Relationship, rows: QuerySpec) -> None:
    refuse(rows, str(relation), "is loaded with whole rows of a plain query", _CHOSEN)
    if rows.limit is not None or rows.offset is not None:
        if not relation.many:
            refuse(rows, str(relation), "leads to one row", _CHOSEN - {"limit", "offset"})
        why = "has a limit for each parent, and does not lock the rows"
        refuse(rows, str(relation), why, _CHOSEN - LOCKS)


def _grown(table: Table, tree: Tree, path: list[str], rows: QuerySpec | None) -> Tree:
    name, *rest = path
    relation = table.relation(name)
    known = tree.get(name) or Branch(relation, None, {})
    further = _grown(relation.target, known.further, rest, None) if rest else known.further
    return {**tree, name: Branch(relation, known.rows if rows is None else rows, further)}


async def load(table: Table, rows: list[Any], tree: Tree, using: str | Transaction) -> None:
    """Load relations of rows, and store the result with each row."""
    for branch in tree.values():
        if not rows:
            return
        found = await _loaded(rows, branch, using)
        if branch.further:
            await load(branch.relation.target, found, branch.further, using)


async def _loaded(rows: list[Any], branch: Branch, using: str | Transaction) -> list[Any]:
    """Load a relation of rows, and store the result with each row; return all related rows."""
    relation = branch.relation
    (own,) = relation.source_fields
    keys = {row.__dict__[own] for row in rows} - {None}
    chosen = _chosen(branch, using)
    found: list[Any] = []
    parents: list[Any] = []
    if keys:
        limited = chosen.limit is not None or chosen.offset is not None
        ask = _of_each if limited else _of_pairs if relation.through else _of_all
        found, parents = await ask(relation, chosen, keys)
    by_parent = defaultdict(list)
    for row, key in zip(found, parents, strict=True):
        by_parent[key].append(row)
    way_back = next(
        (it for it in relation.target.relations.values() if _is_reverse(it, relation)), None
    )
    for row in rows:
        related = by_parent.get(row.__dict__[own], [])
        if relation.many:
            remember(row, relation, list(related))
        elif related:
            remember(row, relation, related[0])
        elif not relation.holds_key:
            remember(row, relation, None)
        if way_back is not None and not way_back.many:
            for other_row in related:
                if own_key(other_row, way_back) == own_key(row, relation):
                    remember(other_row, way_back, row)
    return list({id(row): row for row in found}.values())


async def _of_all(relation: Relationship, chosen: QuerySpec, keys: set[Any]) -> Found:
    """Related rows by equality of a field on each side."""
    (other,) = relation.target_fields
    condition = getattr(Fields(relation.target), other).in_(keys)
    return await read_with(chosen.where(condition), other)


async def _of_pairs(relation: Relationship, chosen: QuerySpec, keys: set[Any]) -> Found:
    """Related rows through a table of pairs."""
    through = relation.through
    assert through is not None, "asked before"
    (source,), (target,) = through.source_fields, through.target_fields
    condition = getattr(Fields(through.table), source).in_(keys)
    fields = tuple([(it, field_of(through.table, it)) for it in (source, target)])
    all_pairs = QuerySpec(through.table, chosen.using).with_(outputs=fields)
    pairs = await read(all_pairs.where(condition))
    wanted = {pair[target] for pair in pairs}
    if not wanted:
        return [], []
    (key,) = relation.key_fields
    condition = getattr(Fields(relation.target), key).in_(wanted)
    found, stored = await read_with(chosen.where(condition), key)
    # In the order of the query.
    places = {it: place for place, it in enumerate(stored)}
    pairs = [pair for pair in pairs if pair[target] in places]
    pairs.sort(key=lambda pair: places[pair[target]])
    return [found[places[pair[target]]] for pair in pairs], [pair[source] for pair in pairs]


async def _of_each(relation: Relationship, chosen: QuerySpec, keys: set[Any]) -> Found:
    """Related rows with a limit per parent: the core numbers them, and reads the parents again."""
    (own,) = relation.source_fields
    source, target, using = relation.source, relation.target, chosen.using
    condition = getattr(Fields(source), own).in_(keys)
    rows, values = selection(chosen)
    query = source.query(("related", relation.name, rows, own, condition._shape))
    label, runner = runner_for(using)
    read, others = await runner.fetch_related(query, values + condition._values, target.loader)
    if relation.through is None:
        (other,) = relation.target_fields
        parents = [row.__dict__[other] for row in read]
    else:
        decode = source.column(own).read
        parents = [key if decode is None else decode(key) for (key,) in others]
        # A row is returned once for each of its parents.
        names = [it.name for it in target.keys]
        known: dict[tuple[Any, ...], Any] = {}
        read = [known.setdefault(tuple([row.__dict__[it] for it in names]), row) for row in read]
    found = merge(label, target, read)
    if chosen.includes:
        await load(target, found, chosen.includes, using or label)
    return found, parents


def _chosen(branch: Branch, using: str | Transaction) -> QuerySpec:
    """The query of the related rows, of all parents."""
    relation = branch.relation
    rows = branch.rows
    if rows is None:
        rows = QuerySpec(relation.target, using)
    else:
        named, label = _label(rows.using or using), _label(using)
        if named != label:
            raise InvalidQuery(
                f"`{relation}` is loaded on `{label}`, where the rows are from, not on `{named}`"
            )
        # Whole rows are always distinct.
        rows = rows.with_(using=using, distinct=False)
    if rows.order is None:
        keys = tuple([field_of(rows.table, it.name).asc() for it in rows.table.keys])
        rows = rows.with_(order=keys)
    return rows


def _label(using: str | Transaction) -> str:
    return using if isinstance(using, str) else using.label


def _is_reverse(one: Relationship, other: Relationship) -> bool:
    return (
        one.target is other.source
        and one.through is None
        and other.through is None
        and one.source_fields == other.target_fields
        and one.target_fields == other.source_fields
    )
