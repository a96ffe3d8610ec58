"""Models on a connection: the operations on a whole model."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from .._argument import check
from .._connections.sql import sql_session
from .._connections.transaction import Using, together
from .._expressions.path import Given
from .._queries.insert import insert_from
from .._queries.query import Query
from .._queries.select import Select
from .._queries.spec import all_rows
from .._queries.stream import stream_of_sql
from .._queries.table_query import Condition
from .._relations.access import split_relations
from .._rows.bulk import insert_many, update_many
from .._rows.conflict import (
    Conflict,
    check_distinct,
    conflict_of,
    given_fields,
    is_like,
    key_among,
    stored_values,
    taken,
    validated_values,
)
from .._rows.forced import completed, forced_values
from .._rows.identity import merge
from .._rows.new import by_name, check_names, create, made
from .._rows.write import become, changed_fields, gone, insert_or, stored_row
from .._tables.table import table_of
from ..exceptions import InvalidQuery

if TYPE_CHECKING:
    from .model import Model

M = TypeVar("M", bound="Model")

ROUNDS = 10
"""How often to retry if a row is deleted between finding its key taken and reading it."""


class Connected(Generic[M]):
    """A model on a connection, or in a transaction; created by `Model.using`.

    Example:
        >>> import ferro
        >>> class Task(ferro.Model, table="doc_task"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        >>> on_service = Task.using("service")
    """

    __slots__ = ("_model", "_table", "_using")

    def __init__(self, model: type[M], using: Using) -> None:
        self._model = model
        self._table = table_of(model)
        self._using = using

    @overload
    def select(
        self, field: Given, /, *fields: Given, **computed: Given
    ) -> Select[dict[str, Any]]: ...
    @overload
    def select(self, /) -> Select[M]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def select(self, /, **computed: Given) -> Select[dict[str, Any]]: ...
    def select(self, /, *fields: Given, **computed: Given) -> Any:
        """Query all rows; narrow the query with `where`, `order_by`, `limit` and `offset`.

        With arguments, select values of each row: see `Select.values`.
        """
        query = self._query()
        return query.values(*fields, **computed) if fields or computed else query

    def where(self, /, *conditions: Condition, **equals: Any) -> Select[M]:
        """Query the rows that satisfy all conditions: see `Select.where`."""
        return self._query().where(*conditions, **equals)

    async def create(self, /, **values: Any) -> M:
        """Insert a row, and return it with the values that the database generates, such as its key.

        Raises Pydantic's `ValidationError` before the database is queried, and `IntegrityError` if
        it rejects the row.
        """
        return await create(self._model, values, self._using)

    async def get(self, key: Any = ..., /, **equals: Any) -> M:
        """Return the row with this key, or the only row whose fields have these values.

        Raises `DoesNotExist` if there is no such row, and `MultipleObjectsReturned` if there are
        several.
        """
        return await self._query().get(key, **equals)

    async def get_or_none(self, key: Any = ..., /, **equals: Any) -> M | None:
        """Like `get`, but return None if there is no such row."""
        return await self._query().get_or_none(key, **equals)

    async def all(self) -> list[M]:
        """Return all rows."""
        return await self._query().all()

    async def from_sql(self, sql: str, /, *arguments: Any) -> list[M]:
        """Run one SQL statement, and return its rows as instances.

        The statement must return the model's columns, by their database names, like `select *` and
        `returning *`: `User.from_sql("select * from users where age > ?", 18)`. As with queries,
        values are not validated. Computed values are read as the type of the field.

        Raises `InvalidQuery` if a column is missing or does not belong to the model, `DecodeError`
        for a value that does not fit its field, and the exceptions of `ferro.fetch_all`. A
        `DecodeError` does not undo what the statement wrote: run it in a transaction, which the
        error rolls back.
        """
        label, runner = sql_session(sql, arguments, self._using)
        rows = await runner.fetch_raw_instances(sql, arguments, self._table.loader)
        return merge(label, self._table, rows)

    def stream_sql(
        self, sql: str, /, *arguments: Any, batch: int = 1_000
    ) -> AsyncGenerator[M, None]:
        """Run one SQL statement, and stream its rows as instances.

        Takes the statements of `from_sql`, and reads `batch` rows at a time, like `stream` of a
        query. The writes of a statement are complete only after its last row has been read.
        """
        return stream_of_sql(self._table, sql, arguments, self._using, batch)

    async def bulk_create(self, rows: Iterable[M], *, return_keys: bool = False) -> int:
        """Insert many new instances, all or none, and return their number.

        With `return_keys`, each instance gets the values that the database generates, such as its
        key, which takes longer. Without it they have no key: query the rows to save or delete them.
        """
        check(InvalidQuery, return_keys=(return_keys, bool))
        new = self._checked("bulk_create", rows)
        if self._table.loader.any_stored(new):
            raise InvalidQuery("`bulk_create` takes new rows, but one of these is already stored")
        if len(set(map(id, new))) != len(new):
            times = Counter(map(id, new))
            twice = next(row for row in new if times[id(row)] > 1)
            raise InvalidQuery(f"`bulk_create` got `{twice!r}` twice: create one instance per row")
        return await insert_many(self._table, new, self._using, return_keys=return_keys)

    async def insert_from(self, query: Query[dict[str, Any], Any]) -> int:
        """Insert the rows of a query, whose values have the names of fields; return their number.

        A field that is left out gets its default in the database, but not one that Python computes
        with `default_factory`. The query runs on the connection of the insert: do not set `using`
        on it.
        """
        return await insert_from(self._table, query, self._using)

    async def bulk_update(self, rows: Iterable[M]) -> int:
        """Save the changed fields of many instances, all or none; return how many had changes.

        Rows are saved on the connection that they came from, which must be the same for all, unless
        you name another one: `User.using("app").bulk_update(rows)`. Raises `DoesNotExist`, and
        changes nothing, if a row no longer exists.
        """
        return await update_many(self._table, self._checked("bulk_update", rows), self._using)

    async def upsert(
        self,
        row: M | None = None,
        /,
        *,
        conflict: Iterable[str] | str,
        update: Iterable[str] | Mapping[str, Any] | None = None,
        only_if: Condition | None = None,
        **values: Any,
    ) -> M:
        """Insert a row, or update the one that already has its key; return the stored row.

        `conflict` names the key: the primary key, or fields that are unique. `update` names the
        fields to update, by default those that were passed; others keep their values. A dict sets
        fields to values other than those of the new row: plain ones, or values computed from the
        stored row and, with `ferro.excluded`, from the new one. If `only_if`, a condition on the
        stored row, does not hold, that row is not changed.
        """
        if row is not None and values:
            raise InvalidQuery("`upsert` takes an instance, or values of fields")
        forced = forced_values(self._table, self._using)
        if row is None:
            row = made(self._model, completed(self._table, values, self._using))
        else:
            (row,) = self._checked("upsert", [row])
        fields = row.model_fields_set - forced.keys()
        given = [name for name in self._table.names if name in fields]
        taking = conflict_of(self._table, conflict, update, only_if, given)
        for _ in range(ROUNDS):
            found = await insert_or(self._table, row, self._using, taking)
            if found is None and taking.may_leave:
                found = await self.get_or_none(**stored_values(self._table, taking.target, row))
                if found is not None and changed_fields(self._table, found):
                    await found.refresh(using=self._using)
            # It may have been deleted between the two.
            if found is not None:
                return found
        raise taken(self._table, taking.target)

    async def bulk_upsert(
        self,
        rows: Iterable[M],
        *,
        conflict: Iterable[str] | str,
        update: Iterable[str] | Mapping[str, Any] | None = None,
        only_if: Condition | None = None,
    ) -> int:
        """Like `upsert`, for many instances, all or none; return how many were written.

        By default, all fields of each row are updated, except the key and those that the row leaves
        to the database.
        """
        all_rows = self._checked("bulk_upsert", rows)
        given = given_fields(self._table, all_rows)
        taking = conflict_of(self._table, conflict, update, only_if, given)
        check_distinct(self._table, all_rows, taking.target)
        return await insert_many(self._table, all_rows, self._using, taking)

    async def get_or_create(
        self, defaults: dict[str, Any] | None = None, /, **equals: Any
    ) -> tuple[M, bool]:
        """Return the row with these values, or insert one with `defaults`; and whether it is new.

        The values must include a key, so that concurrent calls create only one row. Raises
        `UniqueViolation` if a row has the key, but not all of the values.
        """
        self._check_named("get_or_create", defaults or {}, equals)
        return await self._ensured("get_or_create", defaults or {}, equals)

    async def update_or_create(
        self, defaults: dict[str, Any] | None = None, /, **equals: Any
    ) -> tuple[M, bool]:
        """Update the row with these values by `defaults`, or insert one; return it, and whether it
        is new.

        The values must include a key, so that concurrent calls create only one row. Raises
        `UniqueViolation` if a row has the key, but not all of the values.
        """
        self._check_named("update_or_create", defaults or {}, equals)
        async with together(self._using) as block:
            here: Connected[M] = Connected(self._model, block)
            for _ in range(ROUNDS):
                row, new = await here._ensured("update_or_create", defaults or {}, equals)
                if new or not defaults:
                    return row, new
                key, _ = stored_row(self._table, row)
                equal = {it.name: value for it, value in zip(self._table.keys, key, strict=True)}
                changes = by_name(self._table, defaults)
                if await here.where(**equal).update(**changes):
                    updated = self._table.set_besides(changes)
                    block._undo_log.note(self._table, [row], updated=updated)
                    moved = {name: changes[name] for name in equal if name in changes}
                    now = {**equal, **validated_values(self._table, moved)}
                    if now == equal:
                        await row.refresh(using=block)
                    else:
                        become(self._table, row, await here.get(**now), block)
                    return row, False
            raise gone(self._table)

    def _check_named(
        self, operation: str, defaults: dict[str, Any], equals: dict[str, Any]
    ) -> None:
        check(InvalidQuery, defaults=(defaults, Mapping))
        if "defaults" in equals and "defaults" not in self._table.columns:
            raise InvalidQuery(
                f"`{operation}` takes the values of a new row as its first, positional argument: "
                f'`{operation}({{"age": 36}}, email=…)`'
            )
        for name in equals:
            if name not in self._table.relations:
                self._table.column(name)
        check_names(self._model, defaults, equals)

    async def _ensured(
        self, operation: str, defaults: dict[str, Any], equals: dict[str, Any]
    ) -> tuple[M, bool]:
        equals = completed(self._table, equals, self._using)
        values, _ = split_relations(self._model, equals)
        target = key_among(self._table, values, operation)
        values = validated_values(self._table, values)
        for _ in range(ROUNDS):
            found = await self.get_or_none(**values)
            if found is not None:
                return found, False
            row = made(self._model, {**equals, **defaults})
            new = await insert_or(self._table, row, self._using, Conflict(target))
            if new is not None:
                return new, True
            # Another transaction has inserted it meanwhile, and may delete it again; or the row
            # does not match.
            found = await self.get_or_none(**stored_values(self._table, target, row))
            if found is not None:
                if not is_like(self._table, found, row, values):
                    values = stored_values(self._table, values, row)
                    found = await self.get_or_none(**values)
                if found is None:
                    break
                return found, False
        raise taken(self._table, target)

    def _query(self) -> Select[M]:
        return Select(all_rows(self._table, self._using))

    def _checked(self, operation: str, rows: Iterable[M]) -> list[M]:
        model = self._model
        # To Python, an instance is an iterable of pairs.
        if isinstance(rows, model) or not isinstance(rows, Iterable):
            raise InvalidQuery(
                f"`{operation}` takes a list of `{self._table.label}`, not `{type(rows).__name__}`"
            )
        rows = list(rows)
        for row in rows:
            # An instance of a subclass is a row of another table.
            if type(row) is not model:
                raise InvalidQuery(
                    f"`{operation}` takes `{self._table.label}`, not `{type(row).__name__}`"
                )
        return rows


def select_from(model: type[M]) -> Select[M]:
    """Query all rows on the default connection."""
    return Select(all_rows(table_of(model)))
