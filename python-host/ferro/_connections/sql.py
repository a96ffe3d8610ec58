"""SQL text, for what the query API cannot express."""

from __future__ import annotations

from typing import Any

from .. import _native
from .._argument import check
from ..exceptions import InvalidQuery
from .transaction import Using, runner_for


async def execute(sql: str, *arguments: Any, using: Using = None) -> int:
    """Run one SQL statement, and return the number of changed rows.

    Placeholders are `?` or `$1`, on every database. `using` is the connection or the transaction
    that it runs on: by default the transaction of this task, otherwise the default connection.

    Raises `InvalidQuery` for several statements or a wrong number of values, `SqlSyntaxError` and
    `UndefinedObject` for SQL that the database does not understand, a subclass of `IntegrityError`
    if a constraint is violated, and `DeniedError` in a scope without `raw_sql`.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> int:
        ...     await ferro.connect("sqlite::memory:", "doc-execute")
        ...     await ferro.execute("create table t (n integer)", using="doc-execute")
        ...     changed = await ferro.execute("insert into t values (?)", 7, using="doc-execute")
        ...     await ferro.disconnect("doc-execute")
        ...     return changed
        >>> asyncio.run(main())
        1
    """
    return await sql_session(sql, arguments, using)[1].execute_raw(sql, arguments)


async def fetch_all(sql: str, *arguments: Any, using: Using = None) -> list[dict[str, Any]]:
    """Run one SQL statement, and return its rows, each as a dict by column name.

    Placeholders, `using` and the exceptions are those of `execute`.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> list[dict[str, object]]:
        ...     await ferro.connect("sqlite::memory:", "doc-fetch")
        ...     rows = await ferro.fetch_all("select ? as n", 7, using="doc-fetch")
        ...     await ferro.disconnect("doc-fetch")
        ...     return rows
        >>> asyncio.run(main())
        [{'n': 7}]
    """
    return await sql_session(sql, arguments, using)[1].fetch_raw(sql, arguments, False)


async def fetch_one(sql: str, *arguments: Any, using: Using = None) -> dict[str, Any] | None:
    """Run one SQL statement, and return its first row, or None if there is none.

    The statement runs to completion; add `limit 1` so that the database stops early. Placeholders,
    `using` and the exceptions are those of `execute`.

    Example:
        >>> import asyncio, ferro
        >>> async def main() -> object:
        ...     await ferro.connect("sqlite::memory:", "doc-fetch-one")
        ...     row = await ferro.fetch_one("select 1 as n where ? = 2", 1, using="doc-fetch-one")
        ...     await ferro.disconnect("doc-fetch-one")
        ...     return row
        >>> asyncio.run(main()) is None
        True
    """
    rows = await sql_session(sql, arguments, using)[1].fetch_raw(sql, arguments, True)
    return rows[0] if rows else None


def sql_session(sql: str, arguments: tuple[Any, ...], using: Using) -> tuple[str, _native.Session]:
    """The session that SQL text runs in, and its label; checks the values."""
    check(InvalidQuery, sql=(sql, str))
    # Other drivers take all values as a list. Here it would be one array value.
    if any(isinstance(it, tuple) for it in arguments):
        raise InvalidQuery(
            'a tuple is not a value: pass the values one by one, `fetch_all(sql, 7, "a")`, with '
            "one `?` for each, and the value of a list field as a list"
        )
    return runner_for(using)
