"""Common tables: queries under a name, whose rows other queries read and join."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from .._argument import check
from .._connections.transaction import Using
from .._expressions.expression import Expression, Shape, conditional
from .._expressions.path import Fields
from .._statements.shape import ITSELF
from .._tables.derived import Derived, derived
from ..exceptions import InvalidQuery
from .builder import Builder
from .combined import check_alike, in_common
from .select import Select
from .variant import Variant, refuse

T = TypeVar("T")

Join = tuple[Derived, tuple[Any, ...], Expression]
"""A table, the values that it takes, and which of its rows are beside a row."""


class CommonTable:
    """A query under a name, whose rows other queries read and join: made by `Select.cte`.

    `c` has its fields, which are the values that the query asks for.

    Example:
        >>> import ferro
        >>> class Shop(ferro.Model, table="doc_common_shop"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     name: str
        >>> class Sale(ferro.Model, table="doc_common_sale"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     shop_id: int
        ...     amount: int
        >>> amount = ferro.col(Sale.amount).sum()
        >>> totals = Sale.select("shop_id", amount=amount).group_by("shop_id").cte("totals")
        >>> large = totals.where(lambda t: t.amount > 1_000).order_by("-amount")
        >>> shops = Shop.select().join(totals, lambda shop, t: shop.id == t.shop_id)
        >>> with_amounts = shops.values("name", amount=totals.c.amount)
    """

    __slots__ = ("_table", "_using", "_values")

    def __init__(self, table: Derived, values: tuple[Any, ...], using: Using) -> None:
        self._table = table
        self._values = values
        self._using = using

    def __repr__(self) -> str:
        return f"<common table {self._table.label}>"

    # Who checks types knows what it has.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            table = self._table.label
            way = f"c.{name}" if name in self._table.columns else "select()"
            way = f"select().{name}(…)" if hasattr(Select, name) else way
            raise AttributeError(f"common table `{table}` has no `{name}`: say `{table}.{way}`")

    @property
    def c(self) -> Any:
        """Its fields, in a query that reads or joins it: `totals.c.amount`."""
        return Fields(self._table)

    def select(self, /, *fields: Any, **computed: Any) -> Select[dict[str, Any]]:
        """A query of all rows, as dicts of all fields, or of some values: see `Select.values`."""
        query: Reading[Any] = Reading.of(Select(self._table.model, self._table, self._using))
        query._given = self._values
        return query.values(*fields, **computed)

    def where(self, /, *conditions: Any, **equals: Any) -> Select[dict[str, Any]]:
        """A query of the rows for which conditions hold: see `Select.where`."""
        return self.select().where(*conditions, **equals)


class Reading(Variant[T]):
    """A query that reads common tables: their rows are its own, or stand beside them."""

    __slots__ = ("_given", "_joins")

    _given: tuple[Any, ...]
    """What the table takes whose rows these are."""
    _joins: tuple[Join, ...]

    @classmethod
    def of(cls, query: Select[T]) -> Reading[T]:
        """A query that may read common tables, changed before anybody sees it."""
        query = query._copy()
        if isinstance(query, Reading):
            return query
        reading: Reading[T] = object.__new__(cls)
        for name in Builder.__slots__:
            setattr(reading, name, getattr(query, name))
        reading._given, reading._joins = (), ()
        return reading

    def reads(self, table: Derived) -> bool:
        """Whether the rows of a table are among those that it sees."""
        return self._table is table or any(it is table for it, _, _ in self._joins)

    def _is_of_one_row(self, name: str) -> bool:
        return False

    def _rows(self) -> tuple[Shape, tuple[Any, ...]]:
        shape, values = super()._rows()
        joins: list[Shape] = []
        given = self._given
        for table, of_table, on in self._joins:
            joins.append(("join", table, on._shape))
            given += of_table + on._values
        return ("joined", shape, tuple(joins)), given + values


refuse(
    Reading,
    "queries that read common tables",
    {
        **dict.fromkeys(
            ("update", "delete", "update_returning", "delete_returning"),
            "say which rows with a condition, as `where(User.id.in_(…))`",
        ),
        **dict.fromkeys(("page", "page_after", "page_before"), "`limit` and `offset` are"),
    },
)


def joined(query: Select[T], table: object, on: Any) -> Select[T]:
    """A query with the rows of a common table beside its own."""
    if not isinstance(table, CommonTable):
        raise InvalidQuery(
            f"`join` takes a common table, as `query.cte()` makes one, not `{table!r}`: a relation "
            "is crossed by its name, `where(lambda it: it.author.name == …)`"
        )
    reading = Reading.of(query)
    name = table._table.label
    _check_using("join", table._using, reading)
    if name in reading._table.relations or reading.reads(table._table):
        raise InvalidQuery(
            f"`join`: `{query!r}` has a `{name}` already: give the common table another name, "
            '`cte("other")`'
        )
    if callable(on) and not isinstance(on, Expression):
        on = on(Fields(reading._table), table.c)
    reading._joins += ((table._table, table._values, conditional("join", on)),)
    return reading


def common_table(
    query: Select[Any],
    name: str,
    recursive: Callable[[CommonTable], Select[Any]] | None,
    union_all: bool,
) -> CommonTable:
    """A query as a common table."""
    check(
        InvalidQuery,
        name=(name, str),
        recursive=(recursive, Callable, None),
        union_all=(union_all, bool),
    )
    query = _whole(query._plain())
    outputs = query._outputs or ()
    dotted = next((it for it, _ in outputs if "." in it), None)
    if dotted is not None:
        raise InvalidQuery(
            f"`cte`: fields of a common table have names without dots: ask for `{dotted}` as "
            "`values(name=…)`"
        )
    rows, values = query._rows()
    select = ("select", query._table, rows)
    if recursive is None:
        return CommonTable(derived(name, outputs, select), values, query._using)
    itself = CommonTable(derived(name, outputs, select, ITSELF), (), query._using)
    further = recursive(itself)
    if not isinstance(further, Reading) or not further.reads(itself._table):
        raise InvalidQuery(
            "`cte`: `recursive` gives the query of further rows, which reads the table that it "
            "takes: `lambda tree: Node.select().join(tree, …)`"
        )
    further = _whole(further)
    _check_using("cte", further._using, query)
    check_alike("cte", outputs, further._outputs or ())
    columns = zip(outputs, further._outputs or (), strict=True)
    outputs = tuple([in_common(*column) for column in columns])
    rows, of_step = further._rows()
    operator = "union-all" if union_all else "union"
    step = (operator, itself._table, ("select", further._table, rows))
    return CommonTable(derived(name, outputs, select, step), values + of_step, query._using)


def _whole(query: Select[Any]) -> Select[Any]:
    """A query of values: all of them, if it asks for none."""
    if query._includes or query._lock is not None:
        raise InvalidQuery(
            "`cte`: leave `include`, `for_update` and `for_share` out of the query of its rows"
        )
    return query._of_values()


def _check_using(method: str, using: Using, query: Select[Any]) -> None:
    """Refuse what runs elsewhere than a query."""
    if using is not None and using != query._using:
        raise InvalidQuery(
            f"`{method}`: a common table is part of the query that reads it: say the same `using` "
            "of both, or of none"
        )
