"""What SWF refuses before it looks at any run: lengths, characters, numbers and names.

One row for each field; the sizes are those of SWF's API reference. A list of decisions
is refused as a whole, with every problem in one message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import attrs

from floto.core.decisions import CLOSE_DECISIONS, DECISION_TYPES, Decision
from floto.core.identifiers import FORBIDDEN_IN_IDS, FORBIDDEN_IN_NAMES, FORBIDDEN_WORD
from floto.core.limits import DATA_LIMIT
from floto.core.service import commands as c
from floto.core.service.faults import invalid
from floto.core.shapes import ActivityType, TaskList, WorkflowType
from floto.core.wire import camel, lower_first

Check = Callable[[Any], str | None]

_POLICIES = ("TERMINATE", "REQUEST_CANCEL", "ABANDON")


def _longest(size: int, least: int = 0) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "Member must be text"
        if len(value) < least:
            return f"Member must have length greater than or equal to {least}"
        return f"Member must have length less than or equal to {size}" if len(value) > size else None

    return check


def _identifier(size: int, forbidden: re.Pattern[str]) -> Check:
    length = _longest(size, least=1)

    def check(value: Any) -> str | None:
        problem = length(value)
        if problem is None and (value == FORBIDDEN_WORD or forbidden.search(value)):
            problem = f"Member must not be 'arn' and must not match {forbidden.pattern}"
        return problem

    return check


def _whole(pattern: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: Any) -> str | None:
        fits = isinstance(value, str) and compiled.fullmatch(value)
        return None if fits else f"Member must satisfy regular expression pattern: {pattern}"

    return check


def _policy(value: Any) -> str | None:
    if value in _POLICIES:
        return None
    return f"Member must satisfy enum value set: [{', '.join(_POLICIES)}]"


def _priority(value: Any) -> str | None:
    problem = _whole(r"-?\d{1,10}")(value)
    if problem is None and not -(2**31) <= int(value) < 2**31:
        problem = "Member must be a 32-bit number"
    return problem


def _tags(value: Any) -> str | None:
    if len(value) > _MOST_TAGS:
        return f"Member must have length less than or equal to {_MOST_TAGS}"
    return next((problem for tag in value if (problem := _longest(256)(tag))), None)


_MOST_TAGS = 5
_DATA = _longest(DATA_LIMIT)
_ID = _identifier(256, FORBIDDEN_IN_IDS)
_NAME = _identifier(256, FORBIDDEN_IN_NAMES)
_SECONDS = r"\d{1,8}"
_TIMEOUT = _whole(rf"{_SECONDS}|NONE")

CHECKS: Mapping[str, Check] = {
    "input": _DATA,
    "result": _DATA,
    "details": _DATA,
    "control": _DATA,
    "execution_context": _DATA,
    "reason": _longest(256),
    "identity": _longest(256),
    "marker_name": _longest(256, least=1),
    "signal_name": _longest(256, least=1),
    "id": _longest(256, least=1),
    "run_id": _longest(64),
    "workflow_type_version": _identifier(64, FORBIDDEN_IN_NAMES),
    "activity_id": _ID,
    "timer_id": _ID,
    "workflow_id": _ID,
    "child_policy": _policy,
    "task_priority": _priority,
    "tag_list": _tags,
    "start_to_fire_timeout": _whole(_SECONDS),
    "schedule_to_start_timeout": _TIMEOUT,
    "schedule_to_close_timeout": _TIMEOUT,
    "start_to_close_timeout": _TIMEOUT,
    "heartbeat_timeout": _TIMEOUT,
    "execution_start_to_close_timeout": _TIMEOUT,
    "task_start_to_close_timeout": _TIMEOUT,
}

#: The shapes inside a decision or command.
_NESTED: Mapping[type, Mapping[str, Check]] = {
    TaskList: {"name": _NAME},
    ActivityType: {"name": _NAME, "version": _identifier(64, FORBIDDEN_IN_NAMES)},
    WorkflowType: {"name": _NAME, "version": _identifier(64, FORBIDDEN_IN_NAMES)},
}

#: Fields that may hold less here than elsewhere.
_STRICTER: Mapping[tuple[type, str], Check] = {
    (c.StartWorkflowExecution, "execution_start_to_close_timeout"): _whole(_SECONDS),
    (c.RecordActivityTaskHeartbeat, "details"): _longest(2_048),
    (DECISION_TYPES["ScheduleLambdaFunction"], "name"): _longest(64, least=1),
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
    """Everything that is wrong with the fields of a decision, command or shape."""
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


def check_command(command: Any) -> None:
    """Refuse a malformed command; what the service tells itself needs no check."""
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
)


def check_decisions(decisions: Sequence[Decision]) -> None:
    """Refuse a list of decisions of which any is malformed, or that goes on after a close."""
    found: list[str] = []
    for number, decision in enumerate(decisions, start=1):
        name = lower_first(type(decision).__name__)
        found.extend(problems(decision, f"decisions.{number}.member.{name}DecisionAttributes."))
    _refuse(found)
    if any(isinstance(decision, CLOSE_DECISIONS) for decision in decisions[:-1]):
        message = "Close must be last decision in list"
        raise invalid(message)
