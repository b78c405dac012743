"""Decision tasks: when a decider is asked, and what becomes of its answer (scenarios 1-23)."""

from __future__ import annotations

import pytest

from floto.core.errors import ServiceFault, UnknownResource
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CancelTimer,
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    RecordMarker,
    ScheduleActivityTask,
    StartTimer,
)
from floto.core.swf.shapes import TaskList
from tests.unit.test_service_helpers import ACTIVITY, StageOf, on_both

pytestmark = on_both


def test_01_a_run_begins_with_its_start_and_a_decision_task(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start(input="in", tags=("a", "b"))
    first, second = stage.events(run)
    assert stage.names(run) == "WES DTS"
    assert first.at == second.at
    assert first.data == e.WorkflowExecutionStarted(
        workflow_type=first.data.workflow_type,
        task_list=first.data.task_list,
        child_policy="TERMINATE",
        input="in",
        execution_start_to_close_timeout="3600",
        task_start_to_close_timeout="60",
        tag_list=("a", "b"),
        parent_initiated_event_id=0,
    )
    assert second.data.schedule_to_start_timeout == "NONE"
    assert second.data.start_to_close_timeout == "60"
    assert len(run.run_id) == 46


def test_02_a_poll_starts_the_task_and_shows_the_history(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    task = stage.task()
    assert stage.names(run, 2) == "DTSt"
    assert (task.started_event_id, task.previous_started_event_id) == (3, 0)
    assert task.events == tuple(stage.events(run))
    assert task.events[-1].data.scheduled_event_id == 2


def test_03_an_empty_or_unknown_list_gives_nothing(stage_of: StageOf) -> None:
    stage = stage_of()
    assert stage.idle()
    assert stage.world.poll_decision("nowhere", stage.now) is None
    assert stage.world.poll_activity("nowhere", stage.now) is None


def test_04_no_decisions_park_the_run(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide()
    completed = stage.last(run, e.DecisionTaskCompleted)
    assert (completed.scheduled_event_id, completed.started_event_id) == (2, 3)
    assert stage.idle()
    assert stage.names(run) == "WES DTS DTSt DTC"


def test_05_the_next_task_names_the_one_before(stage_of: StageOf) -> None:
    stage = stage_of()
    stage.start()
    stage.decide()
    stage.signal()
    assert stage.task().previous_started_event_id == 3


def test_05_a_task_that_timed_out_is_not_the_one_before(stage_of: StageOf) -> None:
    stage = stage_of()
    stage.start()
    stage.task()
    stage.wait(61)
    assert stage.task().previous_started_event_id == 0


def test_06_a_signal_to_a_busy_decider_schedules_at_once(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    task = stage.task()
    stage.signal()
    assert stage.names(run, 3) == "WorkflowExecutionSignaled DTS"
    assert stage.last(run, e.WorkflowExecutionSignaled).external_initiated_event_id == 0
    assert stage.idle()
    stage.respond(task)
    assert stage.task().previous_started_event_id == 3
    assert stage.names(run, 3) == "WorkflowExecutionSignaled DTS DTC DTSt"


def test_07_three_signals_schedule_one_task(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.task()
    for _ in range(3):
        stage.signal()
    signal = "WorkflowExecutionSignaled"
    assert stage.names(run, 3) == f"{signal} DTS {signal} {signal}"


def test_08_signals_join_the_task_that_waits(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.signal()
    stage.signal()
    assert stage.names(run, 2) == "WorkflowExecutionSignaled WorkflowExecutionSignaled"


def test_09_a_late_decider_is_replaced(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    task = stage.task()
    stage.wait(60)
    assert stage.names(run, 3) == "DTTO DTS"
    timed_out, scheduled = stage.events(run, 3)
    assert timed_out.at == scheduled.at == stage.now
    assert timed_out.data == e.DecisionTaskTimedOut(
        timeout_type="START_TO_CLOSE", scheduled_event_id=2, started_event_id=3
    )
    with pytest.raises(UnknownResource, match="Unknown decision task, scheduledEventId = 2"):
        stage.respond(task)


def test_10_a_time_out_does_not_schedule_twice(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.task()
    stage.signal()
    stage.wait(60)
    assert stage.names(run, 5) == "DTTO"
    assert stage.task().started_event_id == 7


def test_11_none_means_never(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start(decision_timeout="NONE")
    stage.task()
    stage.wait(3599)
    assert stage.names(run) == "WES DTS DTSt"


def test_12_an_answer_counts_once(stage_of: StageOf) -> None:
    stage = stage_of()
    stage.start()
    task = stage.task()
    stage.respond(task)
    with pytest.raises(UnknownResource, match="Unknown decision task, scheduledEventId = 2"):
        stage.respond(task)


@pytest.mark.parametrize("token", ["", "garbage", "YWJjZGVmZ2g=", "é"])
def test_13_garbage_is_no_token(stage_of: StageOf, token: str) -> None:
    stage = stage_of()
    with pytest.raises(ServiceFault, match="ValidationException: Invalid token"):
        stage.world.respond_decision(token, [], stage.now)
    with pytest.raises(ServiceFault, match="ValidationException: Invalid token"):
        stage.world.complete_activity(token, None, stage.now)


def test_13_a_decision_token_is_no_activity_token(stage_of: StageOf) -> None:
    stage = stage_of()
    stage.start()
    with pytest.raises(ServiceFault, match="Invalid token"):
        stage.world.complete_activity(stage.task().token, None, stage.now)


def test_14_a_closed_run_takes_no_answer(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    task = stage.task()
    stage.world.terminate("wf", None, None, stage.now)
    expected = rf"Unknown execution: WorkflowExecution=\[workflowId=wf, runId={run.run_id}\]"
    with pytest.raises(UnknownResource, match=expected):
        stage.respond(task)


def test_16_a_malformed_decision_refuses_the_whole_call(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    task = stage.task()
    fine, wrong = RecordMarker(marker_name="m"), StartTimer(timer_id="", start_to_fire_timeout="soon")
    with pytest.raises(ServiceFault) as refusal:
        stage.respond(task, fine, wrong)
    assert refusal.value.code == "ValidationException"
    assert refusal.value.message.startswith("2 validation errors detected: ")
    assert "'decisions.2.member.startTimerDecisionAttributes.timerId'" in refusal.value.message
    assert stage.names(run) == "WES DTS DTSt"
    stage.respond(task, fine)
    assert stage.names(run, 3) == "DTC MarkerRecorded"


def test_17_a_close_comes_last(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    task = stage.task()
    with pytest.raises(ServiceFault, match="Close must be last decision in list"):
        stage.respond(task, CompleteWorkflowExecution(), RecordMarker(marker_name="m"))
    with pytest.raises(ServiceFault, match="Close must be last decision in list"):
        stage.respond(task, CompleteWorkflowExecution(), CompleteWorkflowExecution())
    assert stage.names(run) == "WES DTS DTSt"


def test_19_an_execution_context_is_recorded(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.world.respond_decision(stage.task().token, [], stage.now, execution_context="")
    assert stage.last(run, e.DecisionTaskCompleted).execution_context == ""


def test_20_a_list_without_a_time_out_is_for_good(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.override(stage.task(), "other")
    completed = stage.last(run, e.DecisionTaskCompleted)
    assert (completed.task_list, completed.task_list_schedule_to_start_timeout) == (TaskList("other"), None)
    stage.signal()
    scheduled = stage.last(run, e.DecisionTaskScheduled)
    assert (scheduled.task_list, scheduled.schedule_to_start_timeout) == (TaskList("other"), "NONE")
    assert stage.idle()
    stage.task("other")
    stage.wait(60)
    assert stage.names(run, 6) == "DTSt DTTO DTS"
    assert stage.last(run, e.DecisionTaskScheduled).task_list == TaskList("other")


def test_20_what_the_answer_itself_wakes_goes_to_the_new_list(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.override(stage.task(), "other", None, CancelTimer(timer_id="none"))
    assert stage.names(run, 3) == "DTC CancelTimerFailed DTS"
    assert stage.last(run, e.DecisionTaskScheduled).task_list == TaskList("other")


def test_20_a_task_behind_the_answered_one_stays_where_it_was(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    task = stage.task()
    stage.signal()
    stage.override(task, "other", "5")
    stage.wait(3000)
    assert stage.idle_at("other")
    assert stage.names(run, 3) == "WorkflowExecutionSignaled DTS DTC"
    stage.decide()
    stage.signal()
    assert not stage.idle_at("other")


def test_21_a_provisional_list_that_nobody_polls_is_given_up(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.override(stage.task(), "other", "5")
    stage.signal()
    assert stage.last(run, e.DecisionTaskScheduled) == e.DecisionTaskScheduled(
        task_list=TaskList("other"), start_to_close_timeout="60", schedule_to_start_timeout="5"
    )
    stage.wait(4.9)
    assert stage.names(run, 3) == "DTC WorkflowExecutionSignaled DTS"
    stage.wait(0.1)
    assert stage.names(run, 6) == "DTTO DTS"
    timed_out, scheduled = stage.events(run, 6)
    assert timed_out.data == e.DecisionTaskTimedOut(
        timeout_type="SCHEDULE_TO_START", scheduled_event_id=6, started_event_id=0
    )
    assert scheduled.data.task_list == TaskList("decide")
    assert scheduled.data.schedule_to_start_timeout == "NONE"
    assert timed_out.at == scheduled.at == stage.now
    assert stage.idle_at("other")
    assert stage.task().previous_started_event_id == 3


def test_22_a_provisional_list_where_nobody_answers_is_given_up(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.override(stage.task(), "other", "5")
    stage.signal()
    stage.wait(4)
    task = stage.task("other")
    stage.wait(59)
    assert stage.names(run, 6) == "DTSt"
    stage.wait(1)
    assert stage.names(run, 7) == "DTTO DTS"
    assert stage.last(run, e.DecisionTaskTimedOut) == e.DecisionTaskTimedOut(
        timeout_type="START_TO_CLOSE", scheduled_event_id=6, started_event_id=7
    )
    assert stage.last(run, e.DecisionTaskScheduled).task_list == TaskList("decide")
    with pytest.raises(UnknownResource, match="Unknown decision task, scheduledEventId = 6"):
        stage.respond(task)
    stage.task()


def test_22_a_provisional_list_lasts_while_its_tasks_are_in_time(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.override(stage.task(), "other", "5")
    for _ in range(3):
        stage.signal()
        stage.wait(4)
        stage.respond(stage.task("other"))
    stage.signal()
    assert stage.last(run, e.DecisionTaskScheduled).task_list == TaskList("other")
    stage.wait(5)
    assert stage.last(run, e.DecisionTaskScheduled).task_list == TaskList("decide")


def test_22_what_is_given_up_for_is_the_list_that_was_for_good(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    for task_list, timeout, chosen in [("b", None, "decide"), ("c", "5", "b"), ("d", "5", "c")]:
        stage.override(stage.task(chosen), task_list, timeout)
        stage.signal()
    stage.wait(5)
    assert stage.last(run, e.DecisionTaskScheduled).task_list == TaskList("b")


def test_22_a_task_that_nobody_could_take_yet_is_not_late(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.override(stage.task(), "other", "5")
    stage.signal()
    task = stage.task("other")
    stage.signal()
    stage.wait(30)
    stage.respond(task)
    stage.wait(4.9)
    assert stage.names(run, 7) == "WorkflowExecutionSignaled DTS DTC"
    stage.wait(0.1)
    assert stage.names(run, 10) == "DTTO DTS"


def test_22_the_end_of_the_run_is_the_end_of_the_wait(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.override(stage.task(), "other", "5")
    stage.signal()
    stage.world.terminate("wf", None, None, stage.now)
    stage.wait(5)
    assert stage.names(run, 6) == "WorkflowExecutionTerminated"


def test_a_time_out_without_a_list_is_written_down_and_changes_nothing(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.override(stage.task(), None, "5")
    assert stage.last(run, e.DecisionTaskCompleted).task_list_schedule_to_start_timeout == "5"
    stage.signal()
    assert stage.last(run, e.DecisionTaskScheduled).schedule_to_start_timeout == "NONE"


@pytest.mark.parametrize(("task_list", "timeout"), [("a/b", None), ("", None), ("other", "soon")])
def test_a_malformed_list_refuses_the_whole_call(
    stage_of: StageOf, task_list: str, timeout: str | None
) -> None:
    stage = stage_of()
    run = stage.start()
    task = stage.task()
    with pytest.raises(ServiceFault, match=r"ValidationException: 1 validation error detected: .*taskList"):
        stage.override(task, task_list, timeout)
    assert stage.names(run) == "WES DTS DTSt"
    stage.respond(task)


def test_a_new_run_does_not_inherit_the_list(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.override(stage.task(), "other")
    stage.signal()
    stage.respond(stage.task("other"), ContinueAsNewWorkflowExecution())
    assert stage.names(run).endswith("WorkflowExecutionContinuedAsNew")
    assert stage.task().execution.run_id != run.run_id


def test_23_higher_priority_first_then_oldest(stage_of: StageOf) -> None:
    stage = stage_of()
    for workflow_id, priority in [("a", "5"), ("b", "10"), ("c", "10"), ("d", None), ("e", "-1")]:
        stage.start(workflow_id, priority=priority)
    assert "".join(stage.task().execution.workflow_id for _ in range(5)) == "bcade"


def test_events_of_one_step_share_a_millisecond_that_never_goes_back(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    task = stage.task()
    stage.now = stage.now.replace(microsecond=123_456)
    stage.respond(task, ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a"))
    assert {event.at.microsecond for event in stage.events(run, 3)} == {123_000}
    stage.now = stage.now.replace(microsecond=0)
    stage.signal()
    assert stage.events(run)[-1].at.microsecond == 123_000
