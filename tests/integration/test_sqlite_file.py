"""What is in the file: which files are floto's, what a call leaves in it, and what a restart finds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from floto.adapters.sqlite import SqliteService, batches
from floto.adapters.sqlite.storage import database, schema
from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable, UnknownResource
from floto.core.swf.decisions import (
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    RecordMarker,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.service import Service, StartRequest
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType
from tests.integration.test_sqlite_helpers import (
    ACTIVITY,
    WORKFLOW,
    activity,
    decision,
    names,
    schedule,
    start,
)

T = TypeVar("T")


def dump(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return list(db.iterdump())
    finally:
        db.close()


def test_sqlite_service_implements_the_service_protocol(tmp_path: Path) -> None:
    service: Service = SqliteService(tmp_path / "db")
    service.close()


def test_95_restart_after_every_step_loses_nothing(tmp_path: Path) -> None:
    def with_fresh(call: Callable[[SqliteService], T]) -> T:
        with SqliteService(tmp_path / "db") as service:
            return call(service)

    run = with_fresh(start)
    # The token of a closed process is taken over by the next poll, as it was.
    token = with_fresh(decision).token
    assert with_fresh(decision).token == token
    child = StartChildWorkflowExecution(
        workflow_type=WORKFLOW, workflow_id="child", task_list=TaskList("later")
    )
    timer = StartTimer(timer_id="t", start_to_fire_timeout="0")
    with_fresh(lambda service: service.respond_decision_task_completed(token, [child, timer]))
    with_fresh(lambda service: schedule(service, "a"))
    work = with_fresh(activity)
    with_fresh(lambda service: service.respond_activity_task_completed(work.token, "1"))
    last = with_fresh(decision)
    done = [CompleteWorkflowExecution(result="done")]
    with_fresh(lambda service: service.respond_decision_task_completed(last.token, done))
    assert with_fresh(lambda service: names(service, run)) == [
        "WorkflowExecutionStarted",
        "DecisionTaskScheduled",
        "DecisionTaskStarted",
        "DecisionTaskCompleted",
        "StartChildWorkflowExecutionInitiated",
        "TimerStarted",
        "ChildWorkflowExecutionStarted",
        "DecisionTaskScheduled",
        "TimerFired",
        "DecisionTaskStarted",
        "DecisionTaskCompleted",
        "ActivityTaskScheduled",
        "ActivityTaskStarted",
        "ActivityTaskCompleted",
        "DecisionTaskScheduled",
        "DecisionTaskStarted",
        "DecisionTaskCompleted",
        "WorkflowExecutionCompleted",
    ]


def test_closed_run_leaves_no_tasks_or_deadlines(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service)
        schedule(service, "a", "b", heartbeat_timeout="60")
        service.record_activity_task_heartbeat(activity(service).token, "x")
        service.terminate_workflow_execution("wf", "why")
        db = sqlite3.connect(tmp_path / "db")
        assert db.execute("SELECT run FROM heartbeats").fetchall() == []
        assert db.execute("SELECT work FROM runs").fetchall() == [(None,)]
        db.close()


def test_refused_call_writes_nothing(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service)
        task = decision(service)
        before = dump(tmp_path / "db")
        unseen = StartChildWorkflowExecution(workflow_type=WorkflowType("new", "1"), workflow_id="a/b")
        with pytest.raises(ServiceFault, match="ValidationException"):
            service.respond_decision_task_completed(task.token, [RecordMarker(marker_name="m"), unseen])
        with pytest.raises(ServiceFault, match="WorkflowExecutionAlreadyStartedFault"):
            service.start_workflow_execution(
                StartRequest(workflow_id="wf", workflow_type=WorkflowType("newer", "1"))
            )
        with pytest.raises(UnknownResource):
            service.signal_workflow_execution("nobody", "s")
        assert dump(tmp_path / "db") == before
        service.respond_decision_task_completed(task.token, [])


def test_types_are_registered_automatically(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        service.prepare([WORKFLOW], [ACTIVITY])
        request = StartRequest(workflow_id="wf", workflow_type=WorkflowType("new", "1"), task_list="mine")
        run = WorkflowExecution("wf", service.start_workflow_execution(request))
        task = service.poll_for_decision_task("mine", "", 0)
        assert task is not None
        child = StartChildWorkflowExecution(workflow_type=WorkflowType("newer", "1"), workflow_id="child")
        again = ContinueAsNewWorkflowExecution(workflow_type_version="2", task_list=TaskList("mine"))
        service.respond_decision_task_completed(task.token, [child, again])
        assert names(service, run)[-1] == "WorkflowExecutionContinuedAsNew"
        started = decision(service).events[0].data
        assert started.execution_start_to_close_timeout == "31536000"
        assert started.task_start_to_close_timeout == "60"
        assert started.child_policy == "TERMINATE"
        later = service.poll_for_decision_task("mine", "", 0)
        assert later is not None
        assert later.workflow_type == WorkflowType("new", "2")


def test_unknown_types_are_refused_without_auto_registration(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db", auto_register=False) as service:
        with pytest.raises(UnknownResource, match="Unknown domain: floto"):
            start(service)
        with pytest.raises(UnknownResource, match="Unknown domain: floto"):
            service.poll_for_decision_task("floto", "", 0)
        service.prepare([], [])
        with pytest.raises(UnknownResource, match="Unknown type: "):
            start(service)
        service.prepare([WORKFLOW], [])
        run = start(service)
        schedule(service, "a")
        assert "ScheduleActivityTaskFailed" in names(service, run)


def test_latest_execution_and_history_are_returned(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "db") as other:
        assert service.latest_execution("wf") is None
        first = start(service)
        service.terminate_workflow_execution("wf")
        info = other.latest_execution("wf")
        assert info is not None
        assert (info.execution, info.close_status, info.workflow_type) == (first, "TERMINATED", WORKFLOW)
        assert info.closed_at is not None
        second = start(service)
        info = other.latest_execution("wf")
        assert info is not None
        assert (info.execution, info.closed_at, info.close_status) == (second, None, None)
        whole = service.history(second)
        assert other.history(second) == whole
        assert service.history(second, after=1) == other.history(second, after=1) == whole[1:]
        with pytest.raises(UnknownResource, match="Unknown execution: "):
            service.history(WorkflowExecution("other", second.run_id))


def test_history_of_a_run_of_another_domain_is_refused(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "db", "other") as other:
        run = start(service)
        with pytest.raises(UnknownResource, match="Unknown execution: "):
            other.history(run)


def test_open_runs_are_listed_by_type_newest_first(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "db", "other") as other:
        assert service.open_executions(WORKFLOW) == ()
        runs = [start(service, f"wf-{number}") for number in range(3)]
        start(other)
        service.start_workflow_execution(
            StartRequest(
                workflow_id="odd", workflow_type=WorkflowType(WORKFLOW.name, "v0"), task_list="floto"
            )
        )
        service.terminate_workflow_execution("wf-1")
        infos = service.open_executions(WORKFLOW)
        assert [info.execution for info in infos] == [runs[2], runs[0]]
        assert {(info.workflow_type, info.close_status) for info in infos} == {(WORKFLOW, None)}


def test_domains_are_isolated(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db", "one") as one, SqliteService(tmp_path / "db", "two") as two:
        start(one)
        start(two)
        assert two.poll_for_decision_task("floto", "", 0) is not None
        assert two.poll_for_decision_task("floto", "", 0) is None
        assert one.poll_for_decision_task("floto", "", 0) is not None


def test_memory_needs_no_file() -> None:
    with SqliteService(":memory:") as service:
        run = start(service)
        schedule(service, "a")
        service.respond_activity_task_completed(activity(service).token, None)
        service.respond_decision_task_completed(decision(service).token, [CompleteWorkflowExecution()])
        assert names(service, run)[-1] == "WorkflowExecutionCompleted"
    assert not Path(":memory:").exists()
    assert not Path(":memory:.leases").exists()


def test_two_services_on_one_file_share_state(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def clock() -> datetime:
        return now

    path = tmp_path / "db"
    with SqliteService(path, clock=clock) as one, SqliteService(path, clock=clock) as two:
        run = start(one)
        schedule(one, "a", heartbeat_timeout="10")
        task = activity(one)
        for _ in range(5):
            now += timedelta(seconds=9)
            two.record_activity_task_heartbeat(task.token, "alive")
        assert one.poll_for_decision_task("floto", "", 0) is None
        two.signal_workflow_execution("wf", "s")
        now += timedelta(seconds=10)
        assert decision(one).events == one.history(run)
        assert names(two, run)[-4:] == [
            "WorkflowExecutionSignaled",
            "DecisionTaskScheduled",
            "ActivityTaskTimedOut",
            "DecisionTaskStarted",
        ]
        assert one.history(run)[-2].data.details == "alive"


def test_file_of_a_newer_floto_is_refused(tmp_path: Path) -> None:
    SqliteService(tmp_path / "db").close()
    db = sqlite3.connect(tmp_path / "db")
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()
    with pytest.raises(
        ServiceError,
        match=f"has version {schema.VERSION + 1} of floto's tables.*versions up to {schema.VERSION}",
    ):
        SqliteService(tmp_path / "db")


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "db")
    db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(ServiceError, match="is not a floto database"):
        SqliteService(tmp_path / "db")


def test_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("once upon a time " * 100)
    with pytest.raises(ServiceError, match="is not a floto database"):
        SqliteService(tmp_path / "db")
    with pytest.raises(ServiceError, match="cannot open"):
        SqliteService(tmp_path / "no" / "such" / "directory" / "db")


def test_locked_file_raises_service_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LOCK_SECONDS", 0.05)
    with SqliteService(tmp_path / "db") as service:
        start(service)
        db = sqlite3.connect(tmp_path / "db", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceUnavailable, match="locked"):
            service.signal_workflow_execution("wf", "s")
        db.execute("ROLLBACK")
        db.close()
        service.signal_workflow_execution("wf", "s")


def held(directory: Path) -> list[str]:
    """Return the files below a directory that this process has open, also those deleted since."""
    opened = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [name for name in opened if name.startswith(str(directory))]


def test_file_that_cannot_be_opened_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceFault, match="ValidationException"):
        SqliteService(tmp_path / "domain", "\ud800")
    with monkeypatch.context() as patched:
        patched.setattr(database, "connect_reading", lambda _path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            SqliteService(tmp_path / "reading")
    with monkeypatch.context() as patched:
        patched.setattr(batches.Batches, "begin", lambda _self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            SqliteService(tmp_path / "begin")
    assert held(tmp_path) == []
    assert not list(tmp_path.glob("*.leases/*"))


def test_closed_service_refuses_every_call(tmp_path: Path) -> None:
    service = SqliteService(tmp_path / "db", durability="normal")
    service.close()
    service.close()
    # Not ServiceUnavailable: to try again would be in vain.
    with pytest.raises(ServiceError, match="closed") as caught:
        start(service)
    assert not isinstance(caught.value, ServiceUnavailable)
    with pytest.raises(ServiceError, match="the service is closed"):
        service.poll_for_activity_task("floto", "", 1)


def test_text_is_stored_unchanged(tmp_path: Path) -> None:
    text = 'ü 漢 \U0001f600 \ud800 \\ " \n\x00'
    with SqliteService(tmp_path / "db") as service:
        run = start(service)
        service.signal_workflow_execution("wf", "s", text)
    with SqliteService(tmp_path / "db") as service:
        assert service.history(run)[-1].data.input == text
        assert activity_type_of(service) == ActivityType("ä'", "1")


def activity_type_of(service: SqliteService) -> ActivityType:
    type_ = ActivityType("ä'", "1")
    decisions = [ScheduleActivityTask(activity_type=type_, activity_id="a")]
    service.respond_decision_task_completed(decision(service).token, decisions)
    return activity(service).activity_type


def test_many_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        opened = [threads.submit(SqliteService, tmp_path / "db") for _ in range(8)]
        services = [one.result() for one in opened]
    start(services[0])
    assert services[-1].latest_execution("wf") is not None
    for service in services:
        service.close()


def test_evicted_run_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("floto.adapters.sqlite.storage.rows._RUN_BYTES", 2**30)
    with SqliteService(tmp_path / "db") as service:
        runs = [start(service, workflow_id) for workflow_id in "abc"]
        for run in runs:
            service.signal_workflow_execution(run.workflow_id, "s")
            schedule(service, "x")
        service.request_cancel_workflow_execution("a")
        work = activity(service)
        service.respond_activity_task_failed(work.token, "r", "d")
        assert work.execution == runs[0]
        assert names(service, runs[0])[-3:] == [
            "DecisionTaskScheduled",
            "ActivityTaskStarted",
            "ActivityTaskFailed",
        ]
