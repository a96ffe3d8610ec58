"""Queries inside of queries: as a value, as a list of values, and asked for a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._expressions.expression import Expression
from .._expressions.value import FieldExpression, Value
from ..exceptions import InvalidQuery, TypeMismatch
from .computed import Computed
from .select import Select

if TYPE_CHECKING:
    from .._tables.relationship import Relationship


def exists(query: Select[Any]) -> Expression:
    """Whether a query has a row, as a condition. `ferro.outer` names the row around it.

    For the rows of a relation there is `any`.

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


def subquery(query: Select[Any]) -> Value:
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
    query = query._first()
    # That it has one row at most has to be part of its shape.
    limit, query._limit = query._limit, None
    shape, values = inner("ferro.subquery", query)
    return Value(
        ("subquery", shape, limit), values, value._name, value._kind, value._many, value._column
    )


def outer(field: Any) -> Value:
    """A field of the row around: in a query that is part of another one, or in a condition of
    `any`, `none` or `all`. `outer(outer(field))` is one of the row around that.

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
        raise InvalidQuery(f"`ferro.outer` takes a field, as `User.id`, not `{field!r}`")
    return Value(shape, (), field._name, field._kind, field._many, field._column)


def is_in(value: Value, query: Select[Any]) -> Expression:
    """Whether a value is among those of a query."""
    if value._many or value._kind == "json":
        raise TypeMismatch(f"`{value._name}` cannot be looked up in a query")
    _only_value(value._name, query)
    shape, values = inner(value._name, query)
    return Expression(("in-select", value._shape, shape), value._values + values)


def keys_of(query: Select[Any], relation: Relationship) -> Select[Any]:
    """The keys of the rows of a query, or those that it asks for itself."""
    if query._outputs is not None:
        return query
    if query._table is not relation.target:
        raise InvalidQuery(
            f"`{relation}` takes a query of `{relation.target.label}`, not `{query!r}`"
        )
    return query.values(relation.key_fields[0])


def inner(name: str, query: object) -> Computed:
    """The shape and the values of a query that is part of another one."""
    if not isinstance(query, Select):
        raise InvalidQuery(f"`{name}` takes a query, as `User.where(…)`, not `{query!r}`")
    query = query._plain()
    if query._using is not None:
        raise InvalidQuery(
            f"`{name}`: a query inside of another one runs where that does: leave `using` out, "
            "and say `Post.where(author=author)` in place of `author.posts`"
        )
    if query._includes or query._lock is not None:
        raise InvalidQuery(
            f"`{name}`: a query inside of another one loads and locks no rows: leave out "
            "`include`, `for_update` and `for_share`"
        )
    shape, values = query._rows()
    return ("select", query._table, shape), values


def _only_value(name: str, query: object) -> Value:
    """What a query of one value asks of each row."""
    outputs = query._outputs if isinstance(query, Select) else None
    if outputs is None or len(outputs) != 1:
        raise InvalidQuery(
            f'`{name}` takes a query of one value, as `User.select("id")`, not `{query!r}`'
        )
    ((_, value),) = outputs
    return value
