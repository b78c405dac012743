"""Operations of deciders and workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from floto.core.engine import commands as c
from floto.core.engine.api.call import Call, Handler, Response, given
from floto.core.engine.api.executions import window
from floto.core.engine.api.pages import read_token, write_token
from floto.core.engine.registration.regions import region_of
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import TaskKind, any_token, invalid_token
from floto.core.engine.tokens import read_token as read_task_token
from floto.core.swf.shapes import TaskList
from floto.core.swf.wire import decision_from_swf, write

#: Responses to polls without a task. SWF's prose says that the token is then an empty string, but the
#: recorded responses omit it, and programs test for that: ``"taskToken" in task`` with boto3, null in
#: Amazon's Flow Framework for Java.
IDLE: Mapping[str, Mapping[str, Any]] = {
    "PollForActivityTask": {"startedEventId": 0},
    "PollForDecisionTask": {"startedEventId": 0, "previousStartedEventId": 0},
}


def poll_decision(call: Call) -> Response:
    """Carry out PollForDecisionTask without waiting; with a page token, return the next page of a task."""
    position = read_token(call, str, int, int, int)
    if position is not None:
        return _page(call, *position)
    request = call.request
    task = call.engine.poll_decision(
        call.domain, request["taskList"]["name"], request.get("identity", ""), call.now, with_events=False
    )
    if task is None:
        return dict(IDLE[call.operation])
    previous = task.previous_started_event_id
    low = previous - 1 if request.get("startAtPreviousStartedEvent") and previous else 0
    return _page(call, task.token, previous, low, task.started_event_id)


def _page(call: Call, token: str, previous: int, low: int, high: int) -> Response:
    """Return one page of a claimed decision task: of its history up to its start."""
    read = read_task_token(token, TaskKind.DECISION)
    record = call.store.record(read.run_id)
    if record is None or record.domain != call.domain:
        raise invalid_token()
    events, rest = window(call, read.run_id, low, high)
    return given(
        taskToken=token,
        startedEventId=read.started_event_id,
        previousStartedEventId=previous,
        workflowExecution=write(record.info.execution),
        workflowType=write(record.info.workflow_type),
        events=events,
        nextPageToken=None if rest is None else write_token(call, [token, previous, *rest]),
    )


def poll_activity(call: Call) -> Response:
    """Carry out PollForActivityTask without waiting."""
    request = call.request
    task = call.engine.poll_activity(
        call.domain, request["taskList"]["name"], request.get("identity", ""), call.now
    )
    if task is None:
        return dict(IDLE[call.operation])
    return given(
        taskToken=task.token,
        activityId=task.activity_id,
        startedEventId=task.started_event_id,
        workflowExecution=write(task.execution),
        activityType=write(task.activity_type),
        input=task.input,
    )


def _token(call: Call) -> str:
    """Return the task token of a call; raise SWF's ValidationException for another region's task."""
    token: str = call.request["taskToken"]
    if region_of(any_token(token).domain) != call.region:
        raise invalid_token()
    return token


def respond_decision(call: Call) -> Response:
    """Carry out RespondDecisionTaskCompleted."""
    request = call.request
    task_list = request.get("taskList")
    call.engine.respond(
        c.RespondDecisionTaskCompleted,
        _token(call),
        call.now,
        decisions=tuple(decision_from_swf(raw) for raw in request.get("decisions", ())),
        execution_context=request.get("executionContext"),
        task_list=None if task_list is None else TaskList(task_list["name"]),
        task_list_schedule_to_start_timeout=request.get("taskListScheduleToStartTimeout"),
    )
    return {}


def _respond(command_type: type, *members: str) -> Handler:
    """Return a Respond... operation of workers with these members."""

    def handle(call: Call) -> Response:
        fields = {name: call.request.get(name) for name in members}
        call.engine.respond(command_type, _token(call), call.now, **fields)
        return {}

    return handle


def heartbeat(call: Call) -> Response:
    """Carry out RecordActivityTaskHeartbeat."""
    is_cancel_requested = call.engine.respond(
        c.RecordActivityTaskHeartbeat,
        _token(call),
        call.now,
        details=call.request.get("details"),
    )
    return {"cancelRequested": is_cancel_requested}


def _count(kind: TaskKind) -> Handler:
    """Return an operation that counts the scheduled tasks; started ones are not pending."""

    def handle(call: Call) -> Response:
        task_queue = TaskQueue(call.known_domain(), kind, call.request["taskList"]["name"])
        return {"count": call.store.count_tasks(task_queue), "truncated": False}

    return handle


OPERATIONS: Mapping[str, Handler] = {
    "PollForDecisionTask": poll_decision,
    "PollForActivityTask": poll_activity,
    "RespondDecisionTaskCompleted": respond_decision,
    "RespondActivityTaskCompleted": _respond(c.RespondActivityTaskCompleted, "result"),
    "RespondActivityTaskFailed": _respond(c.RespondActivityTaskFailed, "reason", "details"),
    "RespondActivityTaskCanceled": _respond(c.RespondActivityTaskCanceled, "details"),
    "RecordActivityTaskHeartbeat": heartbeat,
    "CountPendingDecisionTasks": _count(TaskKind.DECISION),
    "CountPendingActivityTasks": _count(TaskKind.ACTIVITY),
}
