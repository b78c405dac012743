"""The check that an HTTP response comes from SWF, made before botocore parses it.

Proxies, load balancers and captive portals between a client and SWF send responses of their own. botocore
reads a page with status 200 as a response without members: for an operation without output, as success. The
check is a handler of botocore's event ``before-parse``, so it covers every operation of a client.

The responses of SWF, by operation:

- 20 operations have no output: the body is empty (``{}`` is accepted, too), and the headers contain a request
  id or the content type JSON. For an empty body, only the headers show that SWF sent it.
- 19 have output: a JSON object with all members that the model requires. ``_NEEDED`` lists the exceptions:
  the response of an idle poll has ``startedEventId`` and no task token, and the model does not require a run
  id for a started run.
- Errors have a status from 300 and a JSON object whose ``__type`` ends with the code. The body of any other
  response with such a status is replaced, so that botocore uses the status as the code; ``aws_errors`` says
  what such a code means.

Only the types of a response's own members are checked, because walking a history twice would be slow.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.parsers import ResponseParserError

_EXCERPT = 200
_OK, _REFUSED = 200, 300
_NEEDED: Mapping[str, Iterable[str]] = {
    "PollForActivityTask": ("startedEventId",),
    "PollForDecisionTask": ("startedEventId",),
    "StartWorkflowExecution": ("runId",),
}
#: The Python type of decoded JSON for each type of botocore's model that SWF's outputs use.
_TYPES: Mapping[str, type] = {
    "boolean": bool,
    "integer": int,
    "list": list,
    "long": int,
    "string": str,
    "structure": dict,
    "timestamp": (int, float),  # type: ignore[dict-item]  # isinstance takes both
}


def guard(client: Any) -> None:
    """Make a boto3 client of SWF raise ``ResponseParserError`` for responses that SWF did not send.

    Responses with a status from 300 still raise ``ClientError``. A client that is already guarded, or that
    boto3 did not make, is not changed.

    Args:
        client: A boto3 SWF client; it is changed in place.
    """
    events = getattr(getattr(client, "meta", None), "events", None)
    if events is not None:
        events.register("before-parse.swf", _check, unique_id="floto-answers")


def _check(response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
    status, body = response_dict["status_code"], response_dict["body"]
    answer = _object(body)
    if status < _REFUSED:
        problem = _problem(response_dict, answer, operation_model)
        if problem:
            kind = response_dict["headers"].get("content-type", "no content type")
            message = f"not an answer of SWF (HTTP {status}, {kind}): {problem}: {_excerpt(body)!r}"
            raise ResponseParserError(message)
    elif not isinstance((answer or {}).get("__type"), str):
        message = f"not an answer of SWF: {_excerpt(body)!r}" if body else "not an answer of SWF, and empty"
        response_dict["body"] = json.dumps({"message": message}).encode()


def _problem(response: dict[str, Any], answer: dict[str, Any] | None, operation: Any) -> str | None:
    headers, body, shape = response["headers"], response["body"], operation.output_shape
    if response["status_code"] != _OK:
        return "the status is not 200"
    if headers.get("content-length", str(len(body))) != str(len(body)):
        return "the body is cut off"
    if shape is None:
        is_named = "x-amzn-requestid" in headers or "json" in headers.get("content-type", "")
        return None if is_named and (not body or answer == {}) else "the operation has no output"
    if answer is None:
        return "the body is not a JSON object"
    found = {name: value for name, value in answer.items() if value is not None and name in shape.members}
    missing = set(_NEEDED.get(operation.name, shape.required_members)) - found.keys()
    if missing or (answer and not found):
        return f"members are missing: {', '.join(sorted(missing or shape.members))}"
    odd = [n for n, value in found.items() if not isinstance(value, _TYPES[shape.members[n].type_name])]
    return f"members of another type: {', '.join(odd)}" if odd else None


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _excerpt(body: bytes) -> str:
    return body[:_EXCERPT].decode(errors="replace")
