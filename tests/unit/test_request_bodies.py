"""The memory of bodies that are being read, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from floto.core.errors import ServiceUnavailable
from floto.request_bodies import UNCOUNTED, BodyBudget
from tests.unit.adapters.http.asgi import PATIENCE

#: The size of a body that counts; there is room for four of them.
SIZE = UNCOUNTED + 1


class Sender:
    """A client that sends what a test says, until it says that the body is complete."""

    def __init__(self, budget: BodyBudget) -> None:
        self._chunks: asyncio.Queue[int] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read(budget))

    async def _read(self, budget: BodyBudget) -> int:
        async with budget.reading(PATIENCE) as body:
            while size := await self._chunks.get():
                body.add(bytes(size))
        return len(body.data)

    async def send(self, size: int) -> None:
        """Send bytes, and wait until they have been received, and longer."""
        self._chunks.put_nowait(size)
        await asyncio.sleep(0.02)

    async def received(self) -> int:
        self._chunks.put_nowait(0)
        return await self._reading


def play(scene: Callable[[BodyBudget], Awaitable[Any]]) -> None:
    async def played() -> None:
        budget = BodyBudget(4 * SIZE)
        await scene(budget)
        # Whatever happened, all of the memory is free again.
        last = Sender(budget)
        await last.send(4 * SIZE)
        assert await last.received() == 4 * SIZE

    asyncio.run(played())


async def four(budget: BodyBudget) -> list[Sender]:
    senders = [Sender(budget) for _ in range(4)]
    for sender in senders:
        await sender.send(SIZE)
    return senders


def test_slowest_body_ends_when_another_needs_its_memory() -> None:
    async def scene(budget: BodyBudget) -> None:
        slowest, *others = await four(budget)
        newest = Sender(budget)
        await newest.send(SIZE)
        with pytest.raises(ServiceUnavailable, match="the slowest"):
            await slowest.received()
        assert [await each.received() for each in (*others, newest)] == [SIZE] * 4

    play(scene)


def test_as_many_bodies_end_as_another_needs() -> None:
    async def scene(budget: BodyBudget) -> None:
        first, second, *others = await four(budget)
        newest = Sender(budget)
        await newest.send(2 * SIZE)
        for ended in (first, second):
            with pytest.raises(ServiceUnavailable):
                await ended.received()
        assert [await each.received() for each in (*others, newest)] == [SIZE, SIZE, 2 * SIZE]

    play(scene)


def test_body_that_is_the_slowest_itself_ends() -> None:
    async def scene(budget: BodyBudget) -> None:
        slowest, *others = await four(budget)
        await slowest.send(1)
        with pytest.raises(ServiceUnavailable):
            await slowest.received()
        assert [await each.received() for each in others] == [SIZE] * 3

    play(scene)


def test_small_bodies_do_not_count() -> None:
    async def scene(budget: BodyBudget) -> None:
        senders = await four(budget)
        small = [Sender(budget) for _ in range(4)]
        for each in small:
            await each.send(UNCOUNTED)
        assert [await each.received() for each in (*senders, *small)] == [SIZE] * 4 + [UNCOUNTED] * 4

    play(scene)


def test_body_that_takes_too_long_ends_with_a_timeout() -> None:
    async def read(budget: BodyBudget) -> None:
        async with budget.reading(0.05) as body:
            body.add(bytes(SIZE))
            await asyncio.sleep(PATIENCE)

    async def scene(budget: BodyBudget) -> None:
        with pytest.raises(TimeoutError):
            await read(budget)

    play(scene)
