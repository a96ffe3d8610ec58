"""What ends the program ends it, and is no error of a query."""

from __future__ import annotations

import enum

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
    def compile(catalog: Catalog, request: str) -> str:
        raise interrupt

    query = Sleeper.where(name=interrupt.__name__).order_by("-name").limit(1)
    with monkeypatch.context() as patch, pytest.raises(interrupt):
        patch.setattr(Catalog, "compile", compile)
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
