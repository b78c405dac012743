"""Calls and polls of the operations in an event loop, without a thread for any of them.

An HTTP client occupies a connection for a minute per poll, so a thread per poll would limit the number of
clients. The operations call back, in the thread that commits, and the event loop is woken once for all that
a commit has completed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect

from floto.adapters.operations import WATCH_SECONDS, PendingCall, PollableOperations
from floto.trouble_log import TroubleLog
from floto.waiting_clients import WaitingClient

log = logging.getLogger("floto")

#: Seconds that a stopping server waits for tasks that are being given back.
_RETURN_SECONDS = 2.0
#: Iterations of the event loop after which the end of a connection that was pending in the socket is noticed
#: by the task that watches for it: uvicorn reads it, closes the transport, gets ``connection_lost``, wakes
#: ``receive``, and ``receive`` returns. An end that is read meanwhile shows only in ``has_gone``.
_NOTICE_ITERATIONS = 6

_Response = dict[str, Any]


class Calls:
    """Calls and pending polls; only the thread of the event loop may use it.

    Args:
        operations: The operations.
        pool: Gives tasks back.
        seconds: Seconds that a poll is held.
    """

    def __init__(self, operations: PollableOperations, pool: Executor, seconds: float) -> None:
        self._operations, self._pool, self._seconds = operations, pool, seconds
        #: The futures to wake, which other threads append, and whether the loop is to look at them.
        self._notified: deque[asyncio.Future[None]] = deque()
        self._is_looking = False
        self._held: set[asyncio.Future[None]] = set()
        self._is_stopped = False
        #: The asyncio tasks that end polls of clients that have gone; asyncio has only weak references.
        self._ending: set[asyncio.Task[None]] = set()
        self._troubles = TroubleLog(log)

    async def execute(self, operation: str, request: Mapping[str, Any], region: str) -> _Response | None:
        """Execute a checked request that is neither a query nor a poll, and return its response."""
        awake = asyncio.get_running_loop().create_future()
        call = self._operations.begin(operation, request, region, self._waking(awake))
        await awake
        return call.outcome()

    async def poll(
        self,
        operation: str,
        request: Mapping[str, Any],
        region: str,
        client: WaitingClient,
        write: Callable[[_Response], Awaitable[bytes]],
    ) -> bytes | None:
        """Return the response of a poll, to be sent without another await; None if there is no task in time.

        Args:
            operation: SWF's name of the operation.
            request: The checked request.
            region: The AWS region.
            client: A task that was claimed for it is given back if it has gone.
            write: Converts the response, before the last look whether the client has gone.

        Raises:
            ClientDisconnect: if the client has gone.
            ServiceFault: if as many polls are pending as SWF allows for one task list.
        """
        if self._is_stopped:
            return None
        loop, written = asyncio.get_running_loop(), None
        awake = loop.create_future()
        poll = self._operations.begin(operation, request, region, self._waking(awake))
        client.gone.add_done_callback(lambda _: _wake(awake))
        timer = loop.call_later(self._seconds, _wake, awake)
        self._held.add(awake)
        try:
            await awake
            if not client.has_gone():
                await _end(poll)
                found = poll.outcome() if poll.is_done else None
                written = None if found is None else await write(found)
            for _ in range(_NOTICE_ITERATIONS):
                await asyncio.sleep(0)
        except BaseException:
            self._give_up(poll)
            raise
        finally:
            timer.cancel()
            self._held.discard(awake)
        if client.has_gone():
            self._give_up(poll)
            raise ClientDisconnect
        return written

    def stop(self) -> None:
        """End every pending and every later poll without a task."""
        self._is_stopped = True
        for awake in self._held:
            _wake(awake)

    async def close(self) -> None:
        """Stop, and wait some seconds until the tasks of clients that have gone are given back."""
        self.stop()
        if self._ending:
            await asyncio.wait(self._ending, timeout=_RETURN_SECONDS)

    def _give_up(self, poll: PendingCall) -> None:
        """End the poll of a client that has gone, and give back the task that was claimed for it."""
        ending = asyncio.get_running_loop().create_task(self._give_back(poll))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _give_back(self, poll: PendingCall) -> None:
        await _end(poll)
        found = None
        with suppress(Exception):
            found = poll.outcome() if poll.is_done else None
        if found is None:
            return
        give_back = partial(self._operations.give_back, found["taskToken"])
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, give_back)
        except Exception as error:  # noqa: BLE001 - no caller waits for the result
            message = "a task of a client that has gone could not be given back and will time out: %r"
            self._troubles.failed("giving tasks back", message, error)
        else:
            self._troubles.over("giving tasks back")

    def _waking(self, awake: asyncio.Future[None]) -> Any:
        """Return a function that wakes a future from any thread."""
        loop = asyncio.get_running_loop()

        def notify() -> None:
            self._notified.append(awake)
            if not self._is_looking:
                self._is_looking = True
                with suppress(RuntimeError):  # the loop is closed, with all its calls
                    loop.call_soon_threadsafe(self._wake_notified)

        return notify

    def _wake_notified(self) -> None:
        self._is_looking = False
        while self._notified:
            _wake(self._notified.popleft())


async def _end(poll: PendingCall) -> None:
    """Withdraw a poll unless it is done; while a thread is claiming a task for it, wait for that."""
    while not poll.is_done and not poll.withdraw():  # noqa: ASYNC110 - it is in the hands of a thread
        await asyncio.sleep(WATCH_SECONDS)


def _wake(awake: asyncio.Future[None]) -> None:
    if not awake.done():
        awake.set_result(None)
