"""Paths to the fields of a model and of its relations, as callers write them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import pydantic

from .._abstract_query import AbstractQuery
from ..exceptions import InvalidQuery, UnknownField
from .document import JsonValue, listed
from .expression import Expression, all_of, any_of
from .value import FieldExpression, Value, count
from .window import WindowFunction

if TYPE_CHECKING:
    from .._queries.select import Select
    from .._tables.relationship import Relationship
    from .._tables.table import Table

# To a type checker `User.age` is an integer, so anything may be given. What is said of functions
# tells it what the argument of a lambda is.
Given = object | Callable[[Any], Any]
"""A value as callers give it: a field or its name, an expression, or a function of the fields."""

_COMPARISONS = 1_000
"""With keys, in one condition."""


class Fields:
    """The fields of a model, as passed to a lambda: `lambda u: u.age >= 18`."""

    __slots__ = ("_path", "_root", "_table")

    def __init__(self, table: Table, path: tuple[str, ...] = (), root: Table | None = None) -> None:
        self._table = table
        self._path = path
        self._root = root or table
        """The table where the path begins."""

    def _at(self, name: str) -> Any:
        """The field or relation of any name, also one that is an attribute of this object."""
        relation = self._table.relations.get(name)
        if relation is not None:
            return relation_at(relation, self._path, self._root)
        if self._path:
            return FieldExpression(self._table, self._table.column(name), self._path, self._root)
        return field_of(self._table, name)

    __getattr__ = _at


class RelationExpression:
    """A relation, in a condition: `p.author.name == "x"`, `a.posts.any(lambda p: p.views > 3)`."""

    __slots__ = ("_path", "_relation", "_root")

    def __init__(
        self, relation: Relationship, path: tuple[str, ...] = (), root: Table | None = None
    ) -> None:
        self._relation = relation
        self._path = path
        self._root = root or relation.source

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._at(name)

    def _at(self, name: str) -> Any:
        """Like `Fields._at`, for the target of the relation."""
        path = (*self._path, self._relation.name)
        return Fields(self._relation.target, path, self._root)._at(name)

    def any(self, /, *conditions: Any, **equals: Any) -> Expression:
        """Whether at least one row of the relation satisfies all conditions."""
        return self._related("any", conditions, equals)

    def none(self, /, *conditions: Any, **equals: Any) -> Expression:
        """Whether no row of the relation satisfies all conditions."""
        return self._related("none", conditions, equals)

    def all(self, /, *conditions: Any, **equals: Any) -> Expression:
        """Whether every row of the relation satisfies all conditions; true if it has no rows."""
        return self._related("all", conditions, equals)

    def is_null(self) -> Expression:
        """Whether the relation leads to no row."""
        if self._relation.many:
            return self.none()
        if not self._relation.holds_key:
            return self._related("none", (), {})
        return self._own(self._relation.source_fields[0]).is_null()

    def is_not_null(self) -> Expression:
        """Whether the relation leads to a row."""
        return ~self.is_null()

    def in_(self, values: Iterable[object] | Select[Any]) -> Expression:
        """Whether the relation leads to one of the rows, passed as instances, keys or a query; None
        among them means "or to no row".
        """
        return self._key_field("in_").in_(self._keys(values))

    def not_in(self, values: Iterable[object] | Select[Any]) -> Expression:
        """Whether the relation leads to none of the rows, passed as instances, keys or a query."""
        return self._key_field("not_in").not_in(self._keys(values))

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        key = self._key_of(other)
        if any(it is None for it in key):
            return self.is_null()
        if self._relation.holds_key:
            pairs = zip(self._relation.source_fields, key, strict=True)
            condition = all_of(self._own(name) == value for name, value in pairs)
        else:
            target = Fields(self._relation.target)
            pairs = zip(self._relation.key_fields, key, strict=True)
            matching = all_of(getattr(target, name) == value for name, value in pairs)
            condition = self._related("any", (matching,), {})
        assert condition is not None, "a key has fields"
        return condition

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return ~(self == other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<relation {self._relation}>"

    def _key_of(self, other: object) -> tuple[Any, ...]:
        """The key of a row that is passed as an instance or as a key; None for no row."""
        from .._relations.loaded import NoRow, Unloaded, key_unloaded

        relation = self._relation
        if isinstance(other, (Expression, JsonValue, RelationExpression)):
            hint = f", such as `{relation.source_fields[0]}`" if relation.holds_key else ""
            raise InvalidQuery(
                f"`{relation}` is compared with a row or a key, not with `{other!r}`: compare the "
                "fields that hold the keys" + hint
            )
        if other is None or isinstance(other, NoRow):
            return (None,)
        if isinstance(other, Unloaded):
            return key_unloaded(relation, other)
        if isinstance(other, pydantic.BaseModel) or len(relation.key_fields) > 1:
            return relation.key_of(other)
        return (other,)

    def _keys(self, values: Any) -> Any:
        """The keys of rows, or a query of them."""
        from .._queries.subquery import keys_of
        from .._relations.related import RelatedRows

        if isinstance(values, RelatedRows):
            values = list(values)
        elif isinstance(values, AbstractQuery):
            return keys_of(values, self._relation)  # type: ignore[arg-type]
        return [key for (key,) in map(self._key_of, listed(str(self._relation), values))]

    def _key_field(self, method: str) -> Value:
        """The field that holds the key of the target."""
        if self._relation.holds_key:
            return self._own(self._relation.source_fields[0])
        key = self._relation.key_fields[0]
        asked = (
            f"any(lambda it: it.{key}.{method}(…))" if self._relation.many else f"{key}.{method}(…)"
        )
        raise InvalidQuery(
            f"`{self._relation}` has no key in this table: use the key of its target, `"
            f"{self._relation.name}.{asked}`"
        )

    def _own(self, name: str) -> Value:
        field: Value = getattr(Fields(self._relation.source, self._path, self._root), name)
        return field

    def _related(
        self, quantifier: str, conditions: tuple[Any, ...], equals: dict[str, Any]
    ) -> Expression:
        condition = all_of(conditions_of(self._relation.target, conditions, equals))
        shape = (
            "related",
            quantifier,
            (*self._path, self._relation.name),
            None if condition is None else condition._shape,
            self._root,
        )
        return Expression(shape, () if condition is None else condition._values)


class RelatedExpression(RelationExpression):
    """A relation to many rows: also has aggregates over its rows, `a.posts.count()`,
    `a.posts.where(lambda p: p.views > 3).max("made")`.
    """

    __slots__ = ("_chosen",)

    def __init__(
        self, relation: Relationship, path: tuple[str, ...] = (), root: Table | None = None
    ) -> None:
        super().__init__(relation, path, root)
        self._chosen: Expression | None = None
        """The condition on the rows."""

    def _at(self, name: str) -> Any:
        raise InvalidQuery(
            f"`{self._relation}` leads to many rows: use `any`, `none` or `all`, or an aggregate "
            "such as `count()`"
        )

    def where(self, /, *conditions: Any, **equals: Any) -> RelatedExpression:
        """Keep the rows of the relation that satisfy all conditions."""
        other = RelatedExpression(self._relation, self._path, self._root)
        found = conditions_of(self._relation.target, conditions, equals)
        other._chosen = all_of(found if self._chosen is None else (self._chosen, *found))
        return other

    def count(self) -> Value:
        """The number of rows of the relation."""
        return self._aggregate(count())

    def sum(self, field: Any) -> Value:
        """The sum of a field over the rows of the relation; null if it has none."""
        return self._aggregate(value_from(self._relation.target, field).sum())

    def avg(self, field: Any) -> Value:
        """The average of a field over the rows of the relation; null if it has none."""
        return self._aggregate(value_from(self._relation.target, field).avg())

    def min(self, field: Any) -> Value:
        """The least value of a field in the rows of the relation; null if it has none."""
        return self._aggregate(value_from(self._relation.target, field).min())

    def max(self, field: Any) -> Value:
        """The greatest value of a field in the rows of the relation; null if it has none."""
        return self._aggregate(value_from(self._relation.target, field).max())

    def _aggregate(self, value: Value) -> Value:
        """An aggregate over all rows: a subquery of the target that refers to the enclosing row."""
        from .._queries.select import Select
        from .._queries.spec import QuerySpec
        from .._queries.subquery import outer, subquery

        relation = self._relation
        key = [outer(self._own(name)) for name in relation.source_fields]
        if relation.through is not None:
            # A condition on the pairs needs one more nested query.
            key = [outer(it) for it in key]
        rows: Select[Any] = Select(QuerySpec(relation.target))
        chosen = () if self._chosen is None else (self._chosen,)
        return subquery(rows.where(at_other_end(relation, key), *chosen).values(value=value))

    def _related(
        self, quantifier: str, conditions: tuple[Any, ...], equals: dict[str, Any]
    ) -> Expression:
        chosen = self._chosen
        if chosen is None:
            return super()._related(quantifier, conditions, equals)
        if quantifier != "all":
            return super()._related(quantifier, (chosen, *conditions), equals)
        # Rows that are not chosen need not satisfy the conditions.
        rest = ~chosen.is_true()
        asked = [rest | it for it in conditions_of(self._relation.target, conditions, equals)]
        return super()._related("all", tuple(asked), {})


class FieldAttribute:
    """A field whose name a plain base class has as an attribute.

    Pydantic removes the defaults of fields from models, so that their names lead to expressions. It
    keeps those of mixins, which are not models.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    @classmethod
    def put(cls, model: Any) -> None:
        """Add the attributes that a model needs."""
        plain = [it for it in model.__mro__ if not isinstance(it, type(model)) and it is not object]
        for name in model.model_fields:
            if any(name in vars(it) for it in plain):
                setattr(model, name, cls(name))

    def __get__(self, row: Any, owner: Any) -> FieldExpression[Any]:
        if row is not None:
            raise AttributeError(f"`{type(row).__name__}` has no value for `{self._name}`")
        table = owner.__dict__.get("__ferro_table__")
        if table is None:
            # Pydantic asks, and would take an expression for the default in a subclass.
            raise AttributeError(self._name)
        return field_of(table, self._name)


def relation_at(
    relation: Relationship, path: tuple[str, ...] = (), root: Table | None = None
) -> RelationExpression:
    """The expression of a relation at the end of a path."""
    kind = RelatedExpression if relation.many else RelationExpression
    return kind(relation, path, root)


def at_other_end(relation: Relationship, key: Iterable[Any]) -> Any:
    """The condition that rows are the target of a relation with this key."""
    fields = Fields(relation.target)
    if relation.through is None:
        pairs = zip(relation.target_fields, key, strict=True)
        return all_of(fields._at(name) == value for name, value in pairs)
    back: RelationExpression = fields._at(relation.way_back)
    return back.any(**dict(zip(relation.source_fields, key, strict=True)))


def field_of(table: Table, name: str) -> FieldExpression[Any]:
    """A field of a table itself; one shared object, as it is immutable."""
    field = table.expressions.get(name)
    if field is None:
        field = table.expressions[name] = FieldExpression(table, table.column(name))
    return field


def field_at(table: Table, path: str) -> Value:
    """The field at the end of a path: `"name"`, `"author.name"`."""
    found: Any = Fields(table)
    for name in path.split("."):
        if isinstance(found, Value):
            raise UnknownField(f"`{table.label}.{path}`: what is before `{name}` is not a relation")
        found = found._at(name)
    if not isinstance(found, Value):
        hint = _instead_of(found._relation, path)
        raise InvalidQuery(f"`{table.label}.{path}` is a relation, not a field: {hint}")
    return found


def _instead_of(relation: Relationship, path: str) -> str:
    """What to name in place of a relation."""
    before, dot, _ = path.rpartition(".")
    if relation.holds_key:
        return f"name the field of its key, `{before}{dot}{relation.source_fields[0]}`"
    if relation.many:
        return f"compute a value of its rows, such as `lambda it: it.{path}.count()`"
    return f"name a field of its row, such as `{path}.{relation.key_fields[0]}`"


def conditions_of(
    table: Table, conditions: Iterable[Any], equals: dict[str, Any]
) -> list[Expression]:
    """Conditions from a caller's arguments: expressions, functions of fields, and equalities."""
    fields = Fields(table)
    found = [_condition(fields, condition) for condition in conditions]
    for name, value in equals.items():
        field = table.expressions.get(name)
        found.append((fields._at(name) if field is None else field) == value)
    return found


def conditions_of_keys(
    table: Table, names: Sequence[str], keys: Collection[tuple[Any, ...]]
) -> list[Expression]:
    """Conditions for the rows that have one of some keys. Those of several fields take more than
    one: a query has at most so many parts.
    """
    if len(names) == 1:
        return [field_of(table, names[0]).in_([key for (key,) in keys])] if keys else []
    fields = [field_of(table, name) for name in names]
    equal = [
        reduce(operator.and_, [field == part for field, part in zip(fields, key, strict=True)])
        for key in keys
    ]
    size = _COMPARISONS // len(fields)
    return [any_of(equal[at : at + size]) for at in range(0, len(equal), size)]


def _condition(fields: Fields, condition: Any) -> Expression:
    if _is_function(condition):
        condition = condition(fields)
    if not isinstance(condition, Expression):
        if isinstance(condition, AbstractQuery):
            raise InvalidQuery(
                "a query is not a condition: use `ferro.exists(query)` to test whether it has a row"
            )
        raise InvalidQuery(
            f"`{condition!r}` is not a condition: compare a field of the model, and combine "
            "conditions with `&`, `|` and `~`"
        )
    return condition


def _is_function(given: Any) -> bool:
    """Whether the argument is a function of fields. Calling a class would create an instance."""
    return callable(given) and not isinstance(given, (Expression, type))


def value_from(table: Table, given: Any) -> Value:
    """A value from a caller's argument: a field's name, an expression or a function of fields."""
    if isinstance(given, str):
        return field_at(table, given)
    if _is_function(given):
        given = given(Fields(table))
    if isinstance(given, JsonValue):
        raise InvalidQuery(f"`{given!r}` has no type: set its type with `as_type(str)`")
    if not isinstance(given, Value):
        hint = "name a field, or compute one from fields"
        if isinstance(given, WindowFunction):
            hint = "add a window, `.over(…)`"
        elif isinstance(given, AbstractQuery):
            hint = "use `ferro.subquery(query)` for the value of its first row"
        raise InvalidQuery(f"`{given!r}` is not a value: {hint}")
    return given
