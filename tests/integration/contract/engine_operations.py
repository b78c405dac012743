"""SWF's operations on the pure engine, and Lambda functions that a test invokes itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from threading import Condition
from typing import Any, Protocol

from floto.adapters import model
from floto.adapters.sqlite.operations import SqliteOperations, new_run_id
from floto.core.engine.api import Api
from floto.core.engine.api.tasks import IDLE
from floto.core.engine.engine import Engine
from floto.core.engine.polled_tasks import LambdaTask
from floto.core.engine.registration.regions import DEFAULT_REGION, domain_key
from floto.core.engine.stores.memory_store import MemoryStore
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import LAMBDA_LIST, TaskKind

Json = dict[str, Any]


class LambdaInvoker(Protocol):
    """The side of Lambda: SWF has no operations for it, it invokes functions itself."""

    def poll_lambda(self, domain: str) -> LambdaTask | None:
        """Start the next Lambda function of a domain; None if none waits."""

    def respond_lambda(self, answer: type, token: str, **fields: Any) -> None:
        """Report the end of a Lambda function; ``answer`` is the class of the command."""


class EngineOperations:
    """The engine on an in-memory store.

    An idle poll waits in its thread, at most ``poll_seconds`` of real time, for another thread's call.
    """

    def __init__(
        self,
        store: MemoryStore,
        clock: Callable[[], datetime],
        *,
        poll_seconds: float = 0,
        run_ids: Callable[[], str] = new_run_id,
        invokes_lambda: bool = False,
    ) -> None:
        self._clock, self._poll_seconds = clock, poll_seconds
        self._engine = Engine(store, invokes_lambda=invokes_lambda)
        self._api = Api(self._engine, store, run_ids)
        self._called = Condition()

    def call(self, operation: str, request: Mapping[str, Any]) -> Json:
        checked = model.check(operation, request)
        with self._called:
            if operation not in IDLE:
                response = self._once(operation, checked)
                self._called.notify_all()
                return response
            task = self._called.wait_for(lambda: self._task(operation, checked), self._poll_seconds)
            return task or dict(IDLE[operation])

    def _task(self, operation: str, checked: Mapping[str, Any]) -> Json | None:
        response = self._once(operation, checked)
        return response if "taskToken" in response else None

    def _once(self, operation: str, checked: Mapping[str, Any]) -> Json:
        now = self._clock()
        self._engine.fire_due(now)
        return self._api.call(operation, checked, now)

    def poll_lambda(self, domain: str) -> LambdaTask | None:
        self._engine.fire_due(self._clock())
        return self._engine.poll_lambda(domain_key(DEFAULT_REGION, domain), self._clock())

    def respond_lambda(self, answer: type, token: str, **fields: Any) -> None:
        self._engine.fire_due(self._clock())
        self._engine.respond(answer, token, self._clock(), **fields)

    def close(self) -> None:
        """Keep the store: the next service opens on it."""


class FileOperations(SqliteOperations):
    """The engine on a file, without the threads that invoke Lambda functions."""

    def __init__(self, path: Path, **settings: Any) -> None:
        super().__init__(path, functions={}, **settings)
        assert self._invoker is not None
        self._invoker.close()

    def poll_lambda(self, domain: str) -> LambdaTask | None:
        key = domain_key(DEFAULT_REGION, domain)
        task_queue = TaskQueue(key, TaskKind.LAMBDA, LAMBDA_LIST)
        return self._host.attempt(task_queue, lambda now: self._host.engine.poll_lambda(key, now))

    def respond_lambda(self, answer: type, token: str, **fields: Any) -> None:
        self._host.write(lambda now: self._host.engine.respond(answer, token, now, **fields))
