"""The service that starts a child workflow for each signal, and decides for the children."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from attrs import evolve

from floto.core.decide.daemon import (
    CHILD_TYPE,
    DAEMON_TYPE,
    MOST_LISTS,
    child_lists,
    decide_daemon,
    note_of,
    task_lists,
)
from floto.core.errors import HistoryError, ServiceError, ServiceUnavailable
from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, State
from floto.core.swf.decisions import Decision, StartChildWorkflowExecution
from floto.core.swf.defaults import DEFAULT_DOMAIN
from floto.core.swf.service import ExecutionInfo, Service
from floto.core.swf.wire import WireError
from floto.runtime.connect import checked_identity, closing, service_for
from floto.runtime.deciders.decider import Decider
from floto.runtime.retrying import persist, reach
from floto.runtime.shutdown import StopFlag, stop_on_signals
from floto.runtime.workers.worker import POLL_SECONDS
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: What a daemon process that died was to serve, the others learn by looking so often.
_LOOK_SECONDS = 30.0


class Daemon:
    """Decides for the daemon workflows on a task list, and for the children they start.

    Start a workflow of type ``floto_daemon_type`` ``v1`` on ``task_list``, and signal it
    ``startChildWorkflowExecution`` with ``{"decider_spec": ...}``. The spec travels in the child's
    input, so any daemon decides for any child: run as many as you like, and kill them at will.
    ``service`` is a ``Service`` or a URL for ``floto.connect`` (default: ``FLOTO_SERVICE``, else
    Amazon SWF); ``codec`` knows task kinds and strategies of your own that specs bring; ``payloads``
    stores inputs and results that are too long for SWF.
    """

    def __init__(  # noqa: PLR0913 - all of them are optional and named
        self,
        domain: str | None = None,
        task_list: str = "floto_daemon",
        *,
        service: Service | str | None = None,
        identity: str | None = None,
        codec: Codec = CODEC,
        payloads: Store | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        # Whoever gives a service of their own knows its domain; nothing says which it is.
        self._domain = domain or (DEFAULT_DOMAIN if service is None or isinstance(service, str) else None)
        self._task_list = task_list
        self._given = service
        self._service = service_for(service, domain)
        self._identity = checked_identity(identity)
        self._payloads = codec.store if payloads is None else payloads
        self._codec = codec.with_payloads(self._payloads)
        self._poll_seconds = poll_seconds
        self._stop = StopFlag()
        self._troubles = TroubleLog(log)
        #: The deciders of each task list, and what went wrong in them.
        self._deciders: dict[str, tuple[Decider, threading.Thread]] = {}
        #: Task lists to serve, errors that end a decider, None to look up: the way into ``run()``.
        self._news: SimpleQueue[str | Exception | None] = SimpleQueue()
        self._runs: dict[str, State] = {}

    def run(self) -> None:
        """Serve until stopped, by ``stop()`` or (in the main thread) SIGINT or SIGTERM.

        A service that was given as a URL is closed then; one closed before is a ``ServiceError``.
        """
        with closing(self._service, self._given), stop_on_signals(self.stop):
            try:
                self._begin()
                while not self._stop.is_set():
                    self._look()
                    self._follow_news()
            finally:
                self._finish()

    def stop(self) -> None:
        """Answer the decisions in hand, then return from ``run()``."""
        # Runs inside a signal handler: neither takes a lock.
        self._stop.set()
        self._news.put(None)

    def _begin(self) -> None:
        try:
            reach(self._stop, self._service.prepare, (DAEMON_TYPE, CHILD_TYPE), ())
        except ServiceUnavailable:
            if not self._stop.is_set():
                raise
            return
        self._serve(self._task_list)

    def _finish(self) -> None:
        for decider, _ in self._deciders.values():
            decider.stop()
        for _, thread in self._deciders.values():
            thread.join()

    def _follow_news(self) -> None:
        """Serve task lists as they become known, until it is time to look again."""
        with contextlib.suppress(Empty):
            while not self._stop.is_set():
                news = self._news.get(timeout=_LOOK_SECONDS)
                if isinstance(news, Exception):
                    raise news
                if news is not None:
                    self._serve(news)

    def _serve(self, task_list: str) -> None:
        """Make sure that this process decides for the runs of a task list."""
        if task_list in self._deciders:
            return
        if len(self._deciders) > MOST_LISTS:
            log.warning("task list %r is one too many for this daemon; run a Decider for it", task_list)
            return
        decider = self._decider_of(task_list)
        # A daemon: a second Ctrl-C does not wait for its poll.
        thread = threading.Thread(target=self._guarded, args=(decider,), daemon=True)
        self._deciders[task_list] = decider, thread
        thread.start()

    def _decider_of(self, task_list: str) -> Decider:
        return Decider(
            rules={DAEMON_TYPE: self._decide},
            service=self._service,
            task_list=task_list,
            identity=self._identity,
            codec=self._codec,
            payloads=self._payloads,
            listener=self._learn,
            poll_seconds=self._poll_seconds,
        )

    def _guarded(self, decider: Decider) -> None:
        try:
            decider.run()
        except Exception as error:  # noqa: BLE001 - it is raised again in run()
            self._news.put(error)

    def _decide(self, state: State) -> Sequence[Decision]:
        found = decide_daemon(state, domain=self._domain, codec=self._codec)
        for decision in found:
            if note := note_of(decision):
                log.warning("daemon %s starts no child for a signal: %s", state.execution, note)
        return found

    def _learn(self, found: Sequence[Decision], _error: Exception | None) -> None:
        for decision in found:
            if isinstance(decision, StartChildWorkflowExecution) and decision.task_list is not None:
                for task_list in child_lists(decision.input, decision.task_list.name, self._codec):
                    if task_list not in self._deciders:
                        self._news.put(task_list)

    def _look(self) -> None:
        """Learn from open daemon runs where their children are decided, whoever started them."""
        try:
            opened = persist(self._stop, self._service.open_executions, DAEMON_TYPE)
            self._runs = {info.execution.run_id: self._followed(info) for info in opened}
            self._troubles.over("looking at the open daemons")
        except (HistoryError, ServiceError, WireError) as error:
            if not self._stop.is_set():
                message = "cannot look at the open daemons (%s); looking again later"
                self._troubles.failed("looking at the open daemons", message, error)
        for state in self._runs.values():
            # Those on other lists have daemons of their own.
            if state.started is not None and state.start.task_list.name == self._task_list:
                for task_list in task_lists(state, self._codec):
                    self._serve(task_list)

    def _followed(self, info: ExecutionInfo) -> State:
        known = self._runs.get(info.execution.run_id) or evolve(EMPTY, execution=info.execution)
        new = persist(self._stop, self._service.history, info.execution, known.last_event_id)
        return fold(new, known)
