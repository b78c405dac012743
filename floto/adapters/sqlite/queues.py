"""The tasks that wait, where it is known in memory; SQLite knows them all."""

from __future__ import annotations

import heapq
from itertools import count

from floto.core.engine.stores.changes import Changes
from floto.core.engine.stores.records import Place
from floto.core.engine.stores.store import Ready

#: With more tasks than that, SQLite is asked.
_MOST = 10_000


class Queues:
    """The tasks of places that were once seen empty: whatever came since then was put in here.

    What is known holds as long as nobody else writes to the database; then it is forgotten.
    """

    def __init__(self) -> None:
        self._heaps: dict[Place, list[tuple[int, int, str, int]]] = {}
        #: The events that scheduled what still waits, by run.
        self._waiting: dict[str, set[int]] = {}
        self._arrivals = count()

    def forget(self) -> None:
        """Know nothing any more."""
        self._heaps.clear()
        self._waiting.clear()

    def begin(self, place: Place) -> None:
        """Note that no task waits at a place."""
        self._heaps[place] = []

    def knows(self, place: Place) -> bool:
        """Whether ``first`` has the answer for a place."""
        return place in self._heaps

    def first(self, place: Place) -> Ready | None:
        """The task to hand out next: highest priority first, then oldest."""
        heap = self._heaps[place]
        while heap:
            _, _, run_id, event_id = heap[0]
            if event_id in self._waiting.get(run_id, ()):
                return Ready(run_id, event_id)
            heapq.heappop(heap)
        return None

    def follow(self, changes: Changes) -> None:
        """Take in what a step did."""
        run_id = changes.run.execution.run_id
        if changes.is_closed:
            self._waiting.pop(run_id, None)
            return
        for event_id in changes.dropped:
            self._leave(run_id, event_id)
        for event_id, task in changes.tasks:
            heap = self._heaps.get(Place(changes.run.domain, task.kind, task.task_list))
            if task.started:
                self._leave(run_id, event_id)
            elif heap is not None:
                heapq.heappush(heap, (-task.priority, next(self._arrivals), run_id, event_id))
                self._waiting.setdefault(run_id, set()).add(event_id)
                if len(heap) > _MOST:
                    self.forget()

    def _leave(self, run_id: str, event_id: int) -> None:
        waiting = self._waiting.get(run_id)
        if waiting is not None:
            waiting.discard(event_id)
            if not waiting:
                del self._waiting[run_id]
