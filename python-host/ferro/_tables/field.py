"""Fields of models: the options of `ferro.Field`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pydantic
from pydantic.fields import FieldInfo

from .._argument import check
from .._message import nearest
from ..exceptions import SchemaError
from .default import DatabaseDefault


@dataclass(frozen=True)
class ColumnOptions:
    """The column options of `ferro.Field`, stored in the metadata of Pydantic's field."""

    primary_key: bool = False
    unique: bool = False
    index: bool = False
    nullable: bool | None = None
    db_column: str | None = None
    db_type: str | None = None
    db_check: bool | Callable[[Any], Any] = False
    db_default: Any = None
    on_update: DatabaseDefault | None = None
    version: bool = False
    renamed_from: str | None = None

    @classmethod
    def joined(cls, all_options: Iterable[ColumnOptions]) -> ColumnOptions:
        """Merge several options, of a field and of its type's alias: the first takes precedence."""
        said: dict[str, Any] = {}
        for options in all_options:
            for it in dataclasses.fields(cls):
                value = getattr(options, it.name)
                if value is not it.default and value != it.default:
                    said.setdefault(it.name, value)
        return cls(**said)


def Field(  # noqa: N802 - it stands in for Pydantic's
    default: Any = ...,
    *,
    primary_key: bool = False,
    unique: bool = False,
    index: bool = False,
    nullable: bool | None = None,
    db_column: str | None = None,
    db_type: str | None = None,
    db_check: bool | Callable[[Any], Any] = False,
    db_default: Any = None,
    on_update: DatabaseDefault | None = None,
    version: bool = False,
    renamed_from: str | None = None,
    **options: Any,
) -> Any:
    """A field of a model: Pydantic's `Field`, with options for the database.

    The database generates an optional integer primary key; several fields with `primary_key` form
    one key. A column is nullable if its type is optional, or as `nullable` says. `db_column` names
    the column; `db_type` sets a type other than the default: `"smallint"`, `"varchar(20)"`,
    `"jsonb"`. `db_check=True` makes the database check what Pydantic checks (limits of numbers,
    values of an enum or a `Literal`); a function adds other conditions, `db_check=lambda age: age
    >= 18`. `db_default` is the value in the database if an insert has none: `ferro.now`,
    `ferro.random_uuid` or a plain value. Until it is stored, an instance without a value has None,
    then the database's value. With `on_update`, `ferro.now` or `ferro.random_uuid`, every update of
    a row sets the field, unless it names the field. An `int` with `version=True` counts the updates
    of its row: `save` and `delete` raise `StaleObjectError` if the row has changed since it was
    read. `renamed_from` is the former name of the column, for `ferro.migrate`. All other options
    are Pydantic's.

    Example:
        >>> import ferro
        >>> class Account(ferro.Model, table="doc_account"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     email: str = ferro.Field(unique=True, max_length=100)
        ...     age: int = ferro.Field(ge=18, db_check=True, db_type="smallint")
    """
    for name in options:
        if name not in _OPTIONS:
            raise SchemaError(f"`ferro.Field` has no option `{name}`: {nearest(name, _OPTIONS)}")
    check(
        SchemaError,
        primary_key=(primary_key, bool),
        unique=(unique, bool),
        index=(index, bool),
        nullable=(nullable, bool, None),
        db_column=(db_column, str, None),
        db_type=(db_type, str, None),
        version=(version, bool),
        renamed_from=(renamed_from, str, None),
    )
    if not isinstance(db_check, bool) and not callable(db_check):
        raise SchemaError("`db_check` takes True, or a function: `db_check=lambda age: age >= 18`")
    is_left = default is None or (default is ... and "default_factory" not in options)
    if db_default is not None and is_left:
        # None stands for the future database value, of any type.
        default, options = None, {**options, "validate_default": False}
    info: FieldInfo = pydantic.Field(default, **options)
    if db_default is not None and is_left:
        # As a row has None until it is stored, None may be passed: `Visit(**visit.model_dump())`.
        info.metadata.append(pydantic.WrapValidator(_unless_none))
    info.metadata.append(
        ColumnOptions(
            primary_key=primary_key,
            unique=unique,
            index=index,
            nullable=nullable,
            db_column=db_column,
            db_type=db_type,
            db_check=db_check,
            db_default=db_default,
            on_update=on_update,
            version=version,
            renamed_from=renamed_from,
        )
    )
    return info


def _unless_none(value: Any, validate: pydantic.ValidatorFunctionWrapHandler) -> Any:
    return None if value is None else validate(value)


_OPTIONS = [
    *(it.name for it in dataclasses.fields(ColumnOptions)),
    *(
        name
        for name, it in inspect.signature(pydantic.Field).parameters.items()
        if it.kind is not inspect.Parameter.VAR_KEYWORD
    ),
]
"""The options of `Field`."""
