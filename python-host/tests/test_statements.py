"""The logger of statements: what SQLAlchemy's `echo` and Django's `django.db.backends` are."""

from __future__ import annotations

import logging

import pytest

import ferro
from models import User

LOGGER = "ferro.statement"


def _told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    told = [it for it in caplog.records if it.name == LOGGER]
    caplog.clear()
    return told


async def test_each_statement_is_a_record_with_its_sql(
    db: str, caplog: pytest.LogCaptureFixture
) -> None:
    await User.create(name="secret")
    assert _told(caplog) == [], "nobody listens yet"
    caplog.set_level(logging.DEBUG, LOGGER)
    assert [it.name for it in await User.where(name="secret")] == ["secret"]
    (record,) = _told(caplog)
    read = vars(record)
    assert (record.levelname, read["database"], read["outcome"]) == ("DEBUG", "default", "ok")
    assert (read["rows"], 0 <= read["elapsed"] < 60) == (1, True)
    assert read["sql"].startswith('SELECT "t0"."id"')
    assert "secret" not in read["sql"]
    assert record.getMessage().endswith(f"ms, 1 rows, ok: {read['sql']}")

    async with ferro.transaction():
        await User.create(name="b")
    assert [vars(it)["sql"].split()[0] for it in _told(caplog)] == ["BEGIN", "INSERT", "COMMIT"]

    with pytest.raises(ferro.FerroError):
        await ferro.execute("insert into\nnowhere values (1)")
    failed = _told(caplog)[-1]
    assert vars(failed)["outcome"] == "undefined-object"
    assert failed.getMessage().endswith("insert into\\nnowhere values (1)"), "it is one line"

    caplog.set_level(logging.WARNING, LOGGER)
    await User.all()
    assert _told(caplog) == []


async def test_slow_statements_are_warnings(url: str, caplog: pytest.LogCaptureFixture) -> None:
    for slow, expected in ((0, ["WARNING"]), (600, [])):
        await ferro.connect(url, pool=ferro.PoolConfig(slow_statement=slow))
        caplog.clear()
        await ferro.fetch_all("select 1 as n")
        assert [it.levelname for it in _told(caplog)] == expected
        await ferro.disconnect()
    with pytest.raises(ferro.ConfigurationError, match="`slow_statement`"):
        await ferro.connect(url, pool=ferro.PoolConfig(slow_statement=-1))
