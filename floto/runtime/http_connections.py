"""Connections of ``floto server``: their number, and time limits for request heads and refused bodies.

A connection that cannot be accepted stays in the backlog, so asyncio tries again, and logs a traceback for
each attempt. For this reason the server closes connections while it still has file descriptors for them.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Mapping
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from floto.runtime.listening import BACKLOG
from floto.trouble_log import TroubleLog
from floto.waiting_clients import IS_CLOSING

log = logging.getLogger("floto")

#: File descriptors that are not for connections: of a full backlog, of the database, of reading files.
_RESERVED_FILES = BACKLOG + 64
#: Seconds for the head of a request, and for the rest of a refused body; as long as a body may take. The
#: limit does not apply to held polls or to connections that are idle after a request.
HEAD_SECONDS = 30.0
#: Maximum characters of an error in a log line.
_QUOTED = 200

_troubles = TroubleLog(log)


def most_connections() -> int | None:
    """Return the maximum number of connections with the current limit of open files; None if it has none."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if files == resource.RLIM_INFINITY else max(files - _RESERVED_FILES, files // 2)


def log_loop_error(_loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log an error that no caller gets, as asyncio's handler does, but thin out repeated ones."""
    error = context.get("exception")
    what = f"{context['message']}: {error!r}"[:_QUOTED]
    # The traceback of a refusal of the operating system would say nothing more.
    unexpected = None if isinstance(error, OSError) else error
    _troubles.failed(what, "event loop: %s", what, level=logging.ERROR, error=unexpected)


class Connection(H11Protocol):
    """Uvicorn's connection, with a time limit for the head of a request, and ``IS_CLOSING`` in its state."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request; close a connection above the maximum number."""
        super().connection_made(transport)
        # True as soon as the end of the connection is read. Uvicorn sends nothing from then on, but its
        # ``receive`` returns only some iterations of the event loop later.
        self.app_state = {**self.app_state, IS_CLOSING: transport.is_closing}
        most = most_connections()
        if most is not None and len(self.connections) > most:
            message = "more than %d connections, which the limit of open files allows: new ones are closed"
            _troubles.failed("connections", message, most)
            transport.abort()
            return
        _troubles.over("connections")
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Stop the timer once the head is complete; start it when the next request begins."""
        was_refused = self._is_refused()
        super().data_received(data)
        if self._is_refused():
            return
        if was_refused:
            self._keep_idle()
        elif self.conn.their_state is not h11.IDLE:
            self._forget_head()
        elif self._head_timer is None:
            self._await_head()

    def on_response_complete(self) -> None:
        """Drop the received part of a body that was not read, and limit the time for the rest.

        Uvicorn reads and discards the rest: closing a connection with unread bytes would reset it before the
        client has read why the request was refused. It would keep the received part until the next request.
        """
        self.cycle.body = bytearray()
        if self._is_refused():
            self._await_head()
        super().on_response_complete()

    def _is_refused(self) -> bool:
        """Return True if a response was sent before the whole request was received."""
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._forget_head()
        super().connection_lost(exc)

    def _keep_idle(self) -> None:
        """Start the keep-alive timer that uvicorn starts only after requests that were not refused."""
        self._forget_head()
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _await_head(self) -> None:
        self._forget_head()
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
