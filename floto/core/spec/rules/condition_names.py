"""Names in conditions that the context of their task never has: mostly misspelt ids, which are null."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from floto.core.spec.decider_spec import FAILURES_KEY, DeciderSpec
from floto.core.spec.rules.expressions import names_of
from floto.core.spec.rules.task_rules import rules_of, undo_of
from floto.core.spec.tasks import Task, expands

#: The name of the workflow's input in the context of every task.
_WORKFLOW = "workflow"


def name_warnings(spec: DeciderSpec) -> Iterator[str]:
    """Yield a line for each condition of a spec with names that the context of its task never has."""
    yield from _of_graph(spec.activity_tasks, (_WORKFLOW,))
    cleanup = {id(task): task for tasks in (spec.on_failure, spec.on_cancel) for task in tasks}
    yield from _of_graph(tuple(cleanup.values()), (_WORKFLOW, FAILURES_KEY))
    for task in spec.activity_tasks:
        undo = undo_of(task)
        if undo is not None:
            yield from _of_task(undo, (_WORKFLOW, FAILURES_KEY, task.id_))


def _of_graph(tasks: Sequence[Task], given: Sequence[str]) -> Iterator[str]:
    known = {task.id_: task for task in tasks}
    for task in tasks:
        # The ids of the tasks that a generator will return are not known.
        if not any(expands(known[id_]) for id_ in task.requires if id_ in known):
            yield from _of_task(task, (*given, *task.requires))


def _of_task(task: Task, context: Sequence[str]) -> Iterator[str]:
    when = rules_of(task).when
    unknown = set() if when is None else names_of(when) - set(context)
    if unknown:
        names = ", ".join(map(repr, sorted(unknown)))
        yield (
            f"task {task.id_!r}: the context of its condition {when} never has {names}, which is null; "
            f"it has {', '.join(context)}"
        )
