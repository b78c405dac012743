"""The invocation of Lambda functions, which are Python functions of this process, by name."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define

from floto import logs
from floto.adapters.sqlite.sqlite_engine import SqliteEngine
from floto.core.engine import commands as c
from floto.core.engine.polled_tasks import LambdaTask
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import LAMBDA_LIST, TaskKind
from floto.core.errors import ServiceError, ServiceUnavailable, UnknownResource
from floto.core.swf.limits import DATA_LIMIT, REASON_LIMIT
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: Takes its decoded JSON input; returns a value that JSON can encode.
Function = Callable[[Any], Any]

#: Maximum number of functions that run at the same time.
_AT_ONCE = 16
#: Seconds between checks for tasks of other processes.
_LOOK_SECONDS = 0.05
#: Seconds before an outcome that could not be recorded is recorded again.
_REPORT_SECONDS = 1.0
#: Lambda's own codes for failed invocations.
_UNKNOWN, _NOT_JSON = "ResourceNotFoundException", "InvalidRequestContentException"
_TOO_LARGE = "Function.ResponseSizeTooLarge"


@define
class FunctionFailure(Exception):
    """A failed invocation, with Lambda's reason and details."""

    reason: str
    details: str


class Invoker:
    """Claims the Lambda tasks of every domain and invokes their functions, each in a thread of its own.

    Args:
        host: The engine on the file.
        functions: The functions by name.
    """

    def __init__(self, host: SqliteEngine, functions: Mapping[str, Function]) -> None:
        self._host = host
        self._functions = dict(functions)
        self._notified = threading.Event()
        self._closed = threading.Event()
        self._troubles = TroubleLog(log)
        self._slots = threading.Semaphore(_AT_ONCE)
        host.listen(self._notified.set)
        self._thread = threading.Thread(target=self._run, name="floto-lambda", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Claim no more tasks; do not wait for functions that run: the next process invokes them again."""
        self._closed.set()
        self._notified.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            if not self._slots.acquire(timeout=_LOOK_SECONDS):
                continue
            self._notified.clear()
            task = self._next()
            if task is None:
                self._slots.release()
                self._notified.wait(_LOOK_SECONDS)
            else:
                # A daemon thread: the process does not wait for it at its end.
                name = f"floto-lambda-{task.name}"
                threading.Thread(target=self._work, args=(task,), name=name, daemon=True).start()

    def _next(self) -> LambdaTask | None:
        engine = self._host.engine
        try:
            # As every batch, this fires due deadlines and reads what other processes have committed.
            for domain in self._host.read(lambda _now: self._host.store.domains()):
                name = domain.name
                task_queue = TaskQueue(name, TaskKind.LAMBDA, LAMBDA_LIST)
                task = self._host.attempt(task_queue, lambda now, name=name: engine.poll_lambda(name, now))  # type: ignore[misc]
                if task is not None:
                    return task
            self._troubles.over("invoking Lambda functions")
        except ServiceError as error:
            if not self._closed.is_set():
                message = "cannot invoke Lambda functions, retrying: %s"
                self._troubles.failed("invoking Lambda functions", message, error, level=logging.ERROR)
        return None

    def _work(self, task: LambdaTask) -> None:
        try:
            with logs.context(task.execution.workflow_id, task.execution.run_id):
                self._invoke(task)
        finally:
            self._slots.release()

    def _invoke(self, task: LambdaTask) -> None:
        try:
            self._report(c.RespondLambdaFunctionCompleted, task, result=self._result(task))
        except FunctionFailure as failure:
            self._report(c.RespondLambdaFunctionFailed, task, reason=failure.reason, details=failure.details)

    def _result(self, task: LambdaTask) -> str:
        function = self._functions.get(task.name)
        if function is None:
            raise FunctionFailure(_UNKNOWN, f"Function not found: {task.name}")
        try:
            # Without input, a function gets an empty object.
            given = json.loads(task.input or "{}")
        except (ValueError, RecursionError) as error:
            raise FunctionFailure(_NOT_JSON, f"the input is not JSON: {error}") from error
        try:
            result = json.dumps(function(given))
        except BaseException as error:
            log.info("Lambda function %s failed", task.name, exc_info=True)
            details = json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)})
            raise FunctionFailure(type(error).__name__[:REASON_LIMIT], details[:DATA_LIMIT]) from error
        if len(result) > DATA_LIMIT:
            raise FunctionFailure(
                _TOO_LARGE, f"the result has {len(result)} characters; SWF takes {DATA_LIMIT}"
            )
        return result

    def _report(self, answer: type, task: LambdaTask, **fields: Any) -> None:
        """Record an outcome, again and again while the file cannot be written, as on a full disk."""
        while not self._is_recorded(answer, task, fields) and not self._closed.wait(_REPORT_SECONDS):
            pass

    def _is_recorded(self, answer: type, task: LambdaTask, fields: Mapping[str, Any]) -> bool:
        """Return False if the outcome is to be recorded again."""
        try:
            self._host.write(lambda now: self._host.engine.respond(answer, task.token, now, **fields))
        except UnknownResource as fault:
            log.info("Lambda function %s: the result was too late (%s)", task.name, fault)
        except ServiceError as error:
            if not self._closed.is_set():
                message = "Lambda function %s: the result could not be recorded"
                self._troubles.failed("results", message, task.name, level=logging.ERROR, error=error)
            return not isinstance(error, ServiceUnavailable)
        else:
            self._troubles.over("results")
        return True
