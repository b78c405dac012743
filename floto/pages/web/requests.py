"""Requests to the pages: guarded, bounded in size and time, and each error a page of its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from floto.core.errors import FlotoError, ServiceUnavailable, UnknownResource
from floto.core.visible import visible
from floto.pages.web.security import HEADERS, Guard, Refused
from floto.request_bodies import BodyBudget
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: Maximum bytes of a form, and of a saved history.
FORM_LIMIT, HISTORY_LIMIT = 256 * 1024, 32 * 1024 * 1024
#: Maximum bytes of bodies that are being read, of all connections together.
BODIES_LIMIT = 2 * HISTORY_LIMIT
_FORM_FIELDS = 50
#: Seconds in which a body must arrive.
_BODY_SECONDS = 30.0
#: Headers that decide whether a request is admitted; a repeated one could be read in two ways.
_SINGLE = frozenset({b"host", b"origin", b"authorization", b"cookie", b"sec-fetch-site", b"sec-fetch-mode"})

#: Renders the page of an error: its status and its message.
ErrorPage = Callable[[int, str], Response]
Handler = Callable[[Request], Awaitable[Response]]


class Guarded:
    """An ASGI application behind a guard, with the headers of security on each response."""

    def __init__(self, application: ASGIApp, guard: Guard, error_page: ErrorPage) -> None:
        self._application, self._guard, self._error_page = application, guard, error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request, or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        guarded = _with_headers(send)
        try:
            admission = self._guard.admit(
                scope["method"],
                scope["raw_path"].decode("ascii", "replace"),
                scope["query_string"].decode("latin-1"),
                _headers(scope),
            )
        except Refused as refused:
            response = error_response(Request(scope), refused.status, str(refused), self._error_page)
            await response(scope, receive, guarded)
            return
        if admission.location is not None and admission.cookie is not None:
            # Only the path of this server: no other host can be named.
            location = "/" + admission.location.lstrip("/")
            headers = {"location": location, "set-cookie": admission.cookie}
            await Response(status_code=303, headers=headers)(scope, receive, guarded)
            return
        await self._application(scope, receive, guarded)


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name in _SINGLE and name.decode() in found:
            raise Refused(400, f"the request has more than one {name.decode()} header; send it once")
        found[name.decode("latin-1")] = value.decode("latin-1")
    return found


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message["headers"] += [pair for pair in more if pair[0] not in given]
        await send(message)

    return guarded


def error_response(request: Request, status: int, message: str, error_page: ErrorPage) -> Response:
    """Return an error as a page to a browser that wants one, else as a sentence."""
    if "text/html" in request.headers.get("accept", ""):
        return error_page(status, visible(message))
    return PlainTextResponse(visible(message), status)


class Errors:
    """Turns the errors of handlers into responses; none shows a traceback."""

    def __init__(self, error_page: ErrorPage) -> None:
        self._error_page = error_page
        self._troubles = TroubleLog(log)

    def guarded(self, handler: Handler) -> Handler:
        """Return a handler that returns a response for each error."""

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except ClientDisconnect:
                return Response()
            except Exception as error:  # noqa: BLE001 - every error gets a response
                return error_response(request, *self._described(error), self._error_page)

        return handle

    def _described(self, error: Exception) -> tuple[int, str]:
        if isinstance(error, Refused):
            return error.status, str(error)
        if isinstance(error, HTTPException):
            return error.status_code, error.detail.lower()
        if isinstance(error, FlotoError):
            return _status(error), str(error)
        number = uuid4().hex[:8]
        self._troubles.failed(repr(error)[:200], "page %s failed: %r", number, error, error=error)
        return 500, f"the page could not be made; the log of the server says why, under {number}"


def _status(error: FlotoError) -> int:
    if isinstance(error, UnknownResource):
        return 404
    return 503 if isinstance(error, ServiceUnavailable) else 400


class PageBodies:
    """A reader of the bodies of requests to the pages, whose memory is bounded together."""

    def __init__(self) -> None:
        self._budget = BodyBudget(BODIES_LIMIT)

    async def read(self, request: Request, limit: int) -> bytes:
        """Return the body of a request.

        Raises:
            Refused: if it is larger than ``limit`` bytes, or takes more than 30 seconds to arrive.
            ServiceUnavailable: if all bodies being read exceed their limit together, and it is the slowest.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit)
        try:
            async with self._budget.reading(_BODY_SECONDS) as body:
                async for chunk in request.stream():
                    if len(body.data) + len(chunk) > limit:
                        raise _too_large(limit)
                    body.add(chunk)
        except TimeoutError:
            raise Refused(408, f"the request was not complete after {_BODY_SECONDS:.0f} seconds") from None
        return bytes(body.data)

    async def form(self, request: Request) -> Mapping[str, str]:
        """Return the fields of a form. Raises ``Refused`` if it is not one."""
        try:
            text = (await self.read(request, FORM_LIMIT)).decode()
            pairs: list[Any] = parse_qsl(text, keep_blank_values=True, max_num_fields=_FORM_FIELDS)
        except ValueError:
            raise Refused(400, "the form cannot be read") from None
        return dict(pairs)


def _too_large(limit: int) -> Refused:
    return Refused(413, f"this is larger than {limit:,} bytes")
