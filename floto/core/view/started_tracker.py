"""The status of everything that a run has started, after every event, without its spec."""

from __future__ import annotations

from typing import Any

from floto.core.replay.task_conditions import is_over, started_conditions, started_name
from floto.core.replay.task_status import FAILURES, STARTED_KINDS, TaskStatus, started_status
from floto.core.state.failures import failure_of
from floto.core.state.fold import trace
from floto.core.state.state import Item, Key, State
from floto.core.swf.events import Event
from floto.core.swf.reserved_names import RESERVED_PREFIX
from floto.core.view.tracker import RetryTimers
from floto.core.view.tracks import NO_OUTCOME, NO_REASON, Board, TaskEnd, TaskTrack, Why


class StartedTracker:
    """Follows a run event by event, as far as its history alone says what happens.

    Args:
        state: The state of the run before its first event.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.board = Board()
        self._timers = RetryTimers()
        #: The keys of each id, the first one first; other deciders than floto use one id for several kinds.
        self._keys: dict[str, list[Key]] = {}

    def observe(self, event: Event) -> None:
        """Follow the next event. Raises ``HistoryError``."""
        self.state, changed = trace((event,), self.state)
        retried = self._timers.update(self.state, changed)
        found = dict.fromkeys(sorted(key for key in changed if key[0] in STARTED_KINDS))
        for key in found:
            if key not in self._keys.setdefault(key[1], []):
                self._keys[key[1]].append(key)
        found |= dict.fromkeys(key for id_ in retried for key in self._keys.get(id_, ()))
        found |= {self._timers.found[id_].key: None for _, id_ in [*found] if id_ in self._timers.found}
        if self.state.closed is event:
            found |= {
                track.key: None for track in self.board.tasks.values() if track.statuses.last is not None
            }
        for key in found:
            self._examine(event.id, key)
            name = self._name(key)
            if event.id > 1 and self.state.closed is None and name in self.board.tasks:
                self.board.subjects.setdefault(event.id, name)

    def _name(self, key: Key) -> str:
        return started_name(key, self._keys[key[1]][0])

    def _examine(self, event_id: int, key: Key) -> None:
        item, name = self.state.items[key], self._name(key)
        timer = self._timers.found.get(key[1])
        is_hidden = key[1].startswith(RESERVED_PREFIX) and self._is_retry(key)
        track = self.board.tasks.get(name)
        if is_hidden or is_over(item, self.state):
            if track is not None:
                self.board.set(event_id, track, None, NO_REASON, NO_OUTCOME)
            return
        if track is None:
            track = TaskTrack(name, key, None, type_name=_type_name(item))
        status = started_status(item, self.state, is_retrying=timer is not None)
        own = started_conditions(item, status, self.state, timer)
        outcome = NO_OUTCOME
        if status in FAILURES:
            outcome = TaskEnd(message=failure_of(item.failures[-1]).message)
        elif status is TaskStatus.DONE:
            outcome = TaskEnd(item=item)
        self.board.set(event_id, track, status, Why(own) if own else NO_REASON, outcome)

    def _is_retry(self, key: Key) -> bool:
        """Return True for the open retry timer of something that the run has started."""
        return any(self._timers.found[id_].key == key for id_ in self._timers.found if id_ in self._keys)


def _type_name(item: Item) -> str:
    data: Any = item.opened.data if item.opened else None
    kind = getattr(data, "activity_type", None) or getattr(data, "workflow_type", None) or data
    return getattr(kind, "name", "")
