"""Pending calls of a boto3 client: polls end when the client is closed, and other calls after 30 seconds.

SWF holds a poll for a minute, and boto3 cannot cancel a call. SWF could still dispatch a task to a poll that
was left behind, and that task would be lost. Therefore the connections of pending polls are recorded here and
shut down when the client is closed: the service notices that the connection is closed, and the waiting thread
gets a connection error. That includes requests for later pages of a task, which SWF does not hold.

The read time-out of a client has to be longer than a minute, but a service that accepts every other call and
never answers must not hold it for as long. A caller may set a deadline that is earlier (``call_deadline``).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from floto.call_deadline import seconds_left

_HEADER, _POLL, _PAGE = "X-Amz-Target", ".PollFor", '"nextPageToken"'
#: Seconds without a byte of the response to a call that SWF does not hold, after which it fails.
RESPONSE_SECONDS = 30.0


class PendingCalls:
    """The connections of one client on which a poll waits for its response; other calls have a time-out."""

    def __init__(self, client: Any) -> None:
        self._waiting: set[Any] = set()
        self._lock = threading.Lock()
        # botocore has no public attribute for this; without it, polls end when the service ends them.
        session = getattr(getattr(client, "_endpoint", None), "http_session", None)
        classes = getattr(session, "_pool_classes_by_scheme", {})
        for scheme, pool in classes.items():
            classes[scheme] = self._watched(pool)

    def end_polls(self) -> None:
        """Shut down the connections of the pending polls."""
        with self._lock:
            waiting = tuple(self._waiting)
        for connection in waiting:
            # The poll may just have ended.
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _watched(self, pool: Any) -> Any:
        """Return a subclass of a connection pool whose connections have these polls and this time-out."""
        calls = self

        class WatchedConnection(pool.ConnectionCls):  # type: ignore[misc]
            timeout: float
            is_held = False

            def connect(self) -> None:
                self.timeout = seconds_left(self.timeout)
                super().connect()
                # A new socket has the time-out of the connection, which is too short to send a long request.
                self.sock.settimeout(seconds_left(RESPONSE_SECONDS))

            def request(
                self, method: str, url: str, body: Any = None, headers: Any = None, **more: Any
            ) -> Any:
                is_poll = _POLL in _text((headers or {}).get(_HEADER))
                self.is_held = is_poll and _PAGE not in _text(body)
                if is_poll:
                    calls.add(self)
                if self.sock is not None:
                    # urllib3 gives it to the socket; it is still that of connecting.
                    self.timeout = seconds_left(RESPONSE_SECONDS)
                try:
                    return super().request(method, url, body, headers, **more)
                except BaseException:
                    # No response follows.
                    calls.discard(self)
                    raise

            def getresponse(self, *arguments: Any, **more: Any) -> Any:
                if not self.is_held:
                    self.timeout = seconds_left(RESPONSE_SECONDS)
                try:
                    return super().getresponse(*arguments, **more)
                finally:
                    calls.discard(self)

        return type("Pool", (pool,), {"ConnectionCls": WatchedConnection})

    def add(self, connection: Any) -> None:
        """Record that a poll is pending on a connection."""
        with self._lock:
            self._waiting.add(connection)

    def discard(self, connection: Any) -> None:
        """Record that a connection has the response of its poll, if it had one."""
        with self._lock:
            self._waiting.discard(connection)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
