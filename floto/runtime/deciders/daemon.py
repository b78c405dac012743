"""The daemon: starts a child workflow for each signal, and decides for the children."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, ClassVar

from attrs import evolve

from floto.core.decide.child_requests import CHILD_TYPE, recorded_problem
from floto.core.decide.daemon import (
    DAEMON_LIST,
    DAEMON_TYPE,
    MOST_LISTS,
    child_lists,
    decide_daemon,
    task_lists,
)
from floto.core.errors import HistoryError, ServiceError, ServiceUnavailable
from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, State
from floto.core.swf.decisions import Decision, StartChildWorkflowExecution
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN
from floto.core.swf.service import ExecutionInfo, Service
from floto.core.swf.wire import WireError
from floto.runtime.argument_checks import (
    checked_codec,
    checked_identity,
    checked_metrics,
    checked_seconds,
    checked_store,
    checked_task_list,
)
from floto.runtime.connect import closing, service_for
from floto.runtime.deciders.decider import Decider
from floto.runtime.retrying import persist, persist_at_start
from floto.runtime.shutdown import StopFlag, stop_on_signals
from floto.runtime.supervisor import Supervisor
from floto.runtime.workers.worker import POLL_SECONDS
from floto.trouble_log import TroubleLog

if TYPE_CHECKING:
    from floto.runtime.metrics.metrics import Metrics

log = logging.getLogger("floto")

#: Seconds between scans of open daemon runs, by which the task lists of a crashed daemon are taken over.
_SCAN_SECONDS = 30.0


class Daemon:
    """Decides for the daemon workflows on a task list, and for the children they start.

    Start a workflow of type ``floto_daemon_type`` ``v1`` on ``task_list``, and signal it
    ``startChildWorkflowExecution`` with ``{"decider_spec": ...}``. The child's input contains the spec, so
    any daemon can decide for any child: run several daemons, and stop or kill any of them.

    Args:
        domain: SWF's domain; default: ``floto``.
        task_list: Task list of the daemon workflows.
        service: A ``Service``, or a URL for ``floto.connect``; default: ``FLOTO_SERVICE``, else Amazon SWF.
        identity: Identity that histories record, at most 256 characters; default: host and process id.
        codec: Reads task kinds and retry strategies of your own in specs.
        payloads: A store for inputs and results that are too long for SWF, or its name.
        poll_seconds: Seconds that one poll waits, for services that let the caller choose.
        metrics: Metrics for Prometheus, as for ``Decider``.

    Raises:
        ValueError: if ``identity`` is longer than 256 characters.
        UnknownService: if ``service`` is not a URL of a service.
    """

    #: The workflow type of the runs that start the children.
    type_: ClassVar = DAEMON_TYPE

    def __init__(  # noqa: PLR0913 - all of them are optional and named
        self,
        domain: str | None = None,
        task_list: str = DAEMON_LIST,
        *,
        service: Service | str | None = None,
        identity: str | None = None,
        codec: Codec = CODEC,
        payloads: Store | str | None = None,
        poll_seconds: float = POLL_SECONDS,
        metrics: Metrics | None = None,
    ) -> None:
        # The domain of a service object is not known here.
        self._domain = domain or (DEFAULT_DOMAIN if service is None or isinstance(service, str) else None)
        self._task_list = checked_task_list(task_list)
        self._identity = checked_identity(identity)
        self._payloads = checked_store(checked_codec(codec).store if payloads is None else payloads)
        self._codec = codec.with_payloads(self._payloads)
        self._poll_seconds = checked_seconds(poll_seconds, "poll_seconds")
        self._metrics = checked_metrics(metrics)
        # Last of what may raise an error, which would leave it open.
        self._given, self._service = service, service_for(service, domain)
        self._stop = StopFlag()
        self._troubles = TroubleLog(log)
        #: Task lists for ``run()`` to serve; None at ``stop()`` and when a decider has failed.
        self._events: SimpleQueue[str | None] = SimpleQueue()
        #: Runs a decider for each task list in ``_served``.
        self._supervisor = Supervisor(lambda: self._events.put(None))
        self._served: set[str] = set()
        self._runs: dict[str, State] = {}

    def run(self) -> None:
        """Decide until ``stop()`` or (in the main thread) SIGINT or SIGTERM.

        Afterwards, a service that was given as a URL is closed.

        Raises:
            ServiceError: if the service was closed before, or fails permanently.
            ServiceUnavailable: if the service does not answer the first call for 30 seconds.
        """
        with closing(self._service, self._given), stop_on_signals(self.stop):
            try:
                self._begin()
                while not self._stop.is_set():
                    self._scan_open_daemons()
                    self._handle_events()
            finally:
                self._supervisor.stop()
                self._supervisor.join()

    def stop(self) -> None:
        """Make ``run()`` finish its decision tasks and return; may be called in any thread."""
        # Called in a signal handler, so neither call may acquire a lock.
        self._stop.set()
        self._events.put(None)

    def _begin(self) -> None:
        try:
            persist_at_start(self._stop, self._service.prepare, (self.type_, CHILD_TYPE), ())
        except ServiceUnavailable:
            if not self._stop.is_set():
                raise
            return
        self._serve(self._task_list)

    def _handle_events(self) -> None:
        """Serve task lists as they become known, until the next scan is due."""
        with contextlib.suppress(Empty):
            while not self._stop.is_set():
                event = self._events.get(timeout=_SCAN_SECONDS)
                self._supervisor.check()
                if event is not None:
                    self._serve(event)

    def _serve(self, task_list: str) -> None:
        """Start a decider for a task list, unless this process has one."""
        if task_list in self._served:
            return
        if len(self._served) > MOST_LISTS:
            log.warning(
                "this daemon serves its maximum of task lists; run a Decider for task list %r", task_list
            )
            return
        self._served.add(task_list)
        self._supervisor.start(self._decider_of(task_list))

    def _decider_of(self, task_list: str) -> Decider:
        return Decider(
            rules={self.type_: self._decide},
            service=self._service,
            task_list=task_list,
            identity=self._identity,
            codec=self._codec,
            payloads=self._payloads,
            listener=self._serve_children,
            poll_seconds=self._poll_seconds,
            metrics=self._metrics,
        )

    def _decide(self, state: State) -> Sequence[Decision]:
        found = decide_daemon(state, domain=self._domain, codec=self._codec)
        for decision in found:
            if problem := recorded_problem(decision):
                log.warning("daemon %s starts no child for a signal: %s", state.execution, problem)
        return found

    def _lists(self, state: State) -> Iterable[str]:
        """Return the decision task lists of a run's descendants."""
        return task_lists(state, self._codec)

    def _serve_children(self, found: Sequence[Decision], _error: Exception | None) -> None:
        for decision in found:
            if isinstance(decision, StartChildWorkflowExecution) and decision.task_list is not None:
                for task_list in child_lists(decision.input, decision.task_list.name, self._codec):
                    if task_list not in self._served:
                        self._events.put(task_list)

    def _scan_open_daemons(self) -> None:
        """Serve the task lists of all children of open daemon runs, also of those another process started."""
        try:
            opened = persist(self._stop, self._service.open_executions, self.type_)
            self._runs = {info.execution.run_id: self._updated(info) for info in opened}
            self._troubles.over("scanning the open daemon runs")
        except (HistoryError, ServiceError, WireError) as error:
            if not self._stop.is_set():
                message = "cannot read the open daemon runs (%s); the next scan retries"
                self._troubles.failed("scanning the open daemon runs", message, error)
        for state in self._runs.values():
            # Daemon runs on other task lists have daemons of their own.
            if state.started is not None and state.start.task_list.name == self._task_list:
                for task_list in self._lists(state):
                    self._serve(task_list)

    def _updated(self, info: ExecutionInfo) -> State:
        known = self._runs.get(info.execution.run_id) or evolve(EMPTY, execution=info.execution)
        new = persist(self._stop, self._service.history, info.execution, known.last_event_id)
        return fold(new, known)
