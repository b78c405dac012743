"""What a decision costs: microseconds per event for histories of 100 to 20,000 events.

    python benchmarks/decide.py

The histories are those of layered graphs of activities, four wide, each task requiring
two of the layer before; every activity costs six events, three of them a decision task.
Three figures, each the median of several runs:

- scratch: SWF's dicts to events, fold, and one decision on the whole history;
- run: the whole run decided task by task, state and frontier carried forward;
- peak: resident memory of a process that does the carried run, at its highest.
"""

from __future__ import annotations

import gc
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from floto.core.decide.decide import decide, decisions
from floto.core.decide.progress import Progress, begin
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.kinds import ActivityTask
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, State
from floto.core.swf.decisions import Decision, ScheduleActivityTask
from floto.core.swf.events import DecisionTaskStarted, Event
from floto.core.swf.history import History
from floto.core.swf.wire import event_from_swf, write

WIDTH = 4
SIZES = (16, 168, 836, 1_668, 3_332)
RUNS = 5
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

Raw = dict[str, Any]


def layered(tasks: int) -> DeciderSpec:
    """A graph of ``tasks`` activities in layers of four."""
    nodes: list[ActivityTask] = []
    for number in range(tasks):
        layer, place = divmod(number, WIDTH)
        start = (layer - 1) * WIDTH
        before = [nodes[start + (place + step) % WIDTH] for step in (0, 1)] if layer else []
        nodes.append(ActivityTask(name="work", version="v1", id_=f"task {number}", requires=before))
    return DeciderSpec(task_list="decide", activity_task_list="work", activity_tasks=nodes)


class Recorder:
    """Writes the history of a run in which one activity ends at a time."""

    def __init__(self, spec: DeciderSpec) -> None:
        self.raw: list[Raw] = []
        self.progress = begin(spec, EMPTY)
        self.seen = 0

    def add(self, name: str, **attributes: Any) -> int:
        """Append one event and return its id."""
        event_id = len(self.raw) + 1
        self.raw.append(
            {
                "eventId": event_id,
                "eventTimestamp": BEGINNING + timedelta(milliseconds=event_id),
                "eventType": name,
                f"{name[0].lower()}{name[1:]}EventAttributes": attributes,
            }
        )
        return event_id

    def decide(self) -> tuple[int, list[Decision]]:
        """Ask the decider; return the id of its answer and the decisions."""
        scheduled = self.add("DecisionTaskScheduled", taskList={"name": "decide"}, startToCloseTimeout="60")
        started = self.add("DecisionTaskStarted", scheduledEventId=scheduled, identity="decider")
        self.progress = self.progress.observe(map(event_from_swf, self.raw[self.seen :]))
        self.seen = len(self.raw)
        done = self.add("DecisionTaskCompleted", scheduledEventId=scheduled, startedEventId=started)
        return done, decisions(self.progress)

    def schedule(self, done: int, decision: ScheduleActivityTask) -> int:
        """Do what the service does with a decision to schedule."""
        attributes = {**write(decision), "decisionTaskCompletedEventId": done}
        for name in ("scheduleToStart", "scheduleToClose", "startToClose", "heartbeat"):
            attributes[f"{name}Timeout"] = "NONE"
        return self.add("ActivityTaskScheduled", **attributes)

    def work(self, scheduled: int) -> None:
        """Run one activity to its result."""
        started = self.add("ActivityTaskStarted", scheduledEventId=scheduled, identity="worker")
        self.add(
            "ActivityTaskCompleted", scheduledEventId=scheduled, startedEventId=started, result='{"n":1}'
        )


def record(spec: DeciderSpec) -> list[Raw]:
    """The whole history of a run of a spec, up to the last question."""
    recorder = Recorder(spec)
    recorder.add(
        "WorkflowExecutionStarted",
        childPolicy="TERMINATE",
        taskList={"name": "decide"},
        workflowType={"name": "layered", "version": "v1"},
        input='{"n":1}',
        parentInitiatedEventId=0,
    )
    waiting: list[int] = []
    while True:
        done, found = recorder.decide()
        waiting += [recorder.schedule(done, each) for each in found if isinstance(each, ScheduleActivityTask)]
        if not waiting:
            # The last answer closes the run; the benchmark stops at the question.
            return recorder.raw[: done - 1]
        recorder.work(waiting.pop(0))


def scratch(spec: DeciderSpec, raw: list[Raw]) -> list[Decision]:
    """One decision on the whole history, with nothing kept from before."""
    return decide(spec, History.from_swf(raw))


def read(raw: list[Raw]) -> State:
    """Wire and fold alone."""
    return fold(History.from_swf(raw))


def carried(spec: DeciderSpec, batches: list[list[Event]]) -> Progress:
    """The whole run, one decision per batch of new events."""
    progress = begin(spec, EMPTY)
    for batch in batches:
        progress = progress.observe(batch)
        decisions(progress)
    return progress


def batches_of(raw: list[Raw]) -> list[list[Event]]:
    """The events new to each decision."""
    batches: list[list[Event]] = [[]]
    for event in History.from_swf(raw):
        batches[-1].append(event)
        if isinstance(event.data, DecisionTaskStarted):
            batches.append([])
    return batches[:-1]


def median_seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        gc.collect()
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def peak_bytes(size: int) -> int:
    """The most memory a process of its own takes for the carried run, events and all."""
    command = [sys.executable, __file__, "--peak", str(size)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)  # noqa: S603


def print_peak(size: int) -> None:
    """What ``peak_bytes`` asks of its process."""
    spec = layered(size)
    carried(spec, batches_of(record(spec)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def measured(size: int) -> str:
    """One row of the table."""
    spec = layered(size)
    raw = record(spec)
    batches = batches_of(raw)
    events = len(raw)
    reading = median_seconds(lambda: read(raw))
    scratching = median_seconds(lambda: scratch(spec, raw))
    running = median_seconds(lambda: carried(spec, batches))
    peak = peak_bytes(size)
    return (
        f"{size:>6} {events:>7} {reading / events * 1e6:>11.2f} {scratching / events * 1e6:>14.2f} "
        f"{running / events * 1e6:>10.2f} {running:>7.3f} {peak / 2**20:>8.0f}"
    )


def main() -> None:
    print(" tasks  events  read us/ev  scratch us/ev  run us/ev   run s  peak MB")
    for size in SIZES:
        print(measured(size))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        print_peak(int(sys.argv[2]))
    else:
        main()
