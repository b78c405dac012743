"""The wait queues of pending polls in an event loop: one FIFO queue per task list, and no thread per poll.

An HTTP client occupies a connection for a minute per poll, so a thread per poll would limit the number of
clients. Instead, one asyncio task dispatches: it is notified of new tasks, looks which queues have one, and
makes the attempt of the longest waiting poll in a thread of the pool. ``adapters/sqlite/wait_queue.py`` does
the same for polls by threads of the process itself.
"""

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

from floto.adapters.operations import WATCH_SECONDS, PollableOperations
from floto.core.engine import faults
from floto.core.engine.stores.records import TaskQueue
from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable
from floto.core.swf import limits
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

R = TypeVar("R")
T = TypeVar("T")
#: Claims a task and returns the response for its client; None if there is no task.
Attempt = Callable[[], T | None]

#: Seconds without dispatching after an error.
_TROUBLE_SECONDS = 1.0
#: Seconds that a stopping server waits for tasks that are being given back.
_RETURN_SECONDS = 2.0


@frozen(eq=False)
class _Poll(Generic[T]):
    attempt: Attempt[T]
    result: asyncio.Future[T | None]
    #: Locked while a thread makes the attempt: a poll must not end while a task is being claimed for it.
    claiming: asyncio.Lock = Factory(asyncio.Lock)


class HeldPollQueue(Generic[T]):
    """The pending polls by task list, and the one asyncio task that dispatches tasks to them.

    Args:
        operations: The operations that the polls' attempts call.
        pool: Executes the attempts and other calls of ``operations``.
        seconds: Seconds that a poll is held.
        give_back: Called in a thread of the pool with a task that was claimed for a client that has gone, so
            that it can be polled again at once.
    """

    def __init__(
        self, operations: PollableOperations, pool: Executor, seconds: float, give_back: Callable[[T], None]
    ) -> None:
        self._operations = operations
        self._pool = pool
        self._seconds = seconds
        self._give_back = give_back
        #: The asyncio tasks that give tasks back; asyncio itself has only weak references to them.
        self._returns: set[asyncio.Task[None]] = set()
        #: The polls of each queue in order (dict keys); a queue without polls has no entry.
        self._queues: dict[TaskQueue, dict[_Poll[T], None]] = {}
        #: Pending polls, and those that are making their first attempt, for the limit.
        self._counts: Counter[TaskQueue] = Counter()
        self._has_polls, self._notified = asyncio.Event(), asyncio.Event()
        self._notifications = 0
        self._troubles = TroubleLog(log)
        self._stopped = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Dispatch tasks to polls inside the block, in the event loop that enters it."""
        loop = asyncio.get_running_loop()

        def notify() -> None:
            with suppress(RuntimeError):  # the loop is closed, with all its polls
                loop.call_soon_threadsafe(self._count_notification)

        self._operations.listen(notify)
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
        """Complete every pending and every later poll without a task."""
        self._stopped = True
        for queue in self._queues.values():
            for poll in queue:
                if not poll.claiming.locked():
                    self._complete(poll, None)

    def held(self, task_queue: TaskQueue) -> int:
        """Return the number of pending polls of a task queue."""
        return len(self._queues.get(task_queue, ()))

    async def poll(self, task_queue: TaskQueue, attempt: Attempt[T]) -> T | None:
        """Return the result of the first attempt that claims a task; None if none does in time.

        A cancelled poll leaves its queue at once, and a task claimed for it is given back. An exception of an
        attempt is raised here.

        Args:
            task_queue: The task queue.
            attempt: Claims the next task of this queue; called in threads of the pool, several times.

        Raises:
            ServiceFault: if as many polls are pending as SWF allows for one task list.
        """
        if self._counts[task_queue] >= limits.POLLER_LIMIT:
            raise faults.limit_exceeded(limits.POLLER_LIMIT, "polls of one task list")
        self._counts[task_queue] += 1
        try:
            seen = self._notifications
            if not self._stopped and task_queue not in self._queues:
                found = await self._claimed(attempt)
                if found is not None:
                    return found
            return None if self._stopped else await self._wait(task_queue, attempt, seen)
        finally:
            self._counts[task_queue] -= 1
            if not self._counts[task_queue]:
                del self._counts[task_queue]

    def give_back_result(self, polled: asyncio.Future[T | None]) -> None:
        """Give back the task, if any, that a poll or an attempt returns after its client has gone.

        Args:
            polled: The future of the poll or of the attempt.
        """
        polled.add_done_callback(self._return_result)

    def _return_result(self, polled: asyncio.Future[T | None]) -> None:
        if not polled.cancelled() and polled.exception() is None:
            self._return(polled.result())

    def _return(self, found: T | None) -> None:
        if found is not None:
            task = asyncio.get_running_loop().create_task(self._give_back_in_thread(found))
            self._returns.add(task)
            task.add_done_callback(self._returns.discard)

    async def _give_back_in_thread(self, found: T) -> None:
        try:
            await self._in_thread(partial(self._give_back, found))
        except Exception as error:  # noqa: BLE001 - no caller waits for the result
            message = "a task of a client that has gone could not be given back and will time out: %r"
            self._troubles.failed("giving tasks back", message, error)
        else:
            self._troubles.over("giving tasks back")

    async def _claimed(self, attempt: Attempt[T]) -> T | None:
        """Make an attempt in the pool; if this is cancelled meanwhile, give its task back."""
        claiming = self._pool.submit(attempt)
        claimed = asyncio.wrap_future(claiming)
        try:
            return await asyncio.shield(claimed)
        except asyncio.CancelledError:
            if not claiming.cancel():
                self.give_back_result(claimed)
            raise

    async def _wait(self, task_queue: TaskQueue, attempt: Attempt[T], seen: int) -> T | None:
        poll = _Poll(attempt, asyncio.get_running_loop().create_future())
        self._queues.setdefault(task_queue, {})[poll] = None
        self._has_polls.set()
        if self._notifications != seen:
            # A notification may have arrived before this poll was queued: check again.
            self._notified.set()
        try:
            try:
                await asyncio.wait((poll.result,), timeout=self._seconds)
            finally:
                self._remove(task_queue, poll)
            async with poll.claiming:
                return poll.result.result() if poll.result.done() else None
        except asyncio.CancelledError:
            if not poll.result.cancel():
                self.give_back_result(poll.result)
            raise

    def _remove(self, task_queue: TaskQueue, poll: _Poll[T]) -> None:
        queue = self._queues.get(task_queue, {})
        queue.pop(poll, None)
        if not queue:
            self._queues.pop(task_queue, None)
        if not self._queues:
            self._has_polls.clear()

    def _count_notification(self) -> None:
        self._notifications += 1
        self._notified.set()

    async def _dispatch(self) -> None:
        """Dispatch tasks until cancelled; after an error, pause and continue."""
        troubles = self._troubles
        while True:
            await self._has_polls.wait()
            try:
                await self._dispatch_once()
                troubles.over("dispatching tasks to polls")
            except Exception as error:  # noqa: BLE001 - if this task ended, no poll would get a task any more
                message = "cannot dispatch tasks to polls, retrying: %r"
                level = logging.WARNING if isinstance(error, ServiceUnavailable) else logging.ERROR
                # The traceback of an expected error would say nothing more.
                unexpected = None if isinstance(error, ServiceError) else error
                troubles.failed("dispatching tasks to polls", message, error, level=level, error=unexpected)
                await asyncio.sleep(_TROUBLE_SECONDS)

    async def _dispatch_once(self) -> None:
        if not await self._notified_within(WATCH_SECONDS):
            if not await self._in_thread(self._operations.look):
                return
            # A deadline that is due fires only with an attempt: make one.
            await self._serve_first()
        self._notified.clear()
        for task_queue in await self._in_thread(partial(self._with_work, tuple(self._queues))):
            await self._serve(task_queue)

    async def _notified_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._notified.wait()
        return self._notified.is_set()

    def _with_work(self, task_queues: Iterable[TaskQueue]) -> list[TaskQueue]:
        return [task_queue for task_queue in task_queues if self._operations.has_work(task_queue)]

    async def _serve_first(self) -> None:
        for task_queue in tuple(self._queues)[:1]:
            await self._serve(task_queue)

    async def _serve(self, task_queue: TaskQueue) -> None:
        """Make the attempts of the polls that are pending now, longest first, until one finds no task."""
        for poll in tuple(self._queues.get(task_queue, ())):
            # A poll may have left the queue meanwhile.
            if poll in self._queues.get(task_queue, {}):
                if not await self._attempt(poll):
                    return
                self._remove(task_queue, poll)
        # Polls that were queued meanwhile are served after the other queues, which might starve otherwise.
        self._notified.set()

    async def _attempt(self, poll: _Poll[T]) -> bool:
        """Make the attempt of a poll; return False if the other polls would find no task either."""
        async with poll.claiming:
            if poll.result.done():
                return True
            try:
                found = await self._in_thread(poll.attempt)
            except Exception as error:  # noqa: BLE001 - the poll raises it
                if not poll.result.done():
                    poll.result.set_exception(error)
                return isinstance(error, ServiceFault)
            if found is not None or self._stopped:
                self._complete(poll, found)
            return found is not None

    def _complete(self, poll: _Poll[T], found: T | None) -> None:
        """Complete a poll; give the task back if the poll was cancelled meanwhile."""
        if poll.result.done():
            self._return(found)
        else:
            poll.result.set_result(found)

    async def _in_thread(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)
