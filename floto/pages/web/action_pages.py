"""Schedules, and actions on runs and schedules: shown first, and carried out where that is allowed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from floto.core.errors import FlotoError
from floto.core.visible import visible
from floto.pages.comparison import plan
from floto.pages.source import Act
from floto.pages.web.actions import ACTIONS, Action, act_of
from floto.pages.web.responses import run_url, url_of
from floto.pages.web.security import Refused
from floto.pages.web.site import Site, cells_of, now_ms

#: Seconds after its action in which a form that comes again was sent twice; later, it repeats the action.
_SENT_TWICE = 10.0


class ActionPages:
    """The pages of actions and schedules."""

    def __init__(self, site: Site) -> None:
        self._site = site
        #: The actions of the forms that were sent just now, by the id of the form.
        self._sent: dict[str, asyncio.Future[Any]] = {}

    async def schedules(self, request: Request) -> Response:
        """Show the schedules of a domain."""
        domain = self._site.domain_of(request)
        found = await self._site.in_thread(self._site.source.schedules, domain)
        context = {"schedules": found, "run_url": run_url}
        return self._site.page("schedules.html", {**self._site.shared(domain), **context})

    async def of_run(self, request: Request) -> Response:
        """Show the actions that are possible on a run."""
        domain, run = await self._site.find_run(request)
        subject = "open run" if run.closed is None else "closed run"
        names = {"domain": domain, "workflow_id": run.workflow_id, "run_id": run.run_id}
        items = [
            (action, url_of(f"/actions/{action.name}", names))
            for action in ACTIONS.values()
            if action.subject == subject
        ]
        context = {"run": cells_of(run, domain, now_ms()), "actions": items}
        return self._site.page("actions.html", {**self._site.shared(domain), **context})

    async def form(self, request: Request) -> Response:
        """Show an action, and the command line that does the same once its form is filled in."""
        return await self._action_page(request, request.query_params)

    async def act(self, request: Request) -> Response:
        """Carry out an action, where that is allowed."""
        given = await self._site.bodies.form(request)
        self._site.guard.check_action(given.get("csrf"))
        action = self._action(request)
        act = act_of(action, given.get("domain") or self._site.source.domain, given)
        try:
            workflow_id, run_id = await self._do_once(given.get("form", ""), act)
        except FlotoError as error:
            return await self._action_page(request, given, str(error))
        await self._site.watch.fresh(act.domain, force=True)
        is_schedule = action.subject == "schedule"
        url = url_of("/schedules", {"domain": act.domain})
        return RedirectResponse(url if is_schedule else run_url(workflow_id, run_id, act.domain), 303)

    async def _do_once(self, form: str, act: Act) -> tuple[str, str]:
        """Carry out the action of a form; if the form was sent before, return what it did then.

        A browser sends a form again when its button is pressed again before there is a response.
        """
        sent = self._sent.get(form)
        if sent is None:
            sent = asyncio.ensure_future(self._site.in_thread(self._site.source.do, act))
            if form:
                self._sent[form] = sent
                sent.add_done_callback(partial(self._forget_later, form))
        found: tuple[str, str] = await asyncio.shield(sent)
        return found

    def _forget_later(self, form: str, sent: asyncio.Future[Any]) -> None:
        delay = 0 if sent.cancelled() or sent.exception() else _SENT_TWICE
        asyncio.get_running_loop().call_later(delay, self._sent.pop, form, None)

    async def _action_page(self, request: Request, given: Mapping[str, str], problem: str = "") -> Response:
        action = self._action(request)
        domain = given.get("domain") or self._site.source.domain
        act = act_of(action, domain, given)
        is_preview = not action.fields or ("preview" in given and not action.missing(act.values))
        context: dict[str, Any] = {"command": None, "plan": None, "form": secrets.token_urlsafe()}
        try:
            if is_preview:
                context["command"] = await self._site.in_thread(self._site.source.command, act)
            if is_preview and action.name == "redrive":
                context["plan"] = plan(await self._site.in_thread(self._site.source.plan, act))
            if action.name == "start":
                context["types"] = await self._site.in_thread(self._site.source.types, domain)
        except FlotoError as error:
            problem = problem or str(error)
        context = {"types": (), **context, "action": action, "act": act, "problem": visible(problem)}
        return self._site.page(
            "action.html", {**self._site.shared(domain), **context}, 409 if problem else 200
        )

    @staticmethod
    def _action(request: Request) -> Action:
        action = ACTIONS.get(request.path_params["name"])
        if action is None:
            raise Refused(404, "there is no such action")
        return action
