"""New rows: instances created from values, and inserted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pydantic
from pydantic_core import PydanticCustomError

from .._connections.transaction import Using
from .._tables.table import Table, table_of
from .forced import completed
from .write import insert

if TYPE_CHECKING:
    from .._models.model import Model

M = TypeVar("M", bound="Model")


async def create(model: type[M], values: dict[str, Any], using: Using) -> M:
    """Insert a row of these values; return it with the values that the database generates."""
    table = table_of(model)
    row = made(model, completed(table, values, using))
    await insert(table, row, using)
    return row


def made(model: type[M], values: dict[str, Any]) -> M:
    """Create an instance from values by the names of fields, as in queries, or by aliases."""
    aliases = table_of(model).aliases
    if aliases:
        # With a validator around the model, Pydantic before 2.14 ignores `by_name`. An alias that
        # is the name of another field would set both.
        taken = values.keys() | model.model_fields.keys()
        values = {
            name if aliases.get(name) in taken else aliases.get(name, name): value
            for name, value in values.items()
        }
    try:
        return model.model_validate(values, by_name=True)
    except pydantic.ValidationError as error:
        raise _with_nearest(model, error) from None


def check_names(model: type[M], values: dict[str, Any], others: dict[str, Any]) -> None:
    """Refuse values, of a row that need not be made, for fields that there are not; a model may
    take such ones. The row would be made of others, too.
    """
    table = table_of(model)
    if by_name(table, values).keys() - table.columns.keys() - table.relations.keys():
        made(model, {**others, **values})


def _with_nearest(
    model: type[pydantic.BaseModel], error: pydantic.ValidationError
) -> pydantic.ValidationError:
    """The same error, with the field that each unknown name may mean."""
    table = table_of(model)  # type: ignore[arg-type]
    found = error.errors(include_url=False)
    unknown = [it for it in found if it["type"] == "extra_forbidden" and len(it["loc"]) == 1]
    for it in unknown:
        it["msg"] = table.unknown(str(it["loc"][0]))
    if not unknown:
        return error
    told: Any = PydanticCustomError
    return pydantic.ValidationError.from_exception_data(
        error.title,
        [
            {
                "type": told(it["type"], it["msg"], it.get("ctx")),
                "loc": it["loc"],
                "input": it["input"],
            }
            for it in found
        ],
        hide_input=model.model_config.get("hide_input_in_errors", False),
    )


def by_name(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """Values by the names of fields; aliases are resolved."""
    names = {it: name for name, it in table.aliases.items() if it not in table.columns}
    return {names.get(name, name): value for name, value in values.items()}
