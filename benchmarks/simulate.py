"""What a simulation costs: executions a minute on one core and on all, and the milliseconds of a year.

    python benchmarks/simulate.py

- ten tasks: a diamond of activities, some with retries, with one timer; through ``simulate`` without
  faults, and with every fault at a rate of 0.05. Median of several batches, each on every core at once;
- a year: 52 timers of a week, an activity before each.
"""

from __future__ import annotations

import os
import statistics
import time
from multiprocessing import Pool

from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.kinds import ActivityTask, Timer
from floto.core.spec.retry import ExponentialBackoff
from floto.core.spec.tasks import Task
from floto.testing import NONE, Faults, Simulation, fails, simulate

BATCH, BATCHES, YEARS = 500, 5, 21
CASES = {"no faults": NONE, "Faults.all(0.05)": Faults.all(0.05)}


def activity(id_: str, *requires: str) -> ActivityTask:
    """One that is tried again, and noticed when its worker dies."""
    return ActivityTask(
        name="work",
        version="v1",
        id_=id_,
        requires=requires,
        retry_strategy=ExponentialBackoff(retries=5, initial=1, jitter=0.5),
        start_to_close_timeout=300,
        heartbeat_timeout=30,
    )


def diamond() -> DeciderSpec:
    """Ten tasks: one, four beside one another with two behind, a timer, and two that end it."""
    return DeciderSpec(
        activity_tasks=[
            activity("split"),
            *(activity(f"part {number}", "split") for number in range(4)),
            activity("left", "part 0", "part 1"),
            activity("right", "part 2", "part 3"),
            Timer(id_="cool", delay_in_seconds=3_600, requires=["left", "right"]),
            activity("join", "cool"),
            activity("report", "join"),
        ]
    )


def year() -> DeciderSpec:
    """An activity and a week's wait, 52 times."""
    tasks: list[Task] = []
    for week in range(52):
        before = [tasks[-1].id_] if tasks else []
        work = ActivityTask(name="work", version="v1", id_=f"work {week}", requires=before)
        wait = Timer(id_=f"week {week}", delay_in_seconds=7 * 86_400, requires=[work])
        tasks += [work, wait]
    return DeciderSpec(activity_tasks=tasks)


def simulated(case: str, seed: int) -> Simulation:
    """One execution; two of its tasks fail and are tried again even without faults."""
    flaky = {"part 1": fails(2), "join": fails(1)}
    simulation = simulate(diamond(), flaky, seed=seed, faults=CASES[case])
    assert simulation.status is not None
    return simulation


def batch(job: tuple[str, int]) -> float:
    """The seconds that a batch takes on one core."""
    case, first = job
    began = time.perf_counter()
    for seed in range(first, first + BATCH):
        simulated(case, seed)
    return time.perf_counter() - began


def a_minute(case: str, cores: int) -> float:
    """Executions a minute with so many processes at work at once."""
    rates = []
    with Pool(cores) as pool:
        pool.map(batch, [(case, 0)] * cores, chunksize=1)
        for _ in range(BATCHES):
            began = time.perf_counter()
            pool.map(batch, [(case, BATCH * core) for core in range(cores)], chunksize=1)
            rates.append(60 * BATCH * cores / (time.perf_counter() - began))
    return statistics.median(rates)


def year_milliseconds() -> float:
    """One simulation of a year."""
    spec, times = year(), []
    for _ in range(YEARS):
        began = time.perf_counter()
        simulation = simulate(spec)
        times.append(1e3 * (time.perf_counter() - began))
        assert simulation.status == "COMPLETED"
        assert simulation.duration.days == 52 * 7
    return statistics.median(times)


def main() -> None:
    cores = os.cpu_count() or 1
    for case in CASES:
        for used in sorted({1, cores}):
            print(f"{case:>17}, {used} core(s): {a_minute(case, used):>9,.0f} executions a minute")
    print(f"{'a year':>17}: {year_milliseconds():.1f} ms")


if __name__ == "__main__":
    main()
