"""Responses and URLs of the pages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.resources import files
from pathlib import PurePath
from typing import Any
from urllib.parse import quote, unquote, urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from floto.pages.documents import Document
from floto.pages.web.security import Refused

_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


#: The server-sent event that tells a page, while nothing changes, that the server still sends.
HEARTBEAT_MESSAGE = "event: heartbeat\ndata:\n\n"


class Stream(StreamingResponse):
    """Server-sent events; ``on_end`` is called once, when the connection has ended."""

    def __init__(self, messages: AsyncIterator[str], on_end: Callable[[], object]) -> None:
        super().__init__(messages, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        self._on_end = on_end

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the events until the client has gone or there are no more."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


def problem_message(problem: str) -> str:
    """Return the server-sent event of a stream whose service fails; the next message says that it is over."""
    return f"event: problem\ndata: {json.dumps(problem)}\n\n"


class Assets:
    """The files of the pages, with their ETags."""

    def __init__(self) -> None:
        found = (each for each in (files("floto.pages") / "static").iterdir())
        self._files = {
            each.name: (data := each.read_bytes(), _tag(data))
            for each in found
            if PurePath(each.name).suffix in _MEDIA_TYPES
        }

    def response(self, request: Request, name: str) -> Response:
        """Return a file. Raises ``Refused`` if there is none of this name."""
        if name not in self._files:
            raise Refused(404, "there is no such file")
        data, tag = self._files[name]
        return _kept(request, data, tag, media_type=_MEDIA_TYPES[PurePath(name).suffix])


def document_response(request: Request, found: Document) -> Response:
    """Return a document, which the browser unpacks."""
    more = {"content-encoding": "gzip", "vary": "accept-encoding"}
    return _kept(request, found.data, _tag(found.data), media_type="application/json", headers=more)


def _kept(
    request: Request, data: bytes, tag: str, *, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response that a browser keeps, and asks for again with its tag."""
    more = {"etag": tag, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=more)
    return Response(data, media_type=media_type, headers={**more, **(headers or {})})


def _tag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def run_url(workflow_id: str, run_id: str, domain: str, page: str = "") -> str:
    """Return the URL of a run, or of a page below it; without a run id, that of the latest run."""
    ids = (segment(each) for each in (workflow_id, run_id) if each)
    path = "/".join(("/runs", *ids, *filter(None, [page])))
    return f"{path}?{urlencode({'domain': domain})}"


def url_of(path: str, given: Mapping[str, str], **changed: str) -> str:
    """Return a URL with the given parameters; one that is changed to an empty string is left out."""
    values = {name: value for name, value in {**given, **changed}.items() if value}
    return f"{path}?{urlencode(values)}" if values else path


def segment(id_: str) -> str:
    """Return an id as one segment of a path; "." and ".." are escaped twice, as browsers resolve them."""
    return quote(id_, safe="") if id_ not in {".", ".."} else id_.replace(".", "%252E")


def id_of(segment: str) -> str:
    """Return the id in a segment of a path that the server has decoded once."""
    return unquote(segment) if segment in {"%2E", "%2E%2E"} else segment
