"""Reductions of a simulation's arguments, for minimising."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import evolve

from floto.core.spec.decider_spec import DeciderSpec
from floto.testing.shrinking.reductions import (
    by_default,
    fewer,
    settings_of_spec,
    with_graphs,
    without_requirements,
)
from floto.testing.shrinking.search import Reduction
from floto.testing.simulation.case import Case
from floto.testing.simulation.choices import Taken
from floto.testing.simulation.faults import FAULT_NAMES, NONE

_Key = TypeVar("_Key")


def size(case: Case) -> tuple[int, ...]:
    """Return the size of a case, for comparison: tasks, deviations, faults, settings and arguments."""
    tasks = len(case.spec.all_tasks) + sum(len(spec.all_tasks) for spec in case.children.values())
    deviations = [number for number in case.script if number]
    return (
        tasks,
        len(deviations),
        len(_faults(case)),
        len(case.script),
        sum(len(ways.parts(case)) for ways in (_BY_REQUIREMENTS, _BY_SETTINGS)),
        len(case.activities) + len(case.children) + (case.input is not None),
        sum(deviations),
    )


def _with_spec(change: Callable[[DeciderSpec], DeciderSpec], case: Case) -> Iterator[Case]:
    yield evolve(case, spec=change(case.spec))


def _task_ids(case: Case) -> list[str]:
    return [task.id_ for task in case.spec.all_tasks]


def _without_tasks(case: Case, ids: Sequence[str]) -> Iterator[Case]:
    for bridged in (True, False):
        spec = with_graphs(case.spec, partial(fewer, ids=ids, bridged=bridged))
        yield evolve(case, spec=spec)
        yield from _with_deviation_elsewhere(case, spec)


def _with_deviation_elsewhere(case: Case, spec: DeciderSpec) -> Iterator[Case]:
    """Yield another spec with the only deviation of a case at each choice where it can occur."""
    deviations = _deviations(case)
    if len(deviations) != 1:
        return
    number, wrong = case.script[deviations[0]], _taken(case)[deviations[0]]
    other = evolve(case, spec=spec, script=())
    for place, taken in enumerate(_taken(other)):
        if (taken.of, taken.options) == (wrong.of, wrong.options):
            yield evolve(other, script=(*(0,) * place, number))


def _taken(case: Case) -> Sequence[Taken]:
    simulator = case.simulator()
    simulator.run()
    return simulator.choices.taken


def _requirements(case: Case) -> list[tuple[str, str]]:
    return [(task.id_, id_) for task in case.spec.all_tasks for id_ in task.requires]


def _without_requirements(case: Case, gone: Sequence[tuple[str, str]]) -> Iterator[Case]:
    yield from _with_spec(lambda spec: without_requirements(spec, gone), case)


def _by_default(case: Case, settings: Sequence[tuple[str | None, str]]) -> Iterator[Case]:
    yield from _with_spec(lambda spec: by_default(spec, settings), case)


def _places(case: Case) -> list[int]:
    return list(range(len(case.script)))


def _deviations(case: Case) -> list[int]:
    return [place for place, number in enumerate(case.script) if number]


def _without_places(case: Case, places: Sequence[int]) -> Iterator[Case]:
    gone = set(places)
    yield _scripted(case, [number for place, number in enumerate(case.script) if place not in gone])


def _with_defaults(case: Case, places: Sequence[int]) -> Iterator[Case]:
    gone = set(places)
    yield _scripted(case, [0 if place in gone else number for place, number in enumerate(case.script)])


def _scripted(case: Case, numbers: Sequence[int]) -> Case:
    last = max((place for place, number in enumerate(numbers) if number), default=-1)
    return evolve(case, script=tuple(numbers[: last + 1]))


def _faults(case: Case) -> list[str]:
    return [name for name in FAULT_NAMES if getattr(case.faults, name)]


def _without_any_fault(case: Case, _: Sequence[str]) -> Iterator[Case]:
    """Yield the case without faults, in the default order."""
    yield evolve(case, faults=NONE, script=())


def _without_faults(case: Case, names: Sequence[str]) -> Iterator[Case]:
    """Yield the case without faults that never occurred, and without their numbers in the script."""
    simulator = case.simulator()
    occurred = simulator.run().befell
    gone = [name for name in names if not occurred.get(name)]
    numbers = [taken.number for taken in simulator.choices.taken if taken.of not in gone]
    rest = evolve(case.faults, **dict.fromkeys(gone, 0))
    yield _scripted(evolve(case, faults=rest if len(gone) < len(_faults(case)) else NONE), numbers)


def _without(mapping: Mapping[_Key, Any], keys: Sequence[_Key]) -> dict[_Key, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def _without_activities(case: Case, names: Sequence[str]) -> Iterator[Case]:
    yield evolve(case, activities=_without(case.activities, names))


def _without_children(case: Case, names: Sequence[str]) -> Iterator[Case]:
    yield evolve(case, children=_without(case.children, names))


def _without_input(case: Case, _: Sequence[str]) -> Iterator[Case]:
    yield evolve(case, input=None)


_BY_REQUIREMENTS = Reduction(_requirements, _without_requirements)
_BY_SETTINGS: Reduction[Case] = Reduction(lambda case: settings_of_spec(case.spec), _by_default)
#: Reductions that remove most come first.
REDUCTIONS: tuple[Reduction[Case], ...] = (
    Reduction(lambda case: ["all"] if _faults(case) else [], _without_any_fault),
    Reduction(_task_ids, _without_tasks),
    Reduction(_places, _without_places),
    Reduction(_deviations, _with_defaults),
    Reduction(_faults, _without_faults),
    _BY_REQUIREMENTS,
    _BY_SETTINGS,
    Reduction(lambda case: sorted(case.activities), _without_activities),
    Reduction(lambda case: sorted(case.children), _without_children),
    Reduction(lambda case: [] if case.input is None else ["input"], _without_input),
)
