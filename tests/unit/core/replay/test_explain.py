"""Explanations of runs with values that cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from floto import NO_RESULT, ActivityTask, DeciderSpec, History, TaskStatus, Timer, explain
from floto.core.replay.explain import explain_started
from floto.core.replay.timeline import timeline
from floto.core.state.fold import fold
from floto.core.swf.reserved_names import COMPRESSED
from floto.testing import simulate

SPEC = DeciderSpec(
    activity_tasks=[
        ActivityTask(id_="a", name="work", version="v1"),
        Timer(id_="t", delay_in_seconds=5, requires=["a"]),
    ]
)


def test_completed_task_whose_result_cannot_be_read_has_no_result() -> None:
    raw = simulate(SPEC).main.to_swf()
    for event in raw:
        if event["eventType"] == "ActivityTaskCompleted":
            event["activityTaskCompletedEventAttributes"]["result"] = f"{COMPRESSED}?"
    found = explain(SPEC, History.from_swf(raw))["a"]
    assert (found.status, found.result) == (TaskStatus.DONE, NO_RESULT)


def test_tasks_without_a_spec_are_in_the_order_in_which_they_began() -> None:
    names = [f"task {number:02}" for number in range(20)]
    run = simulate(DeciderSpec(activity_tasks=[ActivityTask(id_=n, name=n, version="v1") for n in names]))
    assert list(explain_started(fold(run.main), run.main.events).tasks) == names


def test_signals_to_other_runs_are_shown_without_a_spec() -> None:
    at, attributes = (
        datetime(2026, 1, 1, tzinfo=UTC),
        "signalExternalWorkflowExecutionInitiatedEventAttributes",
    )
    raw: list[dict[str, Any]] = simulate(SPEC).main.to_swf()[:4]
    sent = {"workflowId": "other", "signalName": "go", "decisionTaskCompletedEventId": 4}
    for id_, more in ((5, {"control": "floto.task:tell"}), (6, {})):
        kind = "SignalExternalWorkflowExecutionInitiated"
        raw.append({"eventId": id_, "eventType": kind, "eventTimestamp": at, attributes: {**sent, **more}})
    done = {"initiatedEventId": 5, "workflowExecution": {"workflowId": "other", "runId": "r"}}
    kind, name = "ExternalWorkflowExecutionSignaled", "externalWorkflowExecutionSignaledEventAttributes"
    raw.append({"eventId": 7, "eventType": kind, "eventTimestamp": at, name: done})
    history = History.from_swf(raw)
    found = explain_started(fold(history), history.events).tasks
    assert {id_: each.status for id_, each in found.items()} == {
        "tell": TaskStatus.DONE,
        "external signal 6": TaskStatus.QUEUED,
    }
    assert [lane.name for lane in timeline(history).lanes] == ["external signal 6", "tell"]
