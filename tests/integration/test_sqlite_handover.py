"""Tasks that the step of a report hands over to polls of the same file."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.batches import Write
from floto.adapters.sqlite.group_commit import Job
from floto.adapters.sqlite.wait_queue import Poll
from floto.core.engine import commands as c
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import TaskKind
from floto.core.swf.decisions import Decision, ScheduleActivityTask
from floto.core.swf.service import PolledDecisionTask, ReportsActivities
from tests.integration.contract.clock import Clock
from tests.integration.test_deciding_at_once import Rule, pending
from tests.integration.test_sqlite_helpers import (
    ACTIVITY,
    SOON,
    activity,
    decision,
    names,
    report_and_poll,
    start,
    store_of,
    until,
)
from tests.property.waiting_polls import HANDED_OVER

#: The task list of the workers.
LIST = "floto"


def one_after_the_other(task: PolledDecisionTask) -> Sequence[Decision]:
    return [ScheduleActivityTask(activity_type=ACTIVITY, activity_id=str(task.started_event_id))]


def complete(reports: ReportsActivities, token: str) -> None:
    reports.respond_activity_task_completed(token, None)


def _complete(service: SqliteService, token: str, now: datetime) -> None:
    service._host.engine.respond(c.RespondActivityTaskCompleted, token, now, result=None)  # noqa: SLF001 - the call of a report


def _poll(service: SqliteService) -> Poll:
    """The poll that a report brings."""
    return Poll(
        TaskQueue("floto", TaskKind.ACTIVITY, LIST),
        lambda now: service._host.engine.poll_activity("floto", LIST, "w", now),  # noqa: SLF001 - its call
        waits=False,
        identity="w",
    )


def test_report_the_decision_that_it_causes_and_the_next_start_are_one_commit(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        rule = Rule(one_after_the_other)
        pending(service, rule)
        run = start(service)
        task = activity(service)
        before = store_of(service)._revision  # noqa: SLF001 - the number of commits
        following = report_and_poll(service, complete, task.token, (LIST, "w"))
        assert store_of(service)._revision == before + 1  # noqa: SLF001 - as above
        assert following is not None
        assert following.execution == run
        assert names(service, run)[-6:] == HANDED_OVER
        assert len(rule.kept) == 2
        # It is a task like any other.
        service.respond_activity_task_completed(following.token, None)


@pytest.mark.parametrize("many", [1, 70])
def test_decision_task_that_was_handed_over_is_redelivered_on_its_task_list(
    tmp_path: Path, many: int
) -> None:
    """With few open tasks and with so many that they are read from the events."""

    def decide(task: PolledDecisionTask) -> Sequence[Decision]:
        ids = range(many) if task.previous_started_event_id == 0 else ()
        return [ScheduleActivityTask(activity_type=ACTIVITY, activity_id=str(id)) for id in ids]

    with SqliteService(tmp_path / "db") as service:
        start(service)
        first = decision(service)
        service.respond_decision_task_completed(first.token, decide(first))
        task = activity(service)
        found: SimpleQueue[PolledDecisionTask | None] = SimpleQueue()
        polling = partial(service.poll_for_decision_task, LIST, "d", SOON)
        threading.Thread(target=lambda: found.put(polling()), daemon=True).start()
        until(lambda: any(service._host._wait_queue.all_task_queues()))  # noqa: SLF001 - until it waits
        complete(service, task.token)
        handed = found.get(timeout=SOON)
        assert handed is not None
    with SqliteService(tmp_path / "db") as service:
        again = decision(service)
        assert again.token == handed.token


@pytest.mark.parametrize(
    ("waited", "priority", "first"), [(0.05, "0", "own"), (0.2, "0", "other"), (0.05, "1", "other")]
)
def test_worker_goes_on_with_its_run_unless_another_task_has_waited_or_is_more_urgent(
    tmp_path: Path, waited: float, priority: str, first: str
) -> None:
    clock = Clock()

    def decide(task: PolledDecisionTask) -> Sequence[Decision]:
        urgency = priority if task.execution.workflow_id == "other" else "0"
        return [ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a", task_priority=urgency)]

    with SqliteService(tmp_path / "db", clock=clock) as service:
        pending(service, Rule(decide))
        start(service, "own")
        task = activity(service)
        start(service, "other")
        clock.now += timedelta(seconds=waited)
        following = report_and_poll(service, complete, task.token, (LIST, "w"))
        assert following is not None
        assert following.execution.workflow_id == first
        left = activity(service)
        assert {first, left.execution.workflow_id} == {"own", "other"}


def test_refused_report_gets_no_task_of_another_report_in_its_batch(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        pending(service, Rule(one_after_the_other))
        run = start(service)
        token = activity(service).token
        host = service._host  # noqa: SLF001 - to have both in one batch

        poll = _poll(service)
        refused = Write(partial(_complete, service, token), poll)
        host._execute([Write(partial(_complete, service, token)), refused])  # noqa: SLF001 - as above
        with pytest.raises(floto.UnknownResource):
            refused.outcome()
        assert poll.is_done
        assert poll.task is None
        assert activity(service).execution == run


def test_task_that_has_waited_is_claimed_before_the_next_report_of_a_batch(tmp_path: Path) -> None:
    clock = Clock()
    with SqliteService(tmp_path / "db", clock=clock) as service:
        pending(service, Rule(one_after_the_other))
        runs = [start(service, name) for name in ("first", "second")]
        tasks = [activity(service) for _ in runs]
        start(service, "waiting")
        clock.now += timedelta(seconds=1)
        host = service._host  # noqa: SLF001 - to have both in one batch
        polls = [_poll(service), _poll(service)]
        jobs: list[Job] = [
            Write(partial(_complete, service, task.token), poll)
            for task, poll in zip(tasks, polls, strict=True)
        ]
        host._execute(jobs)  # noqa: SLF001 - as above
        assert [poll.task.execution.workflow_id for poll in polls] == ["waiting", "second"]


def test_report_is_accepted_although_its_decider_fails(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        script = [one_after_the_other]

        def decide(task: PolledDecisionTask) -> Sequence[Decision]:
            return script.pop()(task)

        found = pending(service, Rule(decide))
        run = start(service)
        task = activity(service)
        assert report_and_poll(service, complete, task.token, (LIST, "w")) is None
        left = found.get(timeout=SOON)
        assert left.execution == run
        assert names(service, run)[-3:] == [
            "ActivityTaskCompleted",
            "DecisionTaskScheduled",
            "DecisionTaskStarted",
        ]
        service.respond_decision_task_completed(left.token, one_after_the_other(left))
        assert activity(service).execution == run


def test_call_that_fails_after_a_task_was_handed_over_leaves_nothing(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        rule = Rule(one_after_the_other)
        pending(service, rule)
        run = start(service)
        token = activity(service).token
        before = service.history(run)
        engine = service._host.engine  # noqa: SLF001 - a call of two commands

        def twice(now: datetime) -> None:
            for _ in range(2):
                engine.respond(c.RespondActivityTaskCompleted, token, now, result=None)

        with pytest.raises(floto.UnknownResource):
            service._host.write(twice)  # noqa: SLF001 - as above
        assert service.history(run) == before
        assert len(rule.kept) == 1
        service.respond_activity_task_completed(token, None)
        assert activity(service).execution == run
