"""Connections of ``floto server``: the head of a request must arrive in time, and a refused body too."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: As long as a body may take. Held polls and idle connections have a request behind them, and are let be.
HEAD_SECONDS = 30.0


class Connection(H11Protocol):
    """Uvicorn's, which waits for the head of a request for ever."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Stop the timer once the head is complete; start it where the next request begins."""
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
        """Drop what was received of a body that was not read, and limit the time for its rest.

        Uvicorn reads the rest without keeping it, so that the client can read why it was refused: closing a
        connection with unread bytes would reset it. It would keep this part until the next request.
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
        """Keep the connection for the next request as long as after a request that was not refused."""
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
