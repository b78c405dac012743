"""Decisions that reach other runs: children, signals and cancel requests.

Each appends its ...Initiated event and sends a message; the outcome arrives as a
``RecordOutcome`` command in a later step.
"""

from __future__ import annotations

from typing import Any

from floto.core.engine.commands import (
    Begin,
    Command,
    RecordOutcome,
    RequestCancelWorkflowExecution,
    Sender,
    SignalWorkflowExecution,
)
from floto.core.engine.decisions.refusal_causes import cause_of_type
from floto.core.engine.registration.type_settings import run_settings, started_event
from floto.core.engine.run import Message, ToNew, ToRun, ToWorkflow
from floto.core.engine.step_context import StepContext
from floto.core.engine.tokens import derive_run_id
from floto.core.state.state import Kind
from floto.core.swf import decisions as d
from floto.core.swf import events as e
from floto.core.swf.limits import OPEN_LIMIT
from floto.core.swf.shapes import WorkflowExecution

_UNKNOWN = "UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION"


def to_self(context: StepContext, data: Any) -> Message:
    """Return the message that records an outcome in the run's own history."""
    return Message(ToRun(context.run.execution.run_id), RecordOutcome(data=data))


def start_child(context: StepContext, decision: d.StartChildWorkflowExecution, completed: int) -> str | None:
    """Carry out StartChildWorkflowExecution; the child starts after this batch."""
    registered = context.registered(decision.workflow_type)
    settings = {} if registered is None else run_settings(decision, registered.defaults)
    cause = cause_of_type(registered, settings) or _exceeded_limit(context)
    if cause is not None:
        return cause
    initiated = context.append(
        e.StartChildWorkflowExecutionInitiated(
            workflow_id=decision.workflow_id,
            workflow_type=decision.workflow_type,
            control=decision.control,
            input=decision.input,
            tag_list=decision.tag_list or None,
            decision_task_completed_event_id=completed,
            **settings,
        )
    )
    child = WorkflowExecution(decision.workflow_id, derive_run_id(context.run.execution.run_id, initiated.id))
    running = to_self(context, _child_failed(decision, "WORKFLOW_ALREADY_RUNNING", completed, initiated.id))
    begin = Message(ToNew(child), _begin(context, decision, settings, initiated.id), otherwise=running)
    # Undocumented if the parent closes in the same response: it was open when it decided.
    is_own = decision.workflow_id == context.run.execution.workflow_id
    context.send(running if is_own else begin)
    return None


def _exceeded_limit(context: StepContext) -> str | None:
    if context.draft.count(Kind.CHILD) >= OPEN_LIMIT:
        return "OPEN_CHILDREN_LIMIT_EXCEEDED"
    return "OPEN_WORKFLOWS_LIMIT_EXCEEDED" if context.rules.is_full(context.run.domain) else None


def _begin(
    context: StepContext, decision: d.StartChildWorkflowExecution, settings: dict[str, Any], initiated: int
) -> Begin:
    parent = context.run.execution
    started = started_event(
        decision, settings, parent_workflow_execution=parent, parent_initiated_event_id=initiated
    )
    return Begin(started=started, sender=Sender(parent, initiated))


def _child_failed(
    decision: d.StartChildWorkflowExecution, cause: str, completed: int, initiated: int
) -> e.StartChildWorkflowExecutionFailed:
    return e.StartChildWorkflowExecutionFailed(
        workflow_type=decision.workflow_type,
        workflow_id=decision.workflow_id,
        cause=cause,
        control=decision.control,
        initiated_event_id=initiated,
        decision_task_completed_event_id=completed,
    )


def refuse_child(
    context: StepContext, decision: d.StartChildWorkflowExecution, cause: str, completed: int
) -> None:
    """Refuse a child before its Initiated event: the event has the literal 0 as its id."""
    context.append(_child_failed(decision, cause, completed, 0))


def _failed(event: type, decision: Any, cause: str, completed: int, initiated: int) -> Any:
    return event(
        workflow_id=decision.workflow_id,
        run_id=decision.run_id,
        cause=cause,
        control=decision.control,
        initiated_event_id=initiated,
        decision_task_completed_event_id=completed,
    )


def _deliver(context: StepContext, decision: Any, command: Command, lost: Any) -> None:
    to = ToWorkflow(decision.workflow_id, decision.run_id)
    context.send(Message(to, command, otherwise=to_self(context, lost)))


def _initiate_signal(
    context: StepContext, decision: d.SignalExternalWorkflowExecution, completed: int
) -> int:
    return context.append(
        e.SignalExternalWorkflowExecutionInitiated(
            workflow_id=decision.workflow_id,
            run_id=decision.run_id,
            signal_name=decision.signal_name,
            input=decision.input,
            control=decision.control,
            decision_task_completed_event_id=completed,
        )
    ).id


def signal(context: StepContext, decision: d.SignalExternalWorkflowExecution, completed: int) -> str | None:
    """Carry out SignalExternalWorkflowExecution, also for a signal of a run to itself."""
    initiated = _initiate_signal(context, decision, completed)
    sender = Sender(context.run.execution, initiated)
    command = SignalWorkflowExecution(signal_name=decision.signal_name, input=decision.input, sender=sender)
    lost = _failed(e.SignalExternalWorkflowExecutionFailed, decision, _UNKNOWN, completed, initiated)
    _deliver(context, decision, command, lost)
    return None


def refuse_signal(
    context: StepContext, decision: d.SignalExternalWorkflowExecution, cause: str, completed: int
) -> None:
    """Refuse a signal after its Initiated event, as SWF does."""
    initiated = _initiate_signal(context, decision, completed)
    context.append(_failed(e.SignalExternalWorkflowExecutionFailed, decision, cause, completed, initiated))


def _initiate_cancel(
    context: StepContext, decision: d.RequestCancelExternalWorkflowExecution, completed: int
) -> int:
    return context.append(
        e.RequestCancelExternalWorkflowExecutionInitiated(
            workflow_id=decision.workflow_id,
            run_id=decision.run_id,
            control=decision.control,
            decision_task_completed_event_id=completed,
        )
    ).id


def request_cancel(
    context: StepContext, decision: d.RequestCancelExternalWorkflowExecution, completed: int
) -> str | None:
    """Carry out RequestCancelExternalWorkflowExecution."""
    initiated = _initiate_cancel(context, decision, completed)
    command = RequestCancelWorkflowExecution(sender=Sender(context.run.execution, initiated))
    lost = _failed(e.RequestCancelExternalWorkflowExecutionFailed, decision, _UNKNOWN, completed, initiated)
    _deliver(context, decision, command, lost)
    return None


def refuse_cancel(
    context: StepContext, decision: d.RequestCancelExternalWorkflowExecution, cause: str, completed: int
) -> None:
    """Refuse a cancel request after its Initiated event, as SWF does."""
    initiated = _initiate_cancel(context, decision, completed)
    context.append(
        _failed(e.RequestCancelExternalWorkflowExecutionFailed, decision, cause, completed, initiated)
    )
