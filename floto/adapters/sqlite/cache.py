"""The open runs that a process has used lately, so that a step costs what it changes and not the whole run.

Bounded by an estimate of the bytes that the runs take in memory. It is made from the length of the JSON of
each event, which is at hand when an event is read or written; to measure Python objects would cost more than
most steps. The estimate is meant to be too high rather than too low.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from itertools import islice
from typing import Any

from attrs import field, frozen

from floto.core.engine.run import EngineRun
from floto.core.swf.events import Event

#: Bytes of all runs in a cache; the one that was used last is kept even if it alone takes more.
_MOST_BYTES = 64 * 2**20
#: Bytes of an event beside its texts, and of what the state of its run keeps of it.
_EVENT_BYTES = 640
#: Bytes of a run beside its events and its execution context.
_RUN_BYTES = 4096
#: Bytes of a heartbeat with details of the greatest length.
_HEARTBEAT_BYTES = 2560


def weight(row: tuple[Any, ...]) -> int:
    """Return the estimated bytes of the event of a row, whose last column is its attributes as JSON.

    JSON is ASCII here. Python keeps a text with a character beyond Latin-1 in two bytes for each of its
    characters, and one with a character beyond the basic plane, which JSON writes as surrogates, in four.
    """
    text: str = row[-1]
    width = 1 if "\\u" not in text else 4 if "\\ud" in text else 2
    return _EVENT_BYTES + width * len(text)


@frozen
class CachedRun:
    """An open run as it was at a revision, with its events."""

    number: int
    revision: int
    run: EngineRun
    #: Grows with the entry that takes this one's place, while neither is in the cache.
    events: list[Event] = field(factory=list)
    #: Estimated bytes of the events.
    size: int = 0

    def weight(self) -> int:
        """Return the estimated bytes of all of it."""
        beats = _HEARTBEAT_BYTES * len(self.run.heartbeats)
        return _RUN_BYTES + self.size + beats + sys.getsizeof(self.run.execution_context)


class Cache:
    """Entries by run id; those not used for longest are dropped when they take too many bytes."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._entries: OrderedDict[str, tuple[CachedRun, int]] = OrderedDict()
        self._most = most_bytes
        self._size = 0
        #: All run ids; the first ``_doubted`` of them may have been closed by another process.
        self._round: OrderedDict[str, None] = OrderedDict()
        self._doubted = 0

    def __len__(self) -> int:
        """How many runs there are."""
        return len(self._entries)

    def get(self, run_id: str) -> CachedRun | None:
        """What is known of a run; whether it is the latest is for the caller to see."""
        found = self._entries.get(run_id)
        if found is None:
            return None
        self._entries.move_to_end(run_id)
        return found[0]

    def put(self, run_id: str, entry: CachedRun) -> None:
        """Keep an entry in place of the one before."""
        self.drop(run_id)
        weight = entry.weight()
        self._entries[run_id] = (entry, weight)
        self._round[run_id] = None
        self._size += weight
        while self._size > self._most and len(self._entries) > 1:
            self.drop(next(iter(self._entries)))

    def drop(self, run_id: str) -> None:
        """Forget a run."""
        found = self._entries.pop(run_id, None)
        self._round.pop(run_id, None)
        if found is not None:
            self._size -= found[1]

    def doubt(self) -> None:
        """Note that another process may have closed any of the runs."""
        self._doubted = len(self._round)

    def next_doubted(self, most: int) -> list[str]:
        """Return some of the runs that may be closed, each once after every ``doubt``."""
        found = list(islice(self._round, min(most, self._doubted)))
        for run_id in found:
            self._round.move_to_end(run_id)
        self._doubted = max(self._doubted - most, 0)
        return found
