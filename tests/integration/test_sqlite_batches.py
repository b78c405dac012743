"""Threads that share a commit: new work goes with it, refusals stay alone, what was answered is there."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.wait_queue import Poll, WaitQueue
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import TaskKind
from floto.core.errors import ServiceError, ServiceUnavailable, UnknownResource
from floto.core.swf.decisions import CompleteWorkflowExecution, Decision, ScheduleActivityTask
from floto.core.swf.events import ActivityTaskCompleted
from floto.core.swf.service import StartRequest
from tests.integration.commands import wait_for
from tests.integration.test_sqlite_helpers import (
    ACTIVITY,
    WORKFLOW,
    activity,
    decision,
    hear,
    names,
    pending_polls,
    process,
    start,
)


@contextmanager
def writing(service: SqliteService) -> Iterator[list[str]]:
    """The transactions that write meanwhile."""
    begun: list[str] = []

    def traced(statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            begun.append(statement)

    db = service._host.store._db  # noqa: SLF001
    db.set_trace_callback(traced)
    yield begun
    db.set_trace_callback(None)


def waiting(threads: ThreadPoolExecutor, poll: Callable[[SqliteService], Any], service: SqliteService) -> Any:
    """A poll of another thread that found nothing so far."""
    before = pending_polls(service)
    found = threads.submit(poll, service)
    wait_for(lambda: pending_polls(service) > before)
    return found


def at_once(service: SqliteService, calls: Sequence[Callable[[], Any]]) -> list[Future[Any]]:
    """Make calls at the same time: none is carried out before all are asked for, the first one alone."""
    commits = service._host._commits  # noqa: SLF001 - to wait until all are queued
    with ThreadPoolExecutor(len(calls)) as threads, service._host._using:  # noqa: SLF001
        results = [threads.submit(calls[0])]
        wait_for(lambda: commits._has_leader and not commits._queue)  # noqa: SLF001
        results += [threads.submit(call) for call in calls[1:]]
        wait_for(lambda: len(commits._queue) == len(calls) - 1)  # noqa: SLF001
        assert not any(result.done() for result in results)
    return results


def test_new_task_is_claimed_by_a_pending_poll_in_the_same_commit(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service, ThreadPoolExecutor() as threads:
        decider = waiting(threads, decision, service)
        with writing(service) as begun:
            start(service)
            token = decider.result().token
        assert len(begun) == 1
        worker = waiting(threads, activity, service)
        with writing(service) as begun:
            chosen = ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a")
            service.respond_decision_task_completed(token, [chosen])
            assert worker.result().activity_id == "a"
        assert len(begun) == 1


def test_task_claimed_in_its_commit_is_redelivered_on_its_list(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as other:
        with SqliteService(tmp_path / "db") as service, ThreadPoolExecutor() as threads:
            taken = waiting(threads, decision, service)
            run = start(service)
            assert taken.result().execution == run
        assert decision(other).token == taken.result().token


def test_tasks_go_by_priority_to_the_oldest_poll(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service, ThreadPoolExecutor() as threads:
        start(service)
        token = decision(service).token
        polls = [waiting(threads, activity, service) for _ in range(3)]
        chosen = [
            ScheduleActivityTask(activity_type=ACTIVITY, activity_id=id, task_priority=priority)
            for id, priority in (("low", "0"), ("high", "2"), ("mid", "1"), ("rest", "-1"))
        ]
        service.respond_decision_task_completed(token, chosen)
        assert [poll.result().activity_id for poll in polls] == ["high", "mid", "low"]
        assert activity(service).activity_id == "rest"


def test_concurrent_calls_share_a_commit(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        runs = [start(service, f"w{number}") for number in range(20)]
        calls = [partial(service.signal_workflow_execution, run.workflow_id, "s") for run in runs]
        with writing(service) as begun:
            for result in at_once(service, calls):
                result.result()
        # The first one had its turn before the others came.
        assert len(begun) == 2
        assert all(names(service, run).count("WorkflowExecutionSignaled") == 1 for run in runs)


def test_refused_call_does_not_fail_others_of_its_batch(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        runs = [start(service, f"w{number}") for number in range(9)]
        ids = [*(run.workflow_id for run in runs[:5]), "nobody", *(run.workflow_id for run in runs[5:])]
        calls = [partial(service.signal_workflow_execution, id, "s") for id in ids]
        results = at_once(service, calls)
        with pytest.raises(UnknownResource):
            results.pop(5).result()
        for result in results:
            result.result()
        assert all(names(service, run).count("WorkflowExecutionSignaled") == 1 for run in runs)


def test_disk_failure_fails_the_whole_batch_and_rolls_back(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        runs = [start(service, f"w{number}") for number in range(5)]
        service._host.store._db.execute("PRAGMA max_page_count = 1")  # noqa: SLF001
        text = "x" * 30_000
        calls = [
            lambda run=run: service.signal_workflow_execution(run.workflow_id, "s", text) for run in runs
        ]
        for result in at_once(service, calls * 4):
            with pytest.raises(ServiceError, match="full"):
                result.result()
        service._host.store._db.execute("PRAGMA max_page_count = 1000000")  # noqa: SLF001
        assert not any("WorkflowExecutionSignaled" in names(service, run) for run in runs)
        service.signal_workflow_execution("w0", "s", text)
        assert "WorkflowExecutionSignaled" in names(service, runs[0])


def test_acknowledged_calls_of_many_threads_survive_a_kill(tmp_path: Path) -> None:
    script = """
from concurrent.futures import ThreadPoolExecutor
def work(thread):
    for number in range(1000):
        sys.stdout.write(start(service, f"{thread}-{number}").run_id + "\\n")
        sys.stdout.flush()
with ThreadPoolExecutor(8) as threads:
    list(threads.map(work, range(8)))
"""
    with process(tmp_path / "db", script) as child:
        answered = [hear(child) for _ in range(200)]
        child.kill()
        answered += (child.communicate()[0] or "").splitlines()
    with closing(sqlite3.connect(tmp_path / "db")) as db:
        there = {run_id for (run_id,) in db.execute("SELECT run_id FROM runs")}
        histories = "SELECT count(*) FROM runs WHERE (SELECT count(*) FROM events WHERE run = number) != 2"
        assert db.execute(histories).fetchone() == (0,)
    # The last line may be half of one.
    assert set(answered[:-1]) <= there


def test_every_run_completes_with_several_services_and_threads(tmp_path: Path) -> None:
    path, runs = tmp_path / "db", 40
    with SqliteService(path) as one, SqliteService(path) as two, ThreadPoolExecutor(16) as threads:
        services = (one, two)
        started = [start(services[number % 2], f"w{number}") for number in range(runs)]
        ended = [threads.submit(decide, service) for service in services * 2]
        worked = [threads.submit(work, service, ended) for service in services * 3]
        assert sum(end.result() for end in ended) == runs
        assert sum(done.result() for done in worked) == runs * 3
        for run in started:
            assert names(one, run)[-1] == "WorkflowExecutionCompleted"


def decide(service: SqliteService) -> int:
    """Decide until every run has ended; how many were ended here."""
    closed = 0
    while service._host.read(lambda _now: service._host.store.count_open("floto")):  # noqa: SLF001
        task = service.poll_for_decision_task("floto", "", random.choice((0, 0.01, 0.2)))
        if task is not None:
            step = sum(isinstance(event.data, ActivityTaskCompleted) for event in task.events)
            is_last = step == 3
            answer: Decision = CompleteWorkflowExecution()
            if not is_last:
                answer = ScheduleActivityTask(activity_type=ACTIVITY, activity_id=str(step))
            service.respond_decision_task_completed(task.token, [answer])
            closed += is_last
    return closed


def work(service: SqliteService, ended: list[Future[int]]) -> int:
    """Work until all deciders have gone; how many activities."""
    done = 0
    while not all(end.done() for end in ended):
        task = service.poll_for_activity_task("floto", "", random.choice((0, 0.01, 0.2)))
        if task is not None:
            service.respond_activity_task_completed(task.token, None)
            done += 1
    return done


def test_poll_returned_to_the_wait_queue_wakes_the_watcher() -> None:
    """Else nobody looks for timers and other processes until the next poll comes."""
    queue, task_queue = WaitQueue(), TaskQueue("d", TaskKind.DECISION, "l")
    queue.add([Poll(task_queue, lambda _now: None, waits=True)])
    poll = queue.take(task_queue)
    assert poll is not None
    watcher = threading.Thread(target=queue.wait_for_poll, daemon=True)
    watcher.start()
    watcher.join(0.05)
    assert watcher.is_alive()
    queue.put_back([poll])
    watcher.join(10)
    assert not watcher.is_alive()


def test_poll_that_ended_while_its_batch_failed_gets_no_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    polled: list[Future[object]] = []

    def busy(_now: object, _writes: object, task_queues: set[TaskQueue]) -> None:
        if task_queues:
            # The thread of the poll is not the leader: its time is over before the batch fails.
            assert polled[0].result(30) is None
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    with SqliteService(tmp_path / "db") as service, ThreadPoolExecutor(3) as threads:
        host = service._host  # noqa: SLF001 - to put two calls into one batch
        start(service)
        with monkeypatch.context() as patch:
            patch.setattr(host._batches, "_execute_in_rounds", busy)  # noqa: SLF001
            with host._using:  # noqa: SLF001
                first = threads.submit(service.signal_workflow_execution, "wf", "s")
                wait_for(lambda: host._commits._has_leader and not host._commits._queue)  # noqa: SLF001
                second = threads.submit(service.signal_workflow_execution, "wf", "s")
                wait_for(lambda: len(host._commits._queue) == 1)  # noqa: SLF001
                polled.append(threads.submit(service.poll_for_decision_task, "floto", "", 0.2))
                wait_for(lambda: len(host._commits._queue) == 2)  # noqa: SLF001
            for call in (first, second):
                with pytest.raises(ServiceUnavailable):
                    call.result(30)
        assert not host._wait_queue.all_task_queues()  # noqa: SLF001
        assert decision(service).execution.workflow_id == "wf"


def test_poll_beyond_the_bound_of_one_transaction_gets_a_task_that_was_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("floto.adapters.sqlite.serving._SERVED_AT_ONCE", 1)
    with SqliteService(tmp_path / "db") as service, ThreadPoolExecutor(3) as threads:
        for name in "ab":
            request = StartRequest(workflow_id=name, workflow_type=WORKFLOW, task_list=name)
            service.start_workflow_execution(request)
        host = service._host  # noqa: SLF001 - to put two polls into one batch
        with host._using:  # noqa: SLF001
            threads.submit(service.signal_workflow_execution, "a", "s")
            wait_for(lambda: host._commits._has_leader and not host._commits._queue)  # noqa: SLF001
            polls = [threads.submit(service.poll_for_decision_task, name, "", 10) for name in "ab"]
            wait_for(lambda: len(host._commits._queue) == 2)  # noqa: SLF001
        assert all(poll.result() is not None for poll in polls)
