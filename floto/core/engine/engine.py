"""Engine that routes commands to runs and delivers the messages between runs.

An engine has no state of its own: give it any ``RunStore``, and put each call in a transaction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import copy
from datetime import datetime, timedelta
from typing import Any, TypeVar

from attrs import define

from floto.core.engine import commands as c
from floto.core.engine import faults
from floto.core.engine.addresses import runs_at
from floto.core.engine.command_checks import check_command
from floto.core.engine.crashes import is_lost
from floto.core.engine.embedded import Decided
from floto.core.engine.handover import Decide, Handover, RunTasks, WaitingPolls
from floto.core.engine.polled_tasks import (
    LambdaTask,
    activity_task,
    decision_task,
    lambda_task,
    scheduled_data,
    token_of,
)
from floto.core.engine.registration.registration import Registration
from floto.core.engine.registration.type_settings import RUN_NEEDS, missing, run_settings, started_event
from floto.core.engine.run import EngineRules, EngineRun, StepOutcome, ToWorkflow
from floto.core.engine.step import step
from floto.core.engine.stores.changes import changes
from floto.core.engine.stores.records import TaskQueue, task_queue_of
from floto.core.engine.stores.store import Deadline, Ready, RunStore
from floto.core.engine.tokens import LAMBDA_LIST, TaskKind, Token, read_token
from floto.core.errors import ServiceError
from floto.core.quick_init import maker
from floto.core.swf import limits
from floto.core.swf.decisions import Decision
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask
from floto.core.swf.shapes import WorkflowExecution
from floto.core.swf.wire import camel

T = TypeVar("T")

_new_tasks = maker(RunTasks)
_start_decision, _start_activity = maker(c.StartDecisionTask), maker(c.StartActivityTask)


def refuse_none(_decision: Decision) -> str | None:
    """Refuse no decision: the default of ``Engine``."""
    return None


@define
class DeadlineError(ServiceError):
    """A deadline that could not fire; ``__cause__`` is the error that prevented it, if any."""

    deadline: Deadline

    def __str__(self) -> str:
        """Return the run, the event and the cause."""
        where = f"run {self.deadline.run_id}, event {self.deadline.event_id}"
        return f"a deadline could not fire ({where}): {self.__cause__ or 'firing it did not remove it'}"


class Engine:
    """SWF's rules over a store.

    Args:
        store: Keeps domains, types, runs and histories. The caller starts and ends its transactions.
        refuse: Return SWF's cause to refuse a decision, None to carry it out. Tests inject limits with it.
        invokes_lambda: Whether the process calls ``poll_lambda``; if not, Lambda decisions are refused.
        waiting: Returns the polls that get tasks in the steps that schedule them; None if there are none.
    """

    def __init__(
        self,
        store: RunStore,
        refuse: Callable[[Decision], str | None] = refuse_none,
        *,
        invokes_lambda: bool = False,
        waiting: Callable[[], WaitingPolls | None] = lambda: None,
    ) -> None:
        self._store = store
        #: Raises SWF's fault for a command with malformed fields.
        self.check: Callable[[Any], None] = check_command
        self._waiting = waiting
        self._rules = EngineRules(store.registered, store.count_open, invokes_lambda, refuse)
        self.registration = Registration(store)

    def without_checks(self) -> Engine:
        """Return an engine over the same store that does not check the fields of commands again."""
        engine = copy(self)
        engine.check = lambda _command: None
        return engine

    def start(
        self, domain: str, command: c.StartWorkflowExecution, run_id: str, now: datetime
    ) -> WorkflowExecution:
        """Carry out StartWorkflowExecution.

        Args:
            domain: Key of the domain, see ``regions.domain_key``.
            command: The request; None fields default to the registered type.
            run_id: Id of the new run, not used before.
            now: Time of the clock.

        Raises:
            ServiceFault: The request is invalid, the type unknown or deprecated, a default missing, a run
                of the workflow id open, or the domain at its limit of open runs.
        """
        self.check(command)
        registered = self.registration.need_type(domain, command.workflow_type)
        if registered.deprecated_at is not None:
            raise faults.type_deprecated(command.workflow_type)
        settings = run_settings(command, registered.defaults)
        lacking = missing(settings, RUN_NEEDS)
        if lacking is not None:
            raise faults.default_undefined(camel(lacking))
        if self._store.open_run(domain, command.workflow_id) is not None:
            raise faults.already_started()
        if self._rules.is_full(domain):
            raise faults.limit_exceeded(limits.OPEN_RUN_LIMIT, "open runs in a domain")
        execution = WorkflowExecution(command.workflow_id, run_id)
        self._apply(
            EngineRun.fresh(domain, execution), c.Begin(started=started_event(command, settings)), now
        )
        return execution

    def send(self, domain: str, target: ToWorkflow, command: c.Command, now: datetime) -> None:
        """Carry out SignalWorkflowExecution, RequestCancelWorkflowExecution or TerminateWorkflowExecution.

        Args:
            domain: Key of the domain.
            target: The workflow id of an open run, and optionally its run id.
            command: The command of that operation.
            now: Time of the clock.

        Raises:
            UnknownResource: The domain is not registered or no such run is open.
            ServiceFault: The request is invalid.
        """
        self.registration.need_domain(domain)
        run = next(runs_at(self._store, domain, target), None)
        if run is not None:
            self._apply(run, command, now)
        elif target.run_id is not None:
            raise faults.unknown_run(WorkflowExecution(target.workflow_id, target.run_id))
        else:
            raise faults.unknown_workflow(target.workflow_id)

    def poll_decision(
        self, domain: str, task_list: str, identity: str, now: datetime, *, with_events: bool = True
    ) -> PolledDecisionTask | None:
        """Carry out PollForDecisionTask without waiting: claim the next decision task.

        Args:
            domain: Key of the domain.
            task_list: Name of the task list.
            identity: Identity of the decider, for the history.
            now: Time of the clock.
            with_events: Include the history up to the start of the task. Callers that page through the
                history set this to False and read up to ``started_event_id`` from the store.

        Returns:
            The task, or None if none is scheduled.
        """
        return self._claim_next(
            task_queue_of(domain, TaskKind.DECISION, task_list),
            lambda ready: self._claim_decision(ready, identity, now, with_events=with_events),
        )

    def _claim_decision(
        self, ready: Ready, identity: str, now: datetime, *, with_events: bool = True
    ) -> PolledDecisionTask | None:
        claimed = self._claim(ready, TaskKind.DECISION, _start_decision(identity=identity), now)
        if claimed is None:
            return None
        run, token = claimed
        most = token.started_event_id if with_events else 0
        return decision_task(run.state, token, self._store.history(run.execution.run_id, most=most))

    def poll_and_decide(
        self, domain: str, task_list: str, identity: str, now: datetime, decide: Decide
    ) -> tuple[PolledDecisionTask, Decided | None] | None:
        """Claim the next decision task and respond to it, in one step with the events of two.

        Args:
            domain: Key of the domain.
            task_list: Name of the task list.
            identity: Identity of the decider, for the history.
            now: Time of the clock.
            decide: Returns the decisions for a task, or None to leave it to the caller. It is not called for
                redelivered tasks.

        Returns:
            The task, or None if none is scheduled, and what ``decide`` returned.

        Raises:
            ServiceFault: The decisions are malformed; nothing is changed.
        """
        return self._claim_next(
            task_queue_of(domain, TaskKind.DECISION, task_list),
            lambda ready: self._claim_and_decide(ready, identity, now, decide),
        )

    def _claim_and_decide(
        self, ready: Ready, identity: str, now: datetime, decide: Decide
    ) -> tuple[PolledDecisionTask, Decided | None] | None:
        run = None if ready.started else self._store.load(ready.run_id)
        if run is None:
            task = self._claim_decision(ready, identity, now)
            return None if task is None else (task, None)

        command = self._tasks(run).decide_at_once(ready.event_id, identity, decide, now)
        found: tuple[PolledDecisionTask, Decided | None] | None = self._apply(run, command, now)
        return found

    def _tasks(self, run: EngineRun) -> RunTasks:
        return _new_tasks(run, self._store.history, self.check)

    def poll_activity(
        self, domain: str, task_list: str, identity: str, now: datetime, chosen: Ready | None = None
    ) -> PolledActivityTask | None:
        """Carry out PollForActivityTask without waiting: claim the next activity task.

        Args:
            domain: Key of the domain.
            task_list: Name of the task list.
            identity: Identity of the worker, for the history.
            now: Time of the clock.
            chosen: Claim this task, which waits, instead of the next one: SWF promises no order, so
                simulations choose.

        Returns:
            The task, or None if none is scheduled.
        """

        def claim(ready: Ready) -> tuple[EngineRun, Token] | None:
            command = _start_activity(scheduled_event_id=ready.event_id, identity=identity)
            return self._claim(ready, TaskKind.ACTIVITY, command, now)

        task_queue = task_queue_of(domain, TaskKind.ACTIVITY, task_list)
        claimed = claim(chosen) if chosen else self._claim_next(task_queue, claim)
        if claimed is None:
            return None
        run, token = claimed
        return activity_task(run.execution, scheduled_data(run, token), token)

    def poll_lambda(self, domain: str, now: datetime) -> LambdaTask | None:
        """Claim the next Lambda function to invoke, or return None; SWF has no such operation."""

        def claim(ready: Ready) -> tuple[EngineRun, Token] | None:
            command = c.StartLambdaFunction(scheduled_event_id=ready.event_id)
            return self._claim(ready, TaskKind.LAMBDA, command, now)

        claimed = self._claim_next(task_queue_of(domain, TaskKind.LAMBDA, LAMBDA_LIST), claim)
        return None if claimed is None else lambda_task(*claimed)

    def respond(self, command_type: type, token: str, now: datetime, **fields: Any) -> Any:
        """Carry out a Respond... operation or RecordActivityTaskHeartbeat.

        Args:
            command_type: Class of the command.
            token: Token of the task.
            now: Time of the clock.
            fields: The other fields of the command.

        Returns:
            True or False for a heartbeat: whether cancellation was requested. None for the others.

        Raises:
            ServiceFault: The token or a field is invalid, or the task is not started.
        """
        kind, new_command = c.RESPONSES[command_type]
        command = new_command(token=read_token(token, kind), **fields)
        run = self._store.load(command.token.run_id)
        if run is None:
            run_id = command.token.run_id
            record = self._store.record(run_id)
            raise faults.unknown_run(record.info.execution if record else WorkflowExecution("", run_id))
        return self._apply(run, command, now)

    def fire_due(self, now: datetime, most: int | None = None) -> bool:
        """Fire the deadlines that are due, the earliest first.

        Args:
            now: Time of the clock.
            most: Most deadlines to fire; None for all.

        Returns:
            True if ``most`` were fired, so more may be due.

        Raises:
            DeadlineError: A deadline could not fire: the caller rolls back and postpones it.
        """
        fired, before = 0, None
        while (due := self._store.next_deadline()) is not None and due.at <= now:
            if fired == most:
                return True
            if due == before:
                raise DeadlineError(due)
            self._fire(due, now)
            fired, before = fired + 1, due
        return False

    def _fire(self, due: Deadline, now: datetime) -> None:
        try:
            run = self._store.load(due.run_id)
            if run is not None:
                self._apply(run, c.Fire(event_id=due.event_id, at=due.at), now)
            else:
                # The only deadline of a closed run is the end of its retention.
                self._store.forget(due.run_id)
        except Exception as error:
            raise DeadlineError(due) from error

    def _claim_next(self, task_queue: TaskQueue, claim: Callable[[Ready], T | None]) -> T | None:
        before = None
        while (ready := self._store.next_task(task_queue)) is not None and ready != before:
            claimed = claim(ready)
            if claimed is not None:
                return claimed
            before = ready
        self.registration.need_domain(task_queue.domain)
        return None

    def _claim(
        self, ready: Ready, kind: TaskKind, start: c.Command, now: datetime
    ) -> tuple[EngineRun, Token] | None:
        """Claim a task; return None if it timed out instead, or claiming it closed the run."""
        run = self._store.load(ready.run_id)
        if run is None:
            return None
        if ready.started and is_lost(ready.redeliveries):
            self._apply(run, c.TimeOutLostTask(scheduled_event_id=ready.event_id), now)
            return None
        if ready.started:
            self._store.reclaim(ready, kind)
            return run, token_of(run, kind, ready.event_id, ready.started)
        event = self._apply(run, start, now)
        after = self._store.load(ready.run_id)
        # The event of the start may be the one that exceeds the limit and closes the run.
        return None if after is None else (after, token_of(after, kind, ready.event_id, event.id))

    def _apply(self, run: EngineRun, command: c.Command, now: datetime) -> Any:
        """Apply a command, then every message that it causes, in the order in which they were sent."""
        self.check(command)
        first = self._step(run, command, now, self._handover(run))
        queue = deque(first.messages)
        while queue:
            message = queue.popleft()
            reached = False
            for target in runs_at(self._store, run.domain, message.to):
                reached = True
                queue.extend(self._step(target, message.command, now).messages)
            if not reached and message.otherwise is not None:
                queue.append(message.otherwise)
        return first.reply

    def _handover(self, run: EngineRun) -> Handover | None:
        polls = self._waiting()
        # What decides about a new run reads it from the store.
        return None if polls is None or run.state.started is None else Handover(polls, self._tasks(run))

    def _step(
        self, run: EngineRun, command: c.Command, now: datetime, handover: Handover | None = None
    ) -> StepOutcome:
        try:
            outcome = step(run, command, now, self._rules, handover)
        except Exception:
            if handover is None or not handover.has_begun:
                raise
            # A decider has failed; its thread does it again, and says why.
            handover.cancel()
            outcome = step(run, command, now, self._rules)
        self._store.save(changes(run, outcome, now))
        closed = outcome.run.state.closed
        if closed is not None:
            self._expire(run, closed.at)
        if handover is not None:
            handover.deliver()
        return outcome

    def _expire(self, run: EngineRun, closed_at: datetime) -> None:
        domain = self._store.domain(run.domain)
        if domain is not None and domain.retention is not None:
            kept = timedelta(days=0 if domain.retention == "NONE" else int(domain.retention))
            self._store.expire(run.execution.run_id, closed_at + kept)
