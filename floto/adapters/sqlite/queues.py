"""An in-memory mirror of the task queues that are short; SQLite has all of them."""

from __future__ import annotations

import heapq
from itertools import count

from floto.core.engine.stores.changes import Changes
from floto.core.engine.stores.records import Place
from floto.core.engine.stores.store import Ready

#: Maximum tasks of a mirrored queue; beyond that, SQLite is queried.
_MOST = 10_000


class Queues:
    """An in-memory mirror of the task queues that were once empty, with the tasks that were added since then.

    It is valid until another process commits to the database, and is cleared then.
    """

    def __init__(self) -> None:
        self._heaps: dict[Place, list[tuple[int, int, str, int]]] = {}
        #: Ids of the events that scheduled the claimable tasks, by run.
        self._waiting: dict[str, set[int]] = {}
        self._arrivals = count()

    def forget(self) -> None:
        """Clear the mirror."""
        self._heaps.clear()
        self._waiting.clear()

    def begin(self, place: Place) -> None:
        """Begin to mirror a task queue, which is empty now."""
        self._heaps[place] = []

    def knows(self, place: Place) -> bool:
        """Return True if a task queue is mirrored, so that ``first`` may be called."""
        return place in self._heaps

    def first(self, place: Place) -> Ready | None:
        """Return the next task of a mirrored queue: highest priority first, then oldest."""
        heap = self._heaps[place]
        while heap:
            _, _, run_id, event_id = heap[0]
            if event_id in self._waiting.get(run_id, ()):
                return Ready(run_id, event_id)
            heapq.heappop(heap)
        return None

    def follow(self, changes: Changes) -> None:
        """Apply the changes of a step."""
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
