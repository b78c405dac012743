"""The plan of a redrive: what becomes of each task, and the request that starts the new run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from attrs import field, frozen

from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowExecution
from floto.core.visible import first_few


class PlannedAction(StrEnum):
    """What a redrive does with a task."""

    #: Its result is kept.
    KEEP = "keep"
    #: It runs again, unless its rules then skip it.
    RUN = "run"
    #: Its rules skip it, as the results that are kept say.
    SKIP = "skip"


@frozen
class PlannedTask:
    """What a redrive does with one task, and why."""

    task_id: str
    action: PlannedAction
    #: Event that completed the task, in the run that ran it; None if its result is not kept.
    event_id: int | None
    reason: str
    #: What is done in a child that runs again and goes on from its last run; else empty.
    children: tuple[PlannedTask, ...] = ()

    @property
    def kept(self) -> bool:
        """True if the result of the task is kept."""
        return self.action is PlannedAction.KEEP

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.task_id}: {'runs again: ' if self.action is PlannedAction.RUN else ''}{self.reason}"


@frozen
class Redrive:
    """The plan of a redrive, and the request that starts the new run.

    Tasks that a generator returned are part of the plan if the generator is kept; one that runs again may
    return others.
    """

    plan: tuple[PlannedTask, ...]
    start: StartRequest
    #: Inputs of the signals ``floto.redrive`` that must follow the start; empty unless what is kept is too
    #: long for the input of a run. The new run waits for them.
    parts: tuple[str, ...] = field(default=(), repr=lambda parts: f"<{len(parts)} parts>")
    #: Runs of children that could go on from what completed in them, but whose histories were not given.
    unread: tuple[WorkflowExecution, ...] = ()
    #: Ids of tasks that completed in the old run and that the spec does not have: their results are lost.
    dropped: tuple[str, ...] = ()

    @property
    def dropped_text(self) -> str:
        """A sentence that names the first tasks of ``dropped``; empty if there are none."""
        named = first_few(self.dropped)
        return f"completed before, but not in this spec, so not kept: {named}" if named else ""

    @property
    def kept(self) -> tuple[str, ...]:
        """Ids of the tasks whose results are kept."""
        return tuple(task.task_id for task in self.plan if task.kept)

    @property
    def again(self) -> tuple[str, ...]:
        """Ids of the tasks that run again."""
        return tuple(task.task_id for task in self.plan if task.action is PlannedAction.RUN)

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Yield a task, what is done with it, and why; tasks in a child follow the child, indented.

        Last come the tasks of ``dropped``.
        """
        yield from _rows(self.plan)
        yield from ((id_, "drop", "completed before, but is not in this spec") for id_ in self.dropped)


def _rows(plan: Iterable[PlannedTask], indent: str = "") -> Iterator[tuple[str, str, str]]:
    for task in plan:
        yield indent + task.task_id, str(task.action), task.reason
        yield from _rows(task.children, f"{indent}  ")
