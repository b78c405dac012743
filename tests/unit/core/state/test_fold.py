"""Histories that cannot have happened, and what a state keeps."""

from __future__ import annotations

import pytest

from floto import History, HistoryError, decide, fold
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.state.state import Kind, Override, Status
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType
from floto.testing.simulation.context import BEGINNING

START = e.WorkflowExecutionStarted(
    child_policy="TERMINATE", task_list=TaskList("decide"), workflow_type=WorkflowType("w", "v")
)
SCHEDULED = e.ActivityTaskScheduled(
    activity_type=ActivityType("a", "v"),
    activity_id="a",
    task_list=TaskList("work"),
    decision_task_completed_event_id=1,
)
TIMER = e.TimerStarted(timer_id="t", start_to_fire_timeout="1", decision_task_completed_event_id=1)
DECIDE = e.DecisionTaskScheduled(task_list=TaskList("decide"))
DECIDING = e.DecisionTaskStarted(scheduled_event_id=2)
DECIDED = e.DecisionTaskCompleted(scheduled_event_id=2, started_event_id=3)
LATE = e.DecisionTaskTimedOut(scheduled_event_id=2, started_event_id=3, timeout_type="START_TO_CLOSE")
COMPLETED = e.WorkflowExecutionCompleted(decision_task_completed_event_id=1)


def test_several_scheduled_decision_tasks_of_moto_fold_in_order() -> None:
    second = e.DecisionTaskStarted(scheduled_event_id=3)
    read = [START, DECIDE, DECIDE, DECIDING]
    assert fold(history(*read)).decision_tasks.scheduled is not None
    done = e.DecisionTaskCompleted(scheduled_event_id=2, started_event_id=4)
    tasks = fold(history(*read, done, second)).decision_tasks
    assert tasks.scheduled is None
    assert tasks.started is not None


def child(control: str | None = None) -> e.StartChildWorkflowExecutionInitiated:
    return e.StartChildWorkflowExecutionInitiated(
        workflow_id="c",
        workflow_type=WorkflowType("c", "v"),
        task_list=TaskList("decide"),
        decision_task_completed_event_id=1,
        child_policy="TERMINATE",
        control=control,
    )


def history(*data: object) -> History:
    return History([Event(number, BEGINNING, each) for number, each in enumerate(data, start=1)])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([TIMER], "event 1: TimerStarted: a history has one start, and it is event 1"),
        ([START, START], "event 2: WorkflowExecutionStarted: a history has one start, and it is event 1"),
        ([START, COMPLETED, COMPLETED], "event 3: comes after event 2, which closed the run"),
        ([START, SCHEDULED, SCHEDULED], "event 3: activity 'a' is already open"),
        (
            [START, e.TimerFired(timer_id="t", started_event_id=7)],
            (
                "event 2: TimerFired.startedEventId is 7, "
                "but event 7 did not start any timer that is still open"
            ),
        ),
        (
            [START, DECIDE, e.DecisionTaskStarted(scheduled_event_id=77)],
            (
                "event 3: DecisionTaskStarted.scheduledEventId is 77, "
                "but event 77 did not start any decision task that is still open"
            ),
        ),
        (
            [START, DECIDE, DECIDING, DECIDED, DECIDED],
            (
                "event 5: DecisionTaskCompleted.startedEventId is 3, "
                "but event 3 did not start any decision task that is still open"
            ),
        ),
        (
            [START, DECIDE, DECIDING, DECIDED, e.DecisionTaskStarted(scheduled_event_id=2)],
            (
                "event 5: DecisionTaskStarted.scheduledEventId is 2, "
                "but event 2 did not start any decision task that is still open"
            ),
        ),
        (
            [START, DECIDE, DECIDING, DECIDED, LATE],
            (
                "event 5: DecisionTaskTimedOut.startedEventId is 3, "
                "but event 3 did not start any decision task that is still open"
            ),
        ),
        (
            [START, TIMER, e.ActivityTaskStarted(scheduled_event_id=2)],
            (
                "event 3: ActivityTaskStarted.scheduledEventId is 2, "
                "but event 2 did not start any activity that is still open"
            ),
        ),
        (
            [START, SCHEDULED, e.ActivityTaskCompleted(scheduled_event_id=2, started_event_id=0)],
            "event 3: ActivityTaskCompleted: activity 'a' is scheduled",
        ),
    ],
)
def test_impossible_history_raises_history_error_naming_the_event(data: list[object], says: str) -> None:
    with pytest.raises(HistoryError) as caught:
        decide(DeciderSpec(), history(*data))
    assert str(caught.value) == says


def test_truncated_history_folds_to_an_open_state() -> None:
    assert decide(DeciderSpec(), History([])) == []
    assert fold(history(START, SCHEDULED)).items[Kind.ACTIVITY, "a"].status is Status.SCHEDULED


def test_refused_cancel_does_not_revoke_a_granted_one() -> None:
    granted = e.ActivityTaskCancelRequested(decision_task_completed_event_id=1, activity_id="a")
    refused = e.RequestCancelActivityTaskFailed(
        decision_task_completed_event_id=1, activity_id="a", cause="OPERATION_NOT_PERMITTED"
    )
    for data, kept in [((refused,), 3), ((granted, refused), 3), ((refused, granted), 4)]:
        cancel = fold(history(START, SCHEDULED, *data)).items[Kind.ACTIVITY, "a"].cancel
        assert cancel is not None
        assert cancel.id == kept


@pytest.mark.parametrize(
    ("timeout", "for_good", "override"),
    [
        (None, "other", None),
        ("5", "decide", Override(TaskList("other"), "5")),
    ],
)
def test_task_list_of_a_response_is_kept_in_the_state(
    timeout: str | None, for_good: str, override: Override | None
) -> None:
    chosen = e.DecisionTaskCompleted(
        scheduled_event_id=2,
        started_event_id=3,
        task_list=TaskList("other"),
        task_list_schedule_to_start_timeout=timeout,
    )
    asked = (
        e.DecisionTaskScheduled(task_list=TaskList("decide")),
        e.DecisionTaskStarted(scheduled_event_id=2),
    )
    state = fold(history(START, *asked, chosen))
    assert (state.task_list, state.override) == (TaskList(for_good), override)
    late = e.DecisionTaskTimedOut(timeout_type="SCHEDULE_TO_START", scheduled_event_id=5, started_event_id=0)
    again = e.DecisionTaskScheduled(task_list=TaskList("other"), schedule_to_start_timeout=timeout)
    state = fold(history(START, *asked, chosen, again, late))
    assert (state.task_list, state.override) == (TaskList(for_good), None)
    assert state.decision_tasks.scheduled is None


def test_an_id_may_be_used_again() -> None:
    fired = e.TimerFired(timer_id="t", started_event_id=2)
    state = fold(history(START, TIMER, fired, TIMER))
    item = state.items[Kind.TIMER, "t"]
    assert item.is_open
    assert item.failures == ()
    assert state.open_count[Kind.TIMER] == 1


def test_failures_of_earlier_attempts_are_kept_until_one_succeeds() -> None:
    refused = e.ScheduleActivityTaskFailed(
        activity_type=ActivityType("a", "v"),
        activity_id="a",
        cause="ACTIVITY_CREATION_RATE_EXCEEDED",
        decision_task_completed_event_id=1,
    )
    state = fold(history(START, refused, SCHEDULED, refused))
    assert [event.id for event in state.items[Kind.ACTIVITY, "a"].failures] == [2]
    assert state.items[Kind.ACTIVITY, "a"].is_open


def test_refused_duplicate_child_does_not_affect_the_open_one() -> None:
    taken = e.StartChildWorkflowExecutionFailed(
        workflow_type=WorkflowType("c", "v"),
        cause="WORKFLOW_ALREADY_RUNNING",
        workflow_id="c",
        initiated_event_id=4,
        decision_task_completed_event_id=1,
    )
    began = e.ChildWorkflowExecutionStarted(
        workflow_execution=WorkflowExecution("c", "r"),
        workflow_type=WorkflowType("c", "v"),
        initiated_event_id=2,
    )
    state = fold(history(START, child(), began, child(), taken))
    assert state.items[Kind.CHILD, "c"].status is Status.STARTED
    assert state.open_count[Kind.CHILD] == 1


def test_child_started_by_floto_is_keyed_by_its_task_id() -> None:
    state = fold(history(START, child("floto.task:report")))
    assert list(state.items) == [(Kind.CHILD, "report")]


def test_signals_are_kept_in_order_of_arrival() -> None:
    signals = [e.WorkflowExecutionSignaled(signal_name="s", input=text) for text in "ab"]
    state = fold(history(START, *signals))
    assert [event.data.input for event in state.signals["s"]] == ["a", "b"]
