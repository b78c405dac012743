"""Checks of strings: sizes, and the rules for names and numbers that only SWF's prose states.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_StartWorkflowExecution.html
and its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from floto.core.swf.identifiers import (
    FORBIDDEN_IN_IDS,
    FORBIDDEN_IN_LISTS,
    FORBIDDEN_IN_NAMES,
    FORBIDDEN_WORD,
)
from floto.core.swf.limits import LAMBDA_LIMIT, RETENTION_LIMIT

#: Returns the constraint that a value violates, or None.
Check = Callable[[Any], str | None]

_POLICIES = ("TERMINATE", "REQUEST_CANCEL", "ABANDON")


def longest(size: int, least: int = 0) -> Check:
    """Return a check for strings of ``least`` to ``size`` characters."""

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "Member must be a string"
        if len(value) < least:
            return f"Member must have length greater than or equal to {least}"
        return f"Member must have length less than or equal to {size}" if len(value) > size else None

    return check


def identifier(size: int, forbidden: re.Pattern[str]) -> Check:
    """Return a check for names or ids of 1 to ``size`` characters without the reserved ones."""
    length = longest(size, least=1)

    def check(value: Any) -> str | None:
        problem = length(value)
        if problem is None and (value == FORBIDDEN_WORD or forbidden.search(value)):
            problem = f"Member must not be 'arn' and must not match {forbidden.pattern}"
        return problem

    return check


def whole(pattern: str, flags: re.RegexFlag = re.ASCII) -> Check:
    """Return a check for strings that match a pattern as a whole."""
    compiled = re.compile(pattern, flags)

    def check(value: Any) -> str | None:
        fits = isinstance(value, str) and compiled.fullmatch(value)
        return None if fits else f"Member must satisfy regular expression pattern: {pattern}"

    return check


def policy(value: Any) -> str | None:
    """Check a child policy."""
    if value in _POLICIES:
        return None
    return f"Member must satisfy enum value set: [{', '.join(_POLICIES)}]"


ID = identifier(256, FORBIDDEN_IN_IDS)
NAME = identifier(256, FORBIDDEN_IN_NAMES)
LIST = identifier(256, FORBIDDEN_IN_LISTS)
VERSION = identifier(64, FORBIDDEN_IN_NAMES)
SECONDS = whole(r"\d{1,8}")
TIMEOUT = whole(r"\d{1,8}|NONE")


def priority(value: Any) -> str | None:
    """Check a task priority: a 32-bit integer."""
    problem = whole(r"-?\d{1,10}")(value)
    if problem is None and not -(2**31) <= int(value) < 2**31:
        problem = "Member must be a 32-bit integer"
    return problem


def lambda_seconds(value: Any) -> str | None:
    """Check the timeout of a Lambda function, in seconds."""
    problem = SECONDS(value)
    if problem is None and not 1 <= int(value) <= LAMBDA_LIMIT:
        problem = f"Member must be a number from 1 to {LAMBDA_LIMIT}"
    return problem


def _days(value: Any) -> str | None:
    problem = TIMEOUT(value)
    if problem is None and value != "NONE" and int(value) > RETENTION_LIMIT:
        problem = f"Member must be NONE or a number of days up to {RETENTION_LIMIT}"
    return problem


_TAG = whole(r"[\w\s.:/=+@-]*", re.UNICODE)

#: Checks by SWF's name of a shape, or of a member that is stricter than its shape.
PROSE: Mapping[str, Check] = {
    "DomainName": NAME,
    "RegisterDomainInput.name": LIST,
    "TaskList.name": LIST,
    "Name": NAME,
    "Version": VERSION,
    "WorkflowId": ID,
    "ActivityId": ID,
    "TimerId": ID,
    "DurationInSeconds": SECONDS,
    "DurationInSecondsOptional": TIMEOUT,
    "DurationInDays": _days,
    "TaskPriority": priority,
    "ResourceTagKey": _TAG,
    "ResourceTagValue": _TAG,
    "StartWorkflowExecutionInput.executionStartToCloseTimeout": SECONDS,
    "RegisterWorkflowTypeInput.defaultExecutionStartToCloseTimeout": SECONDS,
    "ScheduleLambdaFunctionDecisionAttributes.startToCloseTimeout": lambda_seconds,
}
