"""What a replay costs, beside Temporal's Replayer on histories of the same shape.

    pip install 'floto[bench]'
    python benchmarks/replay.py [EVENTS ...]

Histories of 1,000 to 50,000 events, six for each activity, three of them a decision task:
activities one behind the other, and in stages of 500 side by side. floto decides every
step again and compares each decision field by field; Temporal's Replayer runs the
workflow's code again and compares the kind and the name of each command. Figures are
seconds of wall clock and of CPU, of all threads: for floto the median of several runs, for
Temporal one run. Temporal runs without its sandbox, which would cost it more.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from attrs import frozen
from decide import record
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.converter import PayloadConverter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

import floto
from floto import ActivityTask, DeciderSpec, History

EVENTS = (1_000, 5_000, 20_000, 50_000)
EVENTS_EACH = 6
#: SWF lets a run have 1,000 activities open.
WIDTH = 500
RUNS = 5
_QUEUE = "work"


@frozen
class Cost:
    """Seconds."""

    wall: float
    cpu: float


def flow(activities: int, width: int) -> DeciderSpec:
    """Stages of activities side by side; each waits for one of the stage before, a stage's first for all."""
    tasks: list[ActivityTask] = []
    for number in range(activities):
        stage, place = divmod(number, width)
        before = tasks[(stage - 1) * width : stage * width] if stage else []
        requires = before if place == 0 else before[:1]
        tasks.append(ActivityTask(name="work", version="v1", id_=f"task {number}", requires=requires))
    return DeciderSpec(task_list="decide", activity_task_list="work", activity_tasks=tasks)


@workflow.defn(name="flow")
class Flow:
    """The same for Temporal."""

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


def cost(work: Callable[[], Any], runs: int) -> Cost:
    """What one run costs, as a median."""
    costs = []
    for _ in range(runs):
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        costs.append(Cost(time.perf_counter() - wall, time.process_time() - cpu))
    return Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs))


def replay(spec: DeciderSpec, history: History) -> None:
    done = floto.replay(spec, history)
    assert done.divergence is None, done.divergence
    assert sum(len(step.recorded) for step in done.steps) == len(spec.activity_tasks)


def replay_temporal(history: WorkflowHistory) -> None:
    async def run() -> None:
        replayer = Replayer(workflows=[Flow], workflow_runner=UnsandboxedWorkflowRunner())
        await replayer.replay_workflow(history)

    asyncio.run(run())


def measured(shape: str, width: int, sizes: list[int]) -> Iterator[str]:
    """The rows of one shape."""
    own: dict[int, Cost] = {}
    for events in sizes:
        activities = events // EVENTS_EACH
        spec = flow(activities, width)
        history = History.from_swf(record(spec))
        own[events] = mine = cost(lambda spec=spec, history=history: replay(spec, history), RUNS)  # type: ignore[misc]
        recorded = temporal_history(activities, width)
        other = cost(lambda recorded=recorded: replay_temporal(recorded), 1)  # type: ignore[misc]
        yield (
            f"{shape:<12} {len(history):>7} {mine.wall:>8.3f} {mine.cpu:>8.3f} {other.wall:>10.2f} "
            f"{other.cpu:>10.2f} {other.wall / mine.wall:>9.0f}x {other.cpu / mine.cpu:>7.0f}x"
        )
    least, most = 5_000, 50_000
    if {least, most} <= own.keys():
        wall, cpu = own[most].wall / own[least].wall, own[most].cpu / own[least].cpu
        yield f"{shape:<12} 50,000 events take {wall:.1f} times what 5,000 take ({cpu:.1f} times the CPU)"


def main(sizes: list[int]) -> None:
    print("shape         events  floto s    cpu s  Temporal s      cpu s     ratio  of CPU")
    for shape, width in (("in sequence", 1), ("fanned out", WIDTH)):
        for row in measured(shape, width, sizes):
            print(row, flush=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or list(EVENTS))
