"""What the embedded engine does in a second, beside DBOS on SQLite, and what it costs while nothing happens.

    pip install '.[bench]'
    python benchmarks/engine.py [--only counts steps wake idle size] [--runs 3] [--quick]

Workflows are ten no-op activities (DBOS: steps), one after another, on a new file of the same
disk, in a new process for each figure; both engines write with the same PRAGMAs, which are
read back. ``loop`` is one thread that calls floto's engine itself: what remains without threads.
Figures are medians of the runs; ratios are those of the medians.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import psutil

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage import database
from floto.adapters.sqlite.storage.database import Durability
from floto.core.swf.decisions import CompleteWorkflowExecution, Decision, ScheduleActivityTask, closes

STEPS = 10
FLOW, STEP = floto.WorkflowType("flow", "1"), floto.ActivityType("step", "1")
LEVELS: tuple[Durability, ...] = ("full", "normal")
AT_ONCE = 64
#: A decider decides for one run at a time, and DBOS has a thread for each.
DECIDERS = 4
#: What PRAGMA synchronous says.
SYNCHRONOUS = {"full": 2, "normal": 1}


# Steps per second.


def _start(service: SqliteService, name: str) -> None:
    service.start_workflow_execution(
        floto.StartRequest(workflow_id=name, workflow_type=FLOW, task_list="decide")
    )


def loop(directory: Path, durability: Durability, executions: int, _at_once: int) -> float:
    """One thread, as fast as the engine answers."""
    with SqliteService(directory / "floto.db", durability=durability) as service:
        service.prepare([FLOW], [STEP])
        began = time.perf_counter()
        for number in range(executions):
            _start(service, str(number))
            for step in range(STEPS):
                _decide(service, ScheduleActivityTask(activity_type=STEP, activity_id=str(step)))
                task = service.poll_for_activity_task("floto", "", 10)
                assert task is not None
                service.respond_activity_task_completed(task.token, "1")
            _decide(service, CompleteWorkflowExecution())
        return executions * STEPS / (time.perf_counter() - began)


def _decide(service: SqliteService, decision: Decision) -> None:
    task = service.poll_for_decision_task("decide", "", 10)
    assert task is not None
    service.respond_decision_task_completed(task.token, [decision])


def deciders(directory: Path, durability: Durability, executions: int, at_once: int) -> float:
    """Deciders and a worker, as in production; so many runs are open at a time."""
    activities = floto.Activities()
    activities.activity(name="step", version="1")(lambda: 1)
    tasks = [
        floto.ActivityTask(name="step", version="1", id_=str(n), requires=[str(n - 1)] if n else [])
        for n in range(STEPS)
    ]
    spec = floto.DeciderSpec(activity_tasks=tasks, task_list="decide", default_activity_task_list="work")
    free = threading.Semaphore(at_once)

    def told(found: Sequence[Decision], error: Exception | None) -> None:
        assert error is None
        if closes(found):
            free.release()

    def begin(number: int) -> None:
        free.acquire()
        _start(service, str(number))

    with SqliteService(directory / "floto.db", durability=durability) as service:
        service.prepare([FLOW], [STEP])
        crew: list[Any] = [
            *(
                floto.Decider(spec, service=service, task_list="decide", listener=told)
                for _ in range(min(at_once, DECIDERS))
            ),
            floto.ActivityWorker(
                task_list="work", service=service, activities=activities, concurrency=at_once
            ),
        ]
        with _at_work(crew), ThreadPoolExecutor(at_once) as threads:
            began = time.perf_counter()
            # Runs are started in as many threads as those of DBOS.
            list(threads.map(begin, range(executions)))
            for _ in range(at_once):
                free.acquire()
            seconds = time.perf_counter() - began
    return executions * STEPS / seconds


@contextmanager
def _at_work(crew: Sequence[Any]) -> Iterator[None]:
    threads = [threading.Thread(target=member.run) for member in crew]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for member in crew:
            member.stop()
        for thread in threads:
            thread.join()


def counts(directory: Path, executions: int, at_once: int) -> dict[str, float]:
    """SQL statements, commits, and waits of threads a step; the first two are free of noise."""
    said: Counter[str] = Counter()
    connect = database.connect

    def counting(path: str, durability: Durability) -> sqlite3.Connection:
        found = connect(path, durability)
        found.set_trace_callback(lambda sql: said.update([sql.split(" ", 1)[0]]))
        return found

    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    with patch("floto.adapters.sqlite.storage.database.connect", counting):
        deciders(directory, "full", executions, at_once)
    steps = executions * STEPS
    waits = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before
    counted = {"statements": said.total(), "commits": said["COMMIT"], "waits": waits}
    return {name: count / steps for name, count in counted.items()}


def dbos(directory: Path, durability: Durability, executions: int, at_once: int) -> float:
    """DBOS: a thread for each workflow that is open."""
    import dbos as package  # noqa: PLC0415
    import sqlalchemy  # noqa: PLC0415 - only the process that measures DBOS needs it

    DBOS: Any = package.DBOS  # noqa: N806 - its own name
    said: set[tuple[str, int]] = set()

    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {durability}")
        said.add(_pragmas(connection))

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", set_pragmas)
    url = f"sqlite:///{directory / 'dbos.db'}"
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "run_admin_server": False,
            "log_level": "ERROR",
        }
    )

    step = DBOS.step(name="step")(lambda: 1)

    def ten_steps() -> None:
        for _ in range(STEPS):
            step()

    flow = DBOS.workflow(name="flow")(ten_steps)
    DBOS.launch()
    try:
        flow()
        began = time.perf_counter()
        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(lambda _: flow(), range(executions)))
        seconds = time.perf_counter() - began
    finally:
        DBOS.destroy()
    assert said == {("wal", SYNCHRONOUS[durability])}, said
    return executions * STEPS / seconds


def _pragmas(connection: Any) -> tuple[str, int]:
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    return journal, synchronous


# How soon, how quietly, how large.


def wake(directory: Path, *, other_process: bool) -> list[float]:
    """Return the milliseconds from the commit of work to the return of a poll that waited for it.

    In one process the commit hands the work out, so the poll may return before the call that made it.
    """
    path, taken = directory / "floto.db", []
    with SqliteService(path) as service, ThreadPoolExecutor(1) as threads:
        service.prepare([FLOW], [STEP])
        for number in range(30):
            poll = threads.submit(_polled, service)
            time.sleep(0.05)
            if other_process:
                # The commit, and its time, are those of another process.
                command = [sys.executable, __file__, "--start", str(path), str(number)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
                committed = float(done.stdout)
            else:
                _start(service, str(number))
                committed = time.time()
            taken.append((poll.result() - committed) * 1000)
    return taken


def _polled(service: SqliteService) -> float:
    assert service.poll_for_decision_task("decide", "", 60) is not None
    return time.time()


def start(path: str, name: str) -> None:
    """Start a run from a process of its own and say when that was committed."""
    with SqliteService(path) as service:
        _start(service, name)
        print(time.time())


def idle(directory: Path, seconds: float) -> tuple[float, int]:
    """Percent of a core, and bytes written, while 16 polls wait."""
    path = directory / "floto.db"
    with SqliteService(path) as service, ThreadPoolExecutor(16) as threads:
        polls = [threads.submit(service.poll_for_decision_task, "decide", "", seconds) for _ in range(16)]
        time.sleep(0.5)
        process, before = psutil.Process(), _written(path)
        began, used = time.perf_counter(), sum(process.cpu_times()[:2])
        time.sleep(seconds - 1)
        share = (sum(process.cpu_times()[:2]) - used) / (time.perf_counter() - began)
        after = _written(path)
        assert all(poll.result() is None for poll in polls)
    return share * 100, after - before


def _written(path: Path) -> int:
    files = sum(Path(f"{path}{suffix}").stat().st_size for suffix in ("", "-wal"))
    return files + int(psutil.Process().io_counters().write_bytes)


def size(directory: Path, opened: int, closed: int, events: int) -> dict[str, float]:
    """What a process needs for a file with so many runs of others, and a run with so many events."""
    path = directory / "floto.db"
    # Of another domain, since SWF's limit of open runs is one of a domain.
    with SqliteService(path, "other", durability="normal") as service:
        service.prepare([FLOW], [STEP])
        _start(service, "closed")
        service.terminate_workflow_execution("closed")
        _start(service, "open")
    with SqliteService(path, durability="normal") as service:
        service.prepare([FLOW], [STEP])
        if events:
            _grow(service, events)
    with closing(database.connect(str(path), "normal")) as db:
        db.execute("BEGIN")
        for number, count in ((1, closed), (2, opened)):
            _copy(db, number, count)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    command = [sys.executable, __file__, "--size", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _grow(service: SqliteService, events: int) -> None:
    """Start a run, and complete activities until it has so many events and an open decision task."""
    _start(service, "long")
    number = 0
    while (task := service.poll_for_decision_task("decide", "", 10)) and task.started_event_id < events:
        batch = [
            ScheduleActivityTask(activity_type=STEP, activity_id=str(id), input="x" * 100)
            for id in range(number, number + 100)
        ]
        number += len(batch)
        service.respond_decision_task_completed(task.token, batch)
        for _ in batch:
            activity = service.poll_for_activity_task("floto", "", 10)
            assert activity is not None
            service.respond_activity_task_completed(activity.token, "y" * 100)
    assert task is not None
    service.give_back(task.token)


def _copy(db: sqlite3.Connection, number: int, count: int) -> None:
    """Copy a run with its events, so many times."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
    first = db.execute("SELECT max(number) FROM runs").fetchone()[0]
    columns = [row[1] for row in db.execute("PRAGMA table_info(runs)")]
    own = {"number": "?3 + i", "run_id": "run_id || (?3 + i)", "workflow_id": "workflow_id || i"}
    selected = ", ".join(own.get(name, name) for name in columns)
    for table, names, values, which in (
        ("runs", ", ".join(columns), selected, "number"),
        ("events", "run, id, at, type, attributes", "?3 + i, id, at, type, attributes", "run"),
    ):
        rows = f"SELECT {values} FROM n, {table} WHERE {which} = ?2 AND i <= ?1"  # noqa: S608 - SQL of ours
        db.execute(f"{numbers} INSERT INTO {table} ({names}) {rows}", (count, number, first))


def measure_size(path: str) -> None:
    """Work on a file that is there already, in a process that did not fill it."""
    process, polls, taken = psutil.Process(), [], []
    imported, began = process.memory_info().rss, time.perf_counter()
    with SqliteService(path) as service:
        task = service.poll_for_decision_task("decide", "", 0)
        opened = time.perf_counter() - began
        if task is not None:
            service.respond_decision_task_completed(task.token, [])
        resident = process.memory_info().rss - imported
        for number in range(500):
            began = time.perf_counter()
            _start(service, f"mine {number}")
            polled = time.perf_counter()
            task = service.poll_for_decision_task("decide", "", 10)
            polls.append((time.perf_counter() - polled) * 1000)
            assert task is not None
            service.respond_decision_task_completed(task.token, [CompleteWorkflowExecution()])
            taken.append((time.perf_counter() - began) * 1000)
    p99, median = statistics.quantiles(polls, n=100)[98], statistics.median(taken)
    print(json.dumps({"opened": opened, "resident": resident / 2**20, "poll": p99, "taken": median}))


# The table.

ENGINES: dict[str, Callable[[Path, Durability, int, int], float]] = {
    "dbos": dbos,
    "floto": deciders,
    "loop": loop,
}


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="floto-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _apart(engine: str, durability: str, executions: int, at_once: int) -> float:
    command = [sys.executable, __file__, "--steps", engine, durability, str(executions), str(at_once)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return float(done.stdout.splitlines()[-1])


def print_steps(runs: int, one_at_a_time: int, many_at_once: int) -> None:
    print(f"steps per second, workflows of {STEPS} steps, median of {runs} runs")
    print("| synchronous | at once | dbos | floto | loop | floto : dbos | loop : dbos |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for durability in LEVELS:
        for at_once, executions in ((1, one_at_a_time), (AT_ONCE, many_at_once)):
            figures: dict[str, list[float]] = {engine: [] for engine in ENGINES}
            for _ in range(runs):
                # One after the other, so that whatever slows the machine slows all of them.
                for engine, seen in figures.items():
                    if engine != "loop" or at_once == 1:
                        seen.append(_apart(engine, durability, executions, at_once))
            medians = {engine: statistics.median(seen or [0]) for engine, seen in figures.items()}
            cells = [_cell(medians[engine], ",.0f") for engine in ENGINES]
            ratios = [_cell(medians[engine] / medians["dbos"], ".2f") for engine in ("floto", "loop")]
            print(f"| {durability} | {at_once} | {' | '.join([*cells, *ratios])} |", flush=True)


def _cell(figure: float, form: str) -> str:
    return format(figure, form) if figure else ""


def print_counts(executions: int) -> None:
    print("| at once | SQL statements a step | commits a step | waits of threads a step |")
    print("|--:|--:|--:|--:|")
    for at_once in (1, AT_ONCE):
        with _directory() as directory:
            found = counts(directory, executions, at_once)
        print(f"| {at_once} | {' | '.join(f'{count:.2f}' for count in found.values())} |", flush=True)


def print_wake(runs: int) -> None:
    for other_process in (False, True):
        seen: list[float] = []
        for _ in range(runs):
            with _directory() as directory:
                seen += wake(directory, other_process=other_process)
        where = "another process" if other_process else "the same process"
        late = statistics.quantiles(seen, n=100)[98]
        figures = f"median {statistics.median(seen):.1f} ms, p99 {late:.1f} ms"
        print(f"wake-up of a poll by {where}, {len(seen)} times: {figures}", flush=True)


def print_idle(seconds: float) -> None:
    with _directory() as directory:
        share, written = idle(directory, seconds)
    print(f"16 idle polls: {share:.1f} % of a core, {written} bytes written", flush=True)


def print_size(few: int, many: int, events: int) -> None:
    print("| open | closed | events of one run | s to open and poll | MB beyond the import |", end="")
    print(" ms of a poll (p99) | ms per start, poll and answer |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for opened, closed, long in ((0, 0, 0), (few, many, 0), (many, 0, 0), (0, 0, events)):
        with _directory() as directory:
            found = size(directory, opened, closed, long)
        counts = f"{opened:,} | {closed:,} | {long:,}"
        figures = (
            f"{found['opened']:.2f} | {found['resident']:.0f} | {found['poll']:.2f} | {found['taken']:.2f}"
        )
        print(f"| {counts} | {figures} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=["counts", "steps", "wake", "idle", "size"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    for hidden, values in (("--steps", 4), ("--size", 1), ("--start", 2)):
        parser.add_argument(hidden, nargs=values, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps:
        engine, durability, executions, at_once = options.steps
        with _directory() as directory:
            print(ENGINES[engine](directory, cast("Durability", durability), int(executions), int(at_once)))
    elif options.size:
        measure_size(*options.size)
    elif options.start:
        start(*options.start)
    else:
        share = 10 if options.quick else 1
        parts: dict[str, Callable[[], None]] = {
            "counts": lambda: print_counts(256 // share),
            "steps": lambda: print_steps(options.runs, 256 // share, 1_024 // share),
            "wake": lambda: print_wake(options.runs),
            "idle": lambda: print_idle(60 / share),
            "size": lambda: print_size(10_000 // share, 100_000 // share, 24_600 // share),
        }
        for name in options.only:
            parts[name]()


if __name__ == "__main__":
    main()
