"""Pages of long responses, and their page tokens.

A token holds the position of the next page, so it survives restarts. It is valid for 24 hours,
and only for the same request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from floto.core.engine import faults
from floto.core.engine.api.call import Call, Request, Response
from floto.core.engine.registration.regions import DEFAULT_REGION
from floto.core.engine.tokens import invalid_token, open_text, seal_text
from floto.core.swf import limits
from floto.core.swf.wire import from_ms, to_ms

T = TypeVar("T")

#: Maximum bytes of JSON in the items of one page, unless a single item has more. SWF bounds its pages too
#: and does not document the bound: ``maximumPageSize`` "is an upper limit only; the actual number of results
#: returned per call may be fewer".
PAGE_BYTES = 1024 * 1024
#: Created once: ``json.dumps`` with options creates an encoder for each call. Times are numbers.
_encode = json.JSONEncoder(default=datetime.timestamp).encode

_LIFE = timedelta(hours=24)
#: Above every id and sequence number, and within the range of a datetime in milliseconds.
_HIGHEST = 2**47
#: Members of a request that may differ from page to page.
_MAY_DIFFER = frozenset({"nextPageToken", "maximumPageSize"})


def page_size(request: Request) -> int:
    """Return the maximum number of items of one page; 0 in a request means SWF's limit."""
    return request.get("maximumPageSize") or limits.PAGE_LIMIT


def write_token(call: Call, position: Sequence[Any]) -> str:
    """Return the token of the page after a position of strings and integers."""
    return seal_text([call.operation, _digest(call), to_ms(call.now), list(position)])


def read_token(call: Call, *kinds: type) -> list[Any] | None:
    """Return the position in the page token of a call, with values of these types; None without a token.

    Raises SWF's ValidationException for a token that is damaged, expired or of another request.
    """
    text = call.request.get("nextPageToken")
    if text is None:
        return None
    fields = open_text(text)
    if not isinstance(fields, list) or not _has_types(fields, [str, str, int, list]):
        raise invalid_token()
    operation, digest, issued, position = fields
    if (operation, digest) != (call.operation, _digest(call)) or not _has_types(position, kinds):
        raise invalid_token()
    if from_ms(issued) + _LIFE < call.now:
        message = "Specified token has exceeded its maximum lifetime"
        raise faults.invalid(message)
    return list(position)


def _has_types(values: list[Any], kinds: Sequence[type]) -> bool:
    # A checksum does not authenticate the sender, so check the values too.
    return [type(value) for value in values] == list(kinds) and all(
        0 <= value < _HIGHEST for value in values if type(value) is int
    )


def _digest(call: Call) -> str:
    fixed = {name: value for name, value in call.request.items() if name not in _MAY_DIFFER}
    if call.region != DEFAULT_REGION:
        # No member of a request has this name.
        fixed["region"] = call.region
    return hashlib.sha256(json.dumps(fixed, sort_keys=True, default=str).encode()).hexdigest()[:16]


def page(
    call: Call, key: str, rows: Sequence[T], position: Callable[[T], Sequence[Any]], shape: Callable[[T], Any]
) -> Response:
    """Return the response with one page; ``rows`` has one more than the page size if more is to come."""
    shapes = fitting(shape(row) for row in rows[: page_size(call.request)])
    response: Response = {key: shapes}
    if len(rows) > len(shapes):
        response["nextPageToken"] = write_token(call, position(rows[len(shapes) - 1]))
    return response


def fitting(shapes: Iterable[T]) -> list[T]:
    """Return the first shapes whose JSON fits into one page, at least one; consume no more than needed."""
    kept: list[T] = []
    left = PAGE_BYTES
    for shape in shapes:
        left -= len(_encode(shape))
        if left < 0 and kept:
            break
        kept.append(shape)
    return kept
