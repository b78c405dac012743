"""Closing of runs: the last event, the message to the parent, and the child policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve

from floto.core.engine.commands import (
    Begin,
    ChildClosed,
    RequestCancelWorkflowExecution,
    TerminateWorkflowExecution,
)
from floto.core.engine.decisions.refusal_causes import cause_of_type
from floto.core.engine.registration.type_settings import run_settings, started_event
from floto.core.engine.run import Message, ToChildren, ToNew, ToRun
from floto.core.engine.step_context import StepContext
from floto.core.engine.tokens import derive_run_id
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    FailWorkflowExecution,
)
from floto.core.swf.shapes import ChildPolicy, WorkflowExecution

_APPLIED = "CHILD_POLICY_APPLIED"

#: Command for the children by child policy; ABANDON sends none.
_POLICIES: Mapping[str, Any] = {
    ChildPolicy.TERMINATE: TerminateWorkflowExecution(cause=_APPLIED),
    ChildPolicy.REQUEST_CANCEL: RequestCancelWorkflowExecution(cause=_APPLIED),
}


def close(context: StepContext, data: Any) -> None:
    """Append the closing event and notify the parent.

    The child policy applies only if the run was terminated or timed out.
    https://docs.aws.amazon.com/amazonswf/latest/apireference/API_StartWorkflowExecution.html
    """
    context.append(data)
    started, run_id = context.started, context.run.execution.run_id
    parent = started.parent_workflow_execution
    if parent is not None and type(data) is not e.WorkflowExecutionContinuedAsNew:
        initiated = started.parent_initiated_event_id or 0
        closed = ChildClosed(
            initiated_event_id=initiated,
            execution=context.run.execution,
            workflow_type=started.workflow_type,
            closing=data,
        )
        context.send(Message(ToRun(parent.run_id), closed))
    command = _POLICIES.get(getattr(data, "child_policy", "")) if type(data) in _BY_FORCE else None
    if command is not None:
        context.send(Message(ToChildren(run_id), command))


_BY_FORCE = (e.WorkflowExecutionTerminated, e.WorkflowExecutionTimedOut)


def close_full(context: StepContext) -> None:
    """Terminate a run whose history has the maximum length."""
    policy = context.started.child_policy
    close(context, e.WorkflowExecutionTerminated(child_policy=policy, cause="EVENT_LIMIT_EXCEEDED"))


def terminate(context: StepContext, command: TerminateWorkflowExecution) -> None:
    """Carry out TerminateWorkflowExecution, or the child policy of a closed parent."""
    policy = command.child_policy or context.started.child_policy
    data = e.WorkflowExecutionTerminated(
        child_policy=policy, reason=command.reason, details=command.details, cause=command.cause
    )
    close(context, data)


def time_out(context: StepContext) -> None:
    """Time out the run."""
    policy = context.started.child_policy
    close(context, e.WorkflowExecutionTimedOut(timeout_type="START_TO_CLOSE", child_policy=policy))


def _unless_unhandled(
    closing: Callable[[StepContext, Any, int], str | None],
) -> Callable[[StepContext, Any, int], str | None]:
    def guarded(context: StepContext, decision: Any, completed: int) -> str | None:
        # Another decision task is scheduled, so the decider has not seen every event.
        if context.decision_tasks.scheduled is not None:
            return "UNHANDLED_DECISION"
        return closing(context, decision, completed)

    return guarded


@_unless_unhandled
def complete(context: StepContext, decision: CompleteWorkflowExecution, completed: int) -> str | None:
    """Carry out CompleteWorkflowExecution."""
    close(
        context,
        e.WorkflowExecutionCompleted(decision_task_completed_event_id=completed, result=decision.result),
    )
    return None


@_unless_unhandled
def fail(context: StepContext, decision: FailWorkflowExecution, completed: int) -> str | None:
    """Carry out FailWorkflowExecution."""
    data = e.WorkflowExecutionFailed(
        decision_task_completed_event_id=completed, reason=decision.reason, details=decision.details
    )
    close(context, data)
    return None


@_unless_unhandled
def cancel(context: StepContext, decision: CancelWorkflowExecution, completed: int) -> str | None:
    """Carry out CancelWorkflowExecution; SWF does not require a cancel request before it."""
    close(
        context,
        e.WorkflowExecutionCanceled(decision_task_completed_event_id=completed, details=decision.details),
    )
    return None


@_unless_unhandled
def continue_as_new(
    context: StepContext, decision: ContinueAsNewWorkflowExecution, completed: int
) -> str | None:
    """Carry out ContinueAsNewWorkflowExecution; defaults come from the type, not from this run."""
    old = context.started
    type_ = evolve(old.workflow_type, version=decision.workflow_type_version or old.workflow_type.version)
    registered = context.registered(type_)
    settings = {} if registered is None else run_settings(decision, registered.defaults)
    cause = cause_of_type(registered, settings)
    if cause is None:
        _continue(context, decision, completed, {"workflow_type": type_, **settings})
    return cause


def _continue(
    context: StepContext,
    decision: ContinueAsNewWorkflowExecution,
    completed: int,
    settings: Mapping[str, Any],
) -> None:
    run, old = context.run.execution, context.started
    new = WorkflowExecution(run.workflow_id, derive_run_id(run.run_id, context.next_id))
    started = started_event(
        decision,
        settings,
        continued_execution_run_id=run.run_id,
        parent_workflow_execution=old.parent_workflow_execution,
        parent_initiated_event_id=old.parent_initiated_event_id,
    )
    closing = e.WorkflowExecutionContinuedAsNew(
        decision_task_completed_event_id=completed,
        new_execution_run_id=new.run_id,
        input=decision.input,
        tag_list=decision.tag_list or None,
        **settings,
    )
    close(context, closing)
    # Must be the first message, or another start could use the workflow id in between.
    context.messages.insert(0, Message(ToNew(new), Begin(started=started)))
