"""Group commit: what a transaction leaves in memory and in the file, however it ends."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from attrs import define, evolve, field, frozen
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage import rows
from floto.adapters.sqlite.storage.store import SqliteStore
from floto.core.engine.commands import StartWorkflowExecution, TerminateWorkflowExecution
from floto.core.engine.embedded import Decided
from floto.core.engine.run import ChangedKeys, ToWorkflow
from floto.core.engine.stores.open_runs import OpenRuns
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import TaskKind
from floto.core.spec.nested_specs import nested_tasks
from floto.core.state.fold import fold
from floto.core.swf.decisions import (
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    Decision,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.pollers import PollKind
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask, StartRequest
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType
from floto.core.swf.wire import event_to_swf
from floto.testing.strategies import specs
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
)


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


@define
class Rule:
    """Decides at once what ``rule`` returns."""

    rule: Callable[[PolledDecisionTask], Sequence[Decision]]
    is_stopped: bool = False
    kept: list[str] = field(factory=list)
    reported: list[str] = field(factory=list)

    def decide(self, task: PolledDecisionTask, *_known: Any) -> Decided:
        workflow_id = task.execution.workflow_id
        return Decided(self.rule(task), lambda: self.kept.append(workflow_id))

    def decided(self, task: PolledDecisionTask) -> None:
        self.reported.append(task.execution.workflow_id)


def complete(_task: PolledDecisionTask) -> Sequence[Decision]:
    return [CompleteWorkflowExecution()]


def pending(service: SqliteService, rule: Rule, task_list: str = "floto", wait: float = SOON) -> Any:
    """Poll in another thread, which does not keep the test alive, and wait until the poll is pending."""
    found: SimpleQueue[PolledDecisionTask | None] = SimpleQueue()
    polling = partial(service.poll_and_decide, task_list, "", wait, rule)
    threading.Thread(target=lambda: found.put(polling()), daemon=True).start()
    queue, task_queue = service._host._wait_queue, TaskQueue("floto", TaskKind.DECISION, task_list)  # noqa: SLF001
    until(lambda: task_queue in queue.all_task_queues())
    return found


def until(is_true: Callable[[], Any]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + SOON
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_poll_gets_the_task_whose_response_at_once_fails_after_it_has_written_rows(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        # The types are registered, and then the response is refused.
        new, refused = ActivityType("new", "1"), ScheduleActivityTask(activity_type=ACTIVITY, activity_id="")
        wrong = [ScheduleActivityTask(activity_type=new, activity_id="a"), refused]
        found = pending(service, Rule(lambda _task: wrong))
        run = start(service)
        task = found.get(timeout=SOON / 2)
        assert task.execution == run
        service.respond_decision_task_completed(task.token, [CompleteWorkflowExecution()])
        assert names(service, run)[-1] == "WorkflowExecutionCompleted"


def test_poll_whose_time_is_over_reports_what_was_decided_meanwhile(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        ended = threading.Event()

        def late(_task: PolledDecisionTask) -> Sequence[Decision]:
            ended.wait(2)
            return [CompleteWorkflowExecution()]

        first = Rule(complete)
        found = pending(service, first, "first", wait=0.5)
        pending(service, Rule(late), "late")

        def start_both(now: datetime) -> None:
            for id in ("first", "late"):
                command = StartWorkflowExecution(
                    workflow_id=id, workflow_type=WORKFLOW, task_list=TaskList(id)
                )
                service._host.engine.start("floto", command, id, now)  # noqa: SLF001 - in one transaction

        service.prepare([WORKFLOW], [])
        with ThreadPoolExecutor() as threads:
            starting = threads.submit(service._host.write, start_both)  # noqa: SLF001 - as above
            found.get(timeout=SOON)
            ended.set()
            starting.result()
        assert first.reported == first.kept == ["first"]


def test_stopped_decider_decides_no_more_and_its_poll_ends(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        rule = Rule(complete)
        found = pending(service, rule)
        start(service, "one")
        until(lambda: rule.reported)
        rule.is_stopped = True
        run = start(service, "two")
        assert found.get(timeout=SOON / 2) is None
        assert names(service, run) == ["WorkflowExecutionStarted", "DecisionTaskScheduled"]
        # Another decider of the task list decides.
        assert decision(service).execution == run


def test_stopped_decider_leaves_a_decision_task_to_the_next_one(tmp_path: Path) -> None:
    spec = floto.DeciderSpec(activity_tasks=(floto.Timer(id_="t", delay_in_seconds=0),))
    with SqliteService(tmp_path / "db") as service:
        decider = floto.Decider(spec, service=service, poll_seconds=SOON)
        thread = threading.Thread(target=decider.run, daemon=True)
        thread.start()
        until(service._host._wait_queue.all_task_queues)  # noqa: SLF001 - its poll is pending
        decider.stop()
        run = start(service)
        thread.join(SOON / 2)
        assert not thread.is_alive()
        assert names(service, run) == ["WorkflowExecutionStarted", "DecisionTaskScheduled"]


def test_responses_that_were_rolled_back_are_not_remembered(tmp_path: Path) -> None:
    spec = floto.DeciderSpec(activity_tasks=(floto.Timer(id_="t", delay_in_seconds=999),))
    with SqliteService(tmp_path / "db") as service:
        decider = floto.Decider(spec, service=service, poll_seconds=SOON)
        deciding = decider._at_once  # noqa: SLF001 - the memory of responses shows nowhere else
        for number in range(3):
            start(service, str(number))
            task = decision(service)
            assert deciding.decide(task, fold(task.events), ChangedKeys()) is not None
        assert not deciding._responses  # noqa: SLF001 - as above


@frozen
class Own:
    """A retry strategy of a user, which records the threads that execute it."""

    threads: ClassVar[list[threading.Thread]] = []

    def delay(self, _retry: floto.Retry) -> float:
        self.threads.append(threading.current_thread())
        return 0


def test_strategy_of_a_user_is_executed_by_the_thread_of_the_decider_only(tmp_path: Path) -> None:
    task = floto.ActivityTask(id_="a", name="act", version="1", retry_strategy=Own())
    codec = floto.CODEC.with_type("own", Own)
    with SqliteService(tmp_path / "db") as service:
        decider = floto.Decider(floto.DeciderSpec(activity_tasks=(task,)), service=service, codec=codec)
        thread = threading.Thread(target=decider.run, daemon=True)
        thread.start()
        start(service)
        service.respond_activity_task_failed(activity(service).token, "r", "d")
        activity(service)
        decider.stop()
        thread.join(SOON)
        assert set(Own.threads) == {thread}


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


class Elsewhere:
    """A service that is not in this process, as far as a decider can see."""

    def __init__(self, service: SqliteService) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


@define
class Playing:
    """A run of a spec with a clock, run ids and outcomes that do not depend on who decides."""

    service: SqliteService
    decider: floto.Decider
    clock: Clock
    is_at_once: bool
    signals: Sequence[str]

    def play(self, script: Sequence[int]) -> list[Any]:
        """Start the run, let happen what the script says, and return all histories."""
        self.service.start_workflow_execution(StartRequest(workflow_id="w", workflow_type=WORKFLOW))
        self._decide_all()
        for number in script:
            (self._complete, self._complete, self._fail, self._wait, self._signal)[number % 5](number)
            self._decide_all()
        store = store_of(self.service)
        with closing(store._db.execute("SELECT run_id FROM runs ORDER BY number")) as rows:  # noqa: SLF001 - all
            run_ids = [run_id for (run_id,) in rows]
        return [[event_to_swf(event) for event in store.history(run_id)] for run_id in run_ids]

    def _lists(self, kind: PollKind) -> list[str]:
        return [each.task_list for each in self.service.live().backlogs if each.kind is kind and each.waiting]

    def _decide_all(self) -> None:
        while lists := self._lists(PollKind.DECISIONS):
            for task_list in lists:
                while (task := self._decision(task_list)) is not None:
                    self.decider._handle(task)  # noqa: SLF001 - without the threads of its loop

    def _decision(self, task_list: str) -> PolledDecisionTask | None:
        if self.is_at_once:
            at_once = self.decider._at_once  # noqa: SLF001 - as above
            return self.service.poll_and_decide(task_list, "d", 0, at_once)
        return self.service.poll_for_decision_task(task_list, "d", 0)

    def _activity(self) -> PolledActivityTask | None:
        lists = self._lists(PollKind.ACTIVITIES)
        return self.service.poll_for_activity_task(lists[0], "w", 0) if lists else None

    def _complete(self, number: int) -> None:
        task = self._activity()
        if task is not None:
            self.service.respond_activity_task_completed(task.token, json.dumps({"n": number}))

    def _fail(self, number: int) -> None:
        task = self._activity()
        if task is not None:
            self.service.respond_activity_task_failed(task.token, "Final" if number % 2 else "r", None)

    def _wait(self, _number: int) -> None:
        due = store_of(self.service).next_deadline()
        self.clock.now = self.clock.now if due is None else max(self.clock.now, due.at)

    def _signal(self, number: int) -> None:
        if self.signals:
            with suppress(floto.ServiceFault):
                self.service.signal_workflow_execution("w", self.signals[number % len(self.signals)], "1")


def note(told: list[Any], decisions: Sequence[Decision], error: Exception | None) -> None:
    """Note what a listener gets."""
    told.append((list(decisions), repr(error)))


@given(specs(), st.lists(st.integers(0, 99), max_size=30))
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
def test_history_that_is_decided_at_once_is_that_of_separate_calls(
    spec: floto.DeciderSpec, script: list[int]
) -> None:
    names = [task.signal_name for task in nested_tasks(spec) if isinstance(task, floto.Signal)]
    found = []
    for is_at_once in (True, False):
        clock: Clock = Clock()
        told: list[Any] = []
        with (
            SqliteService(":memory:", clock=clock) as service,
            pytest.MonkeyPatch.context() as patched,
        ):
            patched.setattr("floto.adapters.sqlite.service.secrets.token_bytes", bytes)
            decider = floto.Decider(
                spec,
                service=service if is_at_once else Elsewhere(service),
                listener=partial(note, told),
            )
            assert (decider._embedded is service) is is_at_once  # noqa: SLF001 - else this tests nothing
            found.append((Playing(service, decider, clock, is_at_once, names).play(script), told))
    assert found[0] == found[1]


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


@pytest.mark.parametrize(
    "error", [OSError(28, "no space left on device"), UnicodeEncodeError("ascii", "ä", 0, 1, "")]
)
def test_error_of_a_listener_is_no_error_of_the_service(tmp_path: Path, error: Exception) -> None:
    def broken(*_arguments: Any) -> None:
        raise error

    spec = floto.DeciderSpec(activity_tasks=(floto.Timer(id_="t", delay_in_seconds=9),))
    with SqliteService(tmp_path / "db") as service:
        start(service)
        decider = floto.Decider(spec, service=service, listener=broken)
        with pytest.raises(type(error)) as raised:
            decider.run()
        assert raised.value is error
