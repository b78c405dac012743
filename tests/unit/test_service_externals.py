"""What runs do to one another: children, signals, cancel requests (scenarios 65-68, 73-79, 82)."""

from __future__ import annotations

from typing import Any

import pytest

from floto.core.engine.decisions import externals
from floto.core.engine.world import World
from floto.core.swf import decisions as d
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision
from floto.core.swf.shapes import TaskList, WorkflowExecution, WorkflowType
from tests.unit.test_service_helpers import ACTIVITY, WORKFLOW, Stage, StageOf, on_both


def child(workflow_id: str = "child", **given: Any) -> d.StartChildWorkflowExecution:
    return d.StartChildWorkflowExecution(
        **{
            "workflow_type": WORKFLOW,
            "workflow_id": workflow_id,
            "task_list": TaskList("children"),
            **given,
        }
    )


def started_child(stage: Stage, run: WorkflowExecution) -> WorkflowExecution:
    execution: WorkflowExecution = stage.last(run, e.ChildWorkflowExecutionStarted).workflow_execution
    return execution


@on_both
def test_65_a_signal_reaches_another_run(stage_of: StageOf) -> None:
    stage = stage_of()
    other = stage.start("other", task_list="elsewhere")
    run = stage.start()
    stage.decide(
        d.SignalExternalWorkflowExecution(workflow_id="other", signal_name="s", input="i", control="c")
    )
    assert stage.names(run, 3) == (
        "DTC SignalExternalWorkflowExecutionInitiated ExternalWorkflowExecutionSignaled DTS"
    )
    assert stage.last(run, e.ExternalWorkflowExecutionSignaled) == e.ExternalWorkflowExecutionSignaled(
        workflow_execution=other, initiated_event_id=5
    )
    assert stage.last(other, e.WorkflowExecutionSignaled) == e.WorkflowExecutionSignaled(
        signal_name="s", input="i", external_workflow_execution=run, external_initiated_event_id=5
    )


@on_both
def test_66_a_signal_to_nobody_fails(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    other = stage.start("other", task_list="elsewhere")
    lost = d.SignalExternalWorkflowExecution(
        workflow_id="other", run_id="no" + other.run_id[2:], signal_name="s", control="c"
    )
    stage.decide(lost)
    assert stage.names(run, 3) == (
        "DTC SignalExternalWorkflowExecutionInitiated SignalExternalWorkflowExecutionFailed DTS"
    )
    failed = stage.last(run, e.SignalExternalWorkflowExecutionFailed)
    assert failed == e.SignalExternalWorkflowExecutionFailed(
        workflow_id="other",
        run_id=lost.run_id,
        cause="UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION",
        initiated_event_id=5,
        decision_task_completed_event_id=4,
        control="c",
    )


@on_both
def test_67_a_cancel_request_reaches_another_run_or_fails(stage_of: StageOf) -> None:
    stage = stage_of()
    other = stage.start("other", task_list="elsewhere")
    run = stage.start()
    stage.decide(
        d.RequestCancelExternalWorkflowExecution(workflow_id="other", run_id=other.run_id),
        d.RequestCancelExternalWorkflowExecution(workflow_id="nobody"),
    )
    initiated = "RequestCancelExternalWorkflowExecutionInitiated"
    assert stage.names(run, 3) == (
        f"DTC {initiated} {initiated} ExternalWorkflowExecutionCancelRequested DTS"
        " RequestCancelExternalWorkflowExecutionFailed"
    )
    assert stage.last(other, e.WorkflowExecutionCancelRequested) == e.WorkflowExecutionCancelRequested(
        external_workflow_execution=run, external_initiated_event_id=5
    )
    assert stage.last(run, e.RequestCancelExternalWorkflowExecutionFailed).initiated_event_id == 6


@on_both
def test_68_a_signal_to_oneself(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(d.SignalExternalWorkflowExecution(workflow_id="wf", signal_name="s"))
    names = stage.names(run, 3).split()
    assert [name for name in names if name != "DTS"] == [
        "DTC",
        "SignalExternalWorkflowExecutionInitiated",
        "WorkflowExecutionSignaled",
        "ExternalWorkflowExecutionSignaled",
    ]
    assert names.count("DTS") == 1


@on_both
def test_73_a_child_starts(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(child(input="i", control="c", tag_list=("t",)))
    assert stage.names(run, 3) == "DTC StartChildWorkflowExecutionInitiated ChildWorkflowExecutionStarted DTS"
    initiated = stage.last(run, e.StartChildWorkflowExecutionInitiated)
    assert (initiated.child_policy, initiated.execution_start_to_close_timeout) == ("TERMINATE", "3600")
    first = stage.events(started_child(stage, run))[0].data
    assert (first.parent_workflow_execution, first.parent_initiated_event_id) == (run, 5)
    assert (first.input, first.tag_list) == ("i", ("t",))


@on_both
@pytest.mark.parametrize(
    ("decision", "told"),
    [
        (
            d.CompleteWorkflowExecution(result="r"),
            lambda ref: e.ChildWorkflowExecutionCompleted(**ref, result="r"),
        ),
        (
            d.FailWorkflowExecution(reason="r", details="d"),
            lambda ref: e.ChildWorkflowExecutionFailed(**ref, reason="r", details="d"),
        ),
        (
            d.CancelWorkflowExecution(details="d"),
            lambda ref: e.ChildWorkflowExecutionCanceled(**ref, details="d"),
        ),
    ],
)
def test_74_a_parent_hears_of_the_end(stage_of: StageOf, decision: Decision, told: Any) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(child())
    stage.decide()
    stage.respond(stage.task("children"), decision)
    reference = {
        "workflow_execution": started_child(stage, run),
        "workflow_type": WORKFLOW,
        "initiated_event_id": 5,
        "started_event_id": 6,
    }
    assert [event.data for event in stage.events(run, 9)][:1] == [told(reference)]
    assert stage.names(run, 10) == "DTS"


@on_both
def test_74_a_parent_hears_of_a_time_out_and_of_a_termination(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(child("slow", execution_start_to_close_timeout="10"), child("shot"))
    stage.world.terminate("shot", None, None, stage.now)
    stage.wait(10)
    assert stage.last(run, e.ChildWorkflowExecutionTimedOut).timeout_type == "START_TO_CLOSE"
    assert stage.last(run, e.ChildWorkflowExecutionTerminated).initiated_event_id == 6


@on_both
def test_75_a_child_is_refused_before_it_is_initiated(
    stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of()
    bare = WorkflowType("bare", "1")
    stage.world.register_workflow_type(bare)
    run = stage.start()
    stage.decide(child(workflow_type=WorkflowType("no", "1"), control="c"), child(workflow_type=bare))
    failed = "StartChildWorkflowExecutionFailed"
    assert stage.names(run, 3) == f"DTC {failed} {failed} DTS"
    assert stage.events(run)[4].data == e.StartChildWorkflowExecutionFailed(
        workflow_type=WorkflowType("no", "1"),
        cause="WORKFLOW_TYPE_DOES_NOT_EXIST",
        workflow_id="child",
        initiated_event_id=0,
        decision_task_completed_event_id=4,
        control="c",
    )
    assert stage.events(run)[5].data.cause == "DEFAULT_EXECUTION_START_TO_CLOSE_TIMEOUT_UNDEFINED"
    monkeypatch.setattr(externals, "OPEN_LIMIT", 1)
    stage.decide(child("a"), child("b"))
    assert stage.last(run, e.StartChildWorkflowExecutionFailed).cause == "OPEN_CHILDREN_LIMIT_EXCEEDED"


@on_both
def test_76_a_child_whose_workflow_id_is_taken(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(child("wf"))
    assert stage.names(run, 3) == (
        "DTC StartChildWorkflowExecutionInitiated StartChildWorkflowExecutionFailed DTS"
    )
    failed = stage.last(run, e.StartChildWorkflowExecutionFailed)
    assert (failed.cause, failed.initiated_event_id) == ("WORKFLOW_ALREADY_RUNNING", 5)


@on_both
@pytest.mark.parametrize(
    ("policy", "end"),
    [
        ("TERMINATE", "WorkflowExecutionTerminated"),
        ("REQUEST_CANCEL", "WorkflowExecutionCancelRequested"),
        ("ABANDON", ""),
    ],
)
@pytest.mark.parametrize("how", ["terminated", "timed out"])
def test_77_78_child_policies(stage_of: StageOf, policy: str, end: str, how: str) -> None:
    stage = stage_of()
    run = stage.start(child_policy=policy, execution_timeout="60")
    stage.decide(child(execution_start_to_close_timeout="3600", child_policy="ABANDON"))
    execution = started_child(stage, run)
    if how == "terminated":
        stage.world.terminate("wf", None, None, stage.now)
    else:
        stage.wait(60)
    assert stage.names(run).endswith("WorkflowExecutionTerminated" if how == "terminated" else "TimedOut")
    assert stage.names(execution, 2) == end
    if end:
        assert stage.events(execution)[-1].data.cause == "CHILD_POLICY_APPLIED"


@on_both
def test_77_a_terminated_child_terminates_its_own(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(child())
    stage.respond(stage.task("children"), child("grandchild"))
    middle = started_child(stage, run)
    stage.world.terminate("wf", None, None, stage.now)
    assert stage.names(started_child(stage, middle)).endswith("WorkflowExecutionTerminated")


@on_both
def test_78_a_parent_that_completes_leaves_its_children(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(child())
    stage.decide(d.CompleteWorkflowExecution())
    length = len(stage.events(run))
    stage.respond(stage.task("children"), d.CompleteWorkflowExecution())
    assert len(stage.events(run)) == length


@on_both
def test_79_a_termination_may_name_its_own_policy(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start(child_policy="TERMINATE")
    stage.decide(child())
    stage.world.terminate("wf", None, None, stage.now, child_policy="ABANDON")
    assert stage.last(run, e.WorkflowExecutionTerminated).child_policy == "ABANDON"
    assert stage.names(started_child(stage, run)) == "WES DTS"


@on_both
def test_82_a_child_continues_as_new(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(child())
    length = len(stage.events(run))
    first = started_child(stage, run)
    stage.respond(stage.task("children"), d.ContinueAsNewWorkflowExecution(task_list=TaskList("children")))
    assert len(stage.events(run)) == length
    task = stage.task("children")
    started = task.events[0].data
    assert (started.parent_workflow_execution, started.parent_initiated_event_id) == (run, 5)
    stage.respond(task, d.CompleteWorkflowExecution())
    closed = stage.last(run, e.ChildWorkflowExecutionCompleted)
    assert (closed.initiated_event_id, closed.started_event_id) == (5, 6)
    assert closed.workflow_execution == task.execution != first


@on_both
def test_82_a_policy_reaches_a_child_that_continued_as_new(stage_of: StageOf) -> None:
    stage = stage_of()
    stage.start()
    stage.decide(child())
    stage.respond(stage.task("children"), d.ContinueAsNewWorkflowExecution(task_list=TaskList("children")))
    task = stage.task("children")
    stage.world.terminate("wf", None, None, stage.now)
    assert stage.names(task.execution).endswith("WorkflowExecutionTerminated")


@on_both
def test_children_that_share_a_task_are_told_apart(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(child("a", control="floto.task:t"), child("b", control="floto.task:t"))
    stage.decide()
    tasks = {task.execution.workflow_id: task for task in (stage.task("children"), stage.task("children"))}
    stage.respond(tasks["b"], d.CompleteWorkflowExecution(result="b"))
    stage.respond(tasks["a"], d.CompleteWorkflowExecution(result="a"))
    ends = [e_.data for e_ in stage.events(run) if type(e_.data) is e.ChildWorkflowExecutionCompleted]
    assert [(end.result, end.initiated_event_id, end.started_event_id) for end in ends] == [
        ("b", 6, 9),
        ("a", 5, 7),
    ]


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
    (child(), e.StartChildWorkflowExecutionFailed, "CHILD_CREATION_RATE_EXCEEDED"),
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
def test_a_world_refuses_what_it_is_asked_to(decision: Decision, event: type, cause: str) -> None:
    stage = Stage(World(refuse=lambda asked: cause if asked == decision else None))
    run = stage.start()
    stage.decide(decision)
    assert stage.last(run, event).cause == cause
    assert stage.names(run).endswith("Failed DTS")
