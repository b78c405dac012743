"""Application of one command to one run: one row in ``HANDLERS`` for each class of command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from floto.core.engine import commands as c
from floto.core.engine import deadlines, faults
from floto.core.engine.deadlines import PendingTimeout
from floto.core.engine.decisions import closing, decisions
from floto.core.engine.run import EngineRules, EngineRun, Message, StepOutcome, ToRun
from floto.core.engine.step_context import StepContext, opening
from floto.core.quick_init import maker
from floto.core.state.state import Item, Kind
from floto.core.swf import events as e
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.decisions import CLOSE_DECISIONS

_decision_started, _decision_completed = maker(e.DecisionTaskStarted), maker(e.DecisionTaskCompleted)
_activity_started, _activity_completed = maker(e.ActivityTaskStarted), maker(e.ActivityTaskCompleted)


def step(
    run: EngineRun,
    command: c.Command,
    now: datetime,
    rules: EngineRules,
    hand_over: Callable[[StepContext], None] | None = None,
) -> StepOutcome:
    """Apply a command to an open run.

    Args:
        run: The run before the command.
        command: One of the commands of ``HANDLERS``.
        now: Time of the clock.
        rules: Registered types, limits and injected refusals.
        hand_over: Called after the command, to apply more commands that follow from it (``handover.py``).

    Returns:
        The run after the command, its new events, its messages to other runs and its reply.

    Raises:
        ServiceFault: SWF would refuse the command; nothing is written.
    """
    context = StepContext(run, now, rules)
    reply = apply(context, command)
    if hand_over is not None:
        hand_over(context)
    if context.is_full and context.is_open:
        closing.close_full(context)
    return context.outcome(reply)


def apply(context: StepContext, command: c.Command) -> Any:
    """Apply a command within a step, and return its reply."""
    return HANDLERS[type(command)](context, command)


def _begin(context: StepContext, command: c.Begin) -> None:
    context.append(command.started)
    if command.sender is not None:
        started = e.ChildWorkflowExecutionStarted(
            workflow_execution=context.run.execution,
            workflow_type=command.started.workflow_type,
            initiated_event_id=command.sender.initiated_event_id,
        )
        context.send(Message(ToRun(command.sender.execution.run_id), c.RecordOutcome(data=started)))


def _origin(sender: c.Sender | None) -> dict[str, Any]:
    # SWF writes a literal 0 if the request came from an API call.
    if sender is None:
        return {"external_initiated_event_id": 0}
    return {
        "external_workflow_execution": sender.execution,
        "external_initiated_event_id": sender.initiated_event_id,
    }


def _notify_sender(context: StepContext, sender: c.Sender | None, event: type) -> None:
    if sender is not None:
        data = event(workflow_execution=context.run.execution, initiated_event_id=sender.initiated_event_id)
        context.send(Message(ToRun(sender.execution.run_id), c.RecordOutcome(data=data)))


def _signal(context: StepContext, command: c.SignalWorkflowExecution) -> None:
    context.append(
        e.WorkflowExecutionSignaled(
            signal_name=command.signal_name, input=command.input, **_origin(command.sender)
        )
    )
    _notify_sender(context, command.sender, e.ExternalWorkflowExecutionSignaled)


def _request_cancel(context: StepContext, command: c.RequestCancelWorkflowExecution) -> None:
    context.append(e.WorkflowExecutionCancelRequested(cause=command.cause, **_origin(command.sender)))
    _notify_sender(context, command.sender, e.ExternalWorkflowExecutionCancelRequested)


def _start_decision_task(
    context: StepContext, command: c.StartDecisionTask | c.DecideAtOnce
) -> e.Event[e.DecisionTaskStarted]:
    scheduled = context.decision_tasks.scheduled
    if scheduled is None or context.decision_tasks.started is not None:
        raise faults.unknown_decision_task(0 if scheduled is None else scheduled.id)
    started = context.append(
        _decision_started(scheduled_event_id=scheduled.id, identity=command.identity or None)
    )
    context.note_decision_start(started)
    return started


def _decide_at_once(context: StepContext, command: c.DecideAtOnce) -> Any:
    changed = context.changed_keys()
    _start_decision_task(context, command)
    if context.is_full:
        return None
    reply, response = command.decide(context.draft.state(), context.events, changed)
    if response is not None:
        _respond_decision_task(context, response)
    return reply


def _respond_decision_task(context: StepContext, command: c.RespondDecisionTaskCompleted) -> None:
    started = context.decision_tasks.started
    scheduled_id = command.token.scheduled_event_id
    if started is None or started.data.scheduled_event_id != scheduled_id:
        raise faults.unknown_decision_task(scheduled_id)
    for decision in command.decisions[:-1]:
        if isinstance(decision, CLOSE_DECISIONS):
            message = "Close must be last decision in list"
            raise faults.invalid(message)
    context.begin_batch()
    completed = context.append(
        _decision_completed(
            scheduled_event_id=scheduled_id,
            started_event_id=started.id,
            execution_context=command.execution_context,
            task_list=command.task_list,
            task_list_schedule_to_start_timeout=command.task_list_schedule_to_start_timeout,
        )
    )
    context.note_context(command.execution_context)
    for decision in command.decisions:
        if context.is_full:
            break
        decisions.apply(context, decision, completed.id)
    context.end_batch()


def _start_activity_task(context: StepContext, command: c.StartActivityTask) -> e.Event:
    if context.open_item(command.scheduled_event_id, Kind.ACTIVITY) is None:
        raise faults.unknown_activity(command.scheduled_event_id)
    return context.append(
        _activity_started(scheduled_event_id=command.scheduled_event_id, identity=command.identity or None)
    )


def _started_activity(context: StepContext, scheduled_event_id: int) -> Item:
    item = context.started_item(scheduled_event_id, Kind.ACTIVITY)
    if item is None:
        raise faults.unknown_activity(scheduled_event_id)
    return item


def _start_lambda(context: StepContext, command: c.StartLambdaFunction) -> e.Event:
    if context.open_item(command.scheduled_event_id, Kind.LAMBDA) is None:
        raise faults.unknown_lambda(command.scheduled_event_id)
    return context.append(e.LambdaFunctionStarted(scheduled_event_id=command.scheduled_event_id))


def _started_lambda(context: StepContext, scheduled_event_id: int) -> Item:
    item = context.started_item(scheduled_event_id, Kind.LAMBDA)
    if item is None:
        raise faults.unknown_lambda(scheduled_event_id)
    return item


def _complete_lambda(context: StepContext, command: c.RespondLambdaFunctionCompleted) -> None:
    item = _started_lambda(context, command.token.scheduled_event_id)
    context.append(e.LambdaFunctionCompleted(**_references(item), result=command.result))


def _fail_lambda(context: StepContext, command: c.RespondLambdaFunctionFailed) -> None:
    item = _started_lambda(context, command.token.scheduled_event_id)
    context.append(
        e.LambdaFunctionFailed(**_references(item), reason=command.reason, details=command.details)
    )


def _references(item: Item) -> dict[str, int]:
    return {"scheduled_event_id": opening(item).id, "started_event_id": _started_id(item)}


def _started_id(item: Item) -> int:
    return 0 if item.started is None else item.started.id


def _complete_activity(context: StepContext, command: c.RespondActivityTaskCompleted) -> None:
    item = _started_activity(context, command.token.scheduled_event_id)
    context.append(
        _activity_completed(
            scheduled_event_id=opening(item).id, started_event_id=_started_id(item), result=command.result
        )
    )


def _fail_activity(context: StepContext, command: c.RespondActivityTaskFailed) -> None:
    item = _started_activity(context, command.token.scheduled_event_id)
    context.append(e.ActivityTaskFailed(**_references(item), reason=command.reason, details=command.details))


def _cancel_activity(context: StepContext, command: c.RespondActivityTaskCanceled) -> None:
    # SWF allows this response only after a cancel request and does not document what happens without one.
    item = _started_activity(context, command.token.scheduled_event_id)
    context.append(
        e.ActivityTaskCanceled(
            **_references(item),
            details=command.details,
            latest_cancel_requested_event_id=_cancel_request_id(item),
        )
    )


def _cancel_request_id(item: Item) -> int | None:
    """Return the id of the latest cancel request that SWF accepted; None if there is none."""
    event = item.cancel
    return event.id if event is not None and type(event.data) is e.ActivityTaskCancelRequested else None


def _heartbeat(context: StepContext, command: c.RecordActivityTaskHeartbeat) -> bool:
    item = _started_activity(context, command.token.scheduled_event_id)
    context.beat(item, command.details)
    return _cancel_request_id(item) is not None


def _fire(context: StepContext, command: c.Fire) -> None:
    """Fire a deadline that has passed; do nothing if its item closed or the deadline moved meanwhile."""
    if command.event_id == 1:
        if _is_due(context, deadlines.of_run(context.run.state), command):
            closing.time_out(context)
        return
    key = context.draft.key_of(command.event_id)
    if key is None:
        _time_out_decision_task(context, command)
        return
    item = context.open_item(command.event_id, key[0])
    due = None if item is None else deadlines.of_item(context.run, item)
    if item is not None and due is not None and _is_due(context, due, command):
        _EXPIRIES[key[0]](context, item, due.timeout_type)


def _is_due(context: StepContext, due: PendingTimeout | None, command: c.Fire) -> bool:
    """Return True if a deadline has passed, by the time of the run or, if that is ahead, by the clock.

    The event of the timeout then gets the time of the deadline.
    """
    if due is None or (due.at > context.at and (command.at is None or command.at > context.now)):
        return False
    context.at = max(context.at, due.at)
    return True


def _time_out_decision_task(context: StepContext, command: c.Fire) -> None:
    due = deadlines.of_decision_task(context.run.state)
    if due is not None and _is_due(context, due, command):
        _end_decision_task(context, command.event_id, due.timeout_type)


def _end_decision_task(context: StepContext, scheduled_event_id: int, timeout_type: str) -> None:
    """Time out the decision task that this event scheduled, if it is the started or the scheduled one."""
    scheduled, started = context.decision_tasks.scheduled, context.decision_tasks.started
    if started is not None:
        open_id, started_id = started.data.scheduled_event_id, started.id
    else:
        open_id, started_id = 0 if scheduled is None else scheduled.id, 0
    if open_id == scheduled_event_id:
        data = e.DecisionTaskTimedOut(
            timeout_type=timeout_type, scheduled_event_id=open_id, started_event_id=started_id
        )
        context.append(data)


def _fire_timer(context: StepContext, item: Item, _timeout_type: str) -> None:
    context.append(e.TimerFired(timer_id=item.key[1], started_event_id=opening(item).id))


def _time_out_activity(context: StepContext, item: Item, timeout_type: str) -> None:
    beat = context.run.heartbeats.get(opening(item).id)
    details = None if beat is None else beat.details
    context.append(e.ActivityTaskTimedOut(timeout_type=timeout_type, details=details, **_references(item)))


def _time_out_lambda(context: StepContext, item: Item, timeout_type: str) -> None:
    context.append(e.LambdaFunctionTimedOut(timeout_type=timeout_type, **_references(item)))


_EXPIRIES: Mapping[Kind, Callable[[StepContext, Item, str], None]] = {
    Kind.TIMER: _fire_timer,
    Kind.ACTIVITY: _time_out_activity,
    Kind.LAMBDA: _time_out_lambda,
}
#: Timeout type of a started task whose owners crashed too often.
_LOST_TIMEOUTS: Mapping[Kind, str] = {Kind.ACTIVITY: "HEARTBEAT", Kind.LAMBDA: "START_TO_CLOSE"}


def _time_out_lost_task(context: StepContext, command: c.TimeOutLostTask) -> None:
    """Time out a task as SWF does if its owner stops responding, regardless of its timeouts."""
    key = context.draft.key_of(command.scheduled_event_id)
    if key is None:
        if context.decision_tasks.started is not None:
            _end_decision_task(context, command.scheduled_event_id, "START_TO_CLOSE")
        return
    item = context.started_item(command.scheduled_event_id, key[0])
    if item is not None:
        _EXPIRIES[key[0]](context, item, _LOST_TIMEOUTS[key[0]])


def _record_outcome(context: StepContext, command: c.RecordOutcome) -> None:
    opening_id = getattr(command.data, _OPENED_BY.get(type(command.data), "initiated_event_id"))
    if context.draft.key_of(opening_id) is not None:
        context.append(command.data)


#: Field with the id of the opening event, where it is not ``initiated_event_id``.
_OPENED_BY: Mapping[type, str] = {e.StartLambdaFunctionFailed: "scheduled_event_id"}


def _child_closed(context: StepContext, command: c.ChildClosed) -> None:
    started = context.run.state.children.get(command.initiated_event_id)
    closing_event = CLOSING_EVENTS[type(command.closing)]
    if started is None or closing_event.child_event is None:
        return
    context.append(
        closing_event.child_event(
            # Undocumented for a child that continued as new: the run that closed is named.
            workflow_execution=command.execution,
            workflow_type=command.workflow_type,
            initiated_event_id=command.initiated_event_id,
            started_event_id=started.id,
            **{name: getattr(command.closing, name) for name in closing_event.repeated},
        )
    )


HANDLERS: Mapping[type, Callable[[StepContext, Any], Any]] = {
    c.Begin: _begin,
    c.SignalWorkflowExecution: _signal,
    c.RequestCancelWorkflowExecution: _request_cancel,
    c.TerminateWorkflowExecution: closing.terminate,
    c.StartDecisionTask: _start_decision_task,
    c.DecideAtOnce: _decide_at_once,
    c.RespondDecisionTaskCompleted: _respond_decision_task,
    c.StartActivityTask: _start_activity_task,
    c.RespondActivityTaskCompleted: _complete_activity,
    c.RespondActivityTaskFailed: _fail_activity,
    c.RespondActivityTaskCanceled: _cancel_activity,
    c.RecordActivityTaskHeartbeat: _heartbeat,
    c.StartLambdaFunction: _start_lambda,
    c.RespondLambdaFunctionCompleted: _complete_lambda,
    c.RespondLambdaFunctionFailed: _fail_lambda,
    c.Fire: _fire,
    c.TimeOutLostTask: _time_out_lost_task,
    c.RecordOutcome: _record_outcome,
    c.ChildClosed: _child_closed,
}
