"""Declarations of relations in models: `ForeignKey`, `BackRef`, `ManyToMany`."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import typing
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, overload

from .._argument import check, check_choice
from .._pydantic import set_by
from .._tables.relation_options import RelationOptions
from ..exceptions import SchemaError

if TYPE_CHECKING:
    from .._models.model import Model
    from .loaded import NoRow
    from .related import RelatedRows

T = TypeVar("T")
M = TypeVar("M", bound="Model")

OnDelete = Literal["cascade", "restrict", "set null", "set default", "no action"]

KEY: Any = object()
"""Marks the annotation of a relation's key, which is not created yet."""


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
    """A relation to one row of another model, whose key is stored in an extra field.

    `author: Relation[Author] = ForeignKey(related_name="posts")` adds a field `author_id` of the
    type of the author's key, unless the class declares it for type checkers, and the reverse
    relation `posts` on `Author`. `Relation[Author | None]` may be null. Deleting an author deletes
    its posts (`"cascade"`), unless `on_delete` is `"restrict"`, `"set null"`, `"set default"` or
    `"no action"`. `on_update` takes the same values for changes of the author's key; by default,
    `"cascade"`, its posts get the new key. `default` is the key for posts that are created without
    an author. `index=True` adds an index on the column, which has none by default.
    `primary_key=True` makes it the primary key, or a part of it. With `unique=True`, or if it is
    the whole primary key, an author has at most one post. `db_column` names the column, by default
    `author_id`. `renamed_from` is the former name of the relation, for `ferro.migrate`.

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
    return RelationOptions(
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
    """The reverse side of another model's relation, whose `related_name` is its name.

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
    return RelationOptions("back-reference")


def ManyToMany(  # noqa: N802 - beside `Field`
    related_name: str | None = None,
    *,
    through: type[Model] | str | None = None,
    init: Literal[False] = False,
) -> Any:
    """A many-to-many relation, through a table of pairs.

    Ferro creates the table, unless `through` names a model with a foreign key to each side; these
    must be its primary key or unique together. Without `related_name`, the reverse relation of a
    model `Letter` is `letter_set`.

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
    return RelationOptions("many-to-many", related_name, through=through)


class Relation(Generic[T]):
    """The type of a relation: `Relation[Author]`, `Relation[Author | None]`,
    `Relation[list[Post]]`.

    On a row, a relation to many rows is a query: `author.posts.where(…)`. A relation to one row is
    awaited, `await post.author`; if it was loaded before, by `include`, it is the row itself.

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
        # Models remove their relations before Pydantic sees them.
        raise SchemaError(
            f"`Relation` of `{handler.field_name}`: in a model, define it with `= "
            "ferro.ForeignKey()`, `ferro.BackRef()` or `ferro.ManyToMany()`; a class that is "
            "not a model needs `ferro.Model` as its base, and `abstract=True` if it has no table"
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
    """The attribute of a relation: an expression on the class, the related rows on an instance."""

    def __init__(self, name: str) -> None:
        self._name = name

    @classmethod
    def put(cls, model: Any, name: str) -> None:
        """Add the attribute to a model."""
        taken = inspect.getattr_static(model, name, None)
        if taken is not None and not isinstance(taken, cls):
            raise SchemaError(
                f"relation `{model.__name__}.{name}`: the model has an attribute of that name: "
                "rename the relation, or use another `related_name`"
            )
        attribute = cls(name)
        setattr(model, name, attribute)
        set_by(model, name, lambda row, _, value: attribute.__set__(row, value))

    def __get__(self, row: Any, owner: type[Any] | None = None) -> Any:
        from .access import related, relation_of_class

        return relation_of_class(owner, self._name) if row is None else related(row, self._name)

    def __set__(self, row: Any, value: Any) -> None:
        from .access import assign

        assign(row, self._name, value)

    def __delete__(self, row: Any) -> NoReturn:
        raise AttributeError(f"`{self._name}` is a relation: it cannot be deleted")


def take_relations(namespace: dict[str, Any], frame: int) -> dict[str, RelationOptions]:
    """Extract the relations that a class body declares, so that Pydantic does not see them.

    `frame` is the number of calls from the class body, in which names in annotations are looked up.
    """
    annotations = _annotations(namespace)
    all_declared: dict[str, RelationOptions] = {}
    for name, annotation in list(annotations.items()):
        declared = namespace.get(name)
        if not isinstance(declared, RelationOptions):
            declared = _annotated_relation(annotation, namespace, frame + 1)
        if declared is None:
            continue
        target, nullable, many = _parts(name, annotation)
        if many != (declared.kind == "many-to-many") and declared.kind != "back-reference":
            wanted = "Relation[list[…]]" if declared.kind == "many-to-many" else "Relation[…]"
            raise SchemaError(f"relation `{name}`: a {declared.kind} is annotated as `{wanted}`")
        all_declared[name] = dataclasses.replace(
            declared, name=name, target=target, nullable=nullable, many=many
        )
        namespace.pop(name, None)
    for name, value in namespace.items():
        if isinstance(value, RelationOptions):
            raise SchemaError(f"relation `{name}` has no annotation: give it `Relation[…]`")
    if all_declared:
        namespace["__annotations__"] = _without_relations(annotations, all_declared)
        namespace.pop("__annotate_func__", None)
    return all_declared


def _without_relations(
    annotations: dict[str, Any], all_declared: dict[str, RelationOptions]
) -> dict[str, Any]:
    """The annotations of fields; `KEY` marks that of a relation's key, which is still to be
    created.
    """
    found: dict[str, Any] = {}
    for name, annotation in annotations.items():
        if name not in all_declared:
            found[name] = annotation
        elif (
            all_declared[name].kind == "foreign-key"
            and all_declared[name].column not in annotations
        ):
            found[all_declared[name].column] = KEY
    return found


def _annotations(namespace: dict[str, Any]) -> dict[str, Any]:
    if "__annotations__" in namespace or sys.version_info < (3, 14):
        return dict(namespace.get("__annotations__", {}))
    import annotationlib  # type: ignore[import-not-found,unused-ignore]

    function = annotationlib.get_annotate_from_class_namespace(namespace)
    if function is None:
        return {}
    return dict(annotationlib.call_annotate_function(function, annotationlib.Format.FORWARDREF))


def _annotated_relation(
    annotation: Any, namespace: dict[str, Any], frame: int
) -> RelationOptions | None:
    """The relation inside `Annotated[Author, ForeignKey(…)]`."""
    if isinstance(annotation, str):
        if not any(word in annotation for word in ("ForeignKey", "ManyToMany", "BackRef")):
            return None
        around = sys._getframe(frame + 1)
        for call in ast.walk(ast.parse(annotation.strip(), mode="eval")):
            if isinstance(call, ast.Call):
                code = compile(ast.Expression(call), "<annotation>", "eval")
                found = eval(code, around.f_globals, {**around.f_locals, **namespace})
                if isinstance(found, RelationOptions):
                    return found
        return None
    metadata = getattr(annotation, "__metadata__", ())
    return next((it for it in metadata if isinstance(it, RelationOptions)), None)


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
    """Reject a model, which other ORMs accept here."""
    if isinstance(name, type):
        raise SchemaError(
            f"a relation names its model in the annotation, as in `Relation[{name.__name__}]`, "
            "and takes `related_name`, the name of the reverse relation"
        )
    check(SchemaError, related_name=(name, str, None))


def _action(option: str, name: str) -> str:
    """An action as the WIT names it, from `"SET NULL"`, `"set_null"` and the like."""
    check(SchemaError, **{option: (name, str)})
    action = name.strip().lower().replace("-", " ").replace("_", " ")
    check_choice(SchemaError, option, action, typing.get_args(OnDelete))
    return action.replace(" ", "-")


__all__ = ["BackRef", "ForeignKey", "ManyToMany", "Relation"]
