"""`Column`: an annotation that tells type checkers what a field is on its class."""

from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, overload

from ..exceptions import SchemaError

if TYPE_CHECKING:
    from .._expressions.value import FieldExpression

T = TypeVar("T")


class Column(Generic[T]):
    """The type of a field, for type checkers: at run time, `Column[str]` is `str`.

    A checker treats `User.name` as the `str` that it is on an instance. With `Column[str]` it knows
    that the name is a field on the class, `User.name.like("a%")`, and a `str` on an instance. Set a
    default with `ferro.Field(default=…)`.

    Example:
        >>> import ferro
        >>> class Boat(ferro.Model, table="doc_boat"):
        ...     id: ferro.Column[int | None] = ferro.Field(default=None, primary_key=True)
        ...     name: ferro.Column[str]
        >>> of_a = Boat.where(Boat.name.like("A%")).order_by(Boat.name.desc())
        >>> Boat(name="Argo").name
        'Argo'
    """

    if TYPE_CHECKING:

        @overload
        def __get__(self, row: None, owner: type[Any]) -> FieldExpression[T]: ...
        @overload
        def __get__(self, row: object, owner: type[Any]) -> T: ...
        def __get__(self, row: Any, owner: type[Any]) -> Any: ...

        def __set__(self, row: Any, value: T) -> None: ...

    else:

        def __class_getitem__(cls, kind: Any) -> Any:
            if isinstance(kind, tuple):
                raise SchemaError(
                    "`Column` takes one type, such as `Column[int | None]`: options go to "
                    "`ferro.Field`"
                )
            return kind

        def __new__(cls, *arguments: Any, **options: Any) -> NoReturn:
            raise SchemaError(
                "`Column` is an annotation: write `name: ferro.Column[str] = ferro.Field(…)`"
            )

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> NoReturn:
            raise SchemaError(
                f"`Column` of `{handler.field_name}`: name its type, such as `Column[str]`"
            )


__all__ = ["Column"]
