"""Tasks that the step of a report hands over to polls of the same file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.group_commit import Write
from floto.adapters.sqlite.wait_queue import Poll
from floto.core.engine import commands as c
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import TaskKind
from floto.core.swf.decisions import Decision, ScheduleActivityTask
from floto.core.swf.service import PolledDecisionTask, ReportsActivities
from tests.integration.contract.clock import Clock
from tests.integration.test_deciding_at_once import Rule, pending
from tests.integration.test_sqlite_helpers import ACTIVITY, SOON, activity, names, start, store_of

#: The task list of the workers.
LIST = "floto"


def one_after_the_other(task: PolledDecisionTask) -> Sequence[Decision]:
    return [ScheduleActivityTask(activity_type=ACTIVITY, activity_id=str(task.started_event_id))]


def complete(reports: ReportsActivities, token: str) -> None:
    reports.respond_activity_task_completed(token, None)


def test_report_the_decision_that_it_causes_and_the_next_start_are_one_commit(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        rule = Rule(one_after_the_other)
        pending(service, rule)
        run = start(service)
        task = activity(service)
        before = store_of(service)._revision  # noqa: SLF001 - the number of commits
        following = service.report_and_poll(complete, task.token, LIST, "w")
        assert store_of(service)._revision == before + 1  # noqa: SLF001 - as above
        assert following is not None
        assert following.execution == run
        assert names(service, run)[-6:] == [
            "ActivityTaskCompleted",
            "DecisionTaskScheduled",
            "DecisionTaskStarted",
            "DecisionTaskCompleted",
            "ActivityTaskScheduled",
            "ActivityTaskStarted",
        ]
        assert len(rule.kept) == 2
        # It is a task like any other.
        service.respond_activity_task_completed(following.token, None)


@pytest.mark.parametrize(("waited", "first"), [(0.05, "own"), (0.2, "other")])
def test_worker_goes_on_with_its_run_unless_another_task_has_waited(
    tmp_path: Path, waited: float, first: str
) -> None:
    clock = Clock()
    with SqliteService(tmp_path / "db", clock=clock) as service:
        pending(service, Rule(one_after_the_other))
        start(service, "own")
        task = activity(service)
        start(service, "other")
        clock.now += timedelta(seconds=waited)
        following = service.report_and_poll(complete, task.token, LIST, "w")
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

        def report(result: str, poll: Poll | None = None) -> Write:
            return Write(
                lambda now: host.engine.respond(c.RespondActivityTaskCompleted, token, now, result=result),
                poll,
            )

        poll = Poll(
            TaskQueue("floto", TaskKind.ACTIVITY, LIST),
            lambda now: host.engine.poll_activity("floto", LIST, "w", now),
            waits=False,
            identity="w",
        )
        refused = report("2", poll)
        host._execute([report("1"), refused, poll])  # noqa: SLF001 - as above
        with pytest.raises(floto.UnknownResource):
            refused.outcome()
        assert poll.is_done
        assert poll.task is None
        assert activity(service).execution == run


def test_report_is_accepted_although_its_decider_fails(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        script = [one_after_the_other]

        def decide(task: PolledDecisionTask) -> Sequence[Decision]:
            return script.pop()(task)

        found = pending(service, Rule(decide))
        run = start(service)
        task = activity(service)
        assert service.report_and_poll(complete, task.token, LIST, "w") is None
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
        pending(service, Rule(one_after_the_other))
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
        service.respond_activity_task_completed(token, None)
        assert activity(service).execution == run
