"""Decisions that reach other runs: children, signals and cancel requests.

Each writes its ...Initiated event and sends a message; what becomes of it arrives as an
``RespondCommand`` in a later step.
"""

from __future__ import annotations

from typing import Any

from floto.core.engine.commands import (
    Begin,
    Command,
    RequestCancelWorkflowExecution,
    RespondCommand,
    Sender,
    SignalWorkflowExecution,
)
from floto.core.engine.registration.defaults import RUN_NEEDS, missing, run_settings, started_event
from floto.core.engine.registration.registered_types import RegisteredType
from floto.core.engine.run import Message, ToNew, ToRun, ToWorkflow
from floto.core.engine.step_context import StepContext
from floto.core.engine.tokens import derive_run_id
from floto.core.state.state import Kind
from floto.core.swf import decisions as d
from floto.core.swf import events as e
from floto.core.swf.limits import OPEN_LIMIT
from floto.core.swf.shapes import WorkflowExecution

_UNKNOWN = "UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION"


def _answer(turn: StepContext, data: Any) -> Message:
    return Message(ToRun(turn.run.execution.run_id), RespondCommand(data=data))


def start_child(turn: StepContext, decision: d.StartChildWorkflowExecution, completed: int) -> str | None:
    """StartChildWorkflowExecution; the child begins after this batch."""
    registered = turn.rules.registered(decision.workflow_type)
    settings = {} if registered is None else run_settings(decision, registered.defaults)
    refusal = _refusal(turn, registered, settings)
    if refusal is not None:
        return refusal
    initiated = turn.append(
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
    child = WorkflowExecution(decision.workflow_id, derive_run_id(_run_id(turn), initiated.id))
    taken = _answer(turn, _child_failed(decision, "WORKFLOW_ALREADY_RUNNING", completed, initiated.id))
    begin = Message(ToNew(child), _begin(turn, decision, settings, initiated.id), otherwise=taken)
    # Undocumented where the parent closes in the same response: it was open when it decided.
    is_own = decision.workflow_id == turn.run.execution.workflow_id
    turn.send(taken if is_own else begin)
    return None


def _refusal(turn: StepContext, registered: RegisteredType | None, settings: dict[str, Any]) -> str | None:
    if registered is None:
        return "WORKFLOW_TYPE_DOES_NOT_EXIST"
    if registered.deprecated_at is not None:
        return "WORKFLOW_TYPE_DEPRECATED"
    lacking = missing(settings, RUN_NEEDS)
    if lacking is not None:
        return RUN_NEEDS[lacking]
    if turn.draft.count(Kind.CHILD) >= OPEN_LIMIT:
        return "OPEN_CHILDREN_LIMIT_EXCEEDED"
    return "OPEN_WORKFLOWS_LIMIT_EXCEEDED" if turn.rules.is_full() else None


def _run_id(turn: StepContext) -> str:
    return turn.run.execution.run_id


def _begin(
    turn: StepContext, decision: d.StartChildWorkflowExecution, settings: dict[str, Any], initiated: int
) -> Begin:
    parent = turn.run.execution
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
    turn: StepContext, decision: d.StartChildWorkflowExecution, cause: str, completed: int
) -> None:
    """A child refused before it was initiated carries a literal 0."""
    turn.append(_child_failed(decision, cause, completed, 0))


def _failed(event: type, decision: Any, cause: str, completed: int, initiated: int) -> Any:
    return event(
        workflow_id=decision.workflow_id,
        run_id=decision.run_id,
        cause=cause,
        control=decision.control,
        initiated_event_id=initiated,
        decision_task_completed_event_id=completed,
    )


def _deliver(turn: StepContext, decision: Any, command: Command, lost: Any) -> None:
    to = ToWorkflow(decision.workflow_id, decision.run_id)
    turn.send(Message(to, command, otherwise=_answer(turn, lost)))


def _initiate_signal(turn: StepContext, decision: d.SignalExternalWorkflowExecution, completed: int) -> int:
    return turn.append(
        e.SignalExternalWorkflowExecutionInitiated(
            workflow_id=decision.workflow_id,
            run_id=decision.run_id,
            signal_name=decision.signal_name,
            input=decision.input,
            control=decision.control,
            decision_task_completed_event_id=completed,
        )
    ).id


def signal(turn: StepContext, decision: d.SignalExternalWorkflowExecution, completed: int) -> str | None:
    """SignalExternalWorkflowExecution; a signal to oneself takes the same way."""
    initiated = _initiate_signal(turn, decision, completed)
    sender = Sender(turn.run.execution, initiated)
    command = SignalWorkflowExecution(signal_name=decision.signal_name, input=decision.input, sender=sender)
    lost = _failed(e.SignalExternalWorkflowExecutionFailed, decision, _UNKNOWN, completed, initiated)
    _deliver(turn, decision, command, lost)
    return None


def refuse_signal(
    turn: StepContext, decision: d.SignalExternalWorkflowExecution, cause: str, completed: int
) -> None:
    """SWF refuses a signal after its Initiated event."""
    initiated = _initiate_signal(turn, decision, completed)
    turn.append(_failed(e.SignalExternalWorkflowExecutionFailed, decision, cause, completed, initiated))


def _initiate_cancel(
    turn: StepContext, decision: d.RequestCancelExternalWorkflowExecution, completed: int
) -> int:
    return turn.append(
        e.RequestCancelExternalWorkflowExecutionInitiated(
            workflow_id=decision.workflow_id,
            run_id=decision.run_id,
            control=decision.control,
            decision_task_completed_event_id=completed,
        )
    ).id


def request_cancel(
    turn: StepContext, decision: d.RequestCancelExternalWorkflowExecution, completed: int
) -> str | None:
    """RequestCancelExternalWorkflowExecution."""
    initiated = _initiate_cancel(turn, decision, completed)
    command = RequestCancelWorkflowExecution(sender=Sender(turn.run.execution, initiated))
    lost = _failed(e.RequestCancelExternalWorkflowExecutionFailed, decision, _UNKNOWN, completed, initiated)
    _deliver(turn, decision, command, lost)
    return None


def refuse_cancel(
    turn: StepContext, decision: d.RequestCancelExternalWorkflowExecution, cause: str, completed: int
) -> None:
    """SWF refuses a cancel request after its Initiated event."""
    initiated = _initiate_cancel(turn, decision, completed)
    turn.append(
        _failed(e.RequestCancelExternalWorkflowExecutionFailed, decision, cause, completed, initiated)
    )
