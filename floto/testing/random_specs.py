"""Random specs: the composite strategies behind ``specs``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any, cast

import attrs
from attrs import frozen
from hypothesis import strategies as st

from floto.core.errors import SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import ChildWorkflow, DeciderSpec
from floto.core.spec.kinds import ActivityTask, Generator, Signal, Timer
from floto.core.spec.rules.joins import AtLeast, Join, JoinOption
from floto.core.spec.rules.task_rules import Ruled
from floto.core.spec.rules.wait_limits import Result
from floto.core.spec.tasks import Task, expands
from floto.core.state.state import Kind
from floto.core.swf.limits import RUN_SECONDS_LIMIT

#: Returns a strategy of tasks of one kind, for a task id and the ids that it requires.
Maker = Callable[[str, tuple[str, ...]], st.SearchStrategy[Task]]

_OFTEN = 2
#: Keeps strategies by their arguments: making one and validating it takes much longer than drawing from it.
_kept = lru_cache(maxsize=1_024)

#: Inputs of a few characters.
SMALL_VALUES = (
    st.none() | st.integers(0, 9) | st.dictionaries(st.sampled_from("ab"), st.integers(0, 9), max_size=2)
)


@frozen(eq=False)
class Making:
    """The settings from which random tasks are drawn."""

    own: tuple[Maker, ...]
    retries: st.SearchStrategy[Any]
    joins: tuple[Join, ...]
    codec: Codec

    def activity(self, draw: st.DrawFn, cls: type[ActivityTask], **fixed: Any) -> ActivityTask:
        """Draw an activity with some time-outs and retries."""
        return cls(version="v1", **draw(self._settings), **fixed)

    @cached_property
    def _settings(self) -> st.SearchStrategy[dict[str, Any]]:
        timeouts = st.none() | st.sampled_from([5, 30])
        return st.fixed_dictionaries(
            {
                "retry_strategy": self.retries,
                "task_priority": st.none() | st.integers(-3, 3),
                "schedule_to_start_timeout": timeouts,
                "start_to_close_timeout": timeouts,
                "schedule_to_close_timeout": timeouts,
                "heartbeat_timeout": timeouts,
            }
        )

    def kinds(self, depth: int, *, can_grow: bool = True) -> tuple[_Kind, ...]:
        """Return the kinds from which a task is drawn."""
        nested = [_child, *([_generator] if can_grow else [])] if depth else []
        return (_activity, _activity, _timer, _signal, *self._own_kinds, *nested)

    @cached_property
    def _own_kinds(self) -> list[_Kind]:
        return [_own(maker) for maker in self.own] * _OFTEN


@frozen
class _Place:
    """The position of a task in its spec."""

    id_: str
    #: The ids of the tasks before it.
    before: tuple[str, ...]
    requires: tuple[str, ...]
    depth: int


_Kind = Callable[[st.DrawFn, Making, _Place], Task]


def _activity(draw: st.DrawFn, making: Making, place: _Place) -> Task:
    fixed = {"name": "work", "id_": place.id_, "requires": place.requires, "input": draw(SMALL_VALUES)}
    return making.activity(draw, ActivityTask, **fixed)


#: Times to wait for: one that has passed, and some of every run.
_TIMES = st.none() | st.sampled_from(("2020-01-01T00:00", "cron * * * * *", "cron 0,20 * * * *"))


def _timer(draw: st.DrawFn, _: Making, place: _Place) -> Task:
    until = draw(_TIMES)
    delay = draw(st.integers(0, 5)) if until is None else None
    return Timer(id_=place.id_, delay_in_seconds=delay, until=until, requires=place.requires)


_WAIT_LIMITS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "timeout": st.sampled_from([0, 2, 60]),
        "on_timeout": st.sampled_from(["fail", "skip", Result({"by": "time"})]),
    }
)


def _signal(draw: st.DrawFn, _: Making, place: _Place) -> Task:
    more = draw(_WAIT_LIMITS) if draw(st.booleans()) else {}
    return Signal(id_=place.id_, signal_name=f"go {place.id_}", requires=place.requires, **more)


def _child(draw: st.DrawFn, making: Making, place: _Place) -> Task:
    return ChildWorkflow(
        workflow_type_name="child",
        workflow_type_version="v1",
        id_=place.id_,
        requires=place.requires,
        input=draw(SMALL_VALUES),
        retry_strategy=draw(making.retries),
        spec=draw(random_specs(making, place.depth - 1, 3, "c")),
    )


def _generator(draw: st.DrawFn, making: Making, place: _Place) -> Task:
    offspring: list[Task] = []
    for number in range(draw(st.integers(0, 3))):
        before = (*place.before, *(task.id_ for task in offspring))
        kinds = making.kinds(place.depth - 1)
        task = _task(draw, making, kinds, id_=f"{place.id_}.{number}", before=before, depth=place.depth - 1)
        offspring.append(_with_undo(draw, making, task))
    limits = draw(_limits(len(offspring), any(map(expands, offspring))))
    fixed = {"name": "gen", "id_": place.id_, "requires": place.requires, **limits}
    return making.activity(draw, Generator, **fixed, input={"tasks": _written(offspring, making.codec)})


@_kept
def _limits(count: int, has_generators: bool) -> st.SearchStrategy[dict[str, Any]]:  # noqa: FBT001
    """Return a strategy of limits of so many tasks, often of none."""
    optional: dict[str, st.SearchStrategy[Any]] = {
        "max_in_flight": st.integers(1, 2),
        "tolerated_failures": st.sampled_from([0, 1, "40 %", "100 %"]),
    }
    if count and not has_generators:
        optional["min_successful"] = st.integers(1, count)
    return st.one_of(st.just({}), st.fixed_dictionaries({}, optional=optional))


def _written(tasks: Sequence[Task], codec: Codec) -> Any:
    try:
        return codec.unstructure(tasks)
    except SpecError as error:
        problem = "what generators return is JSON: pass a codec that knows it as codec=, or depth=0"
        raise SpecError((*error.problems, problem)) from None


def _own(maker: Maker) -> _Kind:
    return lambda draw, _, place: draw(maker(place.id_, place.requires))


def _task(  # noqa: PLR0913 - a place, said in one go
    draw: st.DrawFn,
    making: Making,
    kinds: tuple[_Kind, ...],
    *,
    id_: str,
    before: tuple[str, ...],
    depth: int,
) -> Task:
    requires = tuple(draw(_some_of(before))) if before else ()
    kind = draw(_one_of(kinds))
    task = kind(draw, making, _Place(id_, before, requires, depth))
    return attrs.evolve(task, **draw(_rules(requires, making))) if isinstance(task, Ruled) else task


@_kept
def _one_of(kinds: tuple[_Kind, ...]) -> st.SearchStrategy[_Kind]:
    return st.sampled_from(kinds)


@_kept
def _some_of(ids: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(ids), unique=True, max_size=3)


@_kept
def _rules(requires: tuple[str, ...], making: Making) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of rules that differ from the default ones for a few tasks."""
    results = [f'"{id_}"' for id_ in requires]
    conditions = ["`true`", "`false`", "workflow", "!(workflow.a)", "workflow.a > `4`", "sum(workflow)"]
    conditions += [f"{result}.by" for result in results] + [f"!{result}" for result in results]
    joins: list[JoinOption] = [
        "all",
        "any",
        "finished",
        *map(AtLeast, range(1, len(requires) + 2)),
        *making.joins,
    ]
    chosen = st.fixed_dictionaries(
        {},
        optional={
            "when": st.sampled_from(conditions),
            "join": st.sampled_from(joins),
            "on_error": st.sampled_from(["fail", "continue"]),
        },
    )
    return st.one_of(st.just({}), st.just({}), chosen)


def _with_undo(draw: st.DrawFn, making: Making, task: Task) -> Task:
    """Return a task, sometimes with an undo."""
    may_be_undone = isinstance(task, Ruled) and task.key[0] not in (Kind.SIGNAL, Kind.TIMER)
    if not may_be_undone or draw(st.integers(0, _OFTEN)) != _OFTEN:
        return task
    undo = making.activity(draw, ActivityTask, name="work", id_=f"{task.id_}-", input="undo")
    rules = draw(_undo_rules(task.id_))
    found: Task = attrs.evolve(cast("Any", task), undo=attrs.evolve(cast("Any", undo), **rules))
    return found


@_kept
def _undo_rules(id_: str) -> st.SearchStrategy[dict[str, str]]:
    return st.sampled_from([{}, {"when": f'"{id_}".by'}, {"on_error": "continue"}])


def _gated(draw: st.DrawFn, task: Task) -> list[Task]:
    """Return a task, or a signal that requires what the task requires, and the task behind it."""
    if draw(st.integers(0, 2)) != _OFTEN:
        return [task]
    gate = Signal(id_=f"{task.id_}!", signal_name=f"go {task.id_}!", requires=task.requires)
    return [gate, attrs.evolve(cast("Any", task), requires=(gate.id_,))]


def _clean_up(draw: st.DrawFn, making: Making, depth: int, prefix: str) -> list[Task]:
    """Return a few tasks that require only one another; often none."""
    tasks: list[Task] = []
    depth = max(depth - 1, 0)
    for number in range(max(draw(st.integers(-2, 3)), 0)):
        before = tuple(task.id_ for task in tasks)
        kinds = making.kinds(depth, can_grow=False)
        tasks.append(_task(draw, making, kinds, id_=f"{prefix}{number}", before=before, depth=depth))
    return tasks


#: Settings of runs; the time-outs are longer than any run.
_SETTINGS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    (
        {},
        {},
        {"execution_timeout": 30_000_000},
        {"execution_timeout": RUN_SECONDS_LIMIT, "child_policy": "ABANDON"},
        {"child_policy": "REQUEST_CANCEL"},
    )
)


@st.composite
def random_specs(draw: st.DrawFn, making: Making, depth: int, most: int, prefix: str) -> DeciderSpec:
    """Return a valid spec; the arguments are those of ``specs``."""
    tasks: list[Task] = []
    for number in range(draw(st.integers(0, most))):
        before = tuple(task.id_ for task in tasks)
        task = _task(draw, making, making.kinds(depth), id_=f"{prefix}{number}", before=before, depth=depth)
        tasks += _gated(draw, _with_undo(draw, making, task))
    on_failure = _clean_up(draw, making, depth, f"{prefix}f")
    # Often the same tasks clean up after a failure and after a cancel request.
    on_cancel = on_failure if draw(st.booleans()) else _clean_up(draw, making, depth, f"{prefix}x")
    return DeciderSpec(
        task_list="decide",
        activity_task_list="work",
        activity_tasks=tasks,
        on_failure=on_failure,
        on_cancel=on_cancel,
        **draw(_SETTINGS),
    )


@st.composite
def random_specs_of_all_kinds(draw: st.DrawFn, making: Making) -> DeciderSpec:
    """Return a spec with a task of every kind, and one that is required."""
    tasks: list[Task] = []
    for number, kind in enumerate(draw(st.permutations(making.kinds(1)))):
        before = tuple(task.id_ for task in tasks)
        tasks.append(_task(draw, making, (kind,), id_=f"t{number}", before=before, depth=1))
    last = ActivityTask(name="work", version="v1", id_="last", requires=[draw(st.sampled_from(tasks)).id_])
    return DeciderSpec(task_list="decide", activity_task_list="work", activity_tasks=[*tasks, last])
