"""Validation of requests before any run is loaded: lengths, characters, numbers and names.

One row for each field; the sizes are those of SWF's API reference. A list of decisions is
refused as a whole, with every problem in one message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import attrs

from floto.core.engine import commands as c
from floto.core.engine.faults import invalid
from floto.core.engine.texts import (
    ID,
    LIST,
    NAME,
    SECONDS,
    TIMEOUT,
    VERSION,
    Check,
    lambda_seconds,
    longest,
    policy,
    priority,
)
from floto.core.swf.decisions import CLOSE_DECISIONS, Decision, ScheduleLambdaFunction
from floto.core.swf.limits import DATA_LIMIT
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType
from floto.core.swf.wire import camel, lower_first


def _tags(value: Any) -> str | None:
    if len(value) > _MOST_TAGS:
        return f"Member must have length less than or equal to {_MOST_TAGS}"
    return next((problem for tag in value if (problem := longest(256)(tag))), None)


_MOST_TAGS = 5
_DATA = longest(DATA_LIMIT)

CHECKS: Mapping[str, Check] = {
    "input": _DATA,
    "result": _DATA,
    "details": _DATA,
    "control": _DATA,
    "execution_context": _DATA,
    "reason": longest(256),
    "identity": longest(256),
    "marker_name": longest(256, least=1),
    "signal_name": longest(256, least=1),
    "id": longest(256, least=1),
    "run_id": longest(64),
    "workflow_type_version": VERSION,
    "activity_id": ID,
    "timer_id": ID,
    "workflow_id": ID,
    "child_policy": policy,
    "task_priority": priority,
    "lambda_role": longest(1_600, least=1),
    "tag_list": _tags,
    "start_to_fire_timeout": SECONDS,
    "schedule_to_start_timeout": TIMEOUT,
    "schedule_to_close_timeout": TIMEOUT,
    "start_to_close_timeout": TIMEOUT,
    "heartbeat_timeout": TIMEOUT,
    "execution_start_to_close_timeout": TIMEOUT,
    "task_start_to_close_timeout": TIMEOUT,
    "task_list_schedule_to_start_timeout": TIMEOUT,
}

#: Checks of the shapes inside a decision or command.
_NESTED: Mapping[type, Mapping[str, Check]] = {
    TaskList: {"name": LIST},
    ActivityType: {"name": NAME, "version": VERSION},
    WorkflowType: {"name": NAME, "version": VERSION},
}

#: Fields with a stricter limit in one class.
_STRICTER: Mapping[tuple[type, str], Check] = {
    (c.StartWorkflowExecution, "execution_start_to_close_timeout"): SECONDS,
    (c.RecordActivityTaskHeartbeat, "details"): longest(2_048),
    (ScheduleLambdaFunction, "name"): longest(64, least=1),
    (ScheduleLambdaFunction, "start_to_close_timeout"): lambda_seconds,
}


@cache
def _rows(cls: type) -> tuple[tuple[str, str, bool, Check | None], ...]:
    nested = _NESTED.get(cls, CHECKS)
    return tuple(
        (name, camel(name), field.default is attrs.NOTHING, _STRICTER.get((cls, name)) or nested.get(name))
        for field in attrs.fields(cls)
        for name in [field.name]
    )


def problems(value: Any, path: str) -> Iterator[str]:
    """Yield the problems of a decision, command or shape; ``path`` precedes the names of its fields."""
    for name, wire, required, check in _rows(value.__class__):
        item = getattr(value, name)
        if type(item) in _NESTED:
            yield from problems(item, f"{path}{wire}.")
        elif item is None and required:
            yield f"Value null at '{path}{wire}' failed to satisfy constraint: Member must not be null"
        elif item is not None and check is not None and (constraint := check(item)):
            yield f"Value '{item!s:.80}' at '{path}{wire}' failed to satisfy constraint: {constraint}"


def _refuse(found: list[str]) -> None:
    if found:
        noun = "error" if len(found) == 1 else "errors"
        message = f"{len(found)} validation {noun} detected: {'; '.join(found)}"
        raise invalid(message)


def check_command(command: c.Command | c.StartWorkflowExecution) -> None:
    """Raise SWF's ValidationException for a malformed command; internal commands are not checked."""
    if type(command) in _FROM_OUTSIDE:
        _refuse(list(problems(command, "")))


_FROM_OUTSIDE = (
    c.StartWorkflowExecution,
    c.SignalWorkflowExecution,
    c.RequestCancelWorkflowExecution,
    c.TerminateWorkflowExecution,
    c.StartDecisionTask,
    c.StartActivityTask,
    c.RespondDecisionTaskCompleted,
    c.RespondActivityTaskCompleted,
    c.RespondActivityTaskFailed,
    c.RespondActivityTaskCanceled,
    c.RecordActivityTaskHeartbeat,
    c.RespondLambdaFunctionCompleted,
    c.RespondLambdaFunctionFailed,
)


def check_decisions(decisions: Sequence[Decision]) -> None:
    """Raise SWF's ValidationException for malformed decisions, or for decisions after a closing one."""
    found: list[str] = []
    for number, decision in enumerate(decisions, start=1):
        name = lower_first(type(decision).__name__)
        found.extend(problems(decision, f"decisions.{number}.member.{name}DecisionAttributes."))
    _refuse(found)
    if any(isinstance(decision, CLOSE_DECISIONS) for decision in decisions[:-1]):
        message = "Close must be last decision in list"
        raise invalid(message)
