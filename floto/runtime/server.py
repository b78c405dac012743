"""The processes of ``floto server`` and ``floto ui``: SWF's wire protocol and the pages behind a socket."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn
from attrs import field, frozen
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from floto.adapters.http import Endpoint, Keys
from floto.adapters.lambda_invoker import Function
from floto.adapters.local import LocalClient
from floto.adapters.sqlite.operations import SqliteOperations
from floto.adapters.sqlite.storage.database import Durability
from floto.adapters.sqlite.storage.sqlite_errors import DatabaseGone
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN
from floto.core.swf.pollers import Live
from floto.pages.report import NoPages
from floto.pages.web.app import Pages
from floto.pages.web.security import Guard
from floto.runtime.connect import absolute_service, changes_of, client, live_of
from floto.runtime.http_connections import Connection, log_loop_error
from floto.runtime.listening import BACKLOG, listening, url_of
from floto.runtime.ui import ServiceSource

log = logging.getLogger("floto")

#: Seconds for which a connection without a request stays open. A call on a connection that is just being
#: closed fails, so this is longer than a worker is likely to be busy with one task.
_KEEP_ALIVE_SECONDS = 300
#: Seconds that a stopping server waits for running requests.
_STOP_SECONDS = 5
#: Seconds that a stopping server waits for the database to close.
_CLOSE_SECONDS = 5
#: Calls of ``on_tick`` per second.
_TICKS_PER_SECOND = 10
_MOST_FILES = 65_536


@frozen(kw_only=True)
class PageSettings:
    """The settings of the pages that a server shows."""

    token: str | None = field(default=None, repr=False)
    allow_actions: bool = False
    #: The spec of runs that carry none, and its name on a command line.
    spec: DeciderSpec | None = None
    spec_name: str | None = None
    #: Reads specs, generated tasks and stored values, and the options that name it on a command line.
    codec: Codec = CODEC
    codec_options: tuple[str, ...] = ()


@frozen(kw_only=True)
class UiSettings:
    """The settings of ``floto ui``."""

    service: str
    domain: str | None
    host: str
    port: int
    allowed_hosts: Collection[str]
    pages: PageSettings
    #: Host and port of the metrics, if they are to be served.
    metrics: tuple[str, int] | None = None


@frozen
class Settings:
    """The settings of ``floto server``."""

    db: Path
    host: str
    port: int
    durability: Durability
    #: The access key and the secret key, if requests must be signed.
    keys: tuple[str, str] | None = field(default=None, repr=False)
    allowed_hosts: Collection[str] = ()
    functions: Mapping[str, Function] | None = None
    pages: PageSettings = PageSettings()
    #: Host and port of the metrics, if they are to be served.
    metrics: tuple[str, int] | None = None


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; call ``ready`` with the URL once requests are answered.

    Raises:
        CannotListen: if the address is in use, or is not a loopback address and there are no keys.
        ServiceError: if the file cannot be opened; ``DatabaseGone`` after it was deleted or replaced.
    """
    _allow_many_connections()
    with (
        listening(settings.host, settings.port, anywhere=settings.keys is not None) as listener,
        _opened(settings) as operations,
        _serving_live(settings.metrics, operations.live),
    ):
        operations.watch()
        url = url_of(settings.host, listener)
        hosts = {settings.host, *settings.allowed_hosts}
        pages = _pages_of_server(settings, operations, url, hosts)
        endpoint = Endpoint(
            operations, keys=settings.keys and Keys(*settings.keys), hosts=hosts, routes=[_route(pages)]
        )

        def stop() -> None:
            endpoint.stop()
            if pages is not None:
                pages.stop()

        _Server(endpoint.application, lambda: ready(url), stop, operations.check_file).serve_on(listener)


def serve_pages(settings: UiSettings, ready: Callable[[str], None]) -> None:
    """Serve the pages of a service until SIGINT or SIGTERM; call ``ready`` with the URL.

    Raises:
        CannotListen: if the address is in use, or is not a loopback address and there is no token.
        ServiceError: if the service cannot be opened; ``DatabaseGone`` if its file is replaced later.
        NoPages: if the extra ``ui`` is not installed.
    """
    _allow_many_connections()
    anywhere = settings.pages.token is not None
    with listening(settings.host, settings.port, anywhere=anywhere, remedy="set --token") as listener:
        opened = client(settings.service)
        try:
            source = ServiceSource(
                client=opened,
                url=str(absolute_service(settings.service)),
                domain=settings.domain or DEFAULT_DOMAIN,
                spec=settings.pages.spec,
                spec_name=settings.pages.spec_name,
                codec=settings.pages.codec,
                codec_options=settings.pages.codec_options,
                changes=changes_of(settings.service),
            )
            pages = Pages(source, _guard(settings.pages, {settings.host, *settings.allowed_hosts}))
            url = url_of(settings.host, listener)
            # Only the embedded engine's client has a file; any other service may come back.
            check_file = getattr(opened, "check_file", lambda: None)
            with _serving_live(settings.metrics, lambda: live_of(opened)):
                _Server(pages.application, lambda: ready(url), pages.stop, check_file).serve_on(listener)
        finally:
            opened.close()


class _OwnClient(LocalClient):
    """The engine of this server behind boto3's methods; closing it leaves the engine open."""

    def __init__(self, operations: SqliteOperations) -> None:
        super().__init__(operations)
        self.live = operations.live

    def close(self) -> None:
        """Leave the engine to the server."""


def _pages_of_server(
    settings: Settings, operations: SqliteOperations, url: str, hosts: Collection[str]
) -> Pages | None:
    """Return the pages of a server's own engine; None if the extra ``ui`` is not installed."""
    source = ServiceSource(
        client=_OwnClient(operations),
        url=url,
        spec=settings.pages.spec,
        spec_name=settings.pages.spec_name,
        codec=settings.pages.codec,
        codec_options=settings.pages.codec_options,
        changes=changes_of(f"sqlite:///{settings.db.absolute()}"),
    )
    try:
        return Pages(source, _guard(settings.pages, hosts, needs_token=settings.keys is not None))
    except NoPages:
        return None


def _route(pages: Pages | None) -> BaseRoute:
    if pages is not None:
        return Mount("/", pages.application)
    # A response is an application.
    return Route("/", PlainTextResponse(str(NoPages()), HTTPStatus.NOT_IMPLEMENTED), methods=["GET"])


def _guard(settings: PageSettings, hosts: Collection[str], *, needs_token: bool = False) -> Guard:
    return Guard(
        hosts=hosts,
        token=settings.token,
        needs_token=needs_token,
        allow_actions=settings.allow_actions,
    )


def _serving_live(
    address: tuple[str, int] | None, live: Callable[[], Live | None]
) -> AbstractContextManager[None]:
    if address is None:
        return nullcontext()
    from floto.runtime.metrics.serving import serving_live  # noqa: PLC0415 - only the extra installs what it needs

    return serving_live(live, *address)


def _operations(settings: Settings) -> SqliteOperations:
    return SqliteOperations(settings.db, durability=settings.durability, functions=settings.functions)


@contextmanager
def _opened(settings: Settings) -> Iterator[SqliteOperations]:
    operations = _operations(settings)
    try:
        yield operations
    finally:
        _close(operations)


def _close(operations: SqliteOperations) -> None:
    """Close the database; end the process if that hangs, as it does while another process locks the file.

    Ending loses no acknowledged call: all of them are committed, as for a crash.
    """
    closing = Thread(target=_closed, args=(operations,), name="floto-close", daemon=True)
    closing.start()
    closing.join(_CLOSE_SECONDS)
    if closing.is_alive():
        log.error("the database did not close within %d s; ending the process", _CLOSE_SECONDS)
        logging.shutdown()
        sys.stdout.flush()
        # A normal exit would wait for the threads that hang in the database.
        os._exit(0)


def _closed(operations: SqliteOperations) -> None:
    try:
        operations.close()
    except Exception as error:  # noqa: BLE001 - the process ends in any case
        log.warning("cannot close the database: %r", error)


def _allow_many_connections() -> None:
    """Raise the limit of open files: every held poll is one, and the default limit of a shell is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Server(uvicorn.Server):
    """Uvicorn, changed in four ways.

    It calls ``stop``, which ends held polls and streams, before it waits for running requests; it exits
    normally after a signal; it stops when ``check_file`` raises ``DatabaseGone``, which ``gone`` holds; and
    errors of the event loop that repeat are logged at growing intervals.
    """

    def __init__(
        self,
        application: ASGIApp,
        ready: Callable[[], None],
        stop: Callable[[], None],
        check_file: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                # By h11: the other parser that uvicorn may find sets no limit to the size of headers.
                http=Connection,
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )
        self._ready, self._stop, self._check_file = ready, stop, check_file
        self.gone: DatabaseGone | None = None

    def serve_on(self, listener: socket.socket) -> None:
        """Serve until a signal. Raises ``DatabaseGone``."""
        self.run(sockets=[listener])
        if self.gone is not None:
            raise self.gone

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then call ``ready``."""
        asyncio.get_running_loop().set_exception_handler(log_loop_error)
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        """Check the file once a second; return True to stop the server."""
        if counter % _TICKS_PER_SECOND == 0:
            try:
                self._check_file()
            except DatabaseGone as error:
                self.gone = error
                return True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the held polls and streams, which are requests too, then shut down."""
        self._stop()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT or SIGTERM, without raising the signal again after the shutdown as uvicorn does."""
        kept: dict[int, Any] = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)
