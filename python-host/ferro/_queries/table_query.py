"""Queries of the rows of a table: a model's, or a common one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .._argument import check
from .._connections.transaction import runner_for
from .._expressions.expression import Expression
from .._expressions.ordering import Outputs
from .._expressions.path import Given, conditions_of, field_of, value_from
from .._rows.identity import merge
from .._statements.shape import rows_shape
from ..exceptions import DoesNotExist, InvalidQuery
from .aggregate import aggregate
from .computed import named, outputs_of
from .pairs import fields_of, outputs_beside
from .query import Q, Query, T
from .read import read
from .spec import Form

V = TypeVar("V")

# To a type checker, `User.age >= 18` compares two integers: it is a condition only at run time.
# `where` rejects a real `bool`.
Condition = Expression | bool | Callable[[Any], Any]

if TYPE_CHECKING:
    from .common import CommonTable, CommonTableSelect
    from .spec import QuerySpec


class TableQuery(Query[T, Q]):
    """A query whose rows are those of a table, or groups of them."""

    __slots__ = ()

    def where(self, /, *conditions: Condition, **equals: Any) -> Q:
        """Keep the rows that satisfy all conditions, in addition to earlier ones.

        A condition is an expression (`User.age >= 18`), a function of the model's fields
        (`lambda u: u.age >= 18`), or `field=value`.
        """
        spec = self._spec
        return self._of(spec.where(*conditions_of(spec.table, conditions, equals)))

    def join(
        self, table: CommonTable, on: Expression | bool | Callable[[Any, Any], Any]
    ) -> CommonTableSelect[T]:
        """Join a common table: each row is returned once for every matching row of the table.

        `on` is a condition, or a function of the fields of both: `Author.select().join(totals,
        lambda author, t: author.id == t.author_id)`. Other parts of the query refer to the table's
        fields as `totals.c.author_id`.
        """
        from .common import joined

        return joined(self, table, on)

    def distinct(self) -> Q:
        """Drop rows that are equal in all selected values."""
        return self._of(self._spec.with_(distinct=True))

    def distinct_on(self, field: Given, /, *fields: Given) -> Q:
        """Keep the first row, in the order of the query, of those that agree in all fields."""
        spec = self._spec
        agreeing = tuple([value_from(spec.table, it) for it in (field, *fields)])
        return self._of(spec.with_(distinct=agreeing))

    def values(self, /, *fields: Given, **computed: Given) -> Any:
        """Select values of each row, as dicts: `values("name", length=lambda u: u.name.length())`.

        A name refers to a field, also across relations: `"author.name"`. With `group_by`, each row
        is a group: `values("country", people=ferro.count())`.
        """
        table = self._spec.table
        return self._asking(outputs_of(table, fields, computed) or fields_of(table), "dict")

    def column(self, field: Given, /) -> Any:
        """Select one value of each row, without a dict: `column("name")`, `column(User.age)`,
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
        return self._asking((named(self._spec.table, field),), "value")

    def with_values(self, /, *fields: Given, **computed: Given) -> Any:
        """Select values with each row: pairs of an instance and a dict.

        Values are given as for `values`, and an order refers to them by name: `Author.select()
        .with_values(posts=Author.posts.count()).order_by("-posts")`.
        """
        return self._asking(outputs_beside(self._spec, fields, computed), "pair")

    def _asking(self, outputs: Outputs, form: Form) -> Any:
        return self._of(self._spec.with_(outputs=outputs, form=form))

    def group_by(self, *fields: Given) -> Q:
        """Group the rows that agree in all fields; `values` selects the values of each group."""
        spec = self._spec
        group = tuple([value_from(spec.table, field) for field in fields])
        return self._of(spec.with_(group=group))

    def having(self, *conditions: Condition) -> Q:
        """Keep the groups that satisfy all conditions: `having(lambda u: u.id.count() > 3)`."""
        spec = self._spec
        having = spec.having
        for it in conditions_of(spec.table, conditions, {}):
            having = it if having is None else having & it
        return self._of(spec.with_(having=having))

    def for_update(self, *, skip_locked: bool = False, nowait: bool = False) -> Q:
        """Lock the rows until the transaction ends: others cannot change, delete or lock them.

        The query waits for rows that another transaction has locked; with `skip_locked` it skips
        them, as workers of a queue do, and with `nowait` it raises `BusyError` at once. Outside a
        transaction it raises `TransactionError`. SQLite does not lock rows: there it has no effect,
        and `transaction(immediate=True)` allows one writer at a time.

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

    def for_share(self, *, skip_locked: bool = False, nowait: bool = False) -> Q:
        """Lock the rows until the transaction ends: others cannot change or delete them, but can
        also use `for_share`. Otherwise like `for_update`.

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

    def _locked(self, strength: str, skip_locked: bool, nowait: bool) -> Q:
        check(InvalidQuery, skip_locked=(skip_locked, bool), nowait=(nowait, bool))
        if skip_locked and nowait:
            raise InvalidQuery(f"`for_{strength}` takes `skip_locked` or `nowait`, not both")
        lock = strength, "skip-locked" if skip_locked else "no-wait" if nowait else "wait"
        return self._of(self._spec.with_(lock=lock))

    async def get(self, key: Any = ..., /, **equals: Any) -> T:
        """Return the row with this key, or the only row whose fields have these values.

        Raises `DoesNotExist` and `MultipleObjectsReturned`.
        """
        rows = await self._such(key, equals)
        if not rows:
            raise DoesNotExist(f"there is no such `{self._spec.table.label}`")
        return rows[0]

    async def get_or_none(self, key: Any = ..., /, **equals: Any) -> T | None:
        """Like `get`, but returns None if there is no such row."""
        rows = await self._such(key, equals)
        return rows[0] if rows else None

    async def _such(self, key: Any, equals: dict[str, Any]) -> list[T]:
        """The row with a key, or the only one whose fields have values, if there is one."""
        spec = self._spec
        table = spec.table
        if key is None:
            raise InvalidQuery(f"the key of a `{table.label}` is never None")
        if isinstance(key, Expression) or callable(key):
            raise InvalidQuery(
                "`get` takes a key, or values of fields: use `where(…).one()` for other conditions"
            )
        if key is not ... and not equals and spec.plain and len(table.keys) == 1:
            return await _with_key(spec, key)
        keys = {} if key is ... else table.key_values(key)
        if not keys and not equals:
            raise InvalidQuery("`get` takes a key, or values of fields")
        spec = spec.where(*conditions_of(table, (), equals), *conditions_of(table, (), keys))
        if any(_is_of_one_row(spec, it) for it in (*equals, *keys)):
            # No limit is needed.
            return await read(spec)
        rows = await read(spec.at_most(2))
        return [self._only(rows)] if rows else []

    async def sum(self, field: Given) -> Any:
        """The sum of a field over all rows; None if there is none."""
        return await aggregate(self._spec, "sum", field)

    async def avg(self, field: Given) -> Any:
        """The average of a field over all rows; None if there is none."""
        return await aggregate(self._spec, "avg", field)

    async def min(self, field: Given) -> Any:
        """The least value of a field over all rows; None if there is none."""
        return await aggregate(self._spec, "min", field)

    async def max(self, field: Given) -> Any:
        """The greatest value of a field over all rows; None if there is none."""
        return await aggregate(self._spec, "max", field)


async def _with_key(spec: QuerySpec, key: Any) -> list[Any]:
    """The row of the table with a key: what is asked most often, without another query object."""
    table = spec.table
    condition = field_of(table, table.keys[0].name) == key
    query = table.query(("select", rows_shape(filter=condition._shape)))
    label, runner = runner_for(spec.using)
    found = await runner.fetch_instances(query, condition._values, table.loader)
    return merge(label, table, found)


def _is_of_one_row(spec: QuerySpec, name: str) -> bool:
    """Whether a condition on this field leaves one row at most."""
    keys = spec.table.keys
    if len(keys) != 1 or keys[0].name != name or spec.joins:
        return False
    return spec.limit is None and spec.offset is None and spec.outputs is None
