"""The list of all tables: how they are connected, and the catalog that is made of them."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from .. import _native
from .._core.compiler import compiler
from .._message import quoted
from .._relations.edge import Edge, Through
from .._relations.relation import ForeignKey, Link, RelationAttribute
from ..exceptions import SchemaError
from .column_type import snake_case
from .schema import schema_of
from .table import Table


class Registry:
    """All models of the application, and the catalog that the core component makes of them."""

    def __init__(self) -> None:
        self.version = 0
        self._tables: dict[tuple[str | None, str], Table] = {}
        self._lock = threading.RLock()
        self._linked = -1
        self._models: tuple[int, _native.Models] | None = None

    def add(self, table: Table) -> None:
        """Take in a model. A class that is defined again replaces the former one."""
        with self._lock:
            known = self._tables.get(table.place)
            if known is not None and _path(known) != _path(table):
                raise SchemaError(
                    f"`{_path(known)}` and `{_path(table)}` have the same table, `{table.name}`: "
                    "give one of them another, as in `class Name(ferro.Model, table=...)`"
                )
            # In queries the second `User` of an application is `User_app_users`, after its table.
            others = {it.model_name for it in self._tables.values() if it.place != table.place}
            if table.model_name in others:
                table.model_name = "_".join(filter(None, (table.label, *table.place)))
            while table.model_name in others:
                table.model_name += "_"
            self._tables[table.place] = table
            self.version += 1

    def remove(self, table: Table) -> None:
        """Forget a model: for tests of models that do not fit the others."""
        with self._lock:
            self._tables.pop(table.place, None)
            self.version += 1

    def target(self, source: Table, link: Link) -> Table:
        """The table at the other end of a relation."""
        if not isinstance(link.target, str):
            found = link.target.__dict__.get("__ferro_table__")
            if not isinstance(found, Table):
                name = getattr(link.target, "__name__", link.target)
                raise SchemaError(
                    f"`{source.label}.{link.name}`: `{name}` is not a model with a table"
                )
            return self._tables.get(found.place, found)
        if link.target == source.label:
            return source
        found = self._meant(source, link.target)
        if len(found) == 1:
            return found[0]
        if found:
            paths = [_path(it) for it in found]
            raise SchemaError(
                f"`{source.label}.{link.name}`: `{link.target}` may be {quoted(paths)}: name one "
                f'with its module, as in `Relation["{paths[0]}"]`'
            )
        raise SchemaError(
            f"`{source.label}.{link.name}` refers to `{link.target}`, which is not defined: import "
            "the module that defines it"
        )

    def _meant(self, source: Table, name: str) -> list[Table]:
        """The models that a name in a class may mean: what its module calls so goes first."""
        named = [it for it in self._tables.values() if it.label == name.rpartition(".")[2]]
        known: Any = sys.modules.get(source.model.__module__)
        for part in name.split("."):
            known = getattr(known, part, None)
        meant = [it for it in named if it.model is known]
        if "." in name:
            near = [it for it in named if f".{_path(it)}".endswith(f".{name}")]
        else:
            near = [it for it in named if it.model.__module__ == source.model.__module__]
        return meant or near or named

    def link(self) -> None:
        """Connect the tables by their relations, if one was added."""
        if self._linked == self.version:
            return
        with self._lock:
            while self._linked != self.version:
                version = self.version
                for table in list(self._tables.values()):
                    self._join(table)
                if version != self.version:
                    continue
                for table in self._tables.values():
                    table.resolve_columns()
                relations: dict[Any, dict[str, Edge]] = {place: {} for place in self._tables}
                for table in self._tables.values():
                    for edge, back in table.own_edges():
                        relations[table.place][edge.name] = edge
                        if back is not None:
                            way_back = _reversed(edge, back, table.links[edge.name])
                            known = relations[edge.target.place].setdefault(back, way_back)
                            _check_inherited(table, edge, known)
                for table in self._tables.values():
                    _check_back_references(table, relations[table.place])
                    table.relations = relations[table.place]
                    for name in table.relations:
                        RelationAttribute.put(table.model, name)
                self._linked = version

    def load(self) -> None:
        """Have the compiler ready and the models checked: what is wrong shows before any query.

        Those that refer to a model of a module that is still to be imported are left for later.
        """
        compiler.load()
        with self._lock:
            links = [(table, it) for table in self._tables.values() for it in table.links.values()]
            ends = [(table, end) for table, it in links for end in (it.target, it.through)]
            is_whole = all(self._meant(table, end) for table, end in ends if isinstance(end, str))
        if is_whole:
            self.models()

    def models(self) -> _native.Models:
        """The checked models; checked again after one was added."""
        return self.versioned()[1]

    def versioned(self) -> tuple[int, _native.Models]:
        """The checked models, and which version they are: another thread may add some meanwhile."""
        with self._lock:
            self.link()
            version, tables = self.version, list(self._tables.values())
            known = self._models
            if known is not None and known[0] == version:
                return known
            schema = json.dumps(schema_of(tables))
        found = (version, _native.Models(schema, compiler))
        with self._lock:
            self._models = found
        return found

    def _join(self, table: Table) -> None:
        """Make the tables of pairs that are missing."""
        for link in table.links.values():
            if link.kind == "many-to-many" and link.through is None:
                target = self.target(table, link)
                if link.name not in table.pairs:
                    table.pairs[link.name] = _pairs(table, link, target)


def _reversed(edge: Edge, name: str, link: Link) -> Edge:
    if edge.through is None:
        return Edge(
            name,
            edge.target,
            edge.source,
            not edge.source.is_unique(link),
            False,
            edge.target_fields,
            edge.source_fields,
        )
    through = Through(edge.through.table, edge.through.target_fields, edge.through.source_fields)
    keys = tuple(it.name for it in edge.target.keys)
    return Edge(name, edge.target, edge.source, True, False, keys, through.source_fields, through)


def _check_inherited(table: Table, edge: Edge, way_back: Edge) -> None:
    """Refuse a relation that two models inherit whose way back has one name for both."""
    other = way_back.target
    if other is not table and other.links.get(edge.name) is table.links[edge.name]:
        raise SchemaError(
            f"relation `{table.label}.{edge.name}`: `{other.label}` inherits it too, and "
            f"`{way_back}` is the way back of one: leave `related_name` out of the class that "
            "both inherit from, or declare the relation in each with its own"
        )


def _check_back_references(table: Table, edges: dict[str, Edge]) -> None:
    for link in table.links.values():
        if link.kind != "back-reference":
            continue
        edge = edges.get(link.name)
        where = f"`{table.label}.{link.name}`"
        if edge is None:
            raise SchemaError(
                f"{where} is a `BackRef`, and no relation to `{table.label}` has "
                f'`related_name="{link.name}"`'
            )
        if edge.many != link.many:
            wanted = "many rows: `Relation[list[…]]`" if edge.many else "one row: `Relation[…]`"
            raise SchemaError(f"{where} leads to {wanted}")


def _pairs(source: Table, link: Link, target: Table) -> Table:
    """A model for the pairs of a many-to-many relation: `post_tags` with `post_id` and `tag_id`."""
    from .._models.model import Model

    one, two = snake_case(source.label), snake_case(target.label)
    formers = [it.renamed_from and snake_case(it.renamed_from) for it in (source, target)]
    if one == two:
        one, two = f"from_{one}", f"to_{two}"
        formers = [it and f"{side}_{it}" for side, it in zip(("from", "to"), formers, strict=True)]
    name = f"{source.label}_{link.name}"
    body = {
        "__module__": source.model.__module__,
        "__qualname__": f"{source.model.__qualname__}.{link.name}",
        "__doc__": f"The pairs of `{source.label}.{link.name}`.",
        "__annotations__": {one: source.model, two: target.model},
        one: ForeignKey(primary_key=True, renamed_from=formers[0]),
        two: ForeignKey(primary_key=True, index=True, renamed_from=formers[1]),
    }
    make: Any = type(Model)
    model = make(name, (Model,), body, table=f"{source.name}_{link.name}", schema=source.schema)
    table: Table = model.__ferro_table__
    if source.renamed_from:
        # The core makes the name of a table of a class's, and would change that of the relation.
        is_plain = link.name == snake_case(link.name)
        former = source.renamed_from if is_plain else snake_case(source.renamed_from)
        table.renamed_from = f"{former}_{link.name}"
    return table


def _path(table: Table) -> str:
    return f"{table.model.__module__}.{table.model.__qualname__}"


registry = Registry()
"""The one of this process."""
