"""Calls that wait for one thread: a limited number, and only those of clients that are still there."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from threading import Event
from typing import Any

import pytest
from attrs import define, field

from floto.pages.web.security import Refused
from floto.pages.web.work_queue import WorkQueue
from tests.unit.adapters.http.asgi import PATIENCE, until


@define
class Calls:
    """Calls that last until the test ends them."""

    begun: list[int] = field(factory=list)
    may_end: Event = field(factory=Event)

    def of(self, number: int) -> Callable[[], int]:
        def call() -> int:
            self.begun.append(number)
            assert self.may_end.wait(PATIENCE)
            return number

        return call


def within(play: Callable[[WorkQueue, Calls], Awaitable[Any]]) -> Calls:
    calls = Calls()

    async def played() -> None:
        queue = WorkQueue("test", 2)
        try:
            await play(queue, calls)
        finally:
            calls.may_end.set()
            queue.stop()

    asyncio.run(played())
    return calls


async def begin(queue: WorkQueue, calls: Calls, *numbers: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(queue.execute(calls.of(number))) for number in numbers]
    await until(lambda: bool(calls.begun))
    return tasks


def test_calls_are_executed_in_order() -> None:
    async def play(queue: WorkQueue, calls: Calls) -> None:
        tasks = await begin(queue, calls, 1, 2, 3)
        calls.may_end.set()
        assert await asyncio.gather(*tasks) == [1, 2, 3]

    assert within(play).begun == [1, 2, 3]


def test_call_is_refused_while_too_many_wait() -> None:
    async def play(queue: WorkQueue, calls: Calls) -> None:
        tasks = await begin(queue, calls, 1, 2, 3)
        with pytest.raises(Refused, match="too many requests"):
            await queue.execute(calls.of(4))
        calls.may_end.set()
        await asyncio.gather(*tasks)
        assert await queue.execute(calls.of(5)) == 5

    assert within(play).begun == [1, 2, 3, 5]


def test_call_that_is_cancelled_while_it_waits_does_not_begin() -> None:
    async def play(queue: WorkQueue, calls: Calls) -> None:
        first, second, third = await begin(queue, calls, 1, 2, 3)
        second.cancel()
        calls.may_end.set()
        assert [await first, await third] == [1, 3]

    assert within(play).begun == [1, 3]


def test_cancelled_call_occupies_the_thread_until_it_returns() -> None:
    async def play(queue: WorkQueue, calls: Calls) -> None:
        first, second, _ = await begin(queue, calls, 1, 2, 3)
        first.cancel()
        await asyncio.sleep(0.05)
        with pytest.raises(Refused, match="too many requests"):
            await queue.execute(calls.of(4))
        assert calls.begun == [1]
        calls.may_end.set()
        assert await second == 2

    within(play)


def test_waiting_call_is_refused_when_the_server_stops() -> None:
    async def play(queue: WorkQueue, calls: Calls) -> None:
        first, second = await begin(queue, calls, 1, 2)
        queue.stop()
        calls.may_end.set()
        assert await first == 1
        with pytest.raises(Refused, match="is stopping"):
            await second

    within(play)


def test_error_of_a_call_that_was_cancelled_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def play(queue: WorkQueue, calls: Calls) -> None:
        def fail() -> None:
            calls.of(1)()
            raise ValueError

        failing = asyncio.create_task(queue.execute(fail))
        await until(lambda: bool(calls.begun))
        failing.cancel()
        calls.may_end.set()
        assert await queue.execute(calls.of(2)) == 2

    within(play)
    gc.collect()
    assert not caplog.records
