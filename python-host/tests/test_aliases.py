"""Models whose fields have other names outside."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest
from pydantic.alias_generators import to_camel

import ferro
from ferro import BackRef, ForeignKey, ManyToMany, Relation

pytestmark = pytest.mark.usefixtures("db")


class Writer(ferro.Model, table="alias_writer"):
    model_config = pydantic.ConfigDict(alias_generator=to_camel)
    id: int | None = ferro.Field(default=None, primary_key=True)
    full_name: str = ferro.Field(unique=True)
    born_in: int = 0
    all_books: Relation[list[Book]] = BackRef()


class Book(ferro.Model, table="alias_book"):
    model_config = pydantic.ConfigDict(alias_generator=to_camel)
    id: int | None = ferro.Field(default=None, primary_key=True)
    the_title: str
    the_writer: Relation[Writer] = ForeignKey(related_name="all_books")
    read_by: Relation[list[Writer]] = ManyToMany(related_name="has_read")


async def test_operations_take_the_names_of_fields_and_aliases() -> None:
    ada = await Writer.create(full_name="Ada")  # type: ignore[call-arg]
    assert await Writer.create(fullName="Ben", bornIn=1) == await Writer.get(full_name="Ben")
    for name, new in (("Ada", False), ("Cyd", True)):
        assert (await Writer.get_or_create({"born_in": 5}, full_name=name))[1] is new
        writer, _ = await Writer.update_or_create({"born_in": 6}, full_name=name)
        assert writer.born_in == 6
        writer, _ = await Writer.update_or_create({"bornIn": 8}, full_name=name)
        assert writer.born_in == 8
    stored = await Writer.upsert(full_name="Ada", born_in=7, conflict="full_name")
    assert (stored.id, stored.born_in) == (ada.id, 7)
    with pytest.raises(pydantic.ValidationError, match=r"(?s)Writer.*fullNaem"):
        await Writer.create(fullNaem="Dee")


async def test_a_row_and_another_key_are_not_given_together() -> None:
    ada, ben = await Writer.create(full_name="Ada"), await Writer.create(full_name="Ben")
    for key in ("the_writer_id", "theWriterId"):
        values: dict[str, Any] = {"the_title": "x", "the_writer": ada, key: ben.id}
        with pytest.raises(ferro.InvalidQuery, match="`Book.the_writer` and `the_writer_id`"):
            await Book.create(**values)
        book = await Book.create(**{**values, key: ada.id})
        assert book.the_writer is ada


async def test_a_field_has_the_first_of_several_aliases_or_its_name() -> None:
    class Shelf(ferro.Model, table="alias_shelf"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        title: str = ferro.Field(validation_alias=pydantic.AliasChoices("Title", "name"))
        depth: int = ferro.Field(default=1, validation_alias=pydantic.AliasPath("size", "depth"))
        writer: Relation[Writer | None] = ForeignKey()

    await ferro.create_tables()
    for values in ({"title": "a"}, {"Title": "a"}, {"name": "a", "size": {"depth": 1}}):
        shelf = await Shelf.create(**values)
        assert (shelf.title, shelf.depth) == ("a", 1)
    with pytest.raises(pydantic.ValidationError):
        await Shelf.create(title="a", Title="b")


async def test_an_alias_may_be_the_name_of_another_field() -> None:
    class Sign(ferro.Model, table="alias_sign"):
        id: int | None = ferro.Field(default=None, primary_key=True)
        name: str = ferro.Field(validation_alias="title")
        title: str | None = ferro.Field(default=None, validation_alias="heading")

    await ferro.create_tables()
    sign = await Sign.create(name="a")
    await sign.refresh()
    assert (sign.name, sign.title) == ("a", None)


async def test_relations_are_given_whatever_the_alias_of_the_key() -> None:
    ada = await Writer.create(full_name="Ada")
    books = [
        await Book.create(the_title="1", the_writer=ada),
        await Book.create(theTitle="2", theWriterId=ada.id),
        await ada.all_books.create(the_title="3"),
        await ada.all_books.create(theTitle="4"),
        Book(theTitle="5", the_writer=ada),  # type: ignore[call-arg]
        Book.model_validate({"theTitle": "6", "the_writer": ada}),
    ]
    await books[-1].save()
    await books[-2].save()
    assert books[-1].the_writer is ada
    assert [it.the_title for it in await ada.all_books.order_by("id")] == list("123465")
    await books[0].read_by.add(ada)
    assert await ada.has_read == [books[0]]  # type: ignore[attr-defined]
    with pytest.raises(pydantic.ValidationError, match="theTitle"):
        Book(the_title="7", the_writer=ada)  # type: ignore[call-arg]


async def test_a_model_that_is_validated_by_name_alone_keeps_that() -> None:
    class Label(ferro.Model, table="alias_label"):
        model_config = pydantic.ConfigDict(
            alias_generator=to_camel, validate_by_name=True, validate_by_alias=False
        )
        id: int | None = ferro.Field(default=None, primary_key=True)
        the_writer: Relation[Writer] = ForeignKey()

    await ferro.create_tables()
    ada = await Writer.create(full_name="Ada")
    assert (await Label.create(the_writer=ada)).the_writer is ada
    with pytest.raises(pydantic.ValidationError, match="theWriterId"):
        await Label.create(theWriterId=ada.id)
