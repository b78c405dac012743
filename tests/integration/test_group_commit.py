"""Group commit: what a transaction leaves in memory and in the file, however it ends."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage import rows
from floto.adapters.sqlite.storage.store import SqliteStore
from floto.core.engine.commands import TerminateWorkflowExecution
from floto.core.engine.run import ToWorkflow
from floto.core.engine.stores.open_runs import OpenRuns
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import TaskKind
from floto.core.swf.decisions import (
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    Decision,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import TaskList, WorkflowType
from tests.integration.contract.clock import Clock
from tests.integration.test_sqlite_helpers import (
    ACTIVITY,
    SOON,
    WORKFLOW,
    activity,
    decision,
    hear,
    names,
    process,
    schedule,
    start,
    store_of,
    until,
)


def open_runs(service: SqliteService) -> OpenRuns:
    """The open runs of a service, after it has read what others have committed."""
    service._host.read(lambda _now: None)  # noqa: SLF001 - reads what others wrote
    return store_of(service).open_runs()


def keep_no_closed_run(path: Path) -> None:
    """Make the domain one without retention, as no service does once it is registered."""
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute("UPDATE domains SET retention = 'NONE'").rowcount == 1


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
        # Its timeout is then due, and its task can be claimed, if another process missed the close.
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
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
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
        assert [name for name in signals if name] == ["one", "two"]


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
            monkeypatch.setattr(rows, "write_work", failing_once(rows.write_work))
            child.kill()
            child.wait(SOON)
        monkeypatch.setattr("floto.adapters.sqlite.recovery._RECOVER_SECONDS", 0.1)
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


def standing(service: SqliteService, workflow_id: str = "wf") -> dict[int, tuple[Any, ...]]:
    """The open tasks and deadlines of a run by event; of each task, whether it has an owner."""
    known = open_runs(service)
    run_id = known.run_id("floto", workflow_id)
    run = None if run_id is None else known.get(run_id)
    assert run is not None
    return {
        id: (
            id in run.tasks and evolve(run.tasks[id], lease=None if run.tasks[id].lease is None else "one"),
            id in run.dues and (run.dues[id].at, run.dues[id].rank),
        )
        for id in sorted({*run.tasks, *run.dues})
    }


def live_a_day(service: SqliteService, clock: Clock, items: int) -> None:
    """Make a run with activities and timers, and let happen to it what may happen."""
    request = StartRequest(workflow_id="wf", workflow_type=WORKFLOW, priority="3")
    service.start_workflow_execution(request)
    activities = [
        ScheduleActivityTask(
            activity_type=ACTIVITY,
            activity_id=f"a{number}",
            task_list=TaskList(f"list {number % 2}"),
            task_priority=str(number % 3),
            heartbeat_timeout="600",
            start_to_close_timeout=str(3000 + number),
        )
        for number in range(items)
    ]
    timers = [
        StartTimer(timer_id=f"t{number}", start_to_fire_timeout=str(5000 + number)) for number in range(items)
    ]
    service.respond_decision_task_completed(decision(service).token, [*activities, *timers])
    tokens = []
    for _ in range(5):
        clock.now += timedelta(seconds=1)
        task = service.poll_for_activity_task("list 0", "", SOON)
        assert task is not None
        tokens.append(task.token)
    service.respond_activity_task_completed(tokens[0], None)
    service.record_activity_task_heartbeat(tokens[1], "half")
    service.give_back(tokens[2])
    # The clock goes back: what begins now is due earlier than the times of its events say.
    clock.now -= timedelta(hours=1)
    assert service.poll_for_activity_task("list 1", "", SOON)
    service.signal_workflow_execution("wf", "s")
    timer = next(id for id, (task, _) in standing(service).items() if not task and id > 1)
    (due,) = (each for each in open_runs(service).deadlines() if each.event_id == timer)
    until = due.at + timedelta(hours=1)
    service._host.write(lambda _now: store_of(service).postpone(due, until))  # noqa: SLF001 - as if it failed
    service.give_back(decision(service).token)


@pytest.mark.parametrize("items", [10, 100])
def test_tasks_deadlines_and_owners_are_the_same_in_every_process_and_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, items: int
) -> None:
    found = []
    for name, most in (("complete", 10_000), ("wide", 8)):
        monkeypatch.setattr(rows, "_MOST", most)
        clock = Clock()
        with SqliteService(tmp_path / name, clock=clock) as service:
            live_a_day(service, clock, items)
            with SqliteService(tmp_path / name, clock=clock) as other:
                found += [standing(service), standing(other)]
                service.signal_workflow_execution("wf", "s")
                found.append(standing(other))
        with SqliteService(tmp_path / name, clock=clock) as again:
            found.append(standing(again))
    by_form = found[:4], found[4:]
    assert [len(each) for each in by_form[0]] == [len(each) for each in by_form[1]]
    for complete, wide in zip(*by_form, strict=True):
        assert wide == complete
    assert found[0] == found[1] == found[2]


def test_tasks_of_a_wide_run_whose_owner_is_killed_are_redelivered(tmp_path: Path) -> None:
    script = """
for number in range(3):
    say(service.poll_for_activity_task('floto', '', 40).token)
service.signal_workflow_execution('wf', 's')
say(service.poll_for_decision_task('floto', '', 40).token)
hear()
"""
    with SqliteService(tmp_path / "db") as service:
        start(service)
        schedule(service, *map(str, range(200)))
        with process(tmp_path / "db", script) as child:
            tokens = [hear(child) for _ in range(4)]
            child.kill()
            child.wait(SOON)
        with SqliteService(tmp_path / "db") as again:
            assert [activity(again).token for _ in range(3)] == tokens[:3]
            assert decision(again).token == tokens[3]
            assert activity(service).activity_id == "3"


def contents(service: SqliteService) -> dict[str, Any]:
    """The open runs of a service with their tasks, owners and deadlines, and the next task of each queue."""
    known = open_runs(service)
    runs = {
        run.execution: (
            run.number,
            run.parent,
            dict(sorted(run.tasks.items())),
            {id: (due.at, due.rank) for id, due in sorted(run.dues.items())},
        )
        for run in known
    }
    queues = {task_queue: known.next_task(task_queue) for task_queue in _PLACES}
    children = {execution.run_id: known.children(execution.run_id) for execution in runs}
    return {
        "runs": runs,
        "queues": queues,
        "children": {run_id: ids for run_id, ids in children.items() if ids},
        "count": known.count("floto"),
        "deadlines": known.deadlines(),
        "due": known.next_deadline(),
    }


_PLACES = [TaskQueue("floto", kind, "floto") for kind in (TaskKind.DECISION, TaskKind.ACTIVITY)]


@define
class Pair:
    """Two services on one file, and operations that are executed by one of them."""

    path: Path
    clock: Clock
    services: list[SqliteService] = field(factory=list)
    tokens: list[str] = field(factory=list)
    decision_tokens: list[str] = field(factory=list)

    def start(self, service: SqliteService, number: int) -> None:
        start(service, f"w{number}")

    def signal(self, service: SqliteService, number: int) -> None:
        service.signal_workflow_execution(f"w{number}", "s")

    def terminate(self, service: SqliteService, number: int) -> None:
        service.terminate_workflow_execution(f"w{number}")

    def claim_decision(self, service: SqliteService, _number: int) -> None:
        task = service.poll_for_decision_task("floto", "", 0)
        self.decision_tokens += [] if task is None else [task.token]

    def decide(self, service: SqliteService, number: int) -> None:
        child = StartChildWorkflowExecution(workflow_id=f"w{number + 1}", workflow_type=WORKFLOW)
        choices: list[list[Decision]] = [
            [
                ScheduleActivityTask(
                    activity_type=ACTIVITY,
                    activity_id=str(id),
                    task_priority=str(id % 3),
                    heartbeat_timeout="50",
                )
                for id in range(5)
            ],
            [StartTimer(timer_id=str(id), start_to_fire_timeout=str(20 * id)) for id in range(5)],
            [child, StartTimer(timer_id="t", start_to_fire_timeout="9")],
            [ContinueAsNewWorkflowExecution()],
            [CompleteWorkflowExecution()],
        ]
        self.claim_decision(service, number)
        if self.decision_tokens:
            token = self.decision_tokens.pop(number % len(self.decision_tokens))
            service.respond_decision_task_completed(token, choices[number])

    def claim(self, service: SqliteService, _number: int) -> None:
        task = service.poll_for_activity_task("floto", "", 0)
        self.tokens += [] if task is None else [task.token]

    def report(self, service: SqliteService, number: int) -> None:
        if self.tokens:
            service.respond_activity_task_completed(self.tokens.pop(number % len(self.tokens)), None)

    def beat(self, service: SqliteService, number: int) -> None:
        if self.tokens:
            service.record_activity_task_heartbeat(self.tokens[number % len(self.tokens)], str(number))

    def give_back(self, service: SqliteService, number: int) -> None:
        if self.tokens:
            service.give_back(self.tokens[number % len(self.tokens)])

    def fail(self, service: SqliteService, number: int) -> None:
        """A transaction that changes and claims much, and is rolled back."""
        engine = service._host.engine  # noqa: SLF001 - as a call that fails late

        def changed(now: datetime) -> None:
            for _ in range(3):
                engine.poll_decision("floto", "floto", "", now)
                engine.poll_activity("floto", "floto", "", now)
            engine.send("floto", ToWorkflow(f"w{number}"), TerminateWorkflowExecution(), now)
            raise ZeroDivisionError

        with suppress(ZeroDivisionError):
            service._host.write(changed)  # noqa: SLF001 - as above

    def refuse(self, service: SqliteService, number: int) -> None:
        """A call that is refused after it has changed much, in a transaction with others."""
        engine = service._host.engine  # noqa: SLF001 - as a call that is refused late

        def changed(now: datetime) -> None:
            engine.poll_activity("floto", "floto", "", now)
            engine.send("floto", ToWorkflow(f"w{number}"), TerminateWorkflowExecution(), now)
            engine.send("floto", ToWorkflow("unknown"), TerminateWorkflowExecution(), now)

        service._host.write(changed)  # noqa: SLF001 - as above

    def reopen(self, _service: SqliteService, number: int) -> None:
        """Close a service: its tasks are redelivered."""
        self.services[number % 2].close()
        self.services[number % 2] = SqliteService(self.path, clock=self.clock, durability="normal")

    def wait(self, _service: SqliteService, number: int) -> None:
        self.clock.now += timedelta(seconds=7**number)

    def set_back(self, _service: SqliteService, number: int) -> None:
        self.clock.now -= timedelta(seconds=10 * number)


_OPERATIONS = sorted(name for name, each in vars(Pair).items() if callable(each) and not name.startswith("_"))


@example([("decide", 0, 0), ("claim", 0, 0), ("wait", 0, 0), ("beat", 0, 0)], 0, None)
@given(
    st.lists(
        st.tuples(st.sampled_from(_OPERATIONS), st.integers(0, 1), st.integers(0, 4)), min_size=8, max_size=40
    ),
    st.sampled_from([0, 6, 64]),
    st.sampled_from(["NONE", None]),
)
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=40)
def test_two_services_on_a_file_know_the_same_as_one_that_opens_it(
    operations: list[tuple[str, int, int]], most: int, retention: str | None
) -> None:
    clock = Clock()
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patched:
        patched.setattr(rows, "_MOST", most)
        path = Path(directory) / "db"
        pair = Pair(path, clock, [SqliteService(path, clock=clock, durability="normal") for _ in range(2)])
        if retention is not None:
            keep_no_closed_run(path)
        for number in range(3):
            pair.start(pair.services[number % 2], number)
        for name, which, number in operations:
            with suppress(floto.ServiceFault):
                getattr(pair, name)(pair.services[which], number)
            with SqliteService(path, clock=clock, durability="normal") as third:
                # Each fires what is due.
                for service in (third, *pair.services):
                    open_runs(service)
                found = [contents(service) for service in (third, *pair.services)]
            assert found[1] == found[0], name
            assert found[2] == found[0], name
        for service in pair.services:
            service.close()


def test_killed_processes_leave_every_acknowledged_call_and_no_owned_task() -> None:
    assert kills("--kills", "12") >= 12


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2"])
def test_200_killed_processes_leave_every_acknowledged_call_and_no_owned_task(seed: str) -> None:
    assert kills("--kills", "200", "--seed", seed) >= 200


def kills(*options: str) -> int:
    """Run ``tests.kills`` and return the number of killed processes."""
    command = [sys.executable, "-m", "tests.kills", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return int(done.stdout.partition(" ")[0])


def test_types_that_were_rolled_back_are_registered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = StartRequest(workflow_id="a", workflow_type=WorkflowType("new", "1"))
    with SqliteService(tmp_path / "db") as service, ThreadPoolExecutor() as threads:
        host = service._host  # noqa: SLF001 - so that two calls share a transaction
        with monkeypatch.context() as patched:
            patched.setattr(SqliteStore, "_write", failing_once(SqliteStore._write))  # noqa: SLF001 - as a disk
            with host._using:  # noqa: SLF001 - as above
                threads.submit(host.read, lambda _now: None)
                until(lambda: host._commits._has_leader and not host._commits._queue)  # noqa: SLF001 - as above
                requests = [new, evolve(new, workflow_id="b")]
                both = [threads.submit(service.start_workflow_execution, each) for each in requests]
                until(lambda: len(host._commits._queue) == 2)  # noqa: SLF001 - as above
            assert all(isinstance(each.exception(), floto.ServiceUnavailable) for each in both)
        service.start_workflow_execution(new)
