"""Reading requests: whom they are meant for, which operation they name, and what is in them.

A server on loopback is within reach of every web page that its user opens. Two things keep pages out:
a page cannot send JSON as JSON without asking first, which is never allowed here (there are no CORS
headers), so other content types are refused; and a page that gave its own name the address of this
machine (DNS rebinding) shows that name in ``Host``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from attrs import field, frozen
from starlette.datastructures import Headers
from starlette.requests import Request

from floto.adapters.http.errors import MEDIA_TYPE, TOO_LARGE, late, unknown_operation, unreadable, wrong_host
from floto.adapters.model import OPERATIONS
from floto.core.errors import ServiceUnavailable
from floto.core.hosts import is_loopback
from floto.core.swf import pollers as live

#: What SWF takes as one request.
BODY_LIMIT = 1024 * 1024
#: So much of a request that is too large is read all the same, and dropped: a client that is cut off
#: while it sends does not read why.
_READ_LIMIT = 16 * BODY_LIMIT
_BODY_SECONDS = 30.0
#: Bytes of bodies whose sender has not proven its signature yet, of all connections together.
UNPROVEN_LIMIT = 32 * BODY_LIMIT
#: Headers that decide what a request is, where it ends, or who sent it. Of two, one reader takes the first
#: and another the last: a proxy, or the verifier of the signature, could see another request than the server.
DECIDING = frozenset(
    {
        "authorization",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-target",
    }
)

_CONTENT_TYPES = frozenset({"application/x-amz-json-1.0", "application/x-amz-json-1.1", "application/json"})
#: New clients send this before the operation; old ones send more before it.
_SERVICE = "SimpleWorkflowService"
_QUOTED = 100


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


@frozen
class Hosts:
    """The names under which a server is asked, beside those of the loopback interface."""

    names: frozenset[str] = field(default=frozenset(), converter=_lower)

    def admit(self, headers: Headers) -> None:
        """Refuse requests that were meant for another host."""
        host = headers.get("host", "")
        name = _without_port(host).lower()
        if name not in self.names and not is_loopback(name):
            message = (
                f"this server does not answer as {host[:_QUOTED]!r}; "
                "start it with --allowed-host for every name that it has"
            )
            raise wrong_host(message)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def need_unambiguous(headers: Headers) -> None:
    """Refuse a request that has a deciding header twice, or two ways to tell where its body ends."""
    for name in sorted(DECIDING):
        if len(headers.getlist(name)) > 1:
            message = f"the request has more than one {name} header; send it once"
            raise unreadable(message)
    if "content-length" in headers and "transfer-encoding" in headers:
        message = "the request has both content-length and transfer-encoding; send one of them"
        raise unreadable(message)


def need_json(headers: Headers) -> None:
    """Refuse what a web page could send without asking: text, forms, and no content type at all."""
    given = headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() not in _CONTENT_TYPES:
        message = f"the content type must be application/x-amz-json-1.0, not {given[:_QUOTED]!r}"
        raise unreadable(message, MEDIA_TYPE)


def operation_of(headers: Headers) -> str:
    """The operation that ``X-Amz-Target`` names: one of SWF's, or the one of floto's own."""
    target = headers.get("x-amz-target", "")
    if target == live.TARGET:
        return live.OPERATION
    service, _, operation = target.rpartition(".")
    if service.rpartition(".")[2] != _SERVICE or operation not in OPERATIONS:
        message = f"X-Amz-Target {target[:_QUOTED]!r} is not one of SWF's operations"
        raise unknown_operation(message)
    return operation


class Bodies:
    """Reads request bodies, and bounds the memory of those that are still being read, all together."""

    def __init__(self, most: int = UNPROVEN_LIMIT) -> None:
        self._left = most

    async def read(self, request: Request) -> bytes:
        """Return the body of a request.

        It has half a minute to arrive and must not be larger than SWF's limit. Raises
        ``ServiceUnavailable`` where the bodies being read leave no room for it.
        """
        body, size = bytearray(), 0
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > _READ_LIMIT:
                        break
                    if size <= BODY_LIMIT:
                        self._take(len(chunk))
                        body += chunk
        except TimeoutError:
            message = f"the request was not complete after {_BODY_SECONDS:.0f} seconds"
            raise late(message) from None
        finally:
            self._left += len(body)
        if size > BODY_LIMIT:
            # SWF's own answer is not documented.
            message = f"the request is larger than {BODY_LIMIT} bytes"
            raise unreadable(message, TOO_LARGE)
        return bytes(body)

    def _take(self, size: int) -> None:
        if size > self._left:
            message = f"the requests that are being read have more than {UNPROVEN_LIMIT} bytes together"
            raise ServiceUnavailable(message)
        self._left -= size


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds."""
    try:
        value = json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        message = f"the request is not JSON: {_reason(error)}"
        raise unreadable(message) from None
    if not isinstance(value, dict):
        message = "the request must be a JSON object"
        raise unreadable(message)
    return value


def _no_constant(name: str) -> Any:
    msg = f"{name} is not a number in JSON"
    raise ValueError(msg)


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:_QUOTED]
