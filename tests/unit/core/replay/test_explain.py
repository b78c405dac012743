"""Explanations of runs with values that cannot be read."""

from __future__ import annotations

from floto import NO_RESULT, ActivityTask, DeciderSpec, History, TaskStatus, Timer, explain
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
