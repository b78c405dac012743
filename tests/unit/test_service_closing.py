"""The end of a run (scenarios 27-35, 63-64, 69-72, 83-84, and the limit on events)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from floto.core.engine import step_context as turn
from floto.core.errors import ServiceFault, UnknownResource
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    RecordMarker,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.shapes import TaskList, WorkflowType
from tests.unit.test_service_helpers import ACTIVITY, WORKFLOW, StageOf, in_memory, on_both

pytestmark = on_both


@pytest.mark.parametrize(
    ("decision", "closing"),
    [
        (
            CompleteWorkflowExecution(result="r"),
            e.WorkflowExecutionCompleted(decision_task_completed_event_id=4, result="r"),
        ),
        (
            FailWorkflowExecution(reason="r", details="d"),
            e.WorkflowExecutionFailed(decision_task_completed_event_id=4, reason="r", details="d"),
        ),
        (
            CancelWorkflowExecution(details="d"),
            e.WorkflowExecutionCanceled(decision_task_completed_event_id=4, details="d"),
        ),
    ],
)
def test_27_28_29_a_decision_closes_the_run(stage_of: StageOf, decision: Decision, closing: object) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(decision)
    assert stage.events(run)[-1].data == closing
    assert stage.idle()
    assert stage.world.next_deadline() is None


@pytest.mark.parametrize(
    "decision",
    [
        CompleteWorkflowExecution(),
        CancelWorkflowExecution(),
        FailWorkflowExecution(),
        ContinueAsNewWorkflowExecution(),
    ],
)
def test_30_to_33_news_stand_in_the_way_of_a_close(stage_of: StageOf, decision: Decision) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a"))
    work = stage.work()
    stage.signal()
    task = stage.task()
    stage.complete(work)
    stage.respond(task, RecordMarker(marker_name="kept"), decision)
    failed = f"{type(decision).__name__}Failed"
    assert stage.names(run, 6) == f"WorkflowExecutionSignaled DTS DTSt ATC DTS DTC MarkerRecorded {failed}"
    assert stage.events(run)[-1].data.cause == "UNHANDLED_DECISION"
    assert stage.task().previous_started_event_id == task.started_event_id


def test_34_open_work_does_not_stand_in_the_way(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(
        ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a"),
        StartTimer(timer_id="t", start_to_fire_timeout="1"),
        StartChildWorkflowExecution(workflow_type=WORKFLOW, workflow_id="child", task_list=TaskList("later")),
    )
    work = stage.work()
    stage.decide(CompleteWorkflowExecution())
    assert stage.names(run).endswith("DTC WorkflowExecutionCompleted")
    length = len(stage.events(run))
    with pytest.raises(UnknownResource, match="Unknown execution: "):
        stage.complete(work)
    stage.wait(10)
    assert len(stage.events(run)) == length
    assert stage.task("later").execution.workflow_id == "child"


def test_35_a_closed_run_takes_nothing(stage_of: StageOf) -> None:
    stage = stage_of()
    stage.start()
    stage.decide(CompleteWorkflowExecution())
    calls: list[Callable[[], None]] = [
        stage.signal,
        lambda: stage.world.request_cancel("wf", stage.now),
        lambda: stage.world.terminate("wf", None, None, stage.now),
    ]
    for call in calls:
        with pytest.raises(UnknownResource, match="Unknown execution, workflowId = wf"):
            call()


def test_63_70_a_run_id_must_be_that_of_the_open_run(stage_of: StageOf) -> None:
    stage = stage_of()
    closed = stage.start()
    stage.decide(CompleteWorkflowExecution())
    run = stage.start()
    expected = rf"Unknown execution: WorkflowExecution=\[workflowId=wf, runId={closed.run_id}\]"
    with pytest.raises(UnknownResource, match=expected):
        stage.world.signal("wf", "s", None, stage.now, run_id=closed.run_id)
    with pytest.raises(UnknownResource, match=expected):
        stage.world.request_cancel("wf", stage.now, run_id=closed.run_id)
    stage.world.signal("wf", "s", "in", stage.now, run_id=run.run_id)
    assert stage.last(run, e.WorkflowExecutionSignaled) == e.WorkflowExecutionSignaled(
        signal_name="s", input="in", external_initiated_event_id=0
    )


def test_64_a_cancel_request_forces_nothing(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide()
    stage.world.request_cancel("wf", stage.now)
    assert stage.names(run, 4) == "WorkflowExecutionCancelRequested DTS"
    assert stage.last(run, e.WorkflowExecutionCancelRequested) == e.WorkflowExecutionCancelRequested(
        external_initiated_event_id=0
    )
    stage.decide(CompleteWorkflowExecution())
    assert stage.names(run).endswith("WorkflowExecutionCompleted")


def test_69_termination_is_one_event_and_ends_both_tokens(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a"))
    work = stage.work()
    stage.signal()
    task = stage.task()
    length = len(stage.events(run))
    stage.world.terminate("wf", "why", "how", stage.now)
    assert [event.data for event in stage.events(run, length)] == [
        e.WorkflowExecutionTerminated(
            child_policy="TERMINATE", reason="why", details="how", cause="OPERATOR_INITIATED"
        )
    ]
    with pytest.raises(UnknownResource):
        stage.complete(work)
    with pytest.raises(UnknownResource):
        stage.respond(task)


def test_71_a_run_times_out_and_nothing_follows(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(
        ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a", schedule_to_start_timeout="3600"),
        StartTimer(timer_id="t", start_to_fire_timeout="4000"),
    )
    stage.wait(5000)
    assert stage.names(run, 6) == "WorkflowExecutionTimedOut"
    assert stage.events(run)[-1].data == e.WorkflowExecutionTimedOut(
        timeout_type="START_TO_CLOSE", child_policy="TERMINATE"
    )
    assert stage.events(run)[-1].at == stage.now


def test_72_deadlines_fire_in_their_order(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(
        StartTimer(timer_id="late", start_to_fire_timeout="20"),
        StartTimer(timer_id="early", start_to_fire_timeout="10"),
        ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a", schedule_to_start_timeout="15"),
        StartTimer(timer_id="never", start_to_fire_timeout="3601"),
    )
    stage.wait(10_000)
    assert stage.names(run, 8) == "TimerFired DTS ATTO TimerFired WorkflowExecutionTimedOut"
    assert stage.events(run)[8].data.timer_id == "early"


def test_80_continue_as_new(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start(input="1", tags=("t",))
    stage.decide(
        StartChildWorkflowExecution(workflow_type=WORKFLOW, workflow_id="wf"),
        ContinueAsNewWorkflowExecution(input="2"),
    )
    closing = stage.events(run)[-1].data
    assert type(closing) is e.WorkflowExecutionContinuedAsNew
    with pytest.raises(ServiceFault, match="WorkflowExecutionAlreadyStartedFault"):
        stage.start()
    task = stage.task()
    assert task.execution.run_id == closing.new_execution_run_id
    started = task.events[0].data
    assert (started.continued_execution_run_id, started.input, started.tag_list) == (run.run_id, "2", None)
    assert started.parent_initiated_event_id == 0


def test_81_continue_as_new_without_a_default_wakes_the_decider(stage_of: StageOf) -> None:
    stage = stage_of()
    bare = WorkflowType("bare", "1")
    stage.world.register_workflow_type(bare, task_list="decide", child_policy="ABANDON")
    run = stage.start(workflow_type=bare, execution_timeout="60", decision_timeout="60")
    stage.decide(ContinueAsNewWorkflowExecution())
    assert stage.names(run, 3) == "DTC ContinueAsNewWorkflowExecutionFailed DTS"
    assert stage.events(run)[4].data.cause == "DEFAULT_EXECUTION_START_TO_CLOSE_TIMEOUT_UNDEFINED"
    stage.decide(ContinueAsNewWorkflowExecution(workflow_type_version="2"))
    assert stage.last(run, e.ContinueAsNewWorkflowExecutionFailed).cause == "WORKFLOW_TYPE_DOES_NOT_EXIST"


def test_83_what_a_start_needs(stage_of: StageOf) -> None:
    stage = stage_of()
    with pytest.raises(UnknownResource, match=r"Unknown type: WorkflowType=\[name=no, version=1\]"):
        stage.start(workflow_type=WorkflowType("no", "1"))
    bare = WorkflowType("bare", "1")
    stage.world.register_workflow_type(bare)
    given: dict[str, str] = {}
    for field, message in [
        ("execution_timeout", "executionStartToCloseTimeout"),
        ("task_list", "taskList"),
        ("decision_timeout", "taskStartToCloseTimeout"),
        ("child_policy", "childPolicy"),
    ]:
        with pytest.raises(ServiceFault, match=f"DefaultUndefinedFault: {message}"):
            stage.start(workflow_type=bare, **given)
        given[field] = "ABANDON" if field == "child_policy" else "60"
    stage.start(workflow_type=bare, **given)
    with pytest.raises(ServiceFault, match="WorkflowExecutionAlreadyStartedFault"):
        stage.start(workflow_type=bare, **given)


def test_84_a_closed_run_leaves_its_workflow_id(stage_of: StageOf) -> None:
    stage = stage_of()
    first = stage.start()
    stage.decide(CompleteWorkflowExecution())
    assert stage.start().run_id != first.run_id


def test_a_run_ends_at_the_limit_of_events(stage_of: StageOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "MAX_EVENTS", 10)
    stage = stage_of()
    run = stage.start()
    stage.decide(*[RecordMarker(marker_name=str(n)) for n in range(20)])
    assert stage.names(run, 4) == " ".join(["MarkerRecorded"] * 6 + ["WorkflowExecutionTerminated"])
    assert stage.events(run)[-1].data.cause == "EVENT_LIMIT_EXCEEDED"


def test_a_full_run_asks_its_decider_no_more(stage_of: StageOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "MAX_EVENTS", 5)
    stage = stage_of()
    run = stage.start()
    stage.decide()
    stage.signal()
    assert stage.names(run, 4) == "WorkflowExecutionSignaled WorkflowExecutionTerminated"


def test_a_poll_that_fills_a_run_takes_the_next_task(
    stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of()
    full, other = stage.start("full"), stage.start("other")
    stage.signal(workflow_id="full")
    monkeypatch.setattr(turn, "MAX_EVENTS", 4)
    assert stage.task().execution == other
    assert stage.names(full).endswith("DTSt WorkflowExecutionTerminated")


def test_ids_may_hold_a_colon_but_no_slash(stage_of: StageOf) -> None:
    stage = stage_of()
    stage.start("a:b")
    for wrong in ("a/b", "a|b", "arn", "", "x" * 257, "a\nb"):
        with pytest.raises(ServiceFault, match="ValidationException"):
            stage.start(wrong)


def test_the_helpers_make_fresh_stages(stage_of: StageOf) -> None:
    assert stage_of().start() == in_memory().start()
