"""The specification of a query as data: each query holds a `QuerySpec`, and operations take it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from .._connections.transaction import Using
from .._expressions.expression import Expression
from .._expressions.ordering import Outputs, Term
from .._expressions.value import Value
from .._message import quoted
from .._tables.derived import Derived
from .._tables.table import Table
from ..exceptions import InvalidQuery

if TYPE_CHECKING:
    from .._relations.include import Tree

Form = Literal["dict", "value", "pair"]


class Join(NamedTuple):
    """A common table that is joined to a query."""

    table: Derived
    values: tuple[Any, ...]
    """The parameters of the table's query."""
    on: Expression


class Combination(NamedTuple):
    """Combined queries: the first, and how each of the others is combined with it."""

    first: QuerySpec
    others: tuple[tuple[str, QuerySpec], ...]


class QuerySpec:
    """The specification of a query. It is immutable: `with_` returns another one."""

    __slots__ = (
        "combined",
        "condition",
        "distinct",
        "form",
        "given",
        "group",
        "having",
        "includes",
        "joins",
        "limit",
        "lock",
        "offset",
        "order",
        "outputs",
        "plain",
        "table",
        "using",
    )

    def __init__(self, table: Table, using: Using = None) -> None:
        self.plain: Final = True
        """Whether the query has no parts: all rows of the table."""
        self.table: Final = table
        self.using: Final = using
        self.given: Final[tuple[Any, ...]] = ()
        """The parameters of the table's query, for a common table."""
        self.joins: Final[tuple[Join, ...]] = ()
        self.condition: Final[Expression | None] = None
        self.outputs: Final[Outputs | None] = None
        self.form: Final[Form] = "dict"
        """The form of a row of outputs: a dict, the only value, or an instance paired with a dict.
        In the latter case, all fields come first in the outputs.
        """
        self.distinct: Final[bool | tuple[Value, ...]] = False
        """Whether duplicate rows are dropped; or the values for which only the first row is kept.
        """
        self.group: Final[tuple[Value, ...]] = ()
        self.having: Final[Expression | None] = None
        self.order: Final[tuple[Term, ...] | None] = None
        self.limit: Final[int | None] = None
        self.offset: Final[int | None] = None
        self.includes: Final[Tree] = {}
        self.lock: Final[tuple[str, str] | None] = None
        """Its strength, and what to do with rows that others have locked."""
        self.combined: Final[Combination | None] = None
        """The queries that this one combines. Parts that do not apply to all of their rows belong
        to each of them.
        """

    def with_(self, **changes: Any) -> QuerySpec:
        """A copy with some parts changed."""
        # Every query calls this several times: a loop over the slots would take three times as
        # long.
        other: Any = object.__new__(QuerySpec)
        other.plain = False
        other.table = self.table
        other.using = self.using
        other.given = self.given
        other.joins = self.joins
        other.condition = self.condition
        other.outputs = self.outputs
        other.form = self.form
        other.distinct = self.distinct
        other.group = self.group
        other.having = self.having
        other.order = self.order
        other.limit = self.limit
        other.offset = self.offset
        other.includes = self.includes
        other.lock = self.lock
        other.combined = self.combined
        for name, value in changes.items():
            setattr(other, name, value)
        made: QuerySpec = other
        return made

    def where(self, *conditions: Expression) -> QuerySpec:
        """Add conditions."""
        condition = self.condition
        for it in conditions:
            condition = it if condition is None else condition & it
        return self.with_(condition=condition)

    def at_most(self, count: int) -> QuerySpec:
        """Limit the number of rows, without raising an existing limit."""
        return self.with_(limit=count if self.limit is None else min(count, self.limit))

    def reads(self, table: Table) -> bool:
        """Whether the query reads the rows of a table."""
        return self.table is table or any(it.table is table for it in self.joins)


def all_rows(table: Table, using: Using = None) -> QuerySpec:
    """A query of all rows; one shared object for the default connection."""
    if using is not None:
        return QuerySpec(table, using)
    spec = table.all_rows
    if spec is None:
        spec = table.all_rows = QuerySpec(table)
    return spec


_PARTS: dict[str, Callable[[QuerySpec], object]] = {
    "using": lambda it: it.using is not None,
    "join": lambda it: it.joins,
    "union": lambda it: it.combined is not None,
    "where": lambda it: it.condition is not None,
    "values": lambda it: it.outputs is not None and it.form == "dict",
    "column": lambda it: it.form == "value",
    "with_values": lambda it: it.form == "pair",
    "group_by": lambda it: it.group,
    "having": lambda it: it.having is not None,
    "distinct": lambda it: it.distinct is True,
    "distinct_on": lambda it: not isinstance(it.distinct, bool),
    "order_by": lambda it: it.order is not None,
    "limit": lambda it: it.limit is not None,
    "offset": lambda it: it.offset is not None,
    "include": lambda it: it.includes,
    "for_update": lambda it: it.lock is not None and it.lock[0] == "update",
    "for_share": lambda it: it.lock is not None and it.lock[0] == "share",
}
"""The methods that set a part of the query, and whether they did."""

ALL_PARTS = frozenset(_PARTS)
LOCKS = frozenset({"for_update", "for_share"})


def refuse(
    spec: QuerySpec, operation: str, why: str, takes: frozenset[str], hint: str = ""
) -> None:
    """Raise an error if a query has parts that an operation does not support; none is ignored
    silently.

    An operation also accepts parts that make no difference to it, such as the order of rows that
    are counted.
    """
    asked = [name for name, is_asked in _other_parts(takes) if is_asked(spec)]
    if asked:
        raise InvalidQuery(f"`{operation}` {why}: leave out {quoted(asked)}{hint}")


@cache
def _other_parts(takes: frozenset[str]) -> list[tuple[str, Callable[[QuerySpec], object]]]:
    return [(name, is_asked) for name, is_asked in _PARTS.items() if name not in takes]
