"""The client of an HTTP request whose body was read: it waits for the response, and may leave meanwhile.

Adapters and pages share this module, which imports neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from attrs import frozen
from starlette.requests import Request

#: The name, in the state of a request, of a function that returns True if its connection is closing.
IS_CLOSING = "is_closing"


async def client_left(request: Request) -> None:
    """Return when the client of a request whose body is read has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


@frozen
class WaitingClient:
    """A client whose connection is watched.

    ``gone`` is done some iterations of the event loop after the connection has begun to close. In between,
    uvicorn sends no response any more, and ``has_gone`` returns True already.
    """

    gone: asyncio.Future[None]
    _is_closing: Callable[[], bool]

    @classmethod
    def of(cls, request: Request) -> WaitingClient:
        """Watch the client of a request until ``gone`` is done or canceled."""
        gone = asyncio.create_task(client_left(request))
        # Servers other than floto's do not say that a connection is closing.
        return cls(gone, getattr(request.state, IS_CLOSING, gone.done))

    def has_gone(self) -> bool:
        """Return True if the client would not get a response that is sent now."""
        return self.gone.done() or self._is_closing()
