"""Subqueries: as a value, as a list of values, and as a test for rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._expressions.expression import Expression
from .._expressions.value import FieldExpression, Value
from ..exceptions import InvalidQuery, TypeMismatch
from .combined import of_values
from .computed import ShapeAndValues
from .query import Query
from .read import first_of
from .selection import selection
from .spec import ALL_PARTS, LOCKS, QuerySpec, refuse

if TYPE_CHECKING:
    from .._tables.relationship import Relationship

_INSIDE = ALL_PARTS - LOCKS - {"using", "include"}


def exists(query: Query[Any, Any]) -> Expression:
    """Whether a query has a row, as a condition. `ferro.outer` refers to the enclosing row.

    For the rows of a relation, use `any`.

    Example:
        >>> import ferro
        >>> class Country(ferro.Model, table="doc_exists_country"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str
        >>> class City(ferro.Model, table="doc_exists_city"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str
        >>> namesakes = City.where(City.name == ferro.outer(Country.name))
        >>> city_states = Country.where(ferro.exists(namesakes))
    """
    shape, values = inner("ferro.exists", query)
    return Expression(("exists", shape), values)


def subquery(query: Query[Any, Any]) -> Value:
    """The value in the first row of a query of one value; null if it has no row.

    Example:
        >>> import ferro
        >>> class Town(ferro.Model, table="doc_subquery_town"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     population: int
        >>> average = Town.select(average=ferro.col(Town.population).avg())
        >>> large = Town.where(ferro.col(Town.population).cast(float) > ferro.subquery(average))
    """
    value = _only_value("ferro.subquery", query)
    first = first_of(query._spec)
    # The limit to one row must be part of its shape.
    shape, values = _inside("ferro.subquery", first.with_(limit=None))
    return Value(
        ("subquery", shape, first.limit),
        values,
        value._name,
        value._kind,
        value._many,
        value._column,
    )


def outer(field: Any) -> Value:
    """A field of the enclosing row: in a subquery, or in a condition of `any`, `none` or `all`.
    `outer(outer(field))` is a field of the row around that.

    Example:
        >>> import ferro
        >>> class Worker(ferro.Model, table="doc_outer_worker"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     team: str
        ...     salary: int
        >>> better_paid = Worker.where(
        ...     Worker.team == ferro.outer(Worker.team), Worker.salary > ferro.outer(Worker.salary)
        ... )
        >>> best_paid = Worker.where(~ferro.exists(better_paid))
    """
    if isinstance(field, FieldExpression):
        shape = ("outer", 1, *field._shape[1:])
    elif isinstance(field, Value) and field._shape[0] == "outer":
        _, levels, *rest = field._shape
        shape = ("outer", levels + 1, *rest)
    else:
        raise InvalidQuery(f"`ferro.outer` takes a field, such as `User.id`, not `{field!r}`")
    return Value(shape, (), field._name, field._kind, field._many, field._column)


def is_in(value: Value, query: Query[Any, Any]) -> Expression:
    """Whether a value is among those of a query."""
    if value._many or value._kind == "json":
        raise TypeMismatch(f"`{value._name}` cannot be looked up in a query")
    _only_value(value._name, query)
    shape, values = inner(value._name, query)
    return Expression(("in-select", value._shape, shape), value._values + values)


def keys_of(query: Query[Any, Any], relation: Relationship) -> Query[Any, Any]:
    """The keys of the rows of a query, or the ones that it selects itself."""
    if query._spec.outputs is not None:
        return query
    if query._spec.table is not relation.target:
        raise InvalidQuery(
            f"`{relation}` takes a query of `{relation.target.label}`, not `{query!r}`"
        )
    made: Query[Any, Any] = query._of(of_values(query._spec, relation.key_fields[0]))
    return made


def inner(name: str, query: object) -> ShapeAndValues:
    """The shape and the values of a subquery."""
    if not isinstance(query, Query):
        raise InvalidQuery(f"`{name}` takes a query, such as `User.where(…)`, not `{query!r}`")
    return _inside(name, query._spec)


def _inside(name: str, spec: QuerySpec) -> ShapeAndValues:
    hint = ", and use `Post.where(author=author)` instead of `author.posts`"
    refuse(
        spec,
        name,
        "takes a query that runs with the outer query, and only reads",
        _INSIDE,
        hint if spec.using is not None else "",
    )
    shape, values = selection(spec)
    return ("select", spec.table, shape), values


def _only_value(name: str, query: object) -> Value:
    """The only value that a query selects."""
    outputs = query._spec.outputs if isinstance(query, Query) else None
    if outputs is None or len(outputs) != 1:
        raise InvalidQuery(
            f'`{name}` takes a query of one value, such as `User.select("id")`, not `{query!r}`'
        )
    ((_, value),) = outputs
    return value
