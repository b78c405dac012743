"""The runs a process has seen lately, so that a step costs what it changes and not the whole run."""

from __future__ import annotations

from collections import OrderedDict

from attrs import field, frozen

from floto.core.events import Event
from floto.core.service.run import Run

_MOST_EVENTS = 100_000
#: What a run costs beside its events, counted in events.
_OVERHEAD = 20


@frozen
class Entry:
    """An open run as it was at a revision, with its events."""

    number: int
    revision: int
    run: Run
    #: Grows with the entry that takes this one's place, while neither is in the cache.
    events: list[Event] = field(factory=list)


class Cache:
    """Entries by run id; those not used for longest go when there are too many events."""

    def __init__(self, most_events: int = _MOST_EVENTS) -> None:
        self._entries: OrderedDict[str, tuple[Entry, int]] = OrderedDict()
        self._most = most_events
        self._size = 0

    def get(self, run_id: str) -> Entry | None:
        """What is known of a run; whether it is the latest is for the caller to see."""
        found = self._entries.get(run_id)
        if found is None:
            return None
        self._entries.move_to_end(run_id)
        return found[0]

    def put(self, run_id: str, entry: Entry) -> None:
        """Keep an entry in place of the one before."""
        self.drop(run_id)
        weight = len(entry.events) + _OVERHEAD
        self._entries[run_id] = (entry, weight)
        self._size += weight
        while self._size > self._most and len(self._entries) > 1:
            self.drop(next(iter(self._entries)))

    def drop(self, run_id: str) -> None:
        """Forget a run."""
        found = self._entries.pop(run_id, None)
        if found is not None:
            self._size -= found[1]
