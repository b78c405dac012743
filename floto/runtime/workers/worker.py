"""The loop that takes activity tasks, runs their activities and reports what came of them."""

from __future__ import annotations

import logging
import threading
from functools import partial
from queue import SimpleQueue

from floto import logs
from floto.core.errors import ServiceError, ServiceFault, ServiceGone, UnknownResource
from floto.core.payloads.reference import Store
from floto.core.spec.activity_timeouts import Timeouts
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC
from floto.core.swf.defaults import DEFAULT_TASK_LIST
from floto.core.swf.pollers import PollKind
from floto.core.swf.service import PolledActivityTask, Service
from floto.core.swf.shapes import WorkflowExecution
from floto.core.swf.wire import WireError
from floto.runtime.connect import checked_identity, closing, service_for
from floto.runtime.presence import announced
from floto.runtime.retrying import is_malformed, poll, report
from floto.runtime.shutdown import StopFlag, stop_on_signals
from floto.runtime.start_lines import names_of, place_of
from floto.runtime.workers import activities
from floto.runtime.workers import execute_activity as outcomes
from floto.runtime.workers.activities import Activities, RunningActivity
from floto.runtime.workers.execute_activity import Outcome
from floto.runtime.workers.heartbeats import Heartbeats
from floto.runtime.workers.storing import PatientStore
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: Seconds a poll waits where the service lets the caller choose; a stop takes as long.
POLL_SECONDS = 1.0
_SLOT_SECONDS = 0.5
#: Seconds between looks at whether a thread that is waited for was abandoned meanwhile.
_JOIN_SECONDS = 0.1
#: Abandoned activities that a worker lives with at least; it takes no more tasks while there are as many,
#: or four times as many as it has slots.
_LEAST_ABANDONED = 16


class ActivityWorker:
    """Runs activities from one task list.

    A task that this worker has no function for is given back: that counts as no attempt, and the task is
    offered again after growing waits. A task that the service has closed, or whose start-to-close time-out
    is over, frees its slot at once, even where its function hangs; what that returns is dropped.

    Args:
        task_list: Where to poll for activity tasks.
        service: A ``Service``, or a URL for ``floto.connect``; default: ``FLOTO_SERVICE``, else Amazon SWF.
        domain: SWF's domain; default: ``floto``.
        activities: What the worker can run; default: everything decorated with ``@floto.activity``.
        identity: What histories record of this worker, at most 256 characters; default: host and process id.
        concurrency: How many activities run at a time.
        task_heartbeat_in_seconds: Seconds between the heartbeats of a task. A task that sets a
            ``heartbeat_timeout`` gets at least three in that time. 0: no heartbeats. A cancel request
            reaches the activity with the next heartbeat.
        codec: Writes the tasks that generators return.
        payloads: Keeps results that are too long for SWF.
        poll_seconds: How long one poll waits where the service lets the caller choose.
        sole: No other worker polls this task list: a task that there is no function for fails.

    Raises:
        ValueError: if ``concurrency`` is below 1, or ``identity`` longer than SWF takes.
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
        task_heartbeat_in_seconds: float = 120,
        codec: Codec = CODEC,
        payloads: Store | None = None,
        poll_seconds: float = POLL_SECONDS,
        sole: bool = False,
    ) -> None:
        if concurrency < 1:
            msg = f"concurrency must be at least 1, not {concurrency}"
            raise ValueError(msg)
        self._given = service
        self._service, self._domain = service_for(service, domain), domain
        self._task_list = task_list
        self._registry = activities
        self._codec = codec
        self._payloads = None if payloads is None else PatientStore(payloads)
        self._identity = checked_identity(identity)
        self._poll_seconds = poll_seconds
        self._sole = sole
        self._heartbeats = Heartbeats(task_heartbeat_in_seconds)
        self._stop = StopFlag()
        self._troubles = TroubleLog(log)
        self._slots = threading.Semaphore(concurrency)
        self._most_abandoned = max(_LEAST_ABANDONED, 4 * concurrency)
        #: Guards what follows.
        self._lock = threading.Lock()
        self._running: dict[RunningActivity, None] = {}
        #: Activities whose slots are free again, though their functions still run.
        self._abandoned: dict[RunningActivity, None] = {}
        #: What each thread works on; None while it waits for a task.
        self._threads: dict[threading.Thread, RunningActivity | None] = {}
        #: How many of the threads wait for a task that is put into the queue.
        self._idle = threading.Semaphore(0)
        self._tasks: SimpleQueue[RunningActivity | None] = SimpleQueue()

    def run(self) -> None:
        """Work until ``stop()`` or (in the main thread) SIGINT or SIGTERM; then finish what runs.

        A service that was given as a URL is closed then; one closed before is a ``ServiceError``.
        """
        log.info(
            "working on task list %r as %s on %s; activities: %s",
            self._task_list,
            self._identity,
            place_of(self._service),
            names_of(self._registry.types),
        )
        with (
            closing(self._service, self._given),
            stop_on_signals(self.stop),
            self._heartbeats.sending(),
            announced(
                self._service, PollKind.ACTIVITIES, self._task_list, self._identity, self._registry.types
            ),
        ):
            try:
                self._take_tasks()
            except Exception:
                self._finish()
                raise
            self._finish()

    def stop(self) -> None:
        """Take no more tasks; ``run()`` returns when those that run are finished and reported."""
        self._stop.set()

    @property
    def running(self) -> tuple[RunningActivity, ...]:
        """The activities that run now."""
        return tuple(self._running)

    @property
    def is_busy(self) -> bool:
        """True while an activity runs whose result is waited for."""
        return bool(self._running)

    def drop(self, execution: WorkflowExecution) -> None:
        """Ask the activities of a run that is closed to stop: nobody waits for them."""
        for activity in self.running:
            if activity.execution == execution:
                activity.drop()

    def _take_tasks(self) -> None:
        while self._free_slot():
            task = self._next_task()
            if task is None:
                self._slots.release()
            else:
                self._start(task)

    def _next_task(self) -> PolledActivityTask | None:
        try:
            return poll(
                self._stop,
                self._service.poll_for_activity_task,
                self._task_list,
                self._identity,
                self._poll_seconds,
            )
        except WireError as error:
            # One task that nobody can read must not end the others: it times out.
            message = "task list %s: an activity task that cannot be read is left"
            self._troubles.failed("unreadable", message, self._task_list, level=logging.ERROR, error=error)
            self._stop.wait(_SLOT_SECONDS)
            return None

    def _free_slot(self) -> bool:
        """Wait until a task could run at once: polled earlier, its clocks would run while it waits here."""
        while not self._stop.is_set():
            if not self._slots.acquire(timeout=_SLOT_SECONDS):
                continue
            if not self._is_crowded():
                return not self._stop.is_set()
            self._slots.release()
            self._stop.wait(_SLOT_SECONDS)
        return False

    def _is_crowded(self) -> bool:
        """Return True while so many functions hang that another task might be one thread too many."""
        count = len(self._abandoned)
        if count < self._most_abandoned:
            return False
        message = "%d activities whose tasks are closed still run; taking no more tasks"
        self._troubles.failed("abandoned", message, count, level=logging.ERROR)
        return True

    def _start(self, task: PolledActivityTask) -> None:
        current = RunningActivity(task, self._service.record_activity_task_heartbeat, self._abandon)
        with self._lock:
            self._running[current] = None
        if self._idle.acquire(blocking=False):
            self._tasks.put(current)
            return
        # A daemon: the second signal must not wait for it.
        thread = threading.Thread(
            target=self._work_on, args=(current,), name=f"floto-{task.activity_id}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            # Not the task's fault: it times out and is tried again.
            message = "activity %s: no thread to run it"
            with current.logged():
                self._troubles.failed("threads", message, task.activity_id, level=logging.ERROR, error=error)
            self._leave(current)
            self._stop.wait(_SLOT_SECONDS)
        else:
            self._troubles.over("threads")
            self._threads.setdefault(thread, current)

    def _work_on(self, current: RunningActivity | None) -> None:
        """Run one activity after the other: most take less time than a new thread does."""
        thread = threading.current_thread()
        while current is not None:
            thread.name, self._threads[thread] = f"floto-{current.id}", current
            try:
                self._work(current)
                # Before its slot is free, so that the next task finds this thread and not a new one.
                self._threads[thread] = None
                self._idle.release()
            finally:
                self._leave(current)
            current = self._tasks.get()

    def _work(self, current: RunningActivity) -> None:
        with current.logged(), self._heartbeats.watching(current):
            log.debug("activity %s begins", current.id)
            outcome = self._outcome(current)
            if current.gone:
                log.warning("activity %s: %s dropped", current.id, type(outcome).__name__)
            else:
                self._report(current, outcome)

    def _outcome(self, current: RunningActivity) -> Outcome:
        kind = current.task.activity_type
        found = self._registry.find(kind, self._domain)
        if found is None:
            message = "task %s of %s: no activity %r version %r is registered"
            named = (current.id, current.execution, kind.name, kind.version)
            self._troubles.failed(kind, message, *named, level=logging.ERROR)
            return outcomes.unknown(self._registry, current.task, self._identity, sole=self._sole)
        learn = partial(self._learn, current)
        return outcomes.perform(found, current, self._codec, self._payloads, learn)

    def _learn(self, current: RunningActivity, timeouts: Timeouts) -> None:
        self._heartbeats.expect(current, timeouts)
        # The decider names the attempt from the second on.
        current.attempt = timeouts.attempt or 1
        logs.set_attempt(current.attempt)

    def _abandon(self, current: RunningActivity) -> None:
        """Free the slot of an activity that the service has closed; its thread goes on."""
        with self._lock:
            if current not in self._running:
                return
            del self._running[current]
            self._abandoned[current] = None
        self._slots.release()

    def _leave(self, current: RunningActivity) -> None:
        with self._lock:
            held_slot = current in self._running
            self._running.pop(current, None)
            self._abandoned.pop(current, None)
        if held_slot:
            self._slots.release()

    def _report(self, current: RunningActivity, outcome: Outcome) -> None:
        """Tell the service, for as long as it takes: that a report failed says nothing about the task."""
        current.reporting = True
        try:
            self._tell(current, outcome)
        except UnknownResource as fault:
            log.warning("activity %s: its result came too late (%s)", current.id, fault)
        except ServiceGone:
            log.warning("activity %s: the service is gone, and does not take its result", current.id)
        except ServiceError as error:
            message = "activity %s: the service does not take its result"
            self._troubles.failed("results", message, current.id, level=logging.ERROR, error=error)
        else:
            self._troubles.over("results")

    def _tell(self, current: RunningActivity, outcome: Outcome) -> None:
        try:
            report(self._stop, outcome.report, self._service, current.task.token)
        except ServiceFault as fault:
            if not is_malformed(fault):
                raise
            # Unreported, the task would stay open until it times out, or for ever.
            log.error("activity %s: the service refuses its result: %s", current.id, fault)  # noqa: TRY400
            report(self._stop, outcomes.refused(fault).report, self._service, current.task.token)

    def _finish(self) -> None:
        """Wait until every thread has finished what it works on, except for abandoned activities."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            while thread.is_alive() and self._threads[thread] not in self._abandoned:
                thread.join(_JOIN_SECONDS)
        if self._abandoned:
            names = ", ".join(activity.id for activity in self._abandoned)
            log.warning("not waiting for activities whose tasks are closed: %s", names)
