"""Calls and polls of an event loop: which poll gets a task, which ends without one, and when."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from floto.adapters import model
from floto.adapters.http.calls import Calls
from floto.adapters.sqlite.operations import SqliteOperations
from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable
from floto.core.swf import limits
from floto.waiting_clients import WaitingClient
from tests.unit.adapters.http.asgi import PATIENCE, until

REGION = "us-east-1"
POLL, START = "PollForDecisionTask", "StartWorkflowExecution"
TYPE = {"name": "order", "version": "1"}
POLLED = {"domain": "shop", "taskList": {"name": "orders"}}
POLLED = {"domain": "shop", "taskList": {"name": "orders"}}
DEFAULTS = {
    "defaultTaskList": {"name": "orders"},
    "defaultExecutionStartToCloseTimeout": "3600",
    "defaultTaskStartToCloseTimeout": "NONE",
    "defaultChildPolicy": "TERMINATE",
}
Task = dict[str, Any] | None


def prepare(operations: SqliteOperations) -> None:
    operations.call("RegisterDomain", {"name": "shop", "workflowExecutionRetentionPeriodInDays": "1"})
    operations.call("RegisterWorkflowType", {"domain": "shop", **TYPE, **DEFAULTS})


class Stage:
    """Calls over an engine, and the clients that have not gone."""

    def __init__(self, operations: SqliteOperations, calls: Calls) -> None:
        self.operations, self.calls = operations, calls
        self.is_writing, self.may_write = asyncio.Event(), asyncio.Event()
        self.may_write.set()
        self.is_closing: Callable[[], bool] = lambda: False

    def queued(self) -> int:
        queue = self.operations._host._wait_queue  # noqa: SLF001 - what waits shows nowhere else
        return sum(len(polls) for polls in queue._polls.values())  # noqa: SLF001

    def begin(self, task_list: str = "orders", domain: str = "shop") -> tuple[asyncio.Task[Task], Any]:
        """Begin a poll; returns it, and the future of its client's end."""
        gone: Any = asyncio.get_running_loop().create_future()
        request = {"domain": domain, "taskList": {"name": task_list}}

        client = WaitingClient(gone, self.is_closing)

        async def poll() -> Task:
            written = await self.calls.poll(POLL, request, REGION, client, self.write)
            return None if written is None else json.loads(written)

        return asyncio.create_task(poll()), gone

    async def write(self, response: dict[str, Any]) -> bytes:
        """Convert a response, once ``may_write`` is set."""
        self.is_writing.set()
        await self.may_write.wait()
        return json.dumps(model.to_wire(POLL, response)).encode()

    async def poll(self, task_list: str = "orders") -> asyncio.Task[Task]:
        """Begin a poll, and return when it is pending."""
        before = self.queued()
        task, _ = self.begin(task_list)
        await until(lambda: self.queued() > before or task.done())
        return task

    def start(self, name: str, task_list: str = "orders") -> None:
        self.operations.call(START, started(name, task_list))

    def hold_claims(self, monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
        """Make each claim set an event, and wait for another one, within its transaction."""
        begun, go_on = threading.Event(), threading.Event()
        call = self.operations._api.call  # noqa: SLF001 - the moment before a commit

        def held(operation: str, *arguments: Any, **options: Any) -> Any:
            found = call(operation, *arguments, **options)
            if operation == POLL:
                begun.set()
                assert go_on.wait(PATIENCE)
            return found

        monkeypatch.setattr(self.operations._api, "call", held)  # noqa: SLF001 - as above
        return begun, go_on


def started(name: str, task_list: str = "orders") -> dict[str, Any]:
    return {"domain": "shop", "workflowId": name, "workflowType": TYPE, "taskList": {"name": task_list}}


def name_of(task: Task) -> str:
    assert task is not None
    return str(task["workflowExecution"]["workflowId"])


@asynccontextmanager
async def stage(seconds: float = PATIENCE, path: str | Path = ":memory:") -> AsyncIterator[Stage]:
    with closing(SqliteOperations(path)) as operations, ThreadPoolExecutor(1) as pool:
        prepare(operations)
        calls = Calls(operations, pool, seconds)
        yield Stage(operations, calls)
        await calls.close()


def plays(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[pytest.MonkeyPatch], None]:
    """Run a test in a new event loop."""

    def run(monkeypatch: pytest.MonkeyPatch) -> None:
        takes = test.__code__.co_argcount
        asyncio.run(asyncio.wait_for(test(*[monkeypatch][:takes]), 2 * PATIENCE))

    run.__name__ = test.__name__
    return run


@plays
async def test_call_returns_its_response_or_raises_its_fault() -> None:
    async with stage() as on:
        response = await on.calls.execute(START, started("a"), REGION)
        assert response is not None
        assert response["runId"]
        with pytest.raises(ServiceFault) as raised:
            await on.calls.execute(START, started("a"), REGION)
        assert raised.value.code == "WorkflowExecutionAlreadyStartedFault"
        assert await on.calls.execute(START, started("b"), REGION)


@plays
async def test_event_loop_is_woken_once_for_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage() as on:
        loop = asyncio.get_running_loop()
        commits = on.operations._host._commits  # noqa: SLF001 - to put all calls into one batch
        original, woken = loop.call_soon_threadsafe, SimpleQueue[Any]()

        def counted(*given: Any) -> Any:
            woken.put(given)
            return original(*given)

        def begun(number: int) -> asyncio.Task[Any]:
            return asyncio.create_task(on.calls.execute(START, started(str(number)), REGION))

        with on.operations._host._using:  # noqa: SLF001 - as above
            calls = [begun(0)]
            # The first one is a batch of its own.
            await until(lambda: commits._has_leader and not commits._queue)  # noqa: SLF001 - as above
            calls += map(begun, range(1, 9))
            await until(lambda: len(commits._queue) == 8)  # noqa: SLF001 - as above
            monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        # The loop is not running meanwhile.
        deadline = time.monotonic() + PATIENCE
        while commits._has_leader and time.monotonic() < deadline:  # noqa: SLF001 - as above
            time.sleep(0.001)  # noqa: ASYNC251 - as above
        assert woken.qsize() == 1
        assert len({str(each) for each in await asyncio.gather(*calls)}) == 9


@plays
async def test_available_task_is_returned_at_once() -> None:
    async with stage() as on:
        on.start("a")
        assert name_of(await on.begin()[0]) == "a"
        assert on.queued() == 0


@plays
async def test_one_queue_serves_polls_of_threads_and_of_the_loop_in_order() -> None:
    """Every third poll is one of a thread; each start gives a task to the poll that waits longest."""
    async with stage() as on:
        got: list[tuple[int, str]] = []
        with ThreadPoolExecutor(4) as threads:
            polls: list[asyncio.Future[Task]] = []
            for number in range(9):
                if number % 3 == 1:
                    thread: Any = threads.submit(on.operations.call, POLL, POLLED)
                    polls.append(asyncio.wrap_future(thread))
                    await until(lambda number=number: on.queued() == number + 1)  # type: ignore[misc]
                else:
                    polls.append(await on.poll())
            for number in range(9):
                await on.calls.execute(START, started(f"w{number}"), REGION)
                got.append((number, name_of(await polls[number])))
                assert not any(poll.done() for poll in polls[number + 1 :])
        assert got == [(number, f"w{number}") for number in range(9)]


@plays
async def test_several_tasks_of_one_commit_are_given_to_as_many_polls() -> None:
    async with stage() as on:
        polls = [await on.poll() for _ in range(3)]
        await asyncio.gather(*(on.calls.execute(START, started(name), REGION) for name in "ab"))
        assert {name_of(await poll) for poll in polls[:2]} == {"a", "b"}
        assert not polls[2].done()


@plays
async def test_poll_of_a_client_that_has_gone_leaves_the_wait_queue() -> None:
    async with stage() as on:
        first, gone = on.begin()
        await until(lambda: on.queued() == 1)
        second = await on.poll()
        gone.set_result(None)
        with pytest.raises(ClientDisconnect):
            await first
        await until(lambda: on.queued() == 1)
        on.start("a")
        assert name_of(await second) == "a"


@plays
async def test_poll_without_a_task_ends_after_its_time() -> None:
    async with stage(seconds=0.05) as on:
        assert await on.begin()[0] is None
        assert on.queued() == 0


@plays
async def test_task_claimed_as_the_poll_times_out_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(seconds=0.2) as on:
        begun, go_on = on.hold_claims(monkeypatch)
        poll, _ = on.begin()
        starting = asyncio.create_task(on.calls.execute(START, started("a"), REGION))
        await until(begun.is_set)
        await asyncio.sleep(0.3)
        assert not poll.done()
        go_on.set()
        assert name_of(await poll) == "a"
        await starting


@plays
async def test_changes_of_other_processes_are_noticed_during_a_poll() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "swf.db"
        async with stage(path=path) as on:
            poll = await on.poll()
            with closing(SqliteOperations(path)) as other:
                await asyncio.to_thread(other.call, START, started("a"))
                assert name_of(await poll) == "a"


@plays
async def test_more_polls_than_swf_allows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "POLLER_LIMIT", 2)
    async with stage() as on:
        first, gone = on.begin()
        await until(lambda: on.queued() == 1)
        await on.poll()
        for poll in (
            on.begin()[0],
            asyncio.to_thread(on.operations.call, POLL, POLLED),
        ):
            with pytest.raises(ServiceFault) as raised:
                await poll
            assert raised.value.code == "LimitExceededFault"
        gone.set_result(None)
        with pytest.raises(ClientDisconnect):
            await first
        await until(lambda: on.queued() == 1)
        assert not (await on.poll()).done()


@plays
async def test_fault_is_raised_only_in_its_own_poll() -> None:
    async with stage() as on:
        good = await on.poll()
        with pytest.raises(ServiceFault) as raised:
            await on.begin(domain="none")[0]
        assert raised.value.code == "UnknownResourceFault"
        on.start("a")
        assert name_of(await good) == "a"


@plays
async def test_polls_and_calls_after_the_engine_is_closed_raise_an_error() -> None:
    async with stage() as on:
        poll = await on.poll()
        await asyncio.to_thread(on.operations.close)
        assert await poll is None
        with pytest.raises(ServiceError, match="closed"):
            await on.begin()[0]
        with pytest.raises(ServiceError, match="closed"):
            await on.calls.execute(START, started("a"), REGION)


@plays
async def test_stop_ends_pending_and_later_polls() -> None:
    async with stage() as on:
        polls = [await on.poll() for _ in range(20)]
        on.calls.stop()
        assert await asyncio.gather(*polls) == [None] * 20
        on.start("a")
        assert await on.begin()[0] is None
        # No poll has claimed the task.
        assert on.operations.call("CountPendingDecisionTasks", POLLED)["count"] == 1


@pytest.mark.parametrize("is_pending", [False, True])
def test_client_that_disconnects_during_the_commit_loses_no_task(
    monkeypatch: pytest.MonkeyPatch, *, is_pending: bool
) -> None:
    async def play() -> None:
        async with stage() as on:
            if not is_pending:
                on.start("a")
            begun, go_on = on.hold_claims(monkeypatch)
            poll, gone = on.begin()
            if is_pending:
                await until(lambda: on.queued() == 1)
                starting = asyncio.create_task(on.calls.execute(START, started("a"), REGION))
            await until(begun.is_set)
            gone.set_result(None)
            with pytest.raises(ClientDisconnect):
                await poll
            go_on.set()
            if is_pending:
                await starting
            assert name_of(await on.begin()[0]) == "a"

    asyncio.run(asyncio.wait_for(play(), 2 * PATIENCE))


@plays
async def test_client_that_disconnects_while_its_response_is_converted_loses_no_task() -> None:
    async with stage() as on:
        on.start("a")
        on.may_write.clear()
        poll, gone = on.begin()
        await on.is_writing.wait()
        gone.set_result(None)
        on.may_write.set()
        with pytest.raises(ClientDisconnect):
            await poll
        assert name_of(await on.begin()[0]) == "a"


@plays
async def test_task_of_a_closing_connection_is_given_back_though_its_end_is_not_announced() -> None:
    async with stage() as on:
        on.start("a")
        on.is_closing = lambda: True
        poll, gone = on.begin()
        with pytest.raises(ClientDisconnect):
            await poll
        assert not gone.done()
        on.is_closing = lambda: False
        assert name_of(await on.begin()[0]) == "a"


@plays
async def test_every_task_is_returned_or_given_back_for_any_time_of_disconnection() -> None:
    async with stage() as on:
        got: list[str] = []
        for turn in range(60):
            starting = asyncio.create_task(on.calls.execute(START, started(str(turn)), REGION))
            poll, gone = on.begin()
            for _ in range(turn // 4):
                await asyncio.sleep(0.0002 * (turn % 4))
            gone.set_result(None)
            done, _ = await asyncio.wait((poll,))
            got += [name_of(each.result()) for each in done if each.exception() is None]
            await starting
        while len(got) < 60:
            got.append(name_of(await on.begin()[0]))
        assert sorted(got, key=int) == [str(turn) for turn in range(60)]


@plays
async def test_failed_give_back_is_logged_and_affects_no_other_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage() as on:
        failed = threading.Event()

        def fails(_token: str) -> None:
            failed.set()
            msg = "no disk"
            raise ServiceUnavailable(msg)

        monkeypatch.setattr(on.operations, "give_back", fails)
        begun, go_on = on.hold_claims(monkeypatch)
        on.start("a")
        poll, gone = on.begin()
        await until(begun.is_set)
        gone.set_result(None)
        await asyncio.wait((poll,))
        go_on.set()
        await until(failed.is_set)
        on.start("b")
        assert name_of(await on.begin()[0]) == "b"
