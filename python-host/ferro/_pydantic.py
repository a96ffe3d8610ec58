"""All uses of Pydantic's undocumented interfaces.

If a version changes them, `tests/test_pydantic_interfaces.py` shows what breaks. The hooks that
Pydantic calls (`__pydantic_init_subclass__`, `__get_pydantic_core_schema__`) and the schemas that
`pydantic_core.core_schema` describes are public. The native module uses the slots of an instance,
too: `src/loader.rs`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pydantic
from pydantic._internal._model_construction import build_lenient_weakvaluedict
from pydantic._internal._typing_extra import parent_frame_namespace
from pydantic_core import SchemaSerializer

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as ModelMetaclass
else:
    # The metaclass makes fields expressions. Only type checkers need its base by name.
    ModelMetaclass = type(pydantic.BaseModel)


def look_around(namespace: dict[str, Any], options: dict[str, Any]) -> None:
    """Make Pydantic look up names in annotations where the class is defined: at the caller of the
    `__new__` that calls this.

    Pydantic looks one call away from its own metaclass, which is inside ours.
    """
    around = parent_frame_namespace(parent_depth=3)
    namespace["__pydantic_parent_namespace__"] = build_lenient_weakvaluedict(around)
    options["__pydantic_reset_parent_namespace__"] = False


def set_by(
    model: type[pydantic.BaseModel], name: str, handler: Callable[[Any, str, Any], None]
) -> None:
    """Make a function set an attribute of instances.

    Pydantic supports no descriptors except `property`. A custom `__setattr__` would slow down every
    assignment.
    """
    model.__pydantic_setattr_handlers__[name] = handler


def writes_itself(model: type[pydantic.BaseModel], field: str) -> bool:
    """Whether a custom serializer of the model writes a field, with an unknown result.

    Schemas contain these functions, too, but not the fields that they apply to.
    """
    serializers = model.__pydantic_decorators__
    written = [name for it in serializers.field_serializers.values() for name in it.info.fields]
    return bool(serializers.model_serializers) or field in written or "*" in written


def serializer_of(schema: Any) -> SchemaSerializer:
    """A serializer for a schema alone.

    By default, Pydantic uses the serializers of the classes in the schema, which are for output and
    may omit fields.
    """
    make: Any = SchemaSerializer
    try:
        return make(schema, None, _use_prebuilt=False)  # type: ignore[no-any-return]
    except TypeError:
        # Before 2.13.
        return SchemaSerializer(_hiding_classes(schema))


def _hiding_classes(part: Any) -> Any:
    """A schema without the classes by which Pydantic would find their serializers."""
    if isinstance(part, dict):
        hidden = {name: _hiding_classes(it) for name, it in part.items()}
        if hidden.get("type") not in ("model", "dataclass", "typed-dict"):
            return hidden
        if "serialization" in hidden:
            return hidden
        reference = {"ref": hidden.pop("ref")} if "ref" in hidden else {}
        return {"type": "any", "serialization": hidden, **reference}
    if isinstance(part, (list, tuple)):
        return type(part)(map(_hiding_classes, part))
    return part


def masks(function: Any) -> bool:
    """Whether a function of a schema masks its value, as for a `SecretStr`.

    A schema does not name the classes of secrets, but they share this function.
    """
    return (
        getattr(function, "__module__", None) == "pydantic.types"
        and "_serialize_secret" in function.__name__
    )


def is_own(function: Any) -> bool:
    """Whether a function is Pydantic's own, which writes Pydantic types as they are stored."""
    return (getattr(function, "__module__", None) or "").startswith("pydantic.")
