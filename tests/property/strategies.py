"""Random specs, and random scripts by which a simulation runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from floto import (
    CODEC,
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    ExponentialBackoff,
    FixedDelay,
    Generator,
    InstantRetry,
    RetryStrategy,
    Signal,
    Task,
    Timer,
)
from tests.property.oracle import SIGNAL
from tests.property.simulator import Plot

SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_small = st.none() | st.integers(0, 9) | st.dictionaries(st.sampled_from("ab"), st.integers(0, 9), max_size=2)

retry_strategies: st.SearchStrategy[RetryStrategy | None] = st.one_of(
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
_timeouts = st.none() | st.sampled_from([5, 30])


def _activity(kind: type[ActivityTask], **fixed: Any) -> st.SearchStrategy[ActivityTask]:
    return st.builds(
        kind,
        version=st.just("v1"),
        retry_strategy=retry_strategies,
        task_priority=st.none() | st.integers(-3, 3),
        schedule_to_start_timeout=_timeouts,
        start_to_close_timeout=_timeouts,
        schedule_to_close_timeout=_timeouts,
        heartbeat_timeout=_timeouts,
        **{name: st.just(value) for name, value in fixed.items()},
    )


_NESTED = ("child", "generator")
_KINDS = ("activity", "activity", "timer", "signal", *_NESTED)


@st.composite
def _task(draw: st.DrawFn, id_: str, before: list[str], depth: int, kinds: Sequence[str] = _KINDS) -> Task:
    requires = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
    kind = draw(st.sampled_from([kind for kind in kinds if depth or kind not in _NESTED]))
    if kind == "timer":
        return Timer(id_=id_, delay_in_seconds=draw(st.integers(0, 5)), requires=requires)
    if kind == "signal":
        return Signal(id_=id_, signal_name=SIGNAL + id_, requires=requires)
    if kind == "child":
        return ChildWorkflow(
            workflow_type_name="child",
            workflow_type_version="v1",
            id_=id_,
            requires=requires,
            input=draw(_small),
            retry_strategy=draw(retry_strategies),
            spec=draw(specs(depth=depth - 1, most=3, prefix="c")),
        )
    if kind == "generator":
        offspring = [
            draw(_task(f"{id_}.{number}", [*before, *(f"{id_}.{n}" for n in range(number))], depth - 1))
            for number in range(draw(st.integers(0, 3)))
        ]
        inputs = {"tasks": CODEC.unstructure(offspring)}
        return draw(_activity(Generator, name="gen", id_=id_, requires=requires, input=inputs))
    return draw(_activity(ActivityTask, name="work", id_=id_, requires=requires, input=draw(_small)))


@st.composite
def _gated(draw: st.DrawFn, task: Task) -> list[Task]:
    """A task, or a signal that waits for all the task requires, and the task behind that."""
    if draw(st.integers(0, 2)) != 2:
        return [task]
    gate = Signal(id_=f"{task.id_}!", signal_name=f"{SIGNAL}{task.id_}!", requires=task.requires)
    return [gate, attrs.evolve(cast("Any", task), requires=[gate])]


@st.composite
def _clean_up(draw: st.DrawFn, prefix: str, depth: int) -> list[Task]:
    """A few tasks that require only one another; often none."""
    tasks: list[Task] = []
    for number in range(max(draw(st.integers(-2, 3)), 0)):
        before = [task.id_ for task in tasks]
        tasks.append(draw(_task(f"{prefix}{number}", before, max(depth - 1, 0), _KINDS[:-1])))
    return tasks


@st.composite
def specs(draw: st.DrawFn, depth: int = 2, most: int = 6, prefix: str = "t") -> DeciderSpec:
    """A valid spec: a graph of activities, timers, signals, children and generators, and clean-up."""
    tasks: list[Task] = []
    for number in range(draw(st.integers(0, most))):
        tasks += draw(_gated(draw(_task(f"{prefix}{number}", [task.id_ for task in tasks], depth))))
    return DeciderSpec(
        task_list="decide",
        activity_task_list="work",
        activity_tasks=tasks,
        on_failure=draw(_clean_up(f"{prefix}f", depth)),
        on_cancel=draw(_clean_up(f"{prefix}x", depth)),
    )


@st.composite
def specs_of_all_kinds(draw: st.DrawFn) -> DeciderSpec:
    """A valid spec with something of every kind in it, and something that is required."""
    tasks: list[Task] = []
    for number, kind in enumerate(draw(st.permutations([*_KINDS]))):
        tasks.append(draw(_task(f"t{number}", [task.id_ for task in tasks], 1, (kind,))))
    last = ActivityTask(name="work", version="v1", id_="last", requires=[draw(st.sampled_from(tasks)).id_])
    return DeciderSpec(task_list="decide", activity_task_list="work", activity_tasks=[*tasks, last])


@st.composite
def plots(draw: st.DrawFn, *, refusals: bool = False, cancels: bool = False) -> Plot:
    """What happens to a run: the outcome of every attempt, and the order of everything."""
    return Plot(
        outcomes=draw(st.integers(0, 2**20)),
        script=tuple(draw(st.lists(st.integers(0, 40), max_size=60))),
        refusals=draw(st.integers(0, 2**20)) if refusals else 0,
        cancel_at=draw(st.none() | st.integers(0, 30)) if cancels else None,
        early=draw(st.integers(0, 5)),
        input=draw(_small),
    )
