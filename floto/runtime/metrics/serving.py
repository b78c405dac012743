"""The HTTP server from which Prometheus reads the metrics of a process."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from floto.core.swf.pollers import Live
from floto.runtime.listening import listening, url_of
from floto.runtime.metrics.live_metrics import LiveMetrics
from floto.runtime.metrics.metrics import Metrics

log = logging.getLogger("floto")

#: Maximum number of connections, each with a thread: files and sockets are left for the deciders and workers.
MOST_CONNECTIONS = 32
#: Seconds after which the server notices that it is to stop.
_STOP_SECONDS = 0.1


class RequestHandler(WSGIRequestHandler):
    """Serves one connection."""

    #: Seconds after which a client that sends nothing is disconnected.
    timeout = 10

    def log_message(self, *_args: Any) -> None:
        """Log nothing: the scrapes would fill the log."""


class _Server(ThreadingWSGIServer):
    def __init__(self, listener: socket.socket) -> None:
        host, self.server_port, *_ = listener.getsockname()
        super().__init__((host, self.server_port), RequestHandler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.server_name = listener, host
        self.setup_environ()
        self._slots = BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own; close it at once if there are too many."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and let another take its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as the base class
        """Log that a client left or sent nothing, where the base class prints a traceback."""
        log.debug("a request for metrics failed: %r", sys.exception())


@contextmanager
def serving_metrics(host: str, port: int, registry: CollectorRegistry = REGISTRY) -> Iterator[Metrics]:
    """Serve the metrics of deciders and workers while the block is executed.

    Args:
        host: The address to listen on; whoever can connect to it can read the metrics.
        port: The port; 0: any free one, which is logged.
        registry: Where the metrics are registered; default: that of ``prometheus_client``, which has some of
            the process, too.

    Raises:
        CannotListen: if the address is in use, or is not one of this machine.
    """
    with _serving(host, port, registry):
        yield Metrics(registry)


@contextmanager
def serving_live(
    live: Callable[[], Live | None], host: str, port: int, registry: CollectorRegistry = REGISTRY
) -> Iterator[None]:
    """Serve what waits in a service while the block is executed.

    Args:
        live: Returns the pollers and backlogs of the service; None if it does not report them.
        host: As for ``serving_metrics``, as the following.
        port: The port.
        registry: The registry.
    """
    collector = LiveMetrics(live)
    registry.register(collector)
    try:
        with _serving(host, port, registry):
            yield
    finally:
        registry.unregister(collector)


@contextmanager
def _serving(host: str, port: int, registry: CollectorRegistry) -> Iterator[None]:
    with listening(host, port, anywhere=True) as listener, _Server(listener) as server:
        server.set_app(make_wsgi_app(registry))
        thread = Thread(target=server.serve_forever, args=(_STOP_SECONDS,), name="floto-metrics", daemon=True)
        thread.start()
        log.info("metrics on %s", url_of(host, listener))
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
