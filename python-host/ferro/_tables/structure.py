"""Structured documents: conversion between JSON and Pydantic models, dataclasses and so on.

How a model is serialized (alias, `exclude`, serializers, computed fields) does not affect what is
stored: a document has all fields, by their names, in the form of their types.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Hashable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

import pydantic
from pydantic_core import PydanticSerializationError, SchemaSerializer, to_jsonable_python

from .._equality import is_same
from .._pydantic import is_own, masks, serializer_of
from ..exceptions import SchemaError, TypeMismatch

_NO_SCHEMA = frozenset({"default", "expected", "metadata"})
"""Entries of a Pydantic schema that are not schemas."""
_EXCLUDES = frozenset({"serialization_exclude", "serialization_exclude_if"})
_RAISED = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)
"""Exceptions from reading and writing a document, including those of application validators."""
_NATIVE = frozenset(
    {
        "bool",
        "bytes",
        "dataclass",
        "date",
        "datetime",
        "decimal",
        "dict",
        "enum",
        "float",
        "frozenset",
    }
    | {"int", "list", "literal", "model", "nullable", "set", "str", "time", "timedelta", "tuple"}
    | {"typed-dict", "union", "uuid"}
)
"""The types that Pydantic writes in its own way."""
_AROUND = frozenset({"default", "function-after", "function-before", "function-wrap"})
"""The schemas that wrap the type of a field."""
_NO_TEXTS = frozenset(
    {"tuple", "named-tuple", "call", "frozenset", "nullable", "none", "model", "dataclass"}
)
"""The types of keys that Pydantic writes as texts, but does not read back."""
_PLAIN = frozenset({bool, float, int, str})
"""The types that JSON has, too."""


class Structure:
    """Converts between a JSON document and a structured value."""

    def __init__(
        self, where: str, annotation: Any, config: pydantic.ConfigDict | None = None
    ) -> None:
        self._where = where
        self._adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(annotation, config=config)
        schema: Any = self._adapter.core_schema
        nodes = list(nodes_of(schema))
        if any(map(_is_masked, nodes)):
            raise SchemaError(
                f"field `{where}`: a secret of Pydantic's inside a document would be stored as "
                "asterisks: make it a `str`, or give it a `field_serializer` that returns its "
                "value"
            )
        keys = (
            it["keys_schema"] for it in nodes if it.get("type") == "dict" and "keys_schema" in it
        )
        if any(map(_is_lost_as_text, keys)):
            raise SchemaError(keys_message(where))
        if any(map(_is_lost_as_value, nodes)):
            raise SchemaError(
                f"field `{where}`: the values of an enum inside a document are texts or numbers"
            )
        self._prints = any(map(_is_for_print, nodes))
        hides = self._prints or any(_EXCLUDES & node.keys() for node in nodes)
        self._dump_as_printed = _dumping(self._adapter.serializer)
        self._dump = _dumping(_serializer_of_all(schema)) if hides else self._dump_as_printed
        # A value under an alias comes from another writer. If an alias is the name of another
        # field, a name must be read as a name.
        self._alias_first = not any(map(_is_ambiguous, nodes))
        # A dict has no class that would have validated it.
        self._has_dicts = any(it.get("type") == "typed-dict" for it in nodes)
        # JSON has fewer types than Python: a date is a text, for strict models too.
        self._validate = partial(
            self._adapter.validate_python, strict=False, by_name=True, by_alias=self._alias_first
        )
        self._read = self._validate if self._alias_first else self._by_name

    def decode(self, document: Any) -> Any:
        """Convert a document to a value; a `ValueError` says what is wrong where, without the
        values.
        """
        try:
            return self._read(document)
        except pydantic.ValidationError as error:
            raise ValueError(_faults(error)) from None

    def document_of(self, value: Any) -> Any:
        """The document of a value, to detect later changes, or a copy if it has none."""
        try:
            return self.encode(value)
        except TypeMismatch:
            return copy.deepcopy(value)

    def is_of(self, document: Any, value: Any) -> bool:
        """Whether storing a value would leave the document unchanged."""
        if document is None or value is None:
            return document is value
        try:
            now = self.encode(value)
        except TypeMismatch:
            # It was read, or copied, and cannot be written as it is.
            now = value
        if is_same(now, document):
            return True
        with suppress(ValueError, TypeMismatch):
            read = self.decode(document)
            # The stored document may lack a field that has a default.
            return is_same(now, read if now is value else self.encode(read))
        return False

    def encode(self, value: Any) -> Any:
        """Convert a value to a document; raises an error if it could not be read back.

        A value of the right class has been validated, and is not validated again.
        """
        if value is None:
            return None
        try:
            try:
                document = self._natural(value)
            except _RAISED:
                if not self._prints:
                    raise
                document = self._printed(value)
        except pydantic.ValidationError as error:
            raise TypeMismatch(
                f"`{self._where}` takes a document that has its shape: {_faults(error)}"
            ) from None
        except UnicodeDecodeError:
            raise TypeMismatch(
                f"`{self._where}` takes bytes of UTF-8 inside a document: for others, give its "
                'model `ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")`'
            ) from None
        except (PydanticSerializationError, ValueError) as error:
            raise TypeMismatch(
                f"`{self._where}` takes what JSON can hold, not what raises "
                f"`{type(error).__name__}`"
            ) from None
        return document

    def taken(self, value: Any) -> Any:
        """Validate a value and convert it to a document; raises Pydantic's `ValidationError`."""
        return self.encode(self._adapter.validate_python(value, by_name=True, by_alias=False))

    def _natural(self, value: Any) -> Any:
        """The document according to the types of a value."""
        try:
            document = self._dump(value, warnings="error")
            if self._has_dicts or self._prints:
                self._read(document)
        except PydanticSerializationError:
            # A part does not have its declared type, but may still be valid, like a dict for a
            # model.
            read = self._read(self._dump(value, warnings="none"))
            document = self._dump(read, warnings="none")
        return document

    def _printed(self, value: Any) -> Any:
        """The document from the application's serializers, for values that have no other form, or
        can be read only from this one.
        """
        document = self._dump_as_printed(value, warnings="none")
        read = self._read(document)
        with suppress(PydanticSerializationError):
            if self._dump(read, warnings="none") != self._dump(value, warnings="none"):
                raise TypeMismatch(
                    f"`{self._where}`: a serializer of its type writes a form that is read as "
                    "another value, and the type's own form is not read: let a validator accept it"
                )
        return document

    def _by_name(self, document: Any) -> Any:
        try:
            return self._validate(document)
        except pydantic.ValidationError:
            return self._validate(document, by_alias=True)


def part_of(value: Any) -> Any:
    """The stored form of a part of a document, which may lack the rest of the structure."""
    if isinstance(value, Mapping):
        return {_key_of(key): part_of(it) for key, it in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [part_of(it) for it in value]
    if value is None or type(value) in _PLAIN:
        return value
    kind: Any = type(value)
    try:
        return _structure_of(kind).encode(value)
    except (pydantic.PydanticUserError, SchemaError, TypeMismatch):
        # The native module reports the value that JSON has no type for.
        return value


def _key_of(key: Any) -> Any:
    with suppress(PydanticSerializationError):
        return next(iter(to_jsonable_python({key: None})))
    return key


@lru_cache
def _structure_of(kind: Hashable) -> Structure:
    return Structure("", kind)


def nodes_of(schema: Any) -> Iterator[Mapping[str, Any]]:
    """All parts of a Pydantic schema, except those that another serializer replaces."""
    parts = [schema]
    while parts:
        part = parts.pop()
        if isinstance(part, Mapping):
            yield part
            if _function_of(part) is None or _is_for_print(part):
                parts.extend(it for name, it in part.items() if name not in _NO_SCHEMA)
        elif isinstance(part, (list, tuple)):
            parts.extend(part)


def _function_of(node: Mapping[str, Any]) -> Any:
    """The function that serializes a part instead of its type's own serializer."""
    serialization = node.get("serialization")
    if isinstance(serialization, Mapping) and serialization.get("type") == "function-plain":
        return serialization["function"]
    return None


def _is_for_print(node: Mapping[str, Any]) -> bool:
    """Whether a type with its own serialization has another serializer, from the application.

    A class's own serializer does not count as another one.
    """
    serialization = node.get("serialization")
    if not isinstance(serialization, Mapping) or "function" not in serialization:
        return False
    if serialization.get("is_field_serializer"):
        while node.get("type") in _AROUND:
            node = node["schema"]
    return node.get("type") in _NATIVE and not is_own(serialization["function"])


def _is_lost_as_value(node: Mapping[str, Any]) -> bool:
    """Whether members of an enum cannot be found by the JSON form of their values."""
    if node.get("type") != "enum" or _function_of(node) is not None:
        return False
    return not all(isinstance(it.value, (str, int, float)) for it in node["members"])


def _is_masked(node: Mapping[str, Any]) -> bool:
    return masks(_function_of(node))


def _is_lost_as_text(key: Mapping[str, Any]) -> bool:
    """Whether the keys of a dict cannot be restored from their JSON texts."""
    kind = key.get("type")
    if _function_of(key) is not None:
        return False
    if kind == "union":
        choices = [it[0] if isinstance(it, tuple) else it for it in key["choices"]]
        # A number would be read back as text.
        return any(it.get("type") == "str" or _is_lost_as_text(it) for it in choices)
    if kind == "literal":
        return not all(isinstance(it, (str, enum.Enum)) for it in key["expected"])
    if kind == "enum":
        values = [it.value for it in key["members"]]
        return "sub_type" not in key and not all(isinstance(it, str) for it in values)
    return kind in _NO_TEXTS


def keys_message(where: str) -> str:
    """The message that a document has dicts whose keys could not be read back."""
    return (
        f"field `{where}`: the keys of a dict are texts in JSON, and these could not be read from "
        "a text: make it a `dict[str, …]`, or a list of pairs, `list[tuple[…, …]]`"
    )


def _is_ambiguous(node: Mapping[str, Any]) -> bool:
    """Whether a field has an alias that is the name of another field."""
    found = node.get("fields")
    if isinstance(found, Mapping):
        fields = dict(found)
    elif isinstance(found, list):
        fields = {it["name"]: it for it in found if isinstance(it, Mapping)}
    else:
        return False
    return any(
        first in fields and first != name
        for name, field in fields.items()
        for first in _first_steps(field.get("validation_alias"))
    )


def _first_steps(alias: Any) -> list[Any]:
    """The keys at which a field may be found: an alias is a key, a path, or a list of paths."""
    if not isinstance(alias, list):
        return [alias]
    return [it[0] if isinstance(it, list) else it for it in alias]


def _dumping(serializer: Any) -> Any:
    return partial(serializer.to_python, mode="json", by_alias=False, round_trip=True)


def _serializer_of_all(schema: Any) -> SchemaSerializer:
    """A serializer that includes all fields, and ignores custom serialization."""
    return serializer_of(_as_stored(schema))


def _as_stored(part: Any) -> Any:
    if isinstance(part, Mapping):
        left_out = _EXCLUDES | {"serialization"} if _is_for_print(part) else _EXCLUDES
        return {name: _as_stored(it) for name, it in part.items() if name not in left_out}
    if isinstance(part, (list, tuple)):
        return type(part)(map(_as_stored, part))
    return part


def _faults(error: pydantic.ValidationError) -> str:
    """The faults and their locations, without the values."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"`{'.'.join(map(str, it['loc']))}`: {it['msg']}" if it["loc"] else it["msg"]
        for it in faults[:3]
    )
