"""Many threads and processes on one file: polls that wait, and processes that die."""

from __future__ import annotations

import math
import random
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from floto.adapters.sqlite import SqliteService, recovery
from floto.adapters.sqlite.operations import SqliteOperations
from floto.core.engine.stores.backlogs import redelivered
from floto.core.errors import UnknownResource
from floto.core.state.fold import fold
from floto.core.swf.decisions import (
    CompleteWorkflowExecution,
    Decision,
    RequestCancelActivityTask,
    ScheduleActivityTask,
    StartTimer,
)
from floto.core.swf.events import ActivityTaskCompleted, ActivityTaskScheduled, WorkflowExecutionCompleted
from tests.integration.test_sqlite_helpers import (
    ACTIVITY,
    SOON,
    activity,
    decision,
    hear,
    names,
    pending_polls,
    process,
    say,
    schedule,
    start,
    store_of,
    until,
)


def test_96_pending_poll_gets_a_task_of_its_own_process_at_once(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service, ThreadPoolExecutor() as threads:
        waiting = threads.submit(decision, service)
        until(lambda: pending_polls(service) == 1)
        began = time.monotonic()
        start(service)
        assert waiting.result().execution.workflow_id == "wf"
        assert time.monotonic() - began < SOON / 2


def test_poll_may_wait_for_ever(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service, ThreadPoolExecutor() as threads:
        waiting = threads.submit(service.poll_for_activity_task, "floto", "", math.inf)
        until(lambda: waiting.done() or pending_polls(service))
        start(service)
        schedule(service, "a")
        task = waiting.result()
        assert task is not None
        assert task.activity_id == "a"


def test_96_pending_poll_gets_a_task_of_another_process(tmp_path: Path) -> None:
    script = "say('ready'); hear(); start(service); say(time.time()); hear()"
    with (
        SqliteService(tmp_path / "db") as service,
        ThreadPoolExecutor() as threads,
        process(tmp_path / "db", script) as child,
    ):
        assert hear(child) == "ready"
        waiting = threads.submit(decision, service)
        until(lambda: pending_polls(service) == 1)
        say(child, "go")
        assert waiting.result().execution.workflow_id == "wf"
        assert time.time() - float(hear(child)) < SOON / 2


def test_96_pending_poll_fires_due_deadlines(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        run = start(service)
        timer = StartTimer(timer_id="t", start_to_fire_timeout="1")
        began = time.monotonic()
        service.respond_decision_task_completed(decision(service).token, [timer])
        assert "TimerFired" in [type(event.data).__name__ for event in decision(service).events]
        assert 0.5 < time.monotonic() - began < SOON / 2
        fired = service.history(run)[-3]
        assert 0 <= (fired.at - service.history(run)[4].at).total_seconds() - 1 < SOON / 2


def test_96_two_processes_do_not_claim_the_same_task(tmp_path: Path) -> None:
    path, count = tmp_path / "db", 20
    with SqliteService(path) as one, SqliteService(path) as two, ThreadPoolExecutor(16) as threads:
        start(one)
        polls = [
            threads.submit(service.poll_for_activity_task, "floto", "", 3)
            for service in (one, two)
            for _ in range(8)
        ]
        schedule(one, *map(str, range(count)))
        rest = [one.poll_for_activity_task("floto", "", 0) for _ in range(count)]
        tasks = [poll.result() for poll in polls] + rest
        got = [task.activity_id for task in tasks if task is not None]
        assert sorted(got, key=int) == [str(n) for n in range(count)]


def test_close_ends_pending_polls(tmp_path: Path) -> None:
    service = SqliteService(tmp_path / "db")
    with ThreadPoolExecutor() as threads:
        polls = [threads.submit(service.poll_for_decision_task, "floto", "", 60) for _ in range(3)]
        until(lambda: pending_polls(service) == 3)
        began = time.monotonic()
        service.close()
        assert [poll.result() for poll in polls] == [None, None, None]
        assert time.monotonic() - began < 30


def test_an_idle_poll_neither_writes_nor_locks(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service, ThreadPoolExecutor() as threads:
        waiting = threads.submit(service.poll_for_decision_task, "floto", "", 0.5)
        db = sqlite3.connect(tmp_path / "db", isolation_level=None, timeout=0)
        before = db.execute("PRAGMA data_version").fetchone()
        while not waiting.done():
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
            time.sleep(0.01)
        assert db.execute("PRAGMA data_version").fetchone() == before
        db.close()


HOLD = """
task = {poll}(service)
say(task.token)
hear()
"""


@pytest.mark.parametrize("kind", ["decision", "activity"])
def test_task_of_a_killed_process_is_redelivered(tmp_path: Path, kind: str) -> None:
    with SqliteService(tmp_path / "db") as service:
        run = start(service)
        if kind == "activity":
            schedule(service, "a")
        with process(tmp_path / "db", HOLD.format(poll=kind)) as child:
            token = hear(child)
            assert token
            poll = decision if kind == "decision" else activity
            before = service.history(run)
            assert_alone(service)
            child.send_signal(signal.SIGKILL)
            child.wait()
        began = time.monotonic()
        again = poll(service)
        assert time.monotonic() - began < 30
        assert again.token == token
        assert again.started_event_id == before[-1].id
        assert service.history(run) == before
        assert_alone(service)
        if kind == "activity":
            service.respond_activity_task_completed(token, None)
        else:
            service.respond_decision_task_completed(token, [CompleteWorkflowExecution()])
        assert len(list(Path(f"{tmp_path / 'db'}.leases").glob("*.lock"))) == 1


def assert_alone(service: SqliteService) -> None:
    """A live process keeps its tasks, however long others look for dead ones."""
    assert service.poll_for_activity_task("floto", "", 2.5) is None
    assert service.poll_for_decision_task("floto", "", 0) is None


def test_task_of_a_killed_process_is_redelivered_at_once_after_restart(tmp_path: Path) -> None:
    with process(tmp_path / "db", "start(service)\n" + HOLD.format(poll="decision")) as child:
        token = hear(child)
        child.kill()
        child.wait()
    with SqliteService(tmp_path / "db") as service:
        task = service.poll_for_decision_task("floto", "", 0)
        assert task is not None
        assert task.token == token


def test_task_of_a_process_that_closed_the_file_is_listed_as_one_that_waits_again(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        run = start(service)
        schedule(service, "a")
        task = activity(service)
    with SqliteService(tmp_path / "db") as service:
        (found,) = redelivered(store_of(service).open_runs())
        assert found == (run.run_id, task.started_event_id - 1, None)


def test_task_that_was_running_at_three_crashes_is_named_when_it_is_timed_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with SqliteService(tmp_path / "db") as service:
        run = start(service)
        schedule(service, "a")
    for _ in range(3):
        assert "crashed" not in caplog.text
        with process(tmp_path / "db", HOLD.format(poll="activity")) as child:
            assert hear(child)
            child.kill()
            child.wait()
    with SqliteService(tmp_path / "db") as service:
        assert service.poll_for_activity_task("floto", "", 0) is None
        assert names(service, run)[-2:] == ["ActivityTaskTimedOut", "DecisionTaskScheduled"]
    assert "workflow 'wf': 3 or more processes that had task 'a' have crashed; it may be" in caplog.text
    assert "so it is timed out instead of started again" in caplog.text


HOLD_ALL = """
tasks = [activity(service) for _ in range({count})]
say(*(task.activity_id for task in tasks))
hear()
"""


def test_of_tasks_that_were_running_at_three_crashes_each_is_started_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with SqliteService(tmp_path / "db") as service:
        run = start(service)
        schedule(service, "a", "b", "c")
    for _ in range(3):
        assert "crashed" not in caplog.text
        with process(tmp_path / "db", HOLD_ALL.format(count=3)) as child:
            assert hear(child)
            child.kill()
            child.wait()
    with SqliteService(tmp_path / "db") as service, ThreadPoolExecutor() as threads:
        first = activity(service)
        assert caplog.text.count("so it is started again when no other such task runs in the process") == 3
        waiting = threads.submit(service.poll_for_activity_task, "floto", "", SOON)
        with process(tmp_path / "db", HOLD_ALL.format(count=1)) as child:
            culprit = hear(child)
            child.kill()
            child.wait()
        until(lambda: "ActivityTaskTimedOut" in names(service, run))
        assert not waiting.done()
        service.respond_activity_task_completed(first.token, None)
        last = waiting.result()
        assert last is not None
        assert sorted([first.activity_id, culprit, last.activity_id]) == ["a", "b", "c"]
        assert names(service, run).count("ActivityTaskTimedOut") == 1


def crashed(path: Path, *activity_ids: str) -> None:
    """Make a file whose activities were running together at three crashes."""
    with SqliteService(path) as service:
        start(service)
        schedule(service, *activity_ids)
    for _ in range(3):
        with process(path, HOLD_ALL.format(count=len(activity_ids))) as child:
            assert hear(child)
            child.kill()
            child.wait()


def test_suspects_wait_for_one_another_for_a_limited_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed(tmp_path / "db", "a", "b")
    monkeypatch.setattr(recovery, "_ALONE_SECONDS", 0.0)
    monkeypatch.setattr(recovery, "_RECOVER_SECONDS", 0.1)
    with SqliteService(tmp_path / "db") as service:
        assert sorted(activity(service).activity_id for _ in "ab") == ["a", "b"]


def test_clients_of_a_server_do_not_wait_for_the_suspect_of_another(tmp_path: Path) -> None:
    crashed(tmp_path / "db", "a", "b")
    with closing(SqliteOperations(tmp_path / "db", poll_seconds=SOON)) as operations:
        polled = {"domain": "floto", "taskList": {"name": "floto"}}
        found = [operations.call("PollForActivityTask", polled)["activityId"] for _ in "ab"]
        assert sorted(found) == ["a", "b"]


def test_redelivered_task_has_the_same_token(tmp_path: Path) -> None:
    first = SqliteService(tmp_path / "db")
    run = start(first)
    schedule(first, "a")
    task = activity(first)
    first.close()
    with SqliteService(tmp_path / "db") as second:
        second.signal_workflow_execution("wf", "s")
        cancel = RequestCancelActivityTask(activity_id="a")
        second.respond_decision_task_completed(decision(second).token, [cancel])
        assert activity(second) == task
        assert second.record_activity_task_heartbeat(task.token) is True
        second.respond_activity_task_canceled(task.token, None)
        with pytest.raises(UnknownResource):
            second.respond_activity_task_canceled(task.token, None)
        assert names(second, run).count("ActivityTaskStarted") == 1
        assert second.poll_for_activity_task("floto", "", 0) is None


def test_redelivered_decision_task_has_the_same_history(tmp_path: Path) -> None:
    first = SqliteService(tmp_path / "db")
    start(first)
    task = decision(first)
    first.signal_workflow_execution("wf", "s")
    first.close()
    with SqliteService(tmp_path / "db") as second:
        assert decision(second) == task
        second.respond_decision_task_completed(task.token, [])
        assert decision(second).previous_started_event_id == task.started_event_id


CHAIN = """
while True:
    task = service.poll_for_decision_task("floto", "", 0)
    if task is not None:
        id = str(time.time_ns())
        next = ScheduleActivityTask(activity_type=ACTIVITY, activity_id=id)
        service.respond_decision_task_completed(task.token, [next])
        say(id)
    work = service.poll_for_activity_task("floto", "", 0)
    if work is not None:
        service.respond_activity_task_completed(work.token, work.activity_id)
        say("done", work.activity_id)
"""


def test_acknowledged_calls_survive_kill_9(tmp_path: Path) -> None:
    path, dice = tmp_path / "db", random.Random(0)
    with SqliteService(path) as service:
        run = start(service)
    said: list[str] = []
    for _ in range(5):
        with process(path, CHAIN) as child:
            said.extend(hear(child) for _ in range(3))
            time.sleep(dice.uniform(0.0, 0.2))
            child.kill()
            assert child.stdout is not None
            said.extend(
                line.strip() for line in child.stdout.read().splitlines(keepends=True) if "\n" in line
            )
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    with SqliteService(path) as service:
        history = service.history(run)
    fold(history)
    scheduled = {e.data.activity_id for e in history if type(e.data) is ActivityTaskScheduled}
    completed = {str(e.data.result) for e in history if type(e.data) is ActivityTaskCompleted}
    assert len(said) > 10
    for line in said:
        word, _, id = line.partition(" ")
        assert id in completed if word == "done" else word in scheduled


def test_several_processes_share_the_work(tmp_path: Path) -> None:
    path, count = tmp_path / "db", 30
    worker = """
while (task := service.poll_for_activity_task("floto", "", 3)) is not None:
    service.respond_activity_task_completed(task.token, task.activity_id)
    say(task.activity_id)
say("end")
"""
    with SqliteService(path) as service:
        run = start(service)
        schedule(service, *map(str, range(count)))
        with process(path, worker) as one, process(path, worker) as two:
            done = [line for child in (one, two) for line in iter(lambda: hear(child), "end")]  # noqa: B023
        assert sorted(done, key=int) == [str(n) for n in range(count)]
        events = service.history(run)
        fold(events)
        completed = [str(e.data.result) for e in events if type(e.data) is ActivityTaskCompleted]
        assert sorted(completed, key=int) == [str(n) for n in range(count)]
        assert decision(service, SOON).previous_started_event_id == 3


def test_many_threads_complete_many_chains(tmp_path: Path) -> None:
    path, chains, steps = tmp_path / "db", 8, 5

    def open_runs(service: SqliteService) -> int:
        return service._host.read(lambda _now: store_of(service).count_open("floto"))  # noqa: SLF001

    def decide(service: SqliteService) -> None:
        while open_runs(service):
            if (task := service.poll_for_decision_task("floto", "", 0.2)) is None:
                continue
            done = sum(type(event.data) is ActivityTaskCompleted for event in task.events)
            following = ScheduleActivityTask(activity_type=ACTIVITY, activity_id=str(done))
            decision: Decision = CompleteWorkflowExecution() if done == steps else following
            service.respond_decision_task_completed(task.token, [decision])

    def work(service: SqliteService) -> None:
        while open_runs(service):
            if (task := service.poll_for_activity_task("floto", "", 0.2)) is not None:
                service.respond_activity_task_completed(task.token, task.activity_id)

    with SqliteService(path) as one, SqliteService(path) as two, ThreadPoolExecutor(8) as threads:
        runs = [start(one, str(n)) for n in range(chains)]
        loops = [threads.submit(loop, service) for loop in (decide, work) for service in (one, two) * 2]
        for loop in loops:
            loop.result()
        for run in runs:
            history = one.history(run)
            assert type(history[-1].data) is WorkflowExecutionCompleted
            assert [e.data.result for e in history if type(e.data) is ActivityTaskCompleted] == list("01234")
            fold(history)
