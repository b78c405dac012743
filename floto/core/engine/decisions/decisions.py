"""Execution of each decision: one row in ``DECISION_HANDLERS`` for each class.

``carry_out`` appends events and returns None, or appends none and returns SWF's cause;
then ``refuse`` appends the ...Failed event.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_Decision.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from floto.core.engine.decisions import closing, externals
from floto.core.engine.registration.type_settings import ACTIVITY_NEEDS, activity_settings, missing
from floto.core.engine.step_context import StepContext, opening
from floto.core.quick_init import maker
from floto.core.state.state import Kind, Status
from floto.core.swf import decisions as d
from floto.core.swf import events as e
from floto.core.swf.limits import OPEN_LIMIT

_activity_scheduled = maker(e.ActivityTaskScheduled)
Handler = Callable[[StepContext, Any, int], str | None]
Refusal = Callable[[StepContext, Any, str, int], None]


@frozen
class DecisionHandler:
    """Functions that carry out and refuse one class of decision."""

    carry_out: Handler
    refuse: Refusal


def apply(context: StepContext, decision: d.Decision, completed: int) -> None:
    """Carry out one decision of the response with the event id ``completed``, or append its refusal."""
    handler = DECISION_HANDLERS[type(decision)]
    cause = context.rules.refuse(decision) or handler.carry_out(context, decision, completed)
    if cause is not None:
        handler.refuse(context, decision, cause, completed)


def _fails_as(event: type, *fields: str) -> Refusal:
    """Return a function that refuses with an event that copies these fields of the decision."""

    def refuse(context: StepContext, decision: Any, cause: str, completed: int) -> None:
        repeated = {name: getattr(decision, name) for name in fields}
        context.append(event(**repeated, cause=cause, decision_task_completed_event_id=completed))

    return refuse


def _schedule_activity(context: StepContext, decision: d.ScheduleActivityTask, completed: int) -> str | None:
    registered = context.registered(decision.activity_type)
    if registered is None:
        return "ACTIVITY_TYPE_DOES_NOT_EXIST"
    if registered.deprecated_at is not None:
        return "ACTIVITY_TYPE_DEPRECATED"
    if context.item_in_use(Kind.ACTIVITY, decision.activity_id) is not None:
        return "ACTIVITY_ID_ALREADY_IN_USE"
    settings = activity_settings(decision, registered.defaults)
    lacking = missing(settings, ACTIVITY_NEEDS)
    if lacking is not None:
        return ACTIVITY_NEEDS[lacking]
    if context.draft.count(Kind.ACTIVITY) >= OPEN_LIMIT:
        return "OPEN_ACTIVITIES_LIMIT_EXCEEDED"
    context.append(
        _activity_scheduled(
            activity_type=decision.activity_type,
            activity_id=decision.activity_id,
            input=decision.input,
            control=decision.control,
            decision_task_completed_event_id=completed,
            **settings,
        )
    )
    return None


def _cancel_activity(
    context: StepContext, decision: d.RequestCancelActivityTask, completed: int
) -> str | None:
    item = context.item_in_use(Kind.ACTIVITY, decision.activity_id)
    if item is None:
        return "ACTIVITY_ID_UNKNOWN"
    request = context.append(
        e.ActivityTaskCancelRequested(
            decision_task_completed_event_id=completed, activity_id=decision.activity_id
        )
    )
    if item.status is Status.SCHEDULED:
        context.append(
            e.ActivityTaskCanceled(
                scheduled_event_id=opening(item).id,
                started_event_id=0,
                latest_cancel_requested_event_id=request.id,
            )
        )
    return None


def _start_timer(context: StepContext, decision: d.StartTimer, completed: int) -> str | None:
    if context.item_in_use(Kind.TIMER, decision.timer_id) is not None:
        return "TIMER_ID_ALREADY_IN_USE"
    if context.draft.count(Kind.TIMER) >= OPEN_LIMIT:
        return "OPEN_TIMERS_LIMIT_EXCEEDED"
    context.append(
        e.TimerStarted(
            timer_id=decision.timer_id,
            start_to_fire_timeout=decision.start_to_fire_timeout,
            control=decision.control,
            decision_task_completed_event_id=completed,
        )
    )
    return None


def _cancel_timer(context: StepContext, decision: d.CancelTimer, completed: int) -> str | None:
    item = context.item_in_use(Kind.TIMER, decision.timer_id)
    if item is None:
        return "TIMER_ID_UNKNOWN"
    context.append(
        e.TimerCanceled(
            timer_id=decision.timer_id,
            started_event_id=opening(item).id,
            decision_task_completed_event_id=completed,
        )
    )
    return None


def _record_marker(context: StepContext, decision: d.RecordMarker, completed: int) -> str | None:
    context.append(
        e.MarkerRecorded(
            marker_name=decision.marker_name,
            details=decision.details,
            decision_task_completed_event_id=completed,
        )
    )
    return None


def _schedule_lambda(context: StepContext, decision: d.ScheduleLambdaFunction, completed: int) -> str | None:
    if not context.rules.invokes_lambda:
        return "LAMBDA_SERVICE_NOT_AVAILABLE_IN_REGION"
    # As in the API reference; SWF was once observed to accept an id in use.
    if context.item_in_use(Kind.LAMBDA, decision.id) is not None:
        return "ID_ALREADY_IN_USE"
    # SWF's page of quotas has no figure for this limit.
    if context.draft.count(Kind.LAMBDA) >= OPEN_LIMIT:
        return "OPEN_LAMBDA_FUNCTIONS_LIMIT_EXCEEDED"
    scheduled = context.append(
        e.LambdaFunctionScheduled(
            id=decision.id,
            name=decision.name,
            control=decision.control,
            input=decision.input,
            start_to_close_timeout=decision.start_to_close_timeout,
            decision_task_completed_event_id=completed,
        )
    )
    if context.started.lambda_role is None:
        # As observed; the API reference names ScheduleLambdaFunctionFailed instead.
        refused = e.StartLambdaFunctionFailed(
            scheduled_event_id=scheduled.id,
            cause="ASSUME_ROLE_FAILED",
            message="The workflow execution has no lambdaRole",
        )
        # Sent as a message, since it comes after the batch, like the start of a child.
        context.send(externals.to_self(context, refused))
    return None


DECISION_HANDLERS: Mapping[type, DecisionHandler] = {
    d.ScheduleActivityTask: DecisionHandler(
        _schedule_activity, _fails_as(e.ScheduleActivityTaskFailed, "activity_type", "activity_id")
    ),
    d.RequestCancelActivityTask: DecisionHandler(
        _cancel_activity, _fails_as(e.RequestCancelActivityTaskFailed, "activity_id")
    ),
    d.StartTimer: DecisionHandler(_start_timer, _fails_as(e.StartTimerFailed, "timer_id")),
    d.CancelTimer: DecisionHandler(_cancel_timer, _fails_as(e.CancelTimerFailed, "timer_id")),
    d.RecordMarker: DecisionHandler(_record_marker, _fails_as(e.RecordMarkerFailed, "marker_name")),
    d.StartChildWorkflowExecution: DecisionHandler(externals.start_child, externals.refuse_child),
    d.SignalExternalWorkflowExecution: DecisionHandler(externals.signal, externals.refuse_signal),
    d.RequestCancelExternalWorkflowExecution: DecisionHandler(
        externals.request_cancel, externals.refuse_cancel
    ),
    d.ScheduleLambdaFunction: DecisionHandler(
        _schedule_lambda, _fails_as(e.ScheduleLambdaFunctionFailed, "id", "name")
    ),
    d.CompleteWorkflowExecution: DecisionHandler(
        closing.complete, _fails_as(e.CompleteWorkflowExecutionFailed)
    ),
    d.FailWorkflowExecution: DecisionHandler(closing.fail, _fails_as(e.FailWorkflowExecutionFailed)),
    d.CancelWorkflowExecution: DecisionHandler(closing.cancel, _fails_as(e.CancelWorkflowExecutionFailed)),
    d.ContinueAsNewWorkflowExecution: DecisionHandler(
        closing.continue_as_new, _fails_as(e.ContinueAsNewWorkflowExecutionFailed)
    ),
}
