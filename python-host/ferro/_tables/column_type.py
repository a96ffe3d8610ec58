"""Column types: from the annotation of a field to the type of its column."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import re
import types
import typing
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Union

import pydantic
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict
from typing_inspection.typing_objects import is_typealiastype

from .. import _native
from .._message import quoted
from ..exceptions import SchemaError

Found = tuple[Any, str, bool, "type[enum.Enum] | None"]
"""Column type, scalar type, whether values are arrays, and the class of an enum."""

_PLAIN: dict[Any, tuple[Any, str]] = {
    bool: ("boolean", "boolean"),
    int: ({"integer": "big"}, "integer"),
    float: ("double", "float"),
    bytes: ("blob", "blob"),
    uuid.UUID: ("uuid", "uuid"),
    datetime.date: ("date", "date"),
    datetime.time: ("time", "time"),
    # A datetime is an instant, unless declared otherwise.
    datetime.datetime: ("timestamptz", "timestamptz"),
    pydantic.AwareDatetime: ("timestamptz", "timestamptz"),
    pydantic.NaiveDatetime: ("timestamp", "timestamp"),
    **dict.fromkeys((pydantic.PastDate, pydantic.FutureDate), ("date", "date")),
    **dict.fromkeys(
        (pydantic.PastDatetime, pydantic.FutureDatetime), ("timestamptz", "timestamptz")
    ),
    datetime.timedelta: ("interval", "interval"),
    dict: ("json", "json"),
    list: ("json", "json"),
    pydantic.JsonValue: ("json", "json"),
}
"""The column type and scalar type of simple types."""
_SCALARS: dict[Any, str] = {
    str: "text",
    decimal.Decimal: "decimal",
    **{annotation: kind for annotation, (_, kind) in _PLAIN.items()},
}
"""The scalar types of plain types."""


def scalar_kind(annotation: Any) -> str | None:
    """The scalar type of a plain type; None for other types.

    Example:
        >>> scalar_kind(int), scalar_kind("int")
        ('integer', None)
    """
    return next((kind for plain, kind in _SCALARS.items() if plain is annotation), None)


def column_type_of(where: str, annotation: Any, metadata: Iterable[Any]) -> Found:
    """The column type of an annotation; raises an error if there is none."""
    origin = typing.get_origin(annotation)
    if annotation is str:
        return {"text": _constraint(metadata, "max_length")}, "text", False, None
    if annotation is decimal.Decimal:
        return {"decimal": _decimal_size(metadata)}, "decimal", False, None
    if origin is typing.Literal:
        return _literal_type(where, typing.get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        column_type, kind = _enum_type(where, annotation)
        return column_type, kind, False, annotation
    plain = annotation if annotation in _PLAIN else origin
    if plain is list and typing.get_args(annotation):
        item, nullable = without_none(typing.get_args(annotation)[0])
        array = "text" if item is str else "decimal" if item is decimal.Decimal else None
        if item in _PLAIN and item not in (dict, list):
            array = _PLAIN[item][1]
        if array is not None and not nullable:
            return {"array": array}, array, True, None
    if plain in _PLAIN:
        column_type, kind = _PLAIN[plain]
        return column_type, kind, False, None
    if has_shape(annotation):
        return "json", "json", False, None
    if isinstance(annotation, type):
        # Pydantic's own texts and numbers: `EmailStr`, a subclass of `str`.
        for base in (str, bytes, int, float):
            if issubclass(annotation, base):
                return column_type_of(where, base, metadata)
    shown = annotation.__name__ if isinstance(annotation, type) and not origin else annotation
    raise SchemaError(
        f"field `{where}`: the type `{shown}` has no column type: use one that does, such as "
        "`str`, `list[…]` or a Pydantic model"
    )


def _literal_type(where: str, values: tuple[Any, ...]) -> Found:
    for kind, column_type, scalar in (
        (str, {"text": None}, "text"),
        (bool, "boolean", "boolean"),
        (int, {"integer": "big"}, "integer"),
    ):
        if all(type(value) is kind for value in values):
            return column_type, scalar, False, None
    raise SchemaError(f"field `{where}`: the values of a `Literal` are all texts, or all integers")


def _enum_type(where: str, members: type[enum.Enum]) -> tuple[Any, str]:
    values = [member.value for member in members]
    if values and all(type(value) is int for value in values):
        return {"integer": "big"}, "integer"
    if values and all(isinstance(value, str) for value in values):
        return {"enumeration": _native.snake_case(members.__name__)}, "text"
    raise SchemaError(f"field `{where}`: the values of an enum are texts, or integers")


_TYPE_NAMES: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(("boolean", "bool"), ("boolean", "boolean")),
    **dict.fromkeys(("smallint", "int2"), ({"integer": "small"}, "integer")),
    **dict.fromkeys(("integer", "int", "int4"), ({"integer": "regular"}, "integer")),
    **dict.fromkeys(("bigint", "int8"), ({"integer": "big"}, "integer")),
    **dict.fromkeys(("real", "float4"), ("real", "float")),
    **dict.fromkeys(("double precision", "double", "float8"), ("double", "float")),
    **dict.fromkeys(("numeric", "decimal"), ({"decimal": None}, "decimal")),
    **dict.fromkeys(("text", "varchar", "character varying"), ({"text": None}, "text")),
    **dict.fromkeys(("bytea", "blob"), ("blob", "blob")),
    "uuid": ("uuid", "uuid"),
    "date": ("date", "date"),
    "time": ("time", "time"),
    "timestamp": ("timestamp", "timestamp"),
    **dict.fromkeys(("timestamptz", "timestamp with time zone"), ("timestamptz", "timestamptz")),
    "interval": ("interval", "interval"),
    **dict.fromkeys(("json", "jsonb"), ("json", "json")),
}
"""The values of `db_type`. A name is data: SQL text never reaches a statement."""


def with_type(where: str, found: Found, name: str) -> Found:
    """The column type with the database type that `db_type` names."""
    _, kind, many, members = found
    match = re.fullmatch(r"\s*([a-z][a-z0-9 ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*", name)
    known = None if match is None else _TYPE_NAMES.get(match[1])
    if match is None or known is None:
        raise SchemaError(f"field `{where}`: there is no `db_type` `{name}`: {_known_types()}")
    column_type, scalar = known
    if match[2] is not None and isinstance(column_type, dict) and "text" in column_type:
        column_type = {"text": int(match[2])}
    elif match[2] is not None and scalar == "decimal":
        column_type = {"decimal": {"precision": int(match[2]), "scale": int(match[3] or 0)}}
    elif match[2] is not None:
        raise SchemaError(f"field `{where}`: the type `{match[1]}` has no size")
    if scalar != kind and scalar != "json":
        raise SchemaError(f"field `{where}`: a field of type {kind} cannot be stored as `{name}`")
    if scalar == "json" and not (many or kind == "json"):
        raise SchemaError(f"field `{where}`: a field of type {kind} is not a document")
    return column_type, scalar, many and scalar != "json", members


def _known_types() -> str:
    return f"it takes one of {quoted(_TYPE_NAMES)}"


def _decimal_size(metadata: Iterable[Any]) -> dict[str, int] | None:
    digits = _constraint(metadata, "max_digits")
    places = _constraint(metadata, "decimal_places")
    if digits is None:
        return None
    return {"precision": digits, "scale": places or 0}


def _constraint(metadata: Iterable[Any], name: str) -> int | None:
    """A constraint from Pydantic's metadata."""
    for item in metadata:
        value = getattr(item, name, None)
        if isinstance(value, int):
            return value
    return None


def has_shape(annotation: Any) -> bool:
    """Whether a type is structured, and stored as a document."""
    if not isinstance(annotation, type):
        return False
    return (
        (issubclass(annotation, pydantic.BaseModel) and not hasattr(annotation, "__ferro_table__"))
        or dataclasses.is_dataclass(annotation)
        or is_typeddict(annotation)
    )


def parts_of(annotation: Any) -> Iterator[Any]:
    """A type and its type arguments, without metadata."""
    parts = [annotation]
    seen: list[Any] = []
    while parts:
        part = parts.pop()
        # A type alias may refer to itself.
        if any(part is it for it in seen):
            continue
        seen.append(part)
        part = without_metadata(part)
        yield part
        if typing.get_origin(part) is not typing.Literal:
            parts += [it for it in typing.get_args(part) if it is not Any and it is not ...]


def without_none(annotation: Any) -> tuple[Any, bool]:
    """`int` and True for `int | None`; the type itself and False for other types."""
    annotation = without_metadata(annotation)
    if annotation is pydantic.JsonValue:
        return annotation, True
    if typing.get_origin(annotation) in (Union, types.UnionType):
        others = [it for it in typing.get_args(annotation) if it is not type(None)]
        if len(others) == 1 and len(typing.get_args(annotation)) == 2:
            return others[0], True
    return annotation, False


def without_metadata(annotation: Any) -> Any:
    """The type behind an `Annotated`, a `NewType` or a `type` alias."""
    while (inner := _one_less(annotation)) is not annotation:
        annotation = inner
    return annotation


def metadata_within(annotation: Any) -> list[Any]:
    """The metadata of aliases that Pydantic does not keep with the field: for example that of `Name
    = Annotated[str, Field(…)]` in `Name | None`.
    """
    found: list[Any] = []
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            for it in typing.get_args(annotation)[1:]:
                found += it.metadata if isinstance(it, FieldInfo) else [it]
        inner = _one_less(annotation)
        if inner is annotation:
            inner, _ = without_none(annotation)
        if inner is annotation:
            return found
        annotation = inner


def _one_less(annotation: Any) -> Any:
    if typing.get_origin(annotation) is typing.Annotated:
        return typing.get_args(annotation)[0]
    if isinstance(annotation, typing.NewType):
        return annotation.__supertype__
    # All types that a document can have are one type here.
    if is_typealiastype(annotation) and annotation is not pydantic.JsonValue:
        return annotation.__value__
    return annotation
