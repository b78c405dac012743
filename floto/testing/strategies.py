"""Hypothesis strategies: random specs, runs of them, and histories.

All of them shrink towards little: few tasks, default settings, and runs without faults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import attrs
from attrs import frozen
from hypothesis import strategies as st

from floto.core.errors import SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, ChildWorkflow, DeciderSpec
from floto.core.spec.kinds import ActivityTask, Generator, Signal, Timer
from floto.core.spec.retry import ExponentialBackoff, FixedDelay, InstantRetry, RetryStrategy
from floto.core.spec.rules.joins import AtLeast, Join, JoinOption
from floto.core.spec.rules.task_rules import Ruled
from floto.core.spec.rules.wait_limits import Result
from floto.core.spec.tasks import Task, expands
from floto.core.state.state import Kind
from floto.core.swf.history import History
from floto.core.swf.limits import RUN_SECONDS_LIMIT
from floto.testing.simulation.choices import Choices
from floto.testing.simulation.faults import Faults
from floto.testing.simulation.outcomes import Activity
from floto.testing.simulation.result import Simulation
from floto.testing.simulation.simulator import Simulator

#: Returns a strategy of tasks of one kind, for a task id and the ids that it requires.
Maker = Callable[[str, tuple[str, ...]], st.SearchStrategy[Task]]

_NUMBERS_AT_ONCE = 8
_OFTEN = 2


def json_values() -> st.SearchStrategy[Any]:
    """Return a strategy of JSON values with a few leaves."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )


def small_values() -> st.SearchStrategy[Any]:
    """Return a strategy of inputs of a few characters."""
    return (
        st.none() | st.integers(0, 9) | st.dictionaries(st.sampled_from("ab"), st.integers(0, 9), max_size=2)
    )


def retry_strategies() -> st.SearchStrategy[RetryStrategy | None]:
    """Return a strategy of None and floto's retry strategies, with three retries at most."""
    return st.one_of(
        st.none(),
        st.builds(InstantRetry, st.integers(0, 3)),
        st.builds(FixedDelay, st.sampled_from([0, 1, 2.5, 7]), st.integers(0, 3)),
        st.builds(
            ExponentialBackoff,
            retries=st.integers(0, 3),
            initial=st.sampled_from([1, 2, 10]),
            factor=st.sampled_from([1, 2, 3]),
            cap=st.sampled_from([5, 60]),
            jitter=st.sampled_from([0, 0.5, 1]),
            non_retryable=st.sampled_from([(), ("Final",)]),
        ),
    )


def specs(  # noqa: PLR0913 - all are optional and named
    *,
    most: int = 6,
    depth: int = 2,
    kinds: Sequence[Maker] = (),
    retry_strategies: st.SearchStrategy[Any] | None = None,
    joins: Sequence[Join] = (),
    codec: Codec = CODEC,
    all_kinds: bool = False,
    prefix: str = "t",
) -> st.SearchStrategy[DeciderSpec]:
    """Return a strategy of valid specs.

    Args:
        most: Maximum number of tasks, without signals that they wait for and cleanup tasks.
        depth: How deep children and generators may be nested.
        kinds: Further kinds of task: functions that take a task id and the ids that it requires, and return a
            strategy of tasks.
        retry_strategies: Strategy of retry strategies, in place of those that floto ships.
        joins: Further joins, beside those that floto ships.
        codec: Codec for what generators return: it has to know kinds, strategies and joins of your own.
        all_kinds: If True, each spec has at least one task of each kind.
        prefix: Prefix of the task ids.
    """
    chosen = _shipped_strategies() if retry_strategies is None else retry_strategies
    making = _Making(tuple(kinds), chosen, tuple(joins), codec)
    return _all_kinds(making) if all_kinds else _specs(making, depth, most, prefix)


def runs(  # noqa: PLR0913 - they are those of simulate
    specs: DeciderSpec | st.SearchStrategy[DeciderSpec],
    *,
    activities: Mapping[str, Activity] | None = None,
    input: Any = None,
    faults: Faults | None = None,
    children: Mapping[str, DeciderSpec] | None = None,
    codec: Codec = CODEC,
) -> st.SearchStrategy[Simulation]:
    """Return a strategy of simulations, in every order and with every fault by default.

    Args:
        specs: A spec, or a strategy of specs.
        activities: Outcomes or functions by task id or type name, as for ``simulate``.
        input: The input of the workflow, or a strategy of inputs.
        faults: The faults to inject; all of them by default.
        children: Specs by workflow type name, for children that carry none.
        codec: Codec that knows your own task kinds and retry strategies.
    """
    return st.builds(
        _simulated,
        st.just(specs) if isinstance(specs, DeciderSpec) else specs,
        activities=st.just(activities),
        input=input if isinstance(input, st.SearchStrategy) else st.just(input),
        faults=st.just(Faults.all() if faults is None else faults),
        children=st.just(children),
        codec=st.just(codec),
        script=scripts(),
    )


def _simulated(spec: DeciderSpec, script: tuple[int, ...], **given: Any) -> Simulation:
    """Simulate without checking names: random specs do not all have the tasks of ``activities``."""
    return Simulator(spec, choices=Choices(script), **given).run()


def scripts(most: int = 320) -> st.SearchStrategy[tuple[int, ...]]:
    """Return a strategy of scripts with ``most`` numbers at most: enough for runs of some ten tasks."""
    # Hypothesis draws lists of some five items: too short for a script of single numbers.
    chunks = st.binary(min_size=_NUMBERS_AT_ONCE, max_size=_NUMBERS_AT_ONCE)
    return st.lists(chunks, max_size=most // _NUMBERS_AT_ONCE).map(lambda parts: tuple(b"".join(parts)))


@st.composite
def _cut(draw: st.DrawFn, simulations: st.SearchStrategy[Simulation]) -> History:
    history = draw(simulations).main
    end = draw(st.integers(1, len(history)))
    return History(history.events[:end], history.execution)


def histories(
    specs: DeciderSpec | st.SearchStrategy[DeciderSpec], **simulated: Any
) -> st.SearchStrategy[History]:
    """Return a strategy of histories that SWF could have written, from any point of a run.

    Args:
        specs: A spec, or a strategy of specs.
        **simulated: Further arguments of ``runs``.
    """
    return _cut(runs(specs, **simulated))


# specs() has an argument of the same name.
_shipped_strategies = retry_strategies


@frozen
class _Making:
    """The settings from which random tasks are drawn."""

    own: tuple[Maker, ...]
    retries: st.SearchStrategy[Any]
    joins: tuple[Join, ...]
    codec: Codec

    def activities(self, cls: type[ActivityTask], **fixed: Any) -> st.SearchStrategy[ActivityTask]:
        """Return a strategy of activities with some time-outs and retries."""
        timeouts = st.none() | st.sampled_from([5, 30])
        return st.builds(
            cls,
            version=st.just("v1"),
            retry_strategy=self.retries,
            task_priority=st.none() | st.integers(-3, 3),
            schedule_to_start_timeout=timeouts,
            start_to_close_timeout=timeouts,
            schedule_to_close_timeout=timeouts,
            heartbeat_timeout=timeouts,
            **{name: st.just(value) for name, value in fixed.items()},
        )

    def kinds(self, depth: int, *, can_grow: bool = True) -> list[_Kind]:
        """Return the kinds from which a task is drawn."""
        own = [_own(maker) for maker in self.own] * _OFTEN
        nested = [_child, *([_generator] if can_grow else [])] if depth else []
        return [_activity, _activity, _timer, _signal, *own, *nested]


@frozen
class _Place:
    """The position of a task in its spec."""

    id_: str
    #: The ids of the tasks before it.
    before: tuple[str, ...]
    requires: tuple[str, ...]
    depth: int


_Kind = Callable[[st.DrawFn, _Making, _Place], Task]


def _activity(draw: st.DrawFn, making: _Making, place: _Place) -> Task:
    fixed = {"name": "work", "id_": place.id_, "requires": place.requires, "input": draw(small_values())}
    return draw(making.activities(ActivityTask, **fixed))


#: Times to wait for: one that has passed, and some of every run.
_TIMES = ("2020-01-01T00:00", "cron * * * * *", "cron 0,20 * * * *")


def _timer(draw: st.DrawFn, _: _Making, place: _Place) -> Task:
    until = draw(st.none() | st.sampled_from(_TIMES))
    delay = draw(st.integers(0, 5)) if until is None else None
    return Timer(id_=place.id_, delay_in_seconds=delay, until=until, requires=place.requires)


def _signal(draw: st.DrawFn, _: _Making, place: _Place) -> Task:
    limits: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {
            "timeout": st.sampled_from([0, 2, 60]),
            "on_timeout": st.sampled_from(["fail", "skip", Result({"by": "time"})]),
        }
    )
    more = draw(limits) if draw(st.booleans()) else {}
    return Signal(id_=place.id_, signal_name=f"go {place.id_}", requires=place.requires, **more)


def _child(draw: st.DrawFn, making: _Making, place: _Place) -> Task:
    return ChildWorkflow(
        workflow_type_name="child",
        workflow_type_version="v1",
        id_=place.id_,
        requires=place.requires,
        input=draw(small_values()),
        retry_strategy=draw(making.retries),
        spec=draw(_specs(making, place.depth - 1, 3, "c")),
    )


def _generator(draw: st.DrawFn, making: _Making, place: _Place) -> Task:
    offspring: list[Task] = []
    for number in range(draw(st.integers(0, 3))):
        before = (*place.before, *(task.id_ for task in offspring))
        kinds = making.kinds(place.depth - 1)
        task = _task(draw, making, kinds, id_=f"{place.id_}.{number}", before=before, depth=place.depth - 1)
        offspring.append(_with_undo(draw, making, task))
    fixed = {"name": "gen", "id_": place.id_, "requires": place.requires, **draw(_limits(offspring))}
    return draw(making.activities(Generator, **fixed, input={"tasks": _written(offspring, making.codec)}))


def _limits(offspring: Sequence[Task]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of limits of these tasks, often of none."""
    optional: dict[str, st.SearchStrategy[Any]] = {
        "max_in_flight": st.integers(1, 2),
        "tolerated_failures": st.sampled_from([0, 1, "40 %", "100 %"]),
    }
    if offspring and not any(map(expands, offspring)):
        optional["min_successful"] = st.integers(1, len(offspring))
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
    making: _Making,
    kinds: Sequence[_Kind],
    *,
    id_: str,
    before: tuple[str, ...],
    depth: int,
) -> Task:
    requires = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
    kind = draw(st.sampled_from(kinds))
    task = kind(draw, making, _Place(id_, before, tuple(requires), depth))
    return (
        attrs.evolve(task, **draw(_rules(tuple(requires), making.joins))) if isinstance(task, Ruled) else task
    )


def _rules(requires: tuple[str, ...], own: Sequence[Join]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of rules that differ from the default ones for a few tasks."""
    results = [f'"{id_}"' for id_ in requires]
    conditions = ["`true`", "`false`", "workflow", "!(workflow.a)", "workflow.a > `4`", "sum(workflow)"]
    conditions += [f"{result}.by" for result in results] + [f"!{result}" for result in results]
    joins: list[JoinOption] = ["all", "any", "finished", *map(AtLeast, range(1, len(requires) + 2)), *own]
    chosen = st.fixed_dictionaries(
        {},
        optional={
            "when": st.sampled_from(conditions),
            "join": st.sampled_from(joins),
            "on_error": st.sampled_from(["fail", "continue"]),
        },
    )
    return st.one_of(st.just({}), st.just({}), chosen)


def _with_undo(draw: st.DrawFn, making: _Making, task: Task) -> Task:
    """Return a task, sometimes with an undo."""
    may_be_undone = isinstance(task, Ruled) and task.key[0] not in (Kind.SIGNAL, Kind.TIMER)
    if not may_be_undone or draw(st.integers(0, _OFTEN)) != _OFTEN:
        return task
    undo = draw(making.activities(ActivityTask, name="work", id_=f"{task.id_}-", input="undo"))
    rules = draw(st.sampled_from([{}, {"when": f'"{task.id_}".by'}, {"on_error": "continue"}]))
    found: Task = attrs.evolve(cast("Any", task), undo=attrs.evolve(cast("Any", undo), **rules))
    return found


def _gated(draw: st.DrawFn, task: Task) -> list[Task]:
    """Return a task, or a signal that requires what the task requires, and the task behind it."""
    if draw(st.integers(0, 2)) != _OFTEN:
        return [task]
    gate = Signal(id_=f"{task.id_}!", signal_name=f"go {task.id_}!", requires=task.requires)
    return [gate, attrs.evolve(cast("Any", task), requires=(gate.id_,))]


def _clean_up(draw: st.DrawFn, making: _Making, depth: int, prefix: str) -> list[Task]:
    """Return a few tasks that require only one another; often none."""
    tasks: list[Task] = []
    depth = max(depth - 1, 0)
    for number in range(max(draw(st.integers(-2, 3)), 0)):
        before = tuple(task.id_ for task in tasks)
        kinds = making.kinds(depth, can_grow=False)
        tasks.append(_task(draw, making, kinds, id_=f"{prefix}{number}", before=before, depth=depth))
    return tasks


#: Settings of runs; the time-outs are longer than any run.
_SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"execution_timeout": 30_000_000},
    {"execution_timeout": RUN_SECONDS_LIMIT, "child_policy": "ABANDON"},
    {"child_policy": "REQUEST_CANCEL"},
)


@st.composite
def _specs(draw: st.DrawFn, making: _Making, depth: int, most: int, prefix: str) -> DeciderSpec:
    tasks: list[Task] = []
    for number in range(draw(st.integers(0, most))):
        before = tuple(task.id_ for task in tasks)
        task = _task(draw, making, making.kinds(depth), id_=f"{prefix}{number}", before=before, depth=depth)
        tasks += _gated(draw, _with_undo(draw, making, task))
    on_failure = _clean_up(draw, making, depth, f"{prefix}f")
    # Often the same tasks clean up, whatever the reason.
    on_cancel = on_failure if draw(st.booleans()) else _clean_up(draw, making, depth, f"{prefix}x")
    return DeciderSpec(
        task_list="decide",
        activity_task_list="work",
        activity_tasks=tasks,
        on_failure=on_failure,
        on_cancel=on_cancel,
        **draw(st.sampled_from(_SETTINGS)),
    )


@st.composite
def _all_kinds(draw: st.DrawFn, making: _Making) -> DeciderSpec:
    """Return a spec with a task of every kind, and one that is required."""
    tasks: list[Task] = []
    for number, kind in enumerate(draw(st.permutations(making.kinds(1)))):
        before = tuple(task.id_ for task in tasks)
        tasks.append(_task(draw, making, [kind], id_=f"t{number}", before=before, depth=1))
    last = ActivityTask(name="work", version="v1", id_="last", requires=[draw(st.sampled_from(tasks)).id_])
    return DeciderSpec(task_list="decide", activity_task_list="work", activity_tasks=[*tasks, last])
