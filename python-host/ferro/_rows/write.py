"""Writes of single rows, and the tracked state of stored rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .._connections.transaction import Using, block, runner_for
from .._equality import is_same
from .._expressions.path import conditions_of_keys
from .._statements.shape import rows_shape
from .._tables.table import Table
from ..exceptions import DoesNotExist, FerroError, InvalidQuery, StaleObjectError
from .forced import fill
from .identity import drop, merge, move, track

if TYPE_CHECKING:
    from .._models.model import Model
    from .._native import Query, Session
    from .conflict import Conflict

M = TypeVar("M", bound="Model")

Known = tuple[Any, ...]
"""The tracked state of a row: its connection, followed by its stored values in the order of the
fields, unless they are unknown.
"""


def loaded(row: Model) -> Known | None:
    """The tracked state of the row in the database; None for a new row."""
    # Pydantic's `__getattr__` would look up attributes that were never set, which is slow.
    try:
        known: Known = object.__getattribute__(row, "_ferro_loaded")
    except AttributeError:
        return None
    return known


async def insert(table: Table, row: Model, using: Using) -> None:
    """Insert a row, and set the values that the database generates."""
    fill(table, [row], using)
    left = fields_left(table, row)
    names = table.without(left)
    values = values_of(table, names, row)
    label, runner = runner_for(using)
    # The tracked state is taken when the values are read, while the database writes.
    if left:
        query = table.query(("insert", names, left, None))
        returning = runner.fetch(query, values)
        known = table.loader.know([row], label)
        known = with_filled(table, left, known, await returning)
        store(table, [row], known, using, filled=left)
    else:
        writing = runner.execute(table.query(("insert", names, None, None)), values)
        known = table.loader.know([row], label)
        await writing
        store(table, [row], known, using)
    track(label, table, [row])


async def insert_or(table: Table, row: M, using: Using, conflict: Conflict) -> M | None:
    """Insert a row, or update the one that has its key; return the row as it is stored.

    None if the key is taken and there is nothing to update.
    """
    fill(table, [row], using)
    left = fields_left(table, row)
    names = table.without(left)
    query = table.query(("insert", names, table.names, conflict.shape))
    label, runner = runner_for(using)
    values = values_of(table, names, row) + conflict.values
    rows = await runner.fetch_instances(query, values, table.loader)
    rows = merge(label, table, rows, whole=True)
    inside = block(using)
    if inside is not None and rows:
        # It may have been updated. After a rollback, it counts as new: a second insert then fails.
        key = table.generated_key
        given = () if key is None or key.name in left else (key.name,)
        inside._undo_log.note(table, rows, new=True, filled=(*given, *left))
    return rows[0] if rows else None


async def update(table: Table, row: Model, using: Using) -> None:
    """Update the changed fields of a row."""
    check_whole(table, [row])
    change = change_of(table, row, using)
    if not change.names:
        return
    label, runner = runner_for(using or change.origin)
    values = change.values(table, row)
    left = table.set_besides(change.names)
    if left:
        returning = runner.fetch(change.query(table, left), values)
        known = table.loader.know([row], label)
        found = await returning
        if found:
            known = with_filled(table, left, known, found)
        is_missing = not found
    else:
        writing = runner.execute(change.query(table), values)
        known = table.loader.know([row], label)
        is_missing = await writing == 0
    if is_missing:
        raise await missing(table, [change], runner)
    if change.counts(table):
        known = with_next_version(table, [row], known)
    store(table, [row], known, using, updated=left)


async def delete(table: Table, row: Model, using: Using) -> None:
    """Delete a row."""
    key, origin = stored_row(table, row)
    label, runner = runner_for(using or origin)
    version = stored_version(table, row) if label == origin else ()
    query = table.query(("delete", named_version(table, version)))
    if await runner.execute(query, (*key, *version)) == 0:
        raise await missing(table, [Change((), key, origin, version)], runner)
    deleted(table, [row], using)


def deleted(table: Table, rows: Sequence[Model], using: Using) -> None:
    """Mark the instances of deleted rows as new."""
    inside = block(using)
    if inside is not None:
        inside._undo_log.note(table, rows)
    for row in rows:
        object.__delattr__(row, "_ferro_loaded")
        drop(row)


def store(
    table: Table,
    rows: Sequence[Model],
    known: Sequence[Known],
    using: Using,
    *,
    filled: tuple[str, ...] = (),
    updated: tuple[str, ...] = (),
) -> None:
    """Set the tracked state of rows that were stored; `filled` are the fields that the database
    generated, `updated` those that an update set by itself. The rows get their values, unless
    others were assigned meanwhile.
    """
    inside = block(using)
    if inside is not None:
        inside._undo_log.note(table, rows, filled=filled, updated=updated)
    fields = [(name, table.places[name]) for name in (*filled, *updated)]
    if fields:
        for row, now in zip(rows, known, strict=True):
            before = (loaded(row) or ()) if updated else ()
            for name, place in fields:
                if is_same(vars(row)[name], before[place] if before else None):
                    vars(row)[name] = now[place]
    move(table, rows, known)
    table.loader.store(list(rows), list(known))


def become(table: Table, row: Model, other: Model, using: Using) -> None:
    """Make an object represent the row that another one was read from, whose key it now has."""
    store(table, [row], [loaded(other) or ()], using)
    vars(row).update(vars(other))


def changed_fields(table: Table, row: Model) -> tuple[str, ...]:
    """The fields that differ from what is stored."""
    before = (loaded(row) or ())[1:] or (None,) * len(table.names)
    values = row.__dict__
    return tuple(
        name
        for name, known in zip(table.names, before, strict=True)
        if name in values and not is_known(table, name, known, values[name])
    )


def stored_row(table: Table, row: Model) -> tuple[tuple[Any, ...], str]:
    """The stored key of a row, and its connection."""
    known = loaded(row)
    if known is None:
        raise InvalidQuery(f"this `{table.label}` was never saved, or it was deleted")
    if len(known) == 1:
        raise InvalidQuery(
            f"this `{table.label}` was stored by `bulk_create` without `return_keys=True`, so "
            "what the database has filled in is not known: query the row first"
        )
    return tuple(key.stored(known[table.places[key.name]]) for key in table.keys), known[0]


def stored_version(table: Table, row: Model) -> tuple[Any, ...]:
    """The stored version of a row; empty for a model without one."""
    version = table.version
    return () if version is None else ((loaded(row) or ())[table.places[version.name]],)


def named_version(table: Table, version: tuple[Any, ...]) -> str | None:
    """The version field, if there is a version to compare."""
    return table.version.name if version and table.version is not None else None


def with_next_version(table: Table, rows: Sequence[Model], known: Sequence[Known]) -> list[Known]:
    """Set the version that an update gave rows, unless another one was assigned meanwhile; return
    their new tracked state.
    """
    assert table.version is not None, "asked before"
    name = table.version.name
    place = table.places[name]
    after = []
    for row, it in zip(rows, known, strict=True):
        if vars(row)[name] == it[place]:
            vars(row)[name] = it[place] + 1
        after.append((*it[:place], it[place] + 1, *it[place + 1 :]))
    return after


async def missing(table: Table, changes: Sequence[Change], runner: Session) -> FerroError:
    """The error for rows of which some were not found with their keys, and the versions that were
    read.
    """
    which = "this" if len(changes) == 1 else "one of these"
    if changes[0].version:
        names = [it.name for it in table.keys]
        keys = {change.key for change in changes}
        found = 0
        for condition in conditions_of_keys(table, names, keys):
            query = table.query(("count", rows_shape(filter=condition._shape)))
            ((count,),) = await runner.fetch(query, condition._values)
            found += count
        if found == len(keys):
            return stale(table, which)
    return gone(table, which)


def stale(table: Table, which: str) -> StaleObjectError:
    """The error for a row that changed since it was read."""
    error = StaleObjectError(
        f"{which} `{table.label}` has changed since it was read: `refresh` it, or query it "
        "again, and repeat the change"
    )
    error.table = table.name
    return error


def gone(table: Table, which: str = "this") -> DoesNotExist:
    """The error for a required row that does not exist."""
    return DoesNotExist(
        f"{which} `{table.label}` no longer exists: its row was deleted, or its key changed"
    )


def fields_left(table: Table, row: Model) -> tuple[str, ...]:
    """The fields that an insert leaves to the database: a generated key, and fields with a database
    default. A nullable field that was set to None is stored as null.
    """
    values = vars(row)
    return tuple(
        [
            it.name
            for it in table.filled
            if values.setdefault(it.name, None) is None
            and not (it.nullable and it.name in row.model_fields_set)
        ]
    )


def generated_among(table: Table, left: tuple[str, ...]) -> str | None:
    """The generated key, if it is one of these fields."""
    key = table.generated_key
    return key.name if key is not None and key.name in left else None


def with_filled(
    table: Table, left: tuple[str, ...], known: list[Known], found: list[tuple[Any, ...]]
) -> list[Known]:
    """Add the values that the database generated to the new tracked state of rows."""
    fields = [(table.places[name], table.columns[name].read) for name in left]
    after = []
    for before, values in zip(known, found, strict=True):
        now = list(before)
        for (place, read), value in zip(fields, values, strict=True):
            now[place] = value if read is None else read(value)
        after.append(tuple(now))
    return after


def values_of(table: Table, names: Iterable[str], row: Model) -> tuple[Any, ...]:
    values = row.__dict__
    encoded = table.encoded
    try:
        if not encoded:
            return tuple([values[name] for name in names])
        return tuple(
            [encoded[name](values[name]) if name in encoded else values[name] for name in names]
        )
    except KeyError:
        check_whole(table, [row])
        raise


def check_whole(table: Table, rows: Iterable[Model]) -> None:
    """Reject rows that lack a field, which `model_construct` allows."""
    names = table.places.keys()
    for row in rows:
        if not names <= row.__dict__.keys():
            missing = next(name for name in names if name not in row.__dict__)
            raise InvalidQuery(
                f"a row has no value for its field `{missing}`: set it, or create the row by "
                "calling the model"
            )


class Change(NamedTuple):
    """The pending update of a stored row."""

    names: tuple[str, ...]
    key: tuple[Any, ...]
    """As it is stored."""
    origin: str
    """The connection that the row came from."""
    version: tuple[Any, ...] = ()
    """As it is stored; empty if it is not checked."""

    def query(self, table: Table, returning: tuple[str, ...] | None = None) -> Query:
        """The statement of the update."""
        version = named_version(table, self.version)
        return table.query(("update", self.names, version, returning))

    def values(self, table: Table, row: Model) -> tuple[Any, ...]:
        """The parameters of the update."""
        return (*values_of(table, self.names, row), *self.key, *self.version)

    def counts(self, table: Table) -> bool:
        """Whether the update increments the version."""
        return bool(self.version) and named_version(table, self.version) not in self.names


def change_of(table: Table, row: Model, using: Using) -> Change:
    """The changes of a stored row. Its key may change, but not become None."""
    stored, origin = stored_row(table, row)
    changed = changed_fields(table, row)
    key = table.generated_key
    if key is not None and key.name in changed and row.__dict__[key.name] is None:
        raise InvalidQuery(
            f"the key `{key.where}` of a stored row was set to None: to insert its values as a new "
            f"row, save a copy, `row.model_copy(update={{{key.name!r}: None}})`"
        )
    if using is None or runner_for(using)[0] == origin:
        return Change(changed, stored, origin, stored_version(table, row))
    # Nothing is known about the row that has the key there. Updates set there what they set here.
    keys = tuple(it.name for it in table.keys)
    left = {*keys, *table.set_besides(changed)}
    others = tuple(name for name in table.names if name not in left)
    return Change(others or keys, values_of(table, keys, row), origin)


def is_known(table: Table, name: str, known: Any, value: Any) -> bool:
    """Whether a value of a field equals the tracked one, which for documents is a copy."""
    return known is value or table.columns[name].is_stored_as(known, value)
