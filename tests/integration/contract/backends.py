"""The backends of the scenarios: the pure engine, floto in process, floto behind a socket, and moto."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import boto3
import pytest
import uvicorn
from botocore.config import Config
from moto import mock_aws

from floto.adapters.http import application
from floto.adapters.local import LocalClient, LocalSwf
from floto.adapters.sqlite.operations import SqliteOperations
from floto.core.engine.stores.memory_store import MemoryStore
from floto.runtime.listening import listening
from tests.integration.contract.clock import Clock
from tests.integration.contract.engine_operations import EngineOperations, FileOperations

#: An idle poll of a test ends so soon; one that finds a task begins within this time, also on a busy machine.
SOON = 0.2
#: No test waits longer for a thread to end.
PATIENCE = 60.0

#: boto3 checks nothing by itself and asks once: what a test sees is what the service said.
CONFIG = Config(
    parameter_validation=False,
    retries={"total_max_attempts": 1},
    read_timeout=70,
    max_pool_connections=20,
)


@cache
def _session() -> Any:
    # Reading boto3's models is slow: once is enough. A session made after moto was imported can be mocked.
    return boto3.Session(
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106 - nobody checks it
        region_name="us-east-1",
    )


def boto3_client(endpoint_url: str | None = None) -> Any:
    """A real SWF client of boto3."""
    return _session().client("swf", endpoint_url=endpoint_url, config=CONFIG)


class Backend(Protocol):
    """A service with a client; one that remembers can be closed and opened again."""

    name: str
    client: Any
    clock: Clock

    def open(self, **options: Any) -> None:
        """Start the service; ``options`` are those of ``LocalSwf``."""

    def close(self) -> None:
        """Stop it."""


def _settings(clock: Clock, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"clock": clock, "poll_seconds": SOON, "durability": "normal", **options}


class Memory:
    """The pure engine in this process; its store outlives a restart, and idle polls return at once."""

    name = "engine"

    def __init__(self, clock: Clock) -> None:
        self._store, self.clock = MemoryStore(), clock
        self.client: Any = None

    def open(self, **options: Any) -> None:
        self.operations = EngineOperations(self._store, self.clock, **options)
        self.client = LocalClient(self.operations)

    def close(self) -> None:
        self.client.close()


class Local:
    """``floto.LocalSwf`` in this process; with ``invokes_lambda`` the test invokes the functions."""

    name = "local"

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self.clock = path, clock
        self.client: Any = None

    def open(self, *, invokes_lambda: bool = False, **options: Any) -> None:
        settings = _settings(self.clock, options)
        if invokes_lambda:
            self.operations = FileOperations(self._path, **settings)
            self.client = LocalClient(self.operations)
        else:
            self.client = LocalSwf(self._path, **settings)

    def close(self) -> None:
        self.client.close()


class Server:
    """boto3 and a socket, with floto's server in a thread at the other end."""

    name = "server"

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self.clock = path, clock
        self.client: Any = None
        self.address: tuple[str, int] = ("", 0)

    def open(self, **options: Any) -> None:
        self._operations = SqliteOperations(self._path, **_settings(self.clock, options))
        config = uvicorn.Config(
            application(self._operations, poll_seconds=options.get("poll_seconds", SOON)), log_config=None
        )
        self._uvicorn = uvicorn.Server(config)
        # The socket listens from here on, so clients need not wait for the thread.
        self._listener = listening("127.0.0.1", 0, anywhere=False)
        self.address = self._listener.getsockname()
        self._thread = Thread(target=self._uvicorn.run, kwargs={"sockets": [self._listener]})
        self._thread.start()
        self.client = boto3_client("http://{}:{}".format(*self.address))

    def close(self) -> None:
        self.client.close()
        self._uvicorn.should_exit = True
        self._thread.join(PATIENCE)
        self._listener.close()
        self._operations.close()


class Moto:
    """moto, on the hand-wound clock and without the second it sleeps in an idle poll."""

    name = "moto"

    def __init__(self, patch: pytest.MonkeyPatch, clock: Clock) -> None:
        self._patch, self.clock = patch, clock
        self._mock = mock_aws()
        self.client: Any = None

    def open(self, **_options: Any) -> None:
        models = "moto.swf.models"
        for module in ("activity_task", "decision_task", "history_event", "timeout", "workflow_execution"):
            self._patch.setattr(f"{models}.{module}.unix_time", self.clock.timestamp)
        for module in ("activity_task", "decision_task"):
            self._patch.setattr(f"{models}.{module}.utcnow", self.clock)
        self._patch.setattr(f"{models}.workflow_execution.ThreadingTimer", self.clock.timer)
        self._patch.setattr(f"{models}.sleep", lambda _seconds: None)
        self._mock.start()
        self.client = boto3_client()

    def close(self) -> None:
        self.client.close()
        self._mock.stop()


MAKERS: Mapping[str, Callable[[Path, pytest.MonkeyPatch, Clock], Backend]] = {
    "engine": lambda _path, _patch, clock: Memory(clock),
    "local": lambda path, _patch, clock: Local(path, clock),
    "server": lambda path, _patch, clock: Server(path, clock),
    "moto": lambda _path, patch, clock: Moto(patch, clock),
}


def _on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("backend", names, indirect=True)


#: Where a scenario without a mark holds.
FLOTO = ("engine", "local", "server")
everywhere = _on(*FLOTO, "moto")
over_http = _on("server")
#: Where a test can invoke Lambda functions itself.
by_hand = _on("engine", "local")
