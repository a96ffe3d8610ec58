"""The package `ferro-orm`, whose module has the name of ours: it has an environment of its own."""

from __future__ import annotations

from typing import Any

from data import PAGE, POOL

import ferro
from subjects import ferro as shared

Person: Any = shared.Person


def make(dialect: str) -> Any:
    """The subject for a database."""
    return Subject()


class Subject(shared.Subject):
    async def open(self, url: str) -> None:
        pool = ferro.PoolConfig(max_connections=POOL)
        # With an identity map a row would be made once, and not again by each query.
        await ferro.connect(url, pool=pool, identity_map=False)
        self._session = self._new_session()
        await self._session.__aenter__()

    async def close(self) -> None:
        await self._session.__aexit__(None, None, None)
        ferro.reset_engine()

    def _new_session(self) -> Any:
        return ferro.engines.session()

    async def delete_from(self, first: int) -> None:
        await Person.where(lambda person: person.id >= first).delete()

    async def page(self, after: int) -> list[Any]:
        found = Person.where(lambda person: (person.id > after) & (person.active == True))  # noqa: E712
        page: list[Any] = await found.order_by(lambda person: person.id).limit(PAGE).all()
        return page

    async def get_at_once(self, key: int) -> Any:
        async with self._new_session():
            return await Person.get(key)
