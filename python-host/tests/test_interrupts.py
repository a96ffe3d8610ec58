"""What ends the program ends it, and is no error of a query."""

from __future__ import annotations

import enum
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pydantic
import pytest

import ferro
from ferro._core.compiler import Catalog

pytestmark = pytest.mark.usefixtures("db")


class Alarm(enum.Enum):
    OFF = "off"
    NOW = "now"


class Watch(pydantic.BaseModel):
    alarm: Alarm = Alarm.OFF

    @pydantic.field_validator("alarm")
    @classmethod
    def _ring(cls, alarm: Alarm) -> Alarm:
        if alarm is Alarm.NOW:
            raise KeyboardInterrupt
        return alarm


class Sleeper(ferro.Model, table="interrupts_sleeper"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str = ""
    watch: Watch = ferro.Field(default=Watch())


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_while_a_query_is_compiled_is_none_of_its_errors(
    interrupt: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile(catalog: Catalog, request: str, cached: bool) -> str:
        raise interrupt

    query = Sleeper.where(name=interrupt.__name__).order_by("-name").limit(1)
    with monkeypatch.context() as patch, pytest.raises(interrupt):
        patch.setattr(Catalog, "compile_at_once", compile)
        await query.offset(len(interrupt.__name__))
    assert await query == []
    with pytest.raises(ferro.UndefinedObject):
        await ferro.fetch_all("select * from interrupts_nothing")


async def test_an_interrupt_while_a_document_is_read_is_no_fault_of_it() -> None:
    made = await Sleeper.create()
    await ferro.execute("""update interrupts_sleeper set watch = '{"alarm": "now"}'""")
    with pytest.raises(KeyboardInterrupt):
        await Sleeper.all()
    with pytest.raises(KeyboardInterrupt):
        await Sleeper.select("watch")
    await Sleeper.select().update(watch=Watch())
    assert await Sleeper.all() == [made]


class Broken(logging.Handler):
    """Raises something for the first record."""

    def __init__(self, raised: type[BaseException]) -> None:
        super().__init__()
        self.raised = raised
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())
        if len(self.told) == 1:
            raise self.raised


@contextmanager
def listening(raised: type[BaseException]) -> Iterator[Broken]:
    """Statements are told to a handler that raises something."""
    logger, handler = logging.getLogger("ferro.statement"), Broken(raised)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_in_a_handler_of_records_ends_the_program(
    interrupt: type[BaseException],
) -> None:
    with listening(interrupt) as handler:
        with pytest.raises(interrupt):
            async with ferro.transaction():
                await Sleeper.create()
        assert await Sleeper.select().count() == 0
        statements = [it.rpartition(": ")[2].split()[0] for it in handler.told]
        assert (statements[0], statements[-2:]) == ("BEGIN", ["ROLLBACK", "SELECT"])


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_in_a_logger_that_is_asked_ends_the_program(
    interrupt: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(level: int) -> bool:
        raise interrupt

    with monkeypatch.context() as patch:
        patch.setattr(logging.getLogger("ferro.statement"), "isEnabledFor", asked)
        with pytest.raises(interrupt):
            await Sleeper.all()
        with pytest.raises(interrupt):
            Sleeper.where(name="asked").sql()
    assert await Sleeper.all() == []


async def test_no_operation_fails_as_a_logger_does(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: told.append(it.exc_type))

    def asked(level: int) -> bool:
        raise ZeroDivisionError

    logger = logging.getLogger("ferro.statement")
    with monkeypatch.context() as patch:
        patch.setattr(logger, "isEnabledFor", asked)
        made = await Sleeper.create()
    with listening(LookupError):
        assert await Sleeper.all() == [made]
    assert set(told) == {ZeroDivisionError, LookupError}
