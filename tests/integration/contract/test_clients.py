"""The poll loops of programs that others wrote for SWF: with an idle poll first, then with a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define, field

from tests.integration.contract.backends import everywhere
from tests.integration.contract.stage import COMPLETE, Json, Stage


@define
class OldDecider:
    """The polls of floto 0.0.3: newest event first, and a task is what has the key ``taskToken``."""

    client: Any
    domain: str
    task_list: str
    token: str | None = None
    #: Event ids, newest first, of each task; the first is read from ``events[0]``.
    seen: list[list[int]] = field(factory=list)

    def poll(self) -> None:
        response = self.client.poll_for_decision_task(
            domain=self.domain, taskList={"name": self.task_list}, reverseOrder=True, maximumPageSize=400
        )
        if "taskToken" in response:
            self.token = response["taskToken"]
            newest, oldest = response["events"][0]["eventId"], response["events"][-1]["eventId"]
            assert response["startedEventId"] == newest
            assert response["previousStartedEventId"] < newest
            self.seen.append([newest, oldest])
            assert response["workflowExecution"]["runId"]
        else:
            self.token = None

    def run(self, polls: int) -> None:
        for _ in range(polls):
            self.poll()
            if self.token:
                self.client.respond_decision_task_completed(taskToken=self.token, decisions=[COMPLETE])


def test_decider_of_floto_003_survives_idle_polls_and_decides(stage: Stage) -> None:
    old = OldDecider(stage.client, stage.domain, "decide")
    old.run(polls=2)
    assert (old.token, old.seen) == (None, [])
    run = stage.start()
    old.run(polls=2)
    assert old.seen == [[3, 1]]
    assert old.token is None
    assert stage.names(run, 3) == "DTC WorkflowExecutionCompleted"


def tasks_of(poll: Any, polls: int, **wanted: Any) -> Iterator[Json]:
    """What a plain boto3 program does: ask, and look whether the answer has a task."""
    for _ in range(polls):
        task = poll(**wanted)
        if "taskToken" in task:
            yield task


@everywhere
def test_boto3_program_that_looks_for_the_token_gets_each_task_once(stage: Stage) -> None:
    wanted = {"domain": stage.domain, "taskList": {"name": "decide"}}
    assert list(tasks_of(stage.client.poll_for_decision_task, 2, **wanted)) == []
    run = stage.start()
    [task] = tasks_of(stage.client.poll_for_decision_task, 2, **wanted)
    assert task["workflowExecution"] == run
    work = {"domain": stage.domain, "taskList": {"name": "work"}}
    assert list(tasks_of(stage.client.poll_for_activity_task, 2, **work)) == []
