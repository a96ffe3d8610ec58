"""Columns: fields as the database and the native module see them."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import pydantic
from pydantic.fields import FieldInfo

from .._equality import is_same
from ..exceptions import DecodeError, SchemaError, TypeMismatch
from .check import Asked, check_of
from .column_type import (
    column_type_of,
    has_shape,
    metadata_within,
    parts_of,
    with_type,
    without_metadata,
    without_none,
)
from .constant import constant_default, database_default, update_value
from .field import ColumnOptions
from .structure import Structure, keys_message

_EXACT_FLOAT = 2**53
"""The largest integer up to which every integer is a float too."""


@dataclass(frozen=True)
class Column:
    """A field as the database and the native module see it."""

    name: str
    column_type: Any
    """The WIT's `column-type`, as JSON."""
    kind: str
    """The WIT's `scalar-type` of its values."""
    many: bool
    nullable: bool
    primary_key: bool
    generated: bool
    unique: bool
    index: bool
    has_default: bool
    version: bool = False
    """Whether it counts the updates of its row."""
    db_default: Any = None
    """The WIT's `default-value`, as JSON; None if the database has none."""
    on_update: str | None = None
    """The WIT's `update-value`: what every update sets by itself."""
    filled: bool = False
    """Whether the database sets it if a row has no value: a generated key, or a default."""
    annotation: Any = None
    """The type of its values, without None."""
    db_column: str | None = None
    renamed_from: str | None = None
    """The former name of the column."""
    enum_class: type[enum.Enum] | None = None
    use_enum_values: bool = False
    """Whether instances hold the values of members, according to the model's config."""
    structure: Structure | None = None
    """Converts between a JSON document and a structured value: a Pydantic model, a dataclass."""
    where: str = ""
    """The name of the field in messages, with its model."""
    check: Asked | None = None
    """What the database checks: a function of the field that returns a condition."""

    @property
    def enumeration(self) -> str | None:
        """The name of its enum, if that is a database type."""
        kind = self.column_type
        return kind.get("enumeration") if isinstance(kind, dict) else None

    @property
    def values(self) -> list[Any]:
        """The values of its enum."""
        return [] if self.enum_class is None else [it.value for it in self.enum_class]

    @property
    def members(self) -> dict[Any, Any] | None:
        """Maps stored values to members, for the native module; None for flags, which combine."""
        if self.enum_class is None or issubclass(self.enum_class, enum.Flag):
            return None
        return {it.value: it.value if self.use_enum_values else it for it in self.enum_class}

    @property
    def decode(self) -> Callable[[Any], Any] | None:
        """Converts a stored value to the value of a field, for the native module."""
        if self.structure is not None:
            return self.structure.decode
        flags = self.enum_class
        if flags is None or self.members is not None:
            return None
        return (lambda it: flags(it).value) if self.use_enum_values else flags

    @cached_property
    def read(self) -> Callable[[Any], Any] | None:
        """Converts a stored value to the value of a field, outside the native module."""
        members = self.members
        take = self.decode if members is None else members.__getitem__
        if take is None:
            return None
        many = self.many

        def read(stored: Any) -> Any:
            try:
                return [take(it) for it in stored] if many else take(stored)
            except (KeyError, ValueError) as raised:
                held = f"{stored!r}, which is not a value of its enum"
                if self.structure is not None:
                    held = f"a document with a different shape: {raised}"
                error = DecodeError(f"`{self.where}` holds {held}")
                error.column = self.db_column or self.name
                raise error from None

        return read

    @property
    def is_document(self) -> bool:
        """Whether values are documents; a copy of each is kept, to detect changes."""
        return self.kind == "json"

    @property
    def document_of(self) -> Callable[[Any], Any] | None:
        """Converts a structured value to what is kept instead of a copy, for the native module."""
        return None if self.structure is None else self.structure.document_of

    @cached_property
    def encode(self) -> Callable[[Any], Any] | None:
        """Converts a value to what the native module takes; None if they are the same."""
        if self.structure is not None:
            return self.structure.encode
        return None if self.enum_class is None else _encode_enum(self.where, self.enum_class)

    @property
    def _is_made_by_client(self) -> bool:
        return self.has_default and not self.generated

    def stored(self, value: Any) -> Any:
        """The value in the form that the native module takes."""
        encode = self.encode
        return value if encode is None else encode(value)

    def to_json(self) -> dict[str, Any]:
        """The WIT's `field`, as JSON."""
        return {
            "name": self.name,
            "column": self.db_column,
            "kind": self.column_type,
            "nullable": self.nullable,
            "unique": self.unique,
            "indexed": self.index,
            "generated-key": self.generated,
            "version": self.version,
            "default": self.db_default or ("client" if self._is_made_by_client else None),
            "on-update": self.on_update,
            "renamed-from": self.renamed_from,
        }

    def is_stored_as(self, known: Any, value: Any) -> bool:
        """Whether a value is what is known to be stored, of documents a copy: whether to write it
        would change nothing.
        """
        if is_same(known, value):
            return True
        if self.structure is not None:
            return self.structure.is_of(known, value)
        with suppress(TypeMismatch):
            known, value = self.stored(known), self.stored(value)
        if self.many and isinstance(value, (list, tuple)) and isinstance(known, list):
            pairs = zip(known, value, strict=False)
            return len(known) == len(value) and all(self._is_alike(*it) for it in pairs)
        return self._is_alike(known, value)

    def _is_alike(self, known: Any, value: Any) -> bool:
        known, value = self._as_read(known), self._as_read(value)
        if self._has_places and type(known) is type(value) is Decimal and known.is_finite():
            return value.is_finite() and bool(known == value)
        return is_same(known, value)

    @property
    def _has_places(self) -> bool:
        """Whether decimals have as many places as the column says, however they are given."""
        kind = self.column_type
        return isinstance(kind, dict) and kind.get("decimal") is not None

    def _as_read(self, value: Any) -> Any:
        """A value as it comes back, where an int may be given for another number."""
        if type(value) is int and self.kind == "decimal":
            return Decimal(value)
        if type(value) is int and self.kind == "float" and abs(value) <= _EXACT_FLOAT:
            return float(value)
        return value


def column_of(
    model: str, name: str, info: FieldInfo, config: pydantic.ConfigDict | None = None
) -> Column:
    """The column of a field; raises an error that says what is wrong with it."""
    metadata = [*info.metadata, *metadata_within(info.annotation)]
    options = ColumnOptions.joined(it for it in metadata if isinstance(it, ColumnOptions))
    where = f"{model}.{name}"
    annotation, nullable = without_none(info.annotation)
    annotation = without_metadata(annotation)
    _refuse_rows(where, annotation)
    found = column_type_of(where, annotation, metadata)
    if options.db_type is not None:
        found = with_type(where, found, options.db_type)
    column_type, kind, many, members = found
    if options.primary_key:
        check_comparable(where, "a primary key", kind, many)
    elif options.unique:
        check_comparable(where, "unique", kind)
    generated = options.primary_key and nullable and kind == "integer"
    asked = options.db_default
    if options.primary_key and nullable and not generated and asked is None:
        raise SchemaError(
            f"field `{where}`: only an integer key can be generated; make it required, "
            "or give it a `default_factory` or a `db_default`"
        )
    if generated and asked is not None:
        raise SchemaError(f"field `{where}`: the database generates it: leave out `db_default`")
    if options.nullable is not None:
        nullable = options.nullable
    if options.version and (
        kind != "integer" or many or nullable or members is not None or options.primary_key
    ):
        raise SchemaError(
            f"field `{where}`: a version is an `int` that is never None, and not a key: "
            "`version: int = ferro.Field(default=1, version=True)`"
        )
    on_update = update_value(where, kind, many, options.on_update)
    if on_update is not None and options.primary_key:
        raise SchemaError(
            f"field `{where}`: a primary key identifies its row: leave out `on_update`"
        )
    if asked is not None:
        db_default = database_default(where, kind, many, asked)
    else:
        db_default = None if many or generated else constant_default(kind, info.default)
    is_made = info.default is None and info.default_factory is None
    use_enum_values = (config or {}).get("use_enum_values", False)
    return Column(
        name=name,
        column_type=column_type,
        kind=kind,
        many=many,
        nullable=nullable and not options.primary_key,
        primary_key=options.primary_key,
        generated=generated,
        unique=options.unique,
        index=options.index,
        has_default=not info.is_required(),
        version=options.version,
        db_default=db_default,
        on_update=on_update,
        filled=generated or (asked is not None and is_made),
        annotation=annotation,
        db_column=options.db_column,
        renamed_from=options.renamed_from,
        enum_class=members,
        use_enum_values=use_enum_values,
        structure=_structure(where, annotation, use_enum_values) if kind == "json" else None,
        where=where,
        check=check_of(where, options.db_check, annotation, metadata),
    )


def plain_column(name: str, kind: str, where: str, many: bool = False) -> Column:
    """A column of which only the kind of the values is known."""
    return Column(
        name=name,
        column_type=None,
        kind=kind,
        many=many,
        nullable=True,
        primary_key=False,
        generated=False,
        unique=False,
        index=False,
        has_default=False,
        where=where,
    )


def _refuse_rows(where: str, annotation: Any) -> None:
    """Reject a model as the type of a field, which other ORMs treat as a relation."""
    for part in parts_of(annotation):
        if isinstance(part, type) and hasattr(part, "__ferro_table__"):
            name = part.__name__
            raise SchemaError(
                f"field `{where}`: a row of `{name}` cannot be stored in a column: declare a "
                f"relation, `Relation[{name}] = ferro.ForeignKey()`, `Relation[list[{name}]] = "
                f"ferro.ManyToMany()`, or `ferro.BackRef()` where `{name}` has the foreign key"
            )


def _structure(where: str, annotation: Any, use_enum_values: bool) -> Structure | None:
    """The converter between documents and values, if the type is more than plain JSON."""
    is_plain, has_any_keys = True, False
    for part in parts_of(annotation):
        origin, arguments = typing.get_origin(part), typing.get_args(part)
        if has_shape(part):
            is_plain = False
        elif origin is None:
            # For example, a date is a text in JSON, and a large float is read back as an integer.
            is_plain &= part in _JSON or not isinstance(part, type)
        elif origin is dict:
            is_plain &= without_metadata(arguments[0]) in (str, Any)
            has_any_keys |= arguments[0] in (Any, object)
        else:
            is_plain &= origin in (list, typing.Literal, typing.Union, types.UnionType)
    if is_plain:
        return None
    if has_any_keys:
        raise SchemaError(keys_message(where))
    # A type with its own config accepts no other.
    has_config = has_shape(annotation) or not use_enum_values
    config = None if has_config else pydantic.ConfigDict(use_enum_values=True)
    return Structure(where, annotation, config)


_JSON = (dict, list, str, int, bool, Any, type(None))
"""Types that survive a round trip through JSON."""


def check_comparable(where: str, role: str, kind: str, many: bool = False) -> None:
    """Reject a key with values that SQLite cannot compare."""
    if many:
        raise SchemaError(f"field `{where}`: a list cannot be {role}: use a `str`, for example")
    if kind == "json":
        raise SchemaError(
            f"field `{where}`: a document cannot be {role}, as SQLite cannot compare it: store "
            "what identifies it in a separate field, such as a `str`"
        )
    if kind == "interval":
        raise SchemaError(
            f"field `{where}`: a `timedelta` cannot be {role}, as SQLite cannot compare it: store "
            "its seconds, or microseconds, as an `int`"
        )


def _encode_enum(where: str, members: type[enum.Enum]) -> Callable[[Any], Any]:
    """Converts a member, or its value, to what is stored; rejects anything else, as it could not be
    read back.
    """
    values = {member.value for member in members}
    flags = issubclass(members, enum.Flag)

    def encode(value: Any) -> Any:
        if isinstance(value, members):
            return value.value
        if value is None:
            return None
        if not isinstance(value, enum.Enum):
            with suppress(ValueError, TypeError, ArithmeticError):
                if value in values or (flags and members(value) is not None):
                    return value
        raise TypeMismatch(
            f"`{where}` takes a `{members.__name__}` or the value of one, and this is neither"
        )

    return encode
