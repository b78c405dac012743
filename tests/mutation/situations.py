"""Situations that mutants are tested in: random runs, and runs at the limits."""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from floto import (
    CODEC,
    ActivityTask,
    AtLeast,
    DeciderSpec,
    FixedDelay,
    Generator,
    Signal,
    Task,
    Timer,
    redrive,
)
from floto.core.payloads import payload
from floto.core.spec.rules.joins import JoinOption
from floto.testing import NONE, Faults, Simulation, fails, returns, times_out
from floto.testing.random_specs import SMALL_VALUES
from floto.testing.strategies import json_values, runs, specs
from tests.property.limited_specs import limited

#: What ``simulate`` is given.
Arguments = dict[str, Any]

_FAULTS = st.sampled_from([Faults.all(rate) for rate in (0.02, 0.1, 0.3)])
#: What does not end a run of many tasks at once.
_FEW_FAULTS = st.sampled_from(
    [NONE, NONE, Faults(reorders=0.3, delays_answer=0.3, loses_decision=0.2, cancels=0.1, adds_events=0.2)]
)
_SEEDS = st.integers(0, 2**32)
_FAILING = Faults(fails=0.2, fails_for_good=0.3, times_out=0.2, reorders=0.3, signals=0.1, loses_worker=0.1)
#: A few moves show how a run of many tasks begins.
_BRIEFLY = 40


@lru_cache
def noise(size: int, seed: int) -> str:
    """Text that does not get shorter by compressing it."""
    return b64encode(random.Random(seed).randbytes(size))[:size].decode()


def usual() -> st.SearchStrategy[Arguments]:
    """All kinds of tasks, faults and orders."""
    return _runs(specs(), input=SMALL_VALUES | json_values())


def repeating() -> st.SearchStrategy[Arguments]:
    """Specs that begin again when they are done, also after a failure."""
    some = specs(most=3, depth=1).filter(lambda spec: bool(spec.activity_tasks))
    refusals = st.builds(Faults, refuses=st.sampled_from([0.3, 0.6]), most=st.sampled_from([10, 60]))
    faults = _FAULTS | _FEW_FAULTS | refusals
    return _runs(some.map(_again) | some.map(_always), input=SMALL_VALUES, faults=faults)


def undone() -> st.SearchStrategy[Arguments]:
    """Cleanups with undos and with signals that may arrive at any moment of the run."""
    return _runs(specs(most=4, depth=1).map(_undoable), faults=st.just(evolve(_FAILING, signals=0.5)))


def _undoable(spec: DeciderSpec) -> DeciderSpec:
    tasks = [_with_undo(task) for task in spec.activity_tasks]
    signals: list[Task] = [Signal(id_=f"s{number}", signal_name=f"s{number}") for number in range(2)]
    after = _activity(1, name="tidy", id_="after", requires=["s1"])
    return evolve(spec, activity_tasks=tasks, on_failure=[*signals, after], on_cancel=signals)


def _with_undo(task: Task) -> Task:
    if not isinstance(task, ActivityTask) or task.undo is not None:
        return task
    return evolve(task, undo=_activity(0, id_=f"{task.id_}-"))


def joined() -> st.SearchStrategy[Arguments]:
    """Joins of several tasks that complete, fail, go on after a failure, or are skipped."""
    return _runs(_joined(), faults=st.just(evolve(_FAILING, fails_for_good=0.4)))


@st.composite
def _joined(draw: st.DrawFn) -> DeciderSpec:
    count = draw(st.integers(2, 4))
    named: list[JoinOption] = ["all", "any", "finished"]
    joins = st.sampled_from([*named, *map(AtLeast, range(1, count + 1))])
    tasks: list[Task] = []
    for number in range(count + draw(st.integers(1, 3))):
        some = [task.id_ for task in tasks[:count]]
        requires = draw(st.lists(st.sampled_from(some), min_size=2, unique=True)) if number >= count else ()
        rules = {
            "when": draw(st.sampled_from([None, None, "`false`", "missing", "sum(workflow)"])),
            "on_error": draw(st.sampled_from(["fail", "continue", "continue"])),
            "join": draw(joins) if requires else "all",
        }
        tasks.append(_activity(number, requires=requires, **rules))
    return DeciderSpec(activity_tasks=tasks, on_failure=_clean_up("f") if draw(st.booleans()) else ())


def timed() -> st.SearchStrategy[Arguments]:
    """Timers until the next minute, behind joins, where minutes pass before and after the joins are met."""
    faults = Faults(loses_decision=0.5, reorders=0.3, fails_for_good=0.4)
    return _runs(st.integers(2, 4).flatmap(_timed), faults=st.just(faults))


def _timed(count: int) -> st.SearchStrategy[DeciderSpec]:
    timers: list[Task] = [Timer(id_=f"t{number}", delay_in_seconds=45 * number) for number in range(count)]
    last = _activity(count, on_error="continue", requires=[timers[-1].id_])
    named: list[JoinOption] = ["all", "any", "finished"]
    joins = st.sampled_from([*named, *map(AtLeast, range(1, count + 1))])
    return joins.map(lambda join: _until([*timers, last], join))


def _until(before: list[Task], join: JoinOption) -> DeciderSpec:
    until = Timer(id_="until", until="cron * * * * *", requires=before, join=join)
    return DeciderSpec(activity_tasks=[*before, until])


def redriven() -> st.SearchStrategy[Arguments]:
    """Specs whose run keeps tasks of an earlier run that failed."""
    some = runs(specs(most=5, depth=1), activities={"work": returns(1)}, faults=_FAILING)
    return some.flatmap(_redriven)


def _redriven(run: Simulation) -> st.SearchStrategy[Arguments]:
    spec = evolve(run.spec, repeat_workflow=False)
    planned = redrive(spec, run.main)
    return _runs(st.just(spec), input=st.just(payload.loads(planned.start.input)))


def refused() -> st.SearchStrategy[Arguments]:
    """SWF refuses everything, a hundred times and more, for the same cause again and again."""
    some = specs(most=2, depth=1)
    return st.fixed_dictionaries(
        {
            "spec": some | some.filter(lambda spec: bool(spec.activity_tasks)).map(_again),
            "script": st.integers(0, 255).map(lambda number: (number,) * 2_000),
            "faults": st.sampled_from([Faults(refuses=1, most=most) for most in (20, 21, 22, 100, 101, 102)]),
        }
    )


def deferred() -> st.SearchStrategy[Arguments]:
    """Workers give activities back again and again, and SWF refuses the timers before retries."""
    waits = st.builds(FixedDelay, st.just(1), st.sampled_from([2, 30]))
    some = specs(most=2, depth=1, retry_strategies=waits)
    few = [Faults(gives_back=1, most=most) for most in (5, 101, 120)]
    mixed = [Faults(fails=0.5, refuses=rate, most=most) for rate in (0.5, 0.9) for most in (10, 30, 60)]
    return _runs(some, faults=st.sampled_from(few + mixed))


def bulky() -> st.SearchStrategy[Arguments]:
    """Results that fit one by one, and not together."""
    some = specs(most=4, depth=1)
    results = st.integers(12_000, 30_000).map(lambda size: {"work": returns(noise(size, 1))})
    return _runs(some, activities=results, input=st.none() | st.just(noise(9_000, 2)))


def failing() -> st.SearchStrategy[Arguments]:
    """Tasks that fail with a lot to say, and too many of them to report them all."""
    late = times_out(None, "SCHEDULE_TO_START")
    loud = fails(None, "Final", noise(5_000, 3))
    return st.one_of(
        _runs(_wide(_named, st.integers(30, 250)), activities=st.just({"work": late}), briefly=True),
        _runs(_wide(_small, st.integers(1, 5)), activities=st.just({"work": loud}), briefly=True),
        _runs(_wide(_large, st.integers(2, 80)), input=st.just(noise(20_000, 4)), briefly=True),
    )


def with_limits() -> st.SearchStrategy[Arguments]:
    """Generators that limit the tasks that they return, some of which fail for good."""
    return _runs(limited(), input=st.just({"a": 5}), faults=st.just(_FAILING) | _FAULTS)


def misfitting() -> st.SearchStrategy[Arguments]:
    """Generators that return tasks whose ids the spec has, beside tasks that go on."""
    return _runs(_misfitting(), faults=st.just(_FAILING) | _FEW_FAULTS)


@st.composite
def _misfitting(draw: st.DrawFn) -> DeciderSpec:
    tasks: list[Task] = []
    for number in range(draw(st.integers(2, 5))):
        before = [task.id_ for task in tasks]
        requires = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
        make = _signal_for if draw(st.integers(0, 2)) == 0 else _activity
        tasks.append(make(number, requires=requires))
    double = {"tasks": CODEC.unstructure([_activity(0)])}
    after = draw(st.lists(st.sampled_from([task.id_ for task in tasks]), max_size=1))
    tasks.append(Generator(name="gen", version="v1", id_="g", input=double, requires=after))
    tasks.append(_activity(9, requires=["g"]))
    return DeciderSpec(activity_tasks=tasks, on_failure=_clean_up("f") if draw(st.booleans()) else ())


def patient() -> st.SearchStrategy[Arguments]:
    """Waits that are longer than any run."""
    waits = st.builds(FixedDelay, st.sampled_from([0.5, 31_535_999.5, 31_536_001, 10**9]), st.just(2))
    return _runs(specs(most=3, retry_strategies=waits), faults=_FAULTS, briefly=True)


def _runs(
    some: st.SearchStrategy[DeciderSpec], *, briefly: bool = False, **given: Any
) -> st.SearchStrategy[Arguments]:
    given.setdefault("faults", _FEW_FAULTS if briefly else _FAULTS | _FEW_FAULTS)
    if briefly:
        given["patience"] = st.just(_BRIEFLY)
    return st.fixed_dictionaries({"spec": some, "seed": _SEEDS, **given})


def _again(spec: DeciderSpec) -> DeciderSpec:
    return evolve(spec, repeat_workflow=True)


def _always(spec: DeciderSpec) -> DeciderSpec:
    return evolve(spec, repeat_workflow="always")


@st.composite
def _wide(draw: st.DrawFn, make: Callable[[int], Task], sizes: st.SearchStrategy[int]) -> DeciderSpec:
    return DeciderSpec(
        task_list="decide",
        activity_task_list="work",
        activity_tasks=[make(number) for number in range(draw(sizes))],
        on_failure=_clean_up("f") if draw(st.booleans()) else (),
        on_cancel=_clean_up("c") if draw(st.booleans()) else (),
    )


def _activity(number: int, **given: Any) -> Task:
    given = {"name": "work", "id_": f"t{number}", **given}
    return ActivityTask(version="v1", **given)


def _signal_for(number: int, **given: Any) -> Task:
    return Signal(id_=f"t{number}", signal_name=f"go {number}", **given)


def _small(number: int) -> Task:
    return _activity(number)


def _large(number: int) -> Task:
    return _activity(number, input=noise(30_000, number))


def _named(number: int) -> Task:
    return _activity(number, id_=f"{'t' * 150}{number}", schedule_to_start_timeout=5)


def _clean_up(prefix: str) -> list[Task]:
    return [_activity(number, name="tidy", id_=f"{prefix}{number}") for number in range(2)]


Situation = Callable[[], st.SearchStrategy[Arguments]]
#: The situations, each with the seconds of its turn.
SITUATIONS: Mapping[Situation, float] = {
    usual: 5.0,
    repeating: 1.5,
    undone: 1.5,
    joined: 2.0,
    timed: 0.5,
    redriven: 1.5,
    refused: 2.0,
    deferred: 2.0,
    bulky: 1.0,
    failing: 2.5,
    with_limits: 2.5,
    misfitting: 1.0,
    patient: 1.0,
}
#: The situation in which the code of a module has most to do.
_MAIN: Mapping[str, Situation] = {
    "cleanup": undone,
    "undo_order": undone,
    "sibling_limits": with_limits,
    "siblings": with_limits,
    "joins": joined,
    "conditions": joined,
    "task_rules": joined,
    "ruled_update": joined,
}
_MAIN_SECONDS = 15.0


def turns(module: str = "") -> list[tuple[st.SearchStrategy[Arguments], float]]:
    """Return the situations for the mutants of a module, its main one first, with the seconds of each."""
    main = _MAIN.get(module)
    first = [] if main is None else [(main(), _MAIN_SECONDS)]
    return first + [(each(), seconds) for each, seconds in SITUATIONS.items() if each is not main]
