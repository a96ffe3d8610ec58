"""Models that refer to each other in a circle."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

import ferro
from ferro import BackRef, ForeignKey, Relation
from ferro._tables.registry import registry

pytestmark = pytest.mark.usefixtures("db")


class Team(ferro.Model, table="circle_team"):
    name: str = ferro.Field(primary_key=True)
    captain: Relation[Player | None] = ForeignKey(related_name="captain_of", on_delete="set null")
    players: Relation[list[Player]] = BackRef()


class Player(ferro.Model, table="circle_player"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    team: Relation[Team] = ForeignKey(related_name="players")
    captain_of: Relation[list[Team]] = BackRef()


class Shirt(ferro.Model, table="circle_shirt"):
    """Its key is that of a player, which is no field of its own."""

    player: Relation[Player] = ForeignKey(primary_key=True)
    washed_by: Relation[Shirt | None] = ForeignKey()


class Stain(ferro.Model, table="circle_stain"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    shirt: Relation[Shirt] = ForeignKey()


async def test_foreign_keys_may_form_a_circle() -> None:
    team = await Team.create(name="red")
    player = await Player.create(team=team)
    team.captain = player
    await team.save()
    assert Team.__ferro_table__ is not None
    assert Team.__ferro_table__.columns["captain_id"].kind == "integer"
    assert Player.__ferro_table__ is not None
    assert Player.__ferro_table__.columns["team_id"].kind == "text"
    found = await Team.where(lambda t: t.captain.team.name == "red").include("captain", "players")
    assert [(it.captain, list(it.players)) for it in found] == [(player, [player])]
    assert await player.captain_of == [team]
    with pytest.raises(pydantic.ValidationError, match="captain_id"):
        Team(name="blue", captain_id="nobody")  # type: ignore[call-arg]
    with pytest.raises(ferro.ForeignKeyViolation):
        await Team.create(name="blue", captain_id=99)
    await player.delete()
    await team.refresh()
    assert not team.captain


def test_the_json_schema_has_the_types_of_keys() -> None:
    captain = Team.model_json_schema()["properties"]["captain_id"]
    assert captain["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert Player.model_json_schema()["properties"]["team_id"]["type"] == "string"
    assert Stain.model_json_schema()["properties"]["shirt_id"]["type"] == "integer"


async def test_a_key_that_is_a_relation_can_be_referred_to() -> None:
    player = await Player.create(team=await Team.create(name="red"))
    shirt = await Shirt.create(player=player)
    other = await Shirt.create(player=await Player.create(team_id="red"), washed_by=shirt)
    stain = await Stain.create(shirt=other)
    assert await Stain.where(lambda s: s.shirt.washed_by.player.id == player.id).all() == [stain]
    with pytest.raises(pydantic.ValidationError, match="shirt_id"):
        Stain(shirt_id="x")  # type: ignore[call-arg]


@pytest.mark.parametrize("longer", [False, True])
async def test_keys_that_are_each_others_are_refused(longer: bool) -> None:
    def define(name: str, target: str) -> Any:
        body = {
            "__module__": __name__,
            "__annotations__": {"next": f"Relation[{target}]"},
            "next": ForeignKey(primary_key=True),
        }
        return type(Team)(name, (ferro.Model,), body, table=f"circle_{name}")

    made = [define("Hen", "Egg"), define("Egg", "Shell" if longer else "Hen")]
    if longer:
        made.append(define("Shell", "Hen"))
    named = "`Egg`, `Hen`, `Shell`" if longer else "`Egg`, `Hen`"
    try:
        with pytest.raises(ferro.SchemaError, match=f"keys of {named} form a cycle"):
            await Team.all()
    finally:
        for model in made:
            registry.remove(model.__ferro_table__)
    assert await Team.all() == []
