"""`ferro.retry` runs a transaction again that lost against others, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

import ferro
from models import User


def lost(error: type[ferro.FerroError], *, retryable: bool = True) -> ferro.FerroError:
    made = error("lost")
    made.retryable = retryable
    return made


@pytest.mark.usefixtures("db")
async def test_everyone_who_adds_has_added_in_the_end() -> None:
    await User.create(name="Ada", age=0)

    async def grow() -> int:
        ada = await User.get(name="Ada")
        assert ada.age is not None
        ada.age += 1
        await ada.save()
        return ada.age

    found = await asyncio.gather(*(ferro.retry(grow, attempts=50) for _ in range(8)))
    assert sorted(found) == list(range(1, 9))
    assert (await User.get(name="Ada")).age == 8


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("error", "runs"),
    [
        (lost(ferro.SerializationError), 3),
        (lost(ferro.DeadlockError), 3),
        (lost(ferro.BusyError), 3),
        (lost(ferro.BusyError, retryable=False), 1),
        (lost(ferro.OutcomeUnknown, retryable=False), 1),
        (ValueError("mine"), 1),
        (asyncio.CancelledError(), 1),
    ],
)
async def test_only_what_lost_is_run_again_and_not_for_ever(
    error: BaseException, runs: int
) -> None:
    ran = 0

    async def work() -> None:
        nonlocal ran
        ran += 1
        await User.create(name="Ada")
        raise error

    with pytest.raises(type(error)) as caught:
        await ferro.retry(work, attempts=3)
    assert caught.value is error
    assert ran == runs
    assert await User.select().count() == 0


@pytest.mark.usefixtures("db")
async def test_what_went_well_at_last_is_the_result_and_committed_once() -> None:
    tries = iter([lost(ferro.SerializationError), lost(ferro.BusyError), None])

    async def work() -> str:
        await User.create(name="Ada")
        error = next(tries)
        if error is not None:
            raise error
        return "done"

    assert await ferro.retry(work) == "done"
    assert await User.select().count() == 1


async def test_it_takes_the_options_of_a_transaction(db: str, dialect: str) -> None:
    async def isolation() -> str:
        row = await ferro.fetch_one("show transaction_isolation")
        assert row is not None
        return str(row["transaction_isolation"])

    if dialect == "postgres":
        assert await ferro.retry(isolation) == "serializable"
        assert await ferro.retry(isolation, isolation="repeatable-read") == "repeatable read"
    await ferro.connect("sqlite::memory:", "other", auto_migrate=True)

    async def label() -> str:
        inside = await User.create(name="Ada")
        assert await User.using("other").get_or_none(inside.id) is not None
        return "other"

    assert await ferro.retry(label, using="other", immediate=True) == "other"
    assert await User.using("default").select().count() == 0


@pytest.mark.usefixtures("db")
async def test_what_cannot_be_meant_is_refused() -> None:
    async def work() -> None:
        await User.create(name="Ada")

    async with ferro.transaction():
        with pytest.raises(ferro.TransactionError, match="outside it"):
            await ferro.retry(work)
    for attempts in (0, -1, True, "3"):
        with pytest.raises(ferro.ConfigurationError, match="`attempts` takes an int"):
            await ferro.retry(work, attempts=attempts)  # type: ignore[arg-type]
    with pytest.raises(ferro.ConfigurationError, match="`isolation` takes one of"):
        await ferro.retry(work, isolation="dirty")  # type: ignore[arg-type]
    assert await User.select().count() == 0
