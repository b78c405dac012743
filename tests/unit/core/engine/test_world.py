"""One domain of SWF in memory, as simulations use it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from floto.core.engine.stores.store import Ready
from floto.core.engine.tokens import TaskKind
from floto.core.engine.world import World
from floto.core.errors import UnknownResource
from floto.core.swf import decisions as d
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType

T0 = datetime(2026, 1, 1, tzinfo=UTC)
WORKFLOW = WorkflowType("work", "1")
ACTIVITY = ActivityType("act", "1")
START = StartRequest(workflow_id="wf", workflow_type=WORKFLOW)


def prepared(world: World) -> World:
    world.prepare([WORKFLOW], [ACTIVITY])
    return world


def decide(world: World, *decisions: Decision) -> None:
    task = world.poll_decision("floto", T0)
    assert task is not None
    world.respond_decision(task.token, decisions, T0)


def test_world_uses_the_standard_defaults() -> None:
    world = World()
    world.prepare([WORKFLOW], [ACTIVITY])
    world.prepare([WORKFLOW], [ACTIVITY])
    run = world.start(START, T0, run_id="mine")
    assert run == WorkflowExecution("wf", "mine")
    [(ready, task)] = world.open_tasks()
    assert ready == Ready("mine", 2)
    assert (task.kind, task.task_list) == (TaskKind.DECISION, "floto")
    [info] = world.executions()
    assert info == world.latest("wf")
    assert (info.execution, info.started_at, info.closed_at) == (run, T0, None)
    assert world.latest("other") is None
    assert world.next_deadline() == T0 + timedelta(days=365)
    assert world.history(run).execution == run
    with pytest.raises(UnknownResource, match="Unknown execution: "):
        world.history(WorkflowExecution("wf", "yours"))
    assert world.poll_decision("floto", T0) is not None
    assert world.open_tasks() == []


def test_activity_that_times_out_when_it_is_claimed_is_not_claimed() -> None:
    world = prepared(World())
    run = world.start(START, T0)
    hasty = d.ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a", schedule_to_start_timeout="1")
    decide(world, hasty)
    assert world.is_claimable(run, 5)
    assert world.claim_activity(run, 5, T0 + timedelta(seconds=1)) is None
    assert "ActivityTaskTimedOut" in [type(event.data).__name__ for event in world.history(run)]


def test_equal_worlds_give_equal_run_ids() -> None:
    assert prepared(World()).start(START, T0) == prepared(World()).start(START, T0)


def test_a_closed_run_leaves_no_deadline_and_no_task() -> None:
    world = prepared(World())
    world.start(START, T0)
    decide(
        world,
        d.StartTimer(timer_id="t", start_to_fire_timeout="9"),
        d.ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a"),
        d.CompleteWorkflowExecution(),
    )
    assert world.next_deadline() is None
    assert world.open_tasks() == []


def test_responses_and_signals_are_recorded_in_the_history() -> None:
    world = prepared(World())
    run = world.start(START, T0)
    ids = ("completed", "failed", "canceled")
    decide(world, *[d.ScheduleActivityTask(activity_type=ACTIVITY, activity_id=id) for id in ids])
    completed, failed, canceled = [world.poll_activity("floto", T0, "me") for _ in ids]
    assert completed and failed and canceled  # noqa: PT018 - for the type checker
    assert world.heartbeat(completed.token, "half way", T0) is False
    world.complete_activity(completed.token, "result", T0)
    world.fail_activity(failed.token, "reason", "details", T0)
    world.cancel_activity(canceled.token, "details", T0)
    world.signal("wf", "go", "input", T0, run.run_id)
    world.request_cancel("wf", T0, run.run_id)
    world.terminate("wf", "reason", "details", T0, "ABANDON")
    answers = (
        {"scheduled_event_id": 5, "started_event_id": 8},
        {"scheduled_event_id": 6, "started_event_id": 9},
    )
    decision_task = e.DecisionTaskScheduled(
        task_list=TaskList("floto"), start_to_close_timeout="60", schedule_to_start_timeout="NONE"
    )
    assert [event.data for event in world.events(run, 10)] == [
        e.ActivityTaskCompleted(**answers[0], result="result"),
        decision_task,
        e.ActivityTaskFailed(**answers[1], reason="reason", details="details"),
        e.ActivityTaskCanceled(scheduled_event_id=7, started_event_id=10, details="details"),
        e.WorkflowExecutionSignaled(signal_name="go", input="input", external_initiated_event_id=0),
        e.WorkflowExecutionCancelRequested(external_initiated_event_id=0),
        e.WorkflowExecutionTerminated(
            child_policy="ABANDON", reason="reason", details="details", cause="OPERATOR_INITIATED"
        ),
    ]


def test_token_of_another_world_is_refused() -> None:
    world, other = prepared(World()), prepared(World())
    world.start(START, T0)
    task = world.poll_decision("floto", T0)
    assert task is not None
    with pytest.raises(UnknownResource, match="Unknown execution: "):
        other.respond_decision(task.token, [], T0)


REFUSALS: list[tuple[Decision, type, str]] = [
    (
        d.ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a"),
        e.ScheduleActivityTaskFailed,
        "ACTIVITY_CREATION_RATE_EXCEEDED",
    ),
    (
        d.StartTimer(timer_id="t", start_to_fire_timeout="1"),
        e.StartTimerFailed,
        "TIMER_CREATION_RATE_EXCEEDED",
    ),
    (
        d.StartChildWorkflowExecution(workflow_type=WORKFLOW, workflow_id="child"),
        e.StartChildWorkflowExecutionFailed,
        "CHILD_CREATION_RATE_EXCEEDED",
    ),
    (
        d.SignalExternalWorkflowExecution(workflow_id="wf", signal_name="s"),
        e.SignalExternalWorkflowExecutionFailed,
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED",
    ),
    (
        d.RequestCancelExternalWorkflowExecution(workflow_id="wf"),
        e.RequestCancelExternalWorkflowExecutionFailed,
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED",
    ),
    (d.RecordMarker(marker_name="m"), e.RecordMarkerFailed, "OPERATION_NOT_PERMITTED"),
    (d.CompleteWorkflowExecution(), e.CompleteWorkflowExecutionFailed, "OPERATION_NOT_PERMITTED"),
]


@pytest.mark.parametrize(("decision", "event", "cause"), REFUSALS)
def test_injected_refusal_records_its_event_and_cause(decision: Decision, event: type, cause: str) -> None:
    world = prepared(World(refuse=lambda asked: cause if asked == decision else None))
    run = world.start(START, T0)
    decide(world, decision)
    failed, scheduled = world.events(run)[-2:]
    assert (type(failed.data), failed.data.cause) == (event, cause)
    assert type(scheduled.data) is e.DecisionTaskScheduled
