"""For FastAPI and Starlette: HTTP responses for Ferro's exceptions.

`ferro.lifespan` connects an application; `ferro.Loaded` is for response models.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from . import _native
from ._argument import check
from .exceptions import (
    BusyError,
    CheckViolation,
    ConfigurationError,
    ConnectionError,
    DeadlockError,
    DeniedError,
    DoesNotExist,
    ExclusionViolation,
    FerroError,
    ForeignKeyViolation,
    InvalidPosition,
    QueryTimeout,
    SerializationError,
    StaleObjectError,
    UniqueViolation,
    ValueOutOfRange,
)

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

__all__ = ["STATUSES", "add_exception_handlers"]

STATUSES: Mapping[type[FerroError], int] = {
    DoesNotExist: 404,
    DeniedError: 403,
    UniqueViolation: 409,
    ForeignKeyViolation: 409,
    ExclusionViolation: 409,
    StaleObjectError: 409,
    CheckViolation: 422,
    InvalidPosition: 422,
    ValueOutOfRange: 422,
    BusyError: 503,
    ConnectionError: 503,
    DeadlockError: 503,
    QueryTimeout: 503,
    SerializationError: 503,
}
"""HTTP statuses for exceptions and their subclasses. Others are bugs of the application, for which
the server responds with 500.
"""

_PHRASES = {it.value: it.phrase for it in HTTPStatus}

_log = logging.getLogger("ferro.fastapi")


class _Application(Protocol):
    def add_exception_handler(
        self, exc_class_or_status_code: int | type[Exception], handler: Any
    ) -> None: ...


def add_exception_handlers(
    app: _Application, statuses: Mapping[type[FerroError], int] | None = None
) -> None:
    """Make a FastAPI or Starlette application respond to Ferro's exceptions with `STATUSES`.

    The body is that of an `HTTPException` without a detail, `{"detail": "Conflict"}`: it reveals
    nothing about the database. Responses of 500 and above are logged by `ferro.fastapi`. Pass other
    statuses as `{**STATUSES, ferro.CheckViolation: 400}`. A handler that the application adds
    afterwards, for a listed class or a subclass, takes precedence. On a WebSocket the exception is
    raised unchanged, and the server closes the connection.

    Example:
        >>> from ferro.fastapi import add_exception_handlers
        >>> def serve(app) -> None:
        ...     add_exception_handlers(app)
    """
    check(ConfigurationError, statuses=(statuses, Mapping, None))
    for kind, status in (STATUSES if statuses is None else statuses).items():
        if not (isinstance(kind, type) and issubclass(kind, FerroError)):
            raise ConfigurationError(f"`statuses` is for exceptions of Ferro, not for `{kind!r}`")
        if type(status) is not int and not isinstance(status, HTTPStatus):
            raise ConfigurationError(
                f"`statuses`: `{kind.__name__}` takes an int, not `{status!r}`"
            )
        if not 400 <= status < 600:
            raise ConfigurationError(
                f"`statuses`: {status} is not the status of an error, from 400 to 599"
            )
        app.add_exception_handler(kind, _answering(int(status)))


def _answering(status: int) -> Any:
    phrase = _PHRASES.get(status, "Error")

    async def answer(request: Request | WebSocket, error: FerroError) -> Response:
        from starlette.responses import JSONResponse

        if request.scope["type"] == "websocket":
            raise error
        if status >= 500:
            # `request.url` includes the header `Host`, which may be anything.
            path, name = request.scope["path"], type(error).__name__
            _log.warning("%s %r: %s: %s", status, path, name, _native.escape_line(str(error)))
        return JSONResponse({"detail": phrase}, status)

    return answer
