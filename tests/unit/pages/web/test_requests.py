"""Requests to the pages, sent to their ASGI application without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from threading import Event
from typing import Any, TypeVar, cast

import pytest
from starlette.types import ASGIApp

from floto.core.errors import HistoryError, UnknownResource
from floto.core.swf.shapes import WorkflowExecution
from floto.pages.web.app import Pages
from floto.pages.web.requests import FORM_LIMIT, HISTORY_LIMIT
from floto.pages.web.security import TOKEN_HEADER, Guard
from tests.unit.adapters.http.asgi import PATIENCE, Connection, Reply, ask, until

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


def within(play: Callable[[ASGIApp, Mapping[str, str]], Awaitable[T]], source: object = None) -> T:
    """Play with the pages of a service, and the headers of their own requests."""

    async def played() -> T:
        guard = Guard()
        pages = Pages(cast("Any", source), guard)
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


class Reading:
    """A service that reads saved histories for as long as a test lets it, and has no runs."""

    domain, name = "floto", "test"

    def __init__(self) -> None:
        self.read: list[bytes] = []
        self.may_end = Event()

    def saved(self, data: bytes) -> None:
        self.read.append(data)
        assert self.may_end.wait(PATIENCE)
        raise HistoryError(None, "of a test")

    def history(self, _domain: str, run: WorkflowExecution, _after: int = 0) -> None:
        raise UnknownResource(code="UnknownResourceFault", message=run.workflow_id)


def test_files_of_clients_that_have_gone_are_not_read_and_do_not_delay_runs() -> None:
    source = Reading()

    async def play(app: ASGIApp, headers: Mapping[str, str]) -> list[int]:
        senders = [Connection(b"%d" % number) for number in range(4)]
        asked = []
        for sender in senders:
            asked.append(asyncio.create_task(ask(app, headers, path="/open", connection=sender)))
            await until(lambda: bool(source.read))
        for sender in senders:
            sender.gone.set()
        await asyncio.wait(asked, timeout=1)
        document = ask(app, headers, method="GET", path="/runs/x/y/document")
        status = (await asyncio.wait_for(document, 1)).status
        source.may_end.set()
        last = await ask(app, headers, b"last", path="/open")
        return [status, last.status]

    assert within(play, source) == [404, 400]
    assert source.read == [b"0", b"last"]


def test_files_are_refused_while_too_many_wait() -> None:
    source = Reading()

    async def play(app: ASGIApp, headers: Mapping[str, str]) -> list[int]:
        asked = [asyncio.create_task(ask(app, headers, path="/open")) for _ in range(8)]
        await asyncio.wait(asked, timeout=0.5)
        source.may_end.set()
        return sorted(reply.status for reply in await asyncio.gather(*asked))

    assert within(play, source) == [400] * 5 + [503] * 3
