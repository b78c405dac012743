"""The parts that all pages share: the service, its threads, and the templates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import time
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response

from floto.core.swf.identifiers import shown
from floto.core.swf.shapes import WorkflowExecution
from floto.core.visible import visible
from floto.pages.documents import Document, Documents
from floto.pages.listing import rows
from floto.pages.report import environment
from floto.pages.runs import RunRow
from floto.pages.source import Source
from floto.pages.web.requests import PageBodies
from floto.pages.web.responses import id_of, run_url
from floto.pages.web.security import Guard, Refused
from floto.pages.web.watch import Watch
from floto.pages.web.work_queue import WorkQueue
from floto.waiting_clients import client_left

T = TypeVar("T")

#: Threads that call the service and make pages.
_THREADS = 4
#: Maximum calls that wait for the thread of documents, and files that wait for theirs; these are in memory.
_MOST_DOCUMENTS, _MOST_FILES = 128, 4
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
        self.document_calls = WorkQueue("floto-document", _MOST_DOCUMENTS)
        #: A large file must not keep the thread from the documents of runs.
        self._file_calls = WorkQueue("floto-file", _MOST_FILES)
        self.watch = Watch(source, self.in_thread)
        self.documents = Documents(source)

    def stop(self) -> None:
        """End every stream, and start no more calls of the service."""
        self.watch.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for queue in (self.document_calls, self._file_calls):
            queue.stop()

    def domain_of(self, request: Request) -> str:
        """Return the domain that a request names, else the default one."""
        return request.query_params.get("domain") or self.source.domain

    def run_of(self, request: Request) -> tuple[str, WorkflowExecution]:
        """Return the domain and the run that the path of a request names."""
        path = request.path_params
        return self.domain_of(request), WorkflowExecution(id_of(path["workflow_id"]), path["run_id"])

    async def find_run(self, request: Request) -> tuple[str, RunRow]:
        """Return a run that the path names, and its domain. Raises ``Refused`` if there is none."""
        path, domain = request.path_params, self.domain_of(request)
        workflow_id, run_id = id_of(path["workflow_id"]), path.get("run_id", "")
        found: tuple[str, RunRow] | None = await self.in_thread(self.source.find, domain, workflow_id, run_id)
        if found is None:
            name = shown(f"{workflow_id}@{run_id}" if run_id else workflow_id)
            raise Refused(404, f"there is no run {name} on {self.source.name}")
        return found

    def shared(self, domain: str) -> dict[str, Any]:
        """Return what the templates of all pages need."""
        is_default = domain == self.source.domain
        return {
            "service": visible(self.source.name),
            "domain": domain,
            "where": "" if is_default else f"?{urlencode({'domain': domain})}",
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
        called = partial(call, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._pool, called)

    async def in_turn(self, request: Request, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function that makes a document, or waits for one, unless the client leaves before."""
        return await _while_connected(request, self.document_calls.execute(partial(call, *arguments)))

    async def opened(self, request: Request, data: bytes) -> tuple[str, Document]:
        """Return the name and the document of a saved history, unless the client leaves before."""
        work = self._file_calls.execute(partial(self.documents.open, data))
        return await _while_connected(request, work)


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of the work; cancel it, and raise ``ClientDisconnect``, if the client leaves."""
    working, gone = asyncio.create_task(work), asyncio.create_task(client_left(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        gone.cancel()


def cells_of(run: RunRow, domain: str, now: int) -> dict[str, Any]:
    """Return what the row of a run shows; ``now`` is in milliseconds since the epoch."""
    return rows.cells(run, now, run_url(run.workflow_id, run.run_id, domain))


def now_ms() -> int:
    """Return the current time in milliseconds since the epoch."""
    return round(time() * 1000)
