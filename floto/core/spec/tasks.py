"""What a task is to the decider: three answers, and two more for tasks that need them.

The shipped kinds (``floto.core.spec.kinds``) and a user's own kinds use these protocols alike;
``decide`` knows none of them by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Protocol, TypeGuard

from attrs import frozen, has

from floto.core.payloads.stored import Payloads, dumps_plain
from floto.core.spec.retry import RetryStrategy
from floto.core.state.state import Item, Key
from floto.core.swf.decisions import Decision
from floto.core.swf.shapes import WorkflowExecution


class NoResult(Enum):
    """The type of ``NO_RESULT``."""

    NO_RESULT = "no result"


#: What a task answers that has nothing to pass on, such as a timer.
NO_RESULT = NoResult.NO_RESULT


class TaskCodec(Protocol):
    """Writes and reads tasks and specs as JSON values."""

    @property
    def payloads(self) -> Payloads | None:
        """Where values are stored that are too long for SWF; None if they are not."""
        ...

    def unstructure(self, value: Any) -> Any:
        """The JSON form of a task, a list of tasks or a spec."""
        ...

    def structure(self, value: Any) -> Any:
        """The object that a tagged JSON object stands for; raises ``SpecError``."""
        ...

    def tasks(self, value: Any) -> tuple[Task, ...]:
        """The tasks of a JSON list; raises ``SpecError`` with every problem."""
        ...


@frozen(kw_only=True)
class Given:
    """What a task may use to start: its context, and where it runs.

    ``context`` holds ``workflow`` (the workflow's input, if it has one) and the result of
    each required task under its id.
    """

    context: dict[str, Any]
    execution: WorkflowExecution | None
    decision_task_list: str | None
    activity_task_list: str | None
    codec: TaskCodec

    def dumps(self, context: dict[str, Any], what: str) -> str:
        """Return a context as the input of a decision, by reference if it is too long and a store is in use.

        Raises ``PayloadError`` naming ``what`` if it does not fit.
        """
        return dumps_plain(context, what, self.codec.payloads)


class Task(Protocol):
    """One node of a spec. Implementations are frozen attrs classes."""

    @property
    def id_(self) -> str:
        """Unique in its spec."""
        ...

    @property
    def requires(self) -> tuple[str, ...]:
        """The ids of the tasks that must have completed before."""
        ...

    @property
    def retry_strategy(self) -> RetryStrategy | None:
        """When to try again; None for never."""
        ...

    @property
    def key(self) -> Key:
        """Which item of the state is this task's."""
        ...

    def start(self, given: Given) -> Decision | None:
        """The decision that starts an attempt, None where it starts by itself.

        May raise ``SpecError`` or ``PayloadError``, which fails the run.
        """
        ...

    def result(self, item: Item) -> Any:
        """What a completed item passes on, as a JSON value, or ``NO_RESULT``."""
        ...


class Expands(Task, Protocol):
    """A task whose result is more tasks."""

    def generated(self, item: Item, codec: TaskCodec) -> Sequence[Task]:
        """The tasks of a completed item; raises ``SpecError`` where they cannot be read."""
        ...


class Checked(Task, Protocol):
    """A task that can say what is wrong with itself."""

    def problems(self) -> Iterable[str]:
        """One line for each problem."""
        ...


def is_task(value: Any) -> TypeGuard[Task]:
    """Whether a value can be a node of a spec."""
    return has(type(value)) and all(hasattr(type(value), name) for name in _ANSWERS)


#: What tells a task from other things that a spec may hold.
_ANSWERS = ("id_", "requires", "key", "start", "result")


def expands(task: Task) -> TypeGuard[Expands]:
    """Whether a task's result is more tasks."""
    return hasattr(task, "generated")


def is_checked(task: Task) -> TypeGuard[Checked]:
    """Whether a task can say what is wrong with itself."""
    return hasattr(task, "problems")
