"""The order of undos: the reverse of the order in which the tasks ran that they undo."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import TopologicalSorter

from floto.core.spec.graph import Plan
from floto.core.spec.tasks import Task


def undo_order(
    plan: Plan, offspring: Mapping[str, Collection[Task]], undoable: Collection[int]
) -> dict[str, set[str]]:
    """Return the undos of tasks, each with the undos that run right before it, by their ids.

    Args:
        plan: The plan of a run.
        offspring: The tasks that each generator returned, by its id; they are undone before the generator.
        undoable: The positions of the tasks to undo.
    """
    followers = {position: set(dependents) for position, dependents in enumerate(plan.dependents)}
    for id_, tasks in offspring.items():
        followers[plan.index[id_]].update(plan.index[task.id_] for task in tasks)
    found: dict[str, set[str]] = {}
    #: The undos right behind each position, that of the position itself included.
    behind: dict[int, set[str]] = {}
    for position in TopologicalSorter(followers).static_order():
        before = set().union(*(behind[each] for each in followers[position]))
        behind[position] = before
        if position in undoable:
            undo = plan.undos[position]
            found[undo.id_], behind[position] = before, {undo.id_}
    return found
