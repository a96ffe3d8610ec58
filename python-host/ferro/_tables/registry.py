"""The registry of all tables: their relations, and the catalog built from them."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from .. import _native
from .._core.compiler import compiler
from .._message import quoted
from ..exceptions import SchemaError
from .relation_options import RelationOptions
from .relationship import Relationship, Through
from .schema import schema_of
from .table import Table


class Registry:
    """All models of the application, and the catalog that the core component builds from them."""

    def __init__(self) -> None:
        self.version = 0
        self._tables: dict[tuple[str | None, str], Table] = {}
        self._lock = threading.RLock()
        self._linked = -1
        self._models: tuple[int, _native.Models] | None = None

    def add(self, table: Table) -> None:
        """Register a model. A class that is defined again replaces the former one."""
        with self._lock:
            folded = _folded(table.place)
            known = next((it for it in self._tables.values() if _folded(it.place) == folded), None)
            if known is not None and _path(known) != _path(table):
                tables = f"the same table, `{table.name}`"
                if known.place != table.place:
                    names = quoted([known.name, table.name])
                    tables = f"tables that differ only in case, {names}, which SQLite takes for one"
                raise SchemaError(
                    f"`{_path(known)}` and `{_path(table)}` have {tables}: "
                    "give one of them another, as in `class Name(ferro.Model, table=...)`"
                )
            # In queries, the second `User` of an application is named `User_app_users`, after its
            # table.
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

    def target(self, source: Table, declared: RelationOptions) -> Table:
        """The table at the other end of a relation."""
        if not isinstance(declared.target, str):
            found = declared.target.__dict__.get("__ferro_table__")
            if not isinstance(found, Table):
                name = getattr(declared.target, "__name__", declared.target)
                raise SchemaError(
                    f"`{source.label}.{declared.name}`: `{name}` is not a model with a table"
                )
            return self._tables.get(found.place, found)
        if declared.target == source.label:
            return source
        found = self._meant(source, declared.target)
        if len(found) == 1:
            return found[0]
        if found:
            paths = [_path(it) for it in found]
            raise SchemaError(
                f"`{source.label}.{declared.name}`: `{declared.target}` may be {quoted(paths)}: "
                f'name one with its module, as in `Relation["{paths[0]}"]`'
            )
        raise SchemaError(
            f"`{source.label}.{declared.name}` refers to `{declared.target}`, which is not defined"
            ": import the module that defines it"
        )

    def _meant(self, source: Table, name: str) -> list[Table]:
        """The models that a name in a class may refer to; a name in its module takes precedence."""
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
        """Resolve the relations between tables, if a table was added."""
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
                relations: dict[Any, dict[str, Relationship]] = {
                    place: {} for place in self._tables
                }
                for table in self._tables.values():
                    for relation, back in table.own_relations():
                        relations[table.place][relation.name] = relation
                        if back is not None:
                            way_back = _reversed(
                                relation, back, table.relation_options[relation.name]
                            )
                            known = relations[relation.target.place].setdefault(back, way_back)
                            _check_inherited(table, relation, known)
                for table in self._tables.values():
                    _check_back_references(table, relations[table.place])
                    table.relations = relations[table.place]
                    for name in table.relations:
                        table.model._ferro_relate(name)
                self._linked = version

    def load(self) -> None:
        """Check the models, so that faults show before the first query.

        Models that refer to a module that is not imported yet are checked later.
        """
        compiler.prepare()
        with self._lock:
            all_declared = [
                (table, it)
                for table in self._tables.values()
                for it in table.relation_options.values()
            ]
            ends = [(table, end) for table, it in all_declared for end in (it.target, it.through)]
            is_whole = all(self._meant(table, end) for table, end in ends if isinstance(end, str))
        if is_whole:
            self.models()

    def models(self) -> _native.Models:
        """The checked models; checked again after a model was added."""
        return self.versioned()[1]

    def versioned(self) -> tuple[int, _native.Models]:
        """The checked models with their version: another thread may add models meanwhile."""
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
        """Create the missing tables of pairs."""
        for declared in table.relation_options.values():
            if declared.kind == "many-to-many" and declared.through is None:
                target = self.target(table, declared)
                if declared.name not in table.pairs:
                    table.pairs[declared.name] = _pairs(table, declared, target)


def _reversed(relation: Relationship, name: str, declared: RelationOptions) -> Relationship:
    if relation.through is None:
        return Relationship(
            name,
            relation.target,
            relation.source,
            not relation.source.is_unique(declared),
            False,
            relation.target_fields,
            relation.source_fields,
        )
    through = Through(
        relation.through.table,
        relation.through.target_fields,
        relation.through.source_fields,
    )
    keys = tuple(it.name for it in relation.target.keys)
    return Relationship(
        name,
        relation.target,
        relation.source,
        True,
        False,
        keys,
        through.source_fields,
        through,
    )


def _check_inherited(table: Table, relation: Relationship, way_back: Relationship) -> None:
    """Reject a relation that two models inherit, if its reverse relations have the same name."""
    other = way_back.target
    if (
        other is not table
        and other.relation_options.get(relation.name) is table.relation_options[relation.name]
    ):
        raise SchemaError(
            f"relation `{table.label}.{relation.name}`: `{other.label}` inherits it too, and "
            f"`{way_back}` is the reverse relation of only one: leave `related_name` out of the "
            "class that both inherit from, or declare the relation in each with its own"
        )


def _check_back_references(table: Table, relations: dict[str, Relationship]) -> None:
    for declared in table.relation_options.values():
        if declared.kind != "back-reference":
            continue
        relation = relations.get(declared.name)
        where = f"`{table.label}.{declared.name}`"
        if relation is None:
            raise SchemaError(
                f"{where} is a `BackRef`, and no relation to `{table.label}` has "
                f'`related_name="{declared.name}"`'
            )
        if relation.many != declared.many:
            wanted = "many rows: `Relation[list[…]]`" if relation.many else "one row: `Relation[…]`"
            raise SchemaError(f"{where} leads to {wanted}")


def _pairs(source: Table, declared: RelationOptions, target: Table) -> Table:
    """Define a model for the pairs of a many-to-many relation: `post_tags` with `post_id` and
    `tag_id`.
    """
    one, two = _native.snake_case(source.label), _native.snake_case(target.label)
    formers = [it.renamed_from and _native.snake_case(it.renamed_from) for it in (source, target)]
    if one == two:
        one, two = f"from_{one}", f"to_{two}"
        formers = [it and f"{side}_{it}" for side, it in zip(("from", "to"), formers, strict=True)]
    name = f"{source.label}_{declared.name}"
    body = {
        "__module__": source.model.__module__,
        "__qualname__": f"{source.model.__qualname__}.{declared.name}",
        "__doc__": f"The pairs of `{source.label}.{declared.name}`.",
        "__annotations__": {one: source.model, two: target.model},
        one: RelationOptions("foreign-key", primary_key=True, renamed_from=formers[0]),
        two: RelationOptions("foreign-key", primary_key=True, index=True, renamed_from=formers[1]),
    }
    in_database = {"table": f"{source.name}_{declared.name}", "schema": source.schema}
    model = source.model._ferro_model(name, body, **in_database)
    table: Table = model.__ferro_table__
    if source.renamed_from:
        # The core derives the name of a table from the class, and would change that of the
        # relation.
        is_plain = declared.name == _native.snake_case(declared.name)
        former = source.renamed_from if is_plain else _native.snake_case(source.renamed_from)
        table.renamed_from = f"{former}_{declared.name}"
    return table


def _folded(place: tuple[str | None, str]) -> tuple[str, ...]:
    """A schema and a table as SQLite compares names: the case of ASCII letters does not count."""
    return tuple("".join(it.lower() if it.isascii() else it for it in name or "") for name in place)


def _path(table: Table) -> str:
    return f"{table.model.__module__}.{table.model.__qualname__}"


registry = Registry()
"""The instance of this process."""
