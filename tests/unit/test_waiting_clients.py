"""When the client of an HTTP request has gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from floto.waiting_clients import IS_CLOSING, WaitingClient


@pytest.mark.parametrize("says", [True, False])
def test_client_has_gone_when_its_connection_closes_or_its_end_is_received(*, says: bool) -> None:
    async def watch() -> list[bool]:
        left = asyncio.Event()
        is_closing: list[bool] = []

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        state = {IS_CLOSING: lambda: bool(is_closing)} if says else {}
        client = WaitingClient.of(Request({"type": "http", "state": state}, receive))
        seen = [client.has_gone()]
        is_closing.append(True)
        seen.append(client.has_gone())
        left.set()
        await client.gone
        return [*seen, client.has_gone()]

    assert asyncio.run(watch()) == [False, says, True]
