"""Common tables: queries that others read and join; and those that read themselves."""

from __future__ import annotations

import enum
from typing import Any

import pytest

import ferro
from ferro._queries.selection import prepared


class ScrollGrade(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Scribe(ferro.Model, table="common_writer"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    boss: ferro.Relation[Scribe | None] = ferro.ForeignKey(related_name="reports", default=None)
    texts: ferro.Relation[list[Scroll]] = ferro.BackRef()


class Scroll(ferro.Model, table="common_text"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    title: str
    stars: int = 0
    grade: ScrollGrade = ScrollGrade.LOW
    writer: ferro.Relation[Scribe] = ferro.ForeignKey(related_name="texts")


W: Any = Scribe
T: Any = Scroll


@pytest.fixture(autouse=True)
async def _texts(db: str) -> None:
    ada = await Scribe.create(name="Ada")
    ben = await Scribe.create(name="Ben", boss=ada)
    await Scribe.create(name="Cyd", boss=ben)
    for title, stars, writer in (("air", 5, ada), ("bread", 3, ada), ("clay", 4, ben)):
        grade = ScrollGrade.HIGH if stars > 3 else ScrollGrade.LOW
        await Scroll.create(title=title, stars=stars, grade=grade, writer=writer)


def totals(least: int = 0) -> ferro.CommonTable:
    texts = Scroll.where(T.stars > least).group_by("writer_id")
    return texts.values("writer_id", stars=T.stars.sum(), texts=ferro.count()).cte("totals")


class TestReading:
    async def test_its_rows_are_read_as_those_of_a_table(self) -> None:
        ada = await Scribe.get(name="Ada")
        query = totals().where(lambda t: t.stars > 4)
        assert await query == [{"writer_id": ada.id, "stars": 8, "texts": 2}]
        rows = totals().select("texts", double=lambda t: t.stars * 2).order_by("-stars")
        assert await rows == [{"texts": 2, "double": 16}, {"texts": 1, "double": 8}]
        assert await rows.limit(1).offset(1) == [{"texts": 1, "double": 8}]
        assert await totals().where(texts=1).one() == {
            "writer_id": ada.id and ada.id + 1,
            "stars": 4,
            "texts": 1,
        }

    async def test_its_values_and_those_of_the_query_find_their_places(self) -> None:
        table = totals(3)
        query = table.where(table.c.stars > 1, table.c.stars < 5).limit(7)
        assert [row["stars"] for row in await query] == [4]
        assert sorted(query.sql()[1]) == [1, 3, 5, 7]

    async def test_it_is_counted_grouped_and_summed(self) -> None:
        table = totals()
        assert await table.select().count() == 2
        assert await table.where(lambda t: t.texts > 2).exists() is False
        assert await table.select().sum("stars") == 12
        assert await table.select().max(table.c.stars) == 8
        grouped = table.select().group_by("texts").values("texts", n=ferro.count())
        assert await grouped.order_by("texts") == [{"texts": 1, "n": 1}, {"texts": 2, "n": 1}]
        assert [row async for row in table.select("texts").order_by("texts").stream()] == [
            {"texts": 1},
            {"texts": 2},
        ]
        assert "common0" in table.select().sql()[0]
        assert await table.select().explain()

    async def test_values_keep_their_types(self) -> None:
        table = Scroll.select("title", "grade").cte()
        high = table.where(lambda t: t.grade == ScrollGrade.HIGH).order_by("title")
        assert await high == [
            {"title": "air", "grade": ScrollGrade.HIGH},
            {"title": "clay", "grade": ScrollGrade.HIGH},
        ]
        with pytest.raises(ferro.TypeMismatch, match="`cte.grade` takes a `ScrollGrade`"):
            table.where(grade="middle")
        by_grade = await table.select("grade").distinct()
        assert {row["grade"] for row in by_grade} == {ScrollGrade.LOW, ScrollGrade.HIGH}

    async def test_of_rows_of_a_model_it_has_all_fields(self) -> None:
        table = Scroll.where(T.stars > 3).cte("loved")
        rows = await table.select().order_by("title")
        assert rows[0] == {
            "id": 1,
            "title": "air",
            "stars": 5,
            "grade": ScrollGrade.HIGH,
            "writer_id": 1,
        }
        assert [row["title"] for row in rows] == ["air", "clay"]

    async def test_it_stands_inside_of_other_queries(self) -> None:
        table = totals()
        many = table.where(lambda t: t.texts > 1).values("writer_id")
        assert [it.name for it in await Scribe.where(W.id.in_(many))] == ["Ada"]
        own = table.where(table.c.writer_id == ferro.outer(W.id))
        stars = ferro.subquery(own.values("stars"))
        rows = await Scribe.select("name", stars=stars).order_by("name")
        assert [row["stars"] for row in rows] == [8, 4, None]
        assert await Scribe.where(~ferro.exists(own)).values("name") == [{"name": "Cyd"}]

    async def test_it_says_which_rows_are_written_and_locked(self) -> None:
        many = totals().where(lambda t: t.texts > 1)
        assert await Scroll.where(T.writer_id.in_(many.values("writer_id"))).update(stars=1) == 2
        table = totals()
        async with ferro.transaction():
            locked = Scribe.select().join(table, W.id == table.c.writer_id).for_update()
            assert len(await locked) == 2
        own = table.where(table.c.writer_id == ferro.outer(W.id))
        assert await Scribe.where(~ferro.exists(own)).delete() == 1

    async def test_one_with_other_values_is_another_one(self) -> None:
        few, all_of_them = totals(3).select("stars"), totals(0).select("stars")
        assert await few.intersect(all_of_them).order_by("stars") == [{"stars": 4}]
        assert await few.union(all_of_them).order_by("stars") == [
            {"stars": 4},
            {"stars": 5},
            {"stars": 8},
        ]

    async def test_one_reads_another_one(self) -> None:
        table = totals(2)
        top = table.where(lambda t: t.stars > 4).cte("top")
        assert await top.select("stars") == [{"stars": 8}]
        both = top.select("stars").union_all(table.select("stars")).cte("both")
        assert await both.select().order_by("stars") == [
            {"stars": 4},
            {"stars": 8},
            {"stars": 8},
        ]

    async def test_combined_queries_are_summed_up(self) -> None:
        names = Scroll.select(name=T.title).union(Scribe.select("name")).cte("names")
        assert await names.select().count() == 6
        assert await names.select().max("name") == "clay"


class TestJoining:
    async def test_rows_of_a_model_come_with_those_that_fit(self) -> None:
        table = totals()
        writers = Scribe.select().join(table, lambda writer, t: writer.id == t.writer_id)
        assert [it.name for it in await writers.order_by("name")] == ["Ada", "Ben"]
        found = writers.where(table.c.stars < 8).order_by(table.c.texts)
        assert [it.name for it in await found] == ["Ben"]
        rows = writers.values("name", "boss.name", stars=table.c.stars).order_by("-stars")
        assert await rows == [
            {"name": "Ada", "boss.name": None, "stars": 8},
            {"name": "Ben", "boss.name": "Ada", "stars": 4},
        ]
        loaded = await writers.include("texts").order_by("name")
        assert [len(it.texts) for it in loaded] == [2, 1]

    async def test_a_row_comes_once_for_each_that_fits(self) -> None:
        texts = Scroll.select("stars", author=T.writer_id).cte("texts_of")
        writers = Scribe.select().join(texts, W.id == texts.c.author)
        assert await writers.count() == 3
        assert await writers.where(W.name == "Ada").sum(texts.c.stars) == 8
        with pytest.raises(ferro.MultipleObjectsReturned):
            await writers.get(name="Ada")
        with pytest.raises(ferro.MultipleObjectsReturned):
            await writers.get(1)
        grouped = writers.group_by("name").having(texts.c.stars.sum() > 4)
        assert await grouped.values("name", best=texts.c.stars.max()) == [
            {"name": "Ada", "best": 5}
        ]

    async def test_several_tables(self) -> None:
        few, names = totals(3), Scribe.where(W.name != "Cyd").values("id", "name").cte("names")
        query = (
            Scroll.where(T.stars > 1)
            .join(few, lambda text, t: (text.writer_id == t.writer_id) & (t.stars > 2))
            .join(names, lambda text, t: (t.id == few.c.writer_id) & (t.name != "Eve"))
        )
        assert await query.where(T.stars < 5).order_by("title").values(
            "title", stars=few.c.stars, name=names.c.name
        ) == [
            {"title": "bread", "stars": 5, "name": "Ada"},
            {"title": "clay", "stars": 4, "name": "Ben"},
        ]

    async def test_a_table_beside_the_rows_of_another_one(self) -> None:
        names = Scribe.select("id", "name").cte("names")
        table = totals()
        query = table.select().join(names, lambda t, n: t.writer_id == n.id)
        assert await query.values("stars", name=names.c.name).order_by("name") == [
            {"stars": 8, "name": "Ada"},
            {"stars": 4, "name": "Ben"},
        ]

    async def test_rows_around_have_tables_beside_them(self) -> None:
        table = totals()
        writers = Scribe.select().join(table, W.id == table.c.writer_id)
        other = Scroll.where(T.stars == ferro.outer(table.c.stars))
        assert [it.name for it in await writers.where(ferro.exists(other))] == ["Ben"]
        own = W.texts.any(lambda t: t.stars == ferro.outer(table.c.stars))
        assert [it.name for it in await writers.where(own)] == ["Ben"]
        with pytest.raises(ferro.InvalidQuery, match=r"`ferro.outer\(totals"):
            await writers.where(W.texts.any(lambda t: t.stars == table.c.stars))

    async def test_rows_of_a_relation_have_them_too(self) -> None:
        ada = await Scribe.get(name="Ada")
        best = Scroll.select(most=T.stars.max()).cte("best")
        (text,) = await ada.texts.join(best, lambda text, b: text.stars == b.most)
        assert text.title == "air"

    async def test_a_relation_of_a_joined_query_is_combined(self) -> None:
        table = totals()
        writers = Scribe.select().join(table, W.id == table.c.writer_id)
        rest = Scribe.where(name="Cyd")
        assert [it.name for it in await writers.union(rest).order_by("name")] == [
            "Ada",
            "Ben",
            "Cyd",
        ]
        assert [it.name for it in await rest.union(writers).order_by("-name").limit(2)] == [
            "Cyd",
            "Ben",
        ]


class TestRecursion:
    @staticmethod
    def below(name: str, **options: Any) -> ferro.CommonTable:
        """A writer and all below, with their depth."""
        root = Scribe.where(name=name).values("id", "name", depth=ferro.value(0))
        return root.cte(
            "tree",
            recursive=lambda tree: (
                Scribe.select()
                .join(tree, lambda writer, tree: writer.boss_id == tree.id)
                .values("id", "name", depth=tree.c.depth + 1)
            ),
            **options,
        )

    async def test_it_walks_a_tree(self) -> None:
        rows = self.below("Ada").select("name", "depth").order_by("depth")
        assert await rows == [
            {"name": "Ada", "depth": 0},
            {"name": "Ben", "depth": 1},
            {"name": "Cyd", "depth": 2},
        ]
        ben = self.below("Ben", union_all=True)
        assert await ben.where(lambda t: t.depth > 0).values("name") == [{"name": "Cyd"}]
        texts = Scroll.where(T.writer_id.in_(ben.select("id")))
        assert [text.title for text in await texts] == ["clay"]
        joined = Scroll.select().join(ben, lambda text, tree: text.writer_id == tree.id)
        assert [text.title for text in await joined] == ["clay"]

    async def test_circles_end(self) -> None:
        ada, cyd = await Scribe.get(name="Ada"), await Scribe.get(name="Cyd")
        ada.boss = cyd  # type: ignore[assignment]
        await ada.save()
        circle = (
            Scribe.where(name="Ben")
            .values("id")
            .cte(
                recursive=lambda tree: (
                    Scribe.select().join(tree, lambda w, t: w.boss_id == t.id).values("id")
                )
            )
        )
        assert await circle.select().count() == 3

    async def test_a_step_reads_the_table_itself(self) -> None:
        numbers = (
            Scribe.where(name="Ada")
            .values(n=ferro.value(1))
            .cte(
                "numbers",
                recursive=lambda numbers: numbers.where(lambda it: it.n < 5).values(
                    n=numbers.c.n + 1
                ),
            )
        )
        assert [row["n"] for row in await numbers.select().order_by("n")] == [1, 2, 3, 4, 5]
        assert await numbers.select().sum("n") == 15

    async def test_the_same_recursion_twice_with_other_values(self) -> None:
        one, other = self.below("Ben"), self.below("Cyd")
        names = one.select("name").except_(other.select("name"))
        assert await names == [{"name": "Ben"}]

    async def test_what_cannot_be_a_step_is_refused(self) -> None:
        root = Scribe.where(name="Ada").values("id")
        for step in (
            lambda tree: Scribe.select("id"),
            lambda tree: None,
            lambda tree: totals().select(),
            lambda tree: tree,
        ):
            with pytest.raises(ferro.InvalidQuery, match="`recursive` must return a query"):
                root.cte(recursive=step)  # type: ignore[arg-type, return-value]
        with pytest.raises(ferro.InvalidQuery, match="same number of values, not 1 and 2"):
            root.cte(recursive=lambda tree: tree.select(id=tree.c.id, more=tree.c.id))
        with pytest.raises(ferro.TypeMismatch, match="`id` is of type integer, .* of type float"):
            root.cte(recursive=lambda tree: tree.select(id=tree.c.id.cast(float)))
        ordered = root.cte(recursive=lambda tree: tree.select("id").order_by("id"))
        with pytest.raises(ferro.InvalidQuery, match="common table `cte`: its step has joins"):
            await ordered.select()
        taken: list[ferro.CommonTable] = []

        def keeping(tree: ferro.CommonTable) -> ferro.Select[dict[str, Any]]:
            taken.append(tree)
            return tree.where(lambda it: it.id < 0)

        root.cte("tree", recursive=keeping)
        with pytest.raises(ferro.InvalidQuery, match="`tree` is not complete in `recursive`"):
            await taken[0].select()


async def test_what_has_no_rows_of_a_table_is_refused() -> None:
    table = totals()
    with pytest.raises(ferro.UnknownField, match="`totals` has no field `star`: did you mean"):
        table.where(star=1)
    with pytest.raises(ferro.UnknownField, match="did you mean `stars`"):
        _ = table.c.star
    for name, way in (
        ("stars", "totals.c.stars"),
        ("order_by", r"totals.select\(\).order_by\(…\)"),
        ("rows", r"totals.select\(\)"),
    ):
        with pytest.raises(AttributeError, match=f"`totals` has no `{name}`: use `{way}`"):
            getattr(table, name)
    with pytest.raises(ferro.TypeMismatch, match="common table `cte`: `Scroll.title`: `abs` do"):
        await Scroll.select(x=T.title.abs()).cte().select()
    with pytest.raises(ferro.UnknownField, match="`totals` has no relation `writer`"):
        table.select().include("writer")
    with pytest.raises(ferro.InvalidQuery, match="`totals` has no key"):
        await table.select().get(1)
    assert (await table.select().get(texts=2))["stars"] == 8
    for query in (table.select(), Scribe.select().join(table, W.id == table.c.writer_id)):
        for name in ("update", "delete", "update_returning", "delete_returning", "page"):
            with pytest.raises(AttributeError, match=f"`{name}` is not for .* common tables"):
                getattr(query, name)
    with pytest.raises(ferro.InvalidQuery, match="a field of `totals` in a query of `Scribe`"):
        await Scribe.where(W.id == table.c.writer_id)
    with pytest.raises(ferro.InvalidQuery, match="there is none: use it inside"):
        await Scroll.where(T.writer_id == ferro.outer(W.id)).cte().select()


async def test_the_name_of_one_that_is_read_twice_may_be_that_of_another_one() -> None:
    texts = totals(1).select("writer_id"), totals(4).select("writer_id")
    other = Scroll.where(title="air").values("stars").cte("totals 2")
    writers = Scribe.where(*[W.id.in_(it) for it in texts]).join(other, other.c.stars == 5)
    assert [it.name for it in await writers.order_by("name")] == ["Ada"]
    joined = Scribe.select().join(other, other.c.stars == 5).where(W.id.in_(texts[0]))
    assert await joined.where(W.id.in_(texts[1])).values(n=other.c.stars) == [{"n": 5}]


async def test_deep_tables_are_refused_before_pythons_own_limit() -> None:
    table = Scroll.where(T.stars > 1).values("stars").cte()
    for _ in range(1_200):
        table = table.where(lambda t: t.stars > 1).cte()
    with pytest.raises(ferro.InvalidQuery, match="a query has at most 200 levels"):
        await table.select()


async def test_what_cannot_be_a_table_or_be_joined_is_refused() -> None:
    for query, part in (
        (Scroll.select().include("writer"), "only reads them: leave out `include`"),
        (Scroll.select().for_update(), "only reads them: leave out `for_update`"),
        (Scroll.select("writer.name"), r"name `writer.name` with `values\(name=…\)`"),
    ):
        with pytest.raises(ferro.InvalidQuery, match=part):
            query.cte()
    with pytest.raises(ferro.InvalidQuery, match="`name` takes a `str`"):
        Scroll.select().cte(5)  # type: ignore[arg-type]
    with pytest.raises(ferro.InvalidQuery, match="`recursive` takes a function or None"):
        Scroll.select().cte(recursive=True)  # type: ignore[arg-type]
    for wrong in (T.writer, Scribe, Scribe.select()):
        with pytest.raises(ferro.InvalidQuery, match="`join` takes a common table"):
            Scroll.select().join(wrong, True)
    table = totals()
    on = W.id == table.c.writer_id
    with pytest.raises(ferro.InvalidQuery, match="`join` takes a condition"):
        Scribe.select().join(table, lambda writer, t: True)
    for query, name in ((Scribe.select().join(table, on), "totals"), (Scroll.select(), "writer")):
        with pytest.raises(ferro.InvalidQuery, match=f"has a `{name}` already: give the common"):
            query.join(
                Scroll.select("stars", "writer_id").cte(name) if name == "writer" else table, on
            )
    for rows in (
        Scroll.select().union(Scroll.where(id=1)),
        Scroll.select().join(table, table.c.stars == 1),
    ):
        with pytest.raises(
            ferro.InvalidQuery, match="`Scribe.texts` is loaded with whole rows of a plain"
        ):
            Scribe.select().include(texts=rows)
    with pytest.raises(ferro.InvalidQuery, match="call `using` with the same connection on both"):
        Scribe.select().join(Scroll.using("other").select("id").cte(), on)
    with pytest.raises(AttributeError, match="`join` is not for queries that are combined"):
        Scribe.select().union(Scribe.select()).join(table, on)  # type: ignore[attr-defined]


async def test_a_shape_is_compiled_once() -> None:
    def asked(least: int) -> Any:
        table = totals(least)
        query = Scribe.select().join(table, lambda w, t: (w.id == t.writer_id) & (t.stars > least))
        return prepared(query._spec)[0], prepared(totals(least).where(texts=least)._spec)[0]

    assert [one is other for one, other in zip(asked(1), asked(2), strict=True)] == [True, True]


async def test_t2_common_tables_have_only_rows_in_scope() -> None:
    ada = await Scribe.get(name="Ada")
    tenant = ferro.Tenant(
        "common",
        grants={
            "default": ferro.Grant(
                tables={
                    "common_writer": ferro.TableGrant(),
                    "common_text": ferro.TableGrant(filters={"writer_id": ada.id}),
                }
            )
        },
    )
    table = totals()
    with ferro.scope(tenant):
        assert await table.select("stars") == [{"stars": 8}]
        joined = Scribe.select().join(table, W.id == table.c.writer_id)
        assert [it.name for it in await joined] == ["Ada"]
