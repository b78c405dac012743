"""The members of users' own kinds of task, strategies and joins: what is wrong with them before a run starts.

The rest of floto relies on the types of these members. A wrong one would raise an error in each decision of a
run, or leave its task waiting for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from floto.core.spec.rules.sibling_limits import SiblingLimits, sibling_limit_problems
from floto.core.spec.rules.wait_limits import WaitLimit, limit_problems
from floto.core.spec.tasks import Task, own_problems
from floto.core.state.state import Kind
from floto.core.swf.identifiers import shown

#: The package of floto's own kinds, which need no check.
_FLOTO = "floto.core."
_KEY = "property key"
#: A key may have the text of a kind, which equals it.
_KINDS = frozenset(Kind)


def strategy_problems(strategy: Any) -> Iterable[str]:
    """Yield the problems of a retry strategy."""
    if strategy is None:
        return
    if isinstance(strategy, type) or not callable(getattr(strategy, "delay", None)):
        yield f"retry_strategy must have a method delay(retry), like InstantRetry(3), not {shown(strategy)}"
    else:
        yield from (f"retry_strategy: {problem}" for problem in own_problems(strategy))


def member_problems(task: Task) -> Iterable[str]:
    """Yield the problems of the members of a user's own kind of task, one line each.

    Args:
        task: A task of any kind; floto's own kinds have none of these problems.
    """
    if not type(task).__module__.startswith(_FLOTO):
        yield from (f"{_named(task)}: {problem}" for problem in _member_problems(task, type(task)))


def _named(task: Task) -> str:
    try:
        return f"task {shown(task.id_)}"
    except Exception:  # noqa: BLE001 - of a user's property, any
        return f"a task of {type(task).__name__}"


def _member_problems(task: Task, kind: type) -> Iterable[str]:
    undefined = _undefined(kind)
    yield from (f"{kind.__name__} must define the {member}" for member in undefined)
    if _KEY in undefined:
        return
    for name, check in _CHECKS.items():
        found = tuple(_read_problems(task, name, check))
        yield from found
        if found and name == "id_":
            # The key and most messages contain it.
            return


@lru_cache(maxsize=512)
def _undefined(kind: type) -> Sequence[str]:
    """Return the members that a kind only inherits from the protocol."""
    members = {name: f"method {name}" for name in ("start", "result")} | {"key": _KEY}
    return [member for name, member in members.items() if getattr(kind, name) is vars(Task)[name]]


def _read_problems(task: Any, name: str, check: Callable[[Any], Iterable[str]]) -> Iterable[str]:
    try:
        value = getattr(task, name)
    except Exception as error:  # noqa: BLE001 - of a user's property, any
        if hasattr(type(task), name) or not isinstance(error, AttributeError):
            yield f"{name} of {type(task).__name__} raised {type(error).__name__}: {error}"
        elif name == "retry_strategy":
            yield f"{type(task).__name__} must have a member retry_strategy, None for no retries"
    else:
        yield from check(value)


def _key_problems(key: Any) -> Iterator[str]:
    match key:
        case (str() as kind, str()) if isinstance(key, tuple) and kind in _KINDS:
            return
    yield f"key must be a Kind and an id, such as (Kind.ACTIVITY, self.id_), not {shown(key)}"


def _requires_problems(required: Any) -> Iterator[str]:
    is_many = isinstance(required, Collection) and not isinstance(required, str)
    if not (is_many and all(isinstance(id_, str) for id_ in required)):
        yield f"requires must be a tuple of ids, not {shown(required)}"


def _method_problems(name: str, value: Any) -> Iterator[str]:
    if not callable(value):
        yield f"{name} must be a method, not {shown(value)}"


def _id_problems(id_: Any) -> Iterator[str]:
    if not isinstance(id_, str):
        yield f"id_ must be a string, not {shown(id_)}"


def _sibling_problems(limits: Any) -> Iterator[str]:
    if isinstance(limits, SiblingLimits):
        yield from (f"sibling_limits: {problem}" for problem in sibling_limit_problems(limits))


def _wait_problems(limit: Any) -> Iterator[str]:
    if isinstance(limit, WaitLimit):
        yield from (f"wait_limit: {problem}" for problem in limit_problems(limit))


#: The check of each member. A kind may have a member ``sibling_limits`` or ``wait_limit`` for something else.
_CHECKS: Mapping[str, Callable[[Any], Iterable[str]]] = {
    "id_": _id_problems,
    **{name: partial(_method_problems, name) for name in ("start", "result", "generated")},
    "requires": _requires_problems,
    "key": _key_problems,
    "retry_strategy": strategy_problems,
    "sibling_limits": _sibling_problems,
    "wait_limit": _wait_problems,
}
