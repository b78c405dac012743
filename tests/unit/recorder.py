"""Writes short histories by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from floto import (
    ActivityTask,
    DeciderSpec,
    Generator,
    History,
    Task,
)
from floto.core.state.state import Kind
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.reserved_names import RESERVED_PREFIX
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType
from floto.testing.reading.oracle import opens
from floto.testing.simulation.context import BEGINNING

RUN = WorkflowExecution("w", "r")
CHILD = WorkflowExecution("w:c", "rc")
TYPE = WorkflowType("w", "v")
_TASKS = (Kind.ACTIVITY, Kind.TIMER, Kind.CHILD)


class Recorder:
    """Writes a history event by event."""

    def __init__(self, input: Any = None) -> None:
        text = None if input is None else json.dumps(input)
        start = e.WorkflowExecutionStarted(
            child_policy="TERMINATE",
            task_list=TaskList("decide"),
            workflow_type=TYPE,
            input=text,
            tag_list=("tag",),
            execution_start_to_close_timeout="100",
        )
        self.data: list[Any] = [start]

    def add(self, data: Any) -> int:
        self.data.append(data)
        return len(self.data)

    def schedule(self, id_: str) -> int:
        return self.add(
            e.ActivityTaskScheduled(
                activity_type=ActivityType("a", "v"),
                activity_id=id_,
                task_list=TaskList("work"),
                decision_task_completed_event_id=1,
            )
        )

    def start(self, id_: str) -> tuple[int, int]:
        scheduled = self.schedule(id_)
        return scheduled, self.add(e.ActivityTaskStarted(scheduled_event_id=scheduled))

    def complete(self, id_: str, result: Any = None) -> None:
        scheduled, started = self.start(id_)
        self.add(
            e.ActivityTaskCompleted(
                scheduled_event_id=scheduled, started_event_id=started, result=json.dumps(result)
            )
        )

    def fail(self, id_: str, details: str = "boom") -> None:
        scheduled, started = self.start(id_)
        self.add(
            e.ActivityTaskFailed(
                scheduled_event_id=scheduled, started_event_id=started, reason="Error", details=details
            )
        )

    def child(self, id_: str = "c", *, started: bool = True) -> int:
        initiated = self.add(
            e.StartChildWorkflowExecutionInitiated(
                workflow_id=f"w:{id_}",
                workflow_type=TYPE,
                task_list=TaskList("decide"),
                decision_task_completed_event_id=1,
                child_policy="TERMINATE",
                control=f"floto.task:{id_}",
            )
        )
        if started:
            self.add(
                e.ChildWorkflowExecutionStarted(
                    workflow_execution=CHILD, workflow_type=TYPE, initiated_event_id=initiated
                )
            )
        return initiated

    def cancel(self) -> None:
        self.add(e.WorkflowExecutionCancelRequested())

    @property
    def history(self) -> History:
        return History([Event(n, BEGINNING, data) for n, data in enumerate(self.data, start=1)], RUN)


def task(id_: str, requires: Any = (), **fields: Any) -> ActivityTask:
    return ActivityTask(name="a", version="v", id_=id_, requires=requires, **fields)


def spec(*tasks: Task, **fields: Any) -> DeciderSpec:
    return DeciderSpec(activity_tasks=tasks, activity_task_list="work", **fields)


def generator(id_: str, requires: Any = ()) -> Generator:
    return Generator(name="g", version="v", id_=id_, requires=requires)


def starts(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """The decisions that start tasks, by the id of the task; waits for retries are not among them."""
    opened = ((opens(decision), decision) for decision in decisions)
    return {
        key[1]: decision
        for key, decision in opened
        if key is not None and key[0] in _TASKS and not key[1].startswith(RESERVED_PREFIX)
    }
