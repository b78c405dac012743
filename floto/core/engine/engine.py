"""Finds the run a command is for, applies it, and delivers what runs tell one another.

An engine keeps nothing: give it any ``RunStore``, and put each call in a transaction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from attrs import define, frozen

from floto.core.engine import commands as c
from floto.core.engine import faults
from floto.core.engine.registration.defaults import RUN_NEEDS, missing, run_settings, started_event
from floto.core.engine.registration.registration import Registration
from floto.core.engine.run import EngineRun, Message, Rules, StepOutcome, ToChildren, ToNew, ToRun, ToWorkflow
from floto.core.engine.step import step
from floto.core.engine.step_context import opening
from floto.core.engine.stores.changes import changes
from floto.core.engine.stores.records import Place
from floto.core.engine.stores.store import Deadline, Ready, RunStore
from floto.core.engine.tokens import LAMBDA_LIST, TaskKind, Token, read_token
from floto.core.engine.validation import check_command
from floto.core.errors import ServiceError
from floto.core.swf import limits
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask, StartRequest
from floto.core.swf.shapes import TaskList, WorkflowExecution, WorkflowType
from floto.core.swf.wire import camel

#: A task that was handed out again so often because its holders died is not handed out once more.
MOST_REDELIVERIES = 2


def never(_decision: Decision) -> str | None:
    """Refuse no decision that SWF would carry out."""
    return None


@define
class Unsettled(ServiceError):
    """A deadline that could not fire; the error's cause says why, if there was one."""

    deadline: Deadline

    def __str__(self) -> str:
        """Name the run, the event and what went wrong."""
        where = f"run {self.deadline.run_id}, event {self.deadline.event_id}"
        return f"a deadline could not fire ({where}): {self.__cause__ or 'it is still there'}"


@frozen
class LambdaTask:
    """One Lambda function to invoke now."""

    token: str
    execution: WorkflowExecution
    name: str
    input: str | None = None


class Engine:
    """SWF over a store; ``invokes_lambda`` promises that somebody polls for Lambda functions."""

    def __init__(
        self,
        store: RunStore,
        refuse: Callable[[Decision], str | None] = never,
        *,
        invokes_lambda: bool = False,
    ) -> None:
        self._store = store
        self._refuse = refuse
        self._invokes_lambda = invokes_lambda
        self.registration = Registration(store)

    def start(
        self, domain: str, command: c.StartWorkflowExecution, run_id: str, now: datetime
    ) -> WorkflowExecution:
        """StartWorkflowExecution; a closed run of the same workflow id does not stand in the way."""
        check_command(command)
        registered = self.registration.need_type(domain, command.workflow_type)
        if registered.deprecated_at is not None:
            raise faults.type_deprecated(command.workflow_type)
        settings = run_settings(command, registered.defaults)
        lacking = missing(settings, RUN_NEEDS)
        if lacking is not None:
            raise faults.default_undefined(camel(lacking))
        if self._store.open_run(domain, command.workflow_id) is not None:
            raise faults.already_started()
        if self._is_full(domain):
            raise faults.limit_exceeded(limits.OPEN_RUN_LIMIT, "open runs in a domain")
        execution = WorkflowExecution(command.workflow_id, run_id)
        self._apply(
            EngineRun.fresh(domain, execution), c.Begin(started=started_event(command, settings)), now
        )
        return execution

    def tell(self, domain: str, target: ToWorkflow, command: c.Command, now: datetime) -> None:
        """SignalWorkflowExecution, RequestCancelWorkflowExecution, TerminateWorkflowExecution."""
        self.registration.need_domain(domain)
        run = next((run for id in self._run_ids(domain, target) if (run := self._store.load(id))), None)
        if run is not None:
            self._apply(run, command, now)
        elif target.run_id is not None:
            raise faults.unknown_run(WorkflowExecution(target.workflow_id, target.run_id))
        else:
            raise faults.unknown_workflow(target.workflow_id)

    def poll_decision(
        self, domain: str, task_list: str, identity: str, now: datetime, *, with_events: bool = True
    ) -> PolledDecisionTask | None:
        """PollForDecisionTask, answered at once; the task has the history up to its own start.

        Without events for a caller that reads them in pages: the store has up to ``started_event_id``.
        """

        def start(_event_id: int) -> c.StartDecisionTask:
            return c.StartDecisionTask(identity=identity)

        taken = self._take(Place(domain, TaskKind.DECISION, task_list), start, now)
        if taken is None:
            return None
        run, token = taken
        most = token.started_event_id if with_events else 0
        return PolledDecisionTask(
            token=str(token),
            execution=run.execution,
            workflow_type=_workflow_type(run),
            events=self._store.history(run.execution.run_id, most=most),
            started_event_id=token.started_event_id,
            previous_started_event_id=run.state.decision_tasks.previous_started,
        )

    def poll_activity(
        self, domain: str, task_list: str, identity: str, now: datetime, chosen: Ready | None = None
    ) -> PolledActivityTask | None:
        """PollForActivityTask, answered at once.

        ``chosen`` is the task to hand out, if it is there: SWF promises no order, so tests may choose one.
        """

        def start(event_id: int) -> c.StartActivityTask:
            return c.StartActivityTask(scheduled_event_id=event_id, identity=identity)

        place = Place(domain, TaskKind.ACTIVITY, task_list)
        taken = self._hand_out(chosen, place.kind, start, now) if chosen else self._take(place, start, now)
        if taken is None:
            return None
        run, token = taken
        scheduled = _scheduled(run, token.scheduled_event_id)
        return PolledActivityTask(
            token=str(token),
            execution=run.execution,
            activity_id=scheduled.activity_id,
            activity_type=scheduled.activity_type,
            started_event_id=token.started_event_id,
            input=scheduled.input,
        )

    def poll_lambda(self, domain: str, now: datetime) -> LambdaTask | None:
        """Take the next Lambda function to invoke; SWF does this by itself."""

        def start(event_id: int) -> c.StartLambdaFunction:
            return c.StartLambdaFunction(scheduled_event_id=event_id)

        taken = self._take(Place(domain, TaskKind.LAMBDA, LAMBDA_LIST), start, now)
        if taken is None:
            return None
        run, token = taken
        scheduled = _scheduled(run, token.scheduled_event_id)
        return LambdaTask(str(token), run.execution, scheduled.name, scheduled.input)

    def respond(self, answer: type, token: str, now: datetime, **fields: Any) -> Any:
        """The Respond... operations and RecordActivityTaskHeartbeat: ``answer`` is the command's class."""
        command = answer(token=read_token(token, _TOKENS[answer]), **fields)
        run = self._store.load(command.token.run_id)
        if run is None:
            run_id = command.token.run_id
            record = self._store.record(run_id)
            raise faults.unknown_run(record.info.execution if record else WorkflowExecution("", run_id))
        return self._apply(run, command, now)

    def settle(self, now: datetime, most: int | None = None) -> bool:
        """Fire what is due, the earliest first, each in sight of what the ones before it did.

        With ``most``, stop after so many; True says that something due may be left. Raises
        ``Unsettled`` for one that cannot fire: whoever calls rolls back and sets it aside.
        """
        fired, before = 0, None
        while (due := self._store.next_deadline()) is not None and due.at <= now:
            if fired == most:
                return True
            if due == before:
                raise Unsettled(due)
            self._fire(due, now)
            fired, before = fired + 1, due
        return False

    def _fire(self, due: Deadline, now: datetime) -> None:
        try:
            run = self._store.load(due.run_id)
            if run is not None:
                self._apply(run, c.Fire(event_id=due.event_id, at=due.at), now)
            else:
                # Of what is closed only the end of its time is still to come.
                self._store.forget(due.run_id)
        except Exception as error:
            raise Unsettled(due) from error

    def _take(
        self, place: Place, start: Callable[[int], Any], now: datetime
    ) -> tuple[EngineRun, Token] | None:
        self.registration.need_domain(place.domain)
        before = None
        while (ready := self._store.next_task(place)) is not None and ready != before:
            taken = self._hand_out(ready, place.kind, start, now)
            if taken is not None:
                return taken
            before = ready
        return None

    def _hand_out(
        self, ready: Ready, kind: TaskKind, start: Callable[[int], Any], now: datetime
    ) -> tuple[EngineRun, Token] | None:
        """Give a task to whoever polls; None if that, or its holders before, ended it."""
        run = self._store.load(ready.run_id)
        if run is None:
            return None
        if ready.started and ready.releases > MOST_REDELIVERIES:
            self._apply(run, c.Lose(scheduled_event_id=ready.event_id), now)
            return None
        if ready.started:
            self._store.take_over(ready, kind)
            return run, _token(run, kind, ready, ready.started)
        event = self._apply(run, start(ready.event_id), now)
        after = self._store.load(ready.run_id)
        # A start may be the one event too many that closes a run.
        return None if after is None else (after, _token(after, kind, ready, event.id))

    def _apply(self, run: EngineRun, command: c.Command, now: datetime) -> Any:
        """Apply a command, then every message that comes of it, in the order they were sent."""
        first = self._step(run, command, now)
        queue = deque(first.messages)
        while queue:
            message = queue.popleft()
            reached = False
            for target in self._find(run.domain, message):
                reached = True
                queue.extend(self._step(target, message.command, now).messages)
            if not reached and message.otherwise is not None:
                queue.append(message.otherwise)
        return first.reply

    def _step(self, run: EngineRun, command: c.Command, now: datetime) -> StepOutcome:
        outcome = step(run, command, now, self._rules(run.domain))
        self._store.save(changes(run, outcome, now))
        closed = outcome.run.state.closed
        if closed is not None:
            self._expire(run, closed.at)
        return outcome

    def _expire(self, run: EngineRun, closed_at: datetime) -> None:
        domain = self._store.domain(run.domain)
        if domain is not None and domain.retention is not None:
            kept = timedelta(days=0 if domain.retention == "NONE" else int(domain.retention))
            self._store.expire(run.execution.run_id, closed_at + kept)

    def _is_full(self, domain: str) -> bool:
        return self._store.count_open(domain) >= limits.OPEN_RUN_LIMIT

    def _rules(self, domain: str) -> Rules:
        store = self._store
        return Rules(
            registered=lambda type_: store.registered(domain, type_),
            is_full=lambda: self._is_full(domain),
            invokes_lambda=self._invokes_lambda,
            refuse=self._refuse,
        )

    def _find(self, domain: str, message: Message) -> Iterator[EngineRun]:
        """The runs at a message's address, each as it is when its turn comes."""
        if isinstance(message.to, ToNew):
            if self._store.open_run(domain, message.to.execution.workflow_id) is None:
                yield EngineRun.fresh(domain, message.to.execution)
            return
        for run_id in self._run_ids(domain, message.to):
            run = self._store.load(run_id)
            if run is not None:
                yield run

    def _run_ids(self, domain: str, to: ToRun | ToWorkflow | ToChildren) -> Iterable[str]:
        match to:
            case ToRun(run_id):
                return (run_id,)
            case ToChildren(run_id):
                return self._store.open_children(run_id)
            case ToWorkflow(workflow_id, wanted):
                found = self._store.open_run(domain, workflow_id)
                return () if found is None or wanted not in (None, found) else (found,)


def start_command(request: StartRequest) -> c.StartWorkflowExecution:
    """What the runtime asks for, as SWF's operation."""
    return c.StartWorkflowExecution(
        workflow_id=request.workflow_id,
        workflow_type=request.workflow_type,
        task_list=None if request.task_list is None else TaskList(request.task_list),
        task_priority=request.priority,
        input=request.input,
        execution_start_to_close_timeout=request.execution_timeout,
        task_start_to_close_timeout=request.decision_timeout,
        child_policy=request.child_policy,
        tag_list=request.tags,
    )


def _token(run: EngineRun, kind: TaskKind, ready: Ready, started: int) -> Token:
    return Token(run.domain, run.execution.run_id, kind, ready.event_id, started)


def _workflow_type(run: EngineRun) -> WorkflowType:
    type_: WorkflowType = cast("Event", run.state.started).data.workflow_type
    return type_


def _scheduled(run: EngineRun, event_id: int) -> Any:
    return opening(run.state.items[run.state.opened[event_id]]).data


#: Whose token an answer carries.
_TOKENS: Mapping[type, TaskKind] = {
    c.RespondDecisionTaskCompleted: TaskKind.DECISION,
    c.RespondActivityTaskCompleted: TaskKind.ACTIVITY,
    c.RespondActivityTaskFailed: TaskKind.ACTIVITY,
    c.RespondActivityTaskCanceled: TaskKind.ACTIVITY,
    c.RecordActivityTaskHeartbeat: TaskKind.ACTIVITY,
    c.RespondLambdaFunctionCompleted: TaskKind.LAMBDA,
    c.RespondLambdaFunctionFailed: TaskKind.LAMBDA,
}
