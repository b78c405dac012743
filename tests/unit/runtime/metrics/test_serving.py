"""The server of the metrics, and clients that are not Prometheus."""

from __future__ import annotations

import logging
import socket
import struct
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry

from floto.runtime.metrics import serving

SECONDS = 10


@pytest.fixture
def address(caplog: pytest.LogCaptureFixture) -> Iterator[tuple[str, int]]:
    """The address of a server that waits a tenth of a second for a client that sends nothing."""
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.DEBUG, "floto"):
        patch.setattr(serving.RequestHandler, "timeout", 0.1)
        with serving.serving_metrics("127.0.0.1", 0, CollectorRegistry()):
            yield "127.0.0.1", int(caplog.messages[-1].rpartition(":")[2])


def connected(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=SECONDS)


def scrape(address: tuple[str, int]) -> None:
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/metrics", timeout=SECONDS) as response:
        assert b"floto_" in response.read()


def ended(client: socket.socket) -> bool:
    """Return True after the server has closed a connection without a response."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_clients_that_send_nothing_or_reset_print_nothing(
    address: tuple[str, int], capfd: pytest.CaptureFixture[str]
) -> None:
    with connected(address) as silent, connected(address) as resetting:
        resetting.send(b"GET ")
        # Closing sends a reset.
        resetting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        resetting.close()
        assert ended(silent)
    scrape(address)
    assert capfd.readouterr().err == ""


def test_each_connection_takes_the_place_of_one_that_has_ended(address: tuple[str, int]) -> None:
    for _ in range(2 * serving.MOST_CONNECTIONS):
        scrape(address)


def test_connections_above_the_limit_are_closed_at_once(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving.RequestHandler, "timeout", SECONDS)
    with ExitStack() as clients:
        first = [clients.enter_context(connected(address)) for _ in range(serving.MOST_CONNECTIONS)]
        assert ended(clients.enter_context(connected(address)))
        first[0].send(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert first[0].recv(12) == b"HTTP/1.0 200"
