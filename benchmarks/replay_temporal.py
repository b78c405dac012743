"""Temporal's side of the benchmark of replays: a workflow, its history and its replay."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.converter import PayloadConverter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

_QUEUE = "work"


@workflow.defn(name="flow")
class Flow:
    """The stages of ``replay.flow`` for Temporal."""

    @workflow.run  # type: ignore[untyped-decorator]
    async def run(self, activities: int, width: int) -> None:
        """Run the stages."""
        for first in range(0, activities, width):
            count = min(width, activities - first)
            await asyncio.gather(*(self.work() for _ in range(count)))

    @staticmethod
    async def work() -> Any:
        """One activity."""
        timeout = timedelta(seconds=60)
        return await workflow.execute_activity(
            "work", {"n": 1}, task_queue=_QUEUE, start_to_close_timeout=timeout
        )


class Recorder:
    """Writes the history of a run of ``Flow`` in which one activity ends at a time."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def add(self, name: str, **attributes: Any) -> int:
        """Append one event and return its id."""
        event = HistoryEvent(event_id=len(self.events) + 1, event_type=EventType.Value(f"EVENT_TYPE_{name}"))
        event.event_time.FromMilliseconds(1_700_000_000_000 + event.event_id)
        own = getattr(event, f"{name.lower()}_event_attributes")
        own.SetInParent()
        for key, value in attributes.items():
            _put(own, key, value)
        self.events.append(event)
        return int(event.event_id)

    def decide(self) -> int:
        """A workflow task, answered."""
        scheduled = self.add("WORKFLOW_TASK_SCHEDULED", task_queue=_QUEUE)
        started = self.add("WORKFLOW_TASK_STARTED", scheduled_event_id=scheduled)
        return self.add("WORKFLOW_TASK_COMPLETED", scheduled_event_id=scheduled, started_event_id=started)

    def work(self, scheduled: int) -> None:
        """An activity from its start to its result."""
        started = self.add("ACTIVITY_TASK_STARTED", scheduled_event_id=scheduled)
        self.add(
            "ACTIVITY_TASK_COMPLETED",
            scheduled_event_id=scheduled,
            started_event_id=started,
            result=[{"n": 1}],
        )


def _put(message: Any, key: str, value: Any) -> None:
    if isinstance(value, list):
        getattr(message, key).payloads.extend(PayloadConverter.default.to_payloads(value))
    elif key in ("task_queue", "activity_type", "workflow_type"):
        getattr(message, key).name = value
    else:
        setattr(message, key, value)


def temporal_history(activities: int, width: int) -> WorkflowHistory:
    """What Temporal's server would have recorded of ``Flow``."""
    recorder = Recorder()
    recorder.add(
        "WORKFLOW_EXECUTION_STARTED",
        workflow_type="flow",
        task_queue=_QUEUE,
        original_execution_run_id="run",
        input=[activities, width],
    )
    done = recorder.decide()
    for first in range(0, activities, width):
        waiting = [
            recorder.add(
                "ACTIVITY_TASK_SCHEDULED",
                activity_id=str(number + 1),
                activity_type="work",
                task_queue=_QUEUE,
                workflow_task_completed_event_id=done,
            )
            for number in range(first, min(first + width, activities))
        ]
        for scheduled in waiting:
            recorder.work(scheduled)
            done = recorder.decide()
    recorder.add("WORKFLOW_EXECUTION_COMPLETED", workflow_task_completed_event_id=done)
    return WorkflowHistory("flow", recorder.events)


def replay_temporal(history: WorkflowHistory) -> None:
    async def run() -> None:
        replayer = Replayer(workflows=[Flow], workflow_runner=UnsandboxedWorkflowRunner())
        await replayer.replay_workflow(history)

    asyncio.run(run())
