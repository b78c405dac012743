"""The types and task lists that a spec needs, and the activities that it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TypeVar

from attrs import frozen

from floto.core.spec.decider_spec import ChildWorkflow, DeciderSpec
from floto.core.spec.kinds import ActivityTask
from floto.core.spec.nested_specs import nested, nested_tasks
from floto.core.swf.identifiers import shown
from floto.core.swf.shapes import ActivityType, WorkflowType

T = TypeVar("T")


@frozen
class Needs:
    """The types that a spec and the specs of its children name, and the task lists of their deciders."""

    workflow_types: tuple[WorkflowType, ...]
    activity_types: tuple[ActivityType, ...]
    decider_lists: tuple[str, ...]


def needs(spec: DeciderSpec) -> Needs:
    """Return the types to register and the task lists to poll before a spec can run."""
    tasks = tuple(nested_tasks(spec))
    children = [task for task in tasks if isinstance(task, ChildWorkflow)]
    return Needs(
        _distinct(WorkflowType(task.workflow_type_name, task.workflow_type_version) for task in children),
        _distinct(ActivityType(task.name, task.version) for task in tasks if isinstance(task, ActivityTask)),
        _distinct(task_list for _, task_list in nested(spec, spec.task_list) if task_list),
    )


def _distinct(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def activity_types(specs: Iterable[DeciderSpec]) -> tuple[ActivityType, ...]:
    """Return the activity types that specs and the specs of their children name."""
    return _distinct(kind for spec in specs for kind in needs(spec).activity_types)


def missing_activities(spec: DeciderSpec, known: Sequence[ActivityType]) -> tuple[str, ...]:
    """Return a line for each task whose activity is not known, with the most similar known activity."""
    return tuple(
        f"task {shown(task.id_)}: no activity {shown(task.name)} version {shown(task.version)} is registered"
        f"{_meant(task, known)}"
        for task in nested_tasks(spec)
        if isinstance(task, ActivityTask) and ActivityType(task.name, task.version) not in known
    )


def _meant(task: ActivityTask, known: Sequence[ActivityType]) -> str:
    names = get_close_matches(task.name, {kind.name for kind in known}, n=1, cutoff=0.5)
    found = [kind for kind in known if kind.name in names]
    if not found:
        return f"; registered: {', '.join(f'{each.name} {each.version}' for each in known) or 'none'}"
    meant = " or ".join(f"{shown(each.name)} version {shown(each.version)}" for each in found)
    return f"; did you mean {meant}?"
