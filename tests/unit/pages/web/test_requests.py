"""Requests to the pages, sent to their ASGI application without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import pytest
from starlette.types import ASGIApp

from floto.pages.web.app import Pages
from floto.pages.web.requests import FORM_LIMIT, HISTORY_LIMIT
from floto.pages.web.security import TOKEN_HEADER, Guard
from tests.unit.adapters.http.asgi import Connection, Reply, ask, until

T = TypeVar("T")
HOST = "127.0.0.1:1"
#: Bytes of a body that is not complete.
MOST = HISTORY_LIMIT - 1024 * 1024


class Stalled(Connection):
    """A client that sends a large part of a body, and then waits."""

    has_sent = False

    async def receive(self) -> dict[str, Any]:
        if not self.has_sent:
            self.has_sent = True
            return {"type": "http.request", "body": bytes(MOST), "more_body": True}
        await self.gone.wait()
        return {"type": "http.disconnect"}


class NeverRead(Connection):
    """A client whose body must not be read."""

    async def receive(self) -> dict[str, Any]:
        pytest.fail("the body is read")


def within(play: Callable[[ASGIApp, Mapping[str, str]], Awaitable[T]]) -> T:
    """Play with the pages of a service that is not called, and the headers of their own requests."""

    async def played() -> T:
        guard = Guard()
        pages = Pages(cast("Any", object()), guard)
        try:
            headers = {"Host": HOST, "Origin": f"http://{HOST}", TOKEN_HEADER: guard.csrf}
            return await play(pages.application, headers)
        finally:
            pages.stop()

    return asyncio.run(played())


def test_incomplete_bodies_have_a_total_limit() -> None:
    async def play(app: ASGIApp, headers: Mapping[str, str]) -> list[int]:
        senders = [Stalled(b"") for _ in range(4)]
        asked = [
            asyncio.create_task(ask(app, headers, path="/open", connection=sender)) for sender in senders
        ]
        await until(lambda: all(sender.has_sent for sender in senders))
        refused, pending = await asyncio.wait(asked, timeout=1)
        for sender in senders:
            sender.gone.set()
        await asyncio.gather(*pending)
        return [each.result().status for each in refused]

    assert within(play) == [503, 503]


@pytest.mark.parametrize(("path", "limit"), [("/open", HISTORY_LIMIT), ("/actions/start", FORM_LIMIT)])
def test_body_with_too_long_a_content_length_is_refused_before_it_is_read(path: str, limit: int) -> None:
    async def play(app: ASGIApp, headers: Mapping[str, str]) -> Reply:
        declared = {**headers, "Content-Length": str(limit + 1)}
        return await ask(app, declared, path=path, connection=NeverRead(b""))

    assert within(play).status == 413
