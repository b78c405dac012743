"""Removal of events from a history, such that the rest could have happened."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

from attrs import evolve, frozen

from floto.core.decide.next_step import task_of_timer
from floto.core.replay.decision_tasks import DecisionTaskRecord, RecordedOutcome, decision_tasks
from floto.core.state.fold import trace
from floto.core.state.state import EMPTY, Key, Kind
from floto.core.swf.events import Event
from floto.core.swf.events.references import references
from floto.core.swf.history import History

#: The field in which an event that a decision left refers to the response.
_ANSWERED = "decision_task_completed_event_id"
#: Fields that name the item of an event which may have come too late to change it.
_NAMED_BY: Mapping[str, Kind] = {"activity_id": Kind.ACTIVITY, "timer_id": Kind.TIMER}


@frozen
class RemovedTasks:
    """The tasks to remove: their ids, and the keys of their items."""

    ids: frozenset[str]
    keys: frozenset[Key]

    def has(self, key: Key) -> bool:
        """Return True if the key is a removed task's, or that of a timer of its waits."""
        kind, name = key
        return key in self.keys or (kind is Kind.TIMER and task_of_timer(name) in self.ids)


def without(history: History, gone: Collection[int]) -> History:
    """Return a history without these events and those that refer to them, with new event ids."""
    # 0 or None refers to no event.
    ids: dict[int | None, int | None] = {0: 0, None: None}
    kept: list[Event] = []
    for event in history:
        old = {name: getattr(event.data, name) for name in references(event.data.__class__)}
        if event.id in gone or any(reference not in ids for reference in old.values()):
            continue
        new = {name: ids[reference] for name, reference in old.items()}
        kept.append(Event(len(kept) + 1, event.at, event.data if new == old else evolve(event.data, **new)))
        ids[event.id] = len(kept)
    return History(kept, history.execution)


def until(history: History, end: int) -> History:
    """Return the first events of a history."""
    return History(history.events[:end], history.execution)


def about(history: History, gone: RemovedTasks) -> set[int]:
    """Return the ids of all events about removed tasks."""
    found = {
        event.id
        for event, touched in zip(history, _touched(history), strict=True)
        if any(map(gone.has, (*touched, *_named(event))))
    }
    children = {getattr(history.events[id_ - 1].data, "workflow_id", None) for id_ in found} - {None}
    asked = {(Kind.EXTERNAL_CANCEL, workflow_id) for workflow_id in children}
    stops = zip(history, _touched(history), strict=True) if asked else ()
    return found | {event.id for event, touched in stops if asked & touched}


def _touched(history: History) -> Iterator[frozenset[Key]]:
    """Yield the keys of the items that each event changed."""
    state = evolve(EMPTY, execution=history.execution)
    for event in history:
        state, touched = trace((event,), state)
        yield touched


def _named(event: Event) -> Iterator[Key]:
    for name, kind in _NAMED_BY.items():
        id_ = getattr(event.data, name, None)
        if id_ is not None:
            yield kind, id_


def own_events(decision_task: DecisionTaskRecord) -> set[int]:
    """Return the ids of a decision task's own events."""
    return {decision_task.scheduled, decision_task.started, decision_task.ended} - {0}


def end_of(decision_task: DecisionTaskRecord) -> int:
    """Return the length of the history that ends with the response to this decision task."""
    return max([decision_task.ended, *(each.event_id for each in decision_task.recorded)])


def with_merged_decision_tasks(history: History) -> History:
    """Merge each decision task before which nothing new happened with the one before it."""
    history = without_idle_decision_tasks(history)
    responded = [each for each in decision_tasks(history.events) if each.outcome is RecordedOutcome.ANSWERED]
    earlier: dict[int, int] = {}
    gone: set[int] = set()
    for before, decision_task in pairwise(responded):
        own = own_events(decision_task)
        if not set(range(end_of(before) + 1, decision_task.ended)) - own:
            earlier[decision_task.ended] = earlier.get(before.ended, before.ended)
            gone |= own
    moved = [
        Event(event.id, event.at, evolve(event.data, **{_ANSWERED: earlier[getattr(event.data, _ANSWERED)]}))
        if getattr(event.data, _ANSWERED, 0) in earlier
        else event
        for event in history
    ]
    return without(History(moved, history.execution), gone) if gone else history


def without_idle_decision_tasks(history: History) -> History:
    """Return a history without the decision tasks that led to no decisions, except the last."""
    idle = [each for each in decision_tasks(history.events)[:-1] if not each.recorded]
    return without(history, {id_ for each in idle for id_ in own_events(each)})
