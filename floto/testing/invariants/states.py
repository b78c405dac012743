"""Invariants of the state: it is what a second reading of the history gives."""

from __future__ import annotations

from floto.core.decide.decide import decide
from floto.core.errors import HistoryError
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, State
from floto.core.swf.events import WorkflowExecutionTerminated
from floto.testing.invariants.variants import appended
from floto.testing.invariants.violation import broken
from floto.testing.reading.moment import Moment
from floto.testing.reading.oracle import name


def state_is_what_the_history_says(moment: Moment) -> None:
    """Each state has the last event and the start of the history, and the status of each item."""
    state, summary = fold(moment.history), moment.summary
    events = moment.history.events
    if state.last_event_id != len(events):
        broken(f"the last event is {len(events)}, and the state says {state.last_event_id}")
    if events and state.start != events[0].data:
        broken(f"the run began with {events[0].data!r:.200}, and the state says {state.start!r:.200}")
    for key in summary.attempts:
        item = state.items.get(key)
        is_open = item is not None and item.is_open
        if is_open is not summary.in_flight(key) or state.is_completed(key) is not summary.completed(key):
            broken(f"{key[0]} {key[1]!r} is read as {item and item.status}, which the history does not say")
    if EMPTY.last_event_id != 0 or _has_start(EMPTY):
        broken("an empty history is read as a run that has begun")


def _has_start(state: State) -> bool:
    try:
        return state.start is not None
    except HistoryError:
        return False
    except AttributeError:
        return True


def nothing_is_decided_outside_a_run(moment: Moment) -> None:
    """Nothing is decided before a run has begun, and nothing after its end."""
    spec, codec = moment.spec, moment.codec
    before = decide(spec, (), codec=codec)
    if before:
        broken(f"before the run has begun, {name(before[0])} is decided")
    if moment.summary.began is None or moment.summary.closed is not None:
        return
    ended = appended(moment.history, (WorkflowExecutionTerminated(child_policy="TERMINATE"),))
    after = decide(spec, ended, codec=codec)
    if after:
        broken(f"after the run was terminated, {name(after[0])} is decided")
