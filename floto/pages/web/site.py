"""What all pages share: the service, its threads, and the templates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from time import time
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from floto.core.swf.identifiers import shown
from floto.core.swf.shapes import WorkflowExecution
from floto.core.visible import visible
from floto.pages.documents import Documents
from floto.pages.listing import rows
from floto.pages.report import environment
from floto.pages.runs import RunRow
from floto.pages.source import Source
from floto.pages.web.requests import PageBodies
from floto.pages.web.responses import id_of, run_url
from floto.pages.web.security import Guard, Refused
from floto.pages.web.watch import Watch

#: Threads that call the service and make pages.
_THREADS = 4
#: Filters of the templates: texts without control characters, and times as they are without a script.
_FILTERS: Mapping[str, Callable[[Any], str]] = {
    "visible": visible,
    "moment": rows.moment,
    "span": rows.span,
}


class Site:
    """The service that the pages show, and how they are made.

    Args:
        source: The service.
        guard: The checks of requests.

    Raises:
        NoPages: if the extra ``ui`` is not installed.
    """

    def __init__(self, source: Source, guard: Guard) -> None:
        self.source, self.guard = source, guard
        self.bodies = PageBodies()
        self._templates = environment()
        self._templates.filters.update(_FILTERS)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="floto-page")
        #: A long document must not keep the threads from the list.
        self._documents_pool = ThreadPoolExecutor(1, thread_name_prefix="floto-document")
        self.watch = Watch(source, self.in_thread)
        self.documents = Documents(source)

    def stop(self) -> None:
        """End every stream, and start no more calls of the service."""
        self.watch.stop()
        for pool in (self._pool, self._documents_pool):
            pool.shutdown(wait=False, cancel_futures=True)

    def asked(self, request: Request) -> str:
        """Return the domain that a request names, else the usual one."""
        return request.query_params.get("domain") or self.source.domain

    def named(self, request: Request) -> tuple[str, WorkflowExecution]:
        """Return the domain and the run that the path of a request names."""
        path = request.path_params
        return self.asked(request), WorkflowExecution(id_of(path["workflow_id"]), path["run_id"])

    async def found(self, request: Request) -> tuple[str, RunRow]:
        """Return a run that the path names, and its domain. Raises ``Refused`` if there is none."""
        path, domain = request.path_params, self.asked(request)
        workflow_id, run_id = id_of(path["workflow_id"]), path.get("run_id", "")
        found: tuple[str, RunRow] | None = await self.in_thread(self.source.find, domain, workflow_id, run_id)
        if found is None:
            name = shown(f"{workflow_id}@{run_id}" if run_id else workflow_id)
            raise Refused(404, f"there is no run {name} on {self.source.name}")
        return found

    def shared(self, domain: str) -> dict[str, Any]:
        """Return what the templates of all pages need."""
        is_usual = domain == self.source.domain
        return {
            "service": visible(self.source.name),
            "domain": domain,
            "where": "" if is_usual else f"?{urlencode({'domain': domain})}",
            "allow_actions": self.guard.allow_actions,
            "csrf": self.guard.csrf,
        }

    def page(self, name: str, context: Mapping[str, Any], status: int = 200) -> Response:
        """Return a page."""
        return HTMLResponse(self._templates.get_template(name).render(context), status)

    def error_page(self, status: int, message: str) -> Response:
        """Return the page of an error."""
        return self.page("error.html", {"status": status, "message": message, "where": ""}, status)

    async def in_thread(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a function in a thread."""
        return await self._called(self._pool, partial(call, *arguments, **named))

    async def in_turn(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function that makes a document, or waits for one, in the thread for these."""
        return await self._called(self._documents_pool, partial(call, *arguments))

    @staticmethod
    async def _called(pool: Executor, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, call)


def cells_of(run: RunRow, domain: str, now: int) -> dict[str, Any]:
    """Return what the row of a run shows; ``now`` is in milliseconds since the epoch."""
    return rows.cells(run, now, run_url(run.workflow_id, run.run_id, domain))


def now_ms() -> int:
    """Return the current time in milliseconds since the epoch."""
    return round(time() * 1000)
