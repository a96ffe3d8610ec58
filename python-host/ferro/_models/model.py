"""Models: Pydantic models whose instances are rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, overload

import pydantic
from typing_extensions import Self

from .._connections.transaction import Transaction, Using, check_using, runner_for
from .._expressions.path import FieldAttribute, Given, conditions_of
from .._message import nearest, quoted
from .._queries.query import Query
from .._queries.select import Select
from .._queries.selection import prepared
from .._queries.spec import QuerySpec
from .._queries.table_query import Condition
from .._relations.relation import RelationAttribute
from .._rows.write import (
    delete,
    gone,
    insert,
    loaded,
    stored_row,
    update,
)
from .._tables.constraint import Check, Index
from .._tables.options import OPTIONS, TableOptions
from .._tables.registry import registry
from .._tables.relation_options import RelationOptions
from .._tables.table import Table, table_of
from ..exceptions import InvalidQuery, SchemaError
from .connected import Connected, select_from
from .copy import constructed, know, known_of, with_copied_relations, with_relations, with_values
from .definition import ModelMeta, check_names, share_names
from .of_row import of_row


class Model(pydantic.BaseModel, metaclass=ModelMeta):
    """A Pydantic model whose instances are rows of a table.

    The table is named after the class, `BlogPost` as `blog_post`, or by `table=`. On PostgreSQL,
    `schema` names its schema and `comment` sets a comment; SQLite has neither. A class with
    `abstract=True` has no table, and its subclasses inherit its fields. `uniques` and `indexes`
    cover several fields: `uniques=[("team", "name")]`; an `Index` has more options. `checks` are
    conditions on several fields, as `Check`. Unknown fields are rejected, or ignored with
    Pydantic's `extra="ignore"`. `renamed_from` is the former name of the class or its table, for
    `ferro.migrate`.

    Example:
        >>> import asyncio, ferro
        >>> class User(ferro.Model, table="doc_user"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str
        ...     age: int = 0
        >>> async def main() -> list[str]:
        ...     await ferro.connect("sqlite::memory:", auto_migrate=True)
        ...     await User.create(name="Ada", age=36)
        ...     await User.create(name="Ben", age=7)
        ...     adults = await User.select().where(lambda u: u.age >= 18).all()
        ...     await ferro.disconnect()
        ...     return [user.name for user in adults]
        >>> asyncio.run(main())
        ['Ada']
    """

    __slots__ = ("__weakref__", "_ferro_loaded", "_ferro_related")

    # A misspelt name would lose its value. `Model` itself is never instantiated, and having
    # Pydantic prepare for that takes as long as everything else here.
    model_config = pydantic.ConfigDict(extra="forbid", defer_build=True)

    __ferro_table__: ClassVar[Table | None] = None
    __ferro_relation_options__: ClassVar[dict[str, RelationOptions]] = {}

    def __init_subclass__(
        cls,
        *,
        table: str | None = None,
        schema: str | None = None,
        comment: str | None = None,
        renamed_from: str | None = None,
        abstract: bool = False,
        uniques: Iterable[Iterable[str]] = (),
        indexes: Iterable[Iterable[str] | Index] = (),
        checks: Iterable[Check] = (),
        **options: Any,
    ) -> None:
        try:
            super().__init_subclass__(**options)
        except TypeError as error:
            if not options:
                raise
            name = next(iter(options))
            raise SchemaError(
                f"model `{cls.__name__}` has no option `{name}`: {nearest(name, OPTIONS)}"
            ) from error

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Register the model. Pydantic calls this when the class is complete."""
        given = {it: options.pop(it) for it in OPTIONS if it in options}
        said = TableOptions(**given)
        super().__pydantic_init_subclass__(**options)
        cls.__ferro_table__ = None
        for name in cls.__ferro_relation_options__:
            RelationAttribute.put(cls, name)
        check_names(cls, Model)
        if said.abstract:
            needless = [it for it, value in given.items() if value and it != "abstract"]
            if needless:
                raise SchemaError(
                    f"model `{cls.__name__}` is abstract, but {quoted(needless)} applies to a "
                    "table: set it on each model that inherits from it"
                )
            return
        try:
            # Unless that is done already.
            cls.model_rebuild()
        except pydantic.errors.PydanticUndefinedAnnotation as error:
            raise SchemaError(
                f"model `{cls.__name__}`: `{error.name}` in its annotations is not defined "
                "yet: define it before the class, or use `Relation[…]` if it is a model"
            ) from error
        made = Table(registry, cls, said)
        registry.add(made)
        cls.__ferro_table__ = made
        FieldAttribute.put(cls)
        share_names(cls)

    @classmethod
    def using(cls, connection: str | Transaction) -> Connected[Self]:
        """Return the model on a named connection, or in a transaction.

        Example:
            >>> import ferro
            >>> class Job(ferro.Model, table="doc_job"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            >>> waiting = Job.using("service").select()
        """
        check_using(connection)
        return Connected(cls, connection)

    @overload
    @classmethod
    def select(
        cls, field: Given, /, *fields: Given, **computed: Given
    ) -> Select[dict[str, Any]]: ...
    @overload
    @classmethod
    def select(cls, /) -> Select[Self]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    @classmethod
    def select(cls, /, **computed: Given) -> Select[dict[str, Any]]: ...
    @classmethod
    def select(cls, /, *fields: Given, **computed: Given) -> Any:
        """Query all rows; narrow the query with `where`, `order_by`, `limit` and `offset`.

        With arguments, select values of each row: see `Select.values`.
        """
        return Connected(cls, None).select(*fields, **computed)

    @classmethod
    def where(cls, /, *conditions: Condition, **equals: Any) -> Select[Self]:
        """Query the rows that satisfy all conditions: see `Select.where`."""
        return select_from(cls).where(*conditions, **equals)

    @classmethod
    async def create(cls, /, **values: Any) -> Self:
        """Insert a row, and return it with the values that the database generates, such as its key.

        Raises Pydantic's `ValidationError` before the database is queried, and `IntegrityError` if
        it rejects the row.
        """
        return await Connected(cls, None).create(**values)

    @classmethod
    async def get(cls, key: Any = ..., /, **equals: Any) -> Self:
        """Return the row with this key, or the only row whose fields have these values.

        Raises `DoesNotExist` if there is no such row, and `MultipleObjectsReturned` if there are
        several.
        """
        return await select_from(cls).get(key, **equals)

    @classmethod
    async def get_or_none(cls, key: Any = ..., /, **equals: Any) -> Self | None:
        """Like `get`, but return None if there is no such row."""
        return await select_from(cls).get_or_none(key, **equals)

    @classmethod
    async def all(cls) -> list[Self]:
        """Return all rows."""
        return await select_from(cls).all()

    @classmethod
    async def from_sql(cls, sql: str, /, *arguments: Any) -> list[Self]:
        """Run one SQL statement, and return its rows as instances.

        The statement must return the model's columns, by their database names, like `select *` and
        `returning *`: `User.from_sql("select * from users where age > ?", 18)`. As with queries,
        values are not validated. Computed values are read as the type of the field.

        Raises `InvalidQuery` if a column is missing or does not belong to the model, `DecodeError`
        for a value that does not fit its field, and the exceptions of `ferro.fetch_all`. A
        `DecodeError` does not undo what the statement wrote: run it in a transaction, which the
        error rolls back.
        """
        return await Connected(cls, None).from_sql(sql, *arguments)

    @classmethod
    def stream_sql(
        cls, sql: str, /, *arguments: Any, batch: int = 1_000
    ) -> AsyncGenerator[Self, None]:
        """Run one SQL statement, and stream its rows as instances.

        Takes the statements of `from_sql`, and reads `batch` rows at a time, like `stream` of a
        query. The writes of a statement are complete only after its last row has been read.
        """
        return Connected(cls, None).stream_sql(sql, *arguments, batch=batch)

    @classmethod
    async def bulk_create(cls, rows: Iterable[Self], *, return_keys: bool = False) -> int:
        """Insert many new instances, all or none, and return their number.

        With `return_keys`, each instance gets the values that the database generates, such as its
        key, which takes longer. Without it they have no key: query the rows to save or delete them.
        """
        return await Connected(cls, None).bulk_create(rows, return_keys=return_keys)

    @classmethod
    async def insert_from(cls, query: Query[dict[str, Any], Any]) -> int:
        """Insert the rows of a query, whose values have the names of fields; return their number.

        A field that is left out gets its default in the database, but not one that Python computes
        with `default_factory`. The query runs on the connection of the insert: do not set `using`
        on it.
        """
        return await Connected(cls, None).insert_from(query)

    @classmethod
    async def bulk_update(cls, rows: Iterable[Self]) -> int:
        """Save the changed fields of many instances, all or none; return how many had changes.

        Rows are saved on the connection that they came from, which must be the same for all, unless
        you name another one: `User.using("app").bulk_update(rows)`. Raises `DoesNotExist`, and
        changes nothing, if a row no longer exists.
        """
        return await Connected(cls, None).bulk_update(rows)

    @classmethod
    async def upsert(
        cls,
        row: Self | None = None,
        /,
        *,
        conflict: Iterable[str] | str,
        update: Iterable[str] | Mapping[str, Any] | None = None,
        only_if: Condition | None = None,
        **values: Any,
    ) -> Self:
        """Insert a row, or update the one that already has its key; return the stored row.

        `conflict` names the key: the primary key, or fields that are unique. `update` names the
        fields to update, by default those that were passed; others keep their values. A dict sets
        fields to values other than those of the new row: plain ones, or values computed from the
        stored row and, with `ferro.excluded`, from the new one. If `only_if`, a condition on the
        stored row, does not hold, that row is not changed.
        """
        connected = Connected(cls, None)
        return await connected.upsert(
            row, conflict=conflict, update=update, only_if=only_if, **values
        )

    @classmethod
    async def bulk_upsert(
        cls,
        rows: Iterable[Self],
        *,
        conflict: Iterable[str] | str,
        update: Iterable[str] | Mapping[str, Any] | None = None,
        only_if: Condition | None = None,
    ) -> int:
        """Like `upsert`, for many instances, all or none; return how many were written.

        By default, all fields of each row are updated, except the key and those that the row leaves
        to the database.
        """
        connected = Connected(cls, None)
        return await connected.bulk_upsert(rows, conflict=conflict, update=update, only_if=only_if)

    @classmethod
    async def get_or_create(
        cls, defaults: dict[str, Any] | None = None, /, **equals: Any
    ) -> tuple[Self, bool]:
        """Return the row with these values, or insert one with `defaults`; and whether it is new.

        The values must include a key, so that concurrent calls create only one row. Raises
        `UniqueViolation` if a row has the key, but not all of the values.
        """
        return await Connected(cls, None).get_or_create(defaults, **equals)

    @classmethod
    async def update_or_create(
        cls, defaults: dict[str, Any] | None = None, /, **equals: Any
    ) -> tuple[Self, bool]:
        """Update the row with these values by `defaults`, or insert one; return it, and whether it
        is new.

        The values must include a key, so that concurrent calls create only one row. Raises
        `UniqueViolation` if a row has the key, but not all of the values.
        """
        return await Connected(cls, None).update_or_create(defaults, **equals)

    @of_row
    async def save(self, *, using: Using = None) -> None:
        """Insert the row if it is new, otherwise update the fields that have changed.

        A row is saved on the connection that it came from. With `using` and another connection, all
        fields are written to the row with its key there, and the instance then belongs to that
        connection. Raises `DoesNotExist` if there is no such row.
        """
        table = table_of(type(self))
        if loaded(self) is None:
            await insert(table, self, using)
        else:
            await update(table, self, using)

    @of_row
    async def delete(self, *, using: Using = None) -> None:
        """Delete the row. The instance is then new, as if it had never been saved.

        Raises `DoesNotExist` if the row no longer exists, and `InvalidQuery` for a new instance.
        """
        await delete(table_of(type(self)), self, using)

    @of_row
    async def refresh(self, *, using: Using = None) -> None:
        """Read the row again, and discard unsaved changes.

        Raises `DoesNotExist` if the row no longer exists, and `InvalidQuery` for an instance that
        was never saved, or was deleted.
        """
        table = table_of(type(self))
        key, origin = stored_row(table, self)
        spec = QuerySpec(table, using or origin)
        equal = {it.name: value for it, value in zip(table.keys, key, strict=True)}
        query, values = prepared(spec.where(*conditions_of(table, (), equal)))
        _, runner = runner_for(using or origin)
        # Not through `ferro.session`, which keeps unsaved changes.
        rows = await runner.fetch_instances(query, values, table.loader)
        if not rows:
            raise gone(table)
        (found,) = rows
        vars(self).update(vars(found))
        object.__setattr__(self, "_ferro_loaded", found._ferro_loaded)
        object.__setattr__(self, "_ferro_related", {})

    def __hash__(self) -> int:
        # Equal rows have equal keys, and keys seldom change.
        table = table_of(type(self))
        key = _key_of(table, self)
        if None in key:
            raise TypeError(f"unhashable: this `{table.label}` has no key until it is saved")
        return hash(key)

    def __await__(self) -> Generator[Any, Any, Self]:
        # Relations are awaited, whether their row is loaded or not. None leads to a row without a
        # key.
        table = table_of(type(self))
        if None in _key_of(table, self) and loaded(self) is None:
            raise InvalidQuery(
                f"awaiting a new `{table.label}` does not write it: await `.save()` or `"
                f"{table.label}.create(…)` instead"
            )
        return self
        yield

    @property
    def model_fields_set(self) -> set[str]:
        """The fields that were passed or loaded, as a new set."""
        # Loaded rows share the set that Pydantic keeps.
        return set(super().model_fields_set)

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """Create an instance without validating the values; relations take rows."""
        return constructed(cls, values, partial(super().model_construct, _fields_set))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the instance, with its loaded relations: another object for the same row.

        With another key in `update` it is a new row, which `save` inserts: `{"id": None}` lets the
        database generate the key. As in Pydantic, the values are not validated.
        """
        table = type(self).__ferro_table__
        if table is None or not update:
            return super().model_copy(update=update, deep=deep)
        return with_values(table, self, update, partial(super().model_copy, deep=deep))

    def __copy__(self) -> Self:
        return with_relations(self, super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        memo = {} if memo is None else memo
        return with_copied_relations(self, super().__deepcopy__(memo), memo)

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), "_ferro_known": known_of(self)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        known = state.pop("_ferro_known")
        super().__setstate__(state)
        know(self, known)


def _key_of(table: Table, row: Model) -> tuple[Any, ...]:
    return tuple(row.__dict__.get(it.name) for it in table.keys)


# Pydantic prepares subclasses when they are defined, as for its own base class.
del Model.model_config["defer_build"]


__all__ = ["Model"]
