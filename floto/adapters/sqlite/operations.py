"""SWF's 39 operations on one SQLite file, with the requests and responses of boto3."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from operator import itemgetter
from pathlib import Path

from floto.adapters import model
from floto.adapters.clock import utc_now
from floto.adapters.lambda_invoker import Function, Invoker
from floto.adapters.operations import PendingCall, is_query
from floto.adapters.sqlite import inspection
from floto.adapters.sqlite.batches import Read, Write
from floto.adapters.sqlite.group_commit import Job
from floto.adapters.sqlite.sqlite_engine import SqliteEngine
from floto.adapters.sqlite.storage.database import Durability
from floto.adapters.sqlite.wait_queue import Poll
from floto.core.engine.api import Api
from floto.core.engine.api.call import Request, Response
from floto.core.engine.api.tasks import IDLE
from floto.core.engine.engine import Engine
from floto.core.engine.registration.regions import DEFAULT_REGION, domain_key, of_region
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import TaskKind, run_id_from
from floto.core.swf.limits import POLL_SECONDS
from floto.core.swf.pollers import Live, Poller, PollKind
from floto.core.swf.service import Clock
from floto.core.swf.shapes import ActivityType

_POLLS = {"PollForDecisionTask": TaskKind.DECISION, "PollForActivityTask": TaskKind.ACTIVITY}
_token_of = itemgetter("taskToken")


def new_run_id() -> str:
    """Return a new, random run id."""
    return run_id_from(secrets.token_bytes(32))


class SqliteOperations:
    """SWF on a file that any number of threads and processes may share.

    Args:
        path: The file, which is created if it is missing; ``":memory:"`` for none.
        clock: Returns the current time in UTC; default: the machine's clock.
        durability: ``"full"`` syncs the disk with every commit; ``"normal"`` may lose the latest commits in a
            power cut.
        functions: The Lambda functions by name, called with their decoded JSON input in threads of this
            process; default: Lambda is not available.
        poll_seconds: Seconds that ``call`` holds an idle poll.
        run_ids: Returns a new run id.

    Raises:
        ServiceError: if the file is not a floto database, of a newer version, or damaged.
    """

    def __init__(  # noqa: PLR0913 - all but the path are optional and named
        self,
        path: str | Path,
        *,
        clock: Clock | None = None,
        durability: Durability = "full",
        functions: Mapping[str, Function] | None = None,
        poll_seconds: float = POLL_SECONDS,
        run_ids: Callable[[], str] = new_run_id,
    ) -> None:
        self._host = SqliteEngine(
            path, clock or utc_now, durability, for_clients=True, invokes_lambda=functions is not None
        )
        self._api = Api(self._host.engine, self._host.store, run_ids)
        self._queries = Api(Engine(self._host.view), self._host.view, run_ids)
        self._poll_seconds = poll_seconds
        self._invoker = None if functions is None else Invoker(self._host, functions)

    def call(self, operation: str, request: Request, region: str = DEFAULT_REGION) -> Response:
        """Execute an operation on the domains of a region; a poll waits for its task.

        Args:
            operation: SWF's name of the operation.
            request: Its members, with the names of boto3.
            region: The AWS region.

        Raises:
            ServiceFault: with SWF's code and message.
            ServiceUnavailable: if the same call may succeed later.
            ServiceError: if the service is closed, or the file is damaged or gone.
        """
        checked = model.check(operation, request)
        if is_query(operation):
            return self._host.query(lambda _store, now: self._queries.call(operation, checked, now, region))
        job = self._job(operation, checked, region)
        if not isinstance(job, Poll):
            response: Response = self._host.wait_for(job)
            return response
        self._host.presence.saw(self._poller(job.task_queue, checked.get("identity", ""), None))
        task: Response | None = self._host.poll(job, self._poll_seconds, _token_of)
        return dict(IDLE[operation]) if task is None else task

    def begin(self, operation: str, request: Request, region: str, notify: Callable[[], None]) -> PendingCall:
        """Begin an operation that is not a query, for an event loop: nothing waits for it.

        Args:
            operation: SWF's name of the operation.
            request: The request, already checked against SWF's model.
            region: The AWS region.
            notify: Called in any thread when it is done, perhaps repeatedly.

        Raises:
            ServiceError: if the file is read-only.
        """
        return self._host.begin(self._job(operation, request, region), lambda _job: notify())

    def check(self) -> None:
        """Read from the file itself, past every cache; raise an error if it cannot be read."""
        inspection.check(self._host)

    def watch(self) -> None:
        """Fire deadlines at their time also while no poll is pending, as a server must."""
        self._host.watch()

    def check_file(self) -> None:
        """Raise ``DatabaseGone`` if the file is not the one that was opened; nothing is read."""
        self._host.check_file()

    def give_back(self, token: str) -> None:
        """Redeliver a task with the same token, because its client left before it got the task."""
        self._host.give_back(token)

    def saw(self, task_queue: TaskQueue, identity: str, serves: tuple[ActivityType, ...] | None) -> None:
        """Record a client that polls, for ``floto status``, in another thread.

        Args:
            task_queue: The polled task queue.
            identity: The identity of the client.
            serves: The activities that it says it can run; None if it does not say.
        """
        # It may write a file.
        self._host.writer.put(partial(self._host.presence.saw, self._poller(task_queue, identity, serves)))

    def _poller(
        self, task_queue: TaskQueue, identity: str, serves: tuple[ActivityType, ...] | None
    ) -> Poller:
        return Poller(
            domain=task_queue.domain,
            kind=PollKind(task_queue.kind),
            task_list=task_queue.task_list,
            identity=identity,
            serves=serves,
            seen=self._host.clock(),
        )

    def live(self, region: str = DEFAULT_REGION) -> Live:
        """Return the backlog and the pollers of every task list of a region's domains."""
        return of_region(inspection.live(self._host), region)

    def task_queue(self, operation: str, request: Request, region: str = DEFAULT_REGION) -> TaskQueue | None:
        """Return the task queue of a poll; None if the request does not poll for a new task."""
        kind = _POLLS.get(operation)
        if kind is None or request.get("nextPageToken") is not None:
            return None
        return TaskQueue(domain_key(region, request["domain"]), kind, request["taskList"]["name"])

    def close(self) -> None:
        """Close the file and end the pending polls; clients keep the tasks that they own."""
        if self._invoker is not None:
            self._invoker.close()
        self._host.close()

    def _job(self, operation: str, request: Request, region: str) -> Job:
        """Return the job of an operation that is not a query."""
        execute = partial(self._api.call, operation, request, region=region)
        task_queue = self.task_queue(operation, request, region)
        if task_queue is None:
            # A poll for a later page of a task's history only reads.
            return Read(execute) if operation in _POLLS else Write(execute)

        def take(now: datetime) -> Response | None:
            response = execute(now)
            return response if "taskToken" in response else None

        return Poll(task_queue, take, waits=True)
