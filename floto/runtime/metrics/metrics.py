"""The metrics of the deciders and workers of one process.

Most of them come from the events that each decision task brings, and not from what this process did: an
attempt whose worker was killed has its event, too, and whichever decider gets that event counts it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from floto.core.replay.recorded_decisions import DECISION_OF_EVENT
from floto.core.state.ended_attempts import EndedAttempt, ended_attempts, events_after
from floto.core.state.state import State
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision, closes
from floto.core.swf.events import Event
from floto.core.swf.service import PolledDecisionTask
from floto.runtime.workers.worker import ActivityWorker
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: Upper bounds of histograms in seconds: from a commit to the day of a long run.
_SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
_WORKFLOW = ("workflow_type", "workflow_version")
_ACTIVITY = ("activity_type", "activity_version")


class Metrics:
    """Metrics for Prometheus, for the arguments ``metrics`` of ``Decider`` and ``ActivityWorker``.

    Several deciders and workers may share one. ``docs/operations.md`` lists the metrics.

    Args:
        registry: The registry of ``prometheus_client`` to which the metrics are added; default: its own,
            which ``prometheus_client.start_http_server`` serves.

    Raises:
        ValueError: if the registry has these metrics already.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"floto_{name}", text, labels, registry=registry)

        def seconds(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"floto_{name}_seconds", text, labels, buckets=_SECONDS, registry=registry)

        self._decision_tasks = counter(
            "decision_tasks", "Decision tasks, by whether they got a response.", *_WORKFLOW, "result"
        )
        self._timeouts = counter("decision_timeouts", "Decision tasks that timed out.", *_WORKFLOW, "type")
        self._waits = seconds("decision_wait", "Time until a decider took a decision task.", "task_list")
        self._decisions = counter("decisions", "Decisions that SWF has taken.", *_WORKFLOW, "decision")
        self._refusals = counter(
            "refused_decisions", "Decisions that SWF refused.", *_WORKFLOW, "decision", "cause"
        )
        self._runs_started = counter("runs_started", "Runs that were decided for the first time.", *_WORKFLOW)
        self._runs = seconds(
            "run", "Time from the start of a run to the decision that closes it.", *_WORKFLOW
        )
        self._attempts = counter("activity_attempts", "Attempts that have ended.", *_ACTIVITY, "status")
        self._activity_waits = seconds("activity_wait", "Time until a worker took an activity.", *_ACTIVITY)
        self._activity_runs = seconds("activity_run", "Time that a worker had an activity.", *_ACTIVITY)
        self._workers = _Workers()
        registry.register(self._workers)
        self._troubles = TroubleLog(log)

    def handled(
        self, task: PolledDecisionTask, state: State | None, decisions: Sequence[Decision] | None
    ) -> None:
        """Count a decision task, and if it got a response, what is new in its history.

        Args:
            task: The task.
            state: The state of its run; None if the spec or the history cannot be read.
            decisions: The decisions that the service has taken; None if the task got no response.
        """
        try:
            if decisions is None:
                self._decision_tasks.labels(*_names(task), "no response").inc()
            else:
                self._count(task, state, decisions)
        except Exception as error:  # noqa: BLE001 - runs are decided also if they cannot be counted
            self._troubles.failed("metrics", "a decision task cannot be counted", error=error)

    @contextmanager
    def watching(self, worker: ActivityWorker) -> Iterator[None]:
        """Show the slots of a worker while the block is executed."""
        self._workers.add(worker)
        try:
            yield
        finally:
            self._workers.remove(worker)

    def _count(self, task: PolledDecisionTask, state: State | None, decisions: Sequence[Decision]) -> None:
        names = _names(task)
        self._decision_tasks.labels(*names, "response").inc()
        for decision in decisions:
            self._decisions.labels(*names, type(decision).__name__).inc()
        if not task.previous_started_event_id:
            self._runs_started.labels(*names).inc()
        if closes(decisions) and (begun := _begun_at(task, state)) is not None:
            self._runs.labels(*names).observe((task.events[-1].at - begun).total_seconds())
        if state is None:
            return
        self._count_events(names, task, state)
        for attempt in ended_attempts(task.events, task.previous_started_event_id, state):
            self._count_attempt(attempt)

    def _count_events(self, names: Sequence[str], task: PolledDecisionTask, state: State) -> None:
        for event in events_after(task.events, task.previous_started_event_id):
            data = event.data
            if isinstance(data, e.DecisionTaskTimedOut):
                self._timeouts.labels(*names, data.timeout_type).inc()
            elif event.id == task.started_event_id:
                self._count_wait(event, task.events, state)
            elif type(data) in DECISION_OF_EVENT and (cause := getattr(data, "cause", None)):
                self._refusals.labels(*names, DECISION_OF_EVENT[type(data)].__name__, cause).inc()

    def _count_wait(self, started: Event, events: Sequence[Event], state: State) -> None:
        """Observe how long a decision task could have been dispatched, but was not."""
        scheduled = events[started.data.scheduled_event_id - events[0].id]
        waited = started.at - state.decision_tasks.waits_since(scheduled)
        self._waits.labels(scheduled.data.task_list.name).observe(waited.total_seconds())

    def _count_attempt(self, attempt: EndedAttempt) -> None:
        names = attempt.activity_type.name, attempt.activity_type.version
        self._attempts.labels(*names, attempt.status).inc()
        self._activity_waits.labels(*names).observe(attempt.waited.total_seconds())
        if attempt.ran is not None:
            self._activity_runs.labels(*names).observe(attempt.ran.total_seconds())


def _names(task: PolledDecisionTask) -> tuple[str, str]:
    return task.workflow_type.name, task.workflow_type.version


def _begun_at(task: PolledDecisionTask, state: State | None) -> datetime | None:
    """Return when a run began; None if neither its state nor the events of the task say so."""
    if state is not None:
        return state.begun_at
    return task.events[0].at if task.events and task.events[0].id == 1 else None


class _Workers(Collector):
    """The slots of the workers that run now, by task list."""

    def __init__(self) -> None:
        self._workers: dict[ActivityWorker, None] = {}

    def add(self, worker: ActivityWorker) -> None:
        self._workers[worker] = None

    def remove(self, worker: ActivityWorker) -> None:
        self._workers.pop(worker, None)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauges, each with the sum of the workers of a task list."""
        slots = GaugeMetricFamily(
            "floto_worker_slots", "Activities that workers may run at the same time.", labels=("task_list",)
        )
        running = GaugeMetricFamily(
            "floto_worker_activities", "Activities that workers run now.", labels=("task_list",)
        )
        counts: dict[str, tuple[int, int]] = {}
        for worker in tuple(self._workers):
            most, now = counts.get(worker.task_list, (0, 0))
            counts[worker.task_list] = most + worker.concurrency, now + len(worker.running)
        for task_list, (most, now) in counts.items():
            slots.add_metric((task_list,), most)
            running.add_metric((task_list,), now)
        return slots, running
