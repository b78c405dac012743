"""The rows of the list of runs, and the numbers around them, for its template and its script."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from floto.core.swf.reserved_names import SPEC_TAG
from floto.core.swf.wire import from_ms
from floto.core.visible import moment_text, span_text, visible
from floto.pages.listing.filters import FilterError, with_status
from floto.pages.listing.listing import PAGE, Page
from floto.pages.runs import STATUSES, RunRow

_COLUMNS = (
    ("workflow", "Workflow"),
    ("type", "Type"),
    ("status", "Status"),
    ("started", "Started"),
    ("took", "Took"),
)
_SHORT = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cells(run: RunRow, now: int, url: str) -> dict[str, Any]:
    """Return what a row shows. Times are in milliseconds; the script shows the age of an open run."""
    return {
        "id": run.run_id,
        "url": url,
        "workflow": visible(run.workflow_id),
        "run": visible(run.run_id[:_SHORT]),
        "type": visible(f"{run.type_name} {run.type_version}"),
        "status": run.status,
        "note": run.note,
        "started": run.started,
        "took": None if run.closed is None else run.closed - run.started,
        "age": max(now - run.started, 0),
        # The digest of a spec tells a reader nothing.
        "tags": [visible(tag) for tag in run.tags if not tag.startswith(SPEC_TAG)],
    }


def moment(at: int) -> str:
    """Return a time in milliseconds as text."""
    return moment_text(from_ms(at))


def span(milliseconds: int) -> str:
    """Return a number of milliseconds as text."""
    return span_text(_EPOCH, _EPOCH + timedelta(milliseconds=milliseconds))


def totals(page: Page) -> dict[str, Any]:
    """Return the numbers of a page of the list, for its script."""
    counts = {**page.counts, "all": sum(page.counts.values())}
    return {"counts": counts, "summary": _summary(page), "pages": page.pages, "page": page.number}


def page_context(page: Page, text: str, sort: str, url: Callable[..., str], problem: str) -> dict[str, Any]:
    """Return the numbers and links around the rows of a page; ``url`` makes links to other lists."""
    return {
        **totals(page),
        "is_cut": page.is_cut,
        "statuses": [
            (status, page.counts[status], url(filter=_with(text, status, problem), page=""))
            for status in STATUSES
        ],
        "every": url(filter=_with(text, "", problem), page=""),
        "columns": [
            (*column, url(sort=_other(sort, column[0]), page=""), _order(sort, column[0]))
            for column in _COLUMNS
        ],
        "previous": url(page=str(page.number - 1)),
        "next": url(page=str(page.number + 1)),
    }


def _summary(page: Page) -> str:
    unread = f"{page.unread:,} open run{'s'[: page.unread != 1]} that started earlier"
    note = f"; {unread} may be retrying or stuck: too many to read" if page.unread else ""
    first = (page.number - 1) * PAGE + 1
    if not page.total:
        return f"no run{note}"
    last = min(first + PAGE - 1, page.total)
    count = f"{page.total:,} runs"
    return f"{first:,} to {last:,} of {count}{note}" if page.pages > 1 else f"{count}{note}"


def _with(text: str, status: str, problem: str) -> str:
    try:
        return with_status("" if problem else text, status)
    except FilterError:
        return ""


def _other(sort: str, name: str) -> str:
    return f"-{name}" if sort == name else name


def _order(sort: str, name: str) -> str:
    """Return how a column is sorted, as ``aria-sort`` says it; empty if it is not."""
    if sort.removeprefix("-") != name:
        return ""
    is_descending = (name in {"started", "took"}) != sort.startswith("-")
    return "descending" if is_descending else "ascending"
