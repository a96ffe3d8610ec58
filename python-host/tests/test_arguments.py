"""Arguments of a wrong type: each is refused where it is given, in Ferro's own words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from inspect import isawaitable
from typing import Any

import pytest

import ferro
from models import User

anything: Any = ferro
"""The package as it is to those who check no types."""
users: Any = User


def key(**options: Any) -> Any:
    return ferro.Field(default=None, primary_key=True, **options)


def define(id: Any = None, **options: Any) -> None:
    body = {"__annotations__": {"id": int | None}, "__module__": __name__, "id": id or key()}
    type(User)("Arguable", (ferro.Model,), body, **options)


CONNECTIONS: list[tuple[Callable[[], Any], str]] = [
    (lambda: anything.connect("sqlite::memory:", "x", default="yes"), "`default` takes True or"),
    (lambda: anything.connect("sqlite::memory:", auto_migrate=1), "`auto_migrate` takes True or"),
    (lambda: anything.transaction(read_only="yes"), "`read_only` takes True or False, not `str`"),
    (lambda: anything.transaction(immediate=1), "`immediate` takes True or False, not `int`"),
    (lambda: anything.transaction(deferrable=None), "`deferrable` takes True or False, not `None"),
    (lambda: anything.transaction(isolation=3), "`isolation` takes one of `read-committed`, "),
    (lambda: anything.transaction(using=User), "`using` takes a `str` or None, not `ModelMeta`"),
    (lambda: anything.connection_context(None), "`name` takes a `str`, not `NoneType`"),
    (lambda: anything.set_default_connection(5), "`name` takes a `str`, not `int`"),
    (lambda: anything.health(timeout="2"), "`timeout` takes a number, not `str`"),
    (lambda: anything.disconnect(5), "`name` takes a `str` or None, not `int`"),
    (lambda: anything.check_connection(5), "`name` takes a `str` or None, not `int`"),
    (lambda: anything.pool_stats(5), "`name` takes a `str` or None, not `int`"),
    (lambda: users.using(5), "`using` takes a `str`, a `Transaction` or None, not `int`"),
    (lambda: users.select().using(5), "`using` takes a `str`, a `Transaction` or None, not `int`"),
    (lambda: users(name="a").save(using=5), "`using` takes a `str`, a `Transaction` or None, not"),
    (lambda: anything.fetch_all("select 1", using=5), "`using` takes a `str`, a `Transaction` or"),
    (lambda: anything.create_tables(using=5), "`using` takes a `str` or None, not `int`"),
    (lambda: anything.migrate(using=5), "`using` takes a `str` or None, not `int`"),
    (lambda: anything.migrate(dry_run=1), "`dry_run` takes True or False, not `int`"),
    (lambda: anything.migrate(risk="x"), "`risk` takes one of `safe`"),
    (lambda: users.using("").all(), "there is no connection ``"),
    (lambda: anything.Plugin.load(5), "`path` takes a `str` or a `PathLike`, not `int`"),
    (lambda: anything.Plugin.load("x", fuel=3), "`fuel` takes True or False, not `int`"),
    (lambda: anything.scope(None), "`tenant` takes a `ferro.Tenant`, not `None`"),
    (lambda: anything.transaction()(len), r"is for a coroutine function \(`async def`\), not for"),
    (lambda: anything.transaction().on_commit(5), "`on_commit` takes a function .*, not `int`"),
    (lambda: anything.retry(None), "`retry` takes a function .*, not `NoneType`"),
    (
        lambda: anything.retry(asyncio.get_running_loop().create_future()),
        r"pass `work`, not `work\(\)",
    ),
]

QUERIES: list[tuple[Callable[[], Any], str]] = [
    (lambda: anything.execute(b"select 1"), "`sql` takes a `str`, not `bytes`"),
    (lambda: anything.fetch_all(None), "`sql` takes a `str`, not `NoneType`"),
    (lambda: users.select().limit("5"), "`limit` takes an int, not `str`"),
    (lambda: users.select().offset(None), "`offset` takes an int, not `NoneType`"),
    (lambda: anext(users.select().stream(batch=True)), "`batch` takes an int, not `bool`"),
    (lambda: User.name.desc(nulls="firts"), "`nulls` takes one of `first`, `last`, not `firts`"),  # type: ignore[attr-defined]
    (lambda: users.age.sum(distinct="yes"), "`distinct` takes True or False, not `str`"),
    (lambda: users.bulk_create(User(name="a")), "`bulk_create` takes a list of `User`, not `User`"),
    (lambda: users.bulk_update(None), "`bulk_update` takes a list of `User`, not `NoneType`"),
    (lambda: users.bulk_create([], return_keys="yes"), "`return_keys` takes True or False"),
    (lambda: users.upsert(name="a", conflict=5), "`conflict` takes a `str` or a list, not `int`"),
    (
        lambda: users.upsert(name="a", conflict="id", update=5),
        "`update` takes a `str`, a list, a dict or None, not `int`",
    ),
    (lambda: users.get_or_create("a"), "`defaults` takes a dict, not `str`"),
    (
        lambda: users.update_or_create(defaults={"age": 1}, email="a"),
        "`update_or_create` takes the values of a new row as its first, positional argument",
    ),
    (lambda: users.where(User), "`<class 'models.User'>` is not a condition"),
    (lambda: users.select(user=User), "`<class 'models.User'>` is not a value"),
    (
        lambda: users.bulk_upsert([User.model_construct(id=1)], conflict="email"),
        "a row has no value for its field `name`",
    ),
]

CLASSES: list[tuple[Callable[[], Any], str]] = [
    (lambda: anything.Field(primary_key="yes"), "`primary_key` takes True or False, not `str`"),
    (lambda: anything.Field(index="ix"), "`index` takes True or False, not `str`"),
    (lambda: anything.Field(nullable="no"), "`nullable` takes True, False or None, not `str`"),
    (lambda: anything.ForeignKey(User), r"in the annotation, as in `Relation\[User\]`, and takes"),
    (lambda: anything.ForeignKey(related_name=5), "`related_name` takes a `str` or None, not `int"),
    (lambda: anything.ForeignKey(unique=1), "`unique` takes True or False, not `int`"),
    (lambda: anything.ForeignKey(on_delete=None), "`on_delete` takes a `str`, not `NoneType`"),
    (lambda: anything.ForeignKey(on_update="x"), "`on_update` takes one of `cascade`, `restrict`"),
    (lambda: anything.ManyToMany(User), r"in the annotation, as in `Relation\[User\]`, and takes"),
    (lambda: anything.ManyToMany(through=5), "`through` takes a `str`, a class or None, not `int`"),
    (lambda: define(abstract="yes"), "`abstract` takes True or False, not `str`"),
    (lambda: define(uniques=5), "`uniques` takes a list, not `int`"),
    (lambda: define(indexes="id"), "`indexes` takes a list, not `str`"),
    (lambda: define(key(db_check=lambda it: it.foo())), "`db_check`: `.*` has no `foo`: "),
    (lambda: define(uniques=[5]), "`uniques` and `indexes` are lists of lists of fields"),
]


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [(ferro.ConfigurationError, *it) for it in CONNECTIONS]
    + [(ferro.InvalidQuery, *it) for it in QUERIES]
    + [(ferro.SchemaError, *it) for it in CLASSES],
)
async def test_an_argument_of_a_wrong_type_is_refused(
    error: type[Exception], call: Callable[[], Any], message: str
) -> None:
    await ferro.connect("sqlite::memory:")
    with pytest.raises(error, match=message):
        result = call()
        assert not isinstance(result, AbstractAsyncContextManager), "refused before it is entered"
        if isawaitable(result):
            await result
    assert ferro.pool_stats().acquired == 0
