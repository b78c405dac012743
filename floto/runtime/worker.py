"""The loop that takes activity tasks, runs their activities and reports what came of them."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue

from floto.core.codec import Codec
from floto.core.errors import ServiceError, UnknownResource
from floto.core.ports import ActivityTask, Service
from floto.core.reference import Store
from floto.core.shapes import WorkflowExecution
from floto.core.specs import CODEC
from floto.core.wire import WireError
from floto.runtime import activities, outcomes
from floto.runtime.activities import Activities, RunningActivity
from floto.runtime.connect import DEFAULT_TASK_LIST, closing, default_identity, service_for
from floto.runtime.heartbeats import Heartbeats
from floto.runtime.outcomes import Outcome
from floto.runtime.resilient import poll, report
from floto.runtime.stopping import StopFlag, stop_on_signals
from floto.runtime.storing import PatientStore

log = logging.getLogger("floto")

#: Seconds a poll waits where the service lets the caller choose; a stop takes as long.
POLL_SECONDS = 1.0
_SLOT_SECONDS = 0.5


class ActivityWorker:
    """Runs activities from one task list, up to ``concurrency`` at a time.

    ``service`` is a ``Service`` or a URL for ``floto.connect`` (default: ``FLOTO_SERVICE``, else Amazon SWF);
    ``activities`` defaults to everything decorated with ``@floto.activity``. A heartbeat
    is sent every ``task_heartbeat_in_seconds``, none at all for 0. ``codec`` writes the tasks
    that generators return; ``payloads`` keeps results that are too long for SWF.
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
    ) -> None:
        if concurrency < 1:
            msg = f"concurrency must be at least 1, not {concurrency}"
            raise ValueError(msg)
        self._given = service
        self._service = service_for(service, domain)
        self._task_list = task_list
        self._registry = activities
        self._codec = codec
        self._payloads = None if payloads is None else PatientStore(payloads)
        self._identity = identity or default_identity()
        self._poll_seconds = poll_seconds
        self._heartbeats = Heartbeats(task_heartbeat_in_seconds)
        self._stop = StopFlag()
        self._slots = threading.Semaphore(concurrency)
        self._running: dict[RunningActivity, None] = {}
        self._threads: list[threading.Thread] = []
        #: How many of the threads wait for a task that is put into the queue.
        self._idle = threading.Semaphore(0)
        self._tasks: SimpleQueue[RunningActivity | None] = SimpleQueue()

    def run(self) -> None:
        """Work until ``stop()`` or (in the main thread) SIGINT or SIGTERM; then finish what runs.

        A service that was given as a URL is closed then; one closed before is a ``ServiceError``.
        """
        log.info("working on task list %r as %s", self._task_list, self._identity)
        with (
            closing(self._service, self._given),
            stop_on_signals(self.stop),
            self._heartbeats.sending(),
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

    def _next_task(self) -> ActivityTask | None:
        try:
            return poll(
                self._stop,
                self._service.poll_for_activity_task,
                self._task_list,
                self._identity,
                self._poll_seconds,
            )
        except WireError:
            # One task that nobody can read must not end the others: it times out.
            log.exception("task list %s: an activity task that cannot be read is left", self._task_list)
            self._stop.wait(_SLOT_SECONDS)
            return None

    def _free_slot(self) -> bool:
        """Wait until a task could run at once: polled earlier, its clocks would run while it waits here."""
        while not self._stop.is_set():
            if self._slots.acquire(timeout=_SLOT_SECONDS):
                return not self._stop.is_set()
        return False

    def _start(self, task: ActivityTask) -> None:
        current = RunningActivity(task, self._service.record_activity_task_heartbeat)
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
        except RuntimeError:
            # Not the task's fault: it times out and is tried again.
            log.exception("activity %s: no thread to run it", task.activity_id)
            self._leave(current)
            self._stop.wait(_SLOT_SECONDS)
        else:
            self._threads.append(thread)

    def _work_on(self, current: RunningActivity | None) -> None:
        """Run one activity after the other: most take less time than a new thread does."""
        while current is not None:
            threading.current_thread().name = f"floto-{current.id}"
            try:
                self._work(current)
                # Before its slot is free, so that the next task finds this thread and not a new one.
                self._idle.release()
            finally:
                self._leave(current)
            current = self._tasks.get()

    def _work(self, current: RunningActivity) -> None:
        log.debug("activity %s begins", current.id)
        with self._heartbeats.watching(current):
            outcome = outcomes.perform(self._registry, current, self._codec, self._payloads)
            if current.gone:
                log.warning("activity %s: %s dropped", current.id, type(outcome).__name__)
            else:
                self._report(current, outcome)

    def _leave(self, current: RunningActivity) -> None:
        del self._running[current]
        self._slots.release()

    def _report(self, current: RunningActivity, outcome: Outcome) -> None:
        """Tell the service, for as long as it takes: that a report failed says nothing about the task."""
        current.reporting = True
        try:
            report(outcome.report, self._service, current.task.token)
        except UnknownResource as fault:
            log.warning("activity %s: its result came too late (%s)", current.id, fault)
        except ServiceError:
            log.exception("activity %s: the service does not take its result", current.id)

    def _finish(self) -> None:
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
