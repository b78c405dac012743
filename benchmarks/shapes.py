"""What the embedded engine does in a second for runs of several shapes: long, wide, and with a limit.

    python benchmarks/shapes.py [--runs 3] [--quick]

Activities do nothing. ``sequence`` is one run whose activities follow one another; ``side by side`` are many
runs of a hundred activities, twenty of them at a time, of which sixteen runs are open; ``limited`` is one
run of a generator whose tasks may be three in flight. A decider and a worker share the process and the file,
which is synced with each commit. Figures are medians of the runs, each on a new file in a new process.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.swf.decisions import Decision, closes

FLOW = floto.WorkflowType("flow", "1")
WIDE_TASKS, WIDTH, OPEN_RUNS, LIMIT = 100, 20, 16, 3


def stages(count: int, width: int) -> list[floto.ActivityTask]:
    """Stages of activities side by side; each waits for one of the stage before, a stage's first for all."""
    tasks: list[floto.ActivityTask] = []
    for number in range(count):
        stage, place = divmod(number, width)
        before = tasks[(stage - 1) * width : stage * width] if stage else []
        requires = before if place == 0 else before[:1]
        tasks.append(floto.ActivityTask(name="work", version="v1", id_=f"task {number}", requires=requires))
    return tasks


def limited(count: int) -> tuple[floto.DeciderSpec, floto.Activities]:
    """A generator of so many activities, of which few may be in flight."""
    found = activities()
    found.generator(name="split", version="1")(lambda: stages(count, count))
    split = floto.Generator(name="split", version="1", id_="split", max_in_flight=LIMIT)
    return floto.DeciderSpec(activity_tasks=[split]), found


def activities() -> floto.Activities:
    """The one activity of all shapes."""
    found = floto.Activities()
    found.activity(name="work", version="v1")(lambda: 1)
    return found


def execute(path: Path, spec: floto.DeciderSpec, registry: floto.Activities, runs: int) -> None:
    """Execute so many runs of a spec, of which ``OPEN_RUNS`` are open at a time."""
    free = threading.Semaphore(OPEN_RUNS)

    def told(found: Sequence[Decision], error: Exception | None) -> None:
        assert error is None
        if closes(found):
            free.release()

    with SqliteService(path) as service:
        crew = (
            floto.Decider(spec, service=service, listener=told),
            floto.ActivityWorker(service=service, activities=registry, concurrency=OPEN_RUNS),
        )
        threads = [threading.Thread(target=member.run) for member in crew]
        for thread in threads:
            thread.start()
        for number in range(runs):
            free.acquire()
            service.start_workflow_execution(
                floto.StartRequest(workflow_id=str(number), workflow_type=FLOW, task_list="floto")
            )
        for _ in range(OPEN_RUNS):
            free.acquire()
        for member in crew:
            member.stop()
        for thread in threads:
            thread.join()


def sequence(path: Path, count: int) -> None:
    """One run, one activity after the other."""
    execute(path, floto.DeciderSpec(activity_tasks=stages(count, 1)), activities(), 1)


def side_by_side(path: Path, count: int) -> None:
    """Many runs, each of many activities side by side."""
    spec = floto.DeciderSpec(activity_tasks=stages(WIDE_TASKS, WIDTH))
    execute(path, spec, activities(), count // WIDE_TASKS)


SHAPES: dict[str, tuple[Callable[[Path, int], None], int]] = {
    "sequence": (sequence, 2_000),
    "side by side": (side_by_side, 6_400),
    "limited": (lambda path, count: execute(path, *limited(count), 1), 4_000),
}


def measure(shape: str, count: int) -> None:
    """Print the steps per second, the processor time and the events of each step."""
    with tempfile.TemporaryDirectory(dir=".") as directory:
        path = Path(directory) / "floto.db"
        began, used = time.perf_counter(), time.process_time()
        SHAPES[shape][0](path, count)
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
        with closing(sqlite3.connect(path)) as db:
            (events,) = db.execute("SELECT count(*) FROM events").fetchone()
        print(count / seconds, cpu / count * 1e6, events / count)


def _figures(program: Sequence[str]) -> list[float]:
    done = subprocess.run(program, check=True, capture_output=True)  # noqa: S603 - this file
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--shape", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.shape:
        measure(options.shape[0], int(options.shape[1]))
        return
    print("| shape | activities | steps a second | microseconds of processor time | events |")
    print("|---|--:|--:|--:|--:|")
    for shape, (_, whole) in SHAPES.items():
        count = whole // (10 if options.quick else 1)
        program = [sys.executable, __file__, "--shape", shape, str(count)]
        found = [_figures(program) for _ in range(options.runs)]
        steps, cpu, events = (statistics.median(figures) for figures in zip(*found, strict=True))
        print(f"| {shape} | {count:,} | {steps:,.0f} | {cpu:,.0f} | {events:.2f} |", flush=True)


if __name__ == "__main__":
    main()
