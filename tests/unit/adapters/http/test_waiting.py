"""Pending polls: which poll gets a task, which ends without one, and when."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from floto.adapters.http.waiting import HeldPollQueue
from floto.core.engine import faults
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import TaskKind
from floto.core.errors import ServiceFault, ServiceUnavailable
from floto.core.swf import limits
from tests.unit.adapters.http.asgi import LIST, PATIENCE, FakeOperations, until

TASK, OTHER = {"taskToken": "one"}, {"taskToken": "two"}


class Stage:
    """Polls over a service of task lists, and the completed polls."""

    def __init__(self, operations: FakeOperations, polls: HeldPollQueue[bytes]) -> None:
        self.operations, self.polls = operations, polls
        self.waiting = 0
        self.given_back: list[bytes] = []

    async def poll(self, name: str, task_queue: TaskQueue = LIST) -> asyncio.Task[bytes | None]:
        """Start a poll, and return when it waits: its first attempt is over."""
        task = asyncio.create_task(self.polls.poll(task_queue, partial(self.attempt, name, task_queue)))
        await until(lambda: self.polls.held(task_queue) > self.waiting or task.done())
        self.waiting = self.polls.held(task_queue)
        return task

    def attempt(self, name: str, task_queue: TaskQueue) -> bytes | None:
        self.operations.attempts.append(name)
        task = self.operations.take(task_queue)
        return None if task is None else f"{name} got {task['taskToken']}".encode()


@asynccontextmanager
async def stage(seconds: float = PATIENCE) -> AsyncIterator[Stage]:
    operations = FakeOperations()
    with ThreadPoolExecutor(4) as pool:
        given_back: list[bytes] = []
        polls = HeldPollQueue(operations, pool, seconds, given_back.append)
        on = Stage(operations, polls)
        on.given_back = given_back
        async with polls.running():
            yield on


def plays(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in a new event loop."""

    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 2 * PATIENCE))

    run.__name__ = test.__name__
    return run


@plays
async def test_available_task_is_returned_at_once() -> None:
    async with stage() as on:
        on.operations.put(LIST, TASK)
        assert await (await on.poll("a")) == b"a got one"
        assert on.polls.held(LIST) == 0


@plays
async def test_oldest_poll_gets_the_first_task() -> None:
    async with stage() as on:
        first, second = await on.poll("a"), await on.poll("b")
        on.operations.put(LIST, TASK)
        assert await first == b"a got one"
        assert not second.done()
        on.operations.put(LIST, OTHER)
        assert await second == b"b got two"


@plays
async def test_one_notification_of_several_tasks_wakes_as_many_polls() -> None:
    async with stage() as on:
        polls = [await on.poll(name) for name in "abc"]
        on.operations.put(LIST, TASK, OTHER)
        assert await asyncio.gather(*polls[:2]) == [b"a got one", b"b got two"]
        assert not polls[2].done()


@plays
async def test_pending_poll_is_served_before_a_new_one() -> None:
    async with stage() as on:
        first = await on.poll("a")
        # No poll is notified yet.
        on.operations.tasks[LIST].append(TASK)
        second = await on.poll("b")
        on.operations.put(LIST)
        assert await first == b"a got one"
        assert not second.done()


@plays
async def test_cancelled_poll_leaves_the_wait_queue() -> None:
    async with stage() as on:
        first, second = await on.poll("a"), await on.poll("b")
        first.cancel()
        await until(lambda: on.polls.held(LIST) == 1)
        on.operations.put(LIST, TASK)
        assert await second == b"b got one"
        assert on.operations.attempts.count("a") == 1


@plays
async def test_poll_without_a_task_ends_after_its_time() -> None:
    async with stage(seconds=0.05) as on:
        assert await (await on.poll("a")) is None
        assert on.polls.held(LIST) == 0


@plays
async def test_task_claimed_as_the_poll_times_out_is_not_lost() -> None:
    async with stage(seconds=0.05) as on:
        taking, take = threading.Event(), threading.Event()

        def attempt() -> bytes | None:
            if not on.operations.take(LIST):
                return None
            taking.set()
            take.wait(PATIENCE)
            return b"late"

        poll = asyncio.create_task(on.polls.poll(LIST, attempt))
        await until(lambda: on.polls.held(LIST) == 1)
        on.operations.put(LIST, TASK)
        await until(taking.is_set)
        # Its time is over: it is in no queue any more.
        await until(lambda: on.polls.held(LIST) == 0)
        take.set()
        assert await poll == b"late"


@plays
async def test_changes_of_other_processes_are_noticed_during_a_poll() -> None:
    async with stage() as on:
        poll = await on.poll("a")
        on.operations.unseen.append((LIST, TASK))
        assert await poll == b"a got one"


@plays
async def test_watcher_is_idle_without_pending_polls() -> None:
    async with stage() as on:
        poll = await on.poll("a")
        await until(lambda: on.operations.looks > 0)
        on.operations.put(LIST, TASK)
        await poll
        assert on.polls.held(LIST) == 0
        # One look may be under way.
        before = on.operations.looks
        await asyncio.sleep(0.1)
        assert on.operations.looks <= before + 1


@plays
async def test_due_deadlines_cause_a_claim_attempt() -> None:
    async with stage() as on:
        poll = await on.poll("a")
        due = [True]
        on.operations.look = lambda: due[0]  # type: ignore[method-assign]
        original = on.operations.take

        def take(task_queue: TaskQueue) -> dict[str, Any] | None:
            due[0] = False
            on.operations.tasks[task_queue].append(TASK)
            return original(task_queue)

        on.operations.take = take  # type: ignore[method-assign]
        assert await poll == b"a got one"


@plays
async def test_task_queues_are_independent() -> None:
    other = TaskQueue("shop", TaskKind.DECISION, "orders")
    async with stage() as on:
        here = await on.poll("a")
        there = asyncio.create_task(on.polls.poll(other, lambda: on.attempt("b", other)))
        await until(lambda: on.polls.held(other) == 1)
        on.operations.put(other, TASK)
        assert await there == b"b got one"
        assert not here.done()


@plays
async def test_busy_task_queue_does_not_delay_others() -> None:
    other = TaskQueue("shop", TaskKind.DECISION, "orders")
    async with stage() as on:
        loop, busy, ended = asyncio.get_running_loop(), set(), threading.Event()

        def again() -> None:
            busy.add(asyncio.create_task(on.polls.poll(LIST, attempt)))

        def attempt() -> bytes | None:
            if not on.operations.tasks[LIST]:
                return None
            if not ended.is_set():
                loop.call_soon_threadsafe(again)
            return b"busy"

        again()
        again()
        await until(lambda: on.polls.held(LIST) == 2)
        there = await on.poll("b", other)
        on.operations.tasks[other].append(TASK)
        on.operations.put(LIST, TASK)
        try:
            async with asyncio.timeout(PATIENCE / 2):
                assert await there == b"b got one"
        finally:
            ended.set()


@plays
async def test_more_polls_than_swf_allows_are_refused() -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(limits, "POLLER_LIMIT", 2)
        async with stage() as on:
            first, _second = await on.poll("a"), await on.poll("b")
            with pytest.raises(ServiceFault) as raised:
                await on.polls.poll(LIST, lambda: b"")
            assert raised.value.code == "LimitExceededFault"
            first.cancel()
            await until(lambda: on.polls.held(LIST) == 1)
            on.waiting = 1
            assert not (await on.poll("c")).done()


@plays
async def test_fault_is_raised_only_in_its_own_poll() -> None:
    async with stage() as on:
        refused = asyncio.create_task(on.polls.poll(LIST, _answering(None, faults.unknown_domain("shop"))))
        await until(lambda: on.polls.held(LIST) == 1)
        on.waiting = 1
        second = await on.poll("b")
        on.operations.put(LIST, TASK)
        with pytest.raises(ServiceFault):
            await refused
        assert await second == b"b got one"


@plays
async def test_service_error_fails_one_poll_and_the_others_keep_waiting() -> None:
    async with stage() as on:
        trouble = ServiceUnavailable("locked")
        polls = []
        # A poll behind others makes no attempt before it is the first.
        for number, answers in enumerate([(None, trouble), (trouble,)], start=1):
            polls.append(asyncio.create_task(on.polls.poll(LIST, _answering(*answers))))
            await until(lambda number=number: on.polls.held(LIST) == number)  # type: ignore[misc]
        on.operations.put(LIST, TASK)
        with pytest.raises(ServiceUnavailable):
            await polls[0]
        looks = on.operations.looks
        await until(lambda: on.operations.looks > looks + 1)
        assert not polls[1].done()
        on.operations.put(LIST)
        with pytest.raises(ServiceUnavailable):
            await polls[1]


def _answering(*answers: Exception | None) -> Callable[[], bytes | None]:
    """Attempts that find nothing, or raise what is given for them."""
    left = list(answers)

    def attempt() -> bytes | None:
        answer = left.pop(0)
        if answer is not None:
            raise answer
        return None

    return attempt


@plays
async def test_polls_are_served_after_the_watcher_failed() -> None:
    async with stage() as on:
        failures = [RuntimeError("broken"), ServiceUnavailable("locked")]
        look = on.operations.look

        def failing() -> bool:
            if failures:
                raise failures.pop()
            return look()

        on.operations.look = failing  # type: ignore[method-assign]
        poll = await on.poll("a")
        await until(lambda: not failures)
        on.operations.put(LIST, TASK)
        assert await poll == b"a got one"


@plays
async def test_stop_ends_pending_and_later_polls() -> None:
    async with stage() as on:
        polls = [await on.poll(str(number)) for number in range(20)]
        on.polls.stop()
        async with asyncio.timeout(PATIENCE / 2):
            assert await asyncio.gather(*polls) == [None] * 20
            on.operations.put(LIST, TASK)
            assert await on.polls.poll(LIST, lambda: b"never") is None
        # No task was claimed by a cancelled poll.
        assert on.operations.tasks[LIST] == [TASK]


@plays
async def test_poll_during_a_claim_attempt_ends_on_stop() -> None:
    async with stage() as on:
        trying, go_on = threading.Event(), threading.Event()

        def attempt() -> bytes | None:
            if on.operations.tasks[LIST]:
                trying.set()
                go_on.wait(PATIENCE)
            return None

        poll = asyncio.create_task(on.polls.poll(LIST, attempt))
        await until(lambda: on.polls.held(LIST) == 1)
        on.operations.put(LIST, TASK)
        await until(trying.is_set)
        on.polls.stop()
        go_on.set()
        async with asyncio.timeout(PATIENCE / 2):
            assert await poll is None


class Claim:
    """A claim attempt that finds a task when the test sets it."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> bytes | None:
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        return b"claimed"


@plays
async def test_a_task_claimed_by_the_first_attempt_of_a_cancelled_poll_is_given_back() -> None:
    async with stage() as on:
        claim = Claim()
        poll = asyncio.create_task(on.polls.poll(LIST, claim))
        await until(claim.begun.is_set)
        poll.cancel()
        await asyncio.wait((poll,))
        claim.go_on.set()
        await until(lambda: on.given_back == [b"claimed"])


@plays
async def test_a_task_dispatched_to_a_cancelled_poll_is_given_back() -> None:
    async with stage() as on:
        claim = Claim()
        poll = asyncio.create_task(
            on.polls.poll(LIST, lambda: claim() if on.operations.tasks[LIST] else None)
        )
        await until(lambda: on.polls.held(LIST) == 1)
        on.operations.put(LIST, TASK)
        await until(claim.begun.is_set)
        poll.cancel()
        await asyncio.wait((poll,))
        claim.go_on.set()
        await until(lambda: on.given_back == [b"claimed"])


@plays
async def test_no_claim_attempt_starts_for_a_cancelled_poll() -> None:
    async with stage() as on:
        claims = [Claim() for _ in range(5)]
        polls = [asyncio.create_task(on.polls.poll(LIST, claim)) for claim in claims]
        await until(lambda: sum(claim.begun.is_set() for claim in claims) == 4)
        polls[4].cancel()
        await asyncio.wait(polls[4:])
        for claim in claims:
            claim.go_on.set()
        assert await asyncio.gather(*polls[:4]) == [b"claimed"] * 4
        assert not claims[4].begun.is_set()


@plays
async def test_every_task_is_returned_or_given_back_for_any_time_of_cancellation() -> None:
    async with stage() as on:
        got: list[bytes] = []
        for turn in range(60):
            on.operations.put(LIST, {"taskToken": str(turn)})
            poll = asyncio.create_task(on.polls.poll(LIST, partial(on.attempt, "a", LIST)))
            for _ in range(turn // 4):
                await asyncio.sleep(0.0002 * (turn % 4))
            poll.cancel()
            done, _ = await asyncio.wait((poll,))
            got += [task.result() or b"" for task in done if not task.cancelled()]
            made = turn + 1
            await until(lambda: len(got) + len(on.given_back) + len(on.operations.tasks[LIST]) == made)  # noqa: B023
        assert len({*got, *on.given_back}) + len(on.operations.tasks[LIST]) == 60


@plays
async def test_failed_give_back_affects_no_other_poll() -> None:
    operations = FakeOperations()

    def fails(_found: bytes) -> None:
        msg = "no disk"
        raise ServiceUnavailable(msg)

    with ThreadPoolExecutor(4) as pool:
        polls = HeldPollQueue(operations, pool, PATIENCE, fails)
        async with polls.running():
            claim = Claim()
            poll = asyncio.create_task(polls.poll(LIST, claim))
            await until(claim.begun.is_set)
            poll.cancel()
            await asyncio.wait((poll,))
            claim.go_on.set()
            operations.put(LIST, TASK)
            assert await polls.poll(LIST, lambda: b"next") == b"next"
