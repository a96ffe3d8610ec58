"""Common tables: named queries, whose rows other queries read and join."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, overload

from .._argument import check
from .._connections.transaction import Using
from .._expressions.expression import Expression, conditional
from .._expressions.path import Fields, Given
from .._statements.shape import ITSELF
from .._tables.derived import Derived, derived
from ..exceptions import InvalidQuery
from .combined import check_alike, in_common, of_values
from .query import Query, T
from .selection import selection
from .spec import ALL_PARTS, LOCKS, Join, QuerySpec, refuse
from .table_query import Condition, TableQuery

if TYPE_CHECKING:
    from .._expressions.value import FieldExpression, Value
    from .table_query import V

_ROWS = ALL_PARTS - LOCKS - {"include"}


class CommonTable:
    """A named query, whose rows other queries read and join; created by `Select.cte`.

    `c` holds its fields, which are the values that the query selects.

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

    # Type checkers know its fields.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            table = self._table.label
            way = f"c.{name}" if name in self._table.columns else "select()"
            way = f"select().{name}(…)" if hasattr(CommonTableSelect, name) else way
            raise AttributeError(f"common table `{table}` has no `{name}`: use `{table}.{way}`")

    @property
    def c(self) -> Any:
        """The fields, for queries that read or join the table: `totals.c.amount`."""
        return Fields(self._table)

    def select(self, /, *fields: Given, **computed: Given) -> CommonTableSelect[dict[str, Any]]:
        """Query all rows, as dicts of all fields, or of some values: see `Select.values`."""
        spec = QuerySpec(self._table, self._using).with_(given=self._values)
        query: CommonTableSelect[Any] = CommonTableSelect(spec)
        return query.values(*fields, **computed)

    def where(self, /, *conditions: Condition, **equals: Any) -> CommonTableSelect[dict[str, Any]]:
        """Query the rows that satisfy all conditions: see `Select.where`."""
        return self.select().where(*conditions, **equals)


class CommonTableSelect(TableQuery[T, "CommonTableSelect[T]"]):
    """A query that reads or joins common tables.

    Created by `join`, and by the methods of a `CommonTable`.

    Example:
        >>> import ferro
        >>> class Bus(ferro.Model, table="doc_common_bus"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     line: int
        >>> def busy() -> ferro.CommonTableSelect[dict[str, object]]:
        ...     lines = Bus.select("line", buses=ferro.count()).group_by("line").cte("lines")
        ...     return lines.where(lambda it: it.buses > 3).order_by("-buses")
    """

    __slots__ = ()

    _instead: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ("update", "delete", "update_returning", "delete_returning"),
            "select the rows with a condition, such as `where(User.id.in_(…))`",
        ),
        **dict.fromkeys(("page", "page_after", "page_before"), "`limit` and `offset` are"),
    }
    _kind = "queries that read common tables"

    if TYPE_CHECKING:

        def values(
            self, /, *fields: Given, **computed: Given
        ) -> CommonTableSelect[dict[str, Any]]: ...
        @overload
        def column(self, field: FieldExpression[V], /) -> CommonTableSelect[V]: ...
        @overload
        def column(
            self, field: str | Value | Callable[[Any], Any], /
        ) -> CommonTableSelect[Any]: ...
        @overload
        def column(self, field: V, /) -> CommonTableSelect[V]: ...
        def column(self, field: Any, /) -> Any: ...
        def with_values(
            self, /, *fields: Given, **computed: Given
        ) -> CommonTableSelect[tuple[T, dict[str, Any]]]: ...


def joined(query: TableQuery[T, Any], table: object, on: Any) -> CommonTableSelect[T]:
    """Join a common table to a query."""
    if not isinstance(table, CommonTable):
        raise InvalidQuery(
            f"`join` takes a common table, made by `query.cte()`, not `{table!r}`: cross a "
            "relation by its name, `where(lambda it: it.author.name == …)`"
        )
    spec = query._spec
    name = table._table.label
    _check_using("join", table._using, spec)
    if name in spec.table.relations or spec.reads(table._table):
        raise InvalidQuery(
            f"`join`: `{query!r}` has a `{name}` already: give the common table another name, "
            '`cte("other")`'
        )
    if callable(on) and not isinstance(on, Expression):
        on = on(Fields(spec.table), table.c)
    join = Join(table._table, table._values, conditional("join", on))
    return CommonTableSelect(spec.with_(joins=(*spec.joins, join)))


def common_table(
    spec: QuerySpec,
    name: str,
    recursive: Callable[[CommonTable], Query[Any, Any]] | None,
    union_all: bool,
) -> CommonTable:
    """A query as a common table."""
    check(
        InvalidQuery,
        name=(name, str),
        recursive=(recursive, Callable, None),
        union_all=(union_all, bool),
    )
    spec = _rows_alone(spec)
    outputs = spec.outputs or ()
    dotted = next((it for it, _ in outputs if "." in it), None)
    if dotted is not None:
        raise InvalidQuery(
            f"`cte`: fields of a common table have names without dots: name `{dotted}` with "
            "`values(name=…)`"
        )
    rows, values = selection(spec)
    select = ("select", spec.table, rows)
    if recursive is None:
        return CommonTable(derived(name, outputs, select), values, spec.using)
    itself = CommonTable(derived(name, outputs, select, ITSELF), (), spec.using)
    further = recursive(itself)
    if not isinstance(further, Query) or not further._spec.reads(itself._table):
        raise InvalidQuery(
            "`cte`: `recursive` must return a query that reads the table that it is passed: "
            "`lambda tree: Node.select().join(tree, …)`"
        )
    step = _rows_alone(further._spec)
    _check_using("cte", step.using, spec)
    check_alike("cte", outputs, step.outputs or ())
    columns = zip(outputs, step.outputs or (), strict=True)
    outputs = tuple([in_common(*column) for column in columns])
    rows, of_step = selection(step)
    operator = "union-all" if union_all else "union"
    further_rows = (operator, itself._table, ("select", step.table, rows))
    return CommonTable(derived(name, outputs, select, further_rows), values + of_step, spec.using)


def _rows_alone(spec: QuerySpec) -> QuerySpec:
    """A query of values; of all fields, if it selects none."""
    refuse(spec, "cte", "holds values of the rows of a query, and only reads them", _ROWS)
    return of_values(spec)


def _check_using(method: str, using: Using, spec: QuerySpec) -> None:
    """Reject a query that would run on another connection."""
    if using is not None and using != spec.using:
        raise InvalidQuery(
            f"`{method}`: a common table is part of the query that reads it: call `using` with "
            "the same connection on both, or on neither"
        )
