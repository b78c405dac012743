"""The live table of a run."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import pytest
from rich.console import Console

import floto
from floto.core.replay.task_status import TaskStatus
from floto.core.state.fold import fold
from floto.core.state.state import State
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType
from floto.runtime.runs import live_table
from floto.runtime.runs.live_table import Lines, LiveTable, Row, Rows, counts, fitting, printed, shown

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
    timer_id="floto.retry:a:1", start_to_fire_timeout="9", decision_task_completed_event_id=4, control="a"
)


def test_cleanup_task_is_shown_once_scheduled() -> None:
    approval = floto.Signal(id_="ok", signal_name="approve")
    rows = Rows(floto.DeciderSpec(activity_tasks=[approval], on_failure=[A]))
    assert rows.at(history()) == [Row("ok", TaskStatus.WAITING)]
    state = history(SCHEDULED, STARTED, e.WorkflowExecutionSignaled(signal_name="approve"))
    assert [(row.task, row.status) for row in rows.at(state)] == [("ok", "done"), ("a", "running")]


@pytest.mark.parametrize(
    ("data", "status", "attempt", "seconds"),
    [
        ((), "due", 0, None),
        ((SCHEDULED,), "queued", 1, None),
        ((SCHEDULED, STARTED), "running", 1, 54),
        ((SCHEDULED, STARTED, COMPLETED), "done", 1, 1),
        ((SCHEDULED, STARTED, FAILED), "due", 1, 1),
        ((SCHEDULED, STARTED, FAILED, WAITING), "waiting for its retry", 1, 1),
    ],
)
def test_status_attempt_and_seconds_of_a_task(
    data: tuple[object, ...], status: str, attempt: int, seconds: float | None
) -> None:
    row = Rows(SPEC).at(history(*data))[0]
    assert (row.task, row.status, row.attempt) == ("a", status, attempt)
    assert row.seconds(NOON + timedelta(minutes=1)) == seconds


def test_a_failure_shows_its_message_until_the_task_completes() -> None:
    assert Rows(SPEC).at(history(SCHEDULED, STARTED, FAILED))[0].problem == "OSError: flaky"


def test_open_timer_is_running() -> None:
    timer = e.TimerStarted(timer_id="t", start_to_fire_timeout="5", decision_task_completed_event_id=4)
    assert Rows(SPEC).at(history(timer))[1].status == "running"


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
    assert "0 of 50 done, 50 due" in lines[-1]


def test_running_and_failed_tasks_precede_waiting_and_done_ones() -> None:
    later = NOON + timedelta(seconds=1)
    all_rows = [
        Row("waits", TaskStatus.WAITING),
        Row("done early", TaskStatus.DONE, 1, NOON, NOON),
        Row("runs", TaskStatus.RUNNING, 1, NOON),
        Row("done late", TaskStatus.DONE, 1, NOON, later),
        Row("fails", TaskStatus.FAILED, 1, NOON, NOON),
    ]
    assert [row.task for row in fitting(all_rows, 3)] == ["runs", "done late", "fails"]
    assert fitting(all_rows, 5) == all_rows
    assert counts(all_rows) == "2 of 5 done, 1 failed, 1 running, 1 waiting"


@pytest.mark.parametrize("terminal", [True, False])
def test_run_is_shown_in_any_encoding(*, terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80, height=24)
    with shown(SPEC, console) as show:
        show(history(SCHEDULED, STARTED, COMPLETED))
    assert "done" in console.file.getvalue()  # type: ignore[attr-defined]


def test_total_time_is_not_negative_after_the_clock_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=80, height=20, force_terminal=False)
    table = LiveTable(SPEC, console)
    monkeypatch.setattr(live_table, "datetime", SimpleNamespace(now=lambda _zone: NOON - timedelta(days=999)))
    console.print(table.render())
    assert "-" not in console.file.getvalue()  # type: ignore[attr-defined]
