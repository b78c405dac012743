"""What must not stop a service: links, interrupts, poisoned rows, tasks that kill, and odd text."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import pytest

from floto.adapters.processes.leases import Leases
from floto.adapters.sqlite import SqliteService, batches, recovery
from floto.adapters.sqlite.group_commit import Job
from floto.adapters.sqlite.storage import database
from floto.adapters.sqlite.storage.database import Database
from floto.adapters.sqlite.storage.reads import Cache
from floto.adapters.sqlite.storage.rows import CachedRun
from floto.adapters.sqlite.storage.store import SqliteStore
from floto.adapters.sqlite.wait_queue import Poll
from floto.core.engine.run import EngineRun
from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable
from floto.core.swf.decisions import (
    RecordMarker,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType
from tests.integration.contract.clock import Clock
from tests.integration.test_sqlite_helpers import (
    WORKFLOW,
    activity,
    decision,
    hear,
    names,
    process,
    schedule,
    start,
)

HALF = "half \ud800"


def alter(path: Path, sql: str, *values: Any) -> None:
    """Change rows behind a service's back."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(sql, values)
    db.close()


def test_symbolic_link_to_the_file_uses_the_same_leases(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("db")
    with SqliteService(tmp_path / "db") as one:
        start(one)
        decision(one)
        with SqliteService(tmp_path / "link") as two:
            assert two.poll_for_decision_task("floto", "", 0) is None


def test_leases_keep_their_path_after_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_RECOVER_SECONDS", 0.05)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with SqliteService("db") as one, SqliteService("db") as two:
        start(one)
        decision(one)
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert two.poll_for_decision_task("floto", "", 0.3) is None


def test_missing_lease_directory_marks_no_owner_as_crashed(tmp_path: Path) -> None:
    leases, other = Leases(tmp_path / "leases"), uuid4().hex
    assert leases.dead([other]) == {other}
    shutil.rmtree(tmp_path / "leases")
    assert leases.dead([other]) == frozenset()
    leases.clean([])
    leases.close()


def test_invalid_lease_names_are_not_used_as_paths(tmp_path: Path) -> None:
    leases = Leases(tmp_path / "leases")
    with Path(tmp_path / "x.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert leases.dead(["../x"]) == {"../x"}
    (tmp_path / "leases" / "notes.lock").touch()
    leases.clean([])
    assert (tmp_path / "leases" / "notes.lock").exists()
    leases.close()


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        (RecordMarker(marker_name=None), "recordMarkerDecisionAttributes.markerName"),  # type: ignore[arg-type]
        (
            ScheduleActivityTask(activity_type=ActivityType(None, "1"), activity_id="a"),  # type: ignore[arg-type]
            "scheduleActivityTaskDecisionAttributes.activityType.name",
        ),
        (
            ScheduleActivityTask(activity_type=None, activity_id="a"),  # type: ignore[arg-type]
            "scheduleActivityTaskDecisionAttributes.activityType",
        ),
    ],
)
def test_missing_member_is_refused_before_any_type_is_registered(
    tmp_path: Path, wrong: Any, path: str
) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service)
        with pytest.raises(ServiceFault, match=f"Value null at 'decisions.1.member.{path}'"):
            service.respond_decision_task_completed(decision(service).token, [wrong])
        nameless = StartRequest(workflow_id="x", workflow_type=WorkflowType(None, "1"))  # type: ignore[arg-type]
        with pytest.raises(ServiceFault, match=r"Value null at 'workflowType\.name'"):
            service.start_workflow_execution(nameless)


def poisoned(path: Path, clock: Clock) -> tuple[WorkflowExecution, WorkflowExecution]:
    """A run whose rows cannot be read any more, and one that is well, both with a deadline soon."""
    with SqliteService(path, clock=clock) as service:
        runs = [start(service, workflow_id) for workflow_id in ("bad", "good")]
        for _ in runs:
            timer = StartTimer(timer_id="t", start_to_fire_timeout="60")
            service.respond_decision_task_completed(decision(service).token, [timer])
        for run in runs:
            service.signal_workflow_execution(run.workflow_id, "s")
    alter(path, "UPDATE events SET attributes = '{}' WHERE run = 1 AND type = 'TimerStarted'")
    return runs[0], runs[1]


def test_unreadable_run_does_not_affect_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    bad, good = poisoned(tmp_path / "db", clock)
    clock.advance(61)
    with SqliteService(tmp_path / "db", clock=clock) as service:
        service.signal_workflow_execution("good", "s")
        assert "TimerFired" in names(service, good)
        # Its task is the older one, and in nobody's way.
        assert decision(service).execution == good
        assert service.poll_for_decision_task("floto", "", 0) is None
        with pytest.raises(ServiceError, match=f"run {bad.run_id} cannot be read: WireError: TimerStarted"):
            service.signal_workflow_execution("bad", "s")
        with pytest.raises(ServiceError, match=bad.run_id):
            service.history(bad)
        clock.advance(7200)
        service.signal_workflow_execution("good", "s")
    assert [bad.run_id in message for message in caplog.messages] == [True]
    attributes = '{"timerId":"t","startToFireTimeout":"60","decisionTaskCompletedEventId":4}'
    alter(tmp_path / "db", "UPDATE events SET attributes = ? WHERE attributes = '{}' AND run = 1", attributes)
    clock.advance(7200)
    with SqliteService(tmp_path / "db", clock=clock) as service:
        # Once it can be read again, it goes on.
        service.terminate_workflow_execution("good")
        assert decision(service).execution == bad
        assert "TimerFired" in names(service, bad)


def test_poll_skips_an_unreadable_run_and_logs_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    bad, good = poisoned(tmp_path / "db", clock)
    with SqliteService(tmp_path / "db", clock=clock) as service:
        assert decision(service).execution == good
        assert service.poll_for_decision_task("floto", "", 0) is None
    assert [bad.run_id in message for message in caplog.messages] == [True]


def test_an_unreadable_parent_fails_the_poll_that_ends_its_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteService(tmp_path / "db") as service:
        run = start(service)
        child = StartChildWorkflowExecution(workflow_type=WORKFLOW, workflow_id="child")
        service.respond_decision_task_completed(decision(service).token, [child])
    alter(tmp_path / "db", "UPDATE runs SET work = '[]', revision = revision + 10 WHERE number = 1")
    alter(tmp_path / "db", "UPDATE events SET attributes = '{}' WHERE run = 1 AND id = 1")
    monkeypatch.setattr("floto.core.engine.step_context.MAX_EVENTS", 3)
    with SqliteService(tmp_path / "db") as service, pytest.raises(ServiceError, match=run.run_id):
        service.poll_for_decision_task("floto", "", 0)


def test_deadline_without_an_event_is_postponed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with SqliteService(tmp_path / "db") as service:
        run = start(service)
        alter(tmp_path / "db", "UPDATE runs SET work = '[[9, 0, 0]]', revision = revision + 1")
        service.signal_workflow_execution("wf", "s")
    assert [run.run_id in message for message in caplog.messages] == [True]


def test_busy_database_does_not_postpone_a_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, error = Clock(), sqlite3.OperationalError("database is locked")

    def locked(_store: SqliteStore, _run_id: str) -> EngineRun | None:
        raise error

    with SqliteService(tmp_path / "db", clock=clock) as service:
        run = start(service)
        schedule(service, "a", start_to_close_timeout="1")
        activity(service)
        clock.advance(2)
        with monkeypatch.context() as patch:
            patch.setattr(SqliteStore, "load", locked)
            with pytest.raises(ServiceUnavailable, match="locked"):
                service.signal_workflow_execution("wf", "s")
        service.signal_workflow_execution("wf", "s")
        assert "ActivityTaskTimedOut" in names(service, run)
    assert caplog.records == []


@pytest.mark.parametrize("kind", ["decision", "activity"])
def test_task_that_crashes_its_owners_times_out(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "db"
    with SqliteService(path) as service:
        run = start(service)
        if kind == "activity":
            schedule(service, "a")
    tokens = []
    for _ in range(3):
        with process(path, f"say({kind}(service).token)\nhear()") as child:
            tokens.append(hear(child))
            child.kill()
            child.wait()
    assert len(set(tokens)) == 1
    assert tokens[0]
    with SqliteService(path) as service:
        if kind == "activity":
            assert service.poll_for_activity_task("floto", "", 0) is None
            assert names(service, run)[-2:] == ["ActivityTaskTimedOut", "DecisionTaskScheduled"]
            assert service.history(run)[-2].data.timeout_type == "HEARTBEAT"
        else:
            assert decision(service, 0).token != tokens[0]
            last = ["DecisionTaskTimedOut", "DecisionTaskScheduled", "DecisionTaskStarted"]
            assert names(service, run)[-3:] == last
            assert service.history(run)[-3].data.timeout_type == "START_TO_CLOSE"


def test_closing_a_service_does_not_count_as_a_redelivery(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service)
    tokens = set()
    for _ in range(5):
        with SqliteService(tmp_path / "db") as service:
            tokens.add(decision(service, 0).token)
    assert len(tokens) == 1


class Interrupted:
    """A connection on which the user's patience ends as soon as it has the lock."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, sql: str, *values: Any) -> Any:
        result = self._db.execute(sql, *values)
        if sql.startswith("BEGIN"):
            raise KeyboardInterrupt
        return result


def test_interrupt_releases_the_lock(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "db"), "full")
    db = database.need_writing()
    database.writing = Interrupted(db)  # type: ignore[assignment]
    store = SqliteStore(database)
    with pytest.raises(KeyboardInterrupt), store.transaction():
        raise AssertionError
    assert not db.in_transaction
    database.close()


def test_interrupted_call_leaves_a_consistent_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_cache: Cache, _run_id: str, _entry: CachedRun) -> None:
        raise KeyboardInterrupt

    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "db") as other:
        run = start(service)
        with monkeypatch.context() as patch:
            patch.setattr(Cache, "put", interrupted)
            with pytest.raises(KeyboardInterrupt):
                service.signal_workflow_execution("wf", "s")
        service.signal_workflow_execution("wf", "t")
        assert service.history(run) == other.history(run)
        assert names(service, run).count("WorkflowExecutionSignaled") == 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        CachedRun(1, 1, EngineRun.fresh("d", run), []).revision = 2  # type: ignore[misc]


def test_file_system_without_a_write_ahead_log_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_OPEN_SECONDS", 0.05)
    with pytest.raises(ServiceError, match="cannot use a write-ahead log on"):
        database.connect("", "full")
    with pytest.raises(ServiceError, match="cannot open"):
        SqliteService("")


def test_poll_of_a_database_in_memory_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Job] = []
    attempt = batches.Batches.execute

    def counted(self: batches.Batches, given: list[Job]) -> None:
        looked.extend(job for job in given if isinstance(job, Poll))
        attempt(self, given)

    monkeypatch.setattr(batches.Batches, "execute", counted)
    with SqliteService(":memory:") as service:
        assert service.poll_for_decision_task("floto", "", 0.3) is None
    assert len(looked) == 1


def test_details_are_stored_as_data(tmp_path: Path) -> None:
    clock = Clock()
    with SqliteService(tmp_path / "db", clock=clock) as service:
        run = start(service)
        schedule(service, "a", heartbeat_timeout="60")
        work = service.poll_for_activity_task("floto", HALF, 0)
        assert work is not None
        assert service.record_activity_task_heartbeat(work.token, HALF) is False
    with SqliteService(tmp_path / "db", clock=clock) as service:
        clock.advance(61)
        assert decision(service).execution == run
        timed_out = service.history(run)[-3]
        assert timed_out.data.details == HALF


def test_unpaired_surrogates_in_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ServiceFault, match="ValidationException"):
        SqliteService(tmp_path / "db", HALF)
    with SqliteService(tmp_path / "db") as service:
        run = start(service)
        task = decision(service)
        wrong: list[Callable[[], object]] = [
            lambda: service.poll_for_decision_task(HALF, "", 0),
            lambda: service.poll_for_activity_task(HALF, "", 0),
            lambda: service.signal_workflow_execution(HALF, "s"),
            lambda: service.latest_execution(HALF),
            lambda: service.history(WorkflowExecution("wf", HALF)),
            lambda: service.prepare([WorkflowType(HALF, "1")], []),
            lambda: start(service, HALF),
            lambda: service.start_workflow_execution(
                StartRequest(workflow_id="x", workflow_type=WORKFLOW, task_list=HALF)
            ),
            lambda: service.respond_decision_task_completed(
                task.token,
                [
                    ScheduleActivityTask(
                        activity_type=ActivityType(HALF, "1"), activity_id="a", task_list=TaskList(HALF)
                    )
                ],
            ),
        ]
        for call in wrong:
            with pytest.raises(ServiceFault, match="ValidationException"):
                call()
        assert len(service.history(run)) == 3
