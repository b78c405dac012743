"""The protocols of tasks: ``Task``, and the optional ``Expands`` and ``Checked``.

The shipped kinds (``floto.core.spec.kinds``) and a user's own kinds use these protocols alike;
``decide`` knows none of them by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any, Protocol, TypeGuard

from attrs import frozen, has

from floto.core.errors import SpecError
from floto.core.payloads.stored import Payloads, dumps_plain
from floto.core.quick_init import quick_init
from floto.core.spec.retry import RetryStrategy
from floto.core.state.state import Item, Key
from floto.core.swf.decisions import Decision
from floto.core.swf.identifiers import shown
from floto.core.swf.shapes import WorkflowExecution


class NoResult(Enum):
    """The type of ``NO_RESULT``."""

    NO_RESULT = "no result"


#: The result of a task that has none, such as a timer.
NO_RESULT = NoResult.NO_RESULT


class TaskCodec(Protocol):
    """A writer and reader of tasks and specs as JSON values."""

    @property
    def payloads(self) -> Payloads | None:
        """The store of values that are too long for SWF; None if values are not stored."""
        ...

    def unstructure(self, value: Any) -> Any:
        """Return the JSON form of a task, a list of tasks or a spec."""
        ...

    def structure(self, value: Any) -> Any:
        """Return the object that a tagged JSON object represents. Raises ``SpecError``."""
        ...

    def tasks(self, value: Any) -> tuple[Task, ...]:
        """Return the tasks of a JSON list. Raises ``SpecError`` with every problem."""
        ...


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class Given:
    """The values from which a task starts an attempt.

    Args:
        context: ``workflow`` (the workflow's input, if it has one), and the results of required tasks by id.
        execution: The run; None if its history does not name it.
        decision_task_list: The default decision task list of children.
        activity_task_list: The default task list of activities; None for that of the activity type.
        codec: Writes tasks and specs.
        ready_at: The time at which the last requirement completed; that of the run's start if there is none.
        now: The time of the decision: that of the last event of the history.
    """

    context: dict[str, Any]
    execution: WorkflowExecution | None
    decision_task_list: str | None
    activity_task_list: str | None
    codec: TaskCodec
    ready_at: datetime
    now: datetime

    def dumps(self, context: dict[str, Any], what: str) -> str:
        """Return a context as the input of a decision, by reference if it is too long and there is a store.

        Args:
            context: The context, as JSON values.
            what: The name of the input in error messages.

        Raises:
            PayloadError: if it does not fit.
        """
        return dumps_plain(context, what, self.codec.payloads)


class Task(Protocol):
    """A node of a spec. Implementations are frozen attrs classes."""

    @property
    def id_(self) -> str:
        """The id, unique in its spec."""
        ...

    @property
    def requires(self) -> tuple[str, ...]:
        """The ids of the tasks that must complete before this one starts."""
        ...

    @property
    def retry_strategy(self) -> RetryStrategy | None:
        """The retry strategy; None for no retries."""
        ...

    @property
    def key(self) -> Key:
        """The key of this task's item in the state."""
        ...

    def start(self, given: Given) -> Decision | None:
        """Return the decision that starts an attempt; None if it starts without one.

        Args:
            given: The context of the task, and its surroundings.

        Raises:
            SpecError: to fail the run.
            PayloadError: to fail the run.
        """
        ...

    def result(self, item: Item) -> Any:
        """Return the result of a completed item as a JSON value, or ``NO_RESULT``."""
        ...


class Expands(Task, Protocol):
    """A task that returns tasks."""

    def generated(self, item: Item, codec: TaskCodec) -> Sequence[Task]:
        """Return the tasks of a completed item. Raises ``SpecError`` if they cannot be read."""
        ...


class Checked(Task, Protocol):
    """A task or retry strategy that checks its own fields."""

    def problems(self) -> Iterable[str]:
        """Yield one line for each problem."""
        ...


def is_task(value: Any) -> TypeGuard[Task]:
    """Return True if a value has the members of a task."""
    class_: Any = type(value)
    return _is_kind(class_)


@lru_cache(maxsize=512)
def _is_kind(class_: Any) -> bool:
    return has(class_) and all(hasattr(class_, name) for name in TASK_MEMBERS)


#: Members of every task, which other values do not have.
TASK_MEMBERS = ("id_", "requires", "key", "start", "result")


def expands(task: Task) -> TypeGuard[Expands]:
    """Return True if a task returns tasks."""
    return hasattr(task, "generated")


def returned_tasks(task: Expands, item: Item, codec: TaskCodec) -> tuple[Task, ...]:
    """Return the tasks of a completed item.

    Raises:
        SpecError: if they cannot be read, or ``generated`` of a user's own kind returned something else.
    """
    returned: Any = task.generated(item, codec)
    tasks = tuple(returned) if isinstance(returned, Iterable) else (returned,)
    for each in tasks:
        if not is_task(each):
            raise SpecError((f"generated of {type(task).__name__} must return tasks, not {shown(each)}",))
    return tasks


def own_problems(value: Any) -> Sequence[str]:
    """Return the problems that a task, a strategy or a join finds in its own fields, one line each.

    A ``problems`` that raises an error, or gives something else than strings, is a problem too.
    """
    if not hasattr(value, "problems"):
        return ()
    try:
        found = value.problems()
        lines = () if isinstance(found, str) else tuple(found)
    except Exception as error:  # noqa: BLE001 - of a user's class, any
        return (f"problems of {type(value).__name__} raised {type(error).__name__}: {error}",)
    if isinstance(found, str) or not all(isinstance(line, str) for line in lines):
        return (f"problems of {type(value).__name__} must return a list of strings, not {shown(found)}",)
    return lines
