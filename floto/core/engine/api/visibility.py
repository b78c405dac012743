"""Operations that list and count runs.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_ListClosedWorkflowExecutions.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from floto.core.engine import faults
from floto.core.engine.api.call import Call, Handler, Request, Response
from floto.core.engine.api.executions import execution_info
from floto.core.engine.api.pages import page, page_size, read_token
from floto.core.engine.stores.records import ListingQuery, Position, Record
from floto.core.swf.wire import from_ms, to_ms

#: By filter: its members, and the fields of ``ListingQuery`` that they set.
_FILTERS: Mapping[str, Mapping[str, str]] = {
    "executionFilter": {"workflowId": "workflow_id"},
    "typeFilter": {"name": "type_name", "version": "type_version"},
    "tagFilter": {"tag": "tag"},
    "closeStatusFilter": {"status": "close_status"},
}
_TIMES: Mapping[str, str] = {"startTimeFilter": "started_at", "closeTimeFilter": "closed_at"}


def _listing(call: Call, *, is_closed: bool) -> ListingQuery:
    request = call.request
    given = [name for name in _FILTERS if name in request]
    times = [name for name in _TIMES if name in request]
    if len(given) > 1:
        message = f"Only one of these filters may be given: {', '.join(given)}"
        raise faults.invalid(message)
    if len(times) != 1:
        message = f"Exactly one of these filters must be given: {', '.join(_TIMES)}"
        raise faults.invalid(message)
    span = request[times[0]]
    return ListingQuery(
        domain=call.known_domain(),
        is_closed=is_closed,
        oldest=span["oldestDate"],
        latest=span.get("latestDate"),
        ordered_by="closed_at" if times == ["closeTimeFilter"] else "started_at",
        newest_first=not request.get("reverseOrder", False),
        **_wanted(request, given),
    )


def _wanted(request: Request, given: list[str]) -> dict[str, Any]:
    wanted = {
        field: request[name][member]
        for name in given
        for member, field in _FILTERS[name].items()
        if member in request[name]
    }
    # SWF's model allows an empty version in the filter, although no type has one; a tag may be empty.
    if wanted.get("type_version") == "":
        del wanted["type_version"]
    return wanted


def _list(*, is_closed: bool) -> Handler:
    def handle(call: Call) -> Response:
        listing = _listing(call, is_closed=is_closed)

        def position(record: Record) -> list[int]:
            at = listing.moment(record)
            return [0 if at is None else to_ms(at), record.number]

        after = read_token(call, int, int)
        start = None if after is None else Position(from_ms(after[0]), after[1])
        rows = call.store.listed(listing, page_size(call.request) + 1, start)
        return page(call, "executionInfos", rows, position, execution_info)

    return handle


def _count(*, is_closed: bool) -> Handler:
    def handle(call: Call) -> Response:
        count = call.store.count_listed(_listing(call, is_closed=is_closed))
        return {"count": count, "truncated": False}

    return handle


OPERATIONS: Mapping[str, Handler] = {
    "ListOpenWorkflowExecutions": _list(is_closed=False),
    "ListClosedWorkflowExecutions": _list(is_closed=True),
    "CountOpenWorkflowExecutions": _count(is_closed=False),
    "CountClosedWorkflowExecutions": _count(is_closed=True),
}
