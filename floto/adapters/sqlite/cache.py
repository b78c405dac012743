"""A cache of recently used open runs, so that the cost of a step depends on its changes, not on its run.

The cache is bounded by the estimated memory of its runs in bytes. The estimate uses the length of the JSON of
each event, which is known when an event is read or written; measuring Python objects would cost more than
most steps. The estimate is rather too high than too low.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any

from attrs import field, frozen

from floto.core.engine.run import EngineRun
from floto.core.swf.events import Event

#: Maximum bytes of all runs in a cache; the run that was used last stays even if it alone is larger.
_MOST_BYTES = 64 * 2**20
#: Bytes of an event and of its part of the run's state, without the event's strings.
_EVENT_BYTES = 640
#: Bytes of a run without its events and its execution context.
_RUN_BYTES = 4096
#: Bytes of a heartbeat with details of maximum length.
_HEARTBEAT_BYTES = 2560


def weight(row: tuple[Any, ...]) -> int:
    """Return the estimated bytes of an event in memory.

    Python stores a string with a character beyond Latin-1 in two bytes per character, and one with a
    character beyond the basic plane, which JSON escapes as a surrogate pair, in four.

    Args:
        row: A row of an event, whose last column is the attributes as JSON in ASCII.
    """
    text: str = row[-1]
    width = 1 if "\\u" not in text else 4 if "\\ud" in text else 2
    return _EVENT_BYTES + width * len(text)


@frozen
class CachedRun:
    """An open run at a revision, with its events."""

    number: int
    revision: int
    run: EngineRun
    #: Shared with the entry that replaces this one; extended only while neither is in the cache.
    events: list[Event] = field(factory=list)
    #: Estimated bytes of the events.
    size: int = 0

    def weight(self) -> int:
        """Return the estimated bytes of the run."""
        beats = _HEARTBEAT_BYTES * len(self.run.heartbeats)
        return _RUN_BYTES + self.size + beats + sys.getsizeof(self.run.execution_context)


class Cache:
    """Open runs by run id; the least recently used are dropped when they exceed ``most_bytes``."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._entries: OrderedDict[str, tuple[CachedRun, int]] = OrderedDict()
        self._most = most_bytes
        self._size = 0

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self._entries)

    def get(self, run_id: str) -> CachedRun | None:
        """Return the entry of a run, or None; the caller must check whether its revision is current."""
        found = self._entries.get(run_id)
        if found is None:
            return None
        self._entries.move_to_end(run_id)
        return found[0]

    def put(self, run_id: str, entry: CachedRun) -> None:
        """Add an entry, replacing the previous one of the run."""
        self.drop(run_id)
        weight = entry.weight()
        self._entries[run_id] = (entry, weight)
        self._size += weight
        while self._size > self._most and len(self._entries) > 1:
            self.drop(next(iter(self._entries)))

    def drop(self, run_id: str) -> None:
        """Remove a run."""
        found = self._entries.pop(run_id, None)
        if found is not None:
            self._size -= found[1]
