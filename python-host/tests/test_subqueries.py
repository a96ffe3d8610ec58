"""Queries inside of queries: lists of values, values, `exists`, and rows around."""

from __future__ import annotations

import enum
from typing import Any

import pytest

import ferro
from ferro._queries.selection import prepared


class WorkKind(enum.Enum):
    NOVEL = "novel"
    ESSAY = "essay"


class Novelist(ferro.Model, table="subquery_novelist"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    age: int = 0
    works: ferro.Relation[list[Work]] = ferro.BackRef()


class Work(ferro.Model, table="subquery_work"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    title: str
    stars: int = 0
    genre: WorkKind = WorkKind.NOVEL
    tags: list[str] = ferro.Field(default_factory=list)
    translated_from: int | None = None
    writer: ferro.Relation[Novelist] = ferro.ForeignKey(related_name="works")


N: Any = Novelist
W: Any = Work


@pytest.fixture(autouse=True)
async def _works(db: str) -> None:
    ada, ben, _ = [await Novelist.create(name=it, age=age) for it, age in PEOPLE]
    await Work.create(title="Air", stars=5, writer=ada)
    await Work.create(title="Bread", stars=3, genre=WorkKind.ESSAY, writer=ada)
    await Work.create(title="Clay", stars=4, writer=ben)


PEOPLE = (("Ada", 36), ("Ben", 50), ("Cyd", 4))


async def names(query: ferro.Select[Novelist]) -> list[str]:
    return [it.name for it in await query.order_by("name")]


async def titles(query: ferro.Select[Work]) -> list[str]:
    return [it.title for it in await query.order_by("title")]


class TestAmongTheValuesOfAQuery:
    async def test_a_value_is_looked_up_in_a_query(self) -> None:
        loved = Work.where(W.stars >= 4).values("writer_id")
        assert await names(Novelist.where(N.id.in_(loved))) == ["Ada", "Ben"]
        assert await names(Novelist.where(N.id.not_in(loved))) == ["Cyd"]
        assert await names(Novelist.where(lambda n: ~n.id.in_(loved))) == ["Cyd"]
        assert await names(Novelist.where(N.id.in_(Work.where(W.stars > 5).values("id")))) == []

    async def test_values_stand_in_the_order_of_the_query(self) -> None:
        loved = Work.where(W.stars.between(4, 5)).values("writer_id").order_by(W.stars + 1)
        query = Novelist.where(N.age > 3, N.id.in_(loved.limit(5).offset(1)), N.name != "Eve")
        assert await names(query.limit(10)) == ["Ada"]
        assert query.sql()[1][:4] == (3, 4, 5, 1)

    async def test_a_query_of_a_computed_value_and_of_groups(self) -> None:
        many = Work.select().group_by("writer_id").having(lambda w: w.id.count() > 1)
        assert await names(Novelist.where(N.id.in_(many.values("writer_id")))) == ["Ada"]
        decades = Novelist.where(N.name == "Ben").values(decade=N.age / 10)
        assert await titles(Work.where(W.stars.in_(decades))) == ["Air"]

    async def test_a_query_inside_of_one_that_is_inside_of_another(self) -> None:
        old = Novelist.where(N.age >= 50).values("id")
        clay = Work.where(W.writer_id.in_(old)).values("writer_id")
        assert await names(Novelist.where(N.id.in_(clay))) == ["Ben"]

    async def test_a_relation_is_looked_up_in_a_query_of_its_rows(self) -> None:
        old = Novelist.where(N.age >= 50)
        assert await titles(Work.where(W.writer.in_(old))) == ["Clay"]
        assert await titles(Work.where(W.writer.not_in(old))) == ["Air", "Bread"]
        assert await titles(Work.where(W.writer.in_(old.values("id")))) == ["Clay"]
        ada = await Novelist.select().include("works").order_by("id").first()
        assert ada is not None
        with pytest.raises(ferro.InvalidQuery, match="`Work.writer` takes a query of `Novelist`"):
            Work.where(W.writer.in_(Work.select()))

    async def test_enums_and_other_types_stay_what_they_are(self) -> None:
        genres = Work.where(title="Bread").values("genre")
        assert await titles(Work.where(W.genre.in_(genres))) == ["Bread"]
        assert await titles(Work.where(W.genre.not_in(genres))) == ["Air", "Clay"]
        with pytest.raises(ferro.TypeMismatch, match="`Work.title`"):
            await Work.where(W.title.in_(Work.select("stars")))

    async def test_a_null_among_the_values_leaves_no_value_that_is_not_there(self) -> None:
        sources = Work.select("translated_from")
        assert await titles(Work.where(W.id.not_in(sources))) == []
        known = sources.where(W.translated_from != None)  # noqa: E711 - a condition
        assert await titles(Work.where(W.id.not_in(known))) == ["Air", "Bread", "Clay"]

    async def test_in_updates_deletes_having_and_orders(self) -> None:
        young = Novelist.where(N.age < 40).values("id")
        assert await Work.where(W.writer_id.in_(young)).update(stars=W.stars + 1) == 2
        groups = Work.select().group_by("writer_id").having(W.writer_id.in_(young))
        assert await groups.values(best=W.stars.max()) == [{"best": 6}]
        case = ferro.case((W.writer_id.in_(young), 1), otherwise=0)
        ordered = await Work.select().order_by(case, "title")
        assert [it.title for it in ordered] == ["Clay", "Air", "Bread"]
        assert await Work.where(W.writer_id.in_(young)).delete() == 2
        assert await titles(Work.select()) == ["Clay"]

    async def test_groups_by_computed_values_keep_to_their_own_query(self) -> None:
        best = Work.where(W.stars % 2 == 1).values("stars")
        odd = W.stars % 2
        groups = Work.where(W.stars.in_(best)).group_by(odd).having(odd == 1)
        asked = groups.values(odd=odd, n=ferro.count(where=W.stars.in_(best)))
        assert await asked == [{"odd": 1, "n": 2}]


class TestAsAValue:
    async def test_the_value_in_the_first_row(self) -> None:
        average = Novelist.select(age=N.age.avg())
        older = Novelist.where(N.age.cast(float) > ferro.subquery(average))
        assert await names(older) == ["Ada", "Ben"]
        last = Novelist.select("age").order_by("-age")
        assert await names(Novelist.where(N.age == ferro.subquery(last))) == ["Ben"]
        assert await names(Novelist.where(N.age == ferro.subquery(last.offset(1)))) == ["Ada"]
        assert await names(Novelist.where(N.age == ferro.subquery(last.limit(5)))) == ["Ben"]
        none = ferro.subquery(last.limit(0))
        assert await names(Novelist.where(none.is_null())) == ["Ada", "Ben", "Cyd"]

    async def test_it_is_asked_of_each_row(self) -> None:
        own = Work.where(W.writer_id == ferro.outer(N.id))
        best = ferro.subquery(own.order_by("-stars").values("title"))
        total = ferro.subquery(own.values(total=W.stars.sum()))
        rows = await Novelist.select("name", best=best, total=total).order_by("name")
        assert rows == [
            {"name": "Ada", "best": "Air", "total": 8},
            {"name": "Ben", "best": "Clay", "total": 4},
            {"name": "Cyd", "best": None, "total": None},
        ]
        ordered = await Novelist.select().order_by(total.desc(nulls="first"))
        assert [it.name for it in ordered] == ["Cyd", "Ada", "Ben"]

    async def test_it_has_the_type_of_what_the_query_asks_for(self) -> None:
        first = Work.where(W.writer_id == ferro.outer(N.id)).order_by("-title").values("genre")
        genre = ferro.subquery(first)
        assert await names(Novelist.where(genre == WorkKind.ESSAY)) == ["Ada"]
        with pytest.raises(ferro.TypeMismatch, match="`Work.genre` takes a `WorkKind`"):
            Novelist.where(genre == "comic")
        rows = await Novelist.select(genre=genre).order_by("id")
        assert [row["genre"] for row in rows] == [WorkKind.ESSAY, WorkKind.NOVEL, None]

    async def test_it_stands_among_groups(self) -> None:
        average = ferro.subquery(Work.select(it=W.stars.avg()))
        groups = Work.select().group_by("writer_id").having(W.stars.avg() >= average)
        age = ferro.subquery(Novelist.where(N.id == ferro.outer(W.writer_id)).values("age"))
        rows = await groups.values("writer_id", age=age).order_by("writer_id")
        assert [row["age"] for row in rows] == [36, 50]

    async def test_a_group_is_the_first_one(self) -> None:
        counts = Work.select().group_by("writer_id").values(n=ferro.count())
        assert await titles(Work.where(W.stars > ferro.subquery(counts) + 2)) == ["Air"]

    async def test_values_of_an_upsert_cannot_be_queries(self) -> None:
        ada = await Novelist.get(name="Ada")
        stars = ferro.subquery(Work.select("stars"))
        with pytest.raises(ferro.UnsupportedError, match="no relations and selects"):
            await Novelist.upsert(ada, conflict=["id"], update={"age": stars})


class TestExists:
    async def test_whether_a_query_has_a_row(self) -> None:
        own = Work.where(W.writer_id == ferro.outer(N.id))
        assert await names(Novelist.where(ferro.exists(own))) == ["Ada", "Ben"]
        assert await names(Novelist.where(~ferro.exists(own.where(W.stars > 4)))) == ["Ben", "Cyd"]
        assert await names(Novelist.where(ferro.exists(own.offset(1)))) == ["Ada"]
        assert await names(Novelist.where(ferro.exists(own.limit(0)))) == []
        assert await names(Novelist.where(ferro.exists(Work.where(title="Air")))) == [
            "Ada",
            "Ben",
            "Cyd",
        ]

    async def test_as_a_condition_of_a_case(self) -> None:
        own = Work.where(W.writer_id == ferro.outer(N.id))
        writes = ferro.case((ferro.exists(own), "yes"), otherwise="no")
        rows = await Novelist.select("name", writes=writes).order_by("name")
        assert [row["writes"] for row in rows] == ["yes", "yes", "no"]


class TestOuter:
    async def test_the_same_model_inside_of_itself(self) -> None:
        better = Work.where(W.writer_id == ferro.outer(W.writer_id), W.stars > ferro.outer(W.stars))
        assert await titles(Work.where(~ferro.exists(better))) == ["Air", "Clay"]

    async def test_a_row_two_queries_around(self) -> None:
        of_both = Work.where(
            W.writer_id == ferro.outer(ferro.outer(N.id)), W.stars > ferro.outer(W.stars)
        )
        lesser = Work.where(W.writer_id == ferro.outer(N.id)).where(ferro.exists(of_both))
        assert await names(Novelist.where(ferro.exists(lesser))) == ["Ada"]

    async def test_in_the_condition_of_a_relation(self) -> None:
        await Work.create(title="Cyd", writer_id=(await Novelist.get(name="Cyd")).id)
        own_name = N.works.any(lambda w: w.title == ferro.outer(N.name))
        assert await names(Novelist.where(own_name)) == ["Cyd"]
        other = Work.where(lambda w: w.title == ferro.outer(ferro.outer(N.name)))
        within = N.works.any(lambda w: ferro.exists(other.where(W.id == ferro.outer(W.id))))
        assert await names(Novelist.where(within)) == ["Cyd"]

    async def test_a_field_across_a_relation(self) -> None:
        namesakes = Novelist.where(
            lambda n: (n.name == ferro.outer(W.writer.name)) & (n.age > ferro.outer(W.stars))
        )
        assert await titles(Work.where(ferro.exists(namesakes))) == ["Air", "Bread", "Clay"]

    async def test_in_the_order_of_a_query_where_the_database_has_it(self, dialect: str) -> None:
        nearest = Novelist.select("name").order_by((N.age - ferro.outer(W.stars) * 10).abs())
        found = Work.select("title", near=ferro.subquery(nearest)).order_by("title")
        ages = Novelist.select(n=ferro.count()).group_by(N.age - ferro.outer(W.stars))
        groups = Work.where(title="Air").values(n=ferro.subquery(ages))
        if dialect == "sqlite":
            for query in (found, groups):
                with pytest.raises(
                    ferro.UnsupportedError, match="by the fields of an outer select"
                ):
                    await query
        else:
            assert [row["near"] for row in await found] == ["Ben", "Ada", "Ada"]
            assert await groups == [{"n": 1}]
        younger = Novelist.select().order_by(N.age - ferro.outer(W.stars))
        assert await Work.where(ferro.exists(younger)).count() == 3

    async def test_without_rows_around_it_is_refused(self) -> None:
        own = Work.where(W.writer_id == ferro.outer(N.id))
        with pytest.raises(ferro.InvalidQuery, match="refers to a field of `Novelist`"):
            await own
        with pytest.raises(ferro.InvalidQuery, match="the outer rows are those of `Work`"):
            await Work.where(ferro.exists(own))
        with pytest.raises(ferro.InvalidQuery, match=r"or use `ferro.outer\(Novelist.…\)`"):
            await Novelist.where(ferro.exists(Work.where(W.writer_id == N.id)))
        for wrong in ("id", N.age + 1, N.works, None):
            with pytest.raises(ferro.InvalidQuery, match="`ferro.outer` takes a field"):
                ferro.outer(wrong)


async def test_queries_that_cannot_stand_inside_are_refused() -> None:
    ada = await Novelist.get(name="Ada")
    for wrong in (Work.select(), Work.select("id", "title"), ada.works):
        with pytest.raises(
            ferro.InvalidQuery, match="takes a query of one value, such as `User.select"
        ):
            N.id.in_(wrong)
        with pytest.raises(ferro.InvalidQuery, match="`ferro.subquery` takes a query of one value"):
            ferro.subquery(wrong)  # type: ignore[arg-type]
    for query, part in (
        (Work.using("other").select("id"), "leave out `using`"),
        (ada.works.values("id"), r"`Post.where\(author=author\)` instead of `author.posts`"),
        (Work.select().for_update().values("id"), "leave out `for_update`"),
    ):
        for use in (N.id.in_, N.id.not_in, ferro.subquery, ferro.exists):
            with pytest.raises(ferro.InvalidQuery, match=part):
                use(query)
    with pytest.raises(ferro.InvalidQuery, match="leave out `include`"):
        ferro.exists(Work.select().include("writer"))
    for none in ([1], None, Work):
        with pytest.raises(ferro.InvalidQuery, match="`ferro.exists` takes a query"):
            ferro.exists(none)  # type: ignore[arg-type]
    with pytest.raises(ferro.TypeMismatch, match="`Work.tags` cannot be looked up in a query"):
        W.tags.in_(Work.select("title"))
    with pytest.raises(ferro.InvalidQuery, match="`Work.tags` takes a list of values, not a query"):
        W.tags.overlaps(Work.select("title"))


async def test_where_a_query_stands_for_something_else_a_word_says_how() -> None:
    with pytest.raises(ferro.InvalidQuery, match=r"use `ferro.exists\(query\)` to test whether"):
        Work.where(Work.select())  # type: ignore[arg-type]
    with pytest.raises(
        ferro.InvalidQuery, match=r"not a value: use `ferro.subquery\(query\)` for the value of"
    ):
        Work.select(title=Work.select("title"))


async def test_deep_queries_are_refused_before_pythons_own_limit() -> None:
    query = Work.select("id")
    for _ in range(300):
        query = Work.where(W.id.in_(query)).values("id")
    with pytest.raises(ferro.InvalidQuery, match="at most 200 levels"):
        await query


async def test_a_shape_is_compiled_once() -> None:
    def loved(stars: int) -> ferro.Select[Novelist]:
        own = Work.where(W.writer_id == ferro.outer(N.id), W.stars >= stars)
        return Novelist.where(ferro.exists(own))

    assert prepared(loved(4)._spec)[0] is prepared(loved(5)._spec)[0]
    assert await names(loved(5)) == ["Ada"]
    assert await names(loved(4)) == ["Ada", "Ben"]


async def test_t2_queries_inside_of_queries_have_only_rows_in_scope() -> None:
    ada = await Novelist.get(name="Ada")
    tenant = ferro.Tenant(
        "subquery",
        grants={
            "default": ferro.Grant(
                tables={
                    "subquery_novelist": ferro.TableGrant(),
                    "subquery_work": ferro.TableGrant(filters={"writer_id": ada.id}),
                }
            )
        },
    )
    own = Work.where(W.writer_id == ferro.outer(N.id))
    best = ferro.subquery(own.order_by("-stars").values("title"))
    with ferro.scope(tenant):
        assert await names(Novelist.where(ferro.exists(own))) == ["Ada"]
        assert await names(Novelist.where(N.id.in_(Work.select("writer_id")))) == ["Ada"]
        rows = await Novelist.select(best=best).order_by("name")
    assert [row["best"] for row in rows] == ["Air", None, None]


class TestValuesToWrite:
    async def test_an_update_writes_what_queries_find(self) -> None:
        own = Work.where(W.writer_id == ferro.outer(N.id))
        most = ferro.subquery(own.values(most=W.stars.max()))
        assert await Novelist.where(ferro.exists(own)).update(age=most) == 2
        assert await Novelist.select("age").order_by("name") == [{"age": it} for it in (5, 4, 4)]
        changed = await Novelist.select().update_returning(
            name=ferro.subquery(own.order_by("stars").values("title")).coalesce(N.name)
        )
        assert sorted(it.name for it in changed) == ["Bread", "Clay", "Cyd"]

    async def test_an_update_writes_what_its_own_table_has(self) -> None:
        oldest = ferro.subquery(Novelist.select(age=N.age.max()))
        assert await Novelist.select().update(age=oldest) == 3
        assert await Novelist.where(age=50).count() == 3

    async def test_a_value_of_another_type_is_refused(self) -> None:
        with pytest.raises(ferro.TypeMismatch, match="text where integer is wanted"):
            await Novelist.select().update(age=ferro.subquery(Work.select("title")))

    async def test_a_value_of_rows_that_change_meanwhile_is_refused_on_sqlite(
        self, db: str
    ) -> None:
        others = Work.where(W.writer_id == ferro.outer(W.writer_id))
        change = Work.select().update(stars=ferro.subquery(others.values(most=W.stars.max())))
        if db.startswith("sqlite"):
            with pytest.raises(ferro.UnsupportedError, match="has changed already"):
                await change
        else:
            assert await change == 3
            assert await Work.select("stars").order_by("title") == [
                {"stars": it} for it in (5, 5, 4)
            ]

    async def test_what_a_relation_leads_to_is_asked_for_with_a_query(self) -> None:
        with pytest.raises(ferro.UnsupportedError, match="with `subquery`"):
            await Work.select().update(title=lambda work: work.writer.name)
