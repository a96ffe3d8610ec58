"""Options of relations, and the field that holds a relation's key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pydantic
from pydantic import ValidationInfo
from pydantic_core import core_schema, to_json

if TYPE_CHECKING:
    from .._models.model import Model


@dataclass(frozen=True, eq=False)
class RelationOptions:
    """A relation as declared by a class; its target may be defined later."""

    kind: Literal["foreign-key", "back-reference", "many-to-many"]
    related_name: str | None = None
    on_delete: str = "cascade"
    on_update: str = "cascade"
    unique: bool = False
    index: bool = False
    primary_key: bool = False
    default: Any = ...
    """The key of a row that is created without one; `...` if it is required."""
    through: type[Model] | str | None = None
    name: str = ""
    target: Any = None
    """A model, or the name of one."""
    nullable: bool = False
    many: bool = False
    renamed_from: str | None = None
    """The former name of the relation."""
    db_column: str | None = None

    @property
    def column(self) -> str:
        """The field that holds the key of the target: `author_id` for `author`."""
        return f"{self.name}_id"

    @property
    def sets_default(self) -> bool:
        """Whether the database may need to set the default."""
        return "set-default" in (self.on_delete, self.on_update)

    def holds(self, field: str) -> bool:
        """Whether this field holds the key of the target."""
        return self.kind == "foreign-key" and self.column == field


class KeyOf:
    """The type of the field that holds another model's key, before that model is defined."""

    def __init__(self, declared: RelationOptions) -> None:
        self.declared = declared
        self._adapter: Any = None
        self.annotation: Any = None
        """The type of the key; known when all models are defined."""

    def validate(self, value: Any, info: ValidationInfo) -> Any:
        """Validate a key as the other model does; None is allowed if the relation may be null."""
        strict = bool((info.config or {}).get("strict"))
        if strict and info.mode == "json":
            return self._type().validate_json(to_json(value), strict=True)
        return self._type().validate_python(value, strict=strict or None)

    def _type(self) -> Any:
        if self._adapter is None:
            from .registry import registry

            registry.link()
            kind = self.annotation
            self._adapter = pydantic.TypeAdapter(kind | None if self.declared.nullable else kind)
        return self._adapter

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.with_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return handler(self._type().core_schema)
