"""What the fields of tasks may hold, and how SWF writes them: shared by the kinds of task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha1
from typing import Any

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.spec.codec import Timeout
from floto.core.spec.tasks import is_checked
from floto.core.swf.identifiers import list_problems, shown
from floto.core.swf.shapes import ActivityType, TaskList

#: The longest time-out and the longest timer that SWF takes, in seconds.
SECONDS_LIMIT = 99_999_999
_PRIORITY_LIMIT = 2**31


def ids(requires: Any) -> tuple[str, ...]:
    """The ids of what a task requires, given as tasks, ids or one of either."""
    if isinstance(requires, str) or not isinstance(requires, Iterable):
        requires = (requires,)
    return tuple(getattr(task, "id_", task) for task in requires)


def default_id(
    name: str, version: str, input: Any, domain: str | None = None, requires: Sequence[str] = ()
) -> str:
    """Return the id of a task that was given none: the same input, the same id.

    With a domain, it is the id that floto 0.0.3 gave: what the task requires is part of the digest.
    """
    if domain is None:
        return f"{name}:{version}:{_digest(json.dumps(input, sort_keys=True))}"
    text = input if isinstance(input, str) else json.dumps(input, sort_keys=True)
    return f"{name}:{version}:{domain}:{_digest(text + ''.join(map(str, requires)))}"


def _digest(text: str) -> str:
    data = text.encode(errors="backslashreplace")
    return sha1(data, usedforsecurity=False).hexdigest()[:10]


def domain_problems(domain: Any) -> Iterable[str]:
    """Yield what SWF would not take as the domain of a task."""
    return () if domain is None else list_problems("domain", domain)


def timeout_problems(task: Any, names: Sequence[str]) -> Iterable[str]:
    """What is wrong with the time-outs of a task."""
    for name in names:
        value = getattr(task, name)
        whole = type(value) is int and 0 <= value <= SECONDS_LIMIT
        if not (whole or value is None or value == "NONE"):
            yield f'{name} must be whole seconds, "NONE" or None, not {shown(value)}'


def priority_problems(priority: Any) -> Iterable[str]:
    """What is wrong with a task priority."""
    if priority is not None and not (
        type(priority) is int and -_PRIORITY_LIMIT <= priority < _PRIORITY_LIMIT
    ):
        yield f"task_priority must be a whole number of 32 bits, not {shown(priority)}"


def input_problems(input: Any) -> Iterable[str]:
    """Yield why an input in a spec cannot travel through SWF."""
    try:
        text = payload.encode(input, "its input")
    except PayloadError as error:
        yield str(error)
        return
    if payload.packed(text) is None:
        advice = "store it and give the reference, input=store.put(value) with a store of floto.payloads"
        yield f"its input is {payload.too_long(text)}; {advice}"


def strategy_problems(strategy: Any) -> Iterable[str]:
    """What is wrong with a retry strategy."""
    if strategy is None:
        return
    if isinstance(strategy, type) or not callable(getattr(strategy, "delay", None)):
        yield f"retry_strategy must have a method delay(retry), as InstantRetry(3) has, not {shown(strategy)}"
    elif is_checked(strategy):
        yield from (f"retry_strategy: {problem}" for problem in strategy.problems())


def wire(value: Timeout) -> str | None:
    """A time-out or priority as SWF writes it."""
    return None if value is None else str(value)


# Every decision names a type and a list, and most name the same: equal ones are one object.


@lru_cache(maxsize=1_024)
def list_named(name: str | None) -> TaskList | None:
    """The task list of a name, if there is one."""
    return None if name is None else TaskList(name)


@lru_cache(maxsize=1_024)
def type_named(name: str, version: str) -> ActivityType:
    """The activity type of a name and a version."""
    return ActivityType(name, version)
