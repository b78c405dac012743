"""Polls that wait: kept in the memory of one event loop, first come, first served, no thread each."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from attrs import Factory, frozen

from floto.adapters.http.ports import Operations
from floto.core import limits
from floto.core.errors import ServiceFault, ServiceUnavailable
from floto.core.service import faults
from floto.core.service.records import Place

log = logging.getLogger("floto")

T = TypeVar("T")
#: Tries to take a task and writes down what the client gets; None if there is no task.
Attempt = Callable[[], bytes | None]

#: How often somebody looks whether other processes have committed something, while polls wait.
_WATCH_SECONDS = 0.02
_TROUBLE_SECONDS = 1.0


@frozen(eq=False)
class _Poll:
    attempt: Attempt
    answer: asyncio.Future[bytes | None]
    #: Held while a thread makes its attempt: nobody may give up on a task that is being taken.
    turn: asyncio.Lock = Factory(asyncio.Lock)


class Polls:
    """The polls that wait, by place, and the one task that hands work to them."""

    def __init__(self, operations: Operations, pool: Executor, seconds: float) -> None:
        self._operations = operations
        self._pool = pool
        self._seconds = seconds
        #: Dicts for their order; there is no empty one.
        self._lines: dict[Place, dict[_Poll, None]] = {}
        #: Polls that wait or are being looked after, for the limit.
        self._counts: Counter[Place] = Counter()
        self._anyone, self._news = asyncio.Event(), asyncio.Event()
        self._told = 0
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

    def stop(self) -> None:
        """Answer every poll that there is no task, now and from now on."""
        self._stopped = True
        for line in self._lines.values():
            for poll in line:
                if not poll.turn.locked():
                    _settle(poll, None)

    def held(self, place: Place) -> int:
        """How many polls stand in the line of a place."""
        return len(self._lines.get(place, ()))

    async def poll(self, place: Place, attempt: Attempt) -> bytes | None:
        """What the first attempt gives that finds a task; None if there is none for as long as polls wait.

        Cancelled, a poll is out of its line at once. Raises a ``ServiceFault`` where as many polls wait
        as SWF allows, and whatever the attempt raises.
        """
        if self._counts[place] >= limits.POLLER_LIMIT:
            raise faults.limit_exceeded(limits.POLLER_LIMIT, "polls of one task list")
        self._counts[place] += 1
        try:
            told = self._told
            if not self._stopped and place not in self._lines:
                found = await self._in_thread(attempt)
                if found is not None:
                    return found
            return None if self._stopped else await self._wait(place, attempt, told)
        finally:
            self._counts[place] -= 1
            if not self._counts[place]:
                del self._counts[place]

    async def _wait(self, place: Place, attempt: Attempt, told: int) -> bytes | None:
        poll = _Poll(attempt, asyncio.get_running_loop().create_future())
        self._lines.setdefault(place, {})[poll] = None
        self._anyone.set()
        if self._told != told:
            # Whatever there was to hear while this poll was in no line, it may have been for it.
            self._news.set()
        try:
            await asyncio.wait((poll.answer,), timeout=self._seconds)
        except asyncio.CancelledError:
            _drop(poll)
            raise
        finally:
            self._remove(place, poll)
        async with poll.turn:
            return poll.answer.result() if poll.answer.done() else None

    def _remove(self, place: Place, poll: _Poll) -> None:
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
        """Hand out work for good; trouble with the file is the callers' to hear of, and passes."""
        troubled = False
        while True:
            await self._anyone.wait()
            try:
                await self._hand_out()
                troubled = False
            except ServiceUnavailable:
                await asyncio.sleep(_TROUBLE_SECONDS)
            except Exception:
                # Without this task no poll would be answered any more.
                if not troubled:
                    log.exception("no poll is given a task for a moment")
                troubled = True
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

    async def _give(self, poll: _Poll) -> bool:
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
                _settle(poll, found)
            return found is not None

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


def _settle(poll: _Poll, found: bytes | None) -> None:
    if not poll.answer.done():
        poll.answer.set_result(found)
    elif found is not None:
        log.warning("a client went away while it was given a task, which will time out")


def _drop(poll: _Poll) -> None:
    """Nobody reads the answer; if it is an error, asyncio need not complain about that."""
    if not poll.answer.cancel():
        poll.answer.exception()
