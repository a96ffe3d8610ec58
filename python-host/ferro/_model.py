"""Models: Pydantic models whose instances are rows."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, ClassVar, Generic, TypeVar

import pydantic
from pydantic._internal._model_construction import ModelMetaclass
from typing_extensions import Self, dataclass_transform

from ._expression import FieldExpression
from ._field import Field, snake_case
from ._select import Condition, Select
from ._table import Table, registry
from ._transaction import Transaction, session, transaction
from .exceptions import DoesNotExist, InvalidQuery, SchemaError

M = TypeVar("M", bound="Model")

Loaded = tuple[str, "dict[str, Any] | None"]
"""The connection that a row is from, and what it holds there: None, if that is not known."""


@dataclass_transform(
    kw_only_default=True, field_specifiers=(Field, pydantic.Field, pydantic.PrivateAttr)
)
class ModelMeta(ModelMetaclass):
    """Gives the fields of models as expressions: `User.age`."""

    def __getattr__(cls, name: str) -> Any:  # noqa: N805 - of a metaclass
        # Pydantic asks every class for names of its own, before there is a table.
        table = None if name.startswith("_") else cls.__dict__.get("__ferro_table__")
        if table is None:
            return super().__getattr__(name)  # type: ignore[misc]
        return FieldExpression(table, table.column(name))


class Model(pydantic.BaseModel, metaclass=ModelMeta):
    """A Pydantic model whose instances are rows of a table.

    The table is named after the class, `BlogPost` as `blog_post`, or by `table=`. A class with
    `abstract=True` has no table, and gives its fields to those that inherit from it. A value for a
    field that there is not is refused; Pydantic's option `extra` changes that.

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

    __slots__ = ("_ferro_loaded",)

    # A misspelt name would be a value that is lost.
    model_config = pydantic.ConfigDict(extra="forbid")

    __ferro_table__: ClassVar[Table | None] = None

    def __init_subclass__(
        cls, *, table: str | None = None, abstract: bool = False, **options: Any
    ) -> None:
        super().__init_subclass__(**options)

    @classmethod
    def __pydantic_init_subclass__(
        cls, *, table: str | None = None, abstract: bool = False, **options: Any
    ) -> None:
        """Register the model. Pydantic calls this when the class is all there."""
        super().__pydantic_init_subclass__(**options)
        cls.__ferro_table__ = None
        if abstract:
            return
        if not cls.__pydantic_complete__ and not cls.model_rebuild(raise_errors=False):
            name = cls.__name__
            raise SchemaError(f"model `{name}`: a type in its annotations is not defined yet")
        made = Table(cls, table or snake_case(cls.__name__))
        registry.add(made)
        cls.__ferro_table__ = made

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

    @classmethod
    def select(cls) -> Select[Self]:
        """A query of all rows: narrow it with `where`, `order_by`, `limit` and `offset`."""
        return Connected(cls, None).select()

    @classmethod
    def where(cls, *conditions: Condition, **equals: Any) -> Select[Self]:
        """A query of the rows for which conditions hold: see `Select.where`."""
        return Connected(cls, None).select().where(*conditions, **equals)

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
        return await Connected(cls, None).get(key, **equals)

    @classmethod
    async def get_or_none(cls, key: Any = None, /, **equals: Any) -> Self | None:
        """As `get`, with None if there is no such row."""
        return await Connected(cls, None).get_or_none(key, **equals)

    @classmethod
    async def all(cls) -> list[Self]:
        """All rows."""
        return await Connected(cls, None).all()

    @classmethod
    async def bulk_create(cls, rows: Iterable[Self]) -> int:
        """Insert many new instances, all or none; how many.

        Generated keys are not read back: the instances stay without them.
        """
        return await Connected(cls, None).bulk_create(rows)

    async def save(self, *, using: str | Transaction | None = None) -> None:
        """Insert the row if it is new, else update the fields that have changed.

        A row goes to the connection that it came from, unless another one is named. Raises
        `DoesNotExist` if it is gone.
        """
        loaded = _loaded(self)
        if loaded is None:
            await _insert(self, using)
        else:
            await _update(self, loaded, using)

    async def delete(self, *, using: str | Transaction | None = None) -> None:
        """Delete the row. Raises `DoesNotExist` if it is gone already."""
        table, key, origin = _stored_row(self)
        _, runner = session(using or origin)
        changed = await runner.execute(table.query(("delete",)), (key,))
        if changed == 0:
            raise _gone(table)
        object.__delattr__(self, "_ferro_loaded")

    def __copy__(self) -> Self:
        return _keep_loaded(self, super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return _keep_loaded(self, super().__deepcopy__(memo))

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), "_ferro_loaded": _loaded(self)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        loaded = state.pop("_ferro_loaded")
        super().__setstate__(state)
        if loaded is not None:
            object.__setattr__(self, "_ferro_loaded", loaded)


class Connected(Generic[M]):
    """A model on a connection, or in a transaction; made by `Model.using`.

    Example:
        >>> import ferro
        >>> class Task(ferro.Model, table="doc_task"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        >>> on_service = Task.using("service")
    """

    __slots__ = ("_model", "_table", "_using")

    def __init__(self, model: type[M], using: str | Transaction | None) -> None:
        self._model = model
        self._table = _table(model)
        self._using = using

    def select(self) -> Select[M]:
        """A query of all rows."""
        return Select(self._model, self._table, self._using)

    def where(self, *conditions: Condition, **equals: Any) -> Select[M]:
        """A query of the rows for which conditions hold."""
        return self.select().where(*conditions, **equals)

    async def create(self, **values: Any) -> M:
        """Insert a row, and return it with its generated key."""
        row = self._model(**values)
        await _insert(row, self._using)
        return row

    async def get(self, key: Any = None, /, **equals: Any) -> M:
        """The row with a key, or the only one whose fields have values."""
        row = await self.get_or_none(key, **equals)
        if row is None:
            raise DoesNotExist(f"there is no such `{self._table.label}`")
        return row

    async def get_or_none(self, key: Any = None, /, **equals: Any) -> M | None:
        """As `get`, with None if there is no such row."""
        if key is not None:
            equals[self._table.key.name] = key
        if not equals:
            raise InvalidQuery("`get` takes a key, or values of fields")
        return await self.where(**equals).one_or_none()

    async def all(self) -> list[M]:
        """All rows."""
        return await self.select().all()

    async def bulk_create(self, rows: Iterable[M]) -> int:
        """Insert many new instances, all or none; how many."""
        with_key: list[M] = []
        without_key: list[M] = []
        key = self._table.key
        for row in rows:
            if not isinstance(row, self._model):
                raise InvalidQuery(f"`bulk_create` takes `{self._table.label}`, not `{row!r}`")
            if _loaded(row) is not None:
                raise InvalidQuery("`bulk_create` takes new rows, and one of these is stored")
            generated = key.generated and row.__dict__[key.name] is None
            (without_key if generated else with_key).append(row)
        if with_key and without_key:
            async with transaction(using=_label(self._using)) as both:
                count = await _insert_many(self._table, with_key, both)
                return count + await _insert_many(self._table, without_key, both)
        return await _insert_many(self._table, with_key or without_key, self._using)


def _table(model: type[Model]) -> Table:
    table = model.__dict__.get("__ferro_table__")
    if not isinstance(table, Table):
        raise InvalidQuery(f"`{model.__name__}` is abstract: it has no table")
    return table


def _label(using: str | Transaction | None) -> str | None:
    return using if using is None or isinstance(using, str) else using.label


def _loaded(row: Model) -> Loaded | None:
    return getattr(row, "_ferro_loaded", None)


def _keep_loaded(row: Model, copied: M) -> M:
    loaded = _loaded(row)
    if loaded is not None:
        object.__setattr__(copied, "_ferro_loaded", copy.copy(loaded))
    return copied


def _snapshot(table: Table, row: Model) -> dict[str, Any]:
    """What the row holds, safe from changes in place."""
    values = dict(row.__dict__)
    for name, column in table.columns.items():
        if column.copy is not None and values[name] is not None:
            values[name] = column.copy(values[name])
    return values


def _values(table: Table, names: Iterable[str], row: Model) -> tuple[Any, ...]:
    return tuple(table.columns[name].stored(row.__dict__[name]) for name in names)


async def _insert(row: Model, using: str | Transaction | None) -> None:
    table = _table(type(row))
    key = table.key
    generated = key.generated and row.__dict__[key.name] is None
    names = tuple(name for name in table.columns if not (generated and name == key.name))
    values = _values(table, names, row)
    label, runner = session(using)
    if generated:
        query = table.query(("insert", names, key.name))
        ((row.__dict__[key.name],),) = await runner.fetch(query, values)
    else:
        await runner.execute(table.query(("insert", names, None)), values)
    object.__setattr__(row, "_ferro_loaded", (label, _snapshot(table, row)))


async def _insert_many(table: Table, rows: list[M], using: str | Transaction | None) -> int:
    if not rows:
        return 0
    key = table.key
    generated = key.generated and rows[0].__dict__[key.name] is None
    names = tuple(name for name in table.columns if not (generated and name == key.name))
    columns = [[table.columns[name].stored(row.__dict__[name]) for row in rows] for name in names]
    label, runner = session(using)
    count = await runner.write(table.query(("insert-many", names)), columns, len(rows))
    for row in rows:
        snapshot = None if generated else _snapshot(table, row)
        object.__setattr__(row, "_ferro_loaded", (label, snapshot))
    return count


async def _update(row: Model, loaded: Loaded, using: str | Transaction | None) -> None:
    table, key, origin = _stored_row(row)
    before = loaded[1] or {}
    changed = tuple(
        name for name in table.columns if not _same(before.get(name), row.__dict__[name])
    )
    if not changed:
        return
    query = table.query(("update", changed))
    label, runner = session(using or origin)
    if await runner.execute(query, (*_values(table, changed, row), key)) == 0:
        raise _gone(table)
    object.__setattr__(row, "_ferro_loaded", (label, _snapshot(table, row)))


def _stored_row(row: Model) -> tuple[Table, Any, str]:
    """The table of a row, its key as it is stored, and its connection."""
    table = _table(type(row))
    loaded = _loaded(row)
    if loaded is None:
        raise InvalidQuery(f"this `{table.label}` was never saved")
    origin, values = loaded
    if values is None:
        raise InvalidQuery(
            f"this `{table.label}` was stored by `bulk_create`, which does not read generated keys "
            "back: query the row first"
        )
    return table, table.key.stored(values[table.key.name]), origin


def _same(one: Any, other: Any) -> bool:
    # `1 == True == 1.0 == Decimal(1)`, and a database tells them apart.
    return one is other or (type(one) is type(other) and bool(one == other))


def _gone(table: Table) -> DoesNotExist:
    return DoesNotExist(f"this `{table.label}` is gone: its row was deleted, or its key changed")


__all__ = ["Connected", "Model"]
