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


class Model(pydantic.BaseModel, metaclass=ModelMeta):
    """A Pydantic model whose instances are rows of a table.

    The table is named after the class, `BlogPost` as `blog_post`, or by `table=`. On PostgreSQL it
    is in the schema that `schema` names, and has a `comment`; SQLite has neither. A class with
    `abstract=True` has no table, and passes its fields on to its subclasses. `uniques` and
    `indexes` cover several fields: `uniques=[("team", "name")]`; an `Index` has more options.
    `checks` are conditions on several fields, of `Check`. Unknown fields are refused, or ignored
    with Pydantic's `extra="ignore"`. `renamed_from` is the former name of the class or its table,
    for `ferro.migrate`.

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

    # A misspelt name would be a value that is lost. Nobody makes a `Model` itself, and having
    # Pydantic get ready for that takes as long as all else here.
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
        """Register the model. Pydantic calls this when the class is all there."""
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
            # If that is not done yet.
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
        """The model on another connection than the default one, or in a transaction.

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
        """A query of all rows: narrow it with `where`, `order_by`, `limit` and `offset`.

        With fields, of some values of each row: see `Select.values`.
        """
        return Connected(cls, None).select(*fields, **computed)

    @classmethod
    def where(cls, /, *conditions: Condition, **equals: Any) -> Select[Self]:
        """A query of the rows for which conditions hold: see `Select.where`."""
        return select_from(cls).where(*conditions, **equals)

    @classmethod
    async def create(cls, /, **values: Any) -> Self:
        """Insert a row, and return it with its generated key and other values from the database.

        Raises Pydantic's `ValidationError` before the database is queried, and `IntegrityError` if
        the database rejects the row.
        """
        return await Connected(cls, None).create(**values)

    @classmethod
    async def get(cls, key: Any = ..., /, **equals: Any) -> Self:
        """The row with a key, or the only one whose fields have values.

        Raises `DoesNotExist` and `MultipleObjectsReturned`.
        """
        return await select_from(cls).get(key, **equals)

    @classmethod
    async def get_or_none(cls, key: Any = ..., /, **equals: Any) -> Self | None:
        """Like `get`, but returns None if there is no such row."""
        return await select_from(cls).get_or_none(key, **equals)

    @classmethod
    async def all(cls) -> list[Self]:
        """All rows."""
        return await select_from(cls).all()

    @classmethod
    async def from_sql(cls, sql: str, /, *arguments: Any) -> list[Self]:
        """Run one statement of SQL; its rows, as instances.

        The statement must return the model's columns, by their database names, like `select *` and
        `returning *`: `User.from_sql("select * from users where age > ?", 18)`. Values are
        validated as little as those of a query. What is computed is read as the type of the field.

        Raises `InvalidQuery` if a column is missing, or is none of the model, `DecodeError` for a
        value that a field cannot hold, and what `ferro.fetch_all` raises. A `DecodeError` does not
        undo what the statement writes: run it in a transaction, which the error rolls back.
        """
        return await Connected(cls, None).from_sql(sql, *arguments)

    @classmethod
    def stream_sql(
        cls, sql: str, /, *arguments: Any, batch: int = 1_000
    ) -> AsyncGenerator[Self, None]:
        """Run one statement of SQL; its rows as instances, one after the other.

        They are those of `from_sql`, read from the database by batches of so many, as `stream` of a
        query reads them. What a statement writes is certain once the last of its rows was read.
        """
        return Connected(cls, None).stream_sql(sql, *arguments, batch=batch)

    @classmethod
    async def bulk_create(cls, rows: Iterable[Self], *, return_keys: bool = False) -> int:
        """Insert many new instances, all or none; how many. Generated keys follow the list.

        With `return_keys`, each instance gets its generated key and other values from the database,
        which takes longer. Otherwise they have none: query the rows to save or delete them.
        """
        return await Connected(cls, None).bulk_create(rows, return_keys=return_keys)

    @classmethod
    async def insert_from(cls, query: Query[dict[str, Any], Any]) -> int:
        """Insert the rows of a query, whose values are named as the fields; how many.

        A field that is left out has its default in the database, but none that Python makes, with
        `default_factory`. The query runs where the rows are inserted: leave `using` out of it.
        """
        return await Connected(cls, None).insert_from(query)

    @classmethod
    async def bulk_update(cls, rows: Iterable[Self]) -> int:
        """Save the changed fields of many instances, all or none; how many had some.

        The rows go to the connection that they came from, which is the same for all, unless
        another one is named, `User.using("app").bulk_update(rows)`. Raises `DoesNotExist` if a row
        is gone, and then changes none.
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
        """Insert a row, or update the one that already has its key; returns the stored row.

        `conflict` names the key: the primary one, or fields that are unique. `update` names the
        fields to update; by default those that were passed. Others keep their values. A dict sets
        them to other values than those of the new row: plain ones, or values computed from the
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
        """Like `upsert`, for many instances, all or none; returns how many were written.

        By default, all fields of each row are updated except for the key and those that the row
        leaves to the database.
        """
        connected = Connected(cls, None)
        return await connected.bulk_upsert(rows, conflict=conflict, update=update, only_if=only_if)

    @classmethod
    async def get_or_create(
        cls, defaults: dict[str, Any] | None = None, /, **equals: Any
    ) -> tuple[Self, bool]:
        """The row with these values, inserted with `defaults` if there is none; and whether it was.

        The values must include a key, so that a hundred concurrent calls create one row. Raises
        `UniqueViolation` if the key is taken by a row that does not have all of the values.
        """
        return await Connected(cls, None).get_or_create(defaults, **equals)

    @classmethod
    async def update_or_create(
        cls, defaults: dict[str, Any] | None = None, /, **equals: Any
    ) -> tuple[Self, bool]:
        """The row with these values, with `defaults` set on it; and whether it was inserted.

        The values must include a key, so that a hundred concurrent calls create one row. Raises
        `UniqueViolation` if the key is taken by a row that does not have all of the values.
        """
        return await Connected(cls, None).update_or_create(defaults, **equals)

    async def save(self, *, using: Using = None) -> None:
        """Insert the row if it is new, otherwise update the fields that have changed.

        A row is saved on the connection that it came from. On another one, named with `using`, all
        fields of the row with its key are written, and the instance then belongs to that
        connection. Raises `DoesNotExist` if there is no such row.
        """
        table = table_of(type(self))
        if loaded(self) is None:
            await insert(table, self, using)
        else:
            await update(table, self, using)

    async def delete(self, *, using: Using = None) -> None:
        """Delete the row; the instance is a new one then, as if it had never been saved.

        Raises `DoesNotExist` if the row is gone, and `InvalidQuery` for a new instance.
        """
        await delete(table_of(type(self)), self, using)

    async def refresh(self, *, using: Using = None) -> None:
        """Read the row again; unsaved changes are lost.

        Raises `DoesNotExist` if it no longer exists, and `InvalidQuery` for an instance that was
        never saved, or was deleted.
        """
        table = table_of(type(self))
        key, origin = stored_row(table, self)
        spec = QuerySpec(table, using or origin)
        equal = {it.name: value for it, value in zip(table.keys, key, strict=True)}
        query, values = prepared(spec.where(*conditions_of(table, (), equal)))
        _, runner = runner_for(using or origin)
        # Not by way of `ferro.session`, which keeps what was changed.
        rows = await runner.fetch_instances(query, values, table.loader)
        if not rows:
            raise gone(table)
        (found,) = rows
        vars(self).update(vars(found))
        object.__setattr__(self, "_ferro_loaded", found._ferro_loaded)
        object.__setattr__(self, "_ferro_related", {})

    def __hash__(self) -> int:
        # Equal rows have equal keys, and a key is what seldom changes.
        table = table_of(type(self))
        key = _key_of(table, self)
        if None in key:
            raise TypeError(f"unhashable: this `{table.label}` has no key until it is saved")
        return hash(key)

    def __await__(self) -> Generator[Any, Any, Self]:
        # A relation is awaited, whether its row is loaded or not. None leads to a row without key.
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
        """The fields that were given, or are loaded, in a set of its own."""
        # Loaded rows share the one that Pydantic keeps.
        return set(super().model_fields_set)

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """An instance of values that are not validated; rows may be given for relations."""
        return constructed(cls, values, partial(super().model_construct, _fields_set))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with the relations that are loaded: another object for the same row.

        With another key in `update` it is a new row, which `save` inserts: `{"id": None}` has the
        database generate one. As in Pydantic, the values are not validated.
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


# Pydantic is ready for its subclasses when they are defined, as for those of its own base.
del Model.model_config["defer_build"]


__all__ = ["Model"]
