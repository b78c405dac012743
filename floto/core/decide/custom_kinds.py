"""The check of the decisions that users' own kinds of task return.

SWF refuses a response as a whole, so one decision that it refuses would fail the run without its cleanup. A
decision that opens another item than the one that its task waits for would be made again after every event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from floto.core.errors import SpecError
from floto.core.spec.decider_spec import CODEC
from floto.core.spec.tasks import Task
from floto.core.state.state import Key, Kind
from floto.core.swf import decisions as d
from floto.core.swf.decisions import Decision
from floto.core.swf.field_validation import problems
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import child_of, task_of

_SHIPPED_KINDS = frozenset(CODEC.types.values())


def _signal_id(decision: Any) -> str:
    # Without a task in ``control``, it is the id of an event that does not exist yet.
    return task_of(decision.control) or ""


#: The kind and the id of the item that each decision opens.
_OPENS: Mapping[type, tuple[Kind, Callable[[Any], str]]] = {
    d.ScheduleActivityTask: (Kind.ACTIVITY, attrgetter("activity_id")),
    d.StartTimer: (Kind.TIMER, attrgetter("timer_id")),
    d.StartChildWorkflowExecution: (Kind.CHILD, child_of),
    d.SignalExternalWorkflowExecution: (Kind.EXTERNAL_SIGNAL, _signal_id),
    d.RequestCancelExternalWorkflowExecution: (Kind.EXTERNAL_CANCEL, attrgetter("workflow_id")),
    d.ScheduleLambdaFunction: (Kind.LAMBDA, attrgetter("id")),
}
#: The kinds of items that nothing but a decision opens.
_OPENED_BY_DECISIONS = frozenset(kind for kind, _ in _OPENS.values())


def check_custom(task: Task, decision: Decision | None) -> None:
    """Raise ``SpecError`` for a decision of a user's own kind that would never start its task.

    A decision of None is one for a task that waits for something that another program does, such as a signal.

    Args:
        task: The task.
        decision: What its ``start`` returned.
    """
    if type(task) in _SHIPPED_KINDS or (decision is None and task.key[0] not in _OPENED_BY_DECISIONS):
        return
    found = _problems(decision, task.key)
    if found:
        raise SpecError([f"start of {type(task).__name__} {each}" for each in found])


def _problems(decision: Decision | None, key: Key) -> list[str]:
    if decision is None:
        return [f"returned None, so {_shown(key)} would never begin; return the decision that starts it"]
    kind, id_of = _OPENS.get(type(decision), (None, str))
    if kind is None:
        return [f"must return a decision that starts the task, or None, not {shown(decision)}"]
    opened = kind, id_of(decision)
    if opened != key:
        name = type(decision).__name__
        return [f"returns a {name} of {_shown(opened)}, but the key of the task is {_shown(key)}"]
    return [f"returns what SWF would refuse: {problem}" for problem in problems(decision)]


def _shown(key: Key) -> str:
    kind, id_ = key
    return f"{kind} {id_!r}"
