"""What the database computes for a field: `now`, `random_uuid`."""

from __future__ import annotations

from ..exceptions import TypeMismatch


class DatabaseDefault:
    """What the database computes for an insert without a value, or for each update; created only
    by this module.
    """

    def __init__(self, name: str, kinds: tuple[str, ...], instead: str, meaning: str) -> None:
        self.name = name
        """Its name in the WIT."""
        self.kinds = kinds
        """The scalar types that can have it."""
        self.instead = instead
        """What makes such a value in Python."""
        self.__doc__ = meaning

    def __repr__(self) -> str:
        return f"ferro.{self.name.replace('-', '_')}"

    def no_value(self, field: str) -> TypeMismatch:
        """The error for a default in the place of a value."""
        return TypeMismatch(
            f"`{field}` takes a value, and `{self!r}` is a default, `Field(db_default={self!r})`: "
            f"pass {self.instead}"
        )


now = DatabaseDefault(
    "now",
    ("date", "time", "timestamp", "timestamptz"),
    "what Python has, such as `datetime.now(timezone.utc)`",
    """For `Field(db_default=ferro.now)` and `Field(on_update=ferro.now)`: the time of the
    transaction, in UTC; on SQLite, which has no such thing, that of the statement, in milliseconds.

    Example:
        >>> import datetime, ferro
        >>> class Visit(ferro.Model, table="doc_page_visit"):
        ...     id: int | None = ferro.Field(default=None, primary_key=True)
        ...     made: datetime.datetime = ferro.Field(db_default=ferro.now)
        ...     left: datetime.datetime | None = ferro.Field(default=None, on_update=ferro.now)
    """,
)
random_uuid = DatabaseDefault(
    "random-uuid",
    ("uuid",),
    "`uuid.uuid4()`",
    """For `Field(db_default=ferro.random_uuid)` and `Field(on_update=ferro.random_uuid)`: a random
    UUID, of version 4.

    Example:
        >>> import uuid, ferro
        >>> class Ticket(ferro.Model, table="doc_door_ticket"):
        ...     id: uuid.UUID | None = ferro.Field(
        ...         default=None, primary_key=True, db_default=ferro.random_uuid
        ...     )
    """,
)
