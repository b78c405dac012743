"""The arrows of a graph of tasks, and when its cleanup tasks run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.tasks import Task


@frozen
class Arrow:
    """An arrow from a task to one that requires it, or from a generator to a task that it returned."""

    start: int
    end: int
    generated: bool = False


def cleanup_roles(spec: DeciderSpec) -> dict[str, str]:
    """Return when each cleanup task runs: ``on failure``, ``on cancel`` or ``on failure or cancel``."""
    roles = {task.id_: "on failure" for task in spec.on_failure}
    return roles | {
        task.id_: "on failure or cancel" if task.id_ in roles else "on cancel" for task in spec.on_cancel
    }


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
