"""Values of all rows of a relation: how many there are, and sums, averages, least and greatest."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any

import pytest

import ferro


class FilmMood(enum.IntEnum):
    SAD = 1
    GLAD = 2


class Studio(ferro.Model, table="related_studio"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    wanted: int = 0
    tenant: int = 1
    films: ferro.Relation[list[Film]] = ferro.BackRef()
    shops: ferro.Relation[list[Studio]] = ferro.ManyToMany(related_name="suppliers")


class Film(ferro.Model, table="related_film"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    title: str
    stars: int = 0
    cost: Decimal = Decimal(0)
    mood: FilmMood = FilmMood.GLAD
    tenant: int = 1
    studio: ferro.Relation[Studio] = ferro.ForeignKey(related_name="films")
    parts: ferro.Relation[list[Film]] = ferro.BackRef()
    follows: ferro.Relation[Film | None] = ferro.ForeignKey(related_name="parts", default=None)
    genres: ferro.Relation[list[Genre]] = ferro.ManyToMany(related_name="films")


class Genre(ferro.Model, table="related_genre"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    films: ferro.Relation[list[Film]] = ferro.BackRef()


S: Any = Studio
F: Any = Film
G: Any = Genre


@pytest.fixture(autouse=True)
async def _films(db: str) -> None:
    ark, bay, _ = [await Studio.create(name=it) for it in ("Ark", "Bay", "Cox")]
    air = await Film.create(title="Air", stars=5, cost=Decimal("1.50"), studio=ark)
    await Film.create(title="Air 2", stars=2, cost=Decimal("0.25"), studio=ark, follows=air)
    await Film.create(title="Ivy", stars=4, mood=FilmMood.SAD, studio=bay, tenant=2)
    drama, crime, _ = [await Genre.create(name=it) for it in ("drama", "crime", "war")]
    await air.genres.add(drama, crime)
    (ivy,) = await bay.films
    await ivy.genres.add(drama)
    await ark.shops.add(ark, bay)


async def names(query: ferro.Select[Any]) -> list[str]:
    return [it.name for it in await query.order_by("name")]


async def of_studios(**values: Any) -> list[tuple[Any, ...]]:
    query = Studio.select(**values).order_by("name")
    return [tuple(it.values()) for it in await query]


class TestOfARelation:
    async def test_rows_are_counted_also_where_there_are_none(self) -> None:
        assert await of_studios(n=S.films.count()) == [(2,), (1,), (0,)]
        assert await of_studios(n=lambda s: s.films.count() * 2 + 1) == [(5,), (3,), (1,)]

    async def test_a_field_is_added_up_averaged_and_compared(self) -> None:
        found = await of_studios(
            sum=S.films.sum("stars"),
            avg=S.films.avg(F.stars),
            min=S.films.min(lambda f: f.stars),
            max=S.films.max("title"),
        )
        assert found == [(7, 3.5, 2, "Air 2"), (4, 4.0, 4, "Ivy"), (None, None, None, None)]

    async def test_values_have_the_type_of_the_field(self) -> None:
        found = await of_studios(cost=S.films.sum(F.cost * 2), mood=S.films.min("mood"))
        assert found == [(Decimal("3.50"), FilmMood.GLAD), (Decimal(0), FilmMood.SAD), (None, None)]
        assert type(found[0][1]) is FilmMood

    async def test_a_condition_says_which_rows(self) -> None:
        assert await of_studios(n=S.films.where(F.stars > 2).count()) == [(1,), (1,), (0,)]
        chosen = S.films.where(lambda f: f.stars > 2, mood=FilmMood.GLAD)
        stars = chosen.where(title="Air").sum("stars")
        assert await of_studios(stars=stars) == [(5,), (None,), (None,)]
        sad = S.films.where(F.genres.any(name="drama"), F.studio.name != "Ark")
        assert await of_studios(n=sad.count()) == [(0,), (1,), (0,)]

    async def test_a_condition_names_the_row_around(self) -> None:
        await Studio.where(name="Ark").update(wanted=5)
        wanted = S.films.where(F.stars == ferro.outer(S.wanted)).count()
        assert await of_studios(n=wanted) == [(1,), (0,), (0,)]

    async def test_it_stands_in_conditions_orders_and_groups(self) -> None:
        assert await names(Studio.where(lambda s: s.films.count() > 1)) == ["Ark"]
        assert await names(Studio.where(S.films.count() == 0)) == ["Cox"]
        assert await names(Studio.where(S.films.max("stars").in_([4, 5]))) == ["Ark", "Bay"]
        loved = S.films.sum("stars") > S.films.count() * 3
        assert await names(Studio.where(loved)) == ["Ark", "Bay"]
        ordered = Studio.select().order_by(S.films.sum("stars").desc(), "name")
        assert [it.name for it in await ordered] == ["Ark", "Bay", "Cox"]
        ordered = Studio.select().order_by(lambda s: s.films.count()).limit(1)
        assert [it.name for it in await ordered] == ["Cox"]
        grouped = Studio.select(n=S.films.count(), studios=ferro.count()).group_by(S.films.count())
        assert await grouped.order_by("n") == [{"n": it, "studios": 1} for it in (0, 1, 2)]
        assert await Studio.select().sum(S.films.count()) == 3

    async def test_values_of_conditions_are_bound_in_their_places(self) -> None:
        many = S.films.where(F.stars > 1).count()
        query = Studio.where(S.name != "Eve", many == 2, S.name != "Zoe").limit(7)
        assert [it.name for it in await query] == ["Ark"]
        few = Studio.select(n=many).where(many < 2).order_by(many + 3).limit(1)
        assert await few == [{"n": 0}]


class TestAlongAPath:
    async def test_the_relation_of_another_row_is_counted(self) -> None:
        of_same = await Film.select(n=F.studio.films.count()).order_by("title")
        assert of_same == [{"n": 2}, {"n": 2}, {"n": 1}]
        assert await Film.where(lambda f: f.studio.films.sum("stars") == 4).count() == 1
        assert await Film.where(F.follows.parts.count() == 1).count() == 1

    async def test_rows_of_the_same_model_are_counted(self) -> None:
        found = await Film.select("title", n=F.parts.count()).order_by("title")
        assert found == [{"title": it, "n": n} for it, n in (("Air", 1), ("Air 2", 0), ("Ivy", 0))]

    async def test_a_relation_inside_of_any_and_of_another_count(self) -> None:
        assert await names(Studio.where(S.films.any(lambda f: f.genres.count() == 2))) == ["Ark"]
        assert await names(Studio.where(S.films.all(F.genres.count() == 1))) == ["Bay", "Cox"]
        assert await of_studios(n=S.films.where(F.genres.count() > 0).count()) == [(1,), (1,), (0,)]
        assert await of_studios(n=S.films.sum(F.genres.count())) == [(2,), (1,), (None,)]


class TestThroughPairs:
    async def test_rows_at_the_other_end_are_counted(self) -> None:
        found = await Film.select(n=F.genres.count(), last=F.genres.max("name")).order_by("title")
        assert [tuple(it.values()) for it in found] == [(2, "drama"), (0, None), (1, "drama")]
        found = await Genre.select(
            n=G.films.count(), stars=G.films.where(F.stars > 4).sum("stars")
        ).order_by("name")
        assert [tuple(it.values()) for it in found] == [(1, 5), (2, 5), (0, None)]

    async def test_both_ends_may_be_the_same_model(self) -> None:
        found = await of_studios(shops=S.shops.count(), suppliers=S.suppliers.max("name"))
        assert found == [(2, "Ark"), (0, "Ark"), (0, None)]

    async def test_a_path_leads_to_them(self) -> None:
        found = await Film.select(n=F.studio.shops.count()).order_by("title")
        assert [it["n"] for it in found] == [2, 2, 0]


class TestOfChosenRows:
    async def test_any_none_and_all_ask_those(self) -> None:
        loved = S.films.where(F.stars >= 4)
        assert await names(Studio.where(loved.any())) == ["Ark", "Bay"]
        assert await names(Studio.where(loved.any(mood=FilmMood.SAD))) == ["Bay"]
        assert await names(Studio.where(loved.none())) == ["Cox"]
        assert await names(Studio.where(loved.none(mood=FilmMood.SAD))) == ["Ark", "Cox"]
        assert await names(Studio.where(loved.all(mood=FilmMood.GLAD))) == ["Ark", "Cox"]
        with pytest.raises(ferro.InvalidQuery, match="`all` needs a condition"):
            await names(Studio.where(loved.all()))
        assert await names(Studio.where(loved.all(F.cost > 1, mood=FilmMood.GLAD))) == [
            "Ark",
            "Cox",
        ]
        assert await names(Studio.where(S.films.all(F.cost > 1))) == ["Cox"]

    async def test_rows_for_which_the_condition_is_null_are_not_chosen(self) -> None:
        of_second = S.films.where(F.follows_id > 0)
        assert await of_studios(n=of_second.count()) == [(1,), (0,), (0,)]
        assert await names(Studio.where(of_second.all(title="Air 2"))) == ["Ark", "Bay", "Cox"]
        assert await names(Studio.where(of_second.all(title="Air"))) == ["Bay", "Cox"]

    async def test_a_row_and_null_are_looked_for_among_them(self) -> None:
        air = await Film.get(title="Air")
        assert await names(Studio.where(S.films.where(F.stars > 4) == air)) == ["Ark"]
        assert await names(Studio.where(S.films.where(F.stars < 5) == air)) == []
        assert await names(Studio.where(S.films.where(F.stars > 4).is_null())) == ["Bay", "Cox"]


async def test_an_update_takes_them_and_a_delete_asks_them() -> None:
    await Studio.select().update(wanted=lambda s: s.films.count() + 1)
    assert await of_studios(wanted=S.wanted) == [(3,), (2,), (1,)]
    assert await Film.where(lambda f: f.studio.films.count() == 1).delete() == 1
    assert await Studio.where(S.films.count() == 0).delete() == 2


async def test_included_rows_are_chosen_by_them() -> None:
    chosen = Film.where(F.genres.count() > 0).order_by(F.genres.count().desc())
    for rows in (chosen, chosen.limit(1)):
        studios = await Studio.select().include(films=rows).order_by("name")
        assert [[film.title for film in it.films] for it in studios] == [["Air"], ["Ivy"], []]


async def test_a_page_goes_on_behind_one() -> None:
    query = Studio.select().order_by(S.films.count().desc()).limit(2)
    page = await query.page()
    assert [it.name for it in page.rows] == ["Ark", "Bay"]
    assert page.end is not None
    assert [it.name for it in (await query.page_after(page.end)).rows] == ["Cox"]


async def test_t2_values_of_related_rows_are_of_rows_in_scope() -> None:
    rights = {"filters": {"tenant": 1}}
    pairs = ("related_studio_shops", "related_film_genres")
    tables: dict[str, Any] = {"related_studio": {}, "related_film": rights, "related_genre": {}}
    tables |= {it: {} for it in pairs}
    acme = ferro.Tenant("acme", grants={"default": {"access": "read-only", "tables": tables}})
    with ferro.scope(acme):
        assert await of_studios(n=S.films.count()) == [(2,), (0,), (0,)]
        found = await Genre.select(n=G.films.count()).order_by("name")
        assert [it["n"] for it in found] == [1, 1, 0]
        assert await names(Studio.where(S.films.max("stars") > 3)) == ["Ark"]


class TestMistakes:
    def test_a_name_behind_many_rows_is_refused(self) -> None:
        for wrong in (lambda: S.films.title, lambda: S.films.limit(3)):
            with pytest.raises(ferro.InvalidQuery, match=r"leads to many rows: .* as `count\(\)`"):
                wrong()

    def test_fields_and_conditions_are_those_of_the_other_end(self) -> None:
        with pytest.raises(ferro.UnknownField, match="`Film` has no field `star`: did you mean"):
            S.films.sum("star")
        with pytest.raises(ferro.UnknownField, match="`Film` has no field `name`"):
            S.films.where(name="Air")
        with pytest.raises(ferro.InvalidQuery, match="is not a condition"):
            S.films.where("Air")

    async def test_what_cannot_be_added_up_is_refused(self) -> None:
        with pytest.raises(ferro.TypeMismatch):
            await of_studios(sum=S.films.sum("title"))

    async def test_a_field_of_the_row_around_is_named_so(self) -> None:
        with pytest.raises(ferro.InvalidQuery, match=r"use `ferro.outer\(Studio"):
            await of_studios(n=S.films.where(F.stars == S.wanted).count())

    async def test_a_relation_to_one_row_leads_to_fields_of_these_names(self) -> None:
        with pytest.raises(ferro.UnknownField, match="`Studio` has no field `count`"):
            await Film.where(lambda f: f.studio.count > 3)
