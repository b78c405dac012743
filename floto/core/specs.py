"""What a user declares: tasks, what requires what, and how a run of them is decided."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from hashlib import sha1
from typing import Any

from attrs import evolve, field, frozen

from floto.core import graph, payload
from floto.core.codec import Codec, Timeout
from floto.core.decisions import Decision, ScheduleActivityTask, StartChildWorkflowExecution, StartTimer
from floto.core.errors import HistoryError, PayloadError, SpecError
from floto.core.identifiers import id_problems, name_problems, shown
from floto.core.retry import ExponentialBackoff, FixedDelay, InstantRetry, RetryStrategy
from floto.core.shapes import ActivityType, TaskList, WorkflowType
from floto.core.state import TASK_CONTROL, Item, Key, Kind
from floto.core.tasks import NO_RESULT, Given, Task, TaskCodec, is_checked

#: Where a run's input carries the spec that it is decided by.
SPEC_KEY = "decider_spec"
_SECONDS_LIMIT = 99_999_999
_PRIORITY_LIMIT = 2**31


def _ids(requires: Any) -> tuple[str, ...]:
    if isinstance(requires, str) or not isinstance(requires, Iterable):
        requires = (requires,)
    return tuple(getattr(task, "id_", task) for task in requires)


def _tasks(tasks: Any) -> tuple[Task, ...]:
    if isinstance(tasks, str) or not isinstance(tasks, Iterable):
        raise SpecError((f"activity_tasks must be a list of tasks, not {shown(tasks)}",))
    return tuple(tasks)


def _default_id(name: str, version: str, input: Any) -> str:
    digest = sha1(json.dumps(input, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
    return f"{name}:{version}:{digest[:10]}"


def _timeout_problems(task: Any, names: Sequence[str]) -> Iterable[str]:
    for name in names:
        value = getattr(task, name)
        whole = type(value) is int and 0 <= value <= _SECONDS_LIMIT
        if not (whole or value is None or value == "NONE"):
            yield f'{name} must be whole seconds, "NONE" or None, not {shown(value)}'


def _priority_problems(priority: Any) -> Iterable[str]:
    if priority is not None and not (
        type(priority) is int and -_PRIORITY_LIMIT <= priority < _PRIORITY_LIMIT
    ):
        yield f"task_priority must be a whole number of 32 bits, not {shown(priority)}"


def _input_problems(input: Any) -> Iterable[str]:
    try:
        payload.dumps(input, "its input")
    except PayloadError as error:
        yield str(error)


def _strategy_problems(strategy: Any) -> Iterable[str]:
    if strategy is None:
        return
    if isinstance(strategy, type) or not callable(getattr(strategy, "delay", None)):
        yield f"retry_strategy must have a method delay(retry), as InstantRetry(3) has, not {shown(strategy)}"
    elif is_checked(strategy):
        yield from (f"retry_strategy: {problem}" for problem in strategy.problems())


def _wire(value: Timeout) -> str | None:
    return None if value is None else str(value)


def _list(name: str | None) -> TaskList | None:
    return None if name is None else TaskList(name)


_ACTIVITY_TIMEOUTS = (
    "schedule_to_start_timeout",
    "schedule_to_close_timeout",
    "start_to_close_timeout",
    "heartbeat_timeout",
)


@frozen(kw_only=True)
class ActivityTask(Task):
    """One run of an activity by a worker.

    ``id_`` defaults to ``<name>:<version>:<hash of input>``; ``requires`` takes tasks or
    ids. Time-outs are in seconds, ``"NONE"`` for never; what is None is taken from the
    registered activity type.
    """

    name: str
    version: str
    input: Any = field(default=None, converter=payload.freeze)
    id_: str = field()
    requires: tuple[str, ...] = field(default=(), converter=_ids)
    retry_strategy: RetryStrategy | None = None
    task_list: str | None = None
    task_priority: int | None = None
    schedule_to_start_timeout: Timeout = None
    schedule_to_close_timeout: Timeout = None
    start_to_close_timeout: Timeout = None
    heartbeat_timeout: Timeout = None

    @id_.default
    def _default_id(self) -> str:
        return _default_id(self.name, self.version, self.input)

    @property
    def key(self) -> Key:
        """The activity of the same id."""
        return (Kind.ACTIVITY, self.id_)

    def start(self, given: Given) -> Decision:
        """Schedule the activity with its context."""
        context = given.context if self.input is None else {**given.context, "activity_task": self.input}
        return ScheduleActivityTask(
            activity_type=ActivityType(self.name, self.version),
            activity_id=self.id_,
            input=payload.dumps_plain(context, f"the input of task {self.id_!r}") if context else None,
            task_list=_list(self.task_list or given.activity_task_list),
            task_priority=_wire(self.task_priority),
            schedule_to_start_timeout=_wire(self.schedule_to_start_timeout),
            schedule_to_close_timeout=_wire(self.schedule_to_close_timeout),
            start_to_close_timeout=_wire(self.start_to_close_timeout),
            heartbeat_timeout=_wire(self.heartbeat_timeout),
        )

    def result(self, item: Item) -> Any:
        """What the activity returned."""
        return None if item.closed is None else payload.loads(item.closed.data.result)

    def problems(self) -> Iterable[str]:
        """What SWF would refuse."""
        yield from name_problems("name", self.name)
        yield from name_problems("version", self.version, 64)
        if self.task_list is not None:
            yield from name_problems("task_list", self.task_list)
        yield from _timeout_problems(self, _ACTIVITY_TIMEOUTS)
        yield from _priority_problems(self.task_priority)
        yield from _strategy_problems(self.retry_strategy)
        yield from _input_problems(self.input)


@frozen(kw_only=True)
class Generator(ActivityTask):
    """An activity that returns tasks; they join the spec, and who requires it requires them too."""

    def generated(self, item: Item, codec: TaskCodec) -> Sequence[Task]:
        """The tasks that the activity returned."""
        return codec.tasks(super().result(item))


@frozen(kw_only=True)
class Timer(Task):
    """A wait of ``delay_in_seconds``, between tasks or beside them."""

    id_: str
    delay_in_seconds: int
    requires: tuple[str, ...] = field(default=(), converter=_ids)

    @property
    def retry_strategy(self) -> None:
        """A timer does not fail by itself."""

    @property
    def key(self) -> Key:
        """The timer of the same id."""
        return (Kind.TIMER, self.id_)

    def start(self, given: Given) -> Decision:  # noqa: ARG002 - a timer takes no input
        """Start the timer."""
        return StartTimer(timer_id=self.id_, start_to_fire_timeout=str(self.delay_in_seconds))

    def result(self, item: Item) -> Any:  # noqa: ARG002 - there is none
        """Nothing: time has passed."""
        return NO_RESULT

    def problems(self) -> Iterable[str]:
        """What SWF would refuse."""
        delay = self.delay_in_seconds
        if type(delay) is not int or not 0 <= delay <= _SECONDS_LIMIT:
            yield f"delay_in_seconds must be a whole number from 0 to {_SECONDS_LIMIT:,}, not {shown(delay)}"


@frozen(kw_only=True)
class ChildWorkflow(Task):
    """Another workflow as a task of this one.

    Its input is this task's context, with ``input`` under ``child_workflow_task``. With a
    ``spec`` the child carries it in its input, and any floto decider on the task list can
    decide for it. ``workflow_id`` defaults to the parent's workflow id and the task id.
    """

    workflow_type_name: str
    workflow_type_version: str
    input: Any = field(default=None, converter=payload.freeze)
    id_: str = field()
    workflow_id: str | None = None
    requires: tuple[str, ...] = field(default=(), converter=_ids)
    retry_strategy: RetryStrategy | None = None
    task_list: str | None = None
    task_priority: int | None = None
    execution_start_to_close_timeout: Timeout = None
    task_start_to_close_timeout: Timeout = None
    child_policy: str | None = None
    spec: DeciderSpec | None = None

    @id_.default
    def _default_id(self) -> str:
        return _default_id(self.workflow_type_name, self.workflow_type_version, self.input)

    @property
    def key(self) -> Key:
        """The child whose ``control`` names this task."""
        return (Kind.CHILD, self.id_)

    def start(self, given: Given) -> Decision:
        """Start the child with its context, and with its spec if it has one."""
        context = (
            given.context if self.input is None else {**given.context, "child_workflow_task": self.input}
        )
        if self.spec is not None:
            context = {**context, SPEC_KEY: given.codec.unstructure(self._inherited(self.spec, given))}
        return StartChildWorkflowExecution(
            workflow_type=WorkflowType(self.workflow_type_name, self.workflow_type_version),
            workflow_id=self._workflow_id(given),
            control=TASK_CONTROL + self.id_,
            input=payload.dumps_plain(context, f"the input of task {self.id_!r}") if context else None,
            task_list=_list(
                self.task_list or (self.spec and self.spec.task_list) or given.decision_task_list
            ),
            task_priority=_wire(self.task_priority),
            execution_start_to_close_timeout=_wire(self.execution_start_to_close_timeout),
            task_start_to_close_timeout=_wire(self.task_start_to_close_timeout),
            child_policy=self.child_policy,
        )

    @staticmethod
    def _inherited(spec: DeciderSpec, given: Given) -> DeciderSpec:
        lists = spec.default_activity_task_list or given.activity_task_list
        return evolve(spec, default_activity_task_list=lists)

    def _workflow_id(self, given: Given) -> str:
        if self.workflow_id is not None:
            return self.workflow_id
        if given.execution is None:
            problem = "does not say of which execution it is, and the id of child"
            raise HistoryError(None, f"the history {problem} {self.id_!r} is made from that")
        workflow_id = f"{given.execution.workflow_id}:{self.id_}"
        problems = tuple(id_problems(f"task {self.id_!r}: workflow id {workflow_id!r}", workflow_id))
        if problems:
            raise SpecError((*problems, "set workflow_id"))
        return workflow_id

    def result(self, item: Item) -> Any:
        """What the child completed with."""
        return None if item.closed is None else payload.loads(item.closed.data.result)

    def problems(self) -> Iterable[str]:
        """What SWF would refuse."""
        yield from name_problems("workflow_type_name", self.workflow_type_name)
        yield from name_problems("workflow_type_version", self.workflow_type_version, 64)
        for name in ("workflow_id", "task_list"):
            if getattr(self, name) is not None:
                check = id_problems if name == "workflow_id" else name_problems
                yield from check(name, getattr(self, name))
        yield from _timeout_problems(
            self, ("execution_start_to_close_timeout", "task_start_to_close_timeout")
        )
        yield from _priority_problems(self.task_priority)
        yield from _strategy_problems(self.retry_strategy)
        yield from _input_problems(self.input)
        if self.child_policy not in (None, "TERMINATE", "REQUEST_CANCEL", "ABANDON"):
            yield f"child_policy must be TERMINATE, REQUEST_CANCEL or ABANDON, not {shown(self.child_policy)}"
        if self.spec is not None and not isinstance(self.spec, DeciderSpec):
            yield f"spec must be a DeciderSpec, not {shown(self.spec)}"


@frozen(kw_only=True, init=False)
class DeciderSpec:
    """A whole workflow: its tasks, and where their deciders and workers poll.

    ``activity_task_list`` is another name for ``default_activity_task_list``. Raises
    ``SpecError`` with every problem of the tasks and their graph.
    """

    activity_tasks: tuple[Task, ...] = field(converter=_tasks)
    domain: str | None = None
    task_list: str | None = None
    default_activity_task_list: str | None = None
    repeat_workflow: bool = False
    terminate_decider_after_completion: bool = False

    def __init__(  # noqa: PLR0913 - they are the fields
        self,
        *,
        activity_tasks: Iterable[Task] = (),
        domain: str | None = None,
        task_list: str | None = None,
        default_activity_task_list: str | None = None,
        activity_task_list: str | None = None,
        repeat_workflow: bool = False,
        terminate_decider_after_completion: bool = False,
    ) -> None:
        self.__attrs_init__(
            activity_tasks=activity_tasks,
            domain=domain,
            task_list=task_list,
            default_activity_task_list=default_activity_task_list or activity_task_list,
            repeat_workflow=repeat_workflow,
            terminate_decider_after_completion=terminate_decider_after_completion,
        )
        found = [*self._own_problems(), *graph.problems(self.activity_tasks)]
        if activity_task_list not in (None, self.default_activity_task_list):
            found.append(
                "default_activity_task_list and activity_task_list are the same thing; give one of them"
            )
        if found:
            raise SpecError(tuple(found))

    def _own_problems(self) -> Iterable[str]:
        for name in ("domain", "task_list", "default_activity_task_list"):
            if getattr(self, name) is not None:
                yield from name_problems(name, getattr(self, name))
        for name in ("repeat_workflow", "terminate_decider_after_completion"):
            if type(getattr(self, name)) is not bool:
                yield f"{name} must be True or False, not {shown(getattr(self, name))}"
        if self.repeat_workflow and not self.activity_tasks:
            yield "repeat_workflow: without tasks, it would repeat without end or pause"

    @cached_property
    def plan(self) -> graph.Plan:
        """The tasks, arranged for walking."""
        return graph.plan(self.activity_tasks)

    def to_json(self, codec: Codec | None = None) -> str:
        """This spec as JSON, with a type tag on each object; ``codec`` knows your own kinds.

        Raises ``SpecError`` for a class that the codec does not know.
        """
        return (codec or CODEC).dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes, codec: Codec | None = None) -> DeciderSpec:
        """Read what ``to_json`` wrote; raises ``SpecError`` with every problem and its place."""
        spec = (codec or CODEC).loads(text)
        if not isinstance(spec, DeciderSpec):
            raise SpecError((f"$: must be a floto.specs.DeciderSpec, not a {type(spec).__name__}",))
        return spec


#: Knows the kinds of task and the strategies that floto ships.
CODEC = Codec(
    {
        "floto.specs.DeciderSpec": DeciderSpec,
        "floto.specs.task.ActivityTask": ActivityTask,
        "floto.specs.task.Generator": Generator,
        "floto.specs.task.Timer": Timer,
        "floto.specs.task.ChildWorkflow": ChildWorkflow,
        "floto.specs.retry_strategy.InstantRetry": InstantRetry,
        "floto.specs.retry_strategy.FixedDelay": FixedDelay,
        "floto.specs.retry_strategy.ExponentialBackoff": ExponentialBackoff,
    }
)
