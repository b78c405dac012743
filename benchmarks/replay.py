"""What a replay costs, beside Temporal's Replayer on histories of the same shape.

    pip install 'floto[bench]'
    python benchmarks/replay.py [EVENTS ...]

Histories of 1,000 to 50,000 events, six for each activity, three of them a decision task:
activities one behind the other, and in stages of 500 side by side. floto decides every
step again and compares each decision field by field; Temporal's Replayer runs the
workflow's code again and compares the kind and the name of each command. Figures are
seconds of wall clock and of CPU, of all threads: for floto the median of several runs, for
Temporal one run. "From text" is floto's whole way from JSON text to the verdict: parse, read
the events, fold, decide, compare. Temporal runs without its sandbox, which would cost it
more; where ``temporalio`` is not installed, floto is measured alone.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen
from decide import record
from shapes import stages

import floto
from floto import DeciderSpec, History

try:
    import replay_temporal as temporal
except ImportError:
    temporal = None  # type: ignore[assignment]

EVENTS = (1_000, 5_000, 20_000, 50_000)
EVENTS_EACH = 6
#: SWF lets a run have 1,000 activities open.
WIDTH = 500
RUNS = 5


@frozen
class Cost:
    """Seconds."""

    wall: float
    cpu: float


def flow(activities: int, width: int) -> DeciderSpec:
    """Stages of activities side by side."""
    tasks = stages(activities, width)
    return DeciderSpec(task_list="decide", activity_task_list="work", activity_tasks=tasks)


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


def from_text(spec: DeciderSpec, text: str) -> None:
    replay(spec, History.from_swf(json.loads(text)))


def measured(shape: str, width: int, sizes: Sequence[int]) -> Iterator[str]:
    """The rows of one shape."""
    own: dict[int, Cost] = {}
    for events in sizes:
        activities = events // EVENTS_EACH
        spec = flow(activities, width)
        text = json.dumps(record(spec), default=datetime.timestamp)
        own[events] = whole = cost(lambda spec=spec, text=text: from_text(spec, text), RUNS)  # type: ignore[misc]
        history = History.from_swf(json.loads(text))
        mine = cost(lambda spec=spec, history=history: replay(spec, history), RUNS)  # type: ignore[misc]
        seconds = f"{whole.wall:>11.3f} {whole.cpu:>8.3f} {mine.wall:>8.3f} {mine.cpu:>8.3f}"
        other = beside(activities, width, mine) if temporal else ""
        yield f"{shape:<12} {len(history):>7} {seconds}{other}"
    least, most = 5_000, 50_000
    if {least, most} <= own.keys():
        wall, cpu = own[most].wall / own[least].wall, own[most].cpu / own[least].cpu
        yield f"{shape:<12} 50,000 events take {wall:.1f} times what 5,000 take ({cpu:.1f} times the CPU)"


def beside(activities: int, width: int, mine: Cost) -> str:
    """The columns of Temporal."""
    recorded = temporal.temporal_history(activities, width)
    other = cost(lambda: temporal.replay_temporal(recorded), 1)
    ratios = f"{other.wall / mine.wall:>9.0f}x {other.cpu / mine.cpu:>7.0f}x"
    return f" {other.wall:>10.2f} {other.cpu:>10.2f} {ratios}"


def main(sizes: Sequence[int]) -> None:
    columns = "  Temporal s      cpu s     ratio  of CPU" if temporal else ""
    print(f"shape         events from text s    cpu s replay s    cpu s{columns}")
    for shape, width in (("in sequence", 1), ("fanned out", WIDTH)):
        for row in measured(shape, width, sizes):
            print(row, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("events", type=int, nargs="*", default=EVENTS, metavar="EVENTS")
    main(parser.parse_args().events)
