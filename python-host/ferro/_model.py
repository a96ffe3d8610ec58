"""Models: Pydantic models whose instances are rows."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Annotated, Any, ClassVar, overload

import pydantic
from pydantic._internal._model_construction import (
    ModelMetaclass,
    build_lenient_weakvaluedict,
)
from pydantic._internal._typing_extra import parent_frame_namespace
from pydantic_core import PydanticCustomError
from typing_extensions import Self, dataclass_transform

from ._column_type import snake_case
from ._connected import Connected, rows_of, table_of
from ._field import Field, check_name, nearest
from ._path import FieldAttribute, field_of
from ._registry import registry
from ._relation import (
    BackRef,
    ForeignKey,
    KeyOf,
    Link,
    ManyToMany,
    RelationAttribute,
    take_links,
)
from ._select import Condition, Select
from ._table import Table
from ._transaction import Transaction, Using, session
from ._write import (
    changed_fields,
    delete,
    gone,
    insert,
    keep_loaded,
    loaded,
    stored_row,
    update,
)
from .exceptions import SchemaError


@dataclass_transform(
    kw_only_default=True,
    field_specifiers=(
        Field,
        ForeignKey,
        BackRef,
        ManyToMany,
        pydantic.Field,
        pydantic.PrivateAttr,
    ),
)
class ModelMeta(ModelMetaclass):
    """Takes the relations out of a class, and gives its fields as expressions: `User.age`."""

    def __new__(
        mcs, name: str, bases: tuple[type[Any], ...], namespace: dict[str, Any], **options: Any
    ) -> Any:
        links = take_links(namespace, 1)
        for link in links.values():
            if link.kind == "foreign-key":
                _add_key_field(link, namespace)
        inherited: dict[str, Link] = {}
        for base in reversed(bases):
            inherited.update(getattr(base, "__ferro_links__", {}))
        namespace["__ferro_links__"] = {**inherited, **links}
        if links:
            namespace["__ferro_relations__"] = _relations_taken
        # Pydantic looks for the names of annotations where the class is defined: one call further
        # away than it thinks.
        around = build_lenient_weakvaluedict(parent_frame_namespace())
        namespace["__pydantic_parent_namespace__"] = around
        options["__pydantic_reset_parent_namespace__"] = False
        return super().__new__(mcs, name, bases, namespace, **options)

    def __getattr__(cls, name: str) -> Any:
        # Pydantic asks every class for names of its own, before there is a table.
        table = None if name.startswith("_") else cls.__dict__.get("__ferro_table__")
        if table is None:
            return super().__getattr__(name)  # type: ignore[misc]
        return field_of(table, name)


def _add_key_field(link: Link, namespace: dict[str, Any]) -> None:
    """The field that holds the key of the other end, unless the class has one of that name."""
    is_declared = link.column in namespace["__annotations__"]
    if link.default is None and not link.nullable:
        # For type checkers, to which either of the two may be given.
        if is_declared:
            return
        raise SchemaError(
            f"relation `{link.name}`: its default is None, which it may not be: annotate it as "
            "`Relation[… | None]`, or leave the default out"
        )
    default = None if link.default is ... and link.nullable else link.default
    if is_declared:
        if link.default is not ...:
            namespace.setdefault(link.column, pydantic.Field(default=default))
        return
    key: Any = KeyOf(link)
    namespace["__annotations__"][link.column] = _key_annotation(link, key)
    namespace[link.column] = pydantic.Field(default=default)


def _key_annotation(link: Link, key: KeyOf) -> Any:
    table = getattr(link.target, "__dict__", {}).get("__ferro_table__")
    # A key that is a relation itself may be that of a model which is not defined yet.
    if isinstance(table, Table) and not any(it.primary_key for it in table.links.values()):
        kind = table.only_key().annotation
        return Annotated[kind | None if link.nullable else kind, key]
    return Annotated[Any, key]


def _take_relations(cls: Any, data: Any, handler: Any) -> Any:
    """Rows that are given for relations: their keys are stored, and they are kept with the row."""
    from ._related import remember, split_relations

    if not isinstance(data, dict):
        return handler(data)
    given = [link for name, link in cls.__ferro_links__.items() if name in data]
    for link in given:
        _check_given(cls, link, data[link.name])
    data, rows = split_relations(cls, data)
    for link in given:
        alias = cls.__ferro_table__.aliases.get(link.column)
        if alias is not None:
            data[alias] = data.pop(link.column)
    made = handler(data)
    for name, row in rows.items():
        remember(made, cls.__ferro_table__.edge(name), row)
    return made


def _check_given(cls: Any, link: Link, given: Any) -> None:
    """Refuse what is no row: not with an error of the program's, as it may be a request's."""
    from ._related import NoRow, Unloaded

    name, parts = link.name, given if isinstance(given, (list, tuple)) else [given]
    if link.kind == "foreign-key":
        if given is None or isinstance(given, (Model, NoRow, Unloaded)):
            return
        reason = f"`{cls.__name__}.{name}` takes a row: give its key to `{link.column}`"
    else:
        if any(isinstance(it, Model) for it in parts):
            return
        reason = f"`{cls.__name__}.{name}` is not set with the row: add to it when the row is saved"
    raise pydantic.ValidationError.from_exception_data(
        cls.__name__,
        [
            {
                "type": PydanticCustomError("relation", "{reason}", {"reason": reason}),
                "loc": (name,),
                "input": given,
            }
        ],
    )


_relations_taken: Any = pydantic.model_validator(mode="wrap")(classmethod(_take_relations))  # type: ignore[arg-type]


class Model(pydantic.BaseModel, metaclass=ModelMeta):
    """A Pydantic model whose instances are rows of a table.

    The table is named after the class, `BlogPost` as `blog_post`, or by `table=`. A class with
    `abstract=True` has no table, and gives its fields to those that inherit from it. `uniques` and
    `indexes` are over several fields: `uniques=[("team", "name")]`. A value for a field that there
    is not is refused, or left out with Pydantic's `extra="ignore"`.

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
    __ferro_links__: ClassVar[dict[str, Link]] = {}

    def __init_subclass__(
        cls,
        *,
        table: str | None = None,
        abstract: bool = False,
        uniques: Iterable[Iterable[str]] = (),
        indexes: Iterable[Iterable[str]] = (),
        **options: Any,
    ) -> None:
        try:
            super().__init_subclass__(**options)
        except TypeError as error:
            if not options:
                raise
            name, known = next(iter(options)), ("table", "abstract", "uniques", "indexes")
            raise SchemaError(
                f"model `{cls.__name__}` has an option `{name}` that there is not: "
                f"{nearest(name, known)}"
            ) from error

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        table: str | None = None,
        abstract: bool = False,
        uniques: Iterable[Iterable[str]] = (),
        indexes: Iterable[Iterable[str]] = (),
        **options: Any,
    ) -> None:
        """Register the model. Pydantic calls this when the class is all there."""
        super().__pydantic_init_subclass__(**options)
        cls.__ferro_table__ = None
        for name in cls.__ferro_links__:
            RelationAttribute.put(cls, name)
        _check_names(cls)
        if abstract:
            return
        if not cls.__pydantic_complete__ and not cls.model_rebuild(raise_errors=False):
            name = cls.__name__
            raise SchemaError(f"model `{name}`: a type in its annotations is not defined yet")
        check_name("table", table)
        made = Table(
            registry,
            cls,
            table or snake_case(cls.__name__),
            _lists(cls, uniques),
            _lists(cls, indexes),
        )
        registry.add(made)
        cls.__ferro_table__ = made
        FieldAttribute.put(cls)
        _share_names(cls)

    @classmethod
    def using(cls, connection: str | Transaction) -> Connected[Self]:
        """The model on another connection than the default one, or in a transaction.

        Example:
            >>> import ferro
            >>> class Job(ferro.Model, table="doc_job"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            >>> waiting = Job.using("service").select()
        """
        return Connected(cls, connection)

    @overload
    @classmethod
    def select(cls, field: Any, /, *fields: Any, **computed: Any) -> Select[dict[str, Any]]: ...
    @overload
    @classmethod
    def select(cls) -> Select[Self]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    @classmethod
    def select(cls, **computed: Any) -> Select[dict[str, Any]]: ...
    @classmethod
    def select(cls, *fields: Any, **computed: Any) -> Any:
        """A query of all rows: narrow it with `where`, `order_by`, `limit` and `offset`.

        With fields, of some values of each row: see `Select.values`.
        """
        return Connected(cls, None).select(*fields, **computed)

    @classmethod
    def where(cls, *conditions: Condition, **equals: Any) -> Select[Self]:
        """A query of the rows for which conditions hold: see `Select.where`."""
        return rows_of(cls).where(*conditions, **equals)

    @classmethod
    async def create(cls, **values: Any) -> Self:
        """Insert a row, and return it with its generated key.

        Raises Pydantic's `ValidationError` before the database is asked, and `IntegrityError` if
        the database does not allow the row.
        """
        return await Connected(cls, None).create(**values)

    @classmethod
    async def get(cls, key: Any = None, /, **equals: Any) -> Self:
        """The row with a key, or the only one whose fields have values.

        Raises `DoesNotExist` and `MultipleObjectsReturned`.
        """
        return await rows_of(cls).get(key, **equals)

    @classmethod
    async def get_or_none(cls, key: Any = None, /, **equals: Any) -> Self | None:
        """As `get`, with None if there is no such row."""
        return await rows_of(cls).get_or_none(key, **equals)

    @classmethod
    async def all(cls) -> list[Self]:
        """All rows."""
        return await rows_of(cls).all()

    @classmethod
    async def bulk_create(cls, rows: Iterable[Self], *, return_keys: bool = False) -> int:
        """Insert many new instances, all or none; how many.

        With `return_keys`, each instance gets its generated key, which takes longer. Without it
        they stay without: query them to save or delete them.
        """
        return await Connected(cls, None).bulk_create(rows, return_keys=return_keys)

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
        update: Iterable[str] | None = None,
        **values: Any,
    ) -> Self:
        """Insert a row, or update the one that has its key already; the row as it is stored.

        `conflict` names the key: the primary one, or fields that are unique. `update` names the
        fields that are updated; by default those that were given. Others keep their value.
        """
        connected = Connected(cls, None)
        return await connected.upsert(row, conflict=conflict, update=update, **values)

    @classmethod
    async def bulk_upsert(
        cls,
        rows: Iterable[Self],
        *,
        conflict: Iterable[str] | str,
        update: Iterable[str] | None = None,
    ) -> int:
        """As `upsert`, for many instances at once, all or none; how many were written.

        By default, all fields but the key are updated.
        """
        return await Connected(cls, None).bulk_upsert(rows, conflict=conflict, update=update)

    @classmethod
    async def get_or_create(
        cls, defaults: dict[str, Any] | None = None, /, **equals: Any
    ) -> tuple[Self, bool]:
        """The row with these values, inserted with `defaults` if there is none; and whether it was.

        The values have to be those of a key, so that a hundred at once make one row. Raises
        `UniqueViolation` if the key is taken by a row that has not all of the values.
        """
        return await Connected(cls, None).get_or_create(defaults, **equals)

    @classmethod
    async def update_or_create(
        cls, defaults: dict[str, Any] | None = None, /, **equals: Any
    ) -> tuple[Self, bool]:
        """The row with these values, with `defaults` set on it; and whether it was inserted.

        The values have to be those of a key, so that a hundred at once make one row. Raises
        `UniqueViolation` if the key is taken by a row that has not all of the values.
        """
        return await Connected(cls, None).update_or_create(defaults, **equals)

    async def save(self, *, using: Using = None) -> None:
        """Insert the row if it is new, else update the fields that have changed.

        A row goes to the connection that it came from, unless another one is named. Raises
        `DoesNotExist` if it is gone.
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
        """Read the row again; what was changed and not saved is lost.

        Raises `DoesNotExist` if it is gone, and `InvalidQuery` for an instance that was never
        saved, or that was deleted.
        """
        table = table_of(type(self))
        key, origin = stored_row(table, self)
        query: Select[Any] = Select(type(self), table, using or origin)
        equal = {it.name: value for it, value in zip(table.keys, key, strict=True)}
        object.__setattr__(self, "_ferro_related", {})
        prepared, values = query.where(**equal)._prepared("select")
        _, runner = session(using or origin)
        # Not by way of `ferro.session`, which keeps what was changed.
        rows = await runner.fetch_instances(prepared, values, table.loader)
        if not rows:
            raise gone(table)
        (found,) = rows
        vars(self).update(vars(found))
        object.__setattr__(self, "_ferro_loaded", found._ferro_loaded)

    def __await__(self) -> Generator[Any, Any, Self]:
        # A relation is awaited, whether its row is loaded or not.
        return self
        yield

    def __copy__(self) -> Self:
        return keep_loaded(self, super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return keep_loaded(self, super().__deepcopy__(memo))

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), "_ferro_loaded": loaded(self)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        known = state.pop("_ferro_loaded")
        super().__setstate__(state)
        if known is not None:
            object.__setattr__(self, "_ferro_loaded", known)


# Pydantic is ready for its subclasses when they are defined, as for those of its own base.
del Model.model_config["defer_build"]


def _check_names(model: type[Model]) -> None:
    """Refuse a field in the place of what every model can do: `row.save` would be its value."""
    for name in model.model_fields:
        if name in vars(Model):
            raise SchemaError(
                f"field `{model.__name__}.{name}`: models have a method of that name: name the "
                f"field otherwise, and its column with `db_column={name!r}`"
            )


def _share_names(model: type[Model]) -> None:
    """Have the instances that are loaded share the names of their fields.

    CPython lets the instances of a class share names that were set one by one, and admits fewer new
    ones with each instance that is made. Pydantic sets all at once, which shares none: once some
    were made in its way, each one that is loaded would have a dict with names of its own, which
    takes a third more memory, and longer.
    """
    first = object.__new__(model)
    for name in model.model_fields:
        object.__setattr__(first, name, None)


def is_changed(table: Table, row: Model) -> bool:
    """Whether a row holds what was not saved."""
    return bool(changed_fields(table, row))


def _lists(model: type[Model], lists: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """Lists of fields; a relation stands for the field that holds its key."""
    links = model.__ferro_links__
    found = []
    for names in lists:
        if isinstance(names, str):
            raise SchemaError(
                f"model `{model.__name__}`: `uniques` and `indexes` are lists of lists of fields"
            )
        found.append(tuple(links[it].column if it in links else it for it in names))
    return tuple(found)


__all__ = ["Model"]
