"""SWF's JSON protocol as an ASGI application: one route for all operations, and one for health checks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from floto.adapters import model
from floto.adapters.http.calls import Calls
from floto.adapters.http.errors import refusal, unknown_operation
from floto.adapters.http.requests import Bodies, Hosts, deciding, need_json, operation_of, parse
from floto.adapters.http.signatures import Keys, claimed, region_of, verify
from floto.adapters.operations import PollableOperations, is_query
from floto.core.engine.api.tasks import IDLE
from floto.core.errors import ServiceError, ServiceUnavailable
from floto.core.swf.limits import POLL_SECONDS
from floto.core.swf.pollers import OPERATION, SERVES_HEADER, as_json, serves_from
from floto.core.swf.service import Clock
from floto.trouble_log import TroubleLog
from floto.waiting_clients import WaitingClient

log = logging.getLogger("floto")

T = TypeVar("T")
_Headers = Mapping[str, str]
_Handler = Callable[[Request, _Headers], Coroutine[Any, Any, Response]]

#: Threads that execute queries, one at a time, and convert large requests and responses.
_THREADS = 4
#: Maximum bytes of a body, and of events of a response, that are converted in the event loop.
_SMALL, _FEW_EVENTS = 16_384, 50
_MEDIA_TYPE = "application/x-amz-json-1.0"
_OK, _INTERNAL, _UNAVAILABLE = 200, 500, 503
#: Maximum characters of a name or an error in a log line.
_QUOTED = 200
#: Maximum seconds of a health check.
_CHECK_SECONDS = 5.0
#: The request of a health check (ListDomains).
_CHECK = {"registrationStatus": "REGISTERED", "maximumPageSize": 1}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Endpoint:
    """SWF's operations as ``POST /``, and health checks as ``GET /health``; ``application`` is the ASGI app.

    Args:
        operations: The implementation of the operations; queries are called from threads of a pool.
        keys: Requests must be signed with these keys; default: signatures are not checked, and the Host
            header must name the loopback interface or one of ``hosts``.
        hosts: Further names of this server in Host headers, if there are no ``keys``.
        routes: Further routes, for requests that are neither; they check requests themselves.
        poll_seconds: Seconds that an idle poll is held.
        clock: Returns the current time in UTC, for the age of signatures.
    """

    def __init__(  # noqa: PLR0913 - all but the operations are optional and named
        self,
        operations: PollableOperations,
        *,
        keys: Keys | None = None,
        hosts: Collection[str] = (),
        routes: Sequence[BaseRoute] = (),
        poll_seconds: float = POLL_SECONDS,
        clock: Clock = _utc_now,
    ) -> None:
        self._operations = operations
        self._keys, self._hosts, self._clock = keys, Hosts(hosts), clock
        self._bodies = Bodies()
        self._troubles = TroubleLog(log)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="floto-http")
        #: A thread of its own, so that health checks get a response when all others hang.
        self._check_pool = ThreadPoolExecutor(1, thread_name_prefix="floto-health")
        self._calls = Calls(operations, self._pool, poll_seconds)
        self.application = Starlette(
            routes=[
                Route("/", self._post, methods=["POST"]),
                Route("/health", self._health, methods=["GET"]),
                *routes,
            ],
            exception_handlers={HTTPException: _no_route},
            lifespan=self._lifespan,
        )
        self.application.router.redirect_slashes = False

    def stop(self) -> None:
        """End every pending poll; call it in the event loop when the server begins to stop."""
        self._calls.stop()

    @asynccontextmanager
    async def _lifespan(self, _application: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self._calls.close()
            # A thread that hangs in the database must not keep the server from exiting.
            for pool in (self._pool, self._check_pool):
                pool.shutdown(wait=False, cancel_futures=True)

    async def _post(self, request: Request) -> Response:
        return await self._guarded(request, self._execute)

    async def _health(self, request: Request) -> Response:
        return await self._guarded(request, self._check)

    async def _guarded(self, request: Request, handle: _Handler) -> Response:
        request_id = str(uuid4())
        try:
            headers = deciding(request.scope["headers"])
            if self._keys is None:
                self._hosts.admit(headers)
            response = await handle(request, headers)
        except ClientDisconnect:
            response = Response()
        except asyncio.CancelledError:
            # The server is stopping, and its time for pending requests is over.
            refused = refusal(ServiceUnavailable("the server is stopping"))
            response = _json(refused.body(), refused.status)
        except Exception as error:  # noqa: BLE001 - the client gets a response to every error
            refused = refusal(error)
            if refused.status >= _INTERNAL:
                self._log(error, request_id, request)
            response = _json(refused.body(), refused.status)
        return _named(response, request_id)

    def _log(self, error: Exception, request_id: str, request: Request) -> None:
        """Log an error that the client did not cause; ``TroubleLog`` thins out repeated ones."""
        if isinstance(error, ServiceUnavailable):
            what = request.headers.get("x-amz-target", "").rpartition(".")[2][:_QUOTED]
            self._troubles.failed(what, "request %s failed transiently: %s", request_id, error)
        else:
            # By error and not by operation: the error names the unreadable run, and other requests succeed.
            what = repr(error)[:_QUOTED]
            message = "request %s failed: %s"
            # The traceback of an expected error would say nothing more.
            unexpected = None if isinstance(error, ServiceError) else error
            self._troubles.failed(what, message, request_id, what, level=logging.ERROR, error=unexpected)

    async def _check(self, _request: Request, _headers: _Headers) -> Response:
        """Return 200 if an operation and a read of the database succeed within some seconds, else 503."""
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await asyncio.get_running_loop().run_in_executor(self._check_pool, self._look)
        except Exception as error:  # noqa: BLE001 - every error makes the server unhealthy
            self._troubles.failed("health check", "a health check failed: %r", error)
            return JSONResponse({"status": "unavailable"}, _UNAVAILABLE)
        self._troubles.over("health check")
        return JSONResponse({"status": "ok"})

    def _look(self) -> None:
        self._operations.call("ListDomains", _CHECK)
        self._operations.check()

    async def _execute(self, request: Request, headers: _Headers) -> Response:
        operation, region = operation_of(headers), region_of(headers.get("authorization"))
        need_json(headers)
        if operation == OPERATION or is_query(operation):
            body = await self._body(request)
            written = await self._in_thread(partial(self._query, operation, body, region))
        else:
            checked = await self._checked(operation, request)
            written = await self._response(operation, checked, region, request)
        self._troubles.over(operation)
        return Response(written, _OK, media_type=_MEDIA_TYPE)

    def _query(self, operation: str, body: bytes, region: str) -> bytes:
        request = parse(body)
        if operation == OPERATION:
            found = self._operations.live(region)
            # Clients send this as CountPendingActivityTasks, so the response needs its required member.
            return _dumped({"count": len(found.backlogs), **as_json(found)})
        return _written(operation, self._operations.call(operation, request, region))

    async def _checked(self, operation: str, request: Request) -> dict[str, Any]:
        """Return a request that was read and checked; large ones in the pool, as this takes time."""
        body = await self._body(request)
        if len(body) <= _SMALL:
            return model.check(operation, parse(body))
        return await self._in_thread(lambda: model.check(operation, parse(body)))

    async def _response(
        self, operation: str, checked: dict[str, Any], region: str, request: Request
    ) -> bytes:
        write = partial(self._write, operation)
        task_queue = self._operations.task_queue(operation, checked, region)
        if task_queue is None:
            return await write(await self._calls.execute(operation, checked, region) or {})
        client = WaitingClient.of(request)
        try:
            # Claim no task for a client that has already gone.
            await asyncio.sleep(0)
            if client.has_gone():
                raise ClientDisconnect
            serves = serves_from(request.headers.get(SERVES_HEADER))
            self._operations.saw(task_queue, checked.get("identity", ""), serves)
            written = await self._calls.poll(operation, checked, region, client, write)
            return _dumped(IDLE[operation]) if written is None else written
        finally:
            client.gone.cancel()

    async def _write(self, operation: str, response: dict[str, Any]) -> bytes:
        """Return the body of a response; a long page of events is converted in the pool."""
        if len(response.get("events", ())) > _FEW_EVENTS:
            return await self._in_thread(partial(_written, operation, response))
        return _written(operation, response)

    async def _body(self, request: Request) -> bytes:
        """Return the body of a request; with keys, raise ``Refusal`` for a wrong signature."""
        if self._keys is None:
            return await self._bodies.read(request)
        claim = claimed(self._keys, request.headers, self._clock())
        body = await self._bodies.read(request)
        verify(self._keys, claim, request.headers, _query_string(request), body)
        return body

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


def application(operations: PollableOperations, **options: Any) -> Starlette:
    """Return the ASGI application of an ``Endpoint``.

    Args:
        operations: The implementation of the operations.
        options: Keyword arguments of ``Endpoint``.
    """
    return Endpoint(operations, **options).application


def _written(operation: str, response: dict[str, Any]) -> bytes:
    """Return the body of a response; it is empty for an operation without output."""
    return _dumped(model.to_wire(operation, response)) if model.has_output(operation) else b""


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _json(value: Any, status: int) -> Response:
    return Response(_dumped(value), status, media_type=_MEDIA_TYPE)


def _query_string(request: Request) -> str:
    # Not from Starlette's URL, which is built from the Host header, and that is not validated.
    text: bytes = request.scope["query_string"]
    return text.decode("latin-1")


async def _no_route(request: Request, error: Exception) -> Response:
    """Respond to requests of other paths and methods."""
    status = error.status_code if isinstance(error, HTTPException) else _UNAVAILABLE
    message = f"{request.method} of this path is not supported; send SWF's operations as POST /"
    return _named(_json(unknown_operation(message).body(), status), str(uuid4()))


def _named(response: Response, request_id: str) -> Response:
    response.raw_headers.append((b"x-amzn-requestid", request_id.encode()))
    return response
