"""The pages of a service as an ASGI application: the list of runs, each run, schedules and actions."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from floto.pages.source import Source
from floto.pages.web.action_pages import ActionPages
from floto.pages.web.list_pages import ListPages
from floto.pages.web.requests import Errors, Guarded, Handler
from floto.pages.web.responses import Assets
from floto.pages.web.run_pages import RunPages
from floto.pages.web.security import Guard
from floto.pages.web.site import Site


class Pages:
    """The pages of a service; ``application`` is the ASGI application.

    Args:
        source: The service.
        guard: The checks of requests.

    Raises:
        NoPages: if the extra ``ui`` is not installed.
    """

    def __init__(self, source: Source, guard: Guard) -> None:
        self._site = Site(source, guard)
        self._assets = Assets()
        self._errors = Errors(self._site.error_page)
        application = Starlette(routes=self._routes(), exception_handlers={HTTPException: self._unknown})
        application.router.redirect_slashes = False
        self.application = Guarded(application, guard, self._site.error_page)

    def stop(self) -> None:
        """End every stream; call it in the event loop when the server begins to stop."""
        self._site.stop()

    def _routes(self) -> list[Route]:
        run, lists, runs = "/runs/{workflow_id}/{run_id}", ListPages(self._site), RunPages(self._site)
        actions = ActionPages(self._site)
        handlers: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/", lists.runs),
            ("GET", "/events", lists.events),
            ("GET", "/runs/{workflow_id}", runs.latest),
            ("GET", run, runs.run),
            ("GET", f"{run}/document", runs.document),
            ("GET", f"{run}/changes", runs.changes),
            ("GET", f"{run}/compare", runs.compare),
            ("POST", f"{run}/compare", runs.compare),
            ("GET", f"{run}/actions", actions.of_run),
            ("GET", "/open", runs.drop),
            ("POST", "/open", runs.open),
            ("GET", "/opened/{name}", runs.opened),
            ("GET", "/opened/{name}/document", runs.opened_document),
            ("GET", "/schedules", actions.schedules),
            ("GET", "/actions/{name}", actions.form),
            ("POST", "/actions/{name}", actions.act),
            ("GET", "/static/{name}", self._asset),
        )
        guarded = self._errors.guarded
        return [Route(path, guarded(handler), methods=[method]) for method, path, handler in handlers]

    async def _unknown(self, request: Request, error: Exception) -> Response:
        async def failing(_request: Request) -> Response:
            raise error

        return await self._errors.guarded(failing)(request)

    async def _asset(self, request: Request) -> Response:
        return self._assets.response(request, request.path_params["name"])
