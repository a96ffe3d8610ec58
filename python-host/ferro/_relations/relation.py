"""Relations of models, as a class declares them: `ForeignKey`, `BackRef`, `ManyToMany`."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, overload

import pydantic
from pydantic import ValidationInfo
from pydantic_core import core_schema, to_json

from .._argument import check, check_choice
from ..exceptions import InvalidQuery, SchemaError

if TYPE_CHECKING:
    from .._models.model import Model
    from .loaded import NoRow
    from .related import RelatedRows

T = TypeVar("T")
M = TypeVar("M", bound="Model")

OnDelete = Literal["cascade", "restrict", "set null", "set default", "no action"]

KEY: Any = object()
"""Stands among annotations for that of the key of a relation, which is not made yet."""


@dataclass(frozen=True, eq=False)
class Link:
    """A relation as a class declares it; what is at its other end may be defined later."""

    kind: Literal["foreign-key", "back-reference", "many-to-many"]
    related_name: str | None = None
    on_delete: str = "cascade"
    on_update: str = "cascade"
    unique: bool = False
    index: bool = False
    primary_key: bool = False
    default: Any = ...
    """The key that a row gets which is given none; `...`: it has to be given."""
    through: type[Model] | str | None = None
    name: str = ""
    target: Any = None
    """A model, or the name of one."""
    nullable: bool = False
    many: bool = False
    renamed_from: str | None = None
    """What the relation was called before."""
    db_column: str | None = None

    @property
    def column(self) -> str:
        """The field that holds the key of the other end: `author_id` for `author`."""
        return f"{self.name}_id"

    @property
    def sets_default(self) -> bool:
        """Whether the database may have to set the default."""
        return "set-default" in (self.on_delete, self.on_update)

    def holds(self, field: str) -> bool:
        """Whether this field holds the key of the other end."""
        return self.kind == "foreign-key" and self.column == field


def ForeignKey(  # noqa: N802 - beside `Field`
    related_name: str | None = None,
    *,
    on_delete: str = "cascade",
    on_update: str = "cascade",
    unique: bool = False,
    index: bool = False,
    primary_key: bool = False,
    default: Any = ...,
    db_column: str | None = None,
    renamed_from: str | None = None,
) -> Any:
    """A relation to one row of another model, whose key is kept in a field beside it.

    `author: Relation[Author] = ForeignKey(related_name="posts")` makes a field `author_id` of the
    type of the author's key, unless the class declares it for type checkers, and on `Author` the
    way back, `posts`. `Relation[Author | None]` may be null. When the author is deleted, its posts
    are too; `on_delete` says otherwise: `"restrict"`, `"set null"`, `"set default"`,
    `"no action"`. `on_update` takes the same words, for a key of the author that changes: by
    default, `"cascade"`, its posts get the new one. `default` is a key, for posts that are given no
    author. `index=True` gives the column an index, which it does not have by itself.
    `primary_key=True` makes it the primary key, or a part of it. With `unique=True`, or where it is
    the whole primary key, an author has one post at most. `db_column` names the column where it is
    not `author_id`. `renamed_from` is what the relation was called before, for `ferro.migrate`.

    Example:
        >>> import ferro
        >>> class Writer(ferro.Model, table="doc_writer"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     books: ferro.Relation[list["Book"]] = ferro.BackRef()
        >>> class Book(ferro.Model, table="doc_book"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     writer: ferro.Relation[Writer] = ferro.ForeignKey(related_name="books")
        >>> Book(writer_id=5).writer_id
        5
    """
    _check_related_name(related_name)
    check(
        SchemaError,
        unique=(unique, bool),
        index=(index, bool),
        primary_key=(primary_key, bool),
        db_column=(db_column, str, None),
        renamed_from=(renamed_from, str, None),
    )
    return Link(
        "foreign-key",
        related_name,
        on_delete=_action("on_delete", on_delete),
        on_update=_action("on_update", on_update),
        unique=unique,
        index=index,
        primary_key=primary_key,
        default=default,
        db_column=db_column,
        renamed_from=renamed_from,
    )


def BackRef(*, init: Literal[False] = False) -> Any:  # noqa: N802 - beside `Field`
    """The way back of another model's relation, which names it with `related_name`.

    Example:
        >>> import ferro
        >>> class Owner(ferro.Model, table="doc_owner"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     pets: ferro.Relation[list["Pet"]] = ferro.BackRef()
        >>> class Pet(ferro.Model, table="doc_pet"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     owner: ferro.Relation[Owner] = ferro.ForeignKey(related_name="pets")
        >>> pets_of_owner_5 = Owner(id=5).pets.order_by("id")
    """
    return Link("back-reference")


def ManyToMany(  # noqa: N802 - beside `Field`
    related_name: str | None = None,
    *,
    through: type[Model] | str | None = None,
    init: Literal[False] = False,
) -> Any:
    """A relation to many rows, each of which may have many: through a table of pairs.

    The table is made, unless `through` names a model with a foreign key to each end, which are its
    primary key or unique together. Without a `related_name`, the way back of `Letter` is
    `letter_set`.

    Example:
        >>> import ferro
        >>> class Label(ferro.Model, table="doc_label"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        >>> class Letter(ferro.Model, table="doc_letter"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     labels: ferro.Relation[list[Label]] = ferro.ManyToMany(related_name="letters")
    """
    _check_related_name(related_name)
    check(SchemaError, through=(through, str, type, None))
    return Link("many-to-many", related_name, through=through)


class Relation(Generic[T]):
    """The type of a relation: `Relation[Author]`, `Relation[Author | None]`,
    `Relation[list[Post]]`.

    On a row, a relation to many rows is a query of them: `author.posts.where(…)`. One to a single
    row is awaited, `await post.author`; loaded before, by `include`, it is the row itself.

    Example:
        >>> import ferro
        >>> class Room(ferro.Model, table="doc_room"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     inside: ferro.Relation["Room | None"] = ferro.ForeignKey(related_name="rooms")
        >>> Room(id=1).inside_id is None
        True
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        # Models take their relations out before Pydantic sees them.
        raise SchemaError(
            f"`Relation` of `{handler.field_name}`: in a model say which it is, with `= "
            "ferro.ForeignKey()`, `ferro.BackRef()` or `ferro.ManyToMany()`; in a class that is "
            "not a model: give it `ferro.Model` as its base, and `abstract=True` if it has no table"
        )

    if TYPE_CHECKING:

        @overload
        def __get__(self, row: None, owner: type[Any]) -> Any: ...
        @overload
        def __get__(self: Relation[list[M]], row: object, owner: type[Any]) -> RelatedRows[M]: ...
        @overload
        def __get__(self: Relation[M | None], row: object, owner: type[Any]) -> M | NoRow: ...
        @overload
        def __get__(self: Relation[M], row: object, owner: type[Any]) -> M: ...
        def __get__(self, row: Any, owner: type[Any]) -> Any: ...

        def __set__(self, row: Any, value: T) -> None: ...


class RelationAttribute:
    """What a relation is on a class: a condition's part; and on a row: what it leads to."""

    def __init__(self, name: str) -> None:
        self._name = name

    @classmethod
    def put(cls, model: Any, name: str) -> None:
        """Give a model the attribute."""
        taken = inspect.getattr_static(model, name, None)
        if taken is not None and not isinstance(taken, cls):
            raise SchemaError(
                f"relation `{model.__name__}.{name}`: the model has an attribute of that name: "
                "name the relation otherwise, or give another `related_name`"
            )
        attribute = cls(name)
        setattr(model, name, attribute)
        # Pydantic sets what is in this table, and knows nothing of descriptors.
        model.__pydantic_setattr_handlers__[name] = lambda row, _, value: attribute.__set__(
            row, value
        )

    def __get__(self, row: Any, owner: type[Any] | None = None) -> Any:
        from .access import related, relation_of_class

        return relation_of_class(owner, self._name) if row is None else related(row, self._name)

    def __set__(self, row: Any, value: Any) -> None:
        from .access import assign

        assign(row, self._name, value)

    def __delete__(self, row: Any) -> NoReturn:
        raise AttributeError(f"`{self._name}` is a relation: it cannot be deleted")


def take_links(namespace: dict[str, Any], frame: int) -> dict[str, Link]:
    """The relations that a class body declares, taken out of it, so that Pydantic sees none.

    `frame` is how many calls away the class body is: names in its annotations are looked up there.
    """
    annotations = _annotations(namespace)
    links: dict[str, Link] = {}
    for name, annotation in list(annotations.items()):
        link = namespace.get(name)
        if not isinstance(link, Link):
            link = _annotated_link(annotation, namespace, frame + 1)
        if link is None:
            continue
        target, nullable, many = _parts(name, annotation)
        if many != (link.kind == "many-to-many") and link.kind != "back-reference":
            wanted = "Relation[list[…]]" if link.kind == "many-to-many" else "Relation[…]"
            raise SchemaError(f"relation `{name}`: a {link.kind} is annotated as `{wanted}`")
        links[name] = dataclasses.replace(
            link, name=name, target=target, nullable=nullable, many=many
        )
        namespace.pop(name, None)
    for name, value in namespace.items():
        if isinstance(value, Link):
            raise SchemaError(f"relation `{name}` has no annotation: give it `Relation[…]`")
    if links:
        namespace["__annotations__"] = _without_links(annotations, links)
        namespace.pop("__annotate_func__", None)
    return links


def _without_links(annotations: dict[str, Any], links: dict[str, Link]) -> dict[str, Any]:
    """The annotations of fields. `KEY` stands for that of the key of a relation, to be made."""
    found: dict[str, Any] = {}
    for name, annotation in annotations.items():
        if name not in links:
            found[name] = annotation
        elif links[name].kind == "foreign-key" and links[name].column not in annotations:
            found[links[name].column] = KEY
    return found


def _annotations(namespace: dict[str, Any]) -> dict[str, Any]:
    if "__annotations__" in namespace or sys.version_info < (3, 14):
        return dict(namespace.get("__annotations__", {}))
    import annotationlib  # type: ignore[import-not-found,unused-ignore]

    function = annotationlib.get_annotate_from_class_namespace(namespace)
    if function is None:
        return {}
    return dict(annotationlib.call_annotate_function(function, annotationlib.Format.FORWARDREF))


def _annotated_link(annotation: Any, namespace: dict[str, Any], frame: int) -> Link | None:
    """The link inside `Annotated[Author, ForeignKey(…)]`."""
    if isinstance(annotation, str):
        if not any(word in annotation for word in ("ForeignKey", "ManyToMany", "BackRef")):
            return None
        around = sys._getframe(frame + 1)
        for call in ast.walk(ast.parse(annotation.strip(), mode="eval")):
            if isinstance(call, ast.Call):
                code = compile(ast.Expression(call), "<annotation>", "eval")
                found = eval(code, around.f_globals, {**around.f_locals, **namespace})
                if isinstance(found, Link):
                    return found
        return None
    metadata = getattr(annotation, "__metadata__", ())
    return next((it for it in metadata if isinstance(it, Link)), None)


def _parts(name: str, annotation: Any) -> tuple[Any, bool, bool]:
    """The target of a relation, whether it may be null, and whether it is a list."""
    if isinstance(annotation, str):
        return _parts_of_text(name, ast.parse(annotation.strip(), mode="eval").body)
    if isinstance(annotation, typing.ForwardRef):
        return _parts(name, annotation.__forward_arg__)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Relation, typing.Annotated):
        return _parts(name, arguments[0])
    if origin is list and len(arguments) == 1:
        return _parts(name, arguments[0])[0], False, True
    if arguments and type(None) in arguments:
        (other,) = (it for it in arguments if it is not type(None))
        return _parts(name, other)[0], True, False
    if arguments or not isinstance(annotation, type):
        raise _unclear(name, annotation)
    return annotation, False, False


def _parts_of_text(name: str, node: ast.expr) -> tuple[Any, bool, bool]:
    match node:
        case ast.Constant(value=str(text)):
            return _parts(name, text)
        case ast.Name() | ast.Attribute():
            return ast.unparse(node), False, False
        case ast.Subscript(value=ast.Name(id=outer) | ast.Attribute(attr=outer), slice=inner):
            first = inner.elts[0] if isinstance(inner, ast.Tuple) else inner
            target, nullable, many = _parts_of_text(name, first)
            if outer in ("list", "List"):
                return target, False, True
            if outer == "Optional":
                return target, True, False
            if outer in ("Relation", "Annotated"):
                return target, nullable, many
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return _parts_of_text(name, left)[0], True, False
        case ast.BinOp(left=ast.Constant(value=None), op=ast.BitOr(), right=right):
            return _parts_of_text(name, right)[0], True, False
    raise _unclear(name, ast.unparse(node))


def _unclear(name: str, annotation: object) -> SchemaError:
    return SchemaError(
        f"relation `{name}`: `{annotation}` does not name a model: annotate it as "
        "`Relation[Author]`, `Relation[Author | None]` or `Relation[list[Post]]`"
    )


def _check_related_name(name: Any) -> None:
    """Refuse a model, which other ORMs take here."""
    if isinstance(name, type):
        raise SchemaError(
            f"a relation names its model in the annotation, as in `Relation[{name.__name__}]`, and "
            "takes `related_name`, what the way back is called"
        )
    check(SchemaError, related_name=(name, str, None))


def _action(option: str, name: str) -> str:
    """An action as the WIT names it, from `"SET NULL"`, `"set_null"` and the like."""
    check(SchemaError, **{option: (name, str)})
    action = name.strip().lower().replace("-", " ").replace("_", " ")
    check_choice(SchemaError, option, action, typing.get_args(OnDelete))
    return action.replace(" ", "-")


class KeyOf:
    """The type of the field that holds another model's key, before that model is defined."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._adapter: Any = None
        self.annotation: Any = None
        """The type of the key; known when all models are."""

    def validate(self, value: Any, info: ValidationInfo) -> Any:
        """The key, as the other model takes it; null where the relation may be."""
        strict = bool((info.config or {}).get("strict"))
        if strict and info.mode == "json":
            return self._type().validate_json(to_json(value), strict=True)
        return self._type().validate_python(value, strict=strict or None)

    def _type(self) -> Any:
        if self._adapter is None:
            from .._tables.registry import registry

            registry.link()
            kind = self.annotation
            self._adapter = pydantic.TypeAdapter(kind | None if self.link.nullable else kind)
        return self._adapter

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.with_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return handler(self._type().core_schema)


def keyless(label: str, name: str) -> InvalidQuery:
    """The error where a row is named that has no key yet."""
    return InvalidQuery(f"`{name}` is given a `{label}` that has no key yet: save it first")


__all__ = ["BackRef", "ForeignKey", "ManyToMany", "Relation"]
