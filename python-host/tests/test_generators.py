"""Blocks that are begun in an asynchronous generator end when it does, in whatever order."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

import ferro
from models import User

pytestmark = pytest.mark.usefixtures("db")


async def in_a_transaction() -> AsyncGenerator[None, None]:
    async with ferro.transaction():
        yield


async def in_a_session() -> AsyncGenerator[None, None]:
    async with ferro.session():
        yield


async def test_y4_a_generator_that_ends_leaves_the_task_in_its_own_transaction() -> None:
    rows = in_a_transaction()
    await anext(rows)
    with pytest.raises(ferro.TransactionError):
        async with ferro.transaction():
            await rows.aclose()
            with pytest.raises(ferro.TransactionError):
                await User.create(name="never outside a transaction")
    assert await User.select().count() == 0
    async with ferro.transaction():
        await User.create(name="Ada")
    assert await User.select().count() == 1


async def test_a_generator_that_ends_leaves_the_task_in_its_own_session() -> None:
    user = await User.create(name="Ada")
    rows = in_a_session()
    await anext(rows)
    async with ferro.session():
        first = await User.get(user.id)
        await rows.aclose()
        assert await User.get(user.id) is first
    assert await User.get(user.id) is not await User.get(user.id), "both have ended"
