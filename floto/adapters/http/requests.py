"""Reading requests: their host, their operation and their body.

Every web page that a user opens can send requests to a server on the loopback interface. Two checks keep
pages out. A page may send the content type JSON only after a CORS preflight request, which this server never
permits, so other content types are refused. A page whose domain name resolves to this machine (DNS rebinding)
sends that name in the Host header, so unknown names are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen
from starlette.requests import ClientDisconnect, Request

from floto.adapters.http.errors import MEDIA_TYPE, TOO_LARGE, late, unknown_operation, unreadable, wrong_host
from floto.adapters.model import OPERATIONS
from floto.core import strict_json
from floto.core.hosts import host_name, is_loopback
from floto.core.swf import pollers as live
from floto.request_bodies import BodyBudget

#: Maximum bytes of a request, as in SWF.
BODY_LIMIT = 1024 * 1024
#: Bytes of a request that are read, and dropped, if it is too large: a client whose connection is closed
#: while it sends does not read the response.
_READ_LIMIT = 16 * BODY_LIMIT
_BODY_SECONDS = 30.0
#: Maximum bytes of bodies over 16 KiB that are being read, of all connections together: none is verified yet.
UNPROVEN_LIMIT = 32 * BODY_LIMIT
#: Headers that determine what a request is, where it ends, or who sent it. They must not be repeated: if a
#: proxy or the verifier of the signature reads the first and the server the last, they see two requests.
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

_DECIDING = {name.encode(): name for name in DECIDING}
_CONTENT_TYPES = frozenset({"application/x-amz-json-1.0", "application/x-amz-json-1.1", "application/json"})
#: The end of the prefix of X-Amz-Target; old clients send a longer prefix.
_SERVICE = "SimpleWorkflowService"
_QUOTED = 100


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


@frozen
class Hosts:
    """The names of this server in Host headers, beside those of the loopback interface."""

    names: frozenset[str] = field(default=frozenset(), converter=_lower)

    def admit(self, headers: Mapping[str, str]) -> None:
        """Raise ``Refusal`` if the Host header does not name this server."""
        host = headers.get("host", "")
        name = host_name(host)
        if name not in self.names and not is_loopback(name):
            message = (
                f"{host[:_QUOTED]!r} is not a name of this server; "
                "start it with --allowed-host for every further name"
            )
            raise wrong_host(message)


def deciding(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers of a request that are in ``DECIDING``.

    Raises:
        Refusal: if one is repeated, or two of them determine the end of the body.
    """
    found: dict[str, str] = {}
    for raw_name, value in headers:
        name = _DECIDING.get(raw_name)
        if name is not None:
            if name in found:
                message = f"the request has more than one {name} header; send it once"
                raise unreadable(message)
            found[name] = value.decode("latin-1")
    if "content-length" in found and "transfer-encoding" in found:
        message = "the request has both content-length and transfer-encoding; send one of them"
        raise unreadable(message)
    return found


def need_json(headers: Mapping[str, str]) -> None:
    """Raise ``Refusal`` for content types that a web page may send without a CORS preflight request."""
    given = headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() not in _CONTENT_TYPES:
        message = f"the content type must be application/x-amz-json-1.0, not {given[:_QUOTED]!r}"
        raise unreadable(message, MEDIA_TYPE)


def operation_of(headers: Mapping[str, str]) -> str:
    """Return the operation that ``X-Amz-Target`` names: one of SWF's, or floto's own."""
    target = headers.get("x-amz-target", "")
    if target == live.TARGET:
        return live.OPERATION
    service, _, operation = target.rpartition(".")
    if service.rpartition(".")[2] != _SERVICE or operation not in OPERATIONS:
        message = f"X-Amz-Target {target[:_QUOTED]!r} is not an operation of SWF"
        raise unknown_operation(message)
    return operation


class Bodies:
    """A reader of request bodies that bounds the memory of all bodies that are being read.

    Args:
        most: Maximum bytes of these bodies together.
    """

    def __init__(self, most: int = UNPROVEN_LIMIT) -> None:
        self._budget = BodyBudget(most)

    async def read(self, request: Request) -> bytes:
        """Return the body of a request.

        Raises:
            Refusal: if it takes more than 30 seconds to arrive, or is larger than SWF's limit.
            ServiceUnavailable: if all bodies being read exceed the limit together, and it is the slowest.
        """
        size, is_whole = 0, False
        try:
            async with self._budget.reading(_BODY_SECONDS) as body:
                while not is_whole and size <= _READ_LIMIT:
                    message = await request.receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    chunk, is_whole = message.get("body", b""), not message.get("more_body", False)
                    size += len(chunk)
                    if size <= BODY_LIMIT:
                        body.add(chunk)
        except TimeoutError:
            problem = f"the request was not complete after {_BODY_SECONDS:.0f} seconds"
            raise late(problem) from None
        if size > BODY_LIMIT:
            # Undocumented: SWF's own error.
            problem = f"the request is larger than {BODY_LIMIT} bytes"
            raise unreadable(problem, TOO_LARGE)
        return bytes(body.data)


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body."""
    try:
        value = strict_json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        message = f"the request is not JSON: {_reason(error)}"
        raise unreadable(message) from None
    if not isinstance(value, dict):
        message = "the request must be a JSON object"
        raise unreadable(message)
    return value


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:_QUOTED]
