"""Parts of documents, according to the type of their field."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import pydantic
from pydantic.fields import FieldInfo
from typing_extensions import NotRequired, ReadOnly, Required, get_type_hints, is_typeddict

from .._message import nearest
from .._pydantic import writes_itself
from ..exceptions import TypeMismatch, UnknownField, ValueOutOfRange
from .column_type import has_shape, without_metadata, without_none
from .structure import Structure, part_of

_DEEPEST = 200
"""The native module writes and reads no deeper documents."""
_NAMES = {"text": "str", "integer": "int", "float": "float", "boolean": "bool", "json": "document"}
"""What is computed, as Python calls it: all kinds that a document may have a part of."""
_JSON_TYPES = {
    "text": {"string"},
    "integer": {"integer", "number"},
    "float": {"number"},
    "boolean": {"boolean"},
    "json": set[str](),
}
_NARROWER = frozenset({"const", "enum", "format"})
"""What JSON Schema says of types of which not every text or number is a value, as of a date."""
_BESIDE: tuple[Any, ...] = (NotRequired, ReadOnly, Required)
"""The qualifiers of keys in a `TypedDict`."""
_OF_VALUES = ("ser_json_bytes", "ser_json_timedelta", "use_enum_values", "val_json_bytes")
"""The config options of a model that affect the values of fields."""


def stored_part(where: str, annotation: Any, steps: tuple[str, ...], value: Any) -> Any:
    """The stored form of a value at a path in a document, according to the field there."""
    if len(steps) + _levels(value) > _DEEPEST:
        raise ValueOutOfRange(f"`{where}` is in a JSON document of at most {_DEEPEST} levels")
    part = _part_at(where, annotation, steps)
    if part is None or part.annotation in (Any, object):
        return part_of(value)
    if part.config and has_shape(without_none(part.annotation)[0]):
        # Pydantic rejects a config for a structured type, but passes on that of a list.
        held: Any = list[part.annotation]  # type: ignore[name-defined]
        return Structure(where, held, part.config).taken([value])[0]
    return Structure(where, part.annotation, part.config).taken(value)


def check_computed(
    where: str, annotation: Any, steps: tuple[str, ...], kind: str, own: Any, null: bool
) -> None:
    """Refuse to set a part to a computed value that it may not be read with: one of another kind,
    or one that may be null. `own` is the type of the value in Python, where that is known.
    """
    part = _part_at(where, annotation, steps)
    if part is None or part.annotation in (Any, object):
        return
    wanted, _ = without_none(part.annotation)
    if own is not None and own == wanted and not null:
        return
    found = _NAMES.get(kind)
    types = _known_json_types(part.annotation)
    if found is None or types is None:
        return
    if wanted is Decimal:
        # Not each text is a decimal.
        types = types - {"string"}
    shown = wanted.__name__ if isinstance(wanted, type) and not typing.get_args(wanted) else wanted
    if own != wanted and not types & _JSON_TYPES[kind]:
        hint = "set its type with `as_type`" if kind == "json" else "use `cast`, or a plain value"
        raise TypeMismatch(f"`{where}` takes a `{shown}`, not a computed `{found}`: {hint}")
    if null and "null" not in types:
        raise TypeMismatch(
            f"`{where}` takes a `{shown}`, and the computed `{found}` may be null: use `coalesce`"
        )


def type_of_part(where: str, annotation: Any, steps: tuple[str, ...]) -> tuple[Any, bool]:
    """The type of a part, None where it is not known, and whether it may be missing or null."""
    inner: Any = annotation
    missing = False
    for count in range(1, len(steps) + 1):
        part = _part_at(where, annotation, steps[:count])
        if part is None:
            return None, True
        inner, nullable = without_none(part.annotation)
        missing = missing or nullable or not part.required
    return inner, missing


def check_removable(where: str, annotation: Any, steps: tuple[str, ...]) -> None:
    """Reject removing a part that the document needs to be readable."""
    part = _part_at(where, annotation, steps)
    if part is not None and part.required:
        raise TypeMismatch(f"`{where}` is required: a document without it could not be read")


@dataclasses.dataclass
class _Part:
    annotation: Any
    config: Any = None
    required: bool = False


def _part_at(where: str, annotation: Any, steps: tuple[str, ...]) -> _Part | None:
    """The part at the end of a path; None if its type does not determine how it is stored."""
    part: _Part | None = _Part(annotation)
    for step in steps:
        if part is None:
            return None
        kind, _ = without_none(part.annotation)
        part = _step(where, without_metadata(kind), step, part.config)
    return part


def _known_json_types(annotation: Any) -> set[str] | None:
    try:
        return _cached_json_types(annotation)
    except TypeError:
        # It cannot be hashed.
        return _json_types(annotation)


def _json_types(annotation: Any) -> set[str] | None:
    """The types of JSON of which a value may be any; None where that is not known."""
    try:
        schema = pydantic.TypeAdapter(annotation).json_schema()
    except pydantic.PydanticUserError:
        return None
    known = schema.get("$defs", {})
    found: set[str] = set()
    seen: list[Any] = []
    parts: list[Any] = [schema]
    while parts:
        part = parts.pop()
        if any(part is it for it in seen):
            continue
        seen.append(part)
        inner = part.get("anyOf") or part.get("oneOf") or part.get("allOf") or []
        if "$ref" in part:
            inner = [known[part["$ref"].rpartition("/")[2]]]
        if not inner and not part.keys() & {"type", "enum", "const"}:
            return None
        parts += inner
        if "type" in part and not part.keys() & _NARROWER:
            found.add(part["type"])
    return found


_cached_json_types = functools.lru_cache(maxsize=1_000)(_json_types)


def _step(where: str, kind: Any, step: str, config: Any) -> _Part | None:
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return _of_model(where, kind, step)
    if dataclasses.is_dataclass(kind) or is_typeddict(kind):
        return _of_fields(where, kind, step, config)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if not isinstance(origin, type) or not issubclass(origin, Collection):
        return None
    if issubclass(origin, Mapping):
        return _Part(arguments[1], config) if len(arguments) == 2 else None
    return _Part(arguments[0], config) if arguments[1:] in ((), (...,)) else None


def _of_model(where: str, model: type[pydantic.BaseModel], step: str) -> _Part | None:
    if issubclass(model, pydantic.RootModel):
        kind, _ = without_none(model.model_fields["root"].annotation)
        return _step(where, without_metadata(kind), step, _value_config(model.model_config))
    field = model.model_fields.get(step)
    if field is None:
        if model.model_config.get("extra") == "allow":
            return None
        raise _unknown(where, step, model.model_fields)
    if writes_itself(model, step):
        return None
    return _Part(_annotated(field), _value_config(model.model_config), field.is_required())


def _value_config(config: Mapping[str, Any]) -> dict[str, Any] | None:
    return {name: it for name, it in config.items() if name in _OF_VALUES} or None


def _of_fields(where: str, kind: Any, step: str, config: Any) -> _Part | None:
    """The part of a dataclass or a `TypedDict`, with its own config or that of its container."""
    own = getattr(kind, "__pydantic_config__", None)
    try:
        hints = get_type_hints(kind, include_extras=True)
    except NameError:
        # It refers to types that only Pydantic has resolved.
        return None
    if is_typeddict(kind):
        required = kind.__required_keys__
    else:
        made = [it for it in dataclasses.fields(kind) if it.init]
        hints = {it.name: hints[it.name] for it in made}
        nothing = dataclasses.MISSING
        required = {it.name for it in made if it.default is it.default_factory is nothing}
    if step not in hints:
        if own is not None and own.get("extra") == "allow":
            return None
        raise _unknown(where, step, hints)
    annotation = hints[step]
    while typing.get_origin(annotation) in _BESIDE:
        (annotation,) = typing.get_args(annotation)
    return _Part(annotation, config if own is None else _value_config(own), step in required)


def _annotated(field: FieldInfo) -> Any:
    annotation: Any = field.annotation
    for said in field.metadata:
        annotation = typing.Annotated[annotation, said]
    return annotation


def _unknown(where: str, step: str, known: Mapping[str, Any]) -> UnknownField:
    return UnknownField(f"`{where}`: its type has no `{step}`: {nearest(step, known)}")


def _levels(value: Any) -> int:
    """The nesting depth of dicts and lists; a cyclic value exceeds every limit."""
    levels, inside = 0, [value]
    while levels <= _DEEPEST:
        # Each once: a value that contains itself twice would double on each level.
        held = [it for it in inside if isinstance(it, (Mapping, list, tuple, set, frozenset))]
        found = {id(it): it for it in held}
        if not found:
            break
        levels += 1
        parts = (it.values() if isinstance(it, Mapping) else it for it in found.values())
        inside = [part for it in parts for part in it]
    return levels
