"""The specs inside a spec: a child's task carries the spec of its child."""

from __future__ import annotations

from collections.abc import Iterator

from floto.core.spec.decider_spec import ChildWorkflow, DeciderSpec
from floto.core.spec.task_lists import child_list, default_child_list
from floto.core.spec.tasks import Task


def nested(spec: DeciderSpec, task_list: str | None) -> Iterator[tuple[DeciderSpec, str | None]]:
    """Yield a spec and the specs of its descendants, each with its decision task list.

    Args:
        spec: The spec.
        task_list: The decision task list of its runs; None if it is not known.
    """
    yield spec, task_list
    default = default_child_list(spec.task_list, task_list)
    for task in spec.all_tasks:
        # Of another kind of task, ``isinstance`` takes long, because tasks are protocols; few have a spec.
        of_child = getattr(task, "spec", None)
        if of_child is not None and isinstance(task, ChildWorkflow):
            yield from nested(of_child, child_list(task, default))


def nested_tasks(spec: DeciderSpec) -> Iterator[Task]:
    """Yield the tasks of a spec and of its descendants."""
    for each, _ in nested(spec, spec.task_list):
        yield from each.all_tasks
