"""Tables: what the models of an application are to the database, and the list of all."""

from __future__ import annotations

import difflib
import json
import threading
from typing import TYPE_CHECKING, Any

from . import _native
from ._compiler import compiler
from ._field import Column, column_of
from ._shape import lower
from .exceptions import SchemaError, UnknownField

if TYPE_CHECKING:
    from ._model import Model

_MOST_QUERIES = 1_000
"""Shapes of queries kept for each table."""


class Table:
    """What a model is to the database.

    Queries are kept by their shape, so that a shape becomes an AST once.
    """

    def __init__(self, model: type[Model], name: str) -> None:
        self.model = model
        self.label = model.__name__
        self.name = name
        self.model_name = self.label
        self.columns = {
            field: column_of(self.label, field, info) for field, info in model.model_fields.items()
        }
        self.key = self._primary_key()
        self.loader = _native.Loader(
            model,
            list(self.columns.values()),
            model.model_post_init if model.__private_attributes__ else None,
        )
        self._queries: dict[Any, _native.Query] = {}

    def column(self, name: str) -> Column:
        """The column of a field; says which field is nearest, if there is none."""
        column = self.columns.get(name)
        if column is None:
            raise UnknownField(self._unknown(name))
        return column

    def query(self, shape: Any) -> _native.Query:
        """The query of a shape, if it was used before."""
        query = self._queries.get(shape)
        if query is None:
            query = _native.Query(*lower(self, shape))
            if len(self._queries) >= _MOST_QUERIES:
                self._queries.pop(next(iter(self._queries)))
            self._queries[shape] = query
        return query

    def to_json(self) -> dict[str, Any]:
        """The WIT's `model`, as JSON."""
        return {
            "name": self.model_name,
            "table": self.name,
            "fields": [column.to_json() for column in self.columns.values()],
            "primary-key": [self.key.name],
        }

    def _primary_key(self) -> Column:
        keys = [column for column in self.columns.values() if column.primary_key]
        if len(keys) == 1:
            return keys[0]
        if keys:
            names = ", ".join(f"`{key.name}`" for key in keys)
            raise SchemaError(f"model `{self.label}` has several primary keys: {names}")
        raise SchemaError(
            f"model `{self.label}` has no primary key: give one field "
            "`ferro.Field(primary_key=True)`, or the class `abstract=True`"
        )

    def _unknown(self, name: str) -> str:
        nearest = difflib.get_close_matches(name, self.columns, n=1)
        hint = f"did you mean `{nearest[0]}`?" if nearest else f"it has {_list(self.columns)}"
        return f"model `{self.label}` has no field `{name}`: {hint}"


class Registry:
    """All models of the application, and the catalog that the core component makes of them."""

    def __init__(self) -> None:
        self.version = 0
        self._tables: dict[str, Table] = {}
        self._lock = threading.Lock()
        self._models: tuple[int, _native.Models] | None = None

    def add(self, table: Table) -> None:
        """Take in a model. A class that is defined again replaces the former one."""
        with self._lock:
            known = self._tables.get(table.name)
            if known is not None and _path(known) != _path(table):
                raise SchemaError(
                    f"`{_path(known)}` and `{_path(table)}` have the same table, `{table.name}`: "
                    "give one of them another, as in `class Name(ferro.Model, table=...)`"
                )
            # In queries the second `User` of an application is `User_app_users`, after its table.
            others = {it.model_name for it in self._tables.values() if it.name != table.name}
            if table.model_name in others:
                table.model_name = f"{table.label}_{table.name}"
            self._tables[table.name] = table
            self.version += 1

    def models(self) -> _native.Models:
        """The checked models; checked again after one was added."""
        with self._lock:
            version, tables = self.version, list(self._tables.values())
            known = self._models
        if known is not None and known[0] == version:
            return known[1]
        models = _native.Models(json.dumps(self._schema(tables)), compiler)
        with self._lock:
            self._models = (version, models)
        return models

    def _schema(self, tables: list[Table]) -> dict[str, Any]:
        return {
            "models": [table.to_json() for table in tables],
            "enums": list(_enums(tables).values()),
        }


def _enums(tables: list[Table]) -> dict[str, dict[str, Any]]:
    enums: dict[str, dict[str, Any]] = {}
    for table in tables:
        for column in table.columns.values():
            if column.enum_class is None or column.kind != "text":
                continue
            name = column.column_type["enumeration"]
            values = [member.value for member in column.enum_class]
            known = enums.setdefault(name, {"name": name, "values": values})
            if known["values"] != values:
                raise SchemaError(f"two enums are named `{name}` and have different values")
    return enums


def _path(table: Table) -> str:
    return f"{table.model.__module__}.{table.model.__qualname__}"


def _list(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


registry = Registry()
"""The one of this process."""
