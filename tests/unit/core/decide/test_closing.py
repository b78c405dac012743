"""Clean-up after a failure or a cancel request, step by step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from floto import ChildWorkflow, DeciderSpec, InstantRetry, Signal, SpecError, decide
from floto.core.payloads import payload
from floto.core.spec.activity_timeouts import without_timeouts
from floto.core.spec.estimate import expected_events
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    RecordMarker,
    RequestCancelActivityTask,
    RequestCancelExternalWorkflowExecution,
    ScheduleActivityTask,
    StartTimer,
)
from floto.core.swf.reserved_names import FAILURES_MARKER
from floto.runtime.runs.needs import needs
from floto.testing import fails, simulate, times_out
from tests.unit.recorder import CHILD, TYPE, Recorder, generator, spec, starts, task

CLEANING = spec(
    task("a"),
    task("b"),
    task("later", ["b"]),
    on_failure=[task("undo"), task("tell", ["undo"])],
    on_cancel=[task("tidy")],
)
NOTED = RecordMarker(marker_name=FAILURES_MARKER, details='{"a":"Error: boom"}')


def given(decision: Decision) -> Any:
    assert isinstance(decision, ScheduleActivityTask)
    return payload.loads(decision.input)


def note(recorder: Recorder) -> None:
    recorder.add(
        e.MarkerRecorded(
            marker_name=NOTED.marker_name, details=NOTED.details, decision_task_completed_event_id=1
        )
    )


def stopped(recorder: Recorder, scheduled: int, started: int) -> None:
    """The activity b was asked to stop, and has."""
    asked = recorder.add(e.ActivityTaskCancelRequested(activity_id="b", decision_task_completed_event_id=1))
    recorder.add(
        e.ActivityTaskCanceled(
            scheduled_event_id=scheduled, started_event_id=started, latest_cancel_requested_event_id=asked
        )
    )


def failing() -> Recorder:
    """A run that has noted why it fails, and where nothing is open any more."""
    recorder = Recorder(input={"n": 1})
    scheduled, started = recorder.start("b")
    recorder.fail("a")
    note(recorder)
    stopped(recorder, scheduled, started)
    return recorder


def test_failing_run_records_failures_and_stops_open_work_before_cleanup() -> None:
    recorder = Recorder(input={"n": 1})
    scheduled, started = recorder.start("b")
    recorder.fail("a")
    assert decide(CLEANING, recorder.history) == [NOTED, RequestCancelActivityTask(activity_id="b")]
    note(recorder)
    recorder.add(e.ActivityTaskCancelRequested(activity_id="b", decision_task_completed_event_id=1))
    assert decide(CLEANING, recorder.history) == []
    # It was asked to stop, and completed all the same: what requires it is not started any more.
    recorder.add(e.ActivityTaskCompleted(scheduled_event_id=scheduled, started_event_id=started))
    [undo] = decide(CLEANING, recorder.history)
    assert given(undo) == {"workflow": {"n": 1}, "failures": {"a": "Error: boom"}}


def test_cleanup_is_a_separate_graph_and_the_run_fails_with_the_first_failures() -> None:
    recorder = failing()
    assert list(starts(decide(CLEANING, recorder.history))) == ["undo"]
    recorder.complete("undo", "undone")
    [tell] = decide(CLEANING, recorder.history)
    assert given(tell) == {
        "workflow": {"n": 1},
        "failures": {"a": "Error: boom"},
        "undo": "undone",
    }
    recorder.complete("tell")
    assert decide(CLEANING, recorder.history) == [
        FailWorkflowExecution(reason="failed: a", details='{"a":"Error: boom"}')
    ]


def test_cleanup_is_retried_and_its_failures_are_reported() -> None:
    again = spec(
        task("a"),
        task("b"),
        on_failure=[task("undo", retry_strategy=InstantRetry(1)), task("tell", ["undo"]), task("free")],
    )
    recorder = failing()
    assert list(starts(decide(again, recorder.history))) == ["undo", "free"]
    recorder.fail("undo")
    scheduled, started = recorder.start("free")
    assert list(starts(decide(again, recorder.history))) == ["undo"]
    recorder.fail("undo", "still")
    # The other one still runs.
    assert decide(again, recorder.history) == []
    recorder.add(e.ActivityTaskFailed(scheduled_event_id=scheduled, started_event_id=started))
    [failed] = decide(again, recorder.history)
    assert isinstance(failed, FailWorkflowExecution)
    assert failed.reason == "failed: a, free, undo"
    assert json.loads(failed.details or "")["undo"] == "Error: still"


def test_cancel_request_during_cleanup_of_a_failed_run_has_no_effect() -> None:
    recorder = failing()
    recorder.start("undo")
    recorder.cancel()
    assert decide(CLEANING, recorder.history) == []


def test_cancel_request_before_the_failure_marker_cancels_the_run() -> None:
    recorder = Recorder()
    recorder.fail("a")
    recorder.cancel()
    assert list(starts(decide(CLEANING, recorder.history))) == ["tidy"]


def test_canceled_run_cleans_up_after_open_work_closed() -> None:
    recorder = Recorder()
    scheduled, started = recorder.start("b")
    recorder.cancel()
    assert decide(CLEANING, recorder.history) == [RequestCancelActivityTask(activity_id="b")]
    stopped(recorder, scheduled, started)
    [tidy] = decide(CLEANING, recorder.history)
    assert isinstance(tidy, ScheduleActivityTask)
    assert (tidy.activity_id, tidy.input) == ("tidy", None)
    recorder.start("tidy")
    assert decide(CLEANING, recorder.history) == []


@pytest.mark.parametrize("fails", [True, False])
def test_canceled_run_reports_failures_of_its_cleanup(*, fails: bool) -> None:
    recorder = Recorder()
    recorder.cancel()
    end = recorder.fail if fails else recorder.complete
    end("tidy")
    details = '{"tidy":"Error: boom"}' if fails else None
    assert decide(CLEANING, recorder.history) == [CancelWorkflowExecution(details=details)]


def test_children_are_canceled_before_cleanup_of_a_failed_run() -> None:
    child = ChildWorkflow(workflow_type_name="w", workflow_type_version="v", id_="c")
    recorder = Recorder()
    recorder.child()
    recorder.fail("a")
    found = decide(spec(task("a"), child, on_failure=[task("undo")]), recorder.history)
    assert found == [NOTED, RequestCancelExternalWorkflowExecution(workflow_id="w:c")]


def request_cancel(recorder: Recorder, *, is_refused: bool) -> None:
    asked = recorder.add(
        e.RequestCancelExternalWorkflowExecutionInitiated(
            workflow_id="w:c", decision_task_completed_event_id=1
        )
    )
    refused = e.RequestCancelExternalWorkflowExecutionFailed(
        workflow_id="w:c",
        cause="REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED",
        initiated_event_id=asked,
        decision_task_completed_event_id=1,
    )
    granted = e.ExternalWorkflowExecutionCancelRequested(initiated_event_id=asked, workflow_execution=CHILD)
    recorder.add(refused if is_refused else granted)


@pytest.mark.parametrize(("requests", "is_refused"), [(1, False), (21, True)])
def test_child_is_canceled_also_if_an_earlier_one_of_its_workflow_id_was(
    requests: int, *, is_refused: bool
) -> None:
    recorder = Recorder()
    first = recorder.child()
    for _ in range(requests):
        request_cancel(recorder, is_refused=is_refused)
    ended = e.ChildWorkflowExecutionCanceled(
        initiated_event_id=first, started_event_id=first + 1, workflow_execution=CHILD, workflow_type=TYPE
    )
    recorder.add(ended)
    recorder.child()
    recorder.fail("a")
    child = ChildWorkflow(
        workflow_type_name="w", workflow_type_version="v", id_="c", retry_strategy=InstantRetry(1)
    )
    failing, again = spec(task("a"), child), RequestCancelExternalWorkflowExecution(workflow_id="w:c")
    assert again in decide(failing, recorder.history)
    request_cancel(recorder, is_refused=True)
    assert again in decide(failing, recorder.history)
    request_cancel(recorder, is_refused=False)
    assert again not in decide(failing, recorder.history)


def test_refused_failure_marker_does_not_prevent_cleanup() -> None:
    recorder = Recorder()
    recorder.fail("a")
    for _ in range(2):
        noted, undo = decide(CLEANING, recorder.history)
        assert noted == NOTED
        assert list(starts([undo])) == ["undo"]
        recorder.add(
            e.RecordMarkerFailed(
                marker_name=FAILURES_MARKER,
                cause="OPERATION_NOT_PERMITTED",
                decision_task_completed_event_id=1,
            )
        )
    recorder.complete("undo")
    recorder.complete("tell")
    assert isinstance(decide(CLEANING, recorder.history)[-1], FailWorkflowExecution)


@pytest.mark.parametrize("details", [None, "no JSON", "[]", '{"a": 1}', "floto:zlib:AAAA"])
def test_marker_not_written_by_floto_is_ignored(details: str | None) -> None:
    recorder = Recorder()
    recorder.add(
        e.MarkerRecorded(marker_name=FAILURES_MARKER, details=details, decision_task_completed_event_id=1)
    )
    assert list(starts(decide(CLEANING, recorder.history))) == ["a", "b"]


def test_too_long_result_of_the_run_is_followed_by_cleanup() -> None:
    both = spec(task("a"), task("b"), on_failure=[task("undo")])
    recorder = Recorder()
    for id_, digits in (("a", "0123456789abcdef"), ("b", "fedcba9876543210")):
        recorder.complete(id_, [f"{number * 7919 % 65_521}{digits}" for number in range(4_000)])
    # Each alone would have been too long to report: it is the result of the run that is too long.
    noted, undo = decide(both, recorder.history)
    assert isinstance(noted, RecordMarker)
    assert "the result of the workflow" in given(undo)["failures"]["result"]


def test_cleanup_may_wait_for_signals_and_timers() -> None:
    waiting = spec(task("a"), on_failure=[Signal(id_="seen", signal_name="seen"), task("undo", ["seen"])])
    recorder = Recorder()
    recorder.fail("a")
    note(recorder)
    assert decide(waiting, recorder.history) == []
    recorder.add(e.WorkflowExecutionSignaled(signal_name="seen", input='"ok"'))
    [undo] = decide(waiting, recorder.history)
    assert given(undo)["seen"] == "ok"


def test_many_failures_leave_room_for_the_input() -> None:
    wide = spec(*(task(f"t{number}") for number in range(40)), on_failure=[task("undo")])
    recorder = Recorder(input="x" * 20_000)
    for number in range(40):
        recorder.fail(f"t{number}", "y" * 1_900)
    noted, undo = decide(wide, recorder.history)
    assert isinstance(noted, RecordMarker)
    assert isinstance(undo, ScheduleActivityTask)
    assert len(noted.details or "") <= payload.LIMIT
    assert len(undo.input or "") <= payload.LIMIT
    assert "more" in given(undo)["failures"]["..."]


def test_run_without_cleanup_fails_at_once() -> None:
    recorder = Recorder()
    recorder.start("b")
    recorder.fail("a")
    assert decide(spec(task("a"), task("b")), recorder.history) == [
        FailWorkflowExecution(reason="failed: a", details='{"a":"Error: boom"}')
    ]
    assert not any(isinstance(each, StartTimer) for each in decide(CLEANING, recorder.history))


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"on_failure": [task("a")]}, "duplicate task id 'a' (2 tasks)"),
        (
            {"on_failure": [task("undo", ["a"])]},
            "task 'undo' requires 'a', but cleanup tasks may require only",
        ),
        ({"on_cancel": [task("undo", ["no"])]}, "task 'undo' requires 'no', which is not in the spec"),
        ({"on_cancel": [task("x", ["y"]), task("y", ["x"])]}, "dependency cycle"),
        ({"on_cancel": [generator("g")]}, "on_cancel: task 'g' returns tasks, which is only permitted in"),
        (
            {"on_failure": [task("failures")]},
            "on_failure: task 'failures': this id is reserved for the failures",
        ),
        ({"on_failure": "undo"}, "on_failure must be a list of tasks, not 'undo'"),
        ({"on_failure": [3]}, "3 is not a task"),
        (
            {
                "on_failure": [Signal(id_="s", signal_name="go")],
                "on_cancel": [Signal(id_="t", signal_name="go")],
            },
            "signal 'go' is awaited by several tasks",
        ),
    ],
)
def test_problems_of_cleanup_tasks_are_reported(parts: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError) as raised:
        spec(task("a"), **parts)
    assert says in str(raised.value)


def test_cleanup_round_trips_as_json_and_is_omitted_if_empty() -> None:
    text = CLEANING.to_json()
    assert [each["id_"] for each in json.loads(text)["on_failure"]] == ["undo", "tell"]
    assert DeciderSpec.from_json(text) == CLEANING
    assert not {"on_failure", "on_cancel"} & set(json.loads(spec(task("a")).to_json()))
    with pytest.raises(SpecError, match=r"\$.on_cancel\[0\]: must be an object, not 3"):
        DeciderSpec.from_json('{"type": "floto.specs.DeciderSpec", "on_cancel": [3]}')


def test_cleanup_is_included_in_estimates_and_registrations() -> None:
    cleaned = spec(task("a"), on_failure=[task("undo", task_list="undoing"), task("tell")])
    assert expected_events(cleaned) == (11, 11 + 1 + 2 * 6)
    assert expected_events(spec(task("a"), on_cancel=[task("tidy")])) == (11, 11 + 4 + 6)
    assert needs(cleaned).activity_types == needs(spec(*cleaned.all_tasks)).activity_types


def test_retry_of_cleanup_gets_the_same_failures_as_the_first_attempt() -> None:
    late = [task(f"{'t' * 150}{number}", schedule_to_start_timeout=5) for number in range(250)]
    cleaned = spec(*late, on_failure=[task("undo", retry_strategy=InstantRetry(1))])
    outcomes = {"undo": fails(1), "a": times_out(None)}
    decided = simulate(cleaned, outcomes).decisions
    first, second = (
        without_timeouts(given(each)) for each in decided if getattr(each, "activity_id", "") == "undo"
    )
    assert first == second
    assert first["failures"]["..."].startswith("and ")
