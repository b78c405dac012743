"""One run: its page, its document, its changes, and saved histories that are opened."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from math import inf
from time import monotonic
from typing import Any

from attrs import define, field, frozen
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from floto.core.errors import FlotoError
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.events import Event
from floto.core.swf.shapes import WorkflowExecution
from floto.core.swf.wire import to_ms
from floto.core.visible import visible, visible_lines
from floto.pages.comparison import compared
from floto.pages.documents import Document
from floto.pages.runs import RunRow, polled
from floto.pages.web.requests import HISTORY_LIMIT
from floto.pages.web.responses import HEARTBEAT_MESSAGE, Stream, document_response, problem_message, run_url
from floto.pages.web.security import TOKEN_HEADER, Refused
from floto.pages.web.site import Site, cells_of, now_ms
from floto.pages.web.watch import HEARTBEAT

#: Sentences, each with commands.
Help = Sequence[tuple[str, Sequence[str]]]


@frozen
class _RunUpdate:
    """An update for the page of an open run."""

    last: Event | None
    is_closed: bool
    #: The activity types that are served, by queue; None if the service does not report pollers.
    pollers: Mapping[Any, Any] | None
    help: Help

    @property
    def message(self) -> str:
        """The server-sent event; its id is that of the run's last event."""
        id_, at = (self.last.id, to_ms(self.last.at)) if self.last else (0, 0)
        data = json.dumps({"event": id_, "at": at, "closed": self.is_closed, "help": self.help})
        return f"id: {id_}\ndata: {data}\n\n"


@define
class _LastRead:
    """The last read of a run that succeeded."""

    update: _RunUpdate = _RunUpdate(last=None, is_closed=False, pollers=None, help=())
    #: The version of the service, and the monotonic time of the read.
    version: object = field(factory=object)
    at: float = -inf


class RunPages:
    """The pages of runs, and of saved histories."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def run(self, request: Request) -> Response:
        """Show a run."""
        wanted = self._site.domain_of(request)
        domain, run = await self._site.find_run(request)
        url = partial(run_url, run.workflow_id, run.run_id, domain)
        if domain != wanted:
            return RedirectResponse(url(), 303)
        context: dict[str, Any] = {
            "title": f"{visible(run.workflow_id)} {run.run_id[:8]}",
            "document_url": url("document"),
            "changes_url": url("changes") if run.closed is None else None,
            "actions_url": url("actions"),
            "compare_url": url("compare"),
            "help": await self._help_of(request, domain, run),
        }
        return self._run_page("live_run.html", domain, context)

    async def _help_of(self, request: Request, domain: str, run: RunRow) -> Help:
        if run.closed is not None:
            return ()
        execution = WorkflowExecution(run.workflow_id, run.run_id)
        found: Help = await self._site.in_turn(request, self._help, domain, execution)
        return found

    def _help(self, domain: str, run: WorkflowExecution) -> Help:
        history, _ = self._site.documents.history(domain, run)
        return self._site.source.help(domain, history)

    def _run_page(self, name: str, domain: str, context: Mapping[str, Any]) -> Response:
        more = {"changes_url": None, "open_url": "/open", "token": self._site.guard.csrf}
        return self._site.page(name, {**self._site.shared(domain), **more, **context})

    async def latest(self, request: Request) -> Response:
        """Lead to the latest run of a workflow id."""
        domain, run = await self._site.find_run(request)
        return RedirectResponse(run_url(run.workflow_id, run.run_id, domain), 303)

    async def document(self, request: Request) -> Response:
        """Send the document of a run."""
        domain, run = self._site.run_of(request)
        found = await self._site.in_turn(request, self._site.documents.document, domain, run)
        return document_response(request, found)

    async def changes(self, request: Request) -> Response:
        """Send the number of the last event of an open run, and what helps it, whenever they change."""
        domain, run = self._site.run_of(request)
        last, is_closed = await self._site.in_turn(request, self._site.documents.last_event, domain, run)
        # A run may close between the reading of its document and the first connection, so only a page
        # that was told of the last event gets the status after which a browser does not connect again.
        if is_closed and request.headers.get("last-event-id") == str(last.id):
            return Response(status_code=204)
        connection = self._site.watch.connection()
        connection.__enter__()
        on_end = partial(connection.__exit__, None, None, None)
        return Stream(self._run_messages(domain, run), on_end=on_end)

    async def _run_messages(self, domain: str, run: WorkflowExecution) -> AsyncIterator[str]:
        sent, sent_at, last = "", monotonic(), _LastRead()
        watch, what = self._site.watch, f"reading run {run.workflow_id!r}"
        while not watch.is_stopped:
            problem = await watch.problem_of(what, self._read(domain, run, last))
            message = problem_message(problem) if problem else last.update.message
            if message != sent:
                sent, sent_at = message, monotonic()
                yield message
            elif monotonic() - sent_at >= HEARTBEAT:
                sent_at = monotonic()
                yield HEARTBEAT_MESSAGE
            if last.update.is_closed:
                return
            await watch.pause(self._site.source.pace.every)

    async def _read(self, domain: str, run: WorkflowExecution, last: _LastRead) -> None:
        """Read a run again, if it or its pollers may have changed."""
        source = self._site.source
        version = await self._site.in_thread(source.version)
        # Pollers come and go without a change of the service.
        if version is None or version != last.version or monotonic() - last.at >= source.pace.idle:
            call = partial(self._update, domain, run, last.update)
            last.update = await self._site.document_calls.execute(call)
            last.version, last.at = version, monotonic()

    def _update(self, domain: str, run: WorkflowExecution, known: _RunUpdate) -> _RunUpdate:
        """Return the update for a page; ``known`` as it is, if neither the run nor the pollers changed."""
        last, is_closed = self._site.documents.last_event(domain, run)
        found = polled(self._site.source.live(), domain)
        pollers = (
            None if found is None else {queue: {each.serves for each in all} for queue, all in found.items()}
        )
        if (known.last, known.pollers) == (last, pollers):
            return known
        return _RunUpdate(last, is_closed, pollers, () if is_closed else self._help(domain, run))

    async def compare(self, request: Request) -> Response:
        """Show what another spec, which is in the form, decides otherwise in a run, and keeps of it."""
        domain, run = await self._site.find_run(request)
        text = ""
        if request.method == "POST":
            given = await self._site.bodies.form(request)
            self._site.guard.check_form(given.get("csrf"))
            text = given.get("spec", "").strip()
        context: dict[str, Any] = {"lines": (), "plan": None, "problem": "", "is_same": False}
        if text:
            context.update(await self._site.in_turn(request, self._compared, domain, run, text))
        context["run"] = cells_of(run, domain, now_ms())
        return self._site.page("compare.html", {**self._site.shared(domain), **context, "spec": text})

    def _compared(self, domain: str, run: RunRow, text: str) -> dict[str, Any]:
        execution = WorkflowExecution(run.workflow_id, run.run_id)
        try:
            history, own = self._site.documents.history(domain, execution)
            codec = self._site.source.codec
            return compared(history, own, DeciderSpec.from_json(text, codec), codec)
        except FlotoError as error:
            return {"problem": visible_lines(str(error))}

    async def drop(self, _request: Request) -> Response:
        """Show the page that a saved history is dropped on."""
        context = {"title": "Open a history", "document_url": None}
        return self._run_page("run.html", self._site.source.domain, context)

    async def open(self, request: Request) -> Response:
        """Send the document of a saved history, which is the body, and keep it for a while."""
        self._site.guard.check_form(request.headers.get(TOKEN_HEADER))
        data = await self._site.bodies.read(request, HISTORY_LIMIT)
        name, found = await self._site.opened(request, data)
        response = document_response(request, found)
        response.headers["location"] = f"/opened/{name}"
        return response

    async def opened(self, request: Request) -> Response:
        """Show a saved history that was opened."""
        found = self._kept(request)
        title = f"{visible(found.workflow_id or 'a run')}, saved"
        context = {"title": title, "document_url": f"/opened/{request.path_params['name']}/document"}
        return self._run_page("run.html", self._site.source.domain, context)

    async def opened_document(self, request: Request) -> Response:
        """Send the document of a saved history that was opened."""
        return document_response(request, self._kept(request))

    def _kept(self, request: Request) -> Document:
        found = self._site.documents.opened(request.path_params["name"])
        if found is None:
            raise Refused(404, "this file is not open any more; open it again")
        return found
