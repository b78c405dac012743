"""The tasks that polls return, made from the runs in which they are started."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from floto.core.engine.run import EngineRun
from floto.core.engine.step_context import opening
from floto.core.engine.tokens import TaskKind, Token
from floto.core.quick_init import maker
from floto.core.state.state import State
from floto.core.swf.events import Event
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask
from floto.core.swf.shapes import WorkflowExecution

_new_decision_task, _new_activity_task = maker(PolledDecisionTask), maker(PolledActivityTask)
_new_token = maker(Token)


@frozen
class LambdaTask:
    """A Lambda function that was claimed and is to be invoked."""

    token: str
    execution: WorkflowExecution
    name: str
    input: str | None = None


def token_of(run: EngineRun, kind: TaskKind, scheduled_event_id: int, started_event_id: int) -> Token:
    """Return the token of a task of a run, by the events that scheduled and started it."""
    return _new_token(run.domain, run.execution.run_id, kind, scheduled_event_id, started_event_id)


def decision_task(state: State, token: Token, events: tuple[Event, ...]) -> PolledDecisionTask:
    """Return a decision task with these events, in a state in which it is started or closed."""
    return _new_decision_task(
        token=str(token),
        execution=state.execution,  # type: ignore[arg-type]  # the engine knows it of each run
        workflow_type=state.start.workflow_type,
        events=events,
        started_event_id=token.started_event_id,
        previous_started_event_id=state.decision_tasks.previous_started,
    )


def activity_task(execution: WorkflowExecution, scheduled: Any, token: Token) -> PolledActivityTask:
    """Return an activity task with the attributes of the event that scheduled it."""
    return _new_activity_task(
        token=str(token),
        execution=execution,
        activity_id=scheduled.activity_id,
        activity_type=scheduled.activity_type,
        started_event_id=token.started_event_id,
        input=scheduled.input,
    )


def lambda_task(run: EngineRun, token: Token) -> LambdaTask:
    """Return an open Lambda function of a run."""
    scheduled = scheduled_data(run, token)
    return LambdaTask(str(token), run.execution, scheduled.name, scheduled.input)


def scheduled_data(run: EngineRun, token: Token) -> Any:
    """Return the attributes of the event that scheduled an open task of a run."""
    return opening(run.state.items[run.state.opened[token.scheduled_event_id]]).data
