"""The live table of a run."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from rich.console import Console

import floto
from floto.core.state.fold import fold
from floto.core.state.state import State
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType
from floto.pictures.task_status import Row, rows
from floto.runtime.runs.live_table import Lines, LiveTable, Tasks, counts, fitting, printed, shown

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
A = floto.ActivityTask(id_="a", name="n", version="1", retry_strategy=floto.FixedDelay(9, 1))
SPEC = floto.DeciderSpec(activity_tasks=[A, floto.Timer(id_="t", delay_in_seconds=5, requires=[A])])


def history(*data: object) -> State:
    """The state after a start and these events, one a second."""
    started = e.WorkflowExecutionStarted(
        child_policy="TERMINATE", task_list=TaskList("l"), workflow_type=WorkflowType("w", "1")
    )
    decided = (
        e.DecisionTaskScheduled(task_list=TaskList("l")),
        e.DecisionTaskStarted(scheduled_event_id=2),
        e.DecisionTaskCompleted(scheduled_event_id=2, started_event_id=3),
    )
    return fold(
        Event(number, NOON + timedelta(seconds=number), item)
        for number, item in enumerate([started, *decided, *data], start=1)
    )


SCHEDULED = e.ActivityTaskScheduled(
    activity_type=ActivityType("n", "1"),
    activity_id="a",
    task_list=TaskList("l"),
    decision_task_completed_event_id=4,
)
STARTED = e.ActivityTaskStarted(scheduled_event_id=5)
FAILED = e.ActivityTaskFailed(scheduled_event_id=5, started_event_id=6, reason="OSError", details="flaky")
COMPLETED = e.ActivityTaskCompleted(scheduled_event_id=5, started_event_id=6)
WAITING = e.TimerStarted(
    timer_id="floto.retry:1:a", start_to_fire_timeout="9", decision_task_completed_event_id=4, control="a"
)


def test_cleanup_task_is_shown_once_scheduled() -> None:
    approval = floto.Signal(id_="ok", signal_name="approve")
    tasks = Tasks(floto.DeciderSpec(activity_tasks=[approval], on_failure=[A]))
    assert rows(tasks.at(history()), history()) == [Row("ok", "waiting")]
    state = history(SCHEDULED, STARTED, e.WorkflowExecutionSignaled(signal_name="approve"))
    seen = [(row.task, row.state) for row in rows(tasks.at(state), state)]
    assert seen == [("ok", "completed"), ("a", "running")]


@pytest.mark.parametrize(
    ("data", "state", "attempt", "seconds"),
    [
        ((), "waiting", 0, None),
        ((SCHEDULED,), "queued", 1, None),
        ((SCHEDULED, STARTED), "running", 1, 54),
        ((SCHEDULED, STARTED, COMPLETED), "completed", 1, 1),
        ((SCHEDULED, STARTED, FAILED), "failed", 1, 1),
        ((SCHEDULED, STARTED, FAILED, WAITING), "retrying", 1, 1),
    ],
)
def test_status_attempt_and_seconds_of_a_task(
    data: tuple[object, ...], state: str, attempt: int, seconds: float | None
) -> None:
    row = rows(SPEC.activity_tasks, history(*data))[0]
    assert (row.task, row.state, row.attempt) == ("a", state, attempt)
    assert row.seconds(NOON + timedelta(minutes=1)) == seconds


def test_a_failure_shows_its_message_until_the_task_completes() -> None:
    assert rows(SPEC.activity_tasks, history(SCHEDULED, STARTED, FAILED))[0].problem == "OSError: flaky"


def test_open_timer_is_running() -> None:
    timer = e.TimerStarted(timer_id="t", start_to_fire_timeout="5", decision_task_completed_event_id=4)
    assert rows(SPEC.activity_tasks, history(timer))[1].state == "running"


def test_each_change_prints_one_line() -> None:
    console = Console(file=io.StringIO(), width=80)
    lines = Lines(SPEC, partial(printed, console))
    for count in range(5):
        lines.show(history(*(SCHEDULED, STARTED, FAILED, WAITING)[:count]))
    lines.show(history(SCHEDULED, STARTED, FAILED, WAITING))
    said = re.sub(r"\d\d:\d\d:\d\d ", "", console.file.getvalue())  # type: ignore[attr-defined]
    assert said == "a running\na attempt 1 failed: OSError: flaky\n"


def test_table_fits_the_terminal() -> None:
    tasks = [floto.ActivityTask(id_=f"task {number}", name="n", version="1") for number in range(50)]
    console = Console(file=io.StringIO(), force_terminal=True, width=60, height=12)
    table = LiveTable(floto.DeciderSpec(activity_tasks=tasks), console)
    table.show(history())
    with console.capture() as capture:
        console.print(table.render())
    lines = capture.get().splitlines()
    assert len(lines) <= 12
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in lines) <= 60
    assert "0 of 50 completed, 50 waiting" in lines[-1]


def test_running_and_failed_tasks_precede_waiting_and_done_ones() -> None:
    later = NOON + timedelta(seconds=1)
    all_rows = [
        Row("waits", "waiting"),
        Row("done early", "completed", 1, NOON, NOON),
        Row("runs", "running", 1, NOON),
        Row("done late", "completed", 1, NOON, later),
        Row("fails", "failed", 1, NOON, NOON),
    ]
    assert [row.task for row in fitting(all_rows, 3)] == ["runs", "done late", "fails"]
    assert fitting(all_rows, 5) == all_rows
    assert counts(all_rows) == "2 of 5 completed, 1 failed, 1 running, 1 waiting"


@pytest.mark.parametrize("terminal", [True, False])
def test_run_is_shown_in_any_encoding(*, terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80, height=24)
    with shown(SPEC, console) as show:
        show(history(SCHEDULED, STARTED, COMPLETED))
    assert "completed" in console.file.getvalue()  # type: ignore[attr-defined]
