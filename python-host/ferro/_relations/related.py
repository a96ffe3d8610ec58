"""The result of a row's relation: an awaitable row, or a query of rows."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pydantic

from .._abstract_query import AbstractQuery
from .._argument import check
from .._connections.transaction import Transaction, Using, check_using, together
from .._expressions.document import JsonValue
from .._expressions.expression import Expression
from .._expressions.path import (
    Fields,
    RelationExpression,
    at_other_end,
    conditions_of_keys,
)
from .._queries.select import Select
from .._queries.selection import prepared
from .._queries.spec import QuerySpec
from .._rows.bulk import insert_many
from .._rows.conflict import Conflict
from .._rows.forced import forced_values
from .._rows.new import create, made
from .._rows.write import loaded, store, with_next_version
from .._tables.column import Column
from .._tables.relationship import Relationship
from .._tables.table import Table, table_of
from ..exceptions import DoesNotExist, InvalidQuery, NotLoaded
from .loaded import (
    NoRow,
    Unloaded,
    cached,
    forget_related,
    is_key,
    origin_of,
    whole_key,
)

if TYPE_CHECKING:
    from .._models.model import Model

M = TypeVar("M", bound="Model")

Keys = set[tuple[Any, ...]]

Key = (
    int
    | str
    | bytes
    | uuid.UUID
    | decimal.Decimal
    | datetime.date
    | datetime.time
    | datetime.timedelta
    | enum.Enum
    | tuple[Any, ...]
)
"""The key of a row, for type checkers."""

_NO_KEYS = (
    pydantic.BaseModel,
    AbstractQuery,
    Expression,
    JsonValue,
    RelationExpression,
    Unloaded,
    NoRow,
)


class RelatedRows(Select[M]):
    """The rows of a relation: a query of them, with methods to change which rows belong to it.

    Example:
        >>> import asyncio, ferro
        >>> class Band(ferro.Model, table="doc_band"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     albums: ferro.Relation[list["Album"]] = ferro.BackRef()
        >>> class Album(ferro.Model, table="doc_album"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     title: str
        ...     band: ferro.Relation[Band] = ferro.ForeignKey(related_name="albums")
        >>> async def main() -> list[str]:
        ...     await ferro.connect("sqlite::memory:", auto_migrate=True)
        ...     band = await Band.create()
        ...     await band.albums.create(title="First")
        ...     titles = [album.title for album in await band.albums.where(title="First")]
        ...     await ferro.disconnect()
        ...     return titles
        >>> asyncio.run(main())
        ['First']
    """

    __slots__ = ("_relation", "_row", "_using")

    def __init__(self, row: Model, relation: Relationship) -> None:
        self._row = row
        self._relation = relation
        self._using: Using = origin_of(row)

    def _key(self) -> tuple[Any, ...]:
        return whole_key(self._row, self._relation)

    @property
    def _spec(self) -> QuerySpec:  # type: ignore[override]
        """Built on use, as it needs the key of the row."""
        condition = at_other_end(self._relation, self._key())
        return QuerySpec(self._relation.target, self._using).where(condition)

    def _of(self, spec: QuerySpec) -> Select[M]:
        return Select(spec)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._relation.target.label}>"

    def __await__(self) -> Generator[Any, Any, list[M]]:
        return self._loaded_or_all().__await__()

    async def _loaded_or_all(self) -> list[M]:
        known = self._loaded()
        return await self.all() if known is None else list(known)

    def __iter__(self) -> Iterator[M]:
        return iter(self._needed())

    def __len__(self) -> int:
        return len(self._needed())

    @overload
    def __getitem__(self, place: int) -> M: ...
    @overload
    def __getitem__(self, place: slice) -> list[M]: ...
    def __getitem__(self, place: int | slice) -> M | list[M]:
        return self._needed()[place]

    def __bool__(self) -> bool:
        # Without this, Python would call its `__len__`.
        return bool(self._needed())

    def _loaded(self) -> list[M] | None:
        if self._using != origin_of(self._row):
            return None
        rows: list[M] | None = cached(self._row, self._relation)
        return rows

    def _needed(self) -> list[M]:
        known = self._loaded()
        if known is None:
            raise NotLoaded(
                f"`{self._relation}` is not loaded: `await` it, or query with "
                f'`.include("{self._relation.name}")`'
            )
        return known

    def using(self, connection: str | Transaction) -> RelatedRows[M]:
        """Run on a connection, or in a transaction that was passed to this task."""
        check_using(connection)
        other: RelatedRows[M] = RelatedRows(self._row, self._relation)
        other._using = connection
        return other

    async def create(self, /, **values: Any) -> M:
        """Insert a row that belongs to the relation, and return it."""
        relation = self._relation
        model: type[M] = self._relation.target.model  # type: ignore[assignment]
        if relation.through is None:
            keys = dict(zip(relation.target_fields, self._key(), strict=True))
            for name, key in keys.items():
                if name in values and not is_key(relation.target, name, values[name], key):
                    raise InvalidQuery(
                        f"`{relation}.create` gives the new row its `{name}`: leave it out, or "
                        "give the same key"
                    )
            row: M = await create(model, {**values, **keys}, self._using)
        else:
            async with together(self._using) as block:
                row = await create(model, values, block)
                await self.using(block).add(row)
        forget_related(self._row, relation)
        return row

    async def add(self, *rows: M | Key) -> None:
        """Add rows, or the rows with these keys, to the relation. Rows that belong to it already
        remain.
        """
        relation = self._relation
        if not rows:
            return
        if relation.through is None:
            await self._give(rows, self._key())
        else:
            await self._pair(relation.through.table, rows)
        forget_related(self._row, relation)

    async def remove(self, *rows: M | Key) -> None:
        """Remove rows, or the rows with these keys, from the relation, without deleting them."""
        relation = self._relation
        if not rows:
            return
        if relation.through is None:
            self._check_nullable()
            keys = self._all_keys(rows)
            removed = set(keys)
            none = dict.fromkeys(relation.target_fields)
            if await self._change(self.where(), removed, none) != len(removed):
                removed = await self._belonging_to_none(removed)
            for row, key in zip(rows, keys, strict=True):
                if key in removed and isinstance(row, pydantic.BaseModel):
                    counts = any(row.__dict__[it] is not None for it in relation.target_fields)
                    _set_quietly(row, relation.target_fields, None, self._using, counts)
        else:
            await self._pairs(rows).delete()
        forget_related(self._row, relation)

    async def clear(self) -> None:
        """Remove all rows from the relation, without deleting them."""
        relation = self._relation
        if relation.through is None:
            self._check_nullable()
            await self.where().update(**dict.fromkeys(relation.target_fields))
        else:
            await self._pairs(None).delete()
        forget_related(self._row, relation)

    async def set(self, rows: Iterable[M | Key]) -> None:
        """Make the relation consist of exactly these rows, or the rows with these keys."""
        check(InvalidQuery, rows=(rows, Iterable))
        if isinstance(rows, (str, bytes, Mapping, pydantic.BaseModel)):
            raise InvalidQuery(f"`rows` takes a list, not `{type(rows).__name__}`")
        rows = list(rows)
        kept = set(self._all_keys(rows))
        async with together(self._using) as block:
            inside = self.using(block)
            for others in self._with_keys(await self._keys_of(inside.where()) - kept):
                await inside.remove(*await inside.where(others).all())
            await inside.add(*rows)

    def _all_keys(self, rows: Iterable[M | Key]) -> list[tuple[Any, ...]]:
        """The keys of rows that are passed as instances or as their keys."""
        target = self._relation.target
        keys, given = [], []
        for row in rows:
            key = tuple(target.key_values(row).values()) if _is_key(row) else ()
            if key and all(map(_is_key, key)):
                given.append(key)
            else:
                key = self._relation.key_of(row)
            keys.append(key)
        for condition in self._with_keys(given):
            # Keys are checked as `get` checks them, also those that become values of pairs.
            query, values = prepared(QuerySpec(target, self._using).where(condition))
            query.check(values)
        columns = [target.column(name) for name in self._relation.key_fields]
        if all(it.enum_class is None for it in columns):
            return keys
        # A member may be given by its value.
        return [
            tuple([_member(it, part) for it, part in zip(columns, key, strict=True)])
            for key in keys
        ]

    async def _give(self, rows: tuple[M | Key, ...], key: tuple[Any, ...]) -> None:
        relation = self._relation
        keys = set(self._all_keys(rows))
        others: Select[M] = Select(QuerySpec(relation.target, self._using))
        values = dict(zip(relation.target_fields, key, strict=True))
        if await self._change(others, keys, values) != len(keys):
            raise DoesNotExist(
                f"`{relation}`: a `{relation.target.label}` that was added no longer exists"
            )
        instances = {id(row): row for row in rows if isinstance(row, pydantic.BaseModel)}
        for instance in instances.values():
            _set_quietly(instance, relation.target_fields, key, self._using, True)

    async def _change(self, rows: Select[M], keys: Keys, values: dict[str, Any]) -> int:
        """Update the rows that have one of the keys; return their number."""
        conditions = self._with_keys(keys)
        if len(conditions) == 1:
            return await rows.where(*conditions).update(**values)
        async with together(self._using) as block:
            inside = rows.using(block)
            return sum([await inside.where(it).update(**values) for it in conditions])

    async def _belonging_to_none(self, keys: Keys) -> Keys:
        """The keys, among these, of which the target rows belong to no row."""
        relation = self._relation
        rows: Select[M] = Select(QuerySpec(relation.target, self._using))
        rows = rows.where(**dict.fromkeys(relation.target_fields))
        found = [await self._keys_of(rows.where(it)) for it in self._with_keys(keys)]
        return set().union(*found)

    async def _keys_of(self, rows: Select[M]) -> Keys:
        """The keys of target rows."""
        names = self._relation.key_fields
        return {tuple(it[name] for name in names) for it in await rows.values(*names)}

    def _with_keys(self, keys: Collection[tuple[Any, ...]]) -> list[Expression]:
        """Conditions for the target rows with these keys."""
        return conditions_of_keys(self._relation.target, self._relation.key_fields, keys)

    async def _pair(self, through: Table, rows: tuple[M | Key, ...]) -> None:
        relation = self._relation
        assert relation.through is not None, "asked before"
        fields = (*relation.through.source_fields, *relation.through.target_fields)
        pairs = {(*self._key(), *key): None for key in self._all_keys(rows)}
        forced = forced_values(through, self._using)
        rows_of_pairs = [
            made(through.model, {**forced, **dict(zip(fields, it, strict=True))}) for it in pairs
        ]
        target = through.unique_key(set(fields))
        conflict = None if target is None else Conflict(target)
        await insert_many(through, rows_of_pairs, self._using, conflict)

    def _pairs(self, rows: tuple[M | Key, ...] | None) -> Select[Any]:
        """The pairs with these rows, or with all rows."""
        relation = self._relation
        assert relation.through is not None, "asked before"
        pairs: Select[Any] = Select(QuerySpec(relation.through.table, self._using))
        pairs = pairs.where(**dict(zip(relation.through.source_fields, self._key(), strict=True)))
        if rows is None:
            return pairs
        (field,) = relation.through.target_fields
        keys = [key for (key,) in self._all_keys(rows)]
        return pairs.where(getattr(Fields(relation.through.table), field).in_(keys))

    def _check_nullable(self) -> None:
        relation = self._relation
        if not all(relation.target.columns[name].nullable for name in relation.target_fields):
            raise InvalidQuery(
                f"`{relation}`: a `{relation.target.label}` requires it: delete the rows, or "
                "assign them to another"
            )


def _member(column: Column, part: Any) -> Any:
    return part if column.read is None else column.read(column.stored(part))


def _is_key(given: object) -> bool:
    """Whether this may be the key of a row, or a part of it."""
    return not (given is None or isinstance(given, _NO_KEYS) or callable(given))


def _set_quietly(
    row: Model, fields: tuple[str, ...], key: tuple[Any, ...] | None, using: Using, counts: bool
) -> None:
    """Set values that the database has stored on a row, and track them as stored. `counts` says
    whether an update has stored them, which increments the version.
    """
    known: list[Any] = list(loaded(row) or ())
    table = table_of(type(row))
    updated: tuple[str, ...] = ()
    for name, value in zip(fields, key or (None,) * len(fields), strict=True):
        vars(row)[name] = value
        if len(known) > 1:
            known[table.places[name]] = value
    if not known:
        return
    all_known = [tuple(known)]
    if counts and len(known) > 1:
        updated = table.set_by_updates
        if table.version is not None:
            all_known = with_next_version(table, [row], all_known)
    store(table, [row], all_known, using, updated=updated)
