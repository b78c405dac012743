"""Every attempt that ends is counted at one decision, with the times that the whole history shows."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis.strategies import integers

from floto import History, Status, fold
from floto.core.replay.decision_tasks import RecordedOutcome, decision_tasks
from floto.core.state.ended_attempts import EndedAttempt, ended_attempts
from floto.core.state.failures import failure_of
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.testing import Simulation
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS, TROUBLE

ENDS = (e.ActivityTaskCompleted, e.ActivityTaskFailed, e.ActivityTaskTimedOut, e.ActivityTaskCanceled)


def in_history(history: History, end: int) -> Counter[EndedAttempt]:
    """The attempts that ended until an event, by a reading of the whole history."""
    found: list[EndedAttempt] = []
    for event in history.events[:end]:
        data: Any = event.data
        if not isinstance(data, ENDS):
            continue
        scheduled: Event[Any] = history.events[data.scheduled_event_id - 1]
        started = history.events[data.started_event_id - 1] if data.started_event_id else None
        is_completed = isinstance(data, e.ActivityTaskCompleted)
        found.append(
            EndedAttempt(
                scheduled.data.activity_type,
                Status.COMPLETED if is_completed else failure_of(event).status,
                event.at - scheduled.at if started is None else started.at - scheduled.at,
                None if started is None else event.at - started.at,
            )
        )
    return Counter(found)


@SETTINGS
@given(runs(specs(), faults=TROUBLE), integers(0, 40))
def test_each_attempt_that_ended_is_new_in_one_decision_task_that_got_a_response(
    run: Simulation, more: int
) -> None:
    for history in run.histories:
        check(history, more)


def check(history: History, more: int) -> None:
    found, last = Counter[EndedAttempt](), 0
    for task in decision_tasks(history.events):
        if task.outcome is not RecordedOutcome.ANSWERED:
            continue
        shown = history.events[: task.started]
        # A poll returns at least the events since the start of the last decision task with a response.
        latest = shown[max(last - 1 - more, 0) :]
        found.update(ended_attempts(latest, last, fold(shown)))
        last = task.started
    assert found == in_history(history, last)
