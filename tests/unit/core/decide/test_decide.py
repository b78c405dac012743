"""Decisions in situations that random runs seldom reach."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from floto import (
    CODEC,
    ChildWorkflow,
    FixedDelay,
    History,
    HistoryError,
    InstantRetry,
    Signal,
    SpecError,
    Timer,
    decide,
    expand,
    fold,
)
from floto.core.payloads import payload
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    FailWorkflowExecution,
    RecordMarker,
    RequestCancelActivityTask,
    RequestCancelExternalWorkflowExecution,
    ScheduleActivityTask,
    StartTimer,
)
from floto.core.swf.reserved_names import RESULT_MARKER
from floto.core.swf.shapes import TaskList
from tests.unit.recorder import CHILD, TYPE, Recorder, generator, spec, starts, task


@pytest.mark.parametrize(
    "events", [Recorder().history.to_swf(), {"events": []}, "history", 3, None, [None], {"eventId": 1}]
)
def test_invalid_history_raises_with_advice(events: Any) -> None:
    for reader in (lambda given: decide(spec(task("a")), given), fold, History):
        with pytest.raises(HistoryError, match=r"History.from_swf|give a list of events"):
            reader(events)


@pytest.mark.parametrize("given", [None, 3, "{}", task("a"), [task("a")]])
def test_invalid_spec_raises_with_advice(given: Any) -> None:
    for use in (lambda: decide(given, []), lambda: expand(given, fold([]))):
        with pytest.raises(SpecError, match=r"must be a DeciderSpec, .*DeciderSpec.from_json"):
            use()


def test_timer_delays_the_tasks_that_require_it() -> None:
    recorder = Recorder()
    recorder.complete("a")
    found = decide(
        spec(task("a"), Timer(id_="t", delay_in_seconds=30, requires=["a"]), task("b", "t")), recorder.history
    )
    assert found == [StartTimer(timer_id="t", start_to_fire_timeout="30")]


@pytest.mark.parametrize("order", [("g1", "g2"), ("g2", "g1")])
def test_generated_tasks_may_require_tasks_of_another_generator(order: tuple[str, str]) -> None:
    recorder = Recorder()
    recorder.complete("g1", CODEC.unstructure([task("x")]))
    recorder.complete("g2", CODEC.unstructure([task("y", ["g1"])]))
    both = spec(*map(generator, order))
    assert list(starts(decide(both, recorder.history))) == ["x"]
    grown = {each.id_: each.requires for each in expand(both, fold(recorder.history)).activity_tasks}
    assert grown["y"] == ("g1", "x")


def test_task_requiring_a_generator_waits_for_nested_generators() -> None:
    recorder = Recorder()
    recorder.complete("g", CODEC.unstructure([generator("inner")]))
    recorder.complete("inner", CODEC.unstructure([task("x", ["g"])]))
    grown = expand(spec(generator("g"), task("end", ["g"])), fold(recorder.history))
    requires = {each.id_: each.requires for each in grown.activity_tasks}
    assert requires == {"g": (), "inner": (), "x": ("g",), "end": ("g", "inner", "x")}


def test_generator_may_return_no_tasks() -> None:
    recorder = Recorder()
    recorder.complete("g", [])
    [scheduled] = decide(spec(generator("g"), task("end", ["g"])), recorder.history)
    assert isinstance(scheduled, ScheduleActivityTask)
    assert payload.loads(scheduled.input) == {"g": []}


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (None, "must be a list of tasks"),
        ({"type": "x"}, "must be a list of tasks"),
        ([{"type": "os.system"}], "type 'os.system' is not known"),
        (
            [{"type": "floto.specs.retry_strategy.InstantRetry", "retries": 1}],
            "must be a task, not a InstantRetry",
        ),
        ([{"type": "floto.specs.DeciderSpec", "activity_tasks": []}], "must be a task, not a DeciderSpec"),
        (CODEC.unstructure([task("end")]), "duplicate task id 'end'"),
        (CODEC.unstructure([task("x", ["end"])]), "dependency cycle"),
        (CODEC.unstructure([task("x", ["nobody"])]), "requires 'nobody', which is not in the spec"),
    ],
)
def test_invalid_generated_tasks_fail_the_run_naming_the_generator(returned: Any, says: str) -> None:
    recorder = Recorder()
    recorder.complete("g", returned)
    [failed] = decide(spec(generator("g"), task("end", ["g"])), recorder.history)
    assert isinstance(failed, FailWorkflowExecution)
    assert says in payload.loads(failed.details)["g"]


def test_long_chain_of_generators_does_not_recurse() -> None:
    recorder = Recorder()
    for number in range(400):
        recorder.complete(f"g{number}", CODEC.unstructure([generator(f"g{number + 1}")]))
    [scheduled] = decide(spec(generator("g0"), task("end", ["g0"])), recorder.history)
    assert isinstance(scheduled, ScheduleActivityTask)
    assert scheduled.activity_id == "g400"


def test_a_run_that_fails_waits_for_children_that_are_being_started() -> None:
    recorder = Recorder()
    both = spec(task("a"), ChildWorkflow(workflow_type_name="w", workflow_type_version="v", id_="c"))
    recorder.child(started=False)
    recorder.fail("a")
    assert decide(both, recorder.history) == []
    recorder.add(
        e.ChildWorkflowExecutionStarted(workflow_execution=CHILD, workflow_type=TYPE, initiated_event_id=2)
    )
    ask, failed = decide(both, recorder.history)
    assert ask == RequestCancelExternalWorkflowExecution(workflow_id="w:c")
    assert isinstance(failed, FailWorkflowExecution)


def test_canceled_run_requests_stops_once_then_closes() -> None:
    recorder = Recorder()
    child = ChildWorkflow(workflow_type_name="w", workflow_type_version="v", id_="c")
    all_kinds = spec(task("a"), Timer(id_="t", delay_in_seconds=9), child, task("later", ["a"]))
    scheduled, started = recorder.start("a")
    recorder.add(e.TimerStarted(timer_id="t", start_to_fire_timeout="9", decision_task_completed_event_id=1))
    initiated = recorder.child()
    recorder.cancel()
    assert decide(all_kinds, recorder.history) == [
        RequestCancelActivityTask(activity_id="a"),
        RequestCancelExternalWorkflowExecution(workflow_id="w:c"),
    ]
    recorder.add(e.ActivityTaskCancelRequested(activity_id="a", decision_task_completed_event_id=1))
    asked = recorder.add(
        e.RequestCancelExternalWorkflowExecutionInitiated(
            workflow_id="w:c", decision_task_completed_event_id=1
        )
    )
    recorder.add(
        e.ExternalWorkflowExecutionCancelRequested(workflow_execution=CHILD, initiated_event_id=asked)
    )
    assert decide(all_kinds, recorder.history) == []
    # It was asked to stop, and completed all the same.
    recorder.add(e.ActivityTaskCompleted(scheduled_event_id=scheduled, started_event_id=started))
    assert decide(all_kinds, recorder.history) == []
    recorder.add(
        e.ChildWorkflowExecutionCanceled(
            workflow_execution=CHILD,
            workflow_type=TYPE,
            initiated_event_id=initiated,
            started_event_id=initiated + 1,
        )
    )
    assert decide(all_kinds, recorder.history) == [CancelWorkflowExecution()]


@pytest.mark.parametrize(
    ("cause", "again"),
    [
        ("REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED", 1),
        ("UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION", 0),
        ("OPERATION_NOT_PERMITTED", 0),
    ],
)
def test_refused_cancel_decision_is_repeated_only_if_transient(cause: str, again: int) -> None:
    recorder = Recorder()
    recorder.child()
    recorder.cancel()
    asked = recorder.add(
        e.RequestCancelExternalWorkflowExecutionInitiated(
            workflow_id="w:c", decision_task_completed_event_id=1
        )
    )
    recorder.add(
        e.RequestCancelExternalWorkflowExecutionFailed(
            workflow_id="w:c", cause=cause, initiated_event_id=asked, decision_task_completed_event_id=1
        )
    )
    child = ChildWorkflow(workflow_type_name="w", workflow_type_version="v", id_="c")
    assert len(decide(spec(child), recorder.history)) == again


def test_cancel_request_during_a_retry_wait_cancels_at_once() -> None:
    recorder = Recorder()
    recorder.fail("a")
    recorder.add(
        e.TimerStarted(
            timer_id="floto.retry:a:1", start_to_fire_timeout="9", decision_task_completed_event_id=1
        )
    )
    recorder.cancel()
    assert decide(spec(task("a", retry_strategy=FixedDelay(9, 3))), recorder.history) == [
        CancelWorkflowExecution()
    ]


def test_repeat_records_the_result_and_continues_as_new() -> None:
    recorder = Recorder({"n": 1})
    recorder.complete("a", 7)
    repeated = spec(task("a"), repeat_workflow=True)
    marker, as_new = decide(repeated, recorder.history)
    assert marker == RecordMarker(marker_name=RESULT_MARKER, details='{"a":7}')
    assert as_new == ContinueAsNewWorkflowExecution(
        input='{"n": 1}',
        execution_start_to_close_timeout="100",
        task_list=TaskList("decide"),
        child_policy="TERMINATE",
        tag_list=("tag",),
        workflow_type_version="v",
    )
    recorder.add(
        e.MarkerRecorded(marker_name=RESULT_MARKER, details='{"a":7}', decision_task_completed_event_id=1)
    )
    assert decide(repeated, recorder.history) == [as_new]


def refuse_as_new(recorder: Recorder, cause: str) -> None:
    recorder.add(e.ContinueAsNewWorkflowExecutionFailed(cause=cause, decision_task_completed_event_id=1))


def test_refused_continue_as_new_is_retried_or_fails_the_run() -> None:
    recorder = Recorder()
    recorder.complete("a")
    repeated = spec(task("a"), repeat_workflow=True)
    refuse_as_new(recorder, "UNHANDLED_DECISION")
    assert isinstance(decide(repeated, recorder.history)[-1], ContinueAsNewWorkflowExecution)
    refuse_as_new(recorder, "CONTINUE_AS_NEW_WORKFLOW_EXECUTION_RATE_EXCEEDED")
    wait = decide(repeated, recorder.history)[-1]
    assert isinstance(wait, StartTimer)
    assert wait.timer_id == "floto.retry:floto.repeat:1"
    refuse_as_new(recorder, "WORKFLOW_TYPE_DEPRECATED")
    failed = decide(repeated, recorder.history)[-1]
    assert isinstance(failed, FailWorkflowExecution)
    assert "WORKFLOW_TYPE_DEPRECATED" in (failed.details or "")


def test_failure_with_unencodable_text_is_recorded() -> None:
    recorder = Recorder()
    recorder.fail("a", '"\ud800"')
    [failed] = decide(spec(task("a")), recorder.history)
    assert isinstance(failed, FailWorkflowExecution)
    assert (failed.details or "").encode()


def test_unreadable_workflow_input_fails_the_run() -> None:
    recorder = Recorder()
    recorder.data[0] = evolve(recorder.data[0], input="floto:zlib:xx")
    [failed] = decide(spec(task("a")), recorder.history)
    assert isinstance(failed, FailWorkflowExecution)
    assert "cannot be unpacked" in (failed.details or "")


def test_history_without_an_execution_cannot_start_children() -> None:
    child = spec(ChildWorkflow(workflow_type_name="w", workflow_type_version="v", id_="c"))
    with pytest.raises(HistoryError, match="does not name its execution"):
        decide(child, evolve(Recorder().history, execution=None))


def test_unknown_timers_are_ignored() -> None:
    recorder = Recorder()
    for name in ("floto.retry:", "floto.retry:1", "floto.retry:a", "floto.more:", "floto."):
        recorder.add(
            e.TimerStarted(timer_id=name, start_to_fire_timeout="9", decision_task_completed_event_id=1)
        )
    assert list(starts(decide(spec(task("a")), recorder.history))) == ["a"]


def test_event_attributes_are_frozen() -> None:
    attributes = {"a": {"b": [1]}}
    other = e.OtherEvent(type="New", attributes=attributes)
    attributes["a"]["b"].append(2)
    assert other.attributes == {"a": {"b": (1,)}}
    with pytest.raises(TypeError):
        other.attributes["a"]["b"] = 3


def test_retries_are_counted_per_task() -> None:
    recorder = Recorder()
    recorder.fail("a")
    recorder.fail("b")
    found = decide(spec(task("a", retry_strategy=InstantRetry(1)), task("b")), recorder.history)
    assert [type(decision) for decision in found] == [FailWorkflowExecution]
    assert list(payload.loads(getattr(found[0], "details", None))) == ["b"]


APPROVED = spec(task("a"), Signal(id_="ok", signal_name="go", requires=["a"]), task("b", ["ok"]))


def test_early_signal_completes_its_task_only_when_required() -> None:
    recorder = Recorder()
    recorder.add(e.WorkflowExecutionSignaled(signal_name="go", input='"early"'))
    assert list(starts(decide(APPROVED, recorder.history))) == ["a"]
    recorder.complete("a")
    [scheduled] = decide(APPROVED, recorder.history)
    assert payload.loads(getattr(scheduled, "input", None)) == {"ok": "early"}


def test_run_waits_for_a_signal_and_passes_on_the_input_of_the_first() -> None:
    recorder = Recorder()
    recorder.complete("a")
    assert decide(APPROVED, recorder.history) == []
    recorder.add(e.WorkflowExecutionSignaled(signal_name="gone", input='"another name"'))
    assert decide(APPROVED, recorder.history) == []
    for text in ('{"by": "Ada"}', '{"by": "Bob"}'):
        recorder.add(e.WorkflowExecutionSignaled(signal_name="go", input=text))
        [scheduled] = decide(APPROVED, recorder.history)
        assert payload.loads(getattr(scheduled, "input", None)) == {"ok": {"by": "Ada"}}


def test_child_with_a_workflow_id_in_use_is_retried_after_a_timer() -> None:
    recorder = Recorder()
    initiated = recorder.child(started=False)
    recorder.add(
        e.StartChildWorkflowExecutionFailed(
            workflow_type=TYPE,
            cause="WORKFLOW_ALREADY_RUNNING",
            workflow_id="w:c",
            initiated_event_id=initiated,
            decision_task_completed_event_id=1,
            control="floto.task:c",
        )
    )
    child = ChildWorkflow(workflow_type_name="w", workflow_type_version="v", id_="c")
    [wait] = decide(spec(child), recorder.history)
    assert isinstance(wait, StartTimer)
    assert wait.timer_id == "floto.retry:c:1"
