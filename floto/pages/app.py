"""The pages of a service as an ASGI application: the list of runs, each run, schedules and actions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import time
from typing import Any
from urllib.parse import urlencode

from attrs import evolve
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from floto.core.errors import FlotoError
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.identifiers import shown
from floto.core.swf.shapes import WorkflowExecution
from floto.core.visible import visible, visible_lines
from floto.pages import rows
from floto.pages.actions import ACTIONS, Action, act_of
from floto.pages.documents import Document, Documents
from floto.pages.filters import Filter, FilterError, parse
from floto.pages.listing import SORTS, Listing, Query
from floto.pages.report import environment
from floto.pages.requests import HISTORY_LIMIT, Errors, Guarded, Handler, body, form
from floto.pages.responses import Assets, Stream, document_response, id_of, run_url, url_of
from floto.pages.runs import RunRow
from floto.pages.security import TOKEN_HEADER, Guard, Refused
from floto.pages.source import Source
from floto.pages.watch import HEARTBEAT, Watch

#: Threads that call the service and make pages.
_THREADS = 4
#: Digits of the number of a page.
_DIGITS = 8
#: Filters of the templates: texts without control characters, and times as they are without a script.
_FILTERS: Mapping[str, Callable[[Any], str]] = {
    "visible": visible,
    "moment": rows.moment,
    "span": rows.span,
}


class Pages:
    """The pages of a service; ``application`` is the ASGI application.

    Args:
        source: The service.
        guard: The checks of requests.

    Raises:
        NoPages: if the extra ``ui`` is not installed.
    """

    def __init__(self, source: Source, guard: Guard) -> None:
        self._source, self._guard = source, guard
        self._templates = environment()
        self._templates.filters.update(_FILTERS)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="floto-page")
        self._watch = Watch(source, self._in_thread)
        self._documents = Documents(source)
        self._assets = Assets()
        self._errors = Errors(self._error_page)
        application = Starlette(routes=self._routes(), exception_handlers={HTTPException: self._unknown})
        application.router.redirect_slashes = False
        self.application = Guarded(application, guard, self._error_page)

    def stop(self) -> None:
        """End every stream; call it in the event loop when the server begins to stop."""
        self._watch.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _routes(self) -> list[Route]:
        run = "/runs/{workflow_id}/{run_id}"
        handlers: Mapping[str, tuple[str, Handler]] = {
            "/": ("GET", self._runs),
            "/events": ("GET", self._events),
            "/runs/{workflow_id}": ("GET", self._latest),
            run: ("GET", self._run),
            f"{run}/document": ("GET", self._document),
            f"{run}/changes": ("GET", self._changes),
            f"{run}/actions": ("GET", self._run_actions),
            f"{run}/compare": ("GET", self._compare),
            "/schedules": ("GET", self._schedules),
            "/actions/{name}": ("GET", self._form),
            "/open": ("GET", self._drop),
            "/opened/{name}": ("GET", self._opened),
            "/opened/{name}/document": ("GET", self._opened_document),
            "/static/{name}": ("GET", self._asset),
        }
        posts = {"/open": self._open, "/actions/{name}": self._act, f"{run}/compare": self._compare}
        guarded = self._errors.guarded
        return [
            *(
                Route(path, guarded(handler), methods=[method])
                for path, (method, handler) in handlers.items()
            ),
            *(Route(path, guarded(handler), methods=["POST"]) for path, handler in posts.items()),
        ]

    # The list.

    async def _runs(self, request: Request) -> Response:
        query, problem = self._query(request)
        listing = await self._listing(query.domain)
        context = await self._in_thread(self._list_context, request, listing, query, problem)
        return self._page("runs.html", context, 400 if problem else 200)

    def _list_context(self, request: Request, listing: Listing, query: Query, problem: str) -> Any:
        now, given = _now(), request.query_params
        text = given.get("filter", "")
        page = listing.page(query, now)
        url = partial(url_of, "/", dict(given))
        return {
            **self._shared(query.domain),
            **rows.page_context(page, text, query.sort, url, problem),
            "rows": [self._cells(run, query.domain, now) for run in page.rows],
            "filter": text,
            "sort": query.sort,
            "problem": problem,
            "domains": self._source.domains(),
            "events_url": url_of("/events", dict(given), domain=query.domain, page=str(page.number)),
        }

    def _cells(self, run: RunRow, domain: str, now: int) -> dict[str, Any]:
        return rows.cells(run, now, run_url(run.workflow_id, run.run_id, domain))

    async def _events(self, request: Request) -> Response:
        query, problem = self._query(request)
        if problem:
            raise Refused(400, problem)
        listing = await self._listing(query.domain)
        # Not in the stream: a refusal needs a status of its own.
        viewer = self._watch.viewer(query.domain)
        viewer.__enter__()
        return Stream(self._list_messages(listing, query), on_end=partial(viewer.__exit__, None, None, None))

    async def _list_messages(self, listing: Listing, query: Query) -> AsyncIterator[str]:
        sent: dict[str, Any] = {}
        version = -1
        while not self._watch.is_stopped:
            if listing.version != version:
                version = listing.version
                page = await self._in_thread(listing.page, query, _now())
                cells = {run.run_id: self._cells(run, query.domain, 0) for run in page.rows}
                changed = {id_: row for id_, row in cells.items() if sent.get(id_) != row}
                sent = cells
                message = {"order": list(cells), "rows": changed, **rows.totals(page)}
                yield f"data: {json.dumps(message)}\n\n"
            else:
                yield ": heartbeat\n\n"
            await self._until_news(listing, version)

    async def _until_news(self, listing: Listing, version: int) -> None:
        end = asyncio.get_running_loop().time() + HEARTBEAT
        while not self._watch.is_stopped and listing.version == version:
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await self._watch.news(left)

    def _query(self, request: Request) -> tuple[Query, str]:
        """Return what the list is to show, and what is wrong with the filter."""
        given = request.query_params
        sort, number = given.get("sort", "started"), given.get("page", "1")
        query = Query(
            domain=given.get("domain") or self._source.domain,
            sort=sort if sort.removeprefix("-") in SORTS else "started",
            page=int(number) if number.isascii() and number.isdigit() and len(number) <= _DIGITS else 1,
        )
        try:
            return evolve(query, filter=parse(given.get("filter", ""))), ""
        except FilterError as error:
            return evolve(query, filter=Filter()), str(error)

    async def _listing(self, domain: str) -> Listing:
        domains = await self._in_thread(self._source.domains)
        if domain not in domains and domain != self._source.domain:
            raise Refused(404, f"there is no domain {shown(domain)} on {self._source.name}")
        return await self._watch.fresh(domain)

    # One run.

    async def _run(self, request: Request) -> Response:
        asked = self._asked(request)
        domain, run = await self._found(request)
        url = partial(run_url, run.workflow_id, run.run_id, domain)
        if domain != asked:
            return RedirectResponse(url(), 303)
        context: dict[str, Any] = {
            "title": f"{visible(run.workflow_id)} {run.run_id[:8]}",
            "document_url": url("document"),
            "changes_url": url("changes") if run.closed is None else None,
            "actions_url": url("actions"),
            "compare_url": url("compare"),
            "help": await self._in_thread(self._help, domain, run) if run.closed is None else (),
        }
        return self._run_page("live_run.html", domain, context)

    def _help(self, domain: str, run: RunRow) -> Any:
        history, _ = self._documents.history(domain, WorkflowExecution(run.workflow_id, run.run_id))
        return self._source.help(domain, history)

    def _run_page(self, name: str, domain: str, context: Mapping[str, Any]) -> Response:
        more = {"changes_url": None, "open_url": "/open", "token": self._guard.csrf}
        return self._page(name, {**self._shared(domain), **more, **context})

    async def _latest(self, request: Request) -> Response:
        domain, run = await self._found(request)
        return RedirectResponse(run_url(run.workflow_id, run.run_id, domain), 303)

    async def _document(self, request: Request) -> Response:
        domain, run = self._named(request)
        return document_response(request, await self._in_thread(self._documents.document, domain, run))

    async def _changes(self, request: Request) -> Response:
        domain, run = self._named(request)
        last, is_closed = await self._in_thread(self._documents.last_event_id, domain, run)
        if is_closed:
            # The status after which a browser does not connect again.
            return Response(status_code=204)
        place = self._watch.place()
        place.__enter__()
        return Stream(self._run_messages(domain, run, last), on_end=partial(place.__exit__, None, None, None))

    async def _run_messages(self, domain: str, run: WorkflowExecution, last: int) -> AsyncIterator[str]:
        told, is_closed, seen, spoke = 0, False, object(), time()
        while not self._watch.is_stopped:
            if last != told:
                told, spoke = last, time()
                yield f"data: {json.dumps({'event': last, 'closed': is_closed})}\n\n"
            elif time() - spoke >= HEARTBEAT:
                spoke = time()
                yield ": heartbeat\n\n"
            if is_closed:
                return
            await self._watch.pause(self._source.pace.every)
            before, seen = seen, await self._in_thread(self._source.version)
            if seen is None or seen != before:
                last, is_closed = await self._in_thread(self._documents.last_event_id, domain, run)

    def _asked(self, request: Request) -> str:
        return request.query_params.get("domain") or self._source.domain

    def _named(self, request: Request) -> tuple[str, WorkflowExecution]:
        path = request.path_params
        return self._asked(request), WorkflowExecution(id_of(path["workflow_id"]), path["run_id"])

    async def _found(self, request: Request) -> tuple[str, RunRow]:
        path, domain = request.path_params, self._asked(request)
        workflow_id, run_id = id_of(path["workflow_id"]), path.get("run_id", "")
        found: tuple[str, RunRow] | None = await self._in_thread(
            self._source.find, domain, workflow_id, run_id
        )
        if found is None:
            name = shown(f"{workflow_id}@{run_id}" if run_id else workflow_id)
            raise Refused(404, f"there is no run {name} on {self._source.name}")
        return found

    async def _compare(self, request: Request) -> Response:
        """Show what another spec, which is in the form, decides otherwise in a run, and keeps of it."""
        domain, run = await self._found(request)
        text = ""
        if request.method == "POST":
            given = await form(request)
            self._guard.check_form(given.get("csrf"))
            text = given.get("spec", "").strip()
        context: dict[str, Any] = {"lines": (), "plan": None, "problem": "", "is_same": False}
        if text:
            context.update(await self._in_thread(self._compared, domain, run, text))
        context["run"] = self._cells(run, domain, _now())
        return self._page("compare.html", {**self._shared(domain), **context, "spec": text})

    def _compared(self, domain: str, run: RunRow, text: str) -> dict[str, Any]:
        execution = WorkflowExecution(run.workflow_id, run.run_id)
        try:
            history, own = self._documents.history(domain, execution)
            return rows.compared(history, own, DeciderSpec.from_json(text))
        except FlotoError as error:
            return {"problem": visible_lines(str(error))}

    # Saved histories.

    async def _drop(self, _request: Request) -> Response:
        context = {"title": "Open a history", "document_url": None}
        return self._run_page("run.html", self._source.domain, context)

    async def _open(self, request: Request) -> Response:
        self._guard.check_form(request.headers.get(TOKEN_HEADER))
        data = await body(request, HISTORY_LIMIT)
        name, found = await self._in_thread(self._documents.open, data)
        response = document_response(request, found)
        response.headers["location"] = f"/opened/{name}"
        return response

    async def _opened(self, request: Request) -> Response:
        found = self._kept(request)
        title = f"{visible(found.workflow_id or 'a run')}, saved"
        context = {"title": title, "document_url": f"/opened/{request.path_params['name']}/document"}
        return self._run_page("run.html", self._source.domain, context)

    async def _opened_document(self, request: Request) -> Response:
        return document_response(request, self._kept(request))

    def _kept(self, request: Request) -> Document:
        found = self._documents.opened(request.path_params["name"])
        if found is None:
            raise Refused(404, "this file is not open any more; open it again")
        return found

    # Schedules and actions.

    async def _schedules(self, request: Request) -> Response:
        domain = self._asked(request)
        found = await self._in_thread(self._source.schedules, domain)
        context = {"schedules": found, "run_url": run_url}
        return self._page("schedules.html", {**self._shared(domain), **context})

    async def _run_actions(self, request: Request) -> Response:
        domain, run = await self._found(request)
        subject = "open run" if run.closed is None else "closed run"
        names = {"domain": domain, "workflow_id": run.workflow_id, "run_id": run.run_id}
        items = [
            (action, url_of(f"/actions/{action.name}", names))
            for action in ACTIONS.values()
            if action.subject == subject
        ]
        context = {"run": self._cells(run, domain, _now()), "actions": items}
        return self._page("actions.html", {**self._shared(domain), **context})

    async def _form(self, request: Request) -> Response:
        return await self._action_page(request, request.query_params)

    async def _act(self, request: Request) -> Response:
        given = await form(request)
        self._guard.check_action(given.get("csrf"))
        action = self._action(request)
        act = act_of(action, given.get("domain") or self._source.domain, given)
        try:
            workflow_id, run_id = await self._in_thread(self._source.do, act)
        except FlotoError as error:
            return await self._action_page(request, given, str(error))
        await self._watch.fresh(act.domain, force=True)
        is_schedule = action.subject == "schedule"
        url = url_of("/schedules", {"domain": act.domain})
        return RedirectResponse(url if is_schedule else run_url(workflow_id, run_id, act.domain), 303)

    async def _action_page(self, request: Request, given: Mapping[str, str], problem: str = "") -> Response:
        action = self._action(request)
        domain = given.get("domain") or self._source.domain
        act = act_of(action, domain, given)
        is_preview = not action.fields or ("preview" in given and not action.missing(act.values))
        context: dict[str, Any] = {"command": None, "plan": None}
        try:
            if is_preview:
                context["command"] = self._source.command(act)
            if is_preview and action.name == "redrive":
                context["plan"] = rows.plan(await self._in_thread(self._source.plan, act))
            if action.name == "start":
                context["types"] = await self._in_thread(self._source.types, domain)
        except FlotoError as error:
            problem = problem or str(error)
        context = {"types": (), **context, "action": action, "act": act, "problem": visible(problem)}
        return self._page("action.html", {**self._shared(domain), **context}, 409 if problem else 200)

    @staticmethod
    def _action(request: Request) -> Action:
        action = ACTIONS.get(request.path_params["name"])
        if action is None:
            raise Refused(404, "there is no such action")
        return action

    # What all pages share.

    def _shared(self, domain: str) -> dict[str, Any]:
        is_usual = domain == self._source.domain
        return {
            "service": visible(self._source.name),
            "domain": domain,
            "where": "" if is_usual else f"?{urlencode({'domain': domain})}",
            "allow_actions": self._guard.allow_actions,
            "csrf": self._guard.csrf,
        }

    def _page(self, name: str, context: Mapping[str, Any], status: int = 200) -> Response:
        return HTMLResponse(self._templates.get_template(name).render(context), status)

    def _error_page(self, status: int, message: str) -> Response:
        return self._page("error.html", {"status": status, "message": message, "where": ""}, status)

    async def _unknown(self, request: Request, error: Exception) -> Response:
        async def failing(_request: Request) -> Response:
            raise error

        return await self._errors.guarded(failing)(request)

    async def _asset(self, request: Request) -> Response:
        return self._assets.response(request, request.path_params["name"])

    async def _in_thread(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(call, *arguments, **named))


def _now() -> int:
    return round(time() * 1000)
