"""A counterexample is small, shows what it was made from, and runs as it stands."""

from __future__ import annotations

import contextlib
import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from floto import (
    CODEC,
    ActivityTask,
    DeciderSpec,
    History,
    HistoryError,
    InstantRetry,
    SpecError,
    Task,
    Timer,
    fold,
    replay,
)
from floto.core.spec.rules.task_rules import undo_of
from floto.core.swf.events import ActivityTaskScheduled, TimerFired
from floto.testing import Counterexample, NothingToShrink, Simulation, diverges, shrink, simulate, takes
from floto.testing.invariants.law import check_history
from floto.testing.shrinking.equivalence import diverges_like
from floto.testing.shrinking.event_removal import RemovedTasks, about, without
from floto.testing.strategies import runs, specs
from tests.property.edits import EDITS
from tests.property.setup import SETTINGS, TROUBLE
from tests.property.test_compare import eventful

ROOT = Path(__file__).parents[2]


def edited(spec: DeciderSpec, name: str, number: int) -> DeciderSpec:
    new = EDITS[name](spec, random.Random(number))
    assume(new is not None)
    assert new is not None
    return new


names = st.sampled_from(sorted(EDITS))


@SETTINGS
@given(eventful | runs(specs(), faults=TROUBLE), names, st.integers())
def test_shrunk_counterexample_is_small_and_has_the_same_divergence(
    run: Simulation, name: str, number: int
) -> None:
    """The same decisions and field differ, in a history that SWF could have written, and none can go."""
    new, history = edited(run.spec, name, number), run.main
    before = replay(new, history)
    assume(before.divergence is not None)
    assert before.divergence is not None
    found = shrink(new, history)
    assert found == shrink(new, history)
    assert found.divergence is not None
    assert found.divergence.difference.what == before.divergence.difference.what
    assert found.divergence.field == before.divergence.field
    assert found.is_smallest
    assert len(found.spec.all_tasks) <= len(new.all_tasks)
    assert len(found.history) <= len(history)
    check_history(found.history)
    assert fold(found.history).last_event_id == len(found.history)
    assert len(replay(found.spec, found.history).steps) == found.divergence.step
    shows = diverges_like(before, CODEC)
    for task in found.spec.all_tasks:
        with contextlib.suppress(SpecError):
            assert not shows(*pair_without(found, task))


def pair_without(found: Counterexample, task: Task) -> tuple[DeciderSpec, History]:
    """A task taken out, with its events."""
    rest = [
        [without_task(each, task) for each in tasks]
        for tasks in (
            [each for each in getattr(found.spec, name) if each is not task]
            for name in ("activity_tasks", "on_failure", "on_cancel")
        )
    ]
    spec = evolve(found.spec, activity_tasks=rest[0], on_failure=rest[1], on_cancel=rest[2])
    gone = RemovedTasks(frozenset({task.id_}), frozenset({task.key}))
    return spec, without(found.history, about(found.history, gone))


def without_task(each: Any, gone: Task) -> Any:
    """A task that does not require another one, and whose undo it is not."""
    undo = {"undo": None} if undo_of(each) is gone else {}
    return evolve(each, requires=[id_ for id_ in each.requires if id_ != gone.id_], **undo)


def test_most_counterexamples_are_tiny() -> None:
    """Of random runs of seven tasks, some 40 events each, with one edit."""
    sizes: list[tuple[int, int]] = []

    @settings(SETTINGS, max_examples=60, derandomize=True, phases=(Phase.generate,))
    @given(eventful, names, st.integers())
    def measure(run: Simulation, name: str, number: int) -> None:
        new, history = edited(run.spec, name, number), run.main
        assume(diverges(new, history))
        found = shrink(new, history)
        sizes.append((len(found.spec.all_tasks), len(found.history)))

    measure()
    tasks, events = zip(*sizes, strict=True)
    assert len(sizes) >= 40
    assert (statistics.median(tasks), statistics.median(events)) == (1, 5)
    assert statistics.quantiles(tasks, n=10)[-1] <= 3
    assert statistics.quantiles(events, n=10)[-1] <= 13


def run_pytest(cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_printed_files_fail_with_the_divergence(tmp_path: Path) -> None:
    """Some twenty of them, in an empty directory; a formatter finds nothing to change."""
    found: list[Counterexample] = []

    @settings(SETTINGS, max_examples=25, derandomize=True, phases=(Phase.generate,))
    @given(eventful, names, st.integers())
    def write(run: Simulation, name: str, number: int) -> None:
        new, history = edited(run.spec, name, number), run.main
        assume(diverges(new, history))
        found.append(shrink(new, history))
        path = tmp_path / f"test_{len(found)}.py"
        path.write_text(found[-1].as_pytest(), encoding="utf-8")

    write()
    done = run_pytest(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{len(found)} failed in " in done.stdout
    for each in found:
        assert f"AssertionError: {each.divergence}" in done.stdout
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--check", "."],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert formatted.returncode == 0, formatted.stdout


FIRST = ActivityTask(id_="a", name="work", version="v1")
SPEC = DeciderSpec(
    activity_task_list="work",
    activity_tasks=[
        FIRST,
        Timer(id_="t", delay_in_seconds=3, requires=["a"]),
        ActivityTask(id_="b", name="work", version="v1", requires=["a", "t"], retry_strategy=InstantRetry(2)),
    ],
)
HISTORY = simulate(SPEC).main


def with_second(**changes: object) -> DeciderSpec:
    tasks = SPEC.activity_tasks
    changed: Task = evolve(tasks[1], **changes)  # type: ignore[misc]
    return evolve(SPEC, activity_tasks=[tasks[0], changed, tasks[2]])


def test_other_recorded_decisions_agree_with_the_shrunk_spec() -> None:
    """The input had the results of tasks that are gone; only the field that differs still does."""
    third = evolve(SPEC.activity_tasks[2], heartbeat_timeout=9)  # type: ignore[misc]
    found = shrink(evolve(SPEC, activity_tasks=[*SPEC.activity_tasks[:2], third]), HISTORY)
    scheduled = found.history.events[-1].data
    assert isinstance(scheduled, ActivityTaskScheduled)
    assert (scheduled.activity_id, scheduled.input) == ("b", '{"floto.timeouts":{"heartbeat":9}}')
    assert (len(found.spec.activity_tasks), len(found.history)) == (1, 5)
    assert not found.spec.activity_tasks[0].requires


def test_decisions_move_to_the_step_that_would_make_them_now() -> None:
    """Something else has to keep the run open when a task is missed; both are decided at once."""
    beside = evolve(FIRST, id_="beside")
    declared = evolve(SPEC, activity_tasks=[beside, *SPEC.activity_tasks])
    history = simulate(declared, {"beside": takes(hours=1)}).main
    found = shrink(evolve(SPEC, activity_tasks=[beside, *SPEC.activity_tasks[:2]]), history)
    assert str(found.divergence) == (
        "step 1 (event 4): ScheduleActivityTask 'b' was decided and would not be now"
    )
    assert ([task.id_ for task in found.spec.activity_tasks], len(found.history)) == (["beside"], 6)


def test_printed_file_passes_after_the_edit_is_reverted(tmp_path: Path) -> None:
    text = shrink(with_second(delay_in_seconds=77), HISTORY).as_pytest()
    assert 'activity_tasks=[Timer(id_="t", delay_in_seconds=77)]' in text
    path = tmp_path / "test_it.py"
    path.write_text(text)
    assert run_pytest(tmp_path).returncode == 1
    path.write_text(text.replace("delay_in_seconds=77", "delay_in_seconds=3"))
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout


def test_history_without_a_divergence_cannot_be_shrunk() -> None:
    with pytest.raises(NothingToShrink, match="the history agrees with the spec in 4 steps"):
        shrink(SPEC, HISTORY)
    with pytest.raises(NothingToShrink, match="the predicate does not hold"):
        shrink(SPEC, HISTORY, diverges)


def test_predicate_selects_the_property_to_keep() -> None:
    """Everything may go but what it asks for; the errors of impossible pairs mean no."""

    def has_fired(spec: DeciderSpec, history: History) -> bool:
        if not spec.activity_tasks:
            raise SpecError(("there must be a task",))
        if len(history) < 5:
            raise HistoryError(None, "there must be events")
        return any(isinstance(event.data, TimerFired) for event in history)

    found = shrink(SPEC, HISTORY, has_fired)
    assert len(found.spec.activity_tasks) == 1
    # The start, a timer that fires, and the decision tasks before and behind it.
    assert len(found.history) == 9
    assert has_fired(found.spec, found.history)


def test_unexpected_errors_of_a_predicate_are_raised() -> None:
    asked: list[int] = []

    def broken(spec: DeciderSpec, history: History) -> bool:
        asked.append(len(history) + len(spec.activity_tasks))
        return len(asked) == 1 or 1 // 0 == 1

    with pytest.raises(ZeroDivisionError):
        shrink(SPEC, HISTORY, broken)


@pytest.mark.parametrize("budget", [0, 1, 7])
def test_shrinking_respects_its_budget(budget: int) -> None:
    asked: list[DeciderSpec] = []

    def holds(spec: DeciderSpec, history: History) -> bool:
        asked.append(spec)
        return diverges(spec, history)

    found = shrink(with_second(delay_in_seconds=77), HISTORY, holds, budget=budget)
    # One more, for the pair that was given.
    assert len(asked) == budget + 1
    assert not found.is_smallest
    assert found.divergence is not None
