"""SWF's 39 operations on one SQLite file: requests and responses as boto3 has them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from floto.adapters import model
from floto.adapters.sqlite.file.clock import utc_now
from floto.adapters.sqlite.file.schema import Durability
from floto.adapters.sqlite.lambda_invoker import Function, Invoker
from floto.adapters.sqlite.sqlite_engine import SqliteEngine
from floto.core.engine.api import Api
from floto.core.engine.api.call import Request, Response
from floto.core.engine.api.tasks import IDLE
from floto.core.engine.engine import Engine
from floto.core.engine.registration.regions import DEFAULT_REGION, domain_key, of_region
from floto.core.engine.stores.records import Place
from floto.core.engine.tokens import TaskKind, run_id_from
from floto.core.swf.pollers import Live, Poller, PollKind
from floto.core.swf.service import Clock
from floto.core.swf.shapes import ActivityType

#: As long as SWF holds a poll.
POLL_SECONDS = 60.0

_POLLS = {"PollForDecisionTask": TaskKind.DECISION, "PollForActivityTask": TaskKind.ACTIVITY}
_token_of = itemgetter("taskToken")
#: How the operations that change nothing begin.
_READS = ("Count", "Describe", "Get", "List")


def new_run_id() -> str:
    """A run id that was never used before."""
    return run_id_from(secrets.token_bytes(32))


class SqliteOperations:
    """SWF on a file that any number of threads and processes may share.

    ``functions`` are the Lambda functions by name, each called with its input read from JSON;
    without any, SWF's answer is that there is no Lambda here. ``poll_seconds`` is how long an
    idle poll is held.
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
        """Carry out an operation on the domains of a region; a poll waits for its task.

        Raises ``ServiceFault`` with SWF's code and message, ``ServiceUnavailable`` where the same
        call may succeed later, and ``ServiceError`` once this is closed.
        """
        checked = model.check(operation, request)
        place = self.place(operation, checked, region)
        if place is None:
            return self._once(operation, checked, region)
        self.saw(place, checked.get("identity", ""))
        task = self._host.poll(place, self._take(operation, checked, region), self._poll_seconds, _token_of)
        return dict(IDLE[operation]) if task is None else task

    def attempt(self, operation: str, request: Request, region: str = DEFAULT_REGION) -> Response | None:
        """Carry out an operation; a poll that finds no task returns None at once."""
        checked = model.check(operation, request)
        place = self.place(operation, checked, region)
        if place is None:
            return self._once(operation, checked, region)
        return self._host.attempt(place, self._take(operation, checked, region))

    def check(self) -> None:
        """Read from the file itself, past every cache; raises an error if it cannot be read."""
        self._host.check()

    def check_file(self) -> None:
        """Raise ``DatabaseGone`` if the file is another one than was opened; nothing is read."""
        self._host.check_file()

    def give_back(self, token: str) -> None:
        """Let a task be polled again by the same token: its client was gone before it got the task."""
        self._host.give_back(token)

    def saw(self, place: Place, identity: str, serves: tuple[ActivityType, ...] | None = None) -> None:
        """Show a client that polls in ``floto status``; ``serves`` is what it says it can run."""
        self._host.presence.saw(
            Poller(
                domain=place.domain,
                kind=PollKind(place.kind),
                task_list=place.task_list,
                identity=identity,
                serves=serves,
                seen=self._host.clock(),
            )
        )

    def live(self, region: str = DEFAULT_REGION) -> Live:
        """Return what waits on every task list of the domains of a region, and who polls."""
        return of_region(self._host.live(), region)

    def place(self, operation: str, request: Request, region: str = DEFAULT_REGION) -> Place | None:
        """Where the task waits that a request polls for; None if it does not poll for a new one."""
        kind = _POLLS.get(operation)
        if kind is None or request.get("nextPageToken") is not None:
            return None
        return Place(domain_key(region, request["domain"]), kind, request["taskList"]["name"])

    def has_work(self, place: Place) -> bool:
        """Whether a task waits at a place."""
        return self._host.has_work(place)

    def listen(self, told: Callable[[], None]) -> None:
        """Have ``told`` called, in whatever thread, when there may be work for polls."""
        self._host.listen(told)

    def look(self) -> bool:
        """Whether another process may have made work, or something is due; listeners are told then.

        To be asked every few hundredths of a second by whoever holds polls of their own.
        """
        return self._host.look()

    def close(self) -> None:
        """Let go of the file; polls end, and tasks that are out stay with the clients that have them."""
        if self._invoker is not None:
            self._invoker.close()
        self._host.close()

    def _once(self, operation: str, request: Request, region: str) -> Response:
        if operation.startswith(_READS):
            return self._host.query(lambda _store, now: self._queries.call(operation, request, now, region))
        carry_out = partial(self._api.call, operation, request, region=region)
        return self._host.read(carry_out) if operation in _POLLS else self._host.write(carry_out)

    def _take(
        self, operation: str, request: Request, region: str
    ) -> Callable[[datetime], dict[str, Any] | None]:
        def take(now: datetime) -> Response | None:
            response = self._api.call(operation, request, now, region)
            return response if "taskToken" in response else None

        return take
