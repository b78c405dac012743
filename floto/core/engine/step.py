"""One command on one run: one row for each class of command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from floto.core.engine import commands as c
from floto.core.engine import deadlines, faults
from floto.core.engine.deadlines import DeadlineTable
from floto.core.engine.decisions import closing, decisions
from floto.core.engine.run import EngineRun, Message, Rules, StepOutcome, ToRun
from floto.core.engine.step_context import StepContext, opening
from floto.core.engine.validation import check_command, check_decisions
from floto.core.state.state import Item, Kind
from floto.core.swf import events as e


def step(run: EngineRun, command: c.Command, now: datetime, rules: Rules) -> StepOutcome:
    """Apply a command to an open run; a fault, and nothing written, if SWF would refuse it."""
    check_command(command)
    turn = StepContext(run, now, rules)
    reply = HANDLERS[type(command)](turn, command)
    if turn.is_full and turn.is_open:
        closing.close_full(turn)
    return turn.outcome(reply)


def _begin(turn: StepContext, command: c.Begin) -> None:
    turn.append(command.started)
    if command.sender is not None:
        news = e.ChildWorkflowExecutionStarted(
            workflow_execution=turn.run.execution,
            workflow_type=command.started.workflow_type,
            initiated_event_id=command.sender.initiated_event_id,
        )
        turn.send(Message(ToRun(command.sender.execution.run_id), c.RespondCommand(data=news)))


def _origin(sender: c.Sender | None) -> dict[str, Any]:
    # SWF writes a literal 0 where the request came from outside.
    if sender is None:
        return {"external_initiated_event_id": 0}
    return {
        "external_workflow_execution": sender.execution,
        "external_initiated_event_id": sender.initiated_event_id,
    }


def _answer_sender(turn: StepContext, sender: c.Sender | None, event: type) -> None:
    if sender is not None:
        data = event(workflow_execution=turn.run.execution, initiated_event_id=sender.initiated_event_id)
        turn.send(Message(ToRun(sender.execution.run_id), c.RespondCommand(data=data)))


def _signal(turn: StepContext, command: c.SignalWorkflowExecution) -> None:
    turn.append(
        e.WorkflowExecutionSignaled(
            signal_name=command.signal_name, input=command.input, **_origin(command.sender)
        )
    )
    _answer_sender(turn, command.sender, e.ExternalWorkflowExecutionSignaled)


def _request_cancel(turn: StepContext, command: c.RequestCancelWorkflowExecution) -> None:
    turn.append(e.WorkflowExecutionCancelRequested(cause=command.cause, **_origin(command.sender)))
    _answer_sender(turn, command.sender, e.ExternalWorkflowExecutionCancelRequested)


def _start_decision_task(turn: StepContext, command: c.StartDecisionTask) -> e.Event:
    scheduled = turn.decision_tasks.scheduled
    if scheduled is None or turn.decision_tasks.started is not None:
        raise faults.unknown_decision_task(0 if scheduled is None else scheduled.id)
    return turn.append(
        e.DecisionTaskStarted(scheduled_event_id=scheduled.id, identity=command.identity or None)
    )


def _respond_decision_task(turn: StepContext, command: c.RespondDecisionTaskCompleted) -> None:
    started = turn.decision_tasks.started
    scheduled_id = command.token.scheduled_event_id
    if started is None or started.data.scheduled_event_id != scheduled_id:
        raise faults.unknown_decision_task(scheduled_id)
    check_decisions(command.decisions)
    with turn.batch():
        completed = turn.append(
            e.DecisionTaskCompleted(
                scheduled_event_id=scheduled_id,
                started_event_id=started.id,
                execution_context=command.execution_context,
                task_list=command.task_list,
                task_list_schedule_to_start_timeout=command.task_list_schedule_to_start_timeout,
            )
        )
        turn.note_context(command.execution_context)
        for decision in command.decisions:
            if turn.is_full:
                break
            decisions.apply(turn, decision, completed.id)


def _start_activity_task(turn: StepContext, command: c.StartActivityTask) -> e.Event:
    if turn.open_item(command.scheduled_event_id, Kind.ACTIVITY) is None:
        raise faults.unknown_activity(command.scheduled_event_id)
    return turn.append(
        e.ActivityTaskStarted(
            scheduled_event_id=command.scheduled_event_id, identity=command.identity or None
        )
    )


def _running(turn: StepContext, scheduled_event_id: int) -> Item:
    item = turn.started_item(scheduled_event_id, Kind.ACTIVITY)
    if item is None:
        raise faults.unknown_activity(scheduled_event_id)
    return item


def _start_lambda(turn: StepContext, command: c.StartLambdaFunction) -> e.Event:
    if turn.open_item(command.scheduled_event_id, Kind.LAMBDA) is None:
        raise faults.unknown_lambda(command.scheduled_event_id)
    return turn.append(e.LambdaFunctionStarted(scheduled_event_id=command.scheduled_event_id))


def _invoked(turn: StepContext, scheduled_event_id: int) -> dict[str, int]:
    item = turn.started_item(scheduled_event_id, Kind.LAMBDA)
    if item is None:
        raise faults.unknown_lambda(scheduled_event_id)
    return _references(item)


def _complete_lambda(turn: StepContext, command: c.RespondLambdaFunctionCompleted) -> None:
    references = _invoked(turn, command.token.scheduled_event_id)
    turn.append(e.LambdaFunctionCompleted(**references, result=command.result))


def _fail_lambda(turn: StepContext, command: c.RespondLambdaFunctionFailed) -> None:
    references = _invoked(turn, command.token.scheduled_event_id)
    turn.append(e.LambdaFunctionFailed(**references, reason=command.reason, details=command.details))


def _references(item: Item) -> dict[str, int]:
    return {
        "scheduled_event_id": opening(item).id,
        "started_event_id": 0 if item.started is None else item.started.id,
    }


def _complete_activity(turn: StepContext, command: c.RespondActivityTaskCompleted) -> None:
    item = _running(turn, command.token.scheduled_event_id)
    turn.append(e.ActivityTaskCompleted(**_references(item), result=command.result))


def _fail_activity(turn: StepContext, command: c.RespondActivityTaskFailed) -> None:
    item = _running(turn, command.token.scheduled_event_id)
    turn.append(e.ActivityTaskFailed(**_references(item), reason=command.reason, details=command.details))


def _cancel_activity(turn: StepContext, command: c.RespondActivityTaskCanceled) -> None:
    # SWF says to answer so only when asked to stop; what it does otherwise is undocumented.
    item = _running(turn, command.token.scheduled_event_id)
    turn.append(
        e.ActivityTaskCanceled(
            **_references(item),
            details=command.details,
            latest_cancel_requested_event_id=_cancel_request(item),
        )
    )


def _cancel_request(item: Item) -> int | None:
    asked = item.cancel is not None and type(item.cancel.data) is e.ActivityTaskCancelRequested
    return item.cancel.id if asked and item.cancel is not None else None


def _heartbeat(turn: StepContext, command: c.RecordActivityTaskHeartbeat) -> bool:
    item = _running(turn, command.token.scheduled_event_id)
    turn.beat(item, command.details)
    return _cancel_request(item) is not None


def _fire(turn: StepContext, command: c.Fire) -> None:
    """End what is due by now; nothing happens if it ended or was put off in the meantime."""
    if command.event_id == 1:
        if _is_due(turn, deadlines.of_run(turn.run.state), command):
            closing.time_out(turn)
        return
    key = turn.draft.key_of(command.event_id)
    if key is None:
        _time_out_decision_task(turn, command)
        return
    item = turn.open_item(command.event_id, key[0])
    due = None if item is None else deadlines.of_item(turn.run, item)
    if item is not None and due is not None and _is_due(turn, due, command):
        _EXPIRIES[key[0]](turn, item, due.what)


def _is_due(turn: StepContext, due: DeadlineTable | None, command: c.Fire) -> bool:
    """Return True for a deadline that has passed, by the run's time or, where that is ahead, by the clock.

    What ends then has the time at which it was due, as the history of the run tells it.
    """
    if due is None or (due.at > turn.at and (command.at is None or command.at > turn.now)):
        return False
    turn.at = max(turn.at, due.at)
    return True


def _time_out_decision_task(turn: StepContext, command: c.Fire) -> None:
    due = deadlines.of_decision_task(turn.run.state)
    if due is not None and _is_due(turn, due, command):
        _end_decision_task(turn, command.event_id, due.what)


def _end_decision_task(turn: StepContext, scheduled_event_id: int, what: str) -> None:
    """Time out the decision task that this event scheduled, if it is the one that is out or waits."""
    scheduled, started = turn.decision_tasks.scheduled, turn.decision_tasks.started
    if started is not None:
        open_id, started_id = started.data.scheduled_event_id, started.id
    else:
        open_id, started_id = 0 if scheduled is None else scheduled.id, 0
    if open_id == scheduled_event_id:
        data = e.DecisionTaskTimedOut(
            timeout_type=what, scheduled_event_id=open_id, started_event_id=started_id
        )
        turn.append(data)


def _fire_timer(turn: StepContext, item: Item, _what: str) -> None:
    turn.append(e.TimerFired(timer_id=item.key[1], started_event_id=opening(item).id))


def _time_out_activity(turn: StepContext, item: Item, what: str) -> None:
    beat = turn.run.heartbeats.get(opening(item).id)
    details = None if beat is None else beat.details
    turn.append(e.ActivityTaskTimedOut(timeout_type=what, details=details, **_references(item)))


def _time_out_lambda(turn: StepContext, item: Item, what: str) -> None:
    turn.append(e.LambdaFunctionTimedOut(timeout_type=what, **_references(item)))


_EXPIRIES: Mapping[Kind, Callable[[StepContext, Item, str], None]] = {
    Kind.TIMER: _fire_timer,
    Kind.ACTIVITY: _time_out_activity,
    Kind.LAMBDA: _time_out_lambda,
}
#: How a task ends of whose holder nothing is heard any more.
_LOSSES: Mapping[Kind, str] = {Kind.ACTIVITY: "HEARTBEAT", Kind.LAMBDA: "START_TO_CLOSE"}


def _lose(turn: StepContext, command: c.Lose) -> None:
    """End a task as SWF does when it hears no more of who has it, whatever the time-outs are."""
    key = turn.draft.key_of(command.scheduled_event_id)
    if key is None:
        if turn.decision_tasks.started is not None:
            _end_decision_task(turn, command.scheduled_event_id, "START_TO_CLOSE")
        return
    item = turn.started_item(command.scheduled_event_id, key[0])
    if item is not None:
        _EXPIRIES[key[0]](turn, item, _LOSSES[key[0]])


def _answer(turn: StepContext, command: c.RespondCommand) -> None:
    asked = getattr(command.data, _ASKED_BY.get(type(command.data), "initiated_event_id"))
    if turn.draft.key_of(asked) is not None:
        turn.append(command.data)


#: The field in which an answer names the event that asked, where it is not the usual one.
_ASKED_BY: Mapping[type, str] = {e.StartLambdaFunctionFailed: "scheduled_event_id"}


#: A child's closing event: what the parent's history calls it, and what it repeats.
_CHILD_CLOSINGS: Mapping[type, tuple[type, tuple[str, ...]]] = {
    e.WorkflowExecutionCompleted: (e.ChildWorkflowExecutionCompleted, ("result",)),
    e.WorkflowExecutionFailed: (e.ChildWorkflowExecutionFailed, ("reason", "details")),
    e.WorkflowExecutionCanceled: (e.ChildWorkflowExecutionCanceled, ("details",)),
    e.WorkflowExecutionTimedOut: (e.ChildWorkflowExecutionTimedOut, ("timeout_type",)),
    e.WorkflowExecutionTerminated: (e.ChildWorkflowExecutionTerminated, ()),
}


def _child_closed(turn: StepContext, command: c.ChildClosed) -> None:
    started = turn.run.state.children.get(command.initiated_event_id)
    if started is None:
        return
    event, repeated = _CHILD_CLOSINGS[type(command.closing)]
    turn.append(
        event(
            # Undocumented for a child that continued as new: the run that closed is named.
            workflow_execution=command.execution,
            workflow_type=command.workflow_type,
            initiated_event_id=command.initiated_event_id,
            started_event_id=started.id,
            **{name: getattr(command.closing, name) for name in repeated},
        )
    )


HANDLERS: Mapping[type, Callable[[StepContext, Any], Any]] = {
    c.Begin: _begin,
    c.SignalWorkflowExecution: _signal,
    c.RequestCancelWorkflowExecution: _request_cancel,
    c.TerminateWorkflowExecution: closing.terminate,
    c.StartDecisionTask: _start_decision_task,
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
    c.Lose: _lose,
    c.RespondCommand: _answer,
    c.ChildClosed: _child_closed,
}
