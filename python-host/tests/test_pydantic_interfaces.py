"""What Ferro uses of Pydantic and Pydantic does not promise, all of it in `ferro/_pydantic.py`.

Each test is named after what a version of Pydantic breaks that has moved it.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import pydantic
from pydantic_core import SchemaSerializer

import ferro
from ferro import _pydantic

ROOT = Path(ferro.__file__).parent
PRIVATE = re.compile(
    r"pydantic\._internal|pydantic\.types|_use_prebuilt|__pydantic_(?!init_subclass__|config__)\w+"
)


class Plain(pydantic.BaseModel):
    number: int
    text: str = "x"


def test_no_other_module_uses_what_pydantic_may_move() -> None:
    using = {
        str(path.relative_to(ROOT)): sorted(set(PRIVATE.findall(path.read_text(encoding="utf-8"))))
        for path in ROOT.rglob("*.py")
    }
    used = using.pop("_pydantic.py")
    assert {name: found for name, found in using.items() if found} == {}
    # Each of them has a test here; another one needs one, too.
    assert used == [
        "__pydantic_decorators__",
        "__pydantic_parent_namespace__",
        "__pydantic_reset_parent_namespace__",
        "__pydantic_setattr_handlers__",
        "_use_prebuilt",
        "pydantic._internal",
        "pydantic.types",
    ]


def test_fields_of_classes_are_expressions_by_the_class_of_models() -> None:
    from pydantic._internal._model_construction import ModelMetaclass

    assert _pydantic.ModelMetaclass is ModelMetaclass
    assert isinstance(ferro.Model, ModelMetaclass)


def test_annotations_may_name_what_a_function_around_the_class_defines() -> None:
    class Local(pydantic.BaseModel):
        number: int

    class Meta(_pydantic.ModelMetaclass):
        def __new__(
            mcs, name: str, bases: tuple[type[Any], ...], namespace: dict[str, Any], **options: Any
        ) -> Any:
            _pydantic.look_around(namespace, options)
            return super().__new__(mcs, name, bases, namespace, **options)

    class Around(pydantic.BaseModel, metaclass=Meta):
        it: Local

    assert Around.model_validate({"it": {"number": 5}}).it.number == 5


def test_a_relation_is_set_by_its_attribute() -> None:
    class Owner(pydantic.BaseModel):
        name: str

    given = []
    _pydantic.set_by(Owner, "pet", lambda row, name, value: given.append((row, name, value)))
    owner: Any = Owner(name="Ada")
    owner.pet = "Tom"
    owner.name = "Bob"
    assert given == [(owner, "pet", "Tom")]
    assert vars(owner) == {"name": "Bob"}


def test_the_native_module_fills_all_slots_of_an_instance() -> None:
    slots = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
    assert pydantic.BaseModel.__slots__ == slots


def test_a_part_is_not_updated_that_a_model_writes_in_its_own_way() -> None:
    class Own(Plain):
        @pydantic.field_serializer("text")
        def _write(self, text: str) -> str:
            return text.upper()

    class Whole(Plain):
        @pydantic.model_serializer
        def _write(self) -> int:
            return self.number

    assert [_pydantic.writes_itself(Own, it) for it in ("number", "text")] == [False, True]
    assert _pydantic.writes_itself(Whole, "number")
    assert not _pydantic.writes_itself(Plain, "text")


def test_documents_hold_fields_that_a_class_leaves_out_when_it_prints() -> None:
    class Hiding(pydantic.BaseModel):
        shown: int
        hidden: int = pydantic.Field(exclude=True)

    class Around(pydantic.BaseModel):
        it: Hiding

    schema = pydantic.TypeAdapter(Around).core_schema
    (inner,) = (it for it in nodes(schema) if it.get("cls") is Hiding)
    inner["schema"]["fields"]["hidden"].pop("serialization_exclude")
    serializer = _pydantic.serializer_of(schema)
    assert isinstance(serializer, SchemaSerializer)
    value = Around(it=Hiding(shown=1, hidden=2))
    assert serializer.to_python(value) == {"it": {"shown": 1, "hidden": 2}}


def test_secrets_in_documents_are_noticed() -> None:
    for secret in (pydantic.SecretStr, pydantic.SecretBytes, pydantic.Secret[int]):
        assert any(_pydantic.masks(it) for it in written_by(secret)), secret
    assert not any(_pydantic.masks(it) for it in written_by(Plain))


def test_types_of_pydantic_are_stored_as_it_writes_them() -> None:
    class Own(pydantic.BaseModel):
        at: datetime.date

        @pydantic.field_serializer("at")
        def _write(self, at: datetime.date) -> str:
            return str(at.year)

    for kind in (pydantic.SecretStr, pydantic.AnyUrl, pydantic.PostgresDsn):
        assert all(map(_pydantic.is_own, written_by(kind))), kind
    assert [_pydantic.is_own(it) for it in written_by(Own)] == [False]


def nodes(schema: Any) -> list[Any]:
    """All dicts of a schema."""
    found, parts = [], [schema]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            found.append(part)
            parts.extend(part.values())
        elif isinstance(part, (list, tuple)):
            parts.extend(part)
    return found


def written_by(kind: Any) -> list[Any]:
    """The functions that a schema writes values with."""
    schema = pydantic.TypeAdapter(kind).core_schema
    serializations = [it.get("serialization") for it in nodes(schema)]
    return [it["function"] for it in serializations if isinstance(it, dict) and "function" in it]
