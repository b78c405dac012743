"""The worker's loop: polls for activity tasks, runs their activities and reports the outcomes."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING

from floto import logs
from floto.core.engine.embedded import EmbeddedService, NextTask, embedded
from floto.core.errors import ServiceError
from floto.core.payloads.reference import Store
from floto.core.spec.activity_timeouts import Timeouts
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC
from floto.core.swf.floto_defaults import DEFAULT_TASK_LIST
from floto.core.swf.pollers import PollKind
from floto.core.swf.service import PolledActivityTask, Service
from floto.core.swf.shapes import WorkflowExecution
from floto.core.swf.wire import WireError
from floto.runtime.argument_checks import (
    checked_codec,
    checked_concurrency,
    checked_identity,
    checked_metrics,
    checked_rate,
    checked_seconds,
    checked_store,
    checked_task_list,
)
from floto.runtime.connect import closing, service_for
from floto.runtime.presence import announced
from floto.runtime.retrying import poll, poll_alone
from floto.runtime.shutdown import StopFlag, stop_on_signals
from floto.runtime.start_lines import describe_service, describe_types
from floto.runtime.workers import activities
from floto.runtime.workers import execute_activity as outcomes
from floto.runtime.workers.activities import Activities, as_activities
from floto.runtime.workers.activity_threads import ActivityThreads
from floto.runtime.workers.execute_activity import Outcome
from floto.runtime.workers.heartbeats import Heartbeats
from floto.runtime.workers.pace import Pace
from floto.runtime.workers.reporting import report_outcome
from floto.runtime.workers.running_activity import RunningActivity
from floto.runtime.workers.storing import DroppedAtStop, RetryingStore
from floto.trouble_log import TroubleLog

if TYPE_CHECKING:
    from floto.runtime.metrics.metrics import Metrics

log = logging.getLogger("floto")

#: Default seconds that a poll waits, for services that let the caller choose; a stop may take as long.
POLL_SECONDS = 1.0
_SLOT_SECONDS = 0.5
#: SWF holds a poll for 60 seconds. If it has taken longer by the clock of the machine, the process was
#: suspended, and the task may have been dispatched long ago.
_LONGEST_POLL_SECONDS = 65.0
#: A worker claims no task while this number of abandoned activities still run, or four times its slots if
#: that is more.
_LEAST_ABANDONED = 16


class ActivityWorker:
    """Runs activities from one task list.

    A task that this worker has no function for is given back: this does not count as an attempt, and the task
    is scheduled again after growing waits. A task that the service has closed, or whose start-to-close
    time-out is over, frees its slot at once, even if its function hangs; the result is dropped.

    Args:
        task_list: Task list to poll; default: ``floto``.
        service: A ``Service``, or a URL for ``floto.connect``; default: ``FLOTO_SERVICE``, else Amazon SWF.
        domain: SWF's domain; default: ``floto``.
        activities: The activities to run; default: all that are decorated with ``@floto.activity``.
        identity: Identity that histories record, at most 256 characters; default: host and process id.
        concurrency: Maximum number of activities that run at the same time, each in a thread of its own.
        max_per_second: Maximum number of activities that this worker starts per second, at even distances;
            0.1: one in ten seconds. Default: no limit.
        task_heartbeat_in_seconds: Seconds between the heartbeats of a task; 0: no heartbeats. A task with a
            ``heartbeat_timeout`` gets at least three in that time. A cancel request reaches the activity with
            the response to a heartbeat.
        codec: Writes the tasks that generators return.
        payloads: A store for results that are too long for SWF, and for inputs that deciders stored, or its
            name: a directory or ``s3://bucket/prefix``.
        poll_seconds: Seconds that one poll waits, for services that let the caller choose.
        sole: True if no other worker polls this task list: a task without a function then fails, and a poll
            without permission ends ``run()``.
        metrics: Metrics for Prometheus that show its slots.

    Raises:
        ValueError: if ``concurrency`` is less than 1, ``max_per_second`` not above 0, or ``identity`` longer
            than 256 characters.
        UnknownService: if ``service`` is not a URL of a service.
        UnknownStore: if ``payloads`` is not the name of a store.
        TypeError: if an argument is of another type, such as a client of boto3 as ``service``.
    """

    def __init__(  # noqa: PLR0913 - all of them are optional and named
        self,
        *,
        task_list: str = DEFAULT_TASK_LIST,
        service: Service | str | None = None,
        domain: str | None = None,
        activities: Activities = activities.DEFAULT,
        identity: str | None = None,
        concurrency: int = 1,
        max_per_second: float | None = None,
        task_heartbeat_in_seconds: float = 120,
        codec: Codec = CODEC,
        payloads: Store | str | None = None,
        poll_seconds: float = POLL_SECONDS,
        sole: bool = False,
        metrics: Metrics | None = None,
    ) -> None:
        self.task_list = checked_task_list(task_list)
        self.concurrency = checked_concurrency(concurrency)
        self._pace = Pace(checked_rate(max_per_second))
        self._registry = as_activities(activities)
        self._codec = checked_codec(codec)
        self._identity = checked_identity(identity)
        self._poll_seconds = checked_seconds(poll_seconds, "poll_seconds")
        self._sole, self._metrics = sole, checked_metrics(metrics)
        self._heartbeats = Heartbeats(checked_seconds(task_heartbeat_in_seconds, "task_heartbeat_in_seconds"))
        self._stop = StopFlag()
        store = checked_store(payloads)
        self._payloads = None if store is None else RetryingStore(store, self._stop)
        # Last of what may raise an error, which would leave it open.
        self._given, self._service, self._domain = service, service_for(service, domain), domain
        # The embedded engine would claim the next task with each report.
        self._embedded = None if max_per_second else embedded(self._service)
        self._troubles = TroubleLog(log)
        self._slots = threading.Semaphore(concurrency)
        self._most_abandoned = max(_LEAST_ABANDONED, 4 * concurrency)
        #: Guards the attributes below.
        self._lock = threading.Lock()
        self._running: dict[RunningActivity, None] = {}
        #: Activities whose functions still run although their slots were freed.
        self._abandoned: dict[RunningActivity, None] = {}
        self._threads = ActivityThreads()

    def run(self) -> None:
        """Run activities until ``stop()`` or (in the main thread) SIGINT or SIGTERM; then finish those.

        Afterwards, a service that was given as a URL is closed.

        Raises:
            ServiceError: if the service was closed before, or fails permanently.
        """
        log.info(
            "working on task list %r as %s on %s; activities: %s",
            self.task_list,
            self._identity,
            describe_service(self._service),
            describe_types(self._registry.types),
        )
        with (
            closing(self._service, self._given),
            stop_on_signals(self.stop),
            self._heartbeats.sending(),
            nullcontext() if self._metrics is None else self._metrics.watching(self),
            announced(
                self._service, PollKind.ACTIVITIES, self.task_list, self._identity, self._registry.types
            ),
        ):
            try:
                self._take_tasks()
            except Exception:
                self._finish()
                raise
            self._finish()

    def stop(self) -> None:
        """Make ``run()`` report its running activities and return; may be called in any thread."""
        self._stop.set()

    @property
    def running(self) -> tuple[RunningActivity, ...]:
        """The activities that run now."""
        return tuple(self._running)

    @property
    def is_busy(self) -> bool:
        """True while an activity runs whose result will be reported."""
        with self._lock:
            return bool(self._running)

    def drop(self, execution: WorkflowExecution) -> None:
        """Request cancellation of the activities of a closed run: their results will not be used."""
        for activity in self.running:
            if activity.execution == execution:
                activity.drop()

    def _take_tasks(self) -> None:
        while self._free_slot():
            began, task = time.time(), None
            try:
                task = self._next_task()
            finally:
                if task is None:
                    self._slots.release()
            if task is not None:
                self._pace.start()
                self._start(task, is_late=time.time() - began > _LONGEST_POLL_SECONDS)

    def _next_task(self) -> PolledActivityTask | None:
        polled = poll_alone if self._sole else poll
        where = (self.task_list, self._identity, self._poll_seconds)
        try:
            return polled(self._stop, self._service.poll_for_activity_task, *where)
        except WireError as error:
            # A task that cannot be parsed must not stop the others: it times out.
            message = "task list %s: an activity task cannot be parsed and is left to time out"
            self._troubles.failed("unreadable", message, self.task_list, level=logging.ERROR, error=error)
            self._stop.wait(_SLOT_SECONDS)
            return None

    def _free_slot(self) -> bool:
        """Wait for a free slot before polling: a claimed task that waits here would use up its time-outs."""
        while not self._stop.is_set():
            if not self._slots.acquire(timeout=_SLOT_SECONDS):
                continue
            if not self._has_too_many_abandoned() and self._pace.wait(self._stop):
                return True
            self._slots.release()
            self._stop.wait(_SLOT_SECONDS)
        return False

    def _has_too_many_abandoned(self) -> bool:
        """Return True while the number of abandoned activities that still run is at its limit."""
        count = len(self._abandoned)
        if count < self._most_abandoned:
            return False
        message = "%d activities whose tasks are closed still run; claiming no more tasks"
        self._troubles.failed("abandoned", message, count, level=logging.ERROR)
        return True

    def _start(self, task: PolledActivityTask, *, is_late: bool) -> None:
        current = RunningActivity(task, self._service.record_activity_task_heartbeat, self._abandon)
        current.is_late = is_late
        with self._lock:
            self._running[current] = None
        try:
            self._threads.begin(current, partial(self._work, current))
        except RuntimeError as error:
            # The task is not at fault: it times out and is retried.
            message = "activity %s: no thread to run it"
            with current.logged():
                self._troubles.failed("threads", message, task.activity_id, level=logging.ERROR, error=error)
            self._remove(current)
            self._stop.wait(_SLOT_SECONDS)
        else:
            self._troubles.over("threads")

    def _work(self, current: RunningActivity) -> None:
        """Run an activity and report its outcome; ``_reported`` goes on if that takes a step of its own."""
        self._heartbeats.watch(current)
        try:
            with current.logged():
                outcome = self._run(current)
                is_reporting = outcome is not None and self._report(current, outcome)
        except BaseException:
            # This thread ends, with the activity.
            self._remove(current)
            raise
        if not is_reporting:
            self._end(current)

    def _run(self, current: RunningActivity) -> Outcome | None:
        """Run an activity; return its outcome, or None if there is nothing to report."""
        if current.is_late:
            current.beat()
            if current.gone:
                return None
        log.debug("activity %s begins", current.id)
        try:
            outcome = self._outcome(current)
        except DroppedAtStop as error:
            log.warning("activity %s: dropped at the stop, to be done again (%s)", current.id, error)
            return None
        if current.gone:
            log.warning("activity %s: %s dropped", current.id, type(outcome).__name__)
            return None
        return outcome

    def _outcome(self, current: RunningActivity) -> Outcome:
        kind = current.task.activity_type
        found = self._registry.find(kind, self._domain)
        if found is None:
            message = "task %s of %s: no activity %r version %r is registered"
            named = (current.id, current.execution, kind.name, kind.version)
            self._troubles.failed(kind, message, *named, level=logging.ERROR)
            return outcomes.unknown(self._registry, current.task, self._identity, sole=self._sole)
        on_timeouts = partial(self._on_timeouts, current)
        return outcomes.perform(found, current, self._codec, self._payloads, on_timeouts)

    def _on_timeouts(self, current: RunningActivity, timeouts: Timeouts) -> None:
        self._heartbeats.set_timeouts(current, timeouts)
        # Deciders write the attempt into the input from the second on.
        current.attempt = timeouts.attempt or 1
        current.checkpoint = timeouts.checkpoint
        logs.set_attempt(current.attempt)

    def _abandon(self, current: RunningActivity) -> None:
        """Free the slot of an activity whose task is closed; its thread continues."""
        with self._lock:
            if current not in self._running:
                return
            del self._running[current]
            self._abandoned[current] = None
        self._slots.release()

    def _end(self, current: RunningActivity) -> None:
        # Before its slot is freed, so that the next task reuses this thread.
        self._threads.end()
        self._remove(current)

    def _remove(self, current: RunningActivity) -> None:
        self._heartbeats.unwatch(current)
        with self._lock:
            held_slot = current in self._running
            self._running.pop(current, None)
            self._abandoned.pop(current, None)
        if held_slot:
            self._slots.release()

    def _report(self, current: RunningActivity, outcome: Outcome) -> bool:
        """Report the outcome; return True if ``_reported`` is to be called when that is done.

        Where the service is in this process, the next task is claimed with the report, and this thread waits
        only if it has nothing else to do.
        """
        current.reporting = True
        service = self._embedded
        if service is not None and not self._stop.is_set() and not self._abandoned:

            def done(next_task: NextTask) -> None:
                self._threads.go_on(current, partial(self._reported, service, current, outcome, next_task))

            # With retries, if this fails.
            with suppress(ServiceError):
                service.begin_report(
                    outcome.report,
                    current.task.token,
                    (self.task_list, self._identity),
                    done,
                    leads=not self._threads.has_steps,
                    lead_in=partial(self._threads.go_on, current),
                )
                return True
        report_outcome(self._service, self._stop, current, outcome)
        return False

    def _reported(
        self, service: EmbeddedService, current: RunningActivity, outcome: Outcome, next_task: NextTask
    ) -> None:
        """Go on with the task that was claimed with a report; report again if that has failed."""
        following: RunningActivity | None = None
        try:
            try:
                task = next_task()
            except ServiceError:
                # With retries, and without a task that would have to wait for them.
                with current.logged():
                    report_outcome(self._service, self._stop, current, outcome)
            else:
                following = None if task is None else self._passed_slot(service, current, task)
        except BaseException:
            self._remove(current)
            raise
        if following is None:
            self._end(current)
        else:
            self._heartbeats.unwatch(current)
            self._threads.go_on(following, partial(self._work, following))

    def _passed_slot(
        self, service: EmbeddedService, current: RunningActivity, task: PolledActivityTask
    ) -> RunningActivity | None:
        """Give the slot of a finished activity to the next one; give the task back if the slot was freed."""
        following = RunningActivity(task, service.record_activity_task_heartbeat, self._abandon)
        with self._lock:
            if current in self._running:
                del self._running[current]
                self._running[following] = None
                return following
        # If this fails, the task times out, as after a crash of this worker.
        with suppress(ServiceError):
            service.give_back(task.token)
        return None

    def _finish(self) -> None:
        """Wait until the outcome of every activity is reported, except for abandoned ones."""
        self._threads.finish(lambda: self.is_busy)
        if self._abandoned:
            names = ", ".join(activity.id for activity in self._abandoned)
            log.warning("not waiting for activities whose tasks are closed: %s", names)
