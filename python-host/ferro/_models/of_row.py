"""Methods of rows, which are easily called on the class."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from ..exceptions import InvalidQuery

F = TypeVar("F", bound=Callable[..., Any])


def of_row(method: F) -> F:
    """The same method, with an error of our own where there is no row: Python's misses `self`."""
    name = method.__name__
    hint = ": use a query, `User.where(…).delete()`, to delete many" if name == "delete" else ""

    @wraps(method)
    async def call(*arguments: Any, **options: Any) -> Any:
        if not arguments:
            raise InvalidQuery(f"`{name}` is a method of a row, not of a model{hint}")
        return await method(*arguments, **options)

    return cast(F, call)
