"""Polls of a boto3 client that are ended when the client is closed.

SWF holds a poll for a minute, and boto3 has no way to cancel a call. A poll that is left behind could still
be given a task, which would then be lost. So the connections of polls under way are known here, and closing
shuts them down: the service sees that its client has left, and the waiting thread gets a connection error.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

_HEADER, _POLL = "X-Amz-Target", ".PollFor"


class HeldPolls:
    """The connections of one client on which a poll waits for its response."""

    def __init__(self, client: Any) -> None:
        self._waiting: set[Any] = set()
        self._lock = threading.Lock()
        # botocore names no public place for this; without it polls end when the service ends them.
        session = getattr(getattr(client, "_endpoint", None), "http_session", None)
        classes = getattr(session, "_pool_classes_by_scheme", {})
        for scheme, pool in classes.items():
            classes[scheme] = self._watched(pool)

    def end(self) -> None:
        """Shut down the connections of the polls that wait."""
        with self._lock:
            waiting = tuple(self._waiting)
        for connection in waiting:
            # It may have ended a moment ago.
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _watched(self, pool: Any) -> Any:
        """Return a class of connection pools whose connections report their polls here."""
        polls = self

        class Connection(pool.ConnectionCls):  # type: ignore[misc]
            def request(
                self, method: str, url: str, body: Any = None, headers: Any = None, **more: Any
            ) -> Any:
                target = (headers or {}).get(_HEADER, "")
                if _POLL in (target.decode() if isinstance(target, bytes) else target):
                    polls.add(self)
                return super().request(method, url, body, headers, **more)

            def getresponse(self, *arguments: Any, **more: Any) -> Any:
                try:
                    return super().getresponse(*arguments, **more)
                finally:
                    polls.discard(self)

        return type("Pool", (pool,), {"ConnectionCls": Connection})

    def add(self, connection: Any) -> None:
        """Note that a poll waits on a connection."""
        with self._lock:
            self._waiting.add(connection)

    def discard(self, connection: Any) -> None:
        """Note that the poll on a connection, if any, has its response."""
        with self._lock:
            self._waiting.discard(connection)
