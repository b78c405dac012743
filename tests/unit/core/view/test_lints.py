"""Warnings about a run and its spec."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve, frozen

from floto import (
    ActivityTask,
    DeciderSpec,
    ExponentialBackoff,
    FixedDelay,
    History,
    Timer,
    events,
    spec_tags,
    view,
)
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType
from floto.core.view.lints import Lint
from floto.testing import fails, simulate

AT = datetime(2026, 1, 1, tzinfo=UTC)
A = ActivityTask(id_="a", name="work", version="v1", start_to_close_timeout=60)
LIST, KIND = TaskList("l"), ActivityType("work", "v1")
START = events.WorkflowExecutionStarted(
    child_policy="TERMINATE",
    task_list=LIST,
    workflow_type=WorkflowType("w", "v1"),
    execution_start_to_close_timeout="600",
)


def history(*data: Any, start: Any = START) -> History:
    return History([events.Event(number, AT, each) for number, each in enumerate((start, *data), start=1)])


def found(run: History, tasks: Sequence[Any] | None = None) -> list[Lint]:
    return [*view(run, None if tasks is None else DeciderSpec(activity_tasks=tasks)).lints]


def texts(lints: Sequence[Lint]) -> list[str]:
    return ["".join(each if isinstance(each, str) else "T" for each in lint.text) for lint in lints]


def scheduled(**timeouts: str) -> events.ActivityTaskScheduled:
    return events.ActivityTaskScheduled(
        activity_id="a", activity_type=KIND, task_list=LIST, decision_task_completed_event_id=0, **timeouts
    )


def test_ordinary_run_has_no_warnings() -> None:
    spec = DeciderSpec(activity_tasks=[A])
    assert found(simulate(spec).main, [A]) == []


def test_heartbeat_time_out_that_has_no_effect() -> None:
    task = evolve(A, heartbeat_timeout=90)
    [lint] = found(history(), [task])
    assert lint.task == "a"
    assert (
        "its heartbeat_timeout of 90 s is no shorter than its start_to_close_timeout of 60 s"
        in texts([lint])[0]
    )
    [recorded] = found(history(scheduled(heartbeat_timeout="90", start_to_close_timeout="60")))
    assert (recorded.task, recorded.event_id) == ("a", 2)
    assert "90 s" in texts([recorded])[0]


def test_activity_without_any_time_out() -> None:
    [lint] = found(history(scheduled(heartbeat_timeout="NONE")))
    assert texts([lint])[0].endswith("if its worker crashes, the run waits for it until the run times out")
    assert found(history(scheduled(schedule_to_close_timeout="60"))) == []


@pytest.mark.parametrize(
    ("strategy", "warns"),
    [
        (FixedDelay(100, 6), False),
        (FixedDelay(100, 7), True),
        (ExponentialBackoff(retries=9, initial=1), False),
        (ExponentialBackoff(retries=20, initial=1), True),
        (FixedDelay(0, 10**6), False),
    ],
)
def test_retries_that_outlive_the_run(strategy: Any, *, warns: bool) -> None:
    lints = found(history(), [evolve(A, retry_strategy=strategy)])
    assert bool(lints) is warns
    assert not warns or "and the run times out after 600 s" in texts(lints)[0]
    without = evolve(START, execution_start_to_close_timeout="NONE")
    assert found(history(start=without), [evolve(A, retry_strategy=strategy)]) == []


@frozen
class Raises:
    """A strategy that expects other failures than these."""

    def delay(self, retry: Any) -> float | None:
        return float(retry.failure.reason)


def test_retry_strategy_that_raises_is_passed_over() -> None:
    assert found(history(), [evolve(A, retry_strategy=Raises())]) == []


def test_timer_that_outlives_the_run() -> None:
    assert texts(found(history(), [Timer(id_="t", delay_in_seconds=600)])) == [
        "timer 't' takes 600 s, and the run times out after 600 s"
    ]
    assert found(history(), [Timer(id_="t", delay_in_seconds=599)]) == []


def test_spec_with_more_tasks_than_a_run_has_events() -> None:
    tasks = [evolve(A, id_=f"a{number}") for number in range(8_400)]
    [lint] = found(history(), tasks)
    assert "SWF ends a run at 25,000" in texts([lint])[0]


def test_spec_other_than_the_one_that_the_run_recorded() -> None:
    spec = DeciderSpec(activity_tasks=[A])
    start = evolve(START, tag_list=spec_tags(spec))
    assert found(history(start=start), [A]) == []
    [lint] = found(history(start=start), [A, evolve(A, id_="b")])
    assert texts([lint])[0].startswith("this run recorded the spec ")


def test_long_payloads_and_a_long_history() -> None:
    marker = events.MarkerRecorded(marker_name="m", details="x" * 30_000, decision_task_completed_event_id=0)
    assert texts(found(history(marker))) == ["the details of event 2 has 30,000 characters; SWF takes 32,768"]
    lints = found(history(*[marker] * 19_999))
    assert texts(lints)[0] == "this history has 20,000 events; SWF ends a run at 25,000"
    assert texts(lints)[-1] == "and 19,989 more like the last one"


def test_signal_that_no_task_waits_for() -> None:
    signal = events.WorkflowExecutionSignaled(signal_name="go")
    [lint] = found(history(signal), [A])
    assert (texts([lint]), lint.event_id) == (["signal 'go' arrived at T, and no task waits for it"], 2)


def test_open_run_near_its_time_out() -> None:
    late = evolve(
        history(events.WorkflowExecutionSignaled(signal_name="x")).events[1],
        at=AT.replace(minute=9, second=1),
    )
    [lint] = found(History([*history().events, late]))
    assert texts([lint]) == ["this run has taken 9m01s of the 600 s after which it times out"]


def test_decision_task_that_a_decider_did_not_respond_to() -> None:
    lost = (
        events.DecisionTaskScheduled(task_list=LIST),
        events.DecisionTaskStarted(scheduled_event_id=2, identity="d1"),
        events.DecisionTaskTimedOut(scheduled_event_id=2, started_event_id=3, timeout_type="START_TO_CLOSE"),
    )
    assert texts(found(history(*lost))) == ["'d1' claimed the decision task of event 3 and did not respond"]


def test_refused_decisions_and_activities_that_were_given_back() -> None:
    refused = events.StartTimerFailed(
        timer_id="t", cause="TIMER_ID_ALREADY_IN_USE", decision_task_completed_event_id=0
    )
    assert texts(found(history(refused, refused))) == [
        "SWF refused a decision: 'TIMER_ID_ALREADY_IN_USE', 2 times"
    ]
    spec = DeciderSpec(activity_tasks=[A])
    assert found(simulate(spec, {"a": fails(None)}).main, [A]) == []
