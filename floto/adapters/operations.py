"""The port between SWF's protocol, in a client or a server, and the engine that executes its operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from floto.core.engine.api.call import Request, Response
from floto.core.engine.stores.records import TaskQueue
from floto.core.swf.pollers import Live
from floto.core.swf.shapes import ActivityType

#: Seconds between checks for commits of other processes, while polls are pending.
WATCH_SECONDS = 0.02
#: Prefixes of the operations that only read.
_QUERIES = ("Count", "Describe", "Get", "List")


def is_query(operation: str) -> bool:
    """Return True if an operation of SWF only reads."""
    return operation.startswith(_QUERIES)


class Operations(Protocol):
    """SWF's operations by their own names; any number of threads may call them.

    Every method may raise ``ServiceFault``, ``ServiceUnavailable`` and ``ServiceError``.
    """

    def call(self, operation: str, request: Request) -> Response:
        """Execute an operation on the domains of the default region; a poll waits for its task."""
        ...

    def close(self) -> None:
        """Close the service; later calls raise ``ServiceError``."""
        ...


class PendingCall(Protocol):
    """A call or a poll that was begun, and for which no thread waits."""

    @property
    def is_done(self) -> bool:
        """True once it has a response or an error; what it has written is committed then."""
        ...

    def outcome(self) -> Response | None:
        """Return the response, None for a poll without a task; or raise the error."""
        ...

    def withdraw(self) -> bool:
        """End it before it is executed; return False if it is done, or a thread is executing it."""
        ...


class PollableOperations(Operations, Protocol):
    """SWF's operations for an event loop, which must not wait in any of them."""

    def call(self, operation: str, request: Request, region: str = ...) -> Response:
        """Execute an operation on the domains of a region."""
        ...

    def begin(self, operation: str, request: Request, region: str, notify: Callable[[], None]) -> PendingCall:
        """Begin an operation that is not a query, with a checked request; call ``notify`` when it is done."""
        ...

    def check(self) -> None:
        """Read from the database itself, past every cache; raise an error if it cannot be read."""
        ...

    def give_back(self, token: str) -> None:
        """Redeliver a task with the same token, uncounted: its client left before it got the task."""
        ...

    def task_queue(self, operation: str, request: Request, region: str = ...) -> TaskQueue | None:
        """Return the task queue of a poll; None if the checked request does not poll for a new task."""
        ...

    def saw(self, task_queue: TaskQueue, identity: str, serves: tuple[ActivityType, ...] | None) -> None:
        """Record that a client polls a task queue; ``serves``: the activities that it says it can run."""
        ...

    def live(self, region: str) -> Live:
        """Return the backlog and the pollers of every task list of a region's domains."""
        ...
