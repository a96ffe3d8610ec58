"""Relations: how they are declared, followed, filtered by, loaded and changed."""

from __future__ import annotations

import asyncio
import copy
import time
import uuid
from typing import Annotated, Any

import pydantic
import pytest

import ferro
from ferro import BackRef, ForeignKey, ManyToMany, Relation
from ferro._tables.registry import registry
from models import Document

pytestmark = pytest.mark.usefixtures("db")


class Author(ferro.Model, table="rel_author"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    posts: Relation[list[Post]] = BackRef()
    profile: Relation[Profile | None] = BackRef()


class Profile(ferro.Model, table="rel_profile"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    bio: str
    author: Relation[Author] = ForeignKey(related_name="profile", unique=True)


class Post(ferro.Model, table="rel_post"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    title: str
    views: int = 0
    author: Relation[Author] = ForeignKey(related_name="posts", index=True)
    tags: Relation[list[Tag]] = ManyToMany(related_name="posts")
    comments: Relation[list[Comment]] = BackRef()


class Tag(ferro.Model, table="rel_tag"):
    name: str = ferro.Field(primary_key=True)
    posts: Relation[list[Post]] = BackRef()


class Comment(ferro.Model, table="rel_comment"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    text: str
    post: Relation[Post] = ForeignKey(related_name="comments")
    author: Annotated[Author | None, ForeignKey(on_delete="SET NULL")]
    answers: Relation[Comment | None] = ForeignKey(related_name="answered_by", on_delete="cascade")


class Owner(ferro.Model, table="rel_owner"):
    id: int = ferro.Field(primary_key=True)


class Thing(ferro.Model, table="rel_thing"):
    """One relation for each action."""

    id: int | None = ferro.Field(default=None, primary_key=True)
    plain: Relation[Owner | None] = ForeignKey()
    cascade: Relation[Owner | None] = ForeignKey(on_delete="cascade", on_update="cascade")
    restrict: Relation[Owner | None] = ForeignKey(on_delete="restrict", on_update="restrict")
    nulled: Relation[Owner | None] = ForeignKey(on_delete="set null", on_update="set null")
    default: Relation[Owner | None] = ForeignKey(on_delete="set default", on_update="set default")
    nothing: Relation[Owner | None] = ForeignKey(on_delete="no action", on_update="no action")
    mixed: Relation[Owner | None] = ForeignKey(on_delete="SET NULL", on_update="RESTRICT")


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements of queries that were handed to the native module, one call for each."""
    from ferro._queries import read

    made: list[str] = []
    runner_for = read.runner_for

    class Noted:
        def __init__(self, session: Any) -> None:
            self._session = session

        def __getattr__(self, name: str) -> Any:
            made.append(name)
            return getattr(self._session, name)

    def noted(using: Any) -> tuple[str, Any]:
        label, found = runner_for(using)
        return label, Noted(found)

    monkeypatch.setattr(read, "runner_for", noted)
    return made


async def blog() -> tuple[Author, Author, Post, Post, Post]:
    ada = await Author.create(name="Ada")
    ben = await Author.create(name="Ben")
    first = await Post.create(title="first", views=5, author=ada)
    second = await Post.create(title="second", views=1, author=ada)
    third = await Post.create(title="third", views=9, author_id=ben.id)
    return ada, ben, first, second, third


class TestDeclaration:
    async def test_a_foreign_key_has_a_field_of_the_type_of_the_key(self) -> None:
        assert list(Post.model_fields) == ["id", "title", "views", "author_id"]
        with pytest.raises(pydantic.ValidationError, match="author_id"):
            Post(title="x")  # type: ignore[call-arg]
        with pytest.raises(pydantic.ValidationError, match="author_id"):
            Post(title="x", author_id="nobody")  # type: ignore[call-arg]
        assert Post(title="x", author_id=3).model_dump() == {  # type: ignore[call-arg]
            "id": None,
            "title": "x",
            "views": 0,
            "author_id": 3,
        }

    async def test_a_nullable_one_is_null_unless_it_is_given(self) -> None:
        comment = Comment(text="x", post_id=1)  # type: ignore[call-arg]
        assert (comment.author_id, comment.answers_id) == (None, None)  # type: ignore[attr-defined]

    async def test_the_database_keeps_the_rules(self) -> None:
        ada, _, first, *_ = await blog()
        comment = await Comment.create(text="hm", post=first, author=ada)
        with pytest.raises(ferro.ForeignKeyViolation):
            await Post.create(title="nobody's", author_id=999)
        await Profile.create(bio="x", author=ada)
        with pytest.raises(ferro.UniqueViolation):
            await Profile.create(bio="y", author=ada)
        await ada.delete()
        assert await Post.select().count() == 1, "posts go with their author"
        assert await Comment.select().count() == 0, "and comments with their post"
        assert comment.author_id == ada.id  # type: ignore[attr-defined]

    async def test_actions_are_those_of_the_constraints(self, dialect: str) -> None:
        sql = {
            "sqlite": 'select "from" as field, on_delete, on_update '
            "from pragma_foreign_key_list('rel_thing')",
            "postgres": "select column_name::text as field, delete_rule::text as on_delete, "
            "update_rule::text as on_update from information_schema.referential_constraints "
            "join information_schema.key_column_usage using (constraint_schema, constraint_name) "
            "where table_name = 'rel_thing'",
        }[dialect]
        rows = await ferro.fetch_all(sql)
        assert {row["field"]: (row["on_delete"], row["on_update"]) for row in rows} == {
            "plain_id": ("CASCADE", "CASCADE"),
            "cascade_id": ("CASCADE", "CASCADE"),
            "restrict_id": ("RESTRICT", "RESTRICT"),
            "nulled_id": ("SET NULL", "SET NULL"),
            "default_id": ("SET DEFAULT", "SET DEFAULT"),
            "nothing_id": ("NO ACTION", "NO ACTION"),
            "mixed_id": ("SET NULL", "RESTRICT"),
        }

    @pytest.mark.parametrize(
        ("name", "deleted", "updated"),
        [
            ("plain", [], [2]),
            ("cascade", [], [2]),
            ("restrict", None, None),
            ("nulled", [None], [None]),
            # Its column has no default in the database, which is a null.
            ("default", [None], [None]),
            ("nothing", None, None),
            ("mixed", [None], None),
        ],
    )
    async def test_an_action_is_what_happens_to_the_rows(
        self, name: str, deleted: list[Any] | None, updated: list[Any] | None
    ) -> None:
        for sql, left in (
            ("update rel_owner set id = 2 where id = 1", updated),
            ("delete from rel_owner where id = 1", deleted),
        ):
            await Owner.create(id=1)
            await Thing.create(**{f"{name}_id": 1})
            if left is None:
                with pytest.raises(ferro.ForeignKeyViolation):
                    await ferro.execute(sql)
                left = [1]
            else:
                assert await ferro.execute(sql) == 1
            rows = await Thing.select(f"{name}_id")
            assert [row[f"{name}_id"] for row in rows] == left
            await Thing.select().delete()
            await Owner.select().delete()

    async def test_set_null_leaves_the_row(self) -> None:
        _, ben, first, *_ = await blog()
        comment = await Comment.create(text="hm", post=first, author=ben)
        await ben.delete()
        await comment.refresh()
        assert not comment.author
        assert await comment.author is None

    async def test_a_default_is_the_key_of_a_row_that_is_given_none(self) -> None:
        nobody = uuid.UUID(int=5)

        class Keeper(ferro.Model, table="rel_default_owner"):
            id: uuid.UUID = ferro.Field(default_factory=uuid.uuid4, primary_key=True)

        class Toy(ferro.Model, table="rel_toy"):
            id: int | None = ferro.Field(default=None, primary_key=True)
            author_id: int
            author: Relation[Author] = ForeignKey(default=7, on_delete="set default")
            owner: Relation[Keeper] = ForeignKey(default=nobody, on_delete="set default")
            tag: Relation[Tag | None] = ForeignKey(default="blue", on_delete="SET DEFAULT")
            maker: Relation[Author | None] = ForeignKey(default=None)

        await ferro.create_tables()
        await Author.create(id=7, name="default")
        await Keeper.create(id=nobody)
        await Tag.create(name="blue")
        toy = await Toy.create()  # type: ignore[call-arg]
        keys = {"author_id": 7, "owner_id": nobody, "tag_id": "blue", "maker_id": None}
        assert toy.model_dump(exclude={"id"}) == keys
        others = [await Author.create(name="x"), await Keeper.create(), await Tag.create(name="y")]
        toy.author, toy.owner, toy.tag = others  # type: ignore[assignment]
        await toy.save()
        for row in others:
            await row.delete()
        await toy.refresh()
        assert toy.model_dump(exclude={"id"}) == keys

    def test_a_default_that_a_relation_cannot_have_is_refused(self) -> None:
        with pytest.raises(ferro.SchemaError, match="relation `author`: its default is None"):

            class Never(ferro.Model, table="rel_never"):
                id: int | None = ferro.Field(default=None, primary_key=True)
                author: Relation[Author] = ForeignKey(default=None)

        class Wrong(ferro.Model, table="rel_wrong"):
            id: int | None = ferro.Field(default=None, primary_key=True)
            author: Relation[Author] = ForeignKey(default="Ada")

        try:
            with pytest.raises(
                ferro.SchemaError, match="`Wrong.author`: its default must be a key"
            ):
                Wrong.select().sql()
        finally:
            assert Wrong.__ferro_table__ is not None
            registry.remove(Wrong.__ferro_table__)

    async def test_a_relation_that_two_models_inherit_has_no_name_for_both_ways_back(self) -> None:
        class Owned(ferro.Model, abstract=True):
            id: int | None = ferro.Field(default=None, primary_key=True)
            owner: Relation[Owner] = ForeignKey(related_name="owned")

        class Ring(Owned, table="rel_ring"):
            pass

        class Crown(Owned, table="rel_crown"):
            pass

        message = "`Crown.owner`: `Ring` inherits it too.*leave `related_name` out"
        try:
            with pytest.raises(ferro.SchemaError, match=message):
                await Owner.all()
        finally:
            for model in (Ring, Crown):
                assert model.__ferro_table__ is not None
                registry.remove(model.__ferro_table__)

    async def test_a_target_that_there_is_not_is_named(self) -> None:
        class Lost(ferro.Model, table="rel_lost"):
            id: int | None = ferro.Field(default=None, primary_key=True)
            home: Relation[Nowhere] = ForeignKey()  # type: ignore[name-defined]  # noqa: F821

        try:
            with pytest.raises(ferro.SchemaError, match=r"`Lost.home` refers to `Nowhere`, which"):
                await Lost.all()
        finally:
            assert Lost.__ferro_table__ is not None
            registry.remove(Lost.__ferro_table__)

    async def test_a_back_reference_of_nothing_is_named(self) -> None:
        class Alone(ferro.Model, table="rel_alone"):
            id: int | None = ferro.Field(default=None, primary_key=True)
            friends: Relation[list[Tag]] = BackRef()

        try:
            with pytest.raises(ferro.SchemaError, match="`Alone.friends` is a `BackRef`, and no"):
                await Alone.all()
        finally:
            assert Alone.__ferro_table__ is not None
            registry.remove(Alone.__ferro_table__)

    def test_a_wrong_declaration_is_named(self) -> None:
        with pytest.raises(ferro.SchemaError, match="`on_delete` takes one of `cascade`"):
            ForeignKey(on_delete="explode")
        with pytest.raises(ferro.SchemaError, match="relation `many`: a foreign-key is annotated"):

            class Many(ferro.Model, table="rel_many"):
                id: int | None = ferro.Field(default=None, primary_key=True)
                many: Relation[list[Tag]] = ForeignKey()

        with pytest.raises(ferro.SchemaError, match="relation `bare` has no annotation"):

            class Bare(ferro.Model, table="rel_bare"):
                id: int | None = ferro.Field(default=None, primary_key=True)
                bare = ForeignKey()

    @pytest.mark.parametrize("name", ["save", "model_fields", "model_config"])
    def test_a_relation_takes_no_name_that_a_model_needs(self, name: str) -> None:
        class Thief(ferro.Model, table="rel_thief"):
            id: int | None = ferro.Field(default=None, primary_key=True)
            author: Relation[Author] = ForeignKey(related_name=name)

        save = Author.save
        try:
            with pytest.raises(ferro.SchemaError, match=rf"`Author.{name}`: the model has an attr"):
                Thief.select().sql()
        finally:
            assert Thief.__ferro_table__ is not None
            registry.remove(Thief.__ferro_table__)
        assert Author.save is save
        with pytest.raises(ferro.SchemaError, match="`Robber.delete`: the model has an attribute"):

            class Robber(ferro.Model, table="rel_robber"):
                id: int | None = ferro.Field(default=None, primary_key=True)
                delete: Relation[Author] = ForeignKey()  # type: ignore[assignment]

    async def test_abstract_models_give_their_relations(self) -> None:
        class Owned(ferro.Model, abstract=True):
            id: int | None = ferro.Field(default=None, primary_key=True)
            owner: Relation[Author] = ForeignKey()

        class Car(Owned, table="rel_car"):
            plate: str

        class Boat(Owned, table="rel_boat"):
            sails: int

        await ferro.create_tables()
        ada = await Author.create(name="Ada")
        assert (await (await Car.create(plate="A1", owner=ada)).owner).name == "Ada"
        assert (await Boat.create(sails=2, owner=ada)).owner_id == ada.id  # type: ignore[attr-defined]


class TestFollowing:
    async def test_a_relation_to_one_row_is_awaited(self) -> None:
        ada, _, first, *_ = await blog()
        post = await Post.get(first.id)
        with pytest.raises(ferro.NotLoaded, match=r"`Post.author` is not loaded.*`name`.*include"):
            _ = post.author.name
        assert await post.author == ada
        assert post.author.name == "Ada", "it is loaded now"
        assert await post.author is post.author

    async def test_rows_that_are_loaded_and_others_are_awaited_at_once(self) -> None:
        ada, _, first, *_ = await blog()
        one, other, third = [await Post.get(first.id) for _ in range(3)]
        assert await one.author == ada
        authors = (it.author for it in (one, other, third))
        assert await asyncio.gather(*authors) == [ada] * 3

    async def test_it_is_known_where_it_was_given(self) -> None:
        ada, ben, first, *_ = await blog()
        assert first.author is ada
        first.author = ben
        assert first.author_id == ben.id  # type: ignore[attr-defined]
        await first.save()
        assert (await Post.get(first.id)).author_id == ben.id  # type: ignore[attr-defined]
        first.author_id = ada.id  # type: ignore[attr-defined]
        assert (await first.author).name == "Ada", "another key is another row"

    async def test_a_row_without_a_key_is_refused(self) -> None:
        with pytest.raises(ferro.InvalidQuery, match="has no key yet: save it first"):
            Post(title="x", author=Author(name="new"))
        with pytest.raises(ferro.InvalidQuery, match="leads to `Author`, not to"):
            await Post.create(title="x", author=Tag(name="y"))

    def test_what_is_no_row_is_an_error_of_validation(self) -> None:
        """As the body of a request may hold anything."""
        for given in ({"id": 1, "name": "Ada"}, 1, "Ada", [], ["Ada"]):
            for name, reason in (
                ("author", "pass its key to `author_id`"),
                ("tags", "cannot be set"),
            ):
                body: dict[str, Any] = {"title": "x", "author_id": 1, name: given}
                with pytest.raises(pydantic.ValidationError, match=reason) as info:
                    Post.model_validate(body)
                assert info.value.errors()[0]["loc"] == (name,)
        with pytest.raises(pydantic.ValidationError, match=r"author\n.*takes a row"):
            Post.model_validate_json('{"title": "x", "author": {"id": 1}}')
        with pytest.raises(pydantic.ValidationError, match="author_id"):
            Post.model_validate_json('{"title": "x", "author": null}')
        with pytest.raises(ferro.InvalidQuery, match="has no key yet"):
            Post(title="x", author=Author(name="new"))

    async def test_the_way_back_of_a_unique_one_is_one_row(self) -> None:
        ada, ben, *_ = await blog()
        profile = await Profile.create(bio="poet", author=ada)
        assert await ada.profile == profile
        assert await ben.profile is None
        with pytest.raises(ferro.NotLoaded, match="not known whether there is a row: `await` it"):
            bool(ben.profile)
        included = await Author.select().include("profile").get(ben.id)
        assert not included.profile, "it is known now"

    async def test_the_way_back_of_others_is_a_query(self) -> None:
        ada, _, first, second, _ = await blog()
        assert await ada.posts.order_by("-views") == [first, second]
        assert await ada.posts.where(lambda p: p.views > 2) == [first]
        assert await ada.posts.count() == 2
        assert await ada.posts.order_by("title").limit(1).all() == [first]
        assert await ada.posts.where(title="third").first() is None
        with pytest.raises(ferro.NotLoaded, match=r"`Author.posts` is not loaded"):
            list(ada.posts)

    async def test_a_row_that_was_never_saved_has_none(self) -> None:
        with pytest.raises(ferro.InvalidQuery, match="has no key yet"):
            await Author(name="new").posts.all()

    async def test_a_relation_to_itself(self) -> None:
        _, _, first, *_ = await blog()
        question = await Comment.create(text="why?", post=first)
        answer = await Comment.create(text="because", post=first, answers=question)
        assert await question.answered_by == [answer]  # type: ignore[attr-defined]
        assert await (await Comment.get(answer.id)).answers == question
        assert not question.answers


class TestIncluding:
    async def test_rows_come_with_what_they_lead_to(self) -> None:
        ada, ben, first, *_ = await blog()
        await Comment.create(text="nice", post=first, author=ben)
        await Comment.create(text="thanks", post=first, author=ada)
        posts = await Post.select().include("author", "comments.author").order_by("id")
        assert [post.author.name for post in posts] == ["Ada", "Ada", "Ben"]
        assert posts[0].author is posts[1].author
        texts = [
            (it.text, it.author.name)  # type: ignore[union-attr]
            for it in posts[0].comments
        ]
        assert texts == [("nice", "Ben"), ("thanks", "Ada")]
        assert list(posts[1].comments) == []
        assert (len(posts[0].comments), bool(posts[1].comments)) == (2, False)
        assert posts[0].comments._needed()[0].post is posts[0], "and the way back is known"

    async def test_which_rows_and_in_which_order_can_be_said(self) -> None:
        ada, *_ = await blog()
        popular = Post.where(lambda p: p.views < 9).order_by("-title")
        authors = await Author.select().include(posts=popular).order_by("id")
        titles = [[post.title for post in author.posts] for author in authors]
        assert titles == [["second", "first"], []]
        with pytest.raises(ferro.InvalidQuery, match="with whole rows of .*: leave out `values`"):
            Author.select().include(posts=popular.values("title"))
        assert await Author.get(ada.id) == ada

    async def test_what_is_computed_of_all_rows_loads_nothing(self) -> None:
        await blog()
        posts = Post.select().include("author")
        assert await posts.sum("views") == await Post.select().sum("views")
        assert await posts.count() == 3

    async def test_nothing_is_loaded_for_no_rows_or_null(self) -> None:
        assert await Post.where(id=0).include("author", "tags").all() == []
        _, _, first, *_ = await blog()
        await Comment.create(text="hm", post=first)
        (comment,) = await Comment.select().include("author", "answers")
        assert (bool(comment.author), bool(comment.answers)) == (False, False)

    async def test_it_takes_as_many_statements_for_many_rows_as_for_few(
        self, statements: list[str]
    ) -> None:
        author, tags = await Author.create(name="Ada"), [Tag(name="red"), Tag(name="blue")]
        await Tag.bulk_create(tags)
        for rows in (2, 20):
            for number in range(rows):
                author = await Author.create(name=f"{number}")
                post = await Post.create(title=f"{number}", author=author)
                await post.tags.add(*tags)
                await Comment.create(text="hm", post=post, author=author)
            statements.clear()
            posts = await Post.select().include("author", "comments.author", "tags")
            assert posts[-1].author.name == f"{rows - 1}"
            assert [len(post.tags) for post in posts] == [2] * len(posts)
            # Posts, their authors, their comments, the authors of those, and two for pairs.
            assert len(statements) == 6
        assert len(posts) == 22

    async def test_in_a_session_rows_go_where_the_database_has_them(self) -> None:
        ada, ben, first, second, third = await blog()
        await first.tags.add(await Tag.create(name="blue"))
        async with ferro.session():
            posts = await Post.select().order_by("id")
            posts[0].author_id = ben.id
            posts[2].title = "changed"
            await Post.where(id=third.id).update(author=ada)
            authors = await Author.select().include("posts").order_by("id")
            assert [[post.id for post in it.posts] for it in authors] == [
                [first.id, second.id, third.id],
                [],
            ]
            assert authors[0].posts[0] is posts[0]
            with pytest.raises(ferro.NotLoaded):
                assert posts[0].author.name
            assert posts[1].author is authors[0]
            (tag,) = await Tag.select()
            tag.name = "red"
            (post,) = await Post.where(id=first.id).include("tags")
            assert list(post.tags) == [tag]

    async def test_pairs_lead_to_their_rows_in_order(self) -> None:
        _, _, first, second, third = await blog()
        red, blue = await Tag.create(name="red"), await Tag.create(name="blue")
        await first.tags.add(red, blue)
        await third.tags.add(blue)
        posts = await Post.select().include("tags").order_by("id")
        assert [[tag.name for tag in post.tags] for post in posts] == [
            ["blue", "red"],
            [],
            ["blue"],
        ]
        (tag,) = await Tag.where(name="blue").include("posts.author")
        assert [post.author.name for post in tag.posts] == ["Ada", "Ben"]
        assert second.id is not None

    async def test_a_refresh_forgets_what_is_loaded_and_one_that_fails_does_not(self) -> None:
        await blog()
        post = await Post.select().include("author").order_by("id").first()
        assert post is not None
        await post.refresh()
        with pytest.raises(ferro.NotLoaded):
            post.author.name  # noqa: B018
        assert await post.author == post.author
        await Comment.select().delete()
        await Post.select().delete()
        with pytest.raises(ferro.DoesNotExist):
            await post.refresh()
        assert post.author.name == "Ada"

    async def test_rows_that_are_loaded_are_awaited_and_all_asks_for_them(self) -> None:
        ada, *_ = await blog()
        (author,) = await Author.where(id=ada.id).include("posts")
        await Post.create(title="new", author=ada)
        assert "new" not in [post.title for post in await author.posts]
        assert "new" in [post.title for post in await author.posts.all()]

    async def test_a_misspelt_relation_is_named(self) -> None:
        with pytest.raises(ferro.UnknownField, match="no relation `autor`: did you mean `author`"):
            Post.select().include("autor")
        relation: Any = Post.author
        with pytest.raises(ferro.InvalidQuery, match=r'as in `include\("author"\)`'):
            Post.select().include(relation)

    async def test_rows_are_not_loaded_from_another_connection_than_is_named(self) -> None:
        ada, *_ = await blog()
        await ferro.connect("sqlite::memory:", "elsewhere", auto_migrate=True)
        posts = Post.using("default").where(title="first")
        (author,) = await Author.where(name="Ada").include(posts=posts)
        assert [post.title for post in author.posts] == ["first"]
        (author,) = await Author.where(name="Ada").include(posts=ada.posts.where(title="first"))
        assert [post.title for post in author.posts] == ["first"]
        with pytest.raises(ferro.InvalidQuery, match="`default`.*, not on `elsewhere`"):
            await Author.select().include(posts=posts.using("elsewhere"))

    async def test_a_row_that_a_query_leaves_out_is_not_loaded_and_not_gone(self) -> None:
        ada = await Author.create(name="Ada")
        ben = await Author.create(name="Ben")
        await Post.create(title="a", author=ada)
        await Post.create(title="b", author=ben)
        posts = await Post.select().include(author=Author.where(name="Ada")).order_by("title")
        assert posts[0].author.name == "Ada"
        with pytest.raises(ferro.NotLoaded, match=r"`Post\.author` is not loaded"):
            _ = posts[1].author.name
        assert await posts[1].author == ben
        posts = await Post.select().include(author=Author.where(name="Ada")).order_by("title")
        assert (await Post.create(title="c", author=posts[1].author)).author_id == ben.id  # type: ignore[attr-defined]

    async def test_a_relation_that_is_not_loaded_is_the_row_that_it_leads_to(self) -> None:
        ada = await Author.create(name="Ada")
        ben = await Author.create(name="Ben")
        for title, author in (("a", ada), ("b", ada), ("c", ben)):
            await Post.create(title=title, author=author)
        one, two, other = await Post.select().order_by("title")
        assert one.author == ada == one.author
        assert one.author == two.author != other.author
        assert one.author != ben
        assert one.author in [ben, ada]
        assert one.author != None  # noqa: E711
        loaded = await asyncio.gather(one.author, two.author, other.author)
        assert loaded == [ada, ada, ben]
        assert two.author is loaded[1]
        assert await copy.copy(one.author) == ada

    async def test_a_row_that_is_created_at_the_end_of_a_relation_may_name_it(self) -> None:
        ada = await Author.create(name="Ada")
        post = await ada.posts.create(title="a", author_id=ada.id)
        assert post.author_id == ada.id  # type: ignore[attr-defined]
        with pytest.raises(ferro.InvalidQuery, match="gives the new row its `author_id`"):
            await ada.posts.create(title="b", author_id=5)

    def test_relations_of_what_is_not_validated_are_given_as_rows(self) -> None:
        ada = Author(id=3, name="Ada")
        post = Post.model_construct(title="a", author=ada)
        assert post.author is ada
        assert post.author_id == 3  # type: ignore[attr-defined]

    async def test_what_is_not_loaded_is_no_default_of_another_model(self) -> None:
        class Out(pydantic.BaseModel):
            model_config = pydantic.ConfigDict(from_attributes=True)
            name: str | None = None

        class PostOut(pydantic.BaseModel):
            model_config = pydantic.ConfigDict(from_attributes=True)
            author: Out

        await Post.create(title="a", author=await Author.create(name="Ada"))
        with pytest.raises(pydantic.ValidationError, match="NotLoaded"):
            PostOut.model_validate(await Post.get(title="a"))
        loaded = await Post.select().include("author").one()
        assert PostOut.model_validate(loaded).author.name == "Ada"

    async def test_a_relation_to_no_row_is_none_in_a_model_that_says_loaded(self) -> None:
        class ProfileOut(pydantic.BaseModel, from_attributes=True):
            id: int

        class AuthorOut(pydantic.BaseModel, from_attributes=True):
            name: str
            profile: ferro.Loaded[ProfileOut | None]

        class Plain(pydantic.BaseModel):
            name: str
            profile: ProfileOut | None

        ada, ben = [await Author.create(name=it) for it in ("Ada", "Ben")]
        profile = await Profile.create(bio="", author=ada)
        both = await Author.select().include("profile").order_by("name")
        assert [AuthorOut.model_validate(it).model_dump() for it in both] == [
            {"name": "Ada", "profile": {"id": profile.id}},
            {"name": "Ben", "profile": None},
        ]
        assert AuthorOut(name="Eve", profile=None).profile is None
        with pytest.raises(pydantic.ValidationError, match="NotLoaded"):
            AuthorOut.model_validate(await Author.get(ben.id))
        schemas = [it.model_json_schema()["properties"] for it in (AuthorOut, Plain)]
        assert schemas[0] == schemas[1]

    async def test_pairs_of_many_rows_with_many_take_no_time_for_each_combination(self) -> None:
        author, number = await Author.create(name="Ada"), 6_000
        posts = [Post(title="", author=author) for _ in range(number)]
        tags = [Tag(name=f"{it}") for it in range(number)]
        await Post.bulk_create(posts, return_keys=True)
        await Tag.bulk_create(tags)
        pairs: Any = Post.__ferro_table__.pairs["tags"].model  # type: ignore[union-attr]
        await pairs.bulk_create(
            [pairs(post_id=it.id, tag_id=tag.name) for it, tag in zip(posts, tags, strict=True)]
        )
        began = time.process_time()
        await Post.all(), await Tag.all(), await pairs.all()
        apart = time.process_time() - began
        began = time.process_time()
        loaded = await Post.select().include("tags")
        together = time.process_time() - began
        assert [[tag.name for tag in post.tags] for post in loaded[:3]] == [["0"], ["1"], ["2"]]
        assert together < 10 * apart


class TestChanging:
    async def test_many_at_once_set_what_they_lead_to_and_wait_for_each_other(self) -> None:
        author = await Author.create(name="Ada")
        posts = [Post(title=f"{number}", author=author) for number in range(20)]
        await Post.bulk_create(posts, return_keys=True)
        tags = [Tag(name="red"), Tag(name="blue")]
        await Tag.bulk_create(tags)
        await asyncio.gather(*(post.tags.set(tags) for post in posts for _ in range(3)))
        await asyncio.gather(*(post.tags.set(tags[1:]) for post in posts for _ in range(3)))
        assert await Post.where(lambda p: p.tags.any(name="blue")).count() == 20
        assert await Post.where(lambda p: p.tags.any(name="red")).count() == 0

    async def test_add_remove_clear_and_set_of_a_way_back(self) -> None:
        ada, ben, first, second, third = await blog()
        await ben.posts.add(first)
        assert first.author_id == ben.id  # type: ignore[attr-defined]
        assert {post.title for post in await ben.posts.all()} == {"first", "third"}
        created = await ada.posts.create(title="fourth")
        assert created.author_id == ada.id  # type: ignore[attr-defined]
        with pytest.raises(ferro.InvalidQuery, match="requires it"):
            await ben.posts.remove(third)
        with pytest.raises(ferro.InvalidQuery, match="requires it"):
            await ben.posts.clear()
        question = await Comment.create(text="why?", post=second)
        one = await Comment.create(text="1", post=second)
        two = await Comment.create(text="2", post=second)
        answered_by: Any = question.answered_by  # type: ignore[attr-defined]
        await answered_by.set([one, two])
        assert {it.text for it in await answered_by.all()} == {"1", "2"}
        await answered_by.set([two])
        assert [it.text for it in await answered_by.all()] == ["2"]
        await answered_by.remove(two)
        assert two.answers_id is None  # type: ignore[attr-defined]
        await answered_by.set([one])
        await answered_by.clear()
        assert await answered_by.count() == 0
        assert await Comment.select().count() == 3, "nothing was deleted"

    async def test_a_row_of_another_parent_is_not_removed_in_memory_either(self) -> None:
        *_, first, second, _ = await blog()
        why, how = [await Comment.create(text=text, post=first) for text in ("why?", "how?")]
        mine = await Comment.create(text="mine", post=first, answers=why)
        other = await Comment.create(text="other", post=second, answers=how)
        await why.answered_by.remove(mine, other)  # type: ignore[attr-defined]
        assert (mine.answers_id, other.answers_id) == (None, how.id)  # type: ignore[attr-defined]
        await why.answered_by.remove(other)  # type: ignore[attr-defined]
        for comment in (mine, other):
            await comment.save()
            assert await Comment.get(comment.id) == comment

    async def test_add_remove_clear_and_set_of_pairs(self) -> None:
        _, _, first, second, _ = await blog()
        red, blue, tea = [await Tag.create(name=name) for name in ("red", "blue", "tea")]
        await first.tags.add(red, blue)
        await first.tags.add(red)
        await second.tags.add(red)
        assert {tag.name for tag in await first.tags} == {"red", "blue"}
        assert {post.title for post in await red.posts} == {"first", "second"}
        await first.tags.remove(red)
        assert {tag.name for tag in await first.tags} == {"blue"}
        await first.tags.set([tea, red])
        assert {tag.name for tag in await first.tags} == {"tea", "red"}
        green = await first.tags.create(name="green")
        assert green in await first.tags
        await first.tags.clear()
        assert await first.tags.count() == 0
        assert await second.tags.count() == 1
        assert await Tag.select().count() == 4

    async def test_all_of_it_runs_in_a_transaction_that_was_passed(self) -> None:
        ada, ben, first, second, third = await blog()
        red = await Tag.create(name="red")

        async def change(transaction: ferro.Transaction) -> None:
            tags = first.tags.using(transaction)
            await tags.create(name="green")
            await tags.set([red])
            await first.tags.using(transaction).add(await Tag.using(transaction).create(name="x"))
            assert {tag.name for tag in await tags} == {"red", "x"}
            assert await tags.where(name="red").count() == 1
            await ada.posts.using(transaction).create(title="fourth")
            await ada.posts.using(transaction).add(third)
            assert await Post.where(author=ben).using(transaction).count() == 0

        with pytest.raises(ZeroDivisionError):
            async with ferro.transaction() as transaction:
                await asyncio.create_task(change(transaction))
                raise ZeroDivisionError
        assert await first.tags.count() == 0
        assert {tag.name for tag in await Tag.all()} == {"red"}
        assert {post.id for post in await ada.posts} == {first.id, second.id}
        assert await Post.where(author=ben).count() == 1

    async def test_what_is_loaded_on_one_connection_is_not_taken_for_another(self) -> None:
        ada, *_ = await blog()
        await ferro.connect("sqlite::memory:", "second", auto_migrate=True)
        [loaded] = await Author.where(id=ada.id).include("posts")
        assert len(await loaded.posts) == 2
        assert await loaded.posts.using("second") == []

    async def test_deleting_what_a_row_leads_to_deletes_that_and_no_more(self) -> None:
        _, _, first, second, _ = await blog()
        red, blue = await Tag.create(name="red"), await Tag.create(name="blue")
        await first.tags.add(red)
        await second.tags.add(blue)
        assert await first.tags.delete() == 1
        assert [tag.name for tag in await Tag.all()] == ["blue"]

    async def test_a_relation_to_many_is_not_set_directly(self) -> None:
        _, _, first, *_ = await blog()
        with pytest.raises(ferro.InvalidQuery, match="call `add`, `remove` or `set`"):
            first.tags = []
        with pytest.raises(ferro.InvalidQuery, match="cannot be set when the row is created"):
            await Tag.create(name="x", posts=[first])


class TestFiltering:
    async def test_fields_across_relations(self) -> None:
        ada, _, first, second, third = await blog()
        assert await Post.where(lambda p: p.author.name == "Ben") == [third]
        assert await Post.where(Post.author.name == "Ada").order_by("id") == [first, second]
        assert await Post.where(author=ada).count() == 2
        assert await Post.where(lambda p: p.author != ada) == [third]
        assert await Post.select().order_by("-author.name", "id") == [third, first, second]

    async def test_a_relation_is_compared_with_a_row_or_a_key(self) -> None:
        ada, ben, first, _, third = await blog()
        named = await Comment.create(text="2", post=first, author=ada)
        alone = await Comment.create(text="1", post=first)
        profile = await Profile.create(bio="poet", author=ada)
        unloaded = (await Post.get(third.id)).author
        for given in (ben, ben.id, unloaded):
            assert await Post.where(author=given) == [third]
            assert await Post.where(lambda p, it=given: p.author == it) == [third]
            assert await Post.where(lambda p, it=given: p.author != it).count() == 2
            assert await Post.where(Post.author.in_([given])) == [third]
            assert await Post.where(Post.author.not_in([given])).count() == 2
        assert await Post.where(Post.author.in_([])) == []
        assert await Post.where(Post.author.in_([ada.id, unloaded])).count() == 3
        assert await Comment.where(Comment.author.in_([ben, None])) == [alone]
        assert await Comment.where(Comment.author.in_([ada, alone.author])).count() == 2
        assert await Comment.where(author=alone.author) == [alone]
        assert await Comment.where(Comment.author.not_in([ben, None])) == [named]
        assert await Comment.where(lambda c: c.post.author.in_([ada])).count() == 2
        assert await Author.where(profile=profile) == [ada]
        assert await Author.where(profile=profile.id) == [ada]
        assert await Author.where(posts=third.id) == [ben]

    async def test_what_a_relation_is_not_compared_with(self) -> None:
        ada, *_ = await blog()
        with pytest.raises(ferro.TypeMismatch, match="Post.author_id"):
            await Post.where(author="Ada")
        for wrong in (
            lambda p: p.author == Tag(name="y"),
            lambda p: p.author.in_([Tag(name="y")]),
        ):
            with pytest.raises(ferro.InvalidQuery, match="`Post.author` leads to `Author`, not to"):
                Post.where(wrong)
        for wrong in (lambda c: c.author == c.post, lambda c: c.author == c.post_id):
            with pytest.raises(ferro.InvalidQuery, match="the fields that hold the keys, such as"):
                Comment.where(wrong)
        part: Any = Document.data["id"]  # type: ignore[index]
        with pytest.raises(ferro.InvalidQuery, match="not with `<part Document.data"):
            Post.where(lambda p: p.author == part)
        with pytest.raises(ferro.InvalidQuery, match="not with `<relation Comment.post>`"):
            Comment.where(lambda c: c.author == c.post)
        with pytest.raises(ferro.InvalidQuery, match=r"has no key.*`profile\.id\.in_\(…\)`"):
            Author.where(lambda a: a.profile.in_([1]))
        with pytest.raises(ferro.InvalidQuery, match=r"`posts\.any\(lambda it: it\.id\.not_in\("):
            Author.where(lambda a: a.posts.not_in([1]))
        with pytest.raises(ferro.TypeMismatch, match=r"`Post\.author` takes a list of values"):
            Post.where(lambda p: p.author.in_(ada.id))
        with pytest.raises(ferro.InvalidQuery, match="not to `1`: pass its key to `author_id`"):
            await Post.where().update(author=1)

    async def test_any_none_and_all_never_repeat_a_row(self) -> None:
        ada, ben, *_ = await blog()
        cyd = await Author.create(name="Cyd")
        assert await Author.where(lambda a: a.posts.any(lambda p: p.views >= 1)).order_by("id") == [
            ada,
            ben,
        ]
        assert await Author.where(lambda a: a.posts.any()).count() == 2
        assert await Author.where(lambda a: a.posts.none()) == [cyd]
        assert await Author.where(lambda a: a.posts.none(title="first")).count() == 2
        assert await Author.where(lambda a: a.posts.all(lambda p: p.views > 4)).count() == 2
        for name in ("any", "_edge", "__class__"):
            with pytest.raises(ferro.UnknownField, match=f"`Author` has no field `{name}`"):
                await Post.select().order_by(f"author.{name}")
        with pytest.raises(ferro.InvalidQuery, match="leads to many rows: use `any`"):
            Author.where(lambda a: a.posts.title == "x")

    async def test_null_relations(self) -> None:
        ada, _, first, *_ = await blog()
        alone = await Comment.create(text="1", post=first)
        named = await Comment.create(text="2", post=first, author=ada)
        assert await Comment.where(author=None) == [alone]
        assert await Comment.where(lambda c: c.author != None) == [named]  # noqa: E711
        assert await Comment.where(lambda c: c.author.is_not_null()) == [named]

    async def test_values_across_relations(self) -> None:
        await blog()
        rows = await Post.select().order_by("id").values("title", "author.name")
        assert rows[0] == {"title": "first", "author.name": "Ada"}
        groups = Post.select().group_by("author.name").order_by("author.name")
        assert await groups.values("author.name", posts=ferro.count()) == [
            {"author.name": "Ada", "posts": 2},
            {"author.name": "Ben", "posts": 1},
        ]
