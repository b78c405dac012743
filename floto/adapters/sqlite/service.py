"""SWF for deciders and workers on one machine: the pure engine over one SQLite file."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Self, TypeVar

from attrs import frozen

from floto.adapters.clock import utc_now
from floto.adapters.sqlite import inspection
from floto.adapters.sqlite.batches import Write
from floto.adapters.sqlite.sqlite_engine import SqliteEngine
from floto.adapters.sqlite.storage.database import MEMORY, Durability
from floto.adapters.sqlite.storage.store import SqliteStore
from floto.adapters.sqlite.wait_queue import Answering, Poll
from floto.core.engine import commands as c
from floto.core.engine.changed_keys import ChangedKeys
from floto.core.engine.commands import start_command
from floto.core.engine.embedded import Decided, DecidesAtOnce, NextTask
from floto.core.engine.engine import Engine
from floto.core.engine.registration.auto_register import Registrar
from floto.core.engine.run import ToWorkflow
from floto.core.engine.stores.records import ListingQuery, TaskQueue
from floto.core.engine.stores.store import known_run
from floto.core.engine.tokens import TaskKind, run_id_from
from floto.core.state.state import State
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.limits import OPEN_RUN_LIMIT
from floto.core.swf.pollers import Live, Poller, PollKind
from floto.core.swf.service import (
    Clock,
    ExecutionInfo,
    PolledActivityTask,
    PolledDecisionTask,
    ReportsActivities,
    StartRequest,
)
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType

T = TypeVar("T")

_token_of = attrgetter("token")
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class SqliteService:
    """A ``floto.core.swf.service.Service`` on a file that any number of threads and processes may share.

    Deadlines fire with the next call or pending poll of any process. Tasks that a process owned when it
    crashed are redelivered unchanged, at no cost to the run; one that may be the cause of three crashes
    times out.

    Args:
        path: The file, which is created if it is missing; ``":memory:"`` for none.
        domain: The domain of every call.
        clock: Returns the current time in UTC; default: the machine's clock.
        durability: ``"full"`` syncs the disk with every commit; ``"normal"`` may lose the latest commits in a
            power cut.
        auto_register: Register the domain and the types that calls name, with floto's defaults.

    Raises:
        ServiceError: if the file is not a floto database, of a newer version, or damaged.
    """

    def __init__(
        self,
        path: str | Path,
        domain: str = "floto",
        *,
        clock: Clock | None = None,
        durability: Durability = "full",
        auto_register: bool = True,
    ) -> None:
        self._domain = domain
        self._host = SqliteEngine(path, clock or utc_now, durability)
        self._engine = self._host.engine
        self._registrar = Registrar(self._engine.registration, self._host.store, domain)
        self._auto_register = auto_register
        # Opening a file that has the domain does not wait for other writers.
        with ExitStack() as failed:
            failed.callback(self._host.close)
            if auto_register and self._host.query(lambda store, _now: store.domain(domain)) is None:
                self.prepare((), ())
            failed.pop_all()

    @property
    def domain(self) -> str:
        """The domain that every call belongs to."""
        return self._domain

    @property
    def url(self) -> str:
        """The URL of the file, for ``floto.connect``."""
        return "memory:" if self._host.path == MEMORY else f"sqlite:///{self._host.path}"

    def prepare(self, workflow_types: Sequence[WorkflowType], activity_types: Sequence[ActivityType]) -> None:
        """Register the domain and these types; existing ones are not changed."""
        self._host.write(lambda now: self._registrar.register_types(workflow_types, activity_types, now))

    def start_workflow_execution(self, request: StartRequest) -> str:
        """Start a run and return its run id."""
        run_id = run_id_from(secrets.token_bytes(32))

        def start(now: datetime) -> None:
            if self._auto_register:
                self._registrar.register_type_of(request, now)
            self._engine.start(self._domain, start_command(request), run_id, now)

        self._host.write(start)
        return run_id

    def signal_workflow_execution(self, workflow_id: str, signal_name: str, input: str | None = None) -> None:
        """Send a signal to the open run of a workflow id."""
        self._send(workflow_id, c.SignalWorkflowExecution(signal_name=signal_name, input=input))

    def request_cancel_workflow_execution(self, workflow_id: str) -> None:
        """Request the cancellation of the open run of a workflow id."""
        self._send(workflow_id, c.RequestCancelWorkflowExecution())

    def terminate_workflow_execution(self, workflow_id: str, reason: str = "", details: str = "") -> None:
        """Terminate the open run of a workflow id."""
        self._send(workflow_id, c.TerminateWorkflowExecution(reason=reason or None, details=details or None))

    def _send(self, workflow_id: str, command: c.Command) -> None:
        self._host.write(lambda now: self._engine.send(self._domain, ToWorkflow(workflow_id), command, now))

    def latest_execution(self, workflow_id: str) -> ExecutionInfo | None:
        """Return the open run of a workflow id, else the run closed last, else None."""
        record = self._host.query(lambda store, _now: store.latest(self._domain, workflow_id))
        return None if record is None else record.info

    def open_executions(self, workflow_type: WorkflowType) -> tuple[ExecutionInfo, ...]:
        """Return all open runs of a workflow type, newest first."""
        listing = ListingQuery(
            domain=self._domain,
            is_closed=False,
            oldest=_BEGINNING,
            type_name=workflow_type.name,
            type_version=workflow_type.version,
        )
        records = self._host.query(lambda store, _now: store.listed(listing, OPEN_RUN_LIMIT))
        return tuple(record.info for record in records)

    def history(self, execution: WorkflowExecution, after: int = 0) -> tuple[Event, ...]:
        """Return the events of a run with an id above ``after``."""

        def read(store: SqliteStore, _now: datetime) -> tuple[Event, ...]:
            known_run(store, self._domain, execution)
            return store.history(execution.run_id, after)

        return self._host.query(read)

    def poll_for_decision_task(self, task_list: str, identity: str, wait: float) -> PolledDecisionTask | None:
        """Claim the next decision task, waiting up to ``wait`` seconds; return None if there is none."""
        return self._poll_decision(task_list, identity, wait)

    def poll_and_decide(
        self, task_list: str, identity: str, wait: float, decider: DecidesAtOnce
    ) -> PolledDecisionTask | None:
        """Poll for decision tasks, deciding each that ``decider`` can decide in the commit that claims it.

        So a task that completes, the decision that it causes and the start of the next task are one commit.
        The history of the run is that of separate calls.

        Returns:
            A claimed decision task that is left to the caller; None if there was none in time.
        """
        decide = partial(self._decide_at_once, decider)

        def claim(now: datetime) -> tuple[PolledDecisionTask, Decided | None] | None:
            return self._engine.poll_and_decide(self._domain, task_list, identity, now, decide)

        answering = Answering(decide, claim, lambda: decider.is_stopped)
        return self._poll_decision(task_list, identity, wait, answering)

    def _poll_decision(
        self, task_list: str, identity: str, wait: float, answering: Answering | None = None
    ) -> PolledDecisionTask | None:
        def take(now: datetime) -> PolledDecisionTask | None:
            if answering is not None and answering.is_over():
                return None
            return self._engine.poll_decision(self._domain, task_list, identity, now)

        queue = self._queue(TaskKind.DECISION, task_list)
        poll = Poll(queue, take, waits=True, identity=identity, answering=answering)
        task: PolledDecisionTask | None = self._host.poll(poll, wait, _token_of)
        return task

    def _decide_at_once(
        self,
        decider: DecidesAtOnce,
        task: PolledDecisionTask,
        state: State,
        changed: ChangedKeys,
        now: datetime,
    ) -> Decided | None:
        decided = decider.decide(task, state, changed)
        if decided is not None and self._auto_register:
            self._registrar.register_types_in(task.token, decided.decisions, now)
        return decided

    def respond_decision_task_completed(self, token: str, decisions: Sequence[Decision]) -> None:
        """Respond to a decision task (RespondDecisionTaskCompleted)."""
        self._host.write(lambda now: self._decide(token, decisions, now))

    def _decide(self, token: str, decisions: Sequence[Decision], now: datetime) -> None:
        if self._auto_register:
            self._registrar.register_types_in(token, decisions, now)
        self._engine.respond(c.RespondDecisionTaskCompleted, token, now, decisions=tuple(decisions))

    def poll_for_activity_task(self, task_list: str, identity: str, wait: float) -> PolledActivityTask | None:
        """Claim the next activity task, waiting up to ``wait`` seconds; return None if there is none."""
        poll = self._activity_poll(task_list, identity, waits=True)
        task: PolledActivityTask | None = self._host.poll(poll, wait, _token_of)
        return task

    def record_activity_task_heartbeat(self, token: str, details: str | None = None) -> bool:
        """Record a heartbeat; return True if the cancellation of the activity is requested."""
        beat = c.RecordActivityTaskHeartbeat
        is_requested: bool = self._host.write(
            lambda now: self._engine.respond(beat, token, now, details=details)
        )
        return is_requested

    def respond_activity_task_completed(self, token: str, result: str | None) -> None:
        """Report an activity's result."""
        self._host.write(
            lambda now: _Reports(self._engine, now).respond_activity_task_completed(token, result)
        )

    def respond_activity_task_failed(self, token: str, reason: str | None, details: str | None) -> None:
        """Report an activity's failure."""
        self._report(lambda reports: reports.respond_activity_task_failed(token, reason, details))

    def respond_activity_task_canceled(self, token: str, details: str | None) -> None:
        """Report that an activity stopped after its cancellation was requested."""
        self._report(lambda reports: reports.respond_activity_task_canceled(token, details))

    def _report(self, report: Callable[[ReportsActivities], None]) -> None:
        self._host.write(lambda now: report(_Reports(self._engine, now)))

    def begin_report(  # noqa: PLR0913 - the last two say which thread commits
        self,
        report: Callable[[ReportsActivities, str], None],
        token: str,
        poll_as: tuple[str, str],
        done: Callable[[NextTask], None],
        *,
        leads: bool,
        lead_in: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """Report the outcome of an activity, and claim the next task if there is one, in one commit.

        If the report is refused, no task is claimed. ``EmbeddedService`` has the arguments.
        """
        poll = self._activity_poll(*poll_as, waits=False)
        job = Write(lambda now: report(_Reports(self._engine, now), token), poll)
        # Without a cycle through the job, which would stay in memory until the garbage collector finds it.
        job.notify = lambda job: done(partial(self._host.outcome, job))
        job.lead_in = lead_in
        self._host.submit(job, leads=leads)

    def give_back(self, token: str) -> None:
        """Let a claimed task be claimed again, with the same token; it counts as no attempt."""
        self._host.give_back(token)

    def end_polls(self, task_list: str) -> None:
        """End the polls of this process that wait for a task of a task list, without a task."""
        self._host.end_polls(self._queue(kind, task_list) for kind in (TaskKind.DECISION, TaskKind.ACTIVITY))

    def announce(
        self, kind: PollKind, task_list: str, identity: str, serves: Sequence[ActivityType] | None = None
    ) -> None:
        """Show a decider or worker of this process in ``floto status``, until it is withdrawn."""
        self._host.presence.saw(self._poller(kind, task_list, identity, serves))

    def withdraw(self, kind: PollKind, task_list: str, identity: str) -> None:
        """Stop showing a decider or worker in ``floto status``."""
        self._host.presence.left(self._poller(kind, task_list, identity))

    def _poller(
        self, kind: PollKind, task_list: str, identity: str, serves: Sequence[ActivityType] | None = None
    ) -> Poller:
        served = None if serves is None else tuple(serves)
        return Poller(domain=self._domain, kind=kind, task_list=task_list, identity=identity, serves=served)

    def live(self) -> Live:
        """Return the backlog and the pollers of every task list of every domain."""
        return inspection.live(self._host)

    def close(self) -> None:
        """Close the file, end the pending polls, and redeliver the tasks that this process owns."""
        self._host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _activity_poll(self, task_list: str, identity: str, *, waits: bool) -> Poll:
        return Poll(
            self._queue(TaskKind.ACTIVITY, task_list),
            lambda now: self._engine.poll_activity(self._domain, task_list, identity, now),
            waits=waits,
            identity=identity,
        )

    def _queue(self, kind: TaskKind, task_list: str) -> TaskQueue:
        return TaskQueue(self._domain, kind, task_list)


@frozen
class _Reports:
    """Reports outcomes of activities in the transaction of a call."""

    engine: Engine
    now: datetime

    def respond_activity_task_completed(self, token: str, result: str | None) -> None:
        self.engine.respond(c.RespondActivityTaskCompleted, token, self.now, result=result)

    def respond_activity_task_failed(self, token: str, reason: str | None, details: str | None) -> None:
        command = c.RespondActivityTaskFailed
        self.engine.respond(command, token, self.now, reason=reason, details=details)

    def respond_activity_task_canceled(self, token: str, details: str | None) -> None:
        self.engine.respond(c.RespondActivityTaskCanceled, token, self.now, details=details)
