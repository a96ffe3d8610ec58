"""How a class becomes a model: its relations are extracted, and its fields become expressions."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
from pydantic_core import PydanticCustomError
from typing_extensions import dataclass_transform

from .._expressions.path import field_of
from .._other_orms import NAMES, WORDS
from .._pydantic import ModelMetaclass, look_around
from .._queries.select import Select
from .._relations.access import split_relations
from .._relations.loaded import NoRow, Unloaded, remember
from .._relations.relation import (
    KEY,
    BackRef,
    ForeignKey,
    ManyToMany,
    RelationAttribute,
    take_relations,
)
from .._tables.field import Field
from .._tables.relation_options import KeyOf, RelationOptions
from .._tables.table import Table
from ..exceptions import SchemaError, UnknownField

if TYPE_CHECKING:
    from .model import Model


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
    """Extracts the relations of a class, and makes its fields expressions: `User.age`."""

    def __new__(
        mcs, name: str, bases: tuple[type[Any], ...], namespace: dict[str, Any], **options: Any
    ) -> Any:
        for word, options_here in NAMES.items():
            if word in namespace:
                raise SchemaError(
                    f"model `{name}`: `{word}` has no effect here: write `class "
                    f"{name}(ferro.Model, {options_here})`"
                )
        all_declared = take_relations(namespace, 1)
        for declared in all_declared.values():
            if declared.kind == "foreign-key":
                _add_key_field(declared, namespace)
        inherited: dict[str, RelationOptions] = {}
        for base in reversed(bases):
            inherited.update(getattr(base, "__ferro_relation_options__", {}))
        namespace["__ferro_relation_options__"] = {**inherited, **all_declared}
        if all_declared:
            namespace["__ferro_relations__"] = _relations_taken
        look_around(namespace, options)
        return super().__new__(mcs, name, bases, namespace, **options)

    def __getattr__(cls, name: str) -> Any:
        # Pydantic looks up names of its own on every class, before there is a table.
        table = None if name.startswith("_") else cls.__dict__.get("__ferro_table__")
        if table is None:
            return super().__getattr__(name)  # type: ignore[misc]
        is_known = name in table.columns or name in table.relations
        if not is_known and (hasattr(Select, name) or name in WORDS):
            way = f"{name}(…)" if hasattr(Select, name) else WORDS[name]
            way = way if way.startswith("where(") else f"select().{way}"
            raise UnknownField(
                f"model `{cls.__name__}` has no `{name}`: use a query, `{cls.__name__}.{way}`"
            )
        return field_of(table, name)

    def _ferro_relate(cls, name: str) -> None:
        """Add the attribute of a relation that another class declares."""
        RelationAttribute.put(cls, name)

    def _ferro_model(cls, name: str, body: dict[str, Any], **options: Any) -> Any:
        """Define a model for rows without a declared one: the pairs of a relation."""
        from .model import Model

        make: Any = type(cls)
        return make(name, (Model,), body, **options)


def _add_key_field(declared: RelationOptions, namespace: dict[str, Any]) -> None:
    """Add the field for the key of the other end, unless the class has a field of that name."""
    is_declared = namespace["__annotations__"][declared.column] is not KEY
    if declared.default is None and not declared.nullable:
        # For type checkers, which accept either of the two.
        if is_declared:
            return
        raise SchemaError(
            f"relation `{declared.name}`: its default is None, which it does not allow: annotate "
            "it as `Relation[… | None]`, or leave the default out"
        )
    default = None if declared.default is ... and declared.nullable else declared.default
    if is_declared:
        if declared.default is not ...:
            namespace.setdefault(declared.column, pydantic.Field(default=default))
        return
    key: Any = KeyOf(declared)
    namespace["__annotations__"][declared.column] = _key_annotation(declared, key)
    namespace[declared.column] = pydantic.Field(default=default)


def _key_annotation(declared: RelationOptions, key: KeyOf) -> Any:
    table = getattr(declared.target, "__dict__", {}).get("__ferro_table__")
    # A key that is itself a relation may belong to a model that is not defined yet.
    if isinstance(table, Table) and not any(
        it.primary_key for it in table.relation_options.values()
    ):
        kind = table.only_key().annotation
        return Annotated[kind | None if declared.nullable else kind, key]
    return Annotated[Any, key]


def _take_relations(cls: Any, data: Any, handler: Any) -> Any:
    """Take rows passed for relations: store their keys, and keep them with the instance."""
    if not isinstance(data, dict):
        return handler(data)
    given = [declared for name, declared in cls.__ferro_relation_options__.items() if name in data]
    for declared in given:
        alias = cls.__ferro_table__.aliases.get(declared.column)
        if alias in data:
            data = {**data, declared.column: data[alias]}
        _check_given(cls, declared, data)
    data, rows = split_relations(cls, data)
    for declared in given:
        alias = cls.__ferro_table__.aliases.get(declared.column)
        if alias is not None:
            data[alias] = data.pop(declared.column)
    made = handler(data)
    for name, row in rows.items():
        remember(made, cls.__ferro_table__.relation(name), row)
    return made


def _check_given(cls: Any, declared: RelationOptions, data: dict[str, Any]) -> None:
    """Reject a value that is not a row, with a validation error, as it may come from a request."""
    from .model import Model

    name, given = declared.name, data[declared.name]
    parts = given if isinstance(given, (list, tuple)) else [given]
    if declared.kind == "foreign-key" and given is None and data.get(declared.column) is not None:
        reason = f"`{cls.__name__}.{name}` is None, and `{declared.column}` is a key: leave one out"
    elif declared.kind == "foreign-key":
        if given is None or isinstance(given, (Model, NoRow, Unloaded)):
            return
        reason = f"`{cls.__name__}.{name}` takes a row: pass its key to `{declared.column}`"
    else:
        if any(isinstance(it, Model) for it in parts):
            return
        reason = (
            f"`{cls.__name__}.{name}` cannot be set when the row is created: add to it after the "
            "row is saved"
        )
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


def check_names(model: type[Model], base: type[Model]) -> None:
    """Reject a field with the name of a model's method: `row.save` would be its value."""
    for name in model.model_fields:
        if name in vars(base):
            raise SchemaError(
                f"field `{model.__name__}.{name}`: models have a method of that name: rename the "
                f"field, and keep its column with `db_column={name!r}`"
            )


def share_names(model: type[Model]) -> None:
    """Let loaded instances share the names of their fields.

    CPython lets the instances of a class share names that are set one by one, and accepts fewer new
    names with each instance. Pydantic sets all at once, which shares none. After some of its
    instances, each loaded one would have a dict with its own names, which takes a third more
    memory, and longer.
    """
    first = object.__new__(model)
    for name in model.model_fields:
        # A deprecated field cannot be set in this way.
        with suppress(AttributeError):
            object.__setattr__(first, name, None)
