"""The SQL of steps: a small table of statements, which is all that calls and polls execute."""

from __future__ import annotations

import re
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage.schema import Sql
from floto.core.swf.decisions import (
    CancelTimer,
    CompleteWorkflowExecution,
    Decision,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import TaskList
from tests.integration.test_sqlite_helpers import ACTIVITY, WORKFLOW, activity, decision

TABLE = {text for name, text in vars(Sql).items() if not name.startswith("_")}


class Recording(sqlite3.Connection):
    """A connection that notes the text of each statement."""

    def __init__(self, *arguments: object, seen: set[str], **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._seen = seen

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        self._seen.add(sql)
        return super().execute(sql, *values)  # type: ignore[arg-type]

    def executemany(self, sql: str, rows: object) -> sqlite3.Cursor:
        self._seen.add(sql)
        return super().executemany(sql, rows)  # type: ignore[arg-type]


def decide(service: SqliteService, *decisions: Decision) -> None:
    service.respond_decision_task_completed(decision(service).token, decisions)


def steps(service: SqliteService, other: SqliteService, workflow_id: str) -> None:
    """One run with all kinds of steps, in two processes by turns; ``other`` stands for the second."""
    request = StartRequest(workflow_id=workflow_id, workflow_type=WORKFLOW, tags=("one", "two"))
    service.start_workflow_execution(request)
    decide(
        service,
        ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a"),
        ScheduleActivityTask(activity_type=ACTIVITY, activity_id="b"),
        StartTimer(timer_id="t", start_to_fire_timeout="600"),
        StartChildWorkflowExecution(
            workflow_id=f"{workflow_id} child", workflow_type=WORKFLOW, task_list=TaskList("children")
        ),
    )
    for each in (service, other):
        task = activity(each)
        each.record_activity_task_heartbeat(task.token, "half")
        service.signal_workflow_execution(workflow_id, "signal", "input")
        other.give_back(task.token)
        each.respond_activity_task_completed(activity(each).token, "1")
    decide(other, CancelTimer(timer_id="t"), CompleteWorkflowExecution())


def test_steps_execute_at_most_fifteen_statements_all_in_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=partial(Recording, seen=seen)))
    path = tmp_path / "db"
    with (
        SqliteService(path, durability="normal", auto_register=False) as service,
        SqliteService(path, durability="normal", auto_register=False) as other,
    ):
        for each in (service, other):
            each.prepare([WORKFLOW], [ACTIVITY])
        steps(service, other, "warm up")
        seen.clear()
        steps(service, other, "run")
    # An insert of several events is the one of a single event with more rows. A registered domain or type is
    # read again after a commit of another process, and is not of a step.
    looked_up = {sql for sql in seen if "FROM types" in sql or "FROM domains" in sql}
    texts = {re.sub(r"(, \((\?(, )?)+\))+$", "", sql) for sql in seen - looked_up}
    assert len(texts) <= 15
    assert texts == TABLE
