"""What is asked of a table, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest

import ferro
from ferro import Expression, col
from ferro._queries.selection import prepared
from models import Colour, Document, Everything, User


@pytest.fixture
async def users(db: str) -> None:
    await User.bulk_create(
        [
            User(name="Ada", age=36, email="ada@example.org"),
            User(name="Ben", age=7),
            User(name="Cyd", age=18, email="cyd@example.org", active=False),
            User(name="Dee", age=52, email="dee@example.com"),
        ]
    )


async def names(query: ferro.Select[User]) -> list[str]:
    return [user.name for user in await query.order_by("name").all()]


CONDITIONS: list[tuple[Any, list[str]]] = [
    (User.age >= 18, ["Ada", "Cyd", "Dee"]),
    (User.age > 18, ["Ada", "Dee"]),
    (User.age < 18, ["Ben"]),
    (User.age <= 18, ["Ben", "Cyd"]),
    (User.age == 36, ["Ada"]),
    (User.age != 36, ["Ben", "Cyd", "Dee"]),
    (User.active, ["Ada", "Ben", "Dee"]),
    (~User.active, ["Cyd"]),
    (User.email == None, ["Ben"]),  # noqa: E711 - what is tested
    (User.email != None, ["Ada", "Cyd", "Dee"]),  # noqa: E711 - what is tested
    (User.email.is_null(), ["Ben"]),
    (User.email != "ada@example.org", ["Cyd", "Dee"]),
    (~(User.email == "ada@example.org"), ["Cyd", "Dee"]),
    (User.email.is_distinct_from("ada@example.org"), ["Ben", "Cyd", "Dee"]),
    (User.email.is_distinct_from(None), ["Ada", "Cyd", "Dee"]),
    (User.email.is_not_distinct_from("ada@example.org"), ["Ada"]),
    (User.email.is_not_distinct_from(None), ["Ben"]),
    (~User.email.is_not_distinct_from("ada@example.org"), ["Ben", "Cyd", "Dee"]),
    (User.active.is_true(), ["Ada", "Ben", "Dee"]),
    (User.active.is_false(), ["Cyd"]),
    (User.email.like("ada%").is_true(), ["Ada"]),
    (User.email.like("ada%").is_false(), ["Cyd", "Dee"]),
    (~User.email.like("ada%").is_true(), ["Ben", "Cyd", "Dee"]),
    ((User.age < 18).is_false() & ~User.email.contains("org").is_false(), ["Ada", "Cyd"]),
    (User.name.in_(["Ada", "Dee", "Nobody"]), ["Ada", "Dee"]),
    (User.name.in_([]), []),
    (User.name.not_in([]), ["Ada", "Ben", "Cyd", "Dee"]),
    (User.name.not_in(["Ada"]), ["Ben", "Cyd", "Dee"]),
    (User.email.in_(["ada@example.org", None]), ["Ada", "Ben"]),
    (User.email.not_in(["ada@example.org", None]), ["Cyd", "Dee"]),
    (User.age.between(7, 36), ["Ada", "Ben", "Cyd"]),
    (User.email.like("%.org"), ["Ada", "Cyd"]),
    (User.name.like("a%"), []),
    (User.name.ilike("a%"), ["Ada"]),
    (User.email.contains("example.o"), ["Ada", "Cyd"]),
    (User.email.contains("%"), []),
    (User.email.startswith("d"), ["Dee"]),
    (User.email.endswith(".com"), ["Dee"]),
    ((User.age >= 18) & User.active, ["Ada", "Dee"]),
    ((User.age < 18) | (User.age > 50), ["Ben", "Dee"]),
    ((User.age < 18) | (User.age > 50) & User.active, ["Ben", "Dee"]),
    (~((User.age < 18) | (User.age > 50)), ["Ada", "Cyd"]),
    (lambda u: (u.age >= 18) & u.name.like("A%"), ["Ada"]),
    (User.age > User.age, []),
]


@pytest.mark.usefixtures("db")
async def test_parts_of_documents_are_true_or_false_or_neither() -> None:
    for title, data in (("a", {"done": True}), ("b", {"done": False}), ("c", {})):
        await Document.create(title=title, data=data)
    done: Any = Document.data["done"]
    for condition, expected in (
        (done.is_true(), ["a"]),
        (~done.is_true(), ["b", "c"]),
        (done.is_false(), ["b"]),
        (done.is_not_distinct_from(False), ["b"]),
        (~done.is_not_distinct_from(False), ["a", "c"]),
        (done.is_not_distinct_from(None), ["c"]),
    ):
        rows = await Document.where(condition).order_by("title")
        assert [row.title for row in rows] == expected


@pytest.mark.usefixtures("db")
async def test_what_is_no_boolean_is_neither_true_nor_false() -> None:
    for condition in (User.age.is_true(), User.name.is_false()):
        with pytest.raises(ferro.TypeMismatch, match=r"`User\.(age|name)`"):
            await User.where(condition)


@pytest.mark.usefixtures("users")
async def test_conditions_select_the_rows_for_which_they_hold() -> None:
    for number, (condition, expected) in enumerate(CONDITIONS):
        assert await names(User.select().where(condition)) == expected, f"condition {number}"


@pytest.mark.usefixtures("users")
async def test_conditions_add_up_and_queries_never_change() -> None:
    everyone = User.select()
    adults = everyone.where(User.age >= 18)
    active = adults.where(active=True)
    assert await names(everyone) == ["Ada", "Ben", "Cyd", "Dee"]
    assert await names(adults) == ["Ada", "Cyd", "Dee"]
    assert await names(active) == ["Ada", "Dee"]
    assert await names(User.where(User.age >= 18, active=False)) == ["Cyd"]
    assert await names(User.where(email=None)) == ["Ben"]


@pytest.mark.usefixtures("users")
async def test_orders_and_pages() -> None:
    async def ages(query: ferro.Select[User]) -> list[int]:
        return [user.age for user in await query.all()]

    by_age = User.select().order_by("age")
    assert await ages(by_age) == [7, 18, 36, 52]
    assert await ages(User.select().order_by("-age")) == [52, 36, 18, 7]
    assert await ages(User.select().order_by(User.active.desc(), User.age.asc())) == [7, 36, 52, 18]
    assert await ages(by_age.limit(2)) == [7, 18]
    assert await ages(by_age.offset(3)) == [52]
    assert await ages(by_age.limit(2).offset(1)) == [18, 36]
    assert await ages(by_age.limit(0)) == []
    assert await ages(by_age.offset(10)) == []


@pytest.mark.usefixtures("users")
async def test_a_name_in_an_order_means_the_same_before_values_and_behind_them() -> None:
    reverse = {"name": -col(User.age)}
    for query in (
        User.select().order_by("name").values(**reverse),
        User.select().values(**reverse).order_by("name"),
    ):
        assert [row["name"] for row in await query] == [-52, -36, -18, -7]
        assert await query.limit(1) == [await query.first()] == [{"name": -52}]
    of_field = User.select().order_by(User.name).values(**reverse)
    assert [row["name"] for row in await of_field] == [-36, -7, -18, -52]
    groups = User.select().order_by("-people", "active").group_by("active")
    assert await groups.values("active", people=ferro.count()) == [
        {"active": True, "people": 3},
        {"active": False, "people": 1},
    ]
    named = User.select().order_by("length").values(length=lambda u: u.age)
    assert await named.first() == {"length": 7}
    assert await named.values(length=lambda u: -u.age).first() == {"length": -52}
    with pytest.raises(ferro.UnknownField, match="`User` has no field `length`"):
        await User.select().order_by("length")


@pytest.mark.usefixtures("users")
async def test_nulls_come_last_unless_they_are_asked_to_come_first() -> None:
    async def first(*terms: Any) -> str:
        user = await User.select().order_by(*terms).first()
        assert user is not None
        return user.name

    assert await first("email") == "Ada"
    assert await first("-email") == "Dee"
    assert await first(User.email.asc(nulls="first")) == "Ben"
    assert await first(User.email.desc(nulls="first")) == "Ben"


@pytest.mark.usefixtures("users")
async def test_count_and_exists_describe_what_all_would_return() -> None:
    adults = User.where(User.age >= 18)
    assert await adults.count() == 3
    assert await adults.limit(2).count() == 2
    assert await adults.offset(2).count() == 1
    assert await adults.limit(0).count() == 0
    assert await adults.exists() is True
    assert await adults.limit(0).exists() is False
    assert await adults.offset(3).exists() is False
    assert await User.where(User.age > 100).exists() is False


@pytest.mark.usefixtures("users")
async def test_one_row_is_one_row() -> None:
    first = await User.select().first()
    assert first is not None
    assert first.name == "Ada", "the first is the first by its key"
    assert await User.where(name="Nobody").first() is None
    assert await User.select().limit(0).first() is None
    assert (await User.where(name="Ben").one()).age == 7
    with pytest.raises(ferro.DoesNotExist, match="User"):
        await User.where(name="Nobody").one()
    with pytest.raises(ferro.MultipleObjectsReturned, match="User"):
        await User.where(User.age >= 18).one()


@pytest.mark.usefixtures("users")
async def test_get_finds_by_key_and_by_fields() -> None:
    ada = await User.get(name="Ada")
    assert await User.get(ada.id) == ada
    assert await User.get(name="Ada", age=36) == ada
    assert await User.get_or_none(name="Nobody") is None
    with pytest.raises(ferro.DoesNotExist):
        await User.get(10_000)
    with pytest.raises(ferro.MultipleObjectsReturned):
        await User.get(active=True)
    with pytest.raises(ferro.InvalidQuery, match="key"):
        await User.get()


@pytest.mark.usefixtures("users")
async def test_a_column_is_one_value_of_each_row() -> None:
    named = User.select().order_by("name")
    assert await named.column("name") == ["Ada", "Ben", "Cyd", "Dee"]
    assert await named.column(User.age) == [36, 7, 18, 52]
    assert await named.column(lambda u: u.name.lower() + "!").limit(1) == ["ada!"]
    mails = named.where(User.age < 20).column("email")
    assert await mails == [None, "cyd@example.org"]
    assert [it async for it in mails.stream(batch=1)] == [None, "cyd@example.org"]
    assert (await mails.count(), await mails.exists()) == (2, True)
    assert await mails.values("name") == [{"name": "Ben"}, {"name": "Cyd"}]
    assert await User.select().column("active").distinct().order_by("active") == [False, True]
    by_active = User.select().group_by("active").order_by("active")
    assert await by_active.column(ferro.count()) == [1, 3]
    old, young = User.where(User.age > 50).column("name"), User.where(User.age < 10).column("name")
    assert await old.union(young).order_by("name") == ["Ben", "Dee"]
    assert [user.name for user in await User.where(col(User.name).in_(old))] == ["Dee"]
    assert await User.select().column(ferro.subquery(old)).limit(1) == ["Dee"]
    assert await old.cte().select() == [{"name": "Dee"}]
    await Everything.create(colour=Colour.RED)
    assert await Everything.select().column("colour") == [Colour.RED]


@pytest.mark.usefixtures("users")
async def test_a_null_in_a_column_is_a_row() -> None:
    mail = User.where(name="Ben").column(User.email)
    assert (await mail.first(), await mail.one(), await mail.one_or_none()) == (None, None, None)
    ben = await User.get(name="Ben")
    assert await User.select().column("email").get(ben.id) is None
    assert await User.select().column("email").get(name="Ben") is None
    for none in (
        User.where(name="Eve").column("email").one(),
        User.select().column("email").get(0),
    ):
        with pytest.raises(ferro.DoesNotExist):
            await none
    with pytest.raises(ferro.MultipleObjectsReturned):
        await User.select().column("email").one()


def test_what_is_no_value_is_no_column() -> None:
    for field, error, message in (
        ("nmae", ferro.UnknownField, "did you mean `name`"),
        (5, ferro.InvalidQuery, "`5` is not a value"),
        (Document.data["city"], ferro.InvalidQuery, "has no type"),  # type: ignore[attr-defined,index]
    ):
        with pytest.raises(error, match=message):
            User.select().column(field)


@pytest.mark.usefixtures("db")
async def test_a_list_of_values_has_no_limit_that_a_user_could_meet() -> None:
    await User.create(name="Ada", age=39_999)
    assert await User.where(User.age.in_(range(40_000))).count() == 1


@pytest.mark.usefixtures("db")
async def test_enums_are_found_by_member_and_by_value() -> None:
    await Everything.create(colour=Colour.RED)
    assert await Everything.where(colour=Colour.RED).count() == 1
    assert await Everything.where(colour="red").count() == 1
    assert await Everything.where(Everything.colour.in_([Colour.GREEN])).count() == 0
    with pytest.raises(ferro.TypeMismatch, match=r"`Everything.colour` takes a `Colour`"):
        Everything.where(colour="blue")


def test_a_misspelt_field_names_the_model_and_the_nearest_field() -> None:
    nearest = "model `User` has no field `naem`: did you mean `name`"
    with pytest.raises(ferro.UnknownField, match=nearest):
        User.naem  # noqa: B018 - what is tested
    with pytest.raises(ferro.UnknownField, match=nearest):
        User.where(lambda u: u.naem == "Ada")
    with pytest.raises(ferro.UnknownField, match=nearest):
        User.where(naem="Ada")
    with pytest.raises(ferro.UnknownField, match=nearest):
        ferro.exists(User.select().order_by("-naem"))
    with pytest.raises(ferro.UnknownField, match="there is `id`, `name`"):
        User.where(zzzz=1)
    for path in ("name.first", "name.upper", "name.first.letter"):
        with pytest.raises(ferro.UnknownField, match=f"`User.{path}`: what is before"):
            ferro.exists(User.select().order_by(path))
    for name in ("_table", "_path", "__class__"):
        with pytest.raises(ferro.UnknownField, match=f"no field `{name}`"):
            ferro.exists(User.select().order_by(name))
        with pytest.raises(ferro.UnknownField, match=f"no field `{name}`"):
            User.where(**{name: 1})
    assert not hasattr(User, "naem")


def test_and_or_not_raise_and_name_the_operators() -> None:
    adult: Any = User.age >= 18
    for misused in (
        lambda: adult and User.active,
        lambda: adult or User.active,
        lambda: not adult,
        lambda: 18 <= User.age <= 30,
        lambda: User.name in ["Ada", "Ben"],
    ):
        with pytest.raises(TypeError, match=r"combine conditions with `&`, `\|` and `~`"):
            misused()


def test_what_is_no_condition_is_refused() -> None:
    for condition in (True, None, "age > 18", lambda u: True):
        with pytest.raises(ferro.InvalidQuery, match="is not a condition"):
            User.where(condition)  # type: ignore[arg-type]
    condition = User.age >= 18
    assert isinstance(condition, Expression)
    with pytest.raises(TypeError, match="cannot be combined"):
        condition & True


def test_negative_numbers_are_refused_before_any_sql() -> None:
    with pytest.raises(ferro.ValueOutOfRange, match="`limit`"):
        User.select().limit(-1)
    with pytest.raises(ferro.ValueOutOfRange, match="`offset`"):
        User.select().offset(-1)
    with pytest.raises(ferro.InvalidQuery, match="`limit` takes an int"):
        User.select().limit(True)


@pytest.mark.usefixtures("db")
async def test_a_value_of_the_wrong_type_is_refused_before_any_sql() -> None:
    wrong: list[tuple[Any, str]] = [
        (User.age == "36", "`User.age` takes an int, not `str`"),
        (User.age == True, "`User.age` takes an int, not `bool`"),  # noqa: E712 - what is tested
        (User.age == 3.0, "`User.age` takes an int, not `float`"),
        (User.name == 5, "`User.name` takes a str, not `int`"),
        (User.active == 1, "`User.active` takes a bool, not `int`"),
        (User.age.in_([1, "2"]), "`User.age` takes an int, not `str`"),
    ]
    for condition, message in wrong:
        with pytest.raises(ferro.TypeMismatch, match=message):
            await User.where(condition).all()
    with pytest.raises(ferro.TypeMismatch, match="a list of values"):
        User.name.in_("Ada")
    with pytest.raises(ferro.ValueOutOfRange, match="64 bits"):
        await User.where(User.age == 2**63).all()


def test_a_deep_condition_is_an_error_and_no_crash() -> None:
    condition = User.age == 1
    for _ in range(5_000):
        condition = ~condition
    with pytest.raises(ferro.InvalidQuery, match="levels"):
        prepared(User.where(condition)._spec)


def test_queries_and_values_say_what_they_are() -> None:
    data: Any = Document.data
    assert repr(User.select().where(User.age > 1)) == "<Select of User>"
    assert repr(User.age) == "<field User.age>"
    assert repr(User.age + 1) == "<value computed from User.age>"
    assert repr(User.age > 1) == "<condition>"
    assert repr(data["a"][0]) == "<part Document.data['a'][0]>"


@pytest.mark.usefixtures("db")
async def test_elements_of_documents_are_counted_from_the_first() -> None:
    data: Any = Document.data
    await Document.create(title="", data={"list": [1, 2]})
    assert await Document.where(data["list"][1] == 2).count() == 1
    with pytest.raises(ferro.ValueOutOfRange, match=r"\['list'\]`: elements are counted from 0"):
        data["list"][-1]


def test_a_part_of_a_document_has_no_type_of_its_own() -> None:
    data: Any = Document.data
    for ask in (
        lambda it: Document.select(city=it),
        lambda it: Document.select().group_by(lambda _: it),
        lambda it: Document.select().order_by(it),
        lambda it: Document.select().order_by(lambda _: it),
    ):
        with pytest.raises(
            ferro.InvalidQuery, match=r"`<part Document.data\['city'\]>` has no type"
        ):
            ask(data["city"])
        ask(data["city"].as_type(str))


@pytest.mark.usefixtures("db")
async def test_a_key_and_other_values_hold_together() -> None:
    ada, ben = await User.create(name="Ada"), await User.create(name="Ben")
    assert await User.get(ada.id, name="Ada") == ada
    assert await User.get_or_none(ada.id, name="Ben") is None
    assert await User.get_or_none(ada.id, id=ben.id) is None
    assert await User.where(name="Ben").get_or_none(ada.id) is None
    assert await User.where(name="Ben").get(ben.id) == ben
