"""What must hold of tasks that generators return, and of children."""

from __future__ import annotations

import json

from hypothesis import given

from floto import CODEC, DeciderSpec, Generator, Task, expand, fold
from tests.property import oracle
from tests.property.oracle import account
from tests.property.simulator import Plot, Step, simulate
from tests.property.strategies import SETTINGS, plots, specs


@SETTINGS
@given(specs(), plots(refusals=True))
def test_14_expansion_is_what_was_recorded(spec: DeciderSpec, plot: Plot) -> None:
    """The spec of a run is the declared one and what its finished generators returned, no more, no less."""
    for step in simulate(spec, plot).steps:
        read, grown = account(step.history), oracle.tasks(expand(step.spec, fold(step.history)))
        expected = [task.id_ for task in step.spec.all_tasks]
        for task in grown.values():
            if isinstance(task, Generator) and read.completed(task.id_):
                expected += [each["id_"] for each in json.loads(read.result(task.id_) or "null")]
        assert sorted(grown) == sorted(expected)


@SETTINGS
@given(specs(), plots(refusals=True))
def test_14_dependants_of_a_generator_are_held_back(spec: DeciderSpec, plot: Plot) -> None:
    """What requires a generator, generated or not, is started only after all it returned has completed."""
    for step in simulate(spec, plot).steps:
        read = account(step.history)
        known, returned = _as_declared(step, read)
        for id_ in oracle.starts(step.decisions):
            for needed in known[id_].requires:
                offspring = _all_returned(needed, returned)
                if id_ not in offspring:
                    assert all(read.completed(each) for each in offspring)


def _as_declared(step: Step, read: oracle.Account) -> tuple[dict[str, Task], dict[str, list[str]]]:
    """Every task with the requirements it was declared or returned with, and who returned whom."""
    known: dict[str, Task] = {}
    returned: dict[str, list[str]] = {}
    waiting = list(step.spec.all_tasks)
    while waiting:
        task = waiting.pop()
        known[task.id_] = task
        if isinstance(task, Generator) and read.completed(task.id_):
            offspring = CODEC.tasks(json.loads(read.result(task.id_) or "null"))
            returned[task.id_] = [each.id_ for each in offspring]
            waiting += offspring
    return known, returned


def _all_returned(id_: str, returned: dict[str, list[str]]) -> list[str]:
    return [each for direct in returned.get(id_, []) for each in (direct, *_all_returned(direct, returned))]


@SETTINGS
@given(specs(), plots())
def test_14_child_ids_are_unique_and_reproducible(spec: DeciderSpec, plot: Plot) -> None:
    """A child's workflow id is its parent's and the task's, so no two parents collide."""
    one, other = simulate(spec, plot), simulate(spec, plot)
    assert one.histories == other.histories
    for history in one.histories:
        assert history.execution is not None
        for event in history:
            if oracle.name(event.data) == "StartChildWorkflowExecutionInitiated":
                id_ = event.data.control.removeprefix(oracle.CONTROL)
                assert event.data.workflow_id == f"{history.execution.workflow_id}:{id_}"
    parents: dict[str, set[str]] = {}
    for history in one.histories:
        for event in history:
            if oracle.name(event.data) == "StartChildWorkflowExecutionInitiated":
                assert history.execution is not None
                parents.setdefault(event.data.workflow_id, set()).add(history.execution.workflow_id)
    assert all(len(each) == 1 for each in parents.values())
