"""What the metrics of a decider count, from decision tasks made by hand."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from prometheus_client import CollectorRegistry

from floto import ActivityTask, DeciderSpec, FixedDelay, History, fold
from floto.core.replay.decision_tasks import decision_tasks
from floto.core.state.state import EMPTY
from floto.core.swf import events as e
from floto.core.swf.decisions import CompleteWorkflowExecution, Decision, FailWorkflowExecution
from floto.core.swf.events import Event
from floto.core.swf.service import PolledDecisionTask
from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.metrics.metrics import Metrics
from floto.testing import fails, simulate

RUN = WorkflowExecution("w", "r")
RETRIED = ActivityTask(id_="a", name="work", version="1", retry_strategy=FixedDelay(3, 1))
#: A run in which nothing fails.
PLAIN = simulate(DeciderSpec(activity_tasks=[RETRIED])).histories[0]
START: Any = PLAIN.events[0].data
NAMES = {"workflow_type": START.workflow_type.name, "workflow_version": START.workflow_type.version}
SCHEDULED = e.DecisionTaskScheduled(task_list=START.task_list)


def task_of(history: History, started: int, previous: int, first: int = 0) -> PolledDecisionTask:
    start: Any = history.events[0].data
    return PolledDecisionTask(
        token="t",  # noqa: S106 - not a password
        execution=RUN,
        workflow_type=start.workflow_type,
        events=history.events[first:started],
        started_event_id=started,
        previous_started_event_id=previous,
    )


def counted(history: History, found: list[Decision] | None = None) -> CollectorRegistry:
    """The metrics after every decision task of a history had these decisions."""
    registry, previous = CollectorRegistry(), 0
    metrics = Metrics(registry)
    for recorded in decision_tasks(history.events):
        events = history.events[: recorded.started]
        state = fold(events, evolve(EMPTY, execution=RUN))
        metrics.handled(task_of(history, recorded.started, previous), state, found or [])
        previous = recorded.started
    return registry


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"floto_{name}", labels)


def test_attempts_count_by_their_outcome_and_observe_how_long_they_ran() -> None:
    spec = DeciderSpec(activity_tasks=[RETRIED])
    registry = counted(simulate(spec, {"a": fails(times=1)}).histories[0])
    work = {"activity_type": "work", "activity_version": "1"}
    assert value(registry, "activity_attempts_total", **work, status="failed") == 1
    assert value(registry, "activity_attempts_total", **work, status="completed") == 1
    assert value(registry, "activity_wait_seconds_count", **work) == 2
    assert value(registry, "activity_run_seconds_count", **work) == 2


def test_run_counts_as_started_once_and_is_observed_when_it_is_closed() -> None:
    registry = counted(PLAIN)
    assert value(registry, "runs_started_total", **NAMES) == 1
    assert value(registry, "run_seconds_count", **NAMES) is None
    closing = counted(PLAIN, [CompleteWorkflowExecution()])
    assert value(closing, "run_seconds_count", **NAMES) == len(decision_tasks(PLAIN.events))
    assert value(closing, "decisions_total", **NAMES, decision="CompleteWorkflowExecution") == 2


def history_of(*more: Any, seconds: float = 1) -> History:
    """A history of events at this distance: a run starts, then its first decision task, then these."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    data = (START, SCHEDULED, e.DecisionTaskStarted(scheduled_event_id=2), *more)
    return History(
        Event(number, begun + timedelta(seconds=seconds * (number - 1)), each)
        for number, each in enumerate(data, 1)
    )


def test_decision_task_that_timed_out_and_refused_decisions_are_counted() -> None:
    history = history_of(
        e.DecisionTaskTimedOut(timeout_type="START_TO_CLOSE", scheduled_event_id=2, started_event_id=3),
        SCHEDULED,
        e.DecisionTaskStarted(scheduled_event_id=5),
        e.DecisionTaskCompleted(scheduled_event_id=5, started_event_id=6),
        e.CompleteWorkflowExecutionFailed(cause="UNHANDLED_DECISION", decision_task_completed_event_id=7),
        SCHEDULED,
        e.DecisionTaskStarted(scheduled_event_id=9),
    )
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for at, previous in ((6, 0), (10, 6)):
        metrics.handled(task_of(history, at, previous), fold(history.events[:at]), [])
    assert value(registry, "decision_timeouts_total", **NAMES, type="START_TO_CLOSE") == 1
    cause = {"decision": "CompleteWorkflowExecution", "cause": "UNHANDLED_DECISION"}
    assert value(registry, "refused_decisions_total", **NAMES, **cause) == 1
    assert value(registry, "decision_wait_seconds_sum", task_list=START.task_list.name) == 2


def test_decision_task_scheduled_while_another_was_started_waits_from_the_end_of_that() -> None:
    history = history_of(
        e.WorkflowExecutionSignaled(signal_name="s"),
        SCHEDULED,
        e.DecisionTaskCompleted(scheduled_event_id=2, started_event_id=3),
        e.DecisionTaskStarted(scheduled_event_id=5),
        seconds=10,
    )
    registry = CollectorRegistry()
    Metrics(registry).handled(task_of(history, 7, 3, first=2), fold(history.events), [])
    assert value(registry, "decision_wait_seconds_sum", task_list=START.task_list.name) == 10


def test_decision_task_without_a_response_counts_alone() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    task = task_of(PLAIN, decision_tasks(PLAIN.events)[0].started, 0)
    metrics.handled(task, None, None)
    assert value(registry, "decision_tasks_total", **NAMES, result="no response") == 1
    assert value(registry, "runs_started_total", **NAMES) is None


def test_run_that_fails_because_it_cannot_be_read_counts_as_started_and_closed() -> None:
    registry, found = CollectorRegistry(), [FailWorkflowExecution(reason="SpecError")]
    metrics = Metrics(registry)
    first, second = (task.started for task in decision_tasks(PLAIN.events)[:2])
    task = task_of(PLAIN, first, 0)
    metrics.handled(task, None, found)
    assert value(registry, "decision_tasks_total", **NAMES, result="response") == 1
    assert value(registry, "runs_started_total", **NAMES) == 1
    assert value(registry, "run_seconds_count", **NAMES) == 1
    # The start is not among the events of this one.
    metrics.handled(task_of(PLAIN, second, first, first=first - 1), None, found)
    assert value(registry, "runs_started_total", **NAMES) == 1
    assert value(registry, "run_seconds_count", **NAMES) == 1


def test_history_that_cannot_be_counted_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    at = decision_tasks(PLAIN.events)[0].started
    nothing: Any = None
    broken = evolve(task_of(PLAIN, at, 0), events=(nothing,))
    with caplog.at_level(logging.WARNING, "floto"):
        Metrics(CollectorRegistry()).handled(broken, fold(PLAIN.events[:at]), [])
    assert "a decision task cannot be counted" in caplog.text
