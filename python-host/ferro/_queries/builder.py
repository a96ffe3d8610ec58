"""What a query asks for: each method returns another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from .._abstract_query import AbstractQuery
from .._argument import check, counted
from .._connections.transaction import Transaction, Using, check_using
from .._expressions.expression import Expression
from .._expressions.ordering import Ordering, Outputs, Term, ordering_of, term_of
from .._expressions.path import conditions_of, value_from
from .._expressions.value import FieldExpression, Value
from .._tables.table import Table
from ..exceptions import InvalidQuery
from .computed import named, outputs_of
from .pairs import fields_of

T = TypeVar("T")
V = TypeVar("V")

Form = Literal["dict", "value", "pair"]

# To a type checker `User.age >= 18` compares two integers: that it is a condition only shows when
# it runs. `where` refuses a real `bool` there.
Condition = Expression | bool | Callable[[Any], Any]

if TYPE_CHECKING:
    from .._relations.include import Tree
    from .select import Select


class Builder(AbstractQuery, Generic[T]):
    """What a query asks for."""

    __slots__ = (
        "_condition",
        "_distinct",
        "_form",
        "_group",
        "_having",
        "_includes",
        "_limit",
        "_lock",
        "_model",
        "_offset",
        "_order",
        "_outputs",
        "_table",
        "_using",
    )

    def __init__(self, model: type[Any], table: Table, using: Using) -> None:
        self._model = model
        self._table = table
        self._using = using
        self._condition: Expression | None = None
        self._outputs: Outputs | None = None
        self._form: Form = "dict"
        """How a row of outputs comes: as a dict, the only value by itself, or as an instance with a
        dict beside it. Then all fields are listed before what is beside."""
        self._distinct: bool | tuple[Value, ...] = False
        """Whether rows that are alike come once; or in what those agree of which one comes."""
        self._group: tuple[Value, ...] = ()
        self._having: Expression | None = None
        self._order: tuple[Term, ...] | None = None
        self._limit: int | None = None
        self._offset: int | None = None
        self._includes: Tree = {}
        self._lock: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._table.label}>"

    def where(self, /, *conditions: Condition, **equals: Any) -> Select[T]:
        """Only rows for which all conditions hold, besides those asked before.

        A condition is an expression (`User.age >= 18`), a function of the model's fields
        (`lambda u: u.age >= 18`), or `field=value`.
        """
        query = self._copy()
        for condition in conditions_of(self._table, conditions, equals):
            known = query._condition
            query._condition = condition if known is None else known & condition
        return query

    def order_by(self, *terms: Any) -> Select[T]:
        """In an order: `"name"`, `"-age"`, `"author.name"`, `User.age.desc()`. Replaces a former
        one. A name is that of a value that is asked for, if there is one, else of a field.

        Nulls come last, unless `nulls="first"` is asked of `asc` or `desc`.
        """
        query = self._copy()
        query._order = tuple([term_of(query._table, it) for it in terms])
        return query

    def _ordering(self) -> Ordering:
        """The order, now that it is known what names mean."""
        outputs = self._outputs
        if outputs is not None and self._form == "value":
            # Who asks for one computed value gives it no name.
            outputs = tuple([it for it in outputs if isinstance(it[1], FieldExpression)])
        return ordering_of(self._table, outputs, self._order or ())

    def limit(self, count: int) -> Select[T]:
        """At most so many rows; with 0 none. Rows that tie in the order go by their key."""
        query = self._copy()
        query._limit = counted("limit", count)
        return query

    def offset(self, count: int) -> Select[T]:
        """Without the first so many rows."""
        query = self._copy()
        query._offset = counted("offset", count)
        return query

    def distinct(self) -> Select[T]:
        """Rows that are alike in all that is asked for come once."""
        query = self._copy()
        query._distinct = True
        return query

    def distinct_on(self, field: Any, /, *fields: Any) -> Select[T]:
        """Of the rows that agree in all fields, the first one in the order of the query."""
        query = self._copy()
        query._distinct = tuple([value_from(self._table, it) for it in (field, *fields)])
        return query

    def values(self, /, *fields: Any, **computed: Any) -> Select[dict[str, Any]]:
        """Some values of each row, as dicts: `values("name", length=lambda u: u.name.length())`.

        A name stands for its field, also across relations: `"author.name"`. With `group_by`, each
        row is a group: `values("country", people=ferro.count())`.
        """
        return self._of(outputs_of(self._table, fields, computed) or fields_of(self._table), "dict")

    @overload
    def column(self, field: str | Value | Callable[[Any], Any], /) -> Select[Any]: ...
    @overload
    def column(self, field: V, /) -> Select[V]: ...
    def column(self, field: Any, /) -> Any:
        """One value of each row, by itself and not in a dict: `column("name")`, `column(User.age)`,
        `column(lambda u: u.name.length())`.

        Example:
            >>> import ferro
            >>> class River(ferro.Model, table="doc_river"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            ...     name: str
            ...     length: int
            >>> async def names() -> list[str]:
            ...     return await River.where(River.length > 1_000).order_by("name").column("name")
        """
        return self._of((named(self._table, field),), "value")

    def _of(self, outputs: Outputs, form: Form) -> Select[Any]:
        query: Select[Any] = self._copy()
        query._outputs = outputs
        query._form = form
        return query

    def group_by(self, *fields: Any) -> Select[T]:
        """Rows that agree in all fields become one: `values` says what is asked of them."""
        query = self._copy()
        query._group = tuple(value_from(self._table, field) for field in fields)
        return query

    def having(self, *conditions: Condition) -> Select[T]:
        """Only groups for which all conditions hold: `having(lambda u: u.id.count() > 3)`."""
        query = self._copy()
        for condition in conditions_of(self._table, conditions, {}):
            known = query._having
            query._having = condition if known is None else known & condition
        return query

    def include(self, /, *relations: str, **chosen: Select[Any]) -> Select[T]:
        """Load relations with the rows: `include("author", "comments.author")`.

        One more query for each relation, however many rows. A query as the value says which of the
        related rows, and in which order; its limit and offset are for each of the rows:
        `include(comments=Comment.where(hidden=False).order_by("-id").limit(3))`.
        """
        from .._relations.include import added

        query = self._copy()
        query._includes = added(self._table, query._includes, relations, chosen)
        return query

    def for_update(self, *, skip_locked: bool = False, nowait: bool = False) -> Select[T]:
        """Lock the rows until the transaction ends: nobody else changes, deletes or locks them.

        Rows that another transaction has locked are waited for; with `skip_locked` they are left
        out, as by the workers of a queue, and with `nowait` they raise `BusyError` at once.
        Outside of a transaction it raises `TransactionError`. SQLite locks no rows: there it
        makes no difference, and `transaction(immediate=True)` lets one writer in at a time.

        Example:
            >>> import ferro
            >>> class Job(ferro.Model, table="doc_locked_job"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            ...     done: bool = False
            >>> async def work() -> None:
            ...     async with ferro.transaction():
            ...         job = await Job.where(done=False).for_update(skip_locked=True).first()
            ...         if job is not None:
            ...             job.done = True
            ...             await job.save()
        """
        return self._locked("update", skip_locked, nowait)

    def for_share(self, *, skip_locked: bool = False, nowait: bool = False) -> Select[T]:
        """Lock the rows until the transaction ends: nobody changes or deletes them, and others may
        lock them so too. Otherwise as `for_update`.

        Example:
            >>> import ferro
            >>> class Fund(ferro.Model, table="doc_shared_fund"):
            ...     id: int | None = ferro.Field(default=None, primary_key=True)
            ...     closed: bool = False
            >>> async def is_open(fund: int) -> bool:
            ...     async with ferro.transaction():
            ...         return not (await Fund.where(id=fund).for_share().one()).closed
        """
        return self._locked("share", skip_locked, nowait)

    def _locked(self, strength: str, skip_locked: bool, nowait: bool) -> Select[T]:
        check(InvalidQuery, skip_locked=(skip_locked, bool), nowait=(nowait, bool))
        if skip_locked and nowait:
            raise InvalidQuery(f"`for_{strength}` takes `skip_locked` or `nowait`, not both")
        query = self._copy()
        query._lock = strength, "skip-locked" if skip_locked else "no-wait" if nowait else "wait"
        return query

    def using(self, connection: str | Transaction) -> Select[T]:
        """The same on a connection, or in a transaction that was passed to this task."""
        check_using(connection)
        query = self._copy()
        query._using = connection
        return query

    if TYPE_CHECKING:

        def _copy(self) -> Select[T]: ...
