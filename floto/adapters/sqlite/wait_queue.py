"""The wait queue of the pending polls of one process: FIFO per task queue.

A poll is a job of ``group_commit`` that may stay pending after its batch. A pending poll costs no query:
the leader of any batch completes it as soon as a task queue that has new tasks (``SqliteStore.offered``) also
has a pending poll. Threads that query the database in a loop were the alternative; they would slow down every
commit of every process on the file.

The queue is in memory and not in the database because it is worth nothing after the process. So a process
cannot serve the polls of another one; it wakes the other one (``processes/wakeups.py``), where a thread looks
for commits of other processes while polls are pending (``watcher.py``).

A rewrite must keep these properties:

- A poll is either in this queue or in the hands of exactly one thread. Removing it is how a thread takes the
  right to complete it, so that a task is never claimed for a poll that has timed out.
- A poll that found no task, or whose transaction was rolled back, goes back to the front (``put_back``).
- Polls stay pending while another process has the lock of the database, unlike calls, which fail after
  some seconds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any

from attrs import frozen

from floto.adapters.sqlite.group_commit import Call, Job
from floto.core.engine import faults
from floto.core.engine.embedded import Decided
from floto.core.engine.handover import Decide
from floto.core.engine.stores.records import TaskQueue
from floto.core.swf import limits
from floto.core.swf.decisions import ScheduleActivityTask

#: Number of responses that the thread of a poll is not woken for, unless one of them is urgent.
_RESPONSES_AT_ONCE = 32


@frozen
class Answering:
    """Functions by which the poll of a decider responds to tasks at once, so that it stays pending."""

    #: Decides about a task; called by the thread that commits.
    decide: Decide

    #: Claims a task as the poll does, and responds to it; called by the thread that commits, with the time.
    #: Returns the task, and None if it is left to the thread of the poll; None if there is no task.
    claim: Callable[[datetime], tuple[Any, Decided | None] | None]
    #: Returns True if the poll is to end without another task; called by the thread that commits.
    is_over: Callable[[], bool]


class Poll(Job):
    """A pending poll of one task queue; ``call(now)`` claims the next task or returns None.

    Args:
        task_queue: The task queue.
        call: Claims the next task.
        waits: False for a single attempt, which ends if there is no task.
        identity: Identity for the history, if a step may give its tasks to the poll without this call. The
            result is then the engine's task.
        answering: Responds to tasks at once.
    """

    def __init__(
        self,
        task_queue: TaskQueue,
        call: Call,
        *,
        waits: bool,
        identity: str | None = None,
        answering: Answering | None = None,
    ) -> None:
        super().__init__(call)
        self.identity = identity
        self.task_queue = task_queue
        self.waits = waits
        self.answering = answering
        #: True once it was in the wait queue, from where its thread may remove it.
        self.has_waited = False
        self._responded: deque[Decided] = deque()

    def note_response(self, decided: Decided) -> None:
        """Record a response at once for ``deliver``; called after the commit."""
        self._responded.append(decided)
        if _is_urgent(decided) or len(self._responded) >= _RESPONSES_AT_ONCE:
            self.wake()

    def deliver(self) -> None:
        """Report the responses at once; called by the thread of the poll."""
        while self._responded:
            self._responded.popleft().report()

    @property
    def decide(self) -> Decide | None:
        """The function that decides at once; None for a poll that only claims tasks."""
        return None if self.answering is None else self.answering.decide

    @property
    def is_over(self) -> bool:
        """True if the poll is to end without another task."""
        return self.answering is not None and self.answering.is_over()

    @property
    def task(self) -> Any:
        """The task that was claimed for this poll; None if none was claimed so far."""
        return self._result


def _is_urgent(decided: Decided) -> bool:
    """Return True if the thread of the poll is to be woken for a response.

    Otherwise it wakes up in half a second, or for many responses. Waking it for each would take as long as a
    quarter of a step of a run.
    """
    return any(type(decision) is not ScheduleActivityTask for decision in decided.decisions)


class WaitQueue:
    """The pending polls of each task queue, longest waiting first; any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._polls: dict[TaskQueue, dict[Poll, None]] = {}
        self._has_polls = threading.Event()
        self._is_dismissed = False

    def add(self, polls: Iterable[Poll]) -> None:
        """Append polls to their queues; a poll fails if as many are pending as SWF allows for a task list."""
        for poll in polls:
            with self._lock:
                queue = self._polls.setdefault(poll.task_queue, {})
                if poll.waits and len(queue) >= limits.POLLER_LIMIT:
                    poll.fail(faults.limit_exceeded(limits.POLLER_LIMIT, "polls of one task list"))
                    continue
                poll.has_waited = True
                queue[poll] = None
                if poll.waits and not self._has_polls.is_set():
                    self._has_polls.set()

    def put_back(self, polls: Iterable[Poll]) -> None:
        """Put polls back to the front of their queues."""
        with self._lock:
            for poll in polls:
                self._polls[poll.task_queue] = {poll: None, **self._polls.get(poll.task_queue, {})}
                if poll.waits and not self._has_polls.is_set():
                    self._has_polls.set()

    def take(self, task_queue: TaskQueue) -> Poll | None:
        """Remove and return the first poll of a task queue; None if it has no poll."""
        with self._lock:
            polls = self._polls.get(task_queue)
            if not polls:
                return None
            poll = next(iter(polls))
            self._drop(poll, polls)
            return poll

    def remove(self, poll: Poll) -> bool:
        """Remove a poll; return False if another thread has removed it, to complete it."""
        with self._lock:
            polls = self._polls.get(poll.task_queue, {})
            if poll not in polls:
                return False
            self._drop(poll, polls)
            return True

    def _drop(self, poll: Poll, polls: dict[Poll, None]) -> None:
        del polls[poll]
        if not polls:
            del self._polls[poll.task_queue]

    def task_queues(self, among: Collection[TaskQueue]) -> list[TaskQueue]:
        """Return the task queues among these that have pending polls."""
        with self._lock:
            return [task_queue for task_queue in self._polls if task_queue in among]

    def all_task_queues(self) -> set[TaskQueue]:
        """Return the task queues that have pending polls."""
        with self._lock:
            return set(self._polls)

    def end(self, task_queues: Iterable[TaskQueue], error: Exception | None = None) -> None:
        """Complete the pending polls of these task queues, with an error or without a task."""
        for task_queue in task_queues:
            while (poll := self.take(task_queue)) is not None:
                poll.finish(None) if error is None else poll.fail(error)
                poll.wake()

    def dismiss(self) -> None:
        """Complete every pending poll without a task, for good."""
        with self._lock:
            self._is_dismissed = True
            self._has_polls.set()
        self.end(self.all_task_queues())

    def wait_for_poll(self) -> None:
        """Wait until a poll is pending; return at once after ``dismiss``."""
        with self._lock:
            if not self._polls and not self._is_dismissed:
                self._has_polls.clear()
        self._has_polls.wait()
