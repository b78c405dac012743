"""Helpers for tests of the HTTP application: a service of task lists, and requests without a socket."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import RLock
from typing import Any

from attrs import define, frozen
from starlette.types import ASGIApp

from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import TaskKind
from floto.core.swf.pollers import Live
from floto.core.swf.shapes import ActivityType

#: No test waits longer for what must happen.
PATIENCE = 60.0
AMZ_JSON = "application/x-amz-json-1.0"
LIST = TaskQueue("shop", TaskKind.ACTIVITY, "orders")


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - what is waited for is seen from outside only
            await asyncio.sleep(0.005)


@define(eq=False)
class FakeCall:
    """A call or poll that was begun; a poll is withdrawn under the lock of the operations."""

    operations: FakeOperations
    notify: Callable[[], None]
    task_queue: TaskQueue | None
    result: Any = None
    error: Exception | None = None
    is_done: bool = False

    def attempt(self, find: Callable[[], Any], *, waits: bool = False) -> None:
        """Execute it, and notify its caller if it is done."""
        try:
            self.result = find()
        except Exception as error:  # noqa: BLE001 - the caller gets it
            self.error = error
        if not waits or self.result is not None or self.error is not None:
            self.is_done = True
            self.notify()

    def outcome(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result

    def withdraw(self) -> bool:
        with self.operations.lock:
            pending = [] if self.task_queue is None else self.operations.pending[self.task_queue]
            if self not in pending:
                return False
            pending.remove(self)
            return True


class FakeOperations:
    """Hands out tasks that a test puts into it, in a thread, and answers calls as a test says."""

    def __init__(self) -> None:
        self.tasks: dict[TaskQueue, list[dict[str, Any]]] = defaultdict(list)
        #: The pending polls, longest waiting first.
        self.pending: dict[TaskQueue, list[FakeCall]] = defaultdict(list)
        self.answer: Callable[[str, Mapping[str, Any]], dict[str, Any]] = lambda *_: {}
        self.attempts: list[str] = []
        self.given_back: list[str] = []
        self.pollers: list[tuple[TaskQueue, str, tuple[ActivityType, ...] | None]] = []
        self.lock = RLock()
        self._threads = ThreadPoolExecutor(4)

    def put(self, task_queue: TaskQueue, *tasks: dict[str, Any]) -> None:
        self.tasks[task_queue].extend(tasks)
        self._threads.submit(self._serve, task_queue)

    def _serve(self, task_queue: TaskQueue) -> None:
        with self.lock:
            for poll in tuple(self.pending[task_queue]):
                poll.attempt(lambda: self.take(task_queue), waits=True)
                if poll.is_done:
                    self.pending[task_queue].remove(poll)

    def call(self, operation: str, request: Mapping[str, Any], _region: str = "") -> dict[str, Any]:
        return self.answer(operation, request)

    def begin(
        self, operation: str, request: Mapping[str, Any], region: str, notify: Callable[[], None]
    ) -> FakeCall:
        call = FakeCall(self, notify, self.task_queue(operation, request, region))
        if call.task_queue is None:
            self._threads.submit(call.attempt, lambda: self.answer(operation, request))
        else:
            self.attempts.append(request.get("identity", ""))
            self.pending[call.task_queue].append(call)
            self._threads.submit(self._serve, call.task_queue)
        return call

    def take(self, task_queue: TaskQueue) -> dict[str, Any] | None:
        return self.tasks[task_queue].pop(0) if self.tasks[task_queue] else None

    def task_queue(self, operation: str, request: Mapping[str, Any], _region: str = "") -> TaskQueue | None:
        if operation != "PollForActivityTask":
            return None
        return TaskQueue(request["domain"], TaskKind.ACTIVITY, request["taskList"]["name"])

    def check(self) -> None:
        pass

    def saw(self, task_queue: TaskQueue, identity: str, serves: tuple[ActivityType, ...] | None) -> None:
        self.pollers.append((task_queue, identity, serves))

    def live(self, region: str) -> Live:  # noqa: ARG002 - it knows of nobody, anywhere
        return Live()

    def give_back(self, token: str) -> None:
        self.given_back.append(token)

    def close(self) -> None:
        self._threads.shutdown()


@frozen
class Reply:
    """The response of the application."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """A client that sends one request, and may go away."""

    def __init__(self, body: bytes, chunk: int = 65_536) -> None:
        self._chunks = [body[at : at + chunk] for at in range(0, len(body), chunk)] or [b""]
        self.gone = asyncio.Event()
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self._chunks:
            chunk = self._chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._chunks)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def reply(self) -> Reply:
        start = self.sent[0]
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        body = b"".join(message.get("body", b"") for message in self.sent[1:])
        return Reply(start["status"], headers, body)


async def ask(  # noqa: PLR0913 - a request has that many parts
    application: ASGIApp,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    body: bytes = b"{}",
    *,
    method: str = "POST",
    path: str = "/",
    connection: Connection | None = None,
) -> Reply:
    """Send one request, and wait for its answer."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    connection = Connection(body) if connection is None else connection
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
    }
    await application(scope, connection.receive, connection.send)
    return connection.reply()
