"""Connections of ``floto server``, with a time limit for request heads and for bodies of refused requests."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds for the head of a request, and for the rest of a refused body; as long as a body may take. The
#: limit does not apply to held polls or to connections that are idle after a request.
HEAD_SECONDS = 30.0


class Connection(H11Protocol):
    """Uvicorn's connection, which by itself has no time limit for the head of a request."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request."""
        super().connection_made(transport)
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
