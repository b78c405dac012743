"""SWF's constraints of the members of requests and decisions, and SWF's words for a violation.

``MEMBERS`` has one row for each member: for its name, or for ``Structure.member`` where one differs. The
input of an operation and the attributes of a decision have the name of that operation or decision. Both the
check of requests against SWF's model and the engine's check of typed commands read this table.

Lengths, enums and ranges are those of SWF's model. The rules for characters and numbers are only in the prose
of the API reference, for example
https://docs.aws.amazon.com/amazonswf/latest/apireference/API_StartWorkflowExecution.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import attrs
from attrs import frozen

from floto.core.errors import ServiceFault
from floto.core.swf import limits
from floto.core.swf.closing_events import CloseStatus
from floto.core.swf.identifiers import (
    FORBIDDEN_IN_IDS,
    FORBIDDEN_IN_LISTS,
    FORBIDDEN_IN_NAMES,
    FORBIDDEN_WORD,
)
from floto.core.swf.shapes import ActivityType, ChildPolicy, TaskList, WorkflowType
from floto.core.swf.wire import camel, lower_first

#: Returns the constraint that a string violates, or None.
Check = Callable[[str], str | None]

#: Number of problems after which the rest of a list is not checked: no response is much longer than its
#: request.
MOST_PROBLEMS = 10
_QUOTED = 80
_OPTION = "Member must satisfy enum value set"


@frozen
class Text:
    """The constraints of a string.

    Attributes:
        most: Maximum characters; None for any number.
        least: Minimum characters.
        prose: Check of a string with a permitted length.
        options: The permitted strings, in the order of SWF's messages; empty for all.
    """

    most: int | None = None
    least: int = 0
    prose: Check | None = None
    options: tuple[str, ...] = ()

    def broken(self, value: Any) -> str | None:
        """Return the constraint that a value violates, or None."""
        if not isinstance(value, str):
            return "Member must be a string"
        if self.options:
            return None if value in self.options else f"{_OPTION}: [{', '.join(self.options)}]"
        most, size = self.most, len(value)
        if size < self.least or (most is not None and size > most):
            return _outside("length", size, self.least, most)
        return None if self.prose is None else self.prose(value)


@frozen
class Number:
    """The range of an integer."""

    least: int
    most: int

    def broken(self, value: int) -> str | None:
        """Return the constraint that a value violates, or None."""
        return _outside("value", value, self.least, self.most)


@frozen
class Items:
    """The maximum length of a list of strings, None for any, and the constraints of each string."""

    most: int | None
    item: Text

    def broken(self, value: Any) -> str | None:
        """Return the constraint that the list itself violates, or None."""
        if not isinstance(value, list | tuple):
            return "Member must be a list"
        return _outside("length", len(value), 0, self.most)


Constraint = Text | Number | Items


def _outside(measure: str, size: int, least: int, most: int | None) -> str | None:
    if most is not None and size > most:
        return f"Member must have {measure} less than or equal to {most}"
    return f"Member must have {measure} greater than or equal to {least}" if size < least else None


def _without(forbidden: re.Pattern[str]) -> Check:
    def check(value: str) -> str | None:
        if value != FORBIDDEN_WORD and not forbidden.search(value):
            return None
        return f"Member must not be '{FORBIDDEN_WORD}' and must not match {forbidden.pattern}"

    return check


def _whole(pattern: str, flags: re.RegexFlag = re.ASCII) -> Check:
    compiled = re.compile(pattern, flags)

    def check(value: str) -> str | None:
        fits = compiled.fullmatch(value)
        return None if fits else f"Member must satisfy regular expression pattern: {pattern}"

    return check


_NUMBER = rf"\d{{1,{limits.NUMBER_DIGITS}}}"
_seconds, _optional_seconds = _whole(_NUMBER), _whole(rf"{_NUMBER}|NONE")
_integer, _tag = _whole(r"-?\d{1,10}"), _whole(r"[\w\s.:/=+@-]*", re.UNICODE)


def _priority(value: str) -> str | None:
    problem = _integer(value)
    return problem or (None if int(value) in limits.INT32 else "Member must be a 32-bit integer")


def _lambda_seconds(value: str) -> str | None:
    problem = _seconds(value)
    fits = problem or 1 <= int(value) <= limits.LAMBDA_LIMIT
    return problem if fits else f"Member must be a number from 1 to {limits.LAMBDA_LIMIT}"


def _days(value: str) -> str | None:
    problem = _optional_seconds(value)
    fits = problem or value == "NONE" or int(value) <= limits.RETENTION_LIMIT
    return problem if fits else f"Member must be NONE or a number of days up to {limits.RETENTION_LIMIT}"


_DATA = Text(limits.DATA_LIMIT)
_REASON = Text(limits.REASON_LIMIT)
_ID = Text(limits.NAME_LIMIT, 1, _without(FORBIDDEN_IN_IDS))
_NAME = Text(limits.NAME_LIMIT, 1, _without(FORBIDDEN_IN_NAMES))
_LIST = Text(limits.NAME_LIMIT, 1, _without(FORBIDDEN_IN_LISTS))
_LABEL = Text(limits.NAME_LIMIT, 1)
_VERSION = Text(limits.VERSION_LIMIT, 1, _without(FORBIDDEN_IN_NAMES))
_ARN = Text(limits.ARN_LIMIT, 1)
_SECONDS = Text(limits.NUMBER_DIGITS, prose=_seconds)
_TIMEOUT = Text(limits.NUMBER_DIGITS, prose=_optional_seconds)
_POLICY = Text(options=tuple(ChildPolicy))
_PRIORITY = Text(prose=_priority)
_TAG = Text(limits.TAG_LENGTH_LIMIT)
_TAG_KEY = Text(limits.TAG_KEY_LIMIT, 1, _tag)
#: In the order in which SWF's messages list them, which is not that of the model.
_DECISION_TYPES = (
    "CompleteWorkflowExecution",
    "StartTimer",
    "RequestCancelExternalWorkflowExecution",
    "SignalExternalWorkflowExecution",
    "CancelTimer",
    "RecordMarker",
    "ScheduleActivityTask",
    "ContinueAsNewWorkflowExecution",
    "ScheduleLambdaFunction",
    "FailWorkflowExecution",
    "RequestCancelActivityTask",
    "StartChildWorkflowExecution",
    "CancelWorkflowExecution",
)

MEMBERS: Mapping[str, Constraint] = {
    "activityId": _ID,
    "childPolicy": _POLICY,
    "control": _DATA,
    "decisionType": Text(options=_DECISION_TYPES),
    "defaultChildPolicy": _POLICY,
    "defaultExecutionStartToCloseTimeout": _SECONDS,
    "defaultLambdaRole": _ARN,
    "defaultTaskHeartbeatTimeout": _TIMEOUT,
    "defaultTaskPriority": _PRIORITY,
    "defaultTaskScheduleToCloseTimeout": _TIMEOUT,
    "defaultTaskScheduleToStartTimeout": _TIMEOUT,
    "defaultTaskStartToCloseTimeout": _TIMEOUT,
    "description": Text(limits.DESCRIPTION_LIMIT),
    "details": _DATA,
    "RecordActivityTaskHeartbeat.details": Text(limits.HEARTBEAT_LIMIT),
    "domain": _NAME,
    "executionContext": _DATA,
    "executionStartToCloseTimeout": _TIMEOUT,
    "StartWorkflowExecution.executionStartToCloseTimeout": _SECONDS,
    "heartbeatTimeout": _TIMEOUT,
    "id": _LABEL,
    "identity": Text(limits.IDENTITY_LIMIT),
    "input": _DATA,
    "key": _TAG_KEY,
    "lambdaRole": _ARN,
    "markerName": _LABEL,
    "maximumPageSize": Number(0, limits.PAGE_LIMIT),
    "name": _NAME,
    "RegisterDomain.name": _LIST,
    "ScheduleLambdaFunction.name": Text(limits.FUNCTION_NAME_LIMIT, 1),
    "TaskList.name": _LIST,
    "nextPageToken": Text(limits.PAGE_TOKEN_LIMIT),
    "reason": _REASON,
    "registrationStatus": Text(options=("REGISTERED", "DEPRECATED")),
    "resourceArn": _ARN,
    "result": _DATA,
    "runId": Text(limits.RUN_ID_LIMIT),
    "WorkflowExecution.runId": Text(limits.RUN_ID_LIMIT, 1),
    "scheduleToCloseTimeout": _TIMEOUT,
    "scheduleToStartTimeout": _TIMEOUT,
    "signalName": _LABEL,
    "startToCloseTimeout": _TIMEOUT,
    "ScheduleLambdaFunction.startToCloseTimeout": Text(limits.NUMBER_DIGITS, prose=_lambda_seconds),
    "startToFireTimeout": Text(limits.NUMBER_DIGITS, 1, _seconds),
    "status": Text(options=tuple(CloseStatus)),
    "tag": _TAG,
    "tagKeys": Items(None, _TAG_KEY),
    "tagList": Items(limits.RUN_TAG_LIMIT, _TAG),
    "taskListScheduleToStartTimeout": _TIMEOUT,
    "taskPriority": _PRIORITY,
    "taskStartToCloseTimeout": _TIMEOUT,
    "taskToken": Text(limits.TASK_TOKEN_LIMIT, 1),
    "timerId": _ID,
    "value": Text(limits.TAG_VALUE_LIMIT, prose=_tag),
    "version": _VERSION,
    "WorkflowTypeFilter.version": Text(limits.VERSION_LIMIT),
    "workflowExecutionRetentionPeriodInDays": Text(limits.NUMBER_DIGITS, 1, _days),
    "workflowId": _ID,
    "workflowTypeVersion": _VERSION,
}


def constraint_of(structure: str, member: str) -> Constraint | None:
    """Return the constraint of a member; None if it has none of its own."""
    return MEMBERS.get(f"{structure}.{member}") or MEMBERS.get(member)


def null(at: str) -> str:
    """Return the problem of a required member that is missing; ``at`` is its path."""
    return f"Value null at '{at}' failed to satisfy constraint: Member must not be null"


def problem(value: Any, at: str, constraint: str) -> str:
    """Return the problem of a member that violates a constraint; ``at`` is its path."""
    text = f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
    return f"Value '{text:.{_QUOTED}}' at '{at}' failed to satisfy constraint: {constraint}"


def refuse(problems: Sequence[str]) -> None:
    """Raise SWF's ValidationException if there are problems."""
    if problems:
        noun = "error" if len(problems) == 1 else "errors"
        message = f"{len(problems)} validation {noun} detected: {'; '.join(problems)}"
        raise ServiceFault(code="ValidationException", message=message)


def problems(value: Any, path: str = "") -> list[str]:
    """Return the problems of a decision, command or shape; ``path`` precedes the names of its members."""
    found: list[str] = []
    _add(value, path, found)
    return found


def _add(value: Any, path: str, found: list[str]) -> None:
    for name, wire, required, constraint in _rows(value.__class__):
        item = getattr(value, name)
        if item is None:
            if required:
                found.append(null(f"{path}{wire}"))
        elif constraint is not None:
            if type(constraint) is Items and isinstance(item, list | tuple):
                _add_items(item, f"{path}{wire}", constraint, found)
            elif broken := constraint.broken(item):
                found.append(problem(item, f"{path}{wire}", broken))
        elif (shape := _SHAPES.get(wire)) is not None:
            if isinstance(item, shape):
                _add(item, f"{path}{wire}.", found)
            else:
                found.append(problem(item, f"{path}{wire}", f"Member must be of type {shape.__name__}"))
        elif wire == "decisions":
            _add_decisions(item, f"{path}{wire}", found)


#: The classes of the members that are structures, by their names.
_SHAPES: Mapping[str, type] = {
    "activityType": ActivityType,
    "taskList": TaskList,
    "workflowType": WorkflowType,
}


@cache
def _rows(cls: Any) -> tuple[tuple[str, str, bool, Constraint | None], ...]:
    return tuple(
        (field.name, wire, field.default is attrs.NOTHING, constraint_of(cls.__name__, wire))
        for field in attrs.fields(cls)
        for wire in [camel(field.name)]
    )


def _add_decisions(decisions: Sequence[Any], at: str, found: list[str]) -> None:
    for number, decision in enumerate(decisions, start=1):
        if len(found) >= MOST_PROBLEMS:
            break
        _add(decision, f"{at}.{number}.member.{_attributes(decision.__class__)}.", found)


@cache
def _attributes(decision: Any) -> str:
    return f"{lower_first(decision.__name__)}DecisionAttributes"


def items_of(values: Sequence[Any], at: str, found: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the items of a list with their places, up to SWF's number of problems; null is a problem."""
    for number, value in enumerate(values, start=1):
        if len(found) >= MOST_PROBLEMS:
            break
        place = f"{at}.{number}.member"
        if value is None:
            found.append(null(place))
        else:
            yield place, value


def _add_items(values: Sequence[Any], at: str, constraint: Items, found: list[str]) -> None:
    read: list[Any] = []
    for place, value in items_of(values, at, found):
        read.append(value)
        if broken := constraint.item.broken(value):
            found.append(problem(value, place, broken))
    if broken := constraint.broken(values):
        found.append(problem(read, at, broken))
