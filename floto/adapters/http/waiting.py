"""Polls that wait: kept in the memory of one event loop, first come, first served, no thread each."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Generic, TypeVar

from attrs import Factory, frozen

from floto.adapters.http.ports import Operations
from floto.core.engine import faults
from floto.core.engine.stores.records import Place
from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable
from floto.core.swf import limits
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

R = TypeVar("R")
T = TypeVar("T")
#: Claims a task and returns what its client is sent; None if there is no task.
Attempt = Callable[[], T | None]

#: How often somebody looks whether other processes have committed something, while polls wait.
_WATCH_SECONDS = 0.02
_TROUBLE_SECONDS = 1.0
#: Seconds that a stopping server waits for tasks on their way back.
_RETURN_SECONDS = 2.0


@frozen(eq=False)
class _Poll(Generic[T]):
    attempt: Attempt[T]
    answer: asyncio.Future[T | None]
    #: Held while a thread makes its attempt: nobody may give up on a task that is being taken.
    turn: asyncio.Lock = Factory(asyncio.Lock)


class HeldPollQueue(Generic[T]):
    """The pending polls by task list, and the one asyncio task that dispatches work to them.

    A task that was claimed for a client that is gone by then is passed to ``give_back``, in a thread of
    the pool: it can be polled again at once.
    """

    def __init__(
        self, operations: Operations, pool: Executor, seconds: float, give_back: Callable[[T], None]
    ) -> None:
        self._operations = operations
        self._pool = pool
        self._seconds = seconds
        self._give_back = give_back
        #: Tasks on their way back; asyncio itself keeps only weak references to them.
        self._returns: set[asyncio.Task[None]] = set()
        #: Dicts for their order; there is no empty one.
        self._lines: dict[Place, dict[_Poll[T], None]] = {}
        #: Polls that wait or are being looked after, for the limit.
        self._counts: Counter[Place] = Counter()
        self._anyone, self._news = asyncio.Event(), asyncio.Event()
        self._told = 0
        self._troubles = TroubleLog(log)
        self._stopped = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hand out work meanwhile, in the loop that this is entered in."""
        loop = asyncio.get_running_loop()

        def told() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._hear)

        self._operations.listen(told)
        dispatcher = asyncio.create_task(self._dispatch())
        try:
            yield
        finally:
            self.stop()
            dispatcher.cancel()
            with suppress(asyncio.CancelledError):
                await dispatcher
            if self._returns:
                await asyncio.wait(self._returns, timeout=_RETURN_SECONDS)

    def stop(self) -> None:
        """Answer every poll that there is no task, now and from now on."""
        self._stopped = True
        for line in self._lines.values():
            for poll in line:
                if not poll.turn.locked():
                    self._settle(poll, None)

    def held(self, place: Place) -> int:
        """How many polls stand in the line of a place."""
        return len(self._lines.get(place, ()))

    async def poll(self, place: Place, attempt: Attempt[T]) -> T | None:
        """Return what the first attempt returns that finds a task; None if none does in time.

        A cancelled poll leaves its line at once, and a task claimed for it is given back. Raises a
        ``ServiceFault`` where as many polls wait as SWF allows, and whatever the attempt raises.
        """
        if self._counts[place] >= limits.POLLER_LIMIT:
            raise faults.limit_exceeded(limits.POLLER_LIMIT, "polls of one task list")
        self._counts[place] += 1
        try:
            told = self._told
            if not self._stopped and place not in self._lines:
                found = await self._claimed(attempt)
                if found is not None:
                    return found
            return None if self._stopped else await self._wait(place, attempt, told)
        finally:
            self._counts[place] -= 1
            if not self._counts[place]:
                del self._counts[place]

    def give_back_result(self, polled: asyncio.Future[T | None]) -> None:
        """Give back the task that a poll, or an attempt, ends with after its client has gone."""
        polled.add_done_callback(self._return_result)

    def _return_result(self, polled: asyncio.Future[T | None]) -> None:
        if not polled.cancelled() and polled.exception() is None:
            self._return(polled.result())

    def _return(self, found: T | None) -> None:
        if found is not None:
            task = asyncio.get_running_loop().create_task(self._give_it_back(found))
            self._returns.add(task)
            task.add_done_callback(self._returns.discard)

    async def _give_it_back(self, found: T) -> None:
        try:
            await self._in_thread(partial(self._give_back, found))
        except Exception as error:  # noqa: BLE001 - nobody waits for it
            message = "the task of a client that is gone was not given back and will time out: %r"
            self._troubles.failed("giving tasks back", message, error)
        else:
            self._troubles.over("giving tasks back")

    async def _claimed(self, attempt: Attempt[T]) -> T | None:
        """Make an attempt; one that is under way when this is cancelled gives its task back."""
        claiming = self._pool.submit(attempt)
        claimed = asyncio.wrap_future(claiming)
        try:
            return await asyncio.shield(claimed)
        except asyncio.CancelledError:
            if not claiming.cancel():
                self.give_back_result(claimed)
            raise

    async def _wait(self, place: Place, attempt: Attempt[T], told: int) -> T | None:
        poll = _Poll(attempt, asyncio.get_running_loop().create_future())
        self._lines.setdefault(place, {})[poll] = None
        self._anyone.set()
        if self._told != told:
            # Whatever there was to hear while this poll was in no line, it may have been for it.
            self._news.set()
        try:
            try:
                await asyncio.wait((poll.answer,), timeout=self._seconds)
            finally:
                self._remove(place, poll)
            async with poll.turn:
                return poll.answer.result() if poll.answer.done() else None
        except asyncio.CancelledError:
            if not poll.answer.cancel():
                self.give_back_result(poll.answer)
            raise

    def _remove(self, place: Place, poll: _Poll[T]) -> None:
        line = self._lines.get(place, {})
        line.pop(poll, None)
        if not line:
            self._lines.pop(place, None)
        if not self._lines:
            self._anyone.clear()

    def _hear(self) -> None:
        self._told += 1
        self._news.set()

    async def _dispatch(self) -> None:
        """Dispatch work until cancelled; after an error, wait a moment and go on."""
        troubles = self._troubles
        while True:
            await self._anyone.wait()
            try:
                await self._hand_out()
                troubles.over("dispatching tasks to polls")
            except Exception as error:  # noqa: BLE001 - without this task no poll would be answered any more
                message = "no poll is given a task for a moment: %r"
                level = logging.WARNING if isinstance(error, ServiceUnavailable) else logging.ERROR
                # Where an error that is known was raised says nothing more.
                unknown = None if isinstance(error, ServiceError) else error
                troubles.failed("dispatching tasks to polls", message, error, level=level, error=unknown)
                await asyncio.sleep(_TROUBLE_SECONDS)

    async def _hand_out(self) -> None:
        if not await self._news_within(_WATCH_SECONDS):
            if not await self._in_thread(self._operations.look):
                return
            # What is due is only seen so far; any attempt brings it about.
            await self._serve_first()
        self._news.clear()
        for place in await self._in_thread(partial(self._with_work, tuple(self._lines))):
            await self._serve(place)

    async def _news_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        return self._news.is_set()

    def _with_work(self, places: Iterable[Place]) -> list[Place]:
        return [place for place in places if self._operations.has_work(place)]

    async def _serve_first(self) -> None:
        for place in tuple(self._lines)[:1]:
            await self._serve(place)

    async def _serve(self, place: Place) -> None:
        """Give one task after another to those who wait now, the longest first, until there is none."""
        for poll in tuple(self._lines.get(place, ())):
            # Some may have left meanwhile.
            if poll in self._lines.get(place, {}):
                if not await self._give(poll):
                    return
                self._remove(place, poll)
        # Who came meanwhile is served after the other places, or those might wait for ever.
        self._news.set()

    async def _give(self, poll: _Poll[T]) -> bool:
        """Make the attempt of a poll; False if there is nothing for others either."""
        async with poll.turn:
            if poll.answer.done():
                return True
            try:
                found = await self._in_thread(poll.attempt)
            except Exception as error:  # noqa: BLE001 - it is for whoever asked
                if not poll.answer.done():
                    poll.answer.set_exception(error)
                return isinstance(error, ServiceFault)
            if found is not None or self._stopped:
                self._settle(poll, found)
            return found is not None

    def _settle(self, poll: _Poll[T], found: T | None) -> None:
        """Answer a poll; the task of one that was cancelled meanwhile is given back."""
        if poll.answer.done():
            self._return(found)
        else:
            poll.answer.set_result(found)

    async def _in_thread(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)
