"""Instances of the rows of SQL text, whose columns are those of the model."""

from __future__ import annotations

import datetime
import re
import typing
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from .._connections.sql import sql_session
from .._connections.transaction import Using
from .._message import nearest, quoted
from .._pydantic import instance_of
from .._tables.table import Table
from ..exceptions import DecodeError, InvalidQuery
from .identity import merge

if TYPE_CHECKING:
    from .._tables.column import Column

Converters = dict[type, Callable[[Any], Any]]


async def rows_of_sql(
    table: Table, sql: str, arguments: tuple[Any, ...], using: Using
) -> list[Any]:
    """The rows of a statement, as instances."""
    label, runner = sql_session(sql, arguments, using)
    found = await runner.fetch_raw(sql, arguments, False)
    if not found:
        return []
    columns = {it.db_column or name: it for name, it in table.columns.items()}
    _check(table, columns, found[0])
    rows = [_instance(table, columns, it) for it in found]
    table.loader.store(rows, table.loader.know(rows, label))
    return merge(label, table, rows)


def _check(table: Table, columns: dict[str, Column], row: dict[str, Any]) -> None:
    """Refuse what has not the columns of a table."""
    missing = [name for name in columns if name not in row]
    if missing:
        raise InvalidQuery(
            f"`{table.label}.from_sql`: the statement gives no {quoted(missing)}: rows have all "
            "columns of the model, as those of `select *` and of `returning *`"
        )
    unknown = next((name for name in row if name not in columns), None)
    if unknown is not None:
        raise InvalidQuery(
            f"`{table.label}.from_sql`: the model has no column `{unknown}`: leave it out, or "
            f"{nearest(unknown, columns)}"
        )


def _instance(table: Table, columns: dict[str, Column], row: dict[str, Any]) -> Any:
    """As the native module makes one: what is stored is not validated again."""
    values = {it.name: _value(name, it, row[name]) for name, it in columns.items()}
    made = instance_of(table.model, values)
    if table.post_init is not None:
        table.post_init(made, None)
    return made


def _value(name: str, column: Column, given: Any) -> Any:
    """The value of a field, of what the statement gives for it."""
    if given is None:
        if not column.nullable:
            raise _wrong(name, column, "a null")
        return None
    try:
        stored = _stored(column, given)
    except (ValueError, ArithmeticError, TypeError, KeyError):
        raise _wrong(name, column, f"a `{type(given).__name__}`") from None
    return stored if column.read is None else column.read(stored)


def _stored(column: Column, given: Any) -> Any:
    """What is stored, as the native module has it.

    What SQLite computes has none but its own five types, and arrays are JSON text there.
    """
    if column.many:
        if isinstance(given, str):
            given = from_json(given)
            if column.kind == "blob":
                given = [bytes.fromhex(it) for it in given]
        return [None if it is None else _scalar(column.kind, it) for it in given]
    if column.kind != "json":
        return _scalar(column.kind, given)
    # The text of a document cannot be told from a document that is a text.
    plain = typing.get_origin(column.annotation) or column.annotation
    if isinstance(given, str) and plain in (dict, list):
        raise TypeError
    return given


def _scalar(kind: str, given: Any) -> Any:
    plain, others = _KINDS[kind]
    value: Any = given if type(given) is plain else others[type(given)](given)
    if plain is not datetime.datetime:
        return value
    if (value.tzinfo is None) != (kind == "timestamp"):
        raise ValueError
    return value if value.tzinfo is None else value.astimezone(datetime.timezone.utc)


def _wrong(name: str, column: Column, given: str) -> DecodeError:
    error = DecodeError(
        f"the statement gives {given} for `{column.where}`, which cannot hold it: select the "
        f"column as it is stored, or `cast` what is computed to its type"
    )
    error.column = name
    return error


def _truth(number: int) -> bool:
    return {0: False, 1: True}[number]


def _whole(number: Decimal) -> int:
    if number != int(number):
        raise ValueError
    return int(number)


def _interval(text: str) -> datetime.timedelta:
    """As the driver reads it, each part with a sign of its own; months are no timedelta."""
    found = _INTERVAL.fullmatch(text)
    if found is None or not any(found.groups()):
        raise ValueError
    months, weeks, days, hours, minutes, seconds = [Decimal(it or 0) for it in found.groups()]
    if months:
        raise ValueError
    return datetime.timedelta(
        weeks=int(weeks),
        days=int(days),
        hours=int(hours),
        minutes=int(minutes),
        microseconds=int(seconds * 1_000_000),
    )


_INTERVAL = re.compile(
    r"P(?:(-?\d+)M)?(?:(-?\d+)W)?(?:(-?\d+)D)?"
    r"(?:T(?=.)(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d+(?:\.\d{1,6})?)S)?)?",
    re.ASCII,
)

_KINDS: dict[str, tuple[type, Converters]] = {
    "boolean": (bool, {int: _truth}),
    "integer": (int, {Decimal: _whole}),
    "float": (float, {int: float, Decimal: float, str: float}),
    "decimal": (Decimal, {int: Decimal, float: lambda it: Decimal(repr(it)), str: Decimal}),
    "text": (str, {}),
    "blob": (bytes, {}),
    "uuid": (uuid.UUID, {bytes: lambda it: uuid.UUID(bytes=it), str: uuid.UUID}),
    "date": (datetime.date, {str: datetime.date.fromisoformat}),
    "time": (datetime.time, {str: datetime.time.fromisoformat}),
    "timestamp": (datetime.datetime, {str: datetime.datetime.fromisoformat}),
    "timestamptz": (datetime.datetime, {str: datetime.datetime.fromisoformat}),
    "interval": (datetime.timedelta, {str: _interval}),
}
"""What values of each kind are in Python, and what else may stand for one where SQL computes it."""
