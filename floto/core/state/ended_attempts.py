"""The attempts at activities that have ended since the last decision about a run.

A decision task brings the events since the last one that got a response, whichever decider got it. So each
event is new in one responded decision task of its run, also if deciders and workers crash in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from attrs import frozen

from floto.core.state.failures import failure_of
from floto.core.state.state import Item, Kind, State, Status
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.shapes import ActivityType

_ENDS = (e.ActivityTaskCompleted, e.ActivityTaskFailed, e.ActivityTaskTimedOut, e.ActivityTaskCanceled)


@frozen
class EndedAttempt:
    """An attempt at an activity: its outcome, and how long it waited and ran."""

    activity_type: ActivityType
    status: Status
    #: Time from its schedule until a worker claimed it, or until it ended if none did.
    waited: timedelta
    #: Time from the claim to the end; None if no worker claimed it.
    ran: timedelta | None


def ended_attempts(events: Sequence[Event], after: int, state: State) -> Iterator[EndedAttempt]:
    """Yield the attempts at activities that have ended by the latest events of a run.

    Args:
        events: The latest events of the run, without a gap, at least all after ``after``.
        after: The id of the last event that is not new.
        state: The state of the run after these events, and before it has scheduled further attempts.
    """
    new = [event for event in events_after(events, after) if isinstance(event.data, _ENDS)]
    is_known = all(event.data.scheduled_event_id >= events[0].id for event in new)
    # Only if it is needed, since it takes the longer the more tasks the run has.
    items = {} if is_known else _by_opening(state)
    for ended in new:
        item = items.get(ended.data.scheduled_event_id)
        scheduled = _event(ended.data.scheduled_event_id, events) or (item and item.opened)
        started = _event(ended.data.started_event_id, events) or (item and item.started)
        if not scheduled:
            continue
        yield EndedAttempt(
            scheduled.data.activity_type,
            Status.COMPLETED if type(ended.data) is e.ActivityTaskCompleted else failure_of(ended).status,
            (started or ended).at - scheduled.at,
            ended.at - started.at if started else None,
        )


def events_after(events: Sequence[Event], event_id: int) -> Sequence[Event]:
    """Return those of the latest events of a run whose ids are greater."""
    return events[max(event_id + 1 - events[0].id, 0) :] if events else ()


def _event(event_id: int, events: Sequence[Event]) -> Event | None:
    """Return one of these events; None if it is before them, or 0."""
    place = event_id - events[0].id
    return events[place] if place >= 0 else None


def _by_opening(state: State) -> Mapping[int, Item]:
    """Return the activities of a run by the id of the event that scheduled their latest attempt."""
    activities = (item for item in state.items.values() if item.key[0] is Kind.ACTIVITY)
    return {item.opened.id: item for item in activities if item.opened is not None}
