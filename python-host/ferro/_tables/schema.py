"""Tables as passed to the core component: the WIT's `schema`, as JSON."""

from __future__ import annotations

from typing import Any

from ..exceptions import SchemaError
from .column import Column
from .table import Table


def schema_of(tables: list[Table]) -> dict[str, Any]:
    """The models of some tables, and the enums of their columns."""
    return {"models": [_model(table) for table in tables], "enums": _enums(tables)}


def _model(table: Table) -> dict[str, Any]:
    """The WIT's `model`, as JSON."""
    relations = {relation.name: back for relation, back in table.own_relations()}
    foreign = [it for it in table.relation_options.values() if it.kind == "foreign-key"]
    pairs = [it for it in table.relation_options.values() if it.kind == "many-to-many"]
    return {
        "name": table.model_name,
        "table": table.name,
        "namespace": table.schema,
        "comment": table.comment,
        "renamed-from": table.renamed_from,
        "fields": [column.to_json() for column in table.columns.values()],
        "primary-key": [key.name for key in table.keys],
        "foreign-keys": [
            {
                "name": declared.name,
                "target": table.relations[declared.name].target.model_name,
                "fields": [[declared.column, table.relations[declared.name].target_fields[0]]],
                "reverse": relations[declared.name],
                "unique": table.is_unique(declared),
                "on-delete": declared.on_delete,
                "on-update": declared.on_update,
            }
            for declared in foreign
        ],
        "many-to-manys": [
            {
                "name": declared.name,
                "target": table.relations[declared.name].target.model_name,
                "through": table.through(
                    declared, table.relations[declared.name].target
                ).table.model_name,
                "reverse": relations[declared.name],
            }
            for declared in pairs
        ],
        "indexes": table.rules.indexes,
        "checks": table.rules.checks,
    }


def _enums(tables: list[Table]) -> list[dict[str, Any]]:
    """The enums of all tables. Two enums of one name would be the same database type."""
    found: dict[str | None, Column] = {}
    for column in (it for table in tables for it in table.enums):
        other = found.setdefault(column.enumeration, column)
        if other.values != column.values:
            raise SchemaError(
                f"`{other.where}` and `{column.where}` have enums of the name "
                f"`{column.enumeration}` with different values: rename one, or give its field "
                '`ferro.Field(db_type="text")`, for which the database needs no type'
            )
    return [{"name": name, "values": column.values} for name, column in found.items()]
