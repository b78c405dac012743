"""The arrows of a graph of tasks, and when its cleanup tasks run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from floto.core.decide.progress import Progress
from floto.core.spec.rules.task_rules import undo_of
from floto.core.spec.tasks import Task


@frozen
class Arrow:
    """An arrow from a task to one that requires or undoes it, or from a generator to one that it returned."""

    start: int
    end: int
    generated: bool = False


def cleanup_roles(progress: Progress) -> dict[str, str]:
    """Return ``undo`` for each undo, and when each cleanup task runs, as in ``on failure or cancel``."""
    spec, undos = progress.spec, progress.plan.undos.values()
    roles = {task.id_: "on failure" for task in spec.on_failure}
    roles |= {
        task.id_: "on failure or cancel" if task.id_ in roles else "on cancel" for task in spec.on_cancel
    }
    return roles | {task.id_: "undo" for task in undos}


def arrows(tasks: Sequence[Task], parents: Mapping[str, str]) -> Iterator[Arrow]:
    """Yield the arrows between tasks, by their positions; ``parents`` are the generators of tasks."""
    position = {task.id_: number for number, task in enumerate(tasks)}
    generated: dict[str, set[str]] = {}
    for id_, generator in parents.items():
        generated.setdefault(generator, set()).add(id_)
    for number, task in enumerate(tasks):
        parent = parents.get(task.id_)
        if parent is not None:
            yield Arrow(position[parent], number, generated=True)
        needed = set(task.requires)
        for id_ in dict.fromkeys(task.requires):
            # Omit arrows that are implied by arrows from the tasks that a generator returned.
            if id_ != parent and not generated.get(id_, set()) & needed:
                yield Arrow(position[id_], number)
    for number, undo in enumerate(map(undo_of, tasks)):
        if undo is not None and undo.id_ in position:
            yield Arrow(number, position[undo.id_])
