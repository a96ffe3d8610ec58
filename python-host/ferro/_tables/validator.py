"""Validators of single fields, as Pydantic applies them when it creates an instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pydantic
from pydantic_core import SchemaValidator

from .structure import nodes_of


def validator_of(model: type[pydantic.BaseModel], name: str) -> Callable[[Any], Any]:
    """Returns a function that validates a value for a field, and raises a `ValidationError`.

    It uses the model's config and the field's validators, which see no other field. Model
    validators need whole instances, and do not run.
    """
    schema: Any = pydantic.TypeAdapter(model).core_schema
    parts = list(nodes_of(schema))
    own = next(it for it in parts if it.get("type") == "model" and it["cls"] is model)
    fields = next(it for it in nodes_of(own["schema"]) if it.get("type") == "model-fields")
    chosen: Any = {
        "type": "model-fields",
        "model_name": model.__name__,
        "fields": {name: fields["fields"][name]},
    }
    definitions = [it for part in parts for it in part.get("definitions", ())]
    if definitions:
        chosen = {"type": "definitions", "schema": chosen, "definitions": definitions}
    config: Any = {**own.get("config", {}), "title": model.__name__}
    validator = SchemaValidator(chosen, config)

    def validate(value: Any) -> Any:
        values, _, _ = validator.validate_python({name: value}, by_name=True, by_alias=False)
        return values[name]

    return validate
