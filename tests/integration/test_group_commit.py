"""Group commit: what a transaction leaves in memory and in the file, however it ends."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest
from attrs import define

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.sql import writes
from floto.adapters.sqlite.store import SqliteStore
from floto.core.engine.stores.open_runs import OpenRuns
from tests.integration.test_sqlite_helpers import (
    SOON,
    activity,
    hear,
    names,
    process,
    schedule,
    start,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def store_of(service: SqliteService) -> SqliteStore:
    """The store that writes."""
    return service._host.store  # noqa: SLF001 - what a process has in memory shows nowhere else


def open_runs(service: SqliteService) -> OpenRuns:
    """The open runs of a service, after it has read what others have committed."""
    service._host.read(lambda _now: None)  # noqa: SLF001 - as above
    return store_of(service).open_runs()


def keep_no_closed_run(path: Path) -> None:
    """Make the domain one without retention, as no service does once it is registered."""
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute("UPDATE domains SET retention = 'NONE'").rowcount == 1


@define
class Clock:
    """A clock that tests set."""

    now: datetime = T0

    def __call__(self) -> datetime:
        return self.now


def test_run_deleted_before_another_process_saw_its_close_is_not_open_there(tmp_path: Path) -> None:
    clock = Clock()
    with (
        SqliteService(tmp_path / "db", clock=clock) as service,
        SqliteService(tmp_path / "db", clock=clock) as other,
    ):
        keep_no_closed_run(tmp_path / "db")
        start(service)
        schedule(service, "a")
        assert open_runs(other).run_id("floto", "wf")
        service.terminate_workflow_execution("wf")
        assert service.latest_execution("wf") is None
        # Its timeout is then due, and its task can be claimed, in the memory of a process that missed the close.
        clock.now += timedelta(days=400)
        assert open_runs(other).run_id("floto", "wf") is None
        assert other.poll_for_activity_task("floto", "", 0) is None
        again = start(other)
        assert names(service, again) == ["WorkflowExecutionStarted", "DecisionTaskScheduled"]


def test_commit_after_a_deletion_is_seen_by_the_process_that_deleted(tmp_path: Path) -> None:
    clock = Clock()
    with (
        SqliteService(tmp_path / "db", clock=clock) as service,
        SqliteService(tmp_path / "db", clock=clock) as other,
    ):
        keep_no_closed_run(tmp_path / "db")
        start(service, "closes")
        clock.now += timedelta(days=200)
        start(service, "kept")
        # The timeout of the first closes it, and the same transaction deletes it.
        clock.now += timedelta(days=200)
        service.poll_for_activity_task("floto", "", 0)
        run = start(other, "new")
        assert open_runs(service).run_id("floto", "new") == run.run_id


def redelivered(tmp_path: Path, *activity_ids: str) -> None:
    """Make a run whose activities were claimed by a process that has gone."""
    with SqliteService(tmp_path / "db") as gone:
        start(gone)
        schedule(gone, *activity_ids)
        for _ in activity_ids:
            activity(gone)


def failing_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that fails at its first call, as if the disk were full for a moment."""
    calls = []

    def fail(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        return function(*arguments)

    return fail


def test_run_is_read_again_after_its_redelivery_was_rolled_back(tmp_path: Path) -> None:
    redelivered(tmp_path, "a", "b")
    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "db") as other:
        store, engine = store_of(service), service._host.engine  # noqa: SLF001 - a transaction of its own

        def claim_both(now: datetime) -> None:
            for _ in range(2):
                assert engine.poll_activity("floto", "floto", "", now)
            message = "on purpose"
            raise ValueError(message)

        with pytest.raises(ValueError, match="on purpose"):
            service._host.write(claim_both)  # noqa: SLF001 - as above
        other.signal_workflow_execution("wf", "one")
        service.signal_workflow_execution("wf", "two")
        execution = next(iter(store.open_runs())).execution
        signals = [
            event.data.signal_name for event in other.history(execution) if hasattr(event.data, "signal_name")
        ]
        assert signals == ["one", "two"]


def test_interrupt_after_the_commit_hides_no_commit_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "db") as other:
        start(service, "first")
        with monkeypatch.context() as patched:
            patched.setattr(SqliteStore, "_keep_all", interrupted)
            with pytest.raises(KeyboardInterrupt):
                start(service, "second")
        assert open_runs(other).run_id("floto", "second")
        start(service, "third")
        for each in (service, other):
            assert all(open_runs(each).run_id("floto", id) for id in ("first", "second", "third"))


def test_interrupt_before_the_rollback_leaves_nothing_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service, "first")
        with monkeypatch.context() as patched:
            patched.setattr(SqliteStore, "_write", interrupted)
            patched.setattr(SqliteStore, "_roll_back", interrupted)
            with pytest.raises(KeyboardInterrupt):
                start(service, "second")
        assert open_runs(service).run_id("floto", "second") is None
        start(service, "second")


def interrupted(*_arguments: Any, **_named: Any) -> None:
    raise KeyboardInterrupt


def test_redelivery_that_could_not_be_written_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service)
        schedule(service, "a")
        with process(tmp_path / "db", "say(activity(service).token); hear()") as child:
            token = hear(child)
            service._host.read(lambda _now: None)  # noqa: SLF001 - knows the owner
            monkeypatch.setattr(writes, "write_work", failing_once(writes.write_work))
            child.kill()
            child.wait(SOON)
        monkeypatch.setattr("floto.adapters.sqlite.batches._RECOVER_SECONDS", 0.1)
        assert eventually_claimed(service) == token


def eventually_claimed(service: SqliteService) -> str:
    """The token of the next activity task, although the disk may be full at first."""
    for _ in range(20):
        try:
            task = service.poll_for_activity_task("floto", "", 2)
        except floto.ServiceUnavailable:
            continue
        if task is not None:
            return task.token
    return ""
