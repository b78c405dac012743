"""Invariants of generators: what they return joins the spec once, as recorded, and dependants wait for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from floto.core.errors import SpecError
from floto.core.spec.expand import expand
from floto.core.spec.rules.joins import counts_results
from floto.core.spec.rules.task_rules import rules_of, undo_of
from floto.core.spec.tasks import Task
from floto.core.state.fold import fold
from floto.core.state.state import Kind
from floto.core.swf.decisions import StartChildWorkflowExecution
from floto.testing.invariants.violation import broken
from floto.testing.reading.expanded_spec import descendants
from floto.testing.reading.moment import Moment


def generators_fit(moment: Moment) -> None:
    """Each generator's result can be read, and fits the rest of the spec."""
    for id_, text in moment.expanded.broken.items():
        broken(
            f"task {id_!r} {text}; what a generator returns needs ids of its own, and may not require "
            "what waits for the generator"
        )


def expansion_is_what_was_recorded(moment: Moment) -> None:
    """Each run has the declared tasks and those that its completed generators returned, and no others."""
    try:
        grown = expand(moment.spec, fold(moment.history), moment.codec).all_tasks
    except SpecError:
        if not moment.expanded.broken:
            raise
        return
    found, expected = [task.id_ for task in grown], list(moment.known)
    if found != expected:
        broken(f"the tasks of the run should be {expected}, and are {found}")


def dependants_of_a_generator_are_held_back(moment: Moment) -> None:
    """Each task that requires a generator is started only after all it returned has ended.

    With ``min_successful``: after so many of these have completed.
    """
    returned = moment.expanded.returned
    declared = _declared(moment)
    ended = moment.reading.main.ended
    for id_ in moment.started:
        if counts_results(rules_of(declared[id_]).join):
            continue
        for needed in declared[id_].requires:
            offspring = descendants(needed, returned)
            missing = [each for each in offspring if each not in ended]
            least = getattr(declared[needed], "min_successful", None)
            if least is not None and _completed(moment, offspring) >= least:
                continue
            if missing and id_ not in offspring:
                broken(f"task {id_!r} is started before {missing[0]!r}, which its {needed!r} returned")


def _completed(moment: Moment, ids: Iterable[str]) -> int:
    return sum(moment.summary.completed(moment.known[id_].key) for id_ in ids)


def _declared(moment: Moment) -> Mapping[str, Task]:
    """Return every task with the requirements it was declared or returned with."""
    found = {task.id_: task for task in moment.spec.all_tasks}
    for offspring in moment.expanded.returned.values():
        found |= {task.id_: task for task in offspring}
    undos = [undo for task in found.values() if (undo := undo_of(task)) is not None]
    return found | {undo.id_: undo for undo in undos}


def children_have_ids_of_their_own(moment: Moment) -> None:
    """No two tasks have children under one workflow id at the same time, and none under that of the run."""
    own = None if moment.history.execution is None else moment.history.execution.workflow_id
    for id_, task in moment.known.items() if own is not None else ():
        if task.key[0] is Kind.CHILD and getattr(task, "workflow_id", None) == own:
            broken(f"task {id_!r} has the workflow id of its own run, {own!r}: set another workflow_id")
    under_way = [each for each in moment.summary.under_way() if each.key[0] is Kind.CHILD]
    taken = {each.opened.data.workflow_id: each.key[1] for each in under_way}
    for id_, decision in moment.started.items():
        if isinstance(decision, StartChildWorkflowExecution):
            workflow_id = decision.workflow_id
            other = taken.setdefault(workflow_id, id_)
            if other != id_:
                broken(
                    f"tasks {other!r} and {id_!r} both have a child of workflow id {workflow_id!r}, and SWF "
                    "refuses the second while the first is open: set another workflow_id, or let one task "
                    "require the other"
                )


def child_ids_are_reproducible(moment: Moment) -> None:
    """Each child's workflow id is the one of its task, or its parent's and the task's id: no two collide."""
    execution = moment.history.execution
    for id_, decision in moment.started.items():
        task = moment.known[id_]
        if task.key[0] is Kind.CHILD and execution is not None and hasattr(task, "workflow_id"):
            expected = getattr(task, "workflow_id", None) or f"{execution.workflow_id}:{id_}"
            found = getattr(decision, "workflow_id", None)
            if found != expected:
                broken(f"the child of task {id_!r} is started as {found!r}, not {expected!r}")
