"""The list of runs, and its updates."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from floto.core.swf.identifiers import shown
from floto.pages.listing import rows
from floto.pages.listing.filters import Filter, FilterError, parse
from floto.pages.listing.listing import SORTS, Listing, Query
from floto.pages.web.responses import HEARTBEAT_MESSAGE, Stream, problem_message, url_of
from floto.pages.web.security import Refused
from floto.pages.web.site import Site, cells_of, now_ms
from floto.pages.web.watch import HEARTBEAT

#: Digits of the number of a page.
_DIGITS = 8
#: Seconds between two updates of a page that may change without a change of a run.
_STEP = 3.0
#: The version of a listing, and why its last refresh failed.
_Seen = tuple[int, str]


class ListPages:
    """The list of runs, and its updates."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def runs(self, request: Request) -> Response:
        """Show a page of the list."""
        query, problem = self._query(request)
        listing = await self._listing(query.domain)
        context = await self._site.in_thread(self._list_context, request, listing, query, problem)
        return self._site.page("runs.html", context, 400 if problem else 200)

    def _list_context(self, request: Request, listing: Listing, query: Query, problem: str) -> Any:
        now, given = now_ms(), request.query_params
        text = given.get("filter", "")
        page = listing.page(query, now)
        url = partial(url_of, "/", dict(given))
        return {
            **self._site.shared(query.domain),
            **rows.page_context(page, text, query.sort, url, problem),
            "rows": [cells_of(run, query.domain, now) for run in page.rows],
            "filter": text,
            "sort": query.sort,
            "problem": problem,
            "domains": self._site.source.domains(),
            "events_url": url_of("/events", dict(given), domain=query.domain, page=str(page.number)),
        }

    async def events(self, request: Request) -> Response:
        """Send the rows of a page of the list, and those that change from then on."""
        query, problem = self._query(request)
        if problem:
            raise Refused(400, problem)
        listing = await self._listing(query.domain)
        # Not in the stream: a refusal needs a status of its own.
        viewer = self._site.watch.viewer(query.domain)
        viewer.__enter__()
        return Stream(self._list_messages(listing, query), on_end=partial(viewer.__exit__, None, None, None))

    async def _list_messages(self, listing: Listing, query: Query) -> AsyncIterator[str]:
        sent: dict[str, Any] = {"rows": {}}
        known: _Seen = (-1, "")
        while not self._site.watch.is_stopped:
            before, known = known, _seen(listing)
            message = HEARTBEAT_MESSAGE
            if known[1]:
                message = problem_message(known[1])
            elif known != before or query.depends_on_time:
                old, sent = sent, await self._site.in_thread(_shown, listing, query)
                if known != before or sent != old:
                    changed = {id_: row for id_, row in sent["rows"].items() if old["rows"].get(id_) != row}
                    message = f"data: {json.dumps({**sent, 'rows': changed})}\n\n"
            yield message
            await self._until_change(listing, known, _STEP if query.depends_on_time else HEARTBEAT)

    async def _until_change(self, listing: Listing, known: _Seen, seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while not self._site.watch.is_stopped and _seen(listing) == known:
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await self._site.watch.wait_for_change(left)

    def _query(self, request: Request) -> tuple[Query, str]:
        """Return what the list is to show, and what is wrong with the filter."""
        given = request.query_params
        sort, number = given.get("sort", "started"), given.get("page", "1")
        query = Query(
            domain=given.get("domain") or self._site.source.domain,
            sort=sort if sort.removeprefix("-") in SORTS else "started",
            page=int(number) if number.isascii() and number.isdigit() and len(number) <= _DIGITS else 1,
        )
        try:
            return evolve(query, filter=parse(given.get("filter", ""))), ""
        except FilterError as error:
            return evolve(query, filter=Filter()), str(error)

    async def _listing(self, domain: str) -> Listing:
        domains = await self._site.in_thread(self._site.source.domains)
        if domain not in domains and domain != self._site.source.domain:
            raise Refused(404, f"there is no domain {shown(domain)} on {self._site.source.name}")
        return await self._site.watch.fresh(domain)


def _shown(listing: Listing, query: Query) -> dict[str, Any]:
    """Return a page of the list, for its script."""
    page = listing.page(query, now_ms())
    cells = {run.run_id: cells_of(run, query.domain, 0) for run in page.rows}
    return {"order": list(cells), "rows": cells, **rows.totals(page)}


def _seen(listing: Listing) -> _Seen:
    return listing.version, listing.problem
