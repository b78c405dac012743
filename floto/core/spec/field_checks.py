"""Checks and wire forms of the fields of tasks, shared by the kinds of task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha1
from typing import Any

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.spec.codec import Timeout
from floto.core.swf.identifiers import list_problems, shown
from floto.core.swf.limits import INT32, RUN_SECONDS_LIMIT, SECONDS_LIMIT
from floto.core.swf.shapes import ActivityType, ChildPolicy, TaskList

_POLICIES = " or ".join(", ".join(ChildPolicy).rsplit(", ", 1))


def ids(requires: Any) -> tuple[str, ...]:
    """Return the ids of required tasks, given as one task or id, or several."""
    if isinstance(requires, str) or not isinstance(requires, Iterable):
        requires = (requires,)
    return tuple(getattr(task, "id_", task) for task in requires)


def default_id(
    name: str, version: str, input: Any, domain: str | None = None, requires: Sequence[str] = ()
) -> str:
    """Return the default id of a task; equal inputs give equal ids.

    With a domain it is the id of floto 0.0.3, whose digest includes the required ids.
    """
    if domain is None:
        return f"{name}:{version}:{_digest(json.dumps(input, sort_keys=True))}"
    text = input if isinstance(input, str) else json.dumps(input, sort_keys=True)
    return f"{name}:{version}:{domain}:{_digest(text + ''.join(map(str, requires)))}"


def _digest(text: str) -> str:
    data = text.encode(errors="backslashreplace")
    return sha1(data, usedforsecurity=False).hexdigest()[:10]


def domain_problems(domain: Any) -> Iterable[str]:
    """Return the problems of a task's domain."""
    return () if domain is None else list_problems("domain", domain)


def timeout_problems(task: Any, names: Sequence[str]) -> Iterable[str]:
    """Yield the problems of a task's time-outs, which are in the fields ``names``."""
    for name in names:
        value = getattr(task, name)
        whole = type(value) is int and 0 <= value <= SECONDS_LIMIT
        if not (whole or value is None or value == "NONE"):
            yield f'{name} must be an integer number of seconds, "NONE" or None, not {shown(value)}'


def priority_problems(priority: Any) -> Iterable[str]:
    """Yield the problems of a task priority."""
    if priority is not None and not (type(priority) is int and priority in INT32):
        yield f"task_priority must be an integer of 32 bits, not {shown(priority)}"


def policy_problems(policy: Any) -> Iterable[str]:
    """Yield the problems of a child policy."""
    if policy not in (None, *ChildPolicy):
        yield f"child_policy must be {_POLICIES}, not {shown(policy)}"


def run_timeout_problems(seconds: Any) -> Iterable[str]:
    """Yield the problems of the time-out of a run."""
    if seconds is not None and not (type(seconds) is int and 1 <= seconds <= RUN_SECONDS_LIMIT):
        most = f"from 1 to {RUN_SECONDS_LIMIT:,}, or None"
        yield f"execution_timeout must be an integer number of seconds {most}, not {shown(seconds)}"


def input_problems(input: Any) -> Iterable[str]:
    """Yield the problems of an input in a spec."""
    if input is None:
        return
    try:
        text = payload.encode(input, "its input")
    except PayloadError as error:
        yield str(error)
        return
    if payload.packed(text) is None:
        advice = "store it and give the reference, input=store.put(value) with a store of floto.payloads"
        yield f"its input is {payload.too_long(text)}; {advice}"


def wire(value: Timeout) -> str | None:
    """Return a time-out or priority in SWF's form."""
    return None if value is None else str(value)


# Most decisions of a run name the same type and task list: cache the objects.


@lru_cache(maxsize=1_024)
def list_named(name: str | None) -> TaskList | None:
    """Return the task list of a name; None for None."""
    return None if name is None else TaskList(name)


@lru_cache(maxsize=1_024)
def type_named(name: str, version: str) -> ActivityType:
    """Return the activity type of a name and a version."""
    return ActivityType(name, version)
