"""The sentence of a run at each moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from floto import ActivityTask, DeciderSpec, FixedDelay, History, Signal, Timer, events, view
from floto.core.replay.why_waiting import Text
from floto.testing import fails, simulate, takes

A = ActivityTask(id_="a", name="work", version="v1")
RETRIED = evolve(A, retry_strategy=FixedDelay(9, 2))
MANY = [ActivityTask(id_=f"m{number}", name="work", version="v1") for number in range(3)]


def words(text: Text) -> str:
    return "".join(each if isinstance(each, str) else "T" for each in text)


def sentences(history: History, spec: DeciderSpec | None) -> list[str]:
    return [words(text) for _, text in view(history, spec).sentences]


def simulated(tasks: Sequence[Any], activities: Any = None, **more: Any) -> list[str]:
    spec = DeciderSpec(activity_tasks=tasks, **more)
    return sentences(simulate(spec, activities).main, spec)


def ended(history: History, count: int, data: Any) -> History:
    """The first events of a history, and one that closes the run a minute later."""
    kept = history.events[:count]
    at = kept[-1].at + timedelta(minutes=1)
    return History([*kept, events.Event(count + 1, at, data)], history.execution)


def test_activity_is_due_then_queued_then_running_then_done() -> None:
    assert simulated([A]) == [
        "a is due; 0 of 1 tasks done",
        "a is due; waiting for a decider since T; 0 of 1 tasks done",
        "a is due; being decided since T; 0 of 1 tasks done",
        "a is due; decided at T; 0 of 1 tasks done",
        "a queued since T on task list 'floto', no worker has picked it up; 0 of 1 tasks done",
        "running a since T; 0 of 1 tasks done",
        "nothing is in flight; 1 of 1 tasks done",
        "waiting for a decider since T; 1 of 1 tasks done",
        "being decided since T; 1 of 1 tasks done",
        "decided at T; 1 of 1 tasks done",
        "completed at T after 40ms; 1 of 1 tasks done",
    ]


@pytest.mark.parametrize(
    ("tasks", "activities", "expected"),
    [
        ([RETRIED], {"a": fails()}, "waiting for a, attempt 2 of 3, retry at T; 0 of 1 tasks done"),
        ([RETRIED], {"a": fails()}, "running a, attempt 2 of 3 since T; 0 of 1 tasks done"),
        ([evolve(A, retry_strategy=FixedDelay(0, 2))], {"a": fails()}, "a is due; 0 of 1 tasks done"),
        (MANY, {"work": takes(seconds=9)}, "running 3 tasks; 0 of 3 tasks done"),
        (MANY, {}, "3 tasks queued; 0 of 3 tasks done"),
        (MANY, {}, "3 tasks are due; being decided since T; 0 of 3 tasks done"),
        ([Timer(id_="t", delay_in_seconds=5)], {}, "timer t fires at T; 0 of 1 tasks done"),
        ([Signal(id_="s", signal_name="go")], {}, "waiting for signal go since T; 0 of 1 tasks done"),
    ],
)
def test_sentence_names_one_task_and_counts_several(
    tasks: Sequence[Any], activities: Any, expected: str
) -> None:
    assert expected in simulated(tasks, activities)


def test_several_retries_timers_and_signals_are_counted_or_listed() -> None:
    tasks = [
        *(evolve(each, retry_strategy=FixedDelay(9, 1)) for each in MANY),
        *(Timer(id_=f"t{number}", delay_in_seconds=5) for number in range(2)),
        *(Signal(id_=f"s{number}", signal_name=f"go{number}") for number in range(5)),
    ]
    found = simulated(tasks, {"work": fails(None)})
    waits = "waiting for signals go0, go1, go2 and 2 more; 2 timers run"
    assert f"3 tasks wait for their retries; {waits}; 0 of 10 tasks done" in found


def test_failing_run_names_the_root_failure_and_what_its_cleanup_does() -> None:
    found = simulated([A, evolve(MANY[0], requires=["a"])], {"a": fails(None)}, on_failure=[MANY[1]])
    assert "failing, because a failed: Failure; m1 is due; 0 of 2 tasks done" in found
    assert "cleaning up, because a failed: Failure; running m1 since T; 0 of 2 tasks done" in found
    assert found[-1] == "failed at T after 70ms: a failed: Failure"


def test_failed_run_without_a_spec_names_the_failed_activity() -> None:
    assert sentences(simulate(DeciderSpec(activity_tasks=[A]), {"a": fails(None)}).main, None)[-1] == (
        "failed at T after 40ms: a failed: Failure"
    )


def test_many_failures_are_counted() -> None:
    found = simulated(MANY + [evolve(A, id_=f"n{number}") for number in range(2)], {"work": fails(None)})
    assert found[-1].count("failed: Failure") <= 3


def closings() -> list[tuple[Any, str]]:
    policy = {"child_policy": "TERMINATE"}
    return [
        (
            events.WorkflowExecutionTimedOut(timeout_type="START_TO_CLOSE", **policy),
            "timed out at T after 1m00s",
        ),
        (
            events.WorkflowExecutionTerminated(reason="too slow", details="x", **policy),
            "terminated at T after 1m00s: too slow: x",
        ),
        (events.WorkflowExecutionTerminated(**policy), "terminated at T after 1m00s: no reason given"),
    ]


@pytest.mark.parametrize(("data", "expected"), closings())
def test_run_that_was_ended_says_what_it_was_doing(data: Any, expected: str) -> None:
    spec = DeciderSpec(activity_tasks=[A])
    history = simulate(spec, {"a": takes(minutes=5)}).main
    [started] = [each.id for each in history if isinstance(each.data, events.ActivityTaskStarted)]
    assert sentences(ended(history, started, data), spec)[-1] == f"{expected}; before: running a since T"


def test_canceled_and_continued_runs_say_so() -> None:
    spec = DeciderSpec(activity_tasks=[A])
    history = simulate(spec, {"a": takes(minutes=5)}).main
    canceled = events.WorkflowExecutionCanceled(decision_task_completed_event_id=4)
    asked = ended(history, 4, events.WorkflowExecutionCancelRequested())
    assert sentences(asked, spec)[-1] == (
        "cancellation requested at T; nothing is in flight; 0 of 1 tasks done"
    )
    assert sentences(ended(asked, 5, canceled), spec)[-1] == "canceled at T after 2m00s, as requested at T"
    start = history.start
    continued = events.WorkflowExecutionContinuedAsNew(
        decision_task_completed_event_id=4,
        new_execution_run_id="next",
        task_list=start.task_list,
        child_policy="TERMINATE",
        workflow_type=start.workflow_type,
    )
    found = view(ended(history, 4, continued), spec).sentences.values[-1]
    assert words(found) == "continued as new at T after 1m00s as run next"
    assert isinstance(found[1], datetime)
