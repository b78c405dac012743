"""Hypothesis strategies: random specs, runs of them, and histories.

All of them shrink to little: few tasks, nothing set that need not be, and runs in which all goes well.
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
from floto.core.spec.tasks import Task
from floto.core.swf.history import History
from floto.testing.simulation.choices import Choices
from floto.testing.simulation.faults import Faults
from floto.testing.simulation.outcomes import Activity
from floto.testing.simulation.result import Simulation
from floto.testing.simulation.simulator import Simulator

#: Gives tasks of one kind, by their id and the ids of what they require.
Maker = Callable[[str, tuple[str, ...]], st.SearchStrategy[Task]]

_NUMBERS_AT_ONCE = 8
_OFTEN = 2


def json_values() -> st.SearchStrategy[Any]:
    """Whatever JSON can hold, of a few leaves."""
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
    """Inputs of a few characters."""
    return (
        st.none() | st.integers(0, 9) | st.dictionaries(st.sampled_from("ab"), st.integers(0, 9), max_size=2)
    )


def retry_strategies() -> st.SearchStrategy[RetryStrategy | None]:
    """None, or one of those that floto ships, with three retries at most."""
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


def specs(  # noqa: PLR0913 - each says one thing about the specs
    *,
    most: int = 6,
    depth: int = 2,
    kinds: Sequence[Maker] = (),
    retry_strategies: st.SearchStrategy[Any] | None = None,
    codec: Codec = CODEC,
    all_kinds: bool = False,
    prefix: str = "t",
) -> st.SearchStrategy[DeciderSpec]:
    """Valid specs of up to ``most`` tasks, signals that they wait for aside, and tasks that clean up.

    ``depth`` is how deep children and generators may be within one another. ``kinds`` are further
    kinds of task: functions that take an id and the ids that it requires and give a strategy of
    tasks. ``retry_strategies`` stands in for those that floto ships. ``codec`` writes what
    generators return, so it has to know kinds and strategies of your own. ``all_kinds``: at least
    one task of each kind. ``prefix``: how ids begin.
    """
    chosen = _shipped_strategies() if retry_strategies is None else retry_strategies
    making = _Making(tuple(kinds), chosen, codec)
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
    """Simulations of a spec, or of specs: in every order, and with every fault unless told otherwise.

    Takes what ``simulate`` takes; ``input`` may be a strategy of inputs, too.
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
    """Without a look at names: of random specs, not all have what the activities are given for."""
    return Simulator(spec, choices=Choices(script), **given).run()


def scripts(most: int = 320) -> st.SearchStrategy[tuple[int, ...]]:
    """Scripts of simulations, of so many numbers at most: enough for runs of some ten tasks."""
    # Hypothesis makes lists of some five items; of single numbers that would be short.
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
    """Histories that SWF could have written of a spec, from any moment of a run's life.

    Takes what ``runs`` takes.
    """
    return _cut(runs(specs, **simulated))


# specs() has an argument of the same name.
_shipped_strategies = retry_strategies


@frozen
class _Making:
    """What random tasks are made of."""

    own: tuple[Maker, ...]
    retries: st.SearchStrategy[Any]
    codec: Codec

    def activities(self, cls: type[ActivityTask], **fixed: Any) -> st.SearchStrategy[ActivityTask]:
        """Activities with some time-outs and retries."""
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
        """The kinds of which a task can be."""
        own = [_own(maker) for maker in self.own] * _OFTEN
        nested = [_child, *([_generator] if can_grow else [])] if depth else []
        return [_activity, _activity, _timer, _signal, *own, *nested]


@frozen
class _Place:
    """Where a task stands in its spec."""

    id_: str
    #: The ids of the tasks before it.
    before: tuple[str, ...]
    requires: tuple[str, ...]
    depth: int


_Kind = Callable[[st.DrawFn, _Making, _Place], Task]


def _activity(draw: st.DrawFn, making: _Making, place: _Place) -> Task:
    fixed = {"name": "work", "id_": place.id_, "requires": place.requires, "input": draw(small_values())}
    return draw(making.activities(ActivityTask, **fixed))


def _timer(draw: st.DrawFn, _: _Making, place: _Place) -> Task:
    return Timer(id_=place.id_, delay_in_seconds=draw(st.integers(0, 5)), requires=place.requires)


def _signal(_draw: st.DrawFn, _: _Making, place: _Place) -> Task:
    return Signal(id_=place.id_, signal_name=f"go {place.id_}", requires=place.requires)


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
        offspring.append(
            _task(draw, making, kinds, id_=f"{place.id_}.{number}", before=before, depth=place.depth - 1)
        )
    fixed = {"name": "gen", "id_": place.id_, "requires": place.requires}
    return draw(making.activities(Generator, **fixed, input={"tasks": _written(offspring, making.codec)}))


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
    return kind(draw, making, _Place(id_, before, tuple(requires), depth))


def _gated(draw: st.DrawFn, task: Task) -> list[Task]:
    """A task, or a signal that waits for all the task requires, and the task behind that."""
    if draw(st.integers(0, 2)) != _OFTEN:
        return [task]
    gate = Signal(id_=f"{task.id_}!", signal_name=f"go {task.id_}!", requires=task.requires)
    return [gate, attrs.evolve(cast("Any", task), requires=(gate.id_,))]


def _clean_up(draw: st.DrawFn, making: _Making, depth: int, prefix: str) -> list[Task]:
    """A few tasks that require only one another; often none."""
    tasks: list[Task] = []
    depth = max(depth - 1, 0)
    for number in range(max(draw(st.integers(-2, 3)), 0)):
        before = tuple(task.id_ for task in tasks)
        kinds = making.kinds(depth, can_grow=False)
        tasks.append(_task(draw, making, kinds, id_=f"{prefix}{number}", before=before, depth=depth))
    return tasks


@st.composite
def _specs(draw: st.DrawFn, making: _Making, depth: int, most: int, prefix: str) -> DeciderSpec:
    tasks: list[Task] = []
    for number in range(draw(st.integers(0, most))):
        before = tuple(task.id_ for task in tasks)
        task = _task(draw, making, making.kinds(depth), id_=f"{prefix}{number}", before=before, depth=depth)
        tasks += _gated(draw, task)
    on_failure = _clean_up(draw, making, depth, f"{prefix}f")
    # Often the same tasks clean up, whatever the reason.
    on_cancel = on_failure if draw(st.booleans()) else _clean_up(draw, making, depth, f"{prefix}x")
    return DeciderSpec(
        task_list="decide",
        activity_task_list="work",
        activity_tasks=tasks,
        on_failure=on_failure,
        on_cancel=on_cancel,
    )


@st.composite
def _all_kinds(draw: st.DrawFn, making: _Making) -> DeciderSpec:
    """A spec with something of every kind in it, and something that is required."""
    tasks: list[Task] = []
    for number, kind in enumerate(draw(st.permutations(making.kinds(1)))):
        before = tuple(task.id_ for task in tasks)
        tasks.append(_task(draw, making, [kind], id_=f"t{number}", before=before, depth=1))
    last = ActivityTask(name="work", version="v1", id_="last", requires=[draw(st.sampled_from(tasks)).id_])
    return DeciderSpec(task_list="decide", activity_task_list="work", activity_tasks=[*tasks, last])
