"""Tables: the database side of models."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any

import pydantic

from .. import _native
from .._message import nearest, quoted
from .._other_orms import lookup
from .._statements.statement import query_json
from ..exceptions import InvalidQuery, SchemaError, UnknownField
from .column import Column, column_of
from .constant import constant_default
from .relation_options import KeyOf, RelationOptions
from .relationship import Relationship, Through
from .rules import Rules
from .validator import validator_of

if TYPE_CHECKING:
    from .._expressions.expression import Shape
    from .._expressions.ordering import Ordering, Term
    from .._expressions.value import FieldExpression
    from .._models.model import Model
    from .._queries.spec import QuerySpec
    from .options import TableOptions
    from .registry import Registry

_MOST_KEPT = 1_000
"""Maximum number of cached shapes of queries, and of orders, per table."""

_keeping = threading.Lock()
"""Guards additions to caches: another thread may remove the same entry."""


class Table:
    """The database side of a model.

    The annotated attributes depend on the targets of its relations, so they are computed on first
    use. Queries are cached by shape, so that each shape is converted to an AST only once.
    """

    columns: dict[str, Column]
    keys: tuple[Column, ...]
    version: Column | None
    """The column that counts the updates of its row."""
    relations: dict[str, Relationship]
    loader: _native.Loader
    names: tuple[str, ...]
    """All fields, in order."""
    filled: tuple[Column, ...]
    """The columns that the database sets if a row has no value."""
    set_by_updates: tuple[str, ...]
    """The fields that every update sets by itself."""
    places: dict[str, int]
    """The index of each field in the tracked state of a row."""
    enums: tuple[Column, ...]
    """The columns whose enum is a database type."""
    encoded: dict[str, Callable[[Any], Any]]
    """The encoders of fields that need one."""
    definition: Shape | None = None
    """The definition of a common table: its name, its rows, and its recursive step."""
    takes: int = 0
    """The number of parameters of a common table."""

    def __init__(self, registry: Registry, model: type[Model], options: TableOptions) -> None:
        self.registry = registry
        self.model = model
        self.label = model.__name__
        if model.model_config.get("extra") == "allow":
            raise SchemaError(
                f'model `{self.label}`: `extra="allow"` would take values that no column holds: '
                'give it a field of the type `dict[str, Any]`, or `extra="ignore"`'
            )
        self.name = _native.snake_case(self.label) if options.table is None else options.table
        self.schema = options.schema
        self.comment = options.comment
        self.model_name = self.label
        self.relation_options: dict[str, RelationOptions] = model.__ferro_relation_options__
        self.renamed_from = options.renamed_from
        self.pairs: dict[str, Table] = {}
        """The tables of pairs that Ferro created, by relation."""
        self._foreign: dict[str, tuple[RelationOptions, KeyOf]] = {}
        self._plain: dict[str, Column] = {}
        for field, info in model.model_fields.items():
            of = next((it for it in info.metadata if isinstance(it, KeyOf)), None)
            if of is None:
                self._plain[field] = self._declared(
                    column_of(self.label, field, info, model.model_config)
                )
            else:
                self._foreign[field] = (of.declared, of)
        self._check_keys()
        columns = {name: self._plain.get(name) for name in model.model_fields}
        self.rules = Rules(self, options, columns, self.relation_options)
        self._queries: dict[Any, _native.Query] = {}
        self.expressions: dict[str, FieldExpression[Any]] = {}
        """Cached expressions of fields."""
        self.orderings: dict[tuple[Term, ...], Ordering] = {}
        """Cached orders that were given as text; all of their fields exist."""
        self.all_rows: QuerySpec | None = None
        """The query of all rows on the default connection, from which nearly every query is built.
        """
        self._validators: dict[str, Callable[[Any], Any]] = {}
        init: Callable[[Any, None], None] = model.model_post_init
        self.post_init = None if init is pydantic.BaseModel.model_post_init else init
        """The model's `model_post_init`, called for new instances."""
        self.aliases = _aliases(model)
        """The aliases by which Pydantic accepts fields."""

    def _declared(self, column: Column) -> Column:
        """A column that the class declares, with the options of its relation."""
        declared = next(
            (it for it in self.relation_options.values() if it.holds(column.name)), None
        )
        if declared is None:
            return column
        if column.on_update is not None:
            raise SchemaError(
                f"field `{self.label}.{column.name}`: it holds the key of `{declared.name}`: leave "
                "out `on_update`"
            )
        return dataclasses.replace(
            column,
            index=column.index or declared.index,
            primary_key=column.primary_key or declared.primary_key,
            nullable=column.nullable and not declared.primary_key,
            db_column=column.db_column or declared.db_column,
            db_default=_key_default(f"{self.label}.{declared.name}", declared, column)
            or column.db_default,
            renamed_from=column.renamed_from
            or (declared.renamed_from and f"{declared.renamed_from}_id"),
        )

    def __getattr__(self, name: str) -> Any:
        if name in Table.__annotations__:
            self.registry.link()
            if name not in self.__dict__:
                # For example in a notebook, if a cell is run again.
                raise SchemaError(
                    f"`{self.label}` was defined again: use the new class instead of this one"
                )
            return self.__dict__[name]
        raise AttributeError(name)

    @property
    def place(self) -> tuple[str | None, str]:
        """Its schema and name in the database."""
        return self.schema, self.name

    @property
    def key(self) -> Column:
        """The only field of the primary key."""
        if len(self.keys) != 1:
            names = quoted(it.name for it in self.keys)
            raise InvalidQuery(f"the key of `{self.label}` has several fields: {names}")
        return self.keys[0]

    @property
    def generated_key(self) -> Column | None:
        """The key column, if the database generates it."""
        return self.keys[0] if self.keys[0].generated else None

    def column(self, name: str) -> Column:
        """The column of a field; if there is none, the error suggests the nearest name."""
        column = self.columns.get(name)
        if column is None:
            raise UnknownField(self.unknown(name))
        return column

    def written(self, name: str) -> Column:
        """The column that a name writes to; for a relation, the one that holds its key."""
        relation = self.relations.get(name)
        return self.column(
            name if relation is None or not relation.holds_key else relation.source_fields[0]
        )

    def relation(self, name: str) -> Relationship:
        """The relation of a name; if there is none, the error suggests the nearest name."""
        relation = self.relations.get(name)
        if relation is None:
            raise UnknownField(self.unknown(name, "relation"))
        return relation

    def unique_key(self, names: set[str]) -> tuple[str, ...] | None:
        """A unique key among some fields: no two rows have the same values in it."""
        keys = [tuple(it.name for it in self.keys)]
        keys += [(it.name,) for it in self.columns.values() if it.unique]
        keys += self.rules.keys
        keys += [(it.column,) for it in self.relation_options.values() if it.unique]
        return next((key for key in keys if names.issuperset(key)), None)

    def is_unique(self, declared: RelationOptions) -> bool:
        """Whether at most one row of this table has the key of a target row."""
        column = self.columns[declared.column]
        return declared.unique or column.unique or self.keys == (column,)

    def key_values(self, key: Any) -> dict[str, Any]:
        """The fields of the primary key, with the values of a given key."""
        if len(self.keys) == 1:
            return {self.keys[0].name: key}
        if not isinstance(key, tuple) or len(key) != len(self.keys):
            raise InvalidQuery(
                f"the key of `{self.label}` is a tuple of {quoted(it.name for it in self.keys)}"
            )
        return {it.name: value for it, value in zip(self.keys, key, strict=True)}

    def validated(self, name: str, value: Any) -> Any:
        """A value validated by Pydantic for a field; raises its `ValidationError`."""
        validate = self._validators.get(name)
        if validate is None:
            validate = self._validators[name] = validator_of(self.model, name)
        return validate(value)

    def query(self, shape: Any) -> _native.Query:
        """The query of a shape, cached."""
        query = self._queries.get(shape)
        if query is None:
            query = _native.Query(*query_json(self, shape))
            put_cached(self._queries, shape, query)
        return query

    def stored(self, names: Iterable[str]) -> list[tuple[str, Callable[[Any], Any] | None]]:
        """Fields with their encoders, for the native module."""
        return [(name, self.encoded.get(name)) for name in names]

    def without(self, left: tuple[str, ...]) -> tuple[str, ...]:
        """All fields except some, in order; `names` itself if none are left out."""
        names = self._without.get(left)
        if names is None:
            names = self._without[left] = tuple(it for it in self.names if it not in left)
        return names

    def set_besides(self, names: Container[str]) -> tuple[str, ...]:
        """The fields that an update sets by itself if it names these."""
        return tuple([it for it in self.set_by_updates if it not in names])

    def resolve_columns(self) -> None:
        """Create the columns; those of foreign keys have the type of the key that they hold."""
        if "columns" in self.__dict__:
            return
        columns = {}
        for name in self.model.model_fields:
            if name in self._plain:
                columns[name] = self._plain[name]
                continue
            columns[name] = self._foreign_column(name, ())
            self._foreign[name][1].annotation = columns[name].annotation
        self.columns = columns
        self.keys = tuple(it for it in columns.values() if it.primary_key)
        self.version = next((it for it in columns.values() if it.version), None)
        self.names = tuple(columns)
        self.filled = tuple(it for it in columns.values() if it.filled)
        self.set_by_updates = tuple(it.name for it in columns.values() if it.on_update is not None)
        self._without: dict[tuple[str, ...], tuple[str, ...]] = {(): self.names}
        self.enums = tuple(it for it in columns.values() if it.enumeration is not None)
        self.encoded = {it.name: it.encode for it in columns.values() if it.encode is not None}
        self.places = {name: place for place, name in enumerate(columns, 1)}
        self.loader = _native.Loader(
            self.model,
            list(columns.values()),
            self.post_init,
            self.name,
            [key.name for key in self.keys],
        )

    def _foreign_column(self, name: str, holders: tuple[Table, ...]) -> Column:
        """The column that holds the key of another table; `holders` hold this one in their keys."""
        declared, _ = self._foreign[name]
        key = self.registry.target(self, declared).only_key(holders)
        return dataclasses.replace(
            key,
            name=name,
            db_column=declared.db_column,
            renamed_from=declared.renamed_from and f"{declared.renamed_from}_id",
            nullable=declared.nullable,
            primary_key=declared.primary_key,
            generated=False,
            filled=False,
            unique=False,
            index=declared.index,
            has_default=not self.model.model_fields[name].is_required(),
            db_default=_key_default(f"{self.label}.{declared.name}", declared, key),
            where=f"{self.label}.{name}",
            check=None,
        )

    def only_key(self, holders: tuple[Table, ...] = ()) -> Column:
        """The key, which must fit in one field of another table."""
        if self in holders:
            circle = quoted(sorted(it.label for it in holders[holders.index(self) :]))
            raise SchemaError(
                f"the keys of {circle} form a cycle, so that none of them has a type: give one of "
                "them a key that is not a relation"
            )
        own = [it for it in self._plain.values() if it.primary_key]
        foreign = [name for name, (declared, _) in self._foreign.items() if declared.primary_key]
        if len(own) + len(foreign) == 1:
            # Only the key: tables may refer to each other in a cycle.
            return own[0] if own else self._foreign_column(foreign[0], (*holders, self))
        raise SchemaError(
            f"a relation to `{self.label}`, whose key has several fields, is not supported: give "
            "it a key of one field, and make those unique together"
        )

    def own_relations(self) -> list[tuple[Relationship, str | None]]:
        """The relations that the model declares, and the names of their reverse relations."""
        relations: list[tuple[Relationship, str | None]] = []
        for declared in self.relation_options.values():
            if declared.kind == "back-reference":
                continue
            target = self.registry.target(self, declared)
            back = declared.related_name or self._undeclared_way_back(declared, target)
            if back is None and declared.kind == "many-to-many":
                back = f"{_native.snake_case(self.label)}_set"
            if declared.kind == "foreign-key":
                key = (target.only_key().name,)
                own = Relationship(
                    declared.name, self, target, False, True, (declared.column,), key
                )
            else:
                through = self.through(declared, target)
                keys = tuple(it.name for it in self.keys)
                own = Relationship(
                    declared.name, self, target, True, False, keys, through.source_fields, through
                )
            relations.append((own, back))
        return relations

    def _undeclared_way_back(self, declared: RelationOptions, target: Table) -> str | None:
        """The `BackRef` of the target that can only refer to this relation."""
        taken = {it.related_name for it in self.relation_options.values()}
        candidates = [
            it.name
            for it in target.relation_options.values()
            if it.kind == "back-reference"
            and it.name not in taken
            and self.registry.target(target, it) is self
        ]
        return candidates[0] if len(candidates) == 1 else None

    def through(self, declared: RelationOptions, target: Table) -> Through:
        if declared.through is None:
            table = self.pairs[declared.name]
        else:
            table = self.registry.target(
                self, dataclasses.replace(declared, target=declared.through)
            )
        ends: list[tuple[Table, str]] = [
            (self.registry.target(table, it), it.column)
            for it in table.relation_options.values()
            if it.kind == "foreign-key"
        ]
        sources = [column for end, column in ends if end is self]
        targets = [column for end, column in ends if end is target]
        if self is target:
            sources, targets = sources[:1], sources[1:2]
        if len(sources) != 1 or len(targets) != 1:
            raise SchemaError(
                f"relation `{self.label}.{declared.name}`: `{table.label}` needs a foreign key to "
                f"`{self.label}` and one to `{target.label}`"
            )
        if table.unique_key({sources[0], targets[0]}) is None:
            raise SchemaError(
                f"relation `{self.label}.{declared.name}`: `{table.label}` may hold a pair twice: "
                f"make `{sources[0]}` and `{targets[0]}` its primary key, or unique together"
            )
        return Through(table, (sources[0],), (targets[0],))

    def _check_keys(self) -> None:
        names = {it.name for it in self._plain.values() if it.primary_key}
        names |= {name for name, (declared, _) in self._foreign.items() if declared.primary_key}
        if not names:
            raise SchemaError(
                f"model `{self.label}` has no primary key: give one field "
                "`ferro.Field(primary_key=True)`, or the class `abstract=True`"
            )
        if len(names) > 1 and any(it.generated for it in self._plain.values()):
            raise SchemaError(
                f"model `{self.label}`: a key of several fields cannot be generated by the "
                "database: make each of them required"
            )
        versions = [name for name, it in self._plain.items() if it.version]
        if len(versions) > 1:
            raise SchemaError(f"model `{self.label}` has several versions: {quoted(versions)}")

    def unknown(self, name: str, what: str = "field") -> str:
        """What is wrong with a name that is none of a field or a relation."""
        known = self.relations if what == "relation" else {**self.columns, **self.relations}
        begins = name.partition("__")[0]
        if begins != name and (begins in self.columns or begins in self.relations):
            across = "across a relation, " if begins in self.relations else ""
            return f"model `{self.label}` has no {what} `{name}`: {across}use `{lookup(name)}`"
        return f"model `{self.label}` has no {what} `{name}`: {nearest(name, known)}"


def table_of(model: type[Model]) -> Table:
    """The table of a model that is not abstract."""
    table = model.__dict__.get("__ferro_table__")
    if not isinstance(table, Table):
        raise InvalidQuery(f"`{model.__name__}` is abstract: it has no table")
    return table


def _aliases(model: type[Model]) -> dict[str, str]:
    if not model.model_config.get("validate_by_alias", True):
        return {}
    found: dict[str, str] = {}
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        names = alias.choices if isinstance(alias, pydantic.AliasChoices) else [alias]
        first = next((it for it in names if isinstance(it, str)), name)
        if first != name:
            found[name] = first
    return found


def put_cached(known: dict[Any, Any], key: Any, value: Any) -> None:
    """Add an entry to a cache, and drop the oldest if there are too many."""
    with _keeping:
        if len(known) >= _MOST_KEPT:
            known.pop(next(iter(known)))
        known[key] = value


def _key_default(where: str, declared: RelationOptions, key: Column) -> Any:
    """The default of a relation in database form, if the database needs it; otherwise None."""
    default = declared.default
    if default is ... or default is None:
        return None
    kinds = {"integer": int, "text": str, "uuid": uuid.UUID}
    if key.kind in kinds and type(default) is not kinds[key.kind]:
        raise SchemaError(f"relation `{where}`: its default must be a key, of type {key.kind}")
    if not declared.sets_default:
        return None
    if key.kind not in kinds:
        raise SchemaError(f"relation `{where}`: a key of type {key.kind} cannot be a default")
    return constant_default(key.kind, default)
