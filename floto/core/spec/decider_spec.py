"""The spec of a workflow: its tasks, and the settings of its runs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from typing import Any

from attrs import Factory, asdict, field, frozen

from floto.core.errors import HistoryError, PayloadError, SpecError, Unwritable
from floto.core.payloads import payload
from floto.core.spec import graph
from floto.core.spec.codec import Codec, Repeat, Timeout
from floto.core.spec.field_checks import (
    default_id,
    domain_problems,
    ids,
    input_problems,
    list_named,
    policy_problems,
    priority_problems,
    run_timeout_problems,
    timeout_problems,
    wire,
)
from floto.core.spec.kinds import ActivityTask, Generator, Signal, Timer
from floto.core.spec.own_members import strategy_problems
from floto.core.spec.retry import ExponentialBackoff, FixedDelay, InstantRetry, RetryStrategy
from floto.core.spec.rules.joins import AtLeast
from floto.core.spec.rules.task_rules import Ruled, undo_of
from floto.core.spec.rules.wait_limits import Result
from floto.core.spec.task_lists import child_list
from floto.core.spec.tasks import Given, Task, expands, is_task
from floto.core.state.state import Item, Key, Kind
from floto.core.swf.decisions import Decision, StartChildWorkflowExecution
from floto.core.swf.identifiers import id_problems, list_problems, name_problems, shown, task_list_problems
from floto.core.swf.limits import VERSION_LIMIT
from floto.core.swf.reserved_names import SPEC_KEY, TASK_CONTROL
from floto.core.swf.shapes import WorkflowType

__all__ = ["CODEC", "ActivityTask", "ChildWorkflow", "DeciderSpec", "Generator", "Signal", "Timer"]

#: Value of ``repeat_workflow`` by which failed runs are repeated too.
ALWAYS = "always"
#: Key of a cleanup task's context for the failures.
FAILURES_KEY = "failures"
_TWO_NAMES = "default_activity_task_list and activity_task_list are two names for one field; set only one"


def _tasks(tasks: Any, name: str) -> tuple[Task, ...]:
    if isinstance(tasks, str) or not isinstance(tasks, Iterable):
        raise SpecError((f"{name} must be a list of tasks, not {shown(tasks)}",))
    return tuple(tasks)


def _default_id(task: ChildWorkflow) -> str:
    name, version = task.workflow_type_name, task.workflow_type_version
    return default_id(name, version, task.input, task.domain, task.requires)


@frozen(kw_only=True)
class ChildWorkflow(Ruled):
    """A task that runs another workflow as a child.

    The child's input is the context of this task, with ``input`` under ``child_workflow_task``. Time-outs are
    in seconds; None uses the default of the registered workflow type.

    Args:
        workflow_type_name: The name of the workflow type.
        workflow_type_version: The version of the workflow type.
        input: Any value with a JSON form; None by default.
        domain: Accepted for specs of floto 0.0.3, and only changes the default ``id_``.
        requires: Tasks or ids that must complete first; none by default.
        when, join, on_error: The rules of the task (see ``floto.extend.Rules``); by default none.
        id_: Unique in the spec; by default ``<name>:<version>:<hash of input>``.
        workflow_id: The child's workflow id; by default the parent's and ``id_``, joined by a colon.
        retry_strategy: The delays between attempts; None for no retries.
        task_list: The child's decision task list; None for that of ``spec``, else the parent's.
        task_priority: An integer of 32 bits, higher first; None for the default of the workflow type.
        execution_start_to_close_timeout: Maximum time of the child; None for the ``execution_timeout`` of
            ``spec``.
        task_start_to_close_timeout: Maximum time of one decision task of the child.
        child_policy: TERMINATE, REQUEST_CANCEL or ABANDON; None for that of ``spec``, else the default of the
            workflow type.
        spec: Passed in the child's input, so that any floto decider on its task list can decide for it.
    """

    workflow_type_name: str
    workflow_type_version: str
    input: Any = field(default=None, converter=payload.freeze)
    domain: str | None = None
    requires: tuple[str, ...] = field(default=(), converter=ids)
    id_: str = field(default=Factory(_default_id, takes_self=True))
    workflow_id: str | None = None
    retry_strategy: RetryStrategy | None = None
    task_list: str | None = None
    task_priority: int | None = None
    execution_start_to_close_timeout: Timeout = None
    task_start_to_close_timeout: Timeout = None
    child_policy: str | None = None
    spec: DeciderSpec | None = None

    @property
    def key(self) -> Key:
        """The key of the child whose ``control`` names this task."""
        return (Kind.CHILD, self.id_)

    def start(self, given: Given) -> Decision:
        """Start the child with its context, and its spec if it has one."""
        context = (
            given.context if self.input is None else {**given.context, "child_workflow_task": self.input}
        )
        if self.spec is not None:
            context = {**context, SPEC_KEY: given.codec.unstructure(self._inherited(self.spec, given))}
        timeout, policy = run_settings(self.spec, self.execution_start_to_close_timeout, self.child_policy)
        return StartChildWorkflowExecution(
            workflow_type=WorkflowType(self.workflow_type_name, self.workflow_type_version),
            workflow_id=self._workflow_id(given),
            control=TASK_CONTROL + self.id_,
            input=given.dumps(context, f"the input of task {self.id_!r}") if context else None,
            task_list=list_named(child_list(self, given.decision_task_list)),
            task_priority=wire(self.task_priority),
            execution_start_to_close_timeout=timeout,
            task_start_to_close_timeout=wire(self.task_start_to_close_timeout),
            child_policy=policy,
        )

    @staticmethod
    def _inherited(spec: DeciderSpec, given: Given) -> DeciderSpec:
        lists = spec.default_activity_task_list or given.activity_task_list
        return changed(spec, default_activity_task_list=lists)

    def _workflow_id(self, given: Given) -> str:
        if self.workflow_id is not None:
            return self.workflow_id
        if given.execution is None:
            problem = f"does not name its execution, which the workflow id of child {self.id_!r} is made from"
            raise HistoryError(None, f"the history {problem}")
        workflow_id = f"{given.execution.workflow_id}:{self.id_}"
        problems = tuple(id_problems(f"task {self.id_!r}: workflow id {workflow_id!r}", workflow_id))
        if problems:
            raise SpecError((*problems, "set workflow_id"))
        return workflow_id

    def result(self, item: Item) -> Any:
        """Return the result of the child."""
        return None if item.closed is None else payload.loads(item.closed.data.result)

    def problems(self) -> Iterable[str]:
        """Yield the problems of the fields, one line each."""
        yield from name_problems("workflow_type_name", self.workflow_type_name)
        yield from name_problems("workflow_type_version", self.workflow_type_version, VERSION_LIMIT)
        yield from domain_problems(self.domain)
        for name in ("workflow_id", "task_list"):
            if getattr(self, name) is not None:
                check = id_problems if name == "workflow_id" else task_list_problems
                yield from check(name, getattr(self, name))
        yield from timeout_problems(self, ("execution_start_to_close_timeout", "task_start_to_close_timeout"))
        yield from priority_problems(self.task_priority)
        yield from strategy_problems(self.retry_strategy)
        yield from input_problems(self.input)
        yield from policy_problems(self.child_policy)
        if isinstance(self.spec, DeciderSpec):
            yield from self._spec_problems(self.spec)
        elif self.spec is not None:
            yield _no_spec(self.spec, "spec")

    def _spec_problems(self, spec: DeciderSpec) -> Iterable[str]:
        # Only the decider's codec can write custom kinds of task.
        with suppress(SpecError):
            try:
                text = payload.plain_text({SPEC_KEY: CODEC.unstructure(spec)}, "the spec")
            except (PayloadError, Unwritable) as error:
                yield str(error)
                return
            if payload.packed(text) is None:
                yield (
                    f"the spec, which is part of the input, is {payload.too_long(text)}; "
                    "split it into more children"
                )


def _cleanup_problems(tasks: Iterable[Task]) -> Iterable[str]:
    for task in filter(is_task, tasks):
        if expands(task):
            yield f"task {shown(task.id_)} returns tasks, which is only permitted in activity_tasks"
        if task.id_ == FAILURES_KEY:
            yield f"task {shown(task.id_)}: this id is reserved for the failures; set another id_"
        if undo_of(task) is not None:
            yield f"task {shown(task.id_)}: its undo has no effect, as cleanup tasks are not undone"


@frozen(kw_only=True, init=False)
class DeciderSpec:
    """A workflow: its tasks, and the settings of its runs.

    When a task has failed, no further task starts, and the cancellation of open tasks is requested. Once
    these have closed, the undos of completed tasks run, then the cleanup tasks of ``on_failure``, and then
    the run fails. A cancel request to a run that is already cleaning up after a failure has no effect.

    Args:
        activity_tasks: The tasks of the workflow.
        on_failure: Cleanup tasks before a run fails, a graph of their own; each has the messages of the
            failed tasks in its context under ``failures``. None by default.
        on_cancel: Cleanup tasks before a run is canceled; none by default.
        domain: The default domain of the deciders; None for ``floto``.
        task_list: The default decision task list; None for ``floto``.
        default_activity_task_list: The task list of activities that name none; None for that of their type.
        activity_task_list: Another name for ``default_activity_task_list``.
        repeat_workflow: True to continue a completed run as new, ``"always"`` to do so after a failed one,
            which records its failures in the marker ``floto.failures``; False by default. A workflow that
            fails at once is repeated at once: let it begin with a timer.
        terminate_decider_after_completion: True to stop a decider of this spec after it has closed a run;
            False by default.
        execution_timeout: Seconds until SWF times a run of this spec out, at most a year; None for the
            default of the workflow type. ``floto.run``, ``floto run``, ``floto start``, children that carry
            the spec, schedules and redrives use it, unless the start itself says otherwise.
        child_policy: TERMINATE, REQUEST_CANCEL or ABANDON: what SWF does with the children of a run that is
            terminated or times out; None for the default of the workflow type. Used where
            ``execution_timeout`` is.

    Raises:
        SpecError: with every problem of the tasks and their graph.
    """

    activity_tasks: tuple[Task, ...]
    on_failure: tuple[Task, ...] = ()
    on_cancel: tuple[Task, ...] = ()
    domain: str | None = None
    task_list: str | None = None
    default_activity_task_list: str | None = None
    repeat_workflow: Repeat = False
    terminate_decider_after_completion: bool = False
    execution_timeout: int | None = None
    child_policy: str | None = None

    def __init__(  # noqa: PLR0913 - they are the fields
        self,
        *,
        activity_tasks: Iterable[Task] = (),
        on_failure: Iterable[Task] = (),
        on_cancel: Iterable[Task] = (),
        domain: str | None = None,
        task_list: str | None = None,
        default_activity_task_list: str | None = None,
        activity_task_list: str | None = None,
        repeat_workflow: Repeat = False,
        terminate_decider_after_completion: bool = False,
        execution_timeout: int | None = None,
        child_policy: str | None = None,
    ) -> None:
        self.__attrs_init__(  # pyright: ignore[reportAttributeAccessIssue] - made by attrs
            activity_tasks=_tasks(activity_tasks, "activity_tasks"),
            on_failure=_tasks(on_failure, "on_failure"),
            on_cancel=_tasks(on_cancel, "on_cancel"),
            domain=domain,
            task_list=task_list,
            default_activity_task_list=default_activity_task_list or activity_task_list,
            repeat_workflow=repeat_workflow,
            terminate_decider_after_completion=terminate_decider_after_completion,
            execution_timeout=execution_timeout,
            child_policy=child_policy,
        )
        is_named_twice = activity_task_list not in (None, self.default_activity_task_list)
        _check(self, [_TWO_NAMES] if is_named_twice else [])

    @cached_property
    def plan(self) -> graph.Plan:
        """The graph of ``activity_tasks``."""
        return graph.plan(self.activity_tasks)

    @cached_property
    def all_tasks(self) -> tuple[Task, ...]:
        """All tasks, including undos and cleanup tasks; a task of both cleanups occurs once."""
        cleaning = {task.id_: task for task in (*self.on_failure, *self.on_cancel)}
        undos = (undo for undo in map(undo_of, self.activity_tasks) if undo is not None)
        return (*self.activity_tasks, *undos, *cleaning.values())

    @cached_property
    def after_failure(self) -> DeciderSpec:
        """The tasks of ``on_failure`` as a spec of their own."""
        return self._only(self.on_failure)

    @cached_property
    def after_cancel(self) -> DeciderSpec:
        """The tasks of ``on_cancel`` as a spec of their own."""
        return self._only(self.on_cancel)

    def _only(self, tasks: tuple[Task, ...]) -> DeciderSpec:
        return changed(self, activity_tasks=tasks, on_failure=(), on_cancel=(), repeat_workflow=False)

    def to_json(self, codec: Codec | None = None) -> str:
        """Return this spec as JSON text, with a type tag on each object.

        Args:
            codec: The codec with custom kinds of task; None for floto's own kinds.

        Raises:
            SpecError: if a class is not registered with the codec.
        """
        return (codec or CODEC).dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes, codec: Codec | None = None) -> DeciderSpec:
        """Read the JSON text of ``to_json``.

        Args:
            text: The JSON text.
            codec: The codec with custom kinds of task; None for floto's own kinds.

        Raises:
            SpecError: with every problem and its JSON path.
        """
        return as_spec((codec or CODEC).loads(text), "$:")


def changed(spec: DeciderSpec, **fields: Any) -> DeciderSpec:
    """Return a spec with other values of fields; the fields of its tasks are not checked again."""
    new = object.__new__(type(spec))
    new.__attrs_init__(**asdict(spec, recurse=False) | fields)  # pyright: ignore[reportAttributeAccessIssue]
    _check(new, checked=spec.all_tasks)
    return new


def _check(spec: DeciderSpec, found: Iterable[str] = (), checked: Iterable[Task] = ()) -> None:
    graphs = spec.activity_tasks, spec.on_failure, spec.on_cancel
    problems = (*_own_problems(spec), *graph.problems(*graphs, checked=checked), *found)
    if problems:
        raise SpecError(problems)


def _own_problems(spec: DeciderSpec) -> Iterable[str]:
    for name in ("domain", "task_list", "default_activity_task_list"):
        if getattr(spec, name) is not None:
            check = list_problems if name == "domain" else task_list_problems
            yield from check(name, getattr(spec, name))
    if type(spec.repeat_workflow) is not bool and spec.repeat_workflow != ALWAYS:
        yield f'repeat_workflow must be True, False or "{ALWAYS}", not {shown(spec.repeat_workflow)}'
    if type(spec.terminate_decider_after_completion) is not bool:
        given = shown(spec.terminate_decider_after_completion)
        yield f"terminate_decider_after_completion must be True or False, not {given}"
    yield from run_timeout_problems(spec.execution_timeout)
    yield from policy_problems(spec.child_policy)
    if spec.repeat_workflow and not spec.activity_tasks:
        yield "repeat_workflow: a workflow without tasks would repeat without end or pause"
    for name in ("on_failure", "on_cancel"):
        yield from (f"{name}: {problem}" for problem in _cleanup_problems(getattr(spec, name)))
    for task in filter(is_task, spec.activity_tasks):
        if undo_of(task) is not None and task.id_ == FAILURES_KEY:
            yield f"task {shown(task.id_)} has an undo, for which this id is that of the failures"


def as_spec(value: object, what: str) -> DeciderSpec:
    """Return a value that is a spec. Raises ``SpecError``, which calls the value ``what``."""
    if not isinstance(value, DeciderSpec):
        raise SpecError((_no_spec(value, what),))
    return value


def run_settings(
    spec: DeciderSpec | None, timeout: Timeout = None, child_policy: str | None = None
) -> tuple[str | None, str | None]:
    """Return the time-out and the child policy with which a run is started; None for those of its type.

    Args:
        spec: The spec of the run; None if it is not known where the run is started.
        timeout: Seconds that the start gives, in place of the spec's.
        child_policy: The policy that the start gives, in place of the spec's.
    """
    if spec is None:
        return wire(timeout), child_policy
    return wire(spec.execution_timeout if timeout is None else timeout), child_policy or spec.child_policy


def _no_spec(value: object, what: str) -> str:
    return f"{what} must be a DeciderSpec, not {shown(value)}; read JSON with DeciderSpec.from_json(text)"


#: The codec with the kinds of task and the retry strategies that floto ships.
CODEC = Codec(
    {
        "floto.specs.DeciderSpec": DeciderSpec,
        "floto.specs.task.ActivityTask": ActivityTask,
        "floto.specs.task.Generator": Generator,
        "floto.specs.task.Timer": Timer,
        "floto.specs.task.Signal": Signal,
        "floto.specs.task.ChildWorkflow": ChildWorkflow,
        "floto.specs.task.AtLeast": AtLeast,
        "floto.specs.task.Result": Result,
        "floto.specs.retry_strategy.InstantRetry": InstantRetry,
        "floto.specs.retry_strategy.FixedDelay": FixedDelay,
        "floto.specs.retry_strategy.ExponentialBackoff": ExponentialBackoff,
    }
)
