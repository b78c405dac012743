"""Polls of HTTP clients and of threads of one process: one queue, and one commit per task."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from floto.adapters.http import application
from floto.adapters.sqlite.operations import SqliteOperations
from floto.core.swf.pollers import PollKind
from tests.unit.adapters.http.asgi import PATIENCE, ask, until
from tests.unit.adapters.http.test_app import POLL, to

ACTIVITY = {"name": "pay", "version": "1"}
POLLED = json.loads(POLL)


def prepare(operations: SqliteOperations) -> None:
    """Start a run whose decision task is claimed: its decider may schedule activities."""
    none = {f"defaultTask{name}Timeout": "NONE" for name in ("StartToClose", "ScheduleToStart", "Heartbeat")}
    lists = {"defaultTaskList": {"name": "orders"}}
    run = {**lists, "defaultExecutionStartToCloseTimeout": "900", "defaultTaskStartToCloseTimeout": "NONE"}
    run["defaultChildPolicy"] = "TERMINATE"
    operations.call("RegisterDomain", {"name": "shop", "workflowExecutionRetentionPeriodInDays": "1"})
    operations.call("RegisterWorkflowType", {"domain": "shop", **ACTIVITY, **run})
    operations.call(
        "RegisterActivityType",
        {"domain": "shop", **ACTIVITY, **lists, **none, "defaultTaskScheduleToCloseTimeout": "NONE"},
    )
    operations.call("StartWorkflowExecution", {"domain": "shop", "workflowId": "w", "workflowType": ACTIVITY})


def schedule(operations: SqliteOperations, *ids: str) -> None:
    """Schedule activities, each in a commit of its own."""
    for id in ids:
        token = operations.call("PollForDecisionTask", POLLED)["taskToken"]
        attributes = {"activityType": ACTIVITY, "activityId": id}
        decision = {
            "decisionType": "ScheduleActivityTask",
            "scheduleActivityTaskDecisionAttributes": attributes,
        }
        operations.call("RespondDecisionTaskCompleted", {"taskToken": token, "decisions": [decision]})
        operations.call(
            "SignalWorkflowExecution", {"domain": "shop", "workflowId": "w", "signalName": "next"}
        )


class Stage:
    """A server without a socket, and threads of its process that poll the same file."""

    def __init__(self, operations: SqliteOperations, threads: ThreadPoolExecutor) -> None:
        self.operations, self.threads = operations, threads
        self.app = application(operations)

    async def http_poll(self) -> str:
        answered = await ask(self.app, to("PollForActivityTask"), POLL)
        return str(json.loads(answered.body)["activityId"])

    async def thread_poll(self) -> str:
        thread = self.threads.submit(self.operations.call, "PollForActivityTask", POLLED)
        return str((await asyncio.wrap_future(thread))["activityId"])


def within(path: Path, play: Callable[[Stage], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        with closing(SqliteOperations(path)) as operations, ThreadPoolExecutor(8) as threads:
            prepare(operations)
            stage = Stage(operations, threads)
            async with stage.app.router.lifespan_context(stage.app):
                return await play(stage)

    return asyncio.run(asyncio.wait_for(run(), PATIENCE))


@pytest.mark.parametrize("kinds", ["hthhtt", "ththth", "hhhttt"])
def test_polls_of_http_clients_and_of_threads_are_served_in_their_order(tmp_path: Path, kinds: str) -> None:
    async def play(stage: Stage) -> list[str]:
        polls = []
        for number, kind in enumerate(kinds, start=1):
            polls.append(asyncio.create_task(stage.http_poll() if kind == "h" else stage.thread_poll()))
            # They are listed by process when they begin; a thread's poll is pending soon after.
            await until(lambda number=number: begun(stage.operations) >= number)  # type: ignore[misc]
        ids = [str(number) for number in range(len(kinds))]
        await asyncio.to_thread(schedule, stage.operations, *ids)
        return await asyncio.gather(*polls)

    assert within(tmp_path / "swf.db", play) == [str(number) for number in range(len(kinds))]


def begun(operations: SqliteOperations) -> int:
    polls = operations._host._wait_queue._polls  # noqa: SLF001 - what waits shows nowhere else
    return sum(map(len, polls.values()))


def test_task_of_a_pending_http_poll_is_scheduled_and_started_in_one_commit(tmp_path: Path) -> None:
    async def play(stage: Stage) -> list[str]:
        poll = asyncio.create_task(stage.http_poll())
        token = (await asyncio.to_thread(stage.operations.call, "PollForDecisionTask", POLLED))["taskToken"]
        # As long as its first attempt may take.
        await asyncio.sleep(0.2)
        said: list[str] = []
        stage.operations._host.store._db.set_trace_callback(said.append)  # noqa: SLF001 - to count commits
        attributes = {"activityType": ACTIVITY, "activityId": "a"}
        kind = "ScheduleActivityTask"
        decision = {"decisionType": kind, "scheduleActivityTaskDecisionAttributes": attributes}
        respond = {"taskToken": token, "decisions": [decision]}
        await asyncio.to_thread(stage.operations.call, "RespondDecisionTaskCompleted", respond)
        assert await poll == "a"
        return list(said)

    assert within(tmp_path / "swf.db", play).count("COMMIT") == 1


def test_client_with_an_open_task_is_known_after_a_restart_of_the_server(tmp_path: Path) -> None:
    with closing(SqliteOperations(tmp_path / "db")) as operations:
        prepare(operations)
        schedule(operations, "a", "b")
        assert operations.call("PollForActivityTask", {**POLLED, "identity": "busy"})["activityId"] == "a"
    with closing(SqliteOperations(tmp_path / "db")) as operations:
        known = operations.live().polling(PollKind.ACTIVITIES, "orders")
        assert [(each.domain, each.identity) for each in known] == [("shop", "busy")]
        operations.call("PollForActivityTask", {**POLLED, "identity": "busy"})
        assert len(operations.live().polling(PollKind.ACTIVITIES, "orders")) == 1


def test_run_without_the_start_of_its_task_does_not_hide_the_pollers_of_others(tmp_path: Path) -> None:
    with closing(SqliteOperations(tmp_path / "db")) as operations:
        prepare(operations)
        schedule(operations, "a", "b")
        operations.call("PollForActivityTask", {**POLLED, "identity": "busy"})
    with closing(sqlite3.connect(tmp_path / "db")) as db, db:
        db.execute("DELETE FROM events WHERE type = 'ActivityTaskStarted'")
    with closing(SqliteOperations(tmp_path / "db")) as operations:
        (waiting,) = [each for each in operations.live().backlogs if each.kind is PollKind.ACTIVITIES]
        assert (waiting.waiting, waiting.taken) == (1, 1)
