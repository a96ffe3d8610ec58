"""Check conditions: ordinary conditions on the fields of one row, converted to the WIT's form.

In the WIT, a condition is a list of groups of terms: it holds if all terms of any group hold. It is
data, never SQL text. The conversion preserves nulls: a check that is null passes.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from itertools import chain, product
from typing import TYPE_CHECKING, Any, NoReturn

from .._message import nearest
from .._tables.column import Column, plain_column
from .._tables.constant import constant
from ..exceptions import QueryError, SchemaError
from .expression import Expression, Shape
from .value import FieldExpression

if TYPE_CHECKING:
    from .._tables.table import Table

Term = dict[str, Any]
"""The WIT's `check-term`, as JSON."""
Groups = list[list[Term]]

_MOST_GROUPS = 256
_OPPOSITE = {
    "equal": "not-equal",
    "not-equal": "equal",
    "less": "greater-or-equal",
    "less-or-equal": "greater",
    "greater": "less-or-equal",
    "greater-or-equal": "less",
}
_TURNED = {
    "less": "greater",
    "less-or-equal": "greater-or-equal",
    "greater": "less",
    "greater-or-equal": "less-or-equal",
}
"""Comparisons with swapped sides; the others are symmetric."""
_KEY = "key"
"""The kind of another model's key, which is not known yet."""
_OF_KEYS = {int: "integer", str: "text", uuid.UUID: "uuid"}
"""The kinds of such keys, by the types of their values."""
_INCOMPARABLE = {"json", "interval"}
_OF_OTHER_ROWS = frozenset(
    {"aggregate", "array-agg", "exists", "in-select", "outer", "related"}
    | {"string-agg", "subquery", "window"}
)
_SPELT = {
    "add": "+",
    "array-contains": "contains",
    "array-overlaps": "overlaps",
    "concat": "+",
    "divide": "/",
    "ends-with": "endswith",
    "excluded": "ferro.excluded",
    "json": "[…]",
    "json-contains": "contains",
    "modulo": "%",
    "multiply": "*",
    "negate": "-",
    "parameter": "ferro.value",
    "starts-with": "startswith",
    "subtract": "-",
    "weekday": "isoweekday",
}
"""Names in the API that differ from those used here."""


def field_condition(table: Table, column: Column, function: Callable[[Any], Any]) -> Groups:
    """The condition that a function returns for one field."""
    field: FieldExpression[Any] = FieldExpression(table, column)
    what = f"field `{column.where}`: `db_check`"
    known = {column.name: column}
    return _Reader(table, what, "lambda age: age >= 18", known).condition(function, field)


def row_condition(
    table: Table,
    option: str,
    function: Callable[[Any], Any],
    columns: Mapping[str, Column | None],
    relations: Mapping[str, str],
) -> Groups:
    """The condition that a function returns for the fields of a row. The column of another model's
    key is None; a relation stands for the field that holds the key.
    """
    known = {
        name: column or plain_column(name, _KEY, f"{table.label}.{name}")
        for name, column in columns.items()
    }
    fields: dict[str, FieldExpression[Any]] = {
        name: FieldExpression(table, column) for name, column in known.items()
    }
    what = f"model `{table.label}`: `{option}`"
    fields |= {name: _Key(table, known[field], what, name) for name, field in relations.items()}
    reader = _Reader(table, what, "lambda it: it.low < it.high", known)
    return reader.condition(function, _Row(table.label, fields))


class _Row:
    """The fields of a row, before the target models of its relations are known."""

    __slots__ = ("_fields", "_label")

    def __init__(self, label: str, fields: Mapping[str, FieldExpression[Any]]) -> None:
        self._label = label
        self._fields = fields

    def __getattr__(self, name: str) -> FieldExpression[Any]:
        field = self._fields.get(name)
        if field is not None:
            return field
        if name.startswith("_"):
            raise AttributeError(name)
        raise SchemaError(
            f"model `{self._label}` has no field `{name}`: {nearest(name, self._fields)}"
        )


class _Key(FieldExpression[Any]):
    """The field that a relation stands for."""

    __slots__ = ("_relation", "_what")

    def __init__(self, table: Table, column: Column, what: str, relation: str) -> None:
        super().__init__(table, column)
        self._what = what
        self._relation = relation

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise SchemaError(
            f"{self._what} is about the fields of one row: `{self._relation}` is a relation and "
            f"means its key, `{self._name}`, which has no `{name}`"
        )


class _Reader:
    """Reads a condition, whose values are in the order of its shape."""

    def __init__(
        self, table: Table, what: str, example: str, columns: Mapping[str, Column]
    ) -> None:
        self._table = table
        self._what = what
        self._example = example
        self._columns = columns
        self._values: Iterator[Any] = iter(())

    def condition(self, function: Callable[[Any], Any], argument: object) -> Groups:
        """The condition that a function of fields returns."""
        try:
            made = function(argument)
        except (TypeError, QueryError) as error:
            raise SchemaError(f"{self._what}: {error}") from error
        if not isinstance(made, Expression):
            raise SchemaError(
                f"{self._what} must compare fields, such as `{self._example}`, not return "
                f"`{type(made).__name__}`"
            )
        self._values = iter(made._values)
        return self._groups(made._shape)

    def _groups(self, shape: Shape) -> Groups:
        match shape:
            case ("all", *conditions):
                return reduce(self._both, map(self._groups, conditions))
            case ("any", *conditions):
                groups = [group for it in conditions for group in self._groups(it)]
                self._count(len(groups))
                return groups
            case ("unary", "not", condition):
                return self._negated(self._groups(condition))
            case ("unary", "is-true", condition):
                return _certain(self._groups(condition))
            case ("unary", "is-false", condition):
                return _certain(self._negated(self._groups(condition)))
            case ("unary", ("is-null" | "is-not-null") as test, field):
                return [[_term(self._column(field), test)]]
            case ("between", field, ("parameter", *_), ("parameter", *_)):
                column = self._comparable("less", field)
                least, most = (self._constant(column, next(self._values)) for _ in range(2))
                return [
                    [
                        _term(column, {"compare": ["greater-or-equal", least]}),
                        _term(column, {"compare": ["less-or-equal", most]}),
                    ]
                ]
            case ("binary", ("in-list" | "not-in-list") as operator, field, ("parameter", *_)):
                if operator == "in-list":
                    return self._one_of(field, "in_")
                return self._negated(self._one_of(field, "not_in"))
            case ("binary", "is-distinct", left, right):
                return self._distinct("not-equal", left, right)
            case ("binary", "is-not-distinct", left, right):
                return self._distinct("equal", left, right)
            case ("binary", operator, left, right) if operator in _OPPOSITE:
                return [[self._compared(operator, left, right)]]
            case ("field", *_):
                column = self._column(shape)
                if column.kind != "boolean" or column.many:
                    raise SchemaError(
                        f"field `{column.where}` is not a condition: compare it with something"
                    )
                return [[_term(column, {"compare": ["equal", {"boolean": True}]})]]
        raise self._refusal(shape)

    def _one_of(self, field: Shape, method: str) -> Groups:
        column = self._column(field)
        values = [self._constant(column, it) for it in next(self._values)]
        if not values:
            raise SchemaError(f"field `{column.where}`: the list of `{method}` is empty")
        return [[_term(column, {"one-of": values})]]

    def _distinct(self, comparison: str, left: Shape, right: Shape) -> Groups:
        """`is_distinct_from` or its opposite; a null equals a null."""
        term = self._compared(comparison, left, right)
        alike = comparison == "equal"
        fields = _compared_in(term)
        if len(fields) == 1:
            return _certain([[term]]) if alike else [[term], [_is_null(fields[0])]]
        first, second = fields
        if alike:
            return [*_certain([[term]]), [_is_null(first), _is_null(second)]]
        return [
            *_certain([[term]]),
            [_is_null(first), _is_not_null(second)],
            [_is_not_null(first), _is_null(second)],
        ]

    def _compared(self, comparison: str, left: Shape, right: Shape) -> Term:
        if left[0] == "parameter" and right[0] == "field":
            value = next(self._values)
            column = self._comparable(comparison, right)
            comparison = _TURNED.get(comparison, comparison)
            return _term(column, {"compare": [comparison, self._constant(column, value)]})
        column = self._comparable(comparison, left)
        if right[0] == "parameter":
            constant = self._constant(column, next(self._values))
            return _term(column, {"compare": [comparison, constant]})
        other = self._column(right)
        kinds = {column.kind, other.kind} - {_KEY}
        enums = {it.enumeration for it in (column, other) if it.kind != _KEY}
        lists = column.many or other.many
        if len(kinds) > 1 or len(enums) > 1 or lists or kinds & _INCOMPARABLE:
            raise SchemaError(
                f"field `{column.where}`: a check cannot compare {_type_of(column)} with "
                f"`{other.where}`, which is {_type_of(other)}"
            )
        return _term(column, {"compare-field": [comparison, other.name]})

    def _comparable(self, comparison: str, field: Shape) -> Column:
        column = self._column(field)
        if column.enumeration is not None and comparison not in ("equal", "not-equal"):
            raise SchemaError(
                f"field `{column.where}`: the databases order enums differently: a check of one "
                "cannot use `<`, `<=`, `>`, `>=` and `between`"
            )
        return column

    def _column(self, shape: Shape) -> Column:
        """The column of a field; nothing else is allowed in a check."""
        match shape:
            case ("field", (), name, root) if root is self._table and name in self._columns:
                return self._columns[name]
            case ("field", _, name, root):
                raise SchemaError(
                    f"{self._what} is about the fields of one row, and `{root.label}.{name}` is a "
                    "field of another model"
                )
        raise self._refusal(shape)

    def _constant(self, column: Column, value: object) -> Any:
        """The WIT's `value`, as JSON."""
        kind = column.kind if column.kind != _KEY else _OF_KEYS.get(type(value), _KEY)
        found = None if column.many else constant(kind, value)
        if found is None:
            raise SchemaError(
                f"field `{column.where}`: a check cannot compare {_type_of(column)} with "
                f"`{value!r}`"
            )
        size = column.column_type.get("decimal") if isinstance(column.column_type, dict) else None
        if size is not None and _is_larger(found["decimal"], **size):
            raise SchemaError(
                f"field `{column.where}`: `{value}` has more digits than a decimal of "
                f"({size['precision']}, {size['scale']})"
            )
        return found

    def _both(self, one: Groups, other: Groups) -> Groups:
        self._count(len(one) * len(other))
        return [left + right for left, right in product(one, other)]

    def _negated(self, groups: Groups) -> Groups:
        """The negation: in each group, at least one term does not hold."""
        self._count(math.prod(map(len, groups)))
        chosen = product(*([_opposite(it) for it in group] for group in groups))
        return [list(chain.from_iterable(it)) for it in chosen]

    def _count(self, groups: int) -> None:
        if groups > _MOST_GROUPS:
            raise SchemaError(
                f"{self._what} has more than {_MOST_GROUPS} alternatives when it is written with "
                "`|` around `&`: split it into several"
            )

    def _refusal(self, shape: Shape) -> SchemaError:
        if shape[0] in _OF_OTHER_ROWS:
            return SchemaError(
                f"{self._what} is about the fields of one row: it cannot use other rows, by a "
                "relation, a query or an aggregate"
            )
        return SchemaError(
            f"{self._what} compares fields with constants and with each other, and cannot "
            f"compute values: leave out `{_spelt(shape)}`"
        )


def _spelt(shape: Shape) -> str:
    """How a caller wrote a computed value."""
    kind = shape[0]
    if kind == "json-change":
        return "removed" if shape[3] is None else "set_to"
    name: str = shape[1] if kind in ("binary", "call", "unary") else kind
    return "truncate" if name.startswith("truncate-") else _SPELT.get(name, name.replace("-", "_"))


def _term(column: Column, test: Any) -> Term:
    return {"field": column.name, "test": test}


def _is_null(field: str) -> Term:
    return {"field": field, "test": "is-null"}


def _is_not_null(field: str) -> Term:
    return {"field": field, "test": "is-not-null"}


def _compared_in(term: Term) -> list[str]:
    """The fields that a term compares: if one is null, then so is the term."""
    match term["test"]:
        case "is-null" | "is-not-null":
            return []
        case {"compare-field": [_, other]}:
            return [term["field"], other]
    return [term["field"]]


def _opposite(term: Term) -> list[Term]:
    """The terms that all hold if and only if a term does not; null if the term is null."""
    field = term["field"]
    match term["test"]:
        case "is-null":
            return [_is_not_null(field)]
        case "is-not-null":
            return [_is_null(field)]
        case {"one-of": values}:
            return [{"field": field, "test": {"compare": ["not-equal", it]}} for it in values]
        case {"compare": [("equal" | "not-equal") as comparison, {"boolean": value}]}:
            return [{"field": field, "test": {"compare": [comparison, {"boolean": not value}]}}]
        case test:
            ((kind, (comparison, other)),) = test.items()
            return [{"field": field, "test": {kind: [_OPPOSITE[comparison], other]}}]


def _certain(groups: Groups) -> Groups:
    """The same condition, but false instead of null."""
    return [
        group + [_is_not_null(it) for it in dict.fromkeys(chain(*map(_compared_in, group)))]
        for group in groups
    ]


def _type_of(column: Column) -> str:
    members = column.enum_class
    kind = column.kind if members is None else f"a `{members.__name__}`"
    return f"list of {kind}" if column.many else kind


def _is_larger(text: str, precision: int, scale: int) -> bool:
    """Whether a decimal has more digits than a column of this precision and scale."""
    whole, _, fraction = text.lstrip("-").partition(".")
    return len(whole.lstrip("0")) + scale > precision or len(fraction.rstrip("0")) > scale
