"""Long calls that one thread executes, in the order of their requests.

A call takes seconds, and a client may leave before its call begins. The queue of an executor has no limit,
and keeps a cancelled call, with the file that it holds, until the thread is free; so calls wait for a lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from floto.pages.web.security import Refused

T = TypeVar("T")


class WorkQueue:
    """A thread, and the calls that wait for it; only the thread of the event loop may use it.

    Args:
        name: The name of the thread.
        most: Maximum calls that wait.
    """

    def __init__(self, name: str, most: int) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._most, self._waiting = most, 0
        self._thread = asyncio.Lock()
        self._is_stopped = False

    async def execute(self, call: Callable[[], T]) -> T:
        """Return the result of a call. One that is cancelled while it waits is dropped.

        Raises:
            Refused: if too many calls wait, or the server is stopping.
        """
        await self._turn()
        work = asyncio.get_running_loop().run_in_executor(self._pool, call)
        # The thread is busy until the call returns, also if no request waits for the result any more.
        work.add_done_callback(self._returned)
        return await asyncio.shield(work)

    def _returned(self, work: asyncio.Future[Any]) -> None:
        self._thread.release()
        if not work.cancelled():
            # Otherwise asyncio logs the error of a call whose request has been cancelled.
            work.exception()

    async def _turn(self) -> None:
        if self._waiting >= self._most:
            raise Refused(503, "too many requests wait for this; try again later")
        self._waiting += 1
        try:
            await self._thread.acquire()
        finally:
            self._waiting -= 1
        if self._is_stopped:
            self._thread.release()
            raise Refused(503, "the server is stopping")

    def stop(self) -> None:
        """Start no more calls."""
        self._is_stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)
