"""The polls of one transaction: its tasks are given to those that wait.

Most tasks are given to a poll by the step that schedules them (``WaitingPolls`` of the engine). What is left
after the calls of the transaction is claimed as by a call of its own: tasks that were scheduled before, those
of new runs, and those for the polls of the server.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from floto.adapters.sqlite.storage.store import Mark, SqliteStore
from floto.adapters.sqlite.wait_queue import Poll, WaitQueue
from floto.core.engine.embedded import Decided
from floto.core.engine.stores.records import TaskQueue

log = logging.getLogger("floto")

#: Maximum number of tasks that one transaction claims, so that it ends although responses schedule new ones.
_SERVED_AT_ONCE = 512
#: A worker goes on with the run that it has worked for, unless another task has waited for this time. That
#: saves a step of the engine for each task. Where tasks wait for longer, as with few workers, the oldest is
#: the next.
_FAIR = timedelta(seconds=0.1)


class Serving:
    """Gives the tasks of one transaction to polls.

    Args:
        store: The store of the transaction.
        wait_queue: The pending polls.
        now: The time of the transaction.
    """

    def __init__(self, store: SqliteStore, wait_queue: WaitQueue, now: datetime) -> None:
        self._store, self._wait_queue, self._now = store, wait_queue, now
        #: All polls that are out of the wait queue, in the order in which they were taken.
        self._taken: dict[Poll, None] = {}
        #: Those whose threads get a task, or None because they have ended.
        self._served: dict[Poll, Any] = {}
        #: The polls that responded at once, and their responses.
        self._responses: list[tuple[Poll, Decided]] = []
        #: The polls that can be served again: they stay out of the wait queue until the commit, so that the
        #: thread of a poll does not end it while a response of it is not committed.
        self._idle: defaultdict[TaskQueue, list[Poll]] = defaultdict(list)
        #: Queues whose next task has waited for long.
        self._late: set[TaskQueue] = set()

    @property
    def has_responded(self) -> bool:
        """True if a poll has responded at once."""
        return bool(self._responses)

    def take(self, task_queue: TaskQueue, priority: int) -> Poll | None:
        """Take the next poll of a queue for a task that is being scheduled; see ``WaitingPolls``."""
        if self._store.open_runs().goes_first(task_queue, priority, self._now - _FAIR):
            self._late.add(task_queue)
            return None
        if not self._may_claim():
            return None
        poll = self._next(task_queue)
        if poll is None or (poll.identity is not None and not poll.is_over):
            return poll
        self.put_back(poll)
        return None

    def give(self, poll: Poll, task: Any, decided: Decided | None) -> None:
        """Give a poll its task, for its thread after the commit; a poll that responded stays pending."""
        if decided is None:
            self._served[poll] = task
        else:
            self.put_back(poll)
            self._responses.append((poll, decided))

    def put_back(self, poll: Poll) -> None:
        """Let a poll that was taken wait again."""
        self._idle[poll.task_queue].append(poll)

    def catch_up(self) -> None:
        """Claim the tasks that kept a step from handing over, so that the next step can."""
        while self._late:
            self._serve(self._late.pop())

    def serve(self, polled: set[TaskQueue]) -> None:
        """Claim tasks of these queues, and of those with new tasks, for polls; also tasks that result."""
        offered = self._store.offered
        task_queues, seen = polled | offered, set[TaskQueue]()
        try:
            while task_queues:
                seen |= task_queues
                offered.clear()
                before = self.count
                # Sorted, because the order of a set differs from process to process.
                for task_queue in sorted(task_queues):
                    self._serve(task_queue)
                # A response that is undone offers its task again, so without progress this ends.
                task_queues = set(offered) if self.count > before else set()
        finally:
            offered |= seen

    @property
    def count(self) -> int:
        """The number of tasks that polls got so far."""
        return len(self._served) + len(self._responses)

    def mark(self) -> tuple[Mark, int]:
        """Return what ``undo`` needs to go back to this point of the transaction."""
        return self._store.mark(), self.count

    def undo(self, mark: tuple[Mark, int]) -> bool:
        """Undo what was done since; return False if it cannot be undone, as what a poll got meanwhile."""
        at, before = mark
        return self.count == before and self._store.undo(at)

    def _may_claim(self) -> bool:
        """Return True if the transaction may claim more tasks: deadlines that became due in it go first."""
        return self.count < _SERVED_AT_ONCE and not self._store.is_due(self._now)

    def _next(self, task_queue: TaskQueue) -> Poll | None:
        idle = self._idle[task_queue]
        poll = idle.pop() if idle else self._wait_queue.take(task_queue)
        if poll is not None:
            self._taken[poll] = None
        return poll

    def _serve(self, task_queue: TaskQueue) -> None:
        """Claim tasks of a queue for its polls."""
        while self._store.next_task(task_queue) is not None and self._may_claim():
            poll = self._next(task_queue)
            if poll is None:
                return
            if poll.is_over:
                self._served[poll] = None
                continue
            found = self._claim(poll)
            if found is None:
                self.put_back(poll)
                return
            self.give(poll, *found)

    def _claim(self, poll: Poll) -> tuple[Any, Decided | None] | None:
        """Claim a task, and respond to it at once; if that fails, the poll's thread has to do it."""
        if poll.answering is not None:
            mark = self.mark()
            try:
                return poll.answering.claim(self._now)
            except Exception:
                if not self.undo(mark):
                    raise
        task = poll.call(self._now)
        return None if task is None else (task, None)

    def roll_back(self) -> None:
        """Put all polls back to the wait queue, after the transaction was rolled back."""
        self._wait_queue.put_back(reversed(self._taken))

    def complete(self) -> None:
        """Complete the polls, after the commit."""
        try:
            for poll, decided in self._responses:
                try:
                    decided.on_commit()
                except Exception:
                    log.exception("a response was committed, but its decider cannot remember it")
                poll.note_response(decided)
        finally:
            self._wait_queue.put_back(chain.from_iterable(self._idle.values()))
            for poll, task in self._served.items():
                poll.finish(task)
                poll.wake()
