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


class PollableOperations(Operations, Protocol):
    """SWF's operations for a server that holds the pending polls itself, without a thread for each."""

    def call(self, operation: str, request: Request, region: str = ...) -> Response:
        """Execute an operation on the domains of a region."""
        ...

    def attempt(self, operation: str, request: Request, region: str = ...) -> Response | None:
        """Execute a poll; return None at once if there is no task."""
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

    def has_work(self, task_queue: TaskQueue) -> bool:
        """Return True if a task queue has a claimable task; nothing is written."""
        ...

    def listen(self, callback: Callable[[], None]) -> None:
        """Call ``callback``, in any thread, when a task queue may have new tasks."""
        ...

    def look(self) -> bool:
        """Return True if another process may have added tasks, or a deadline is due that an attempt fires."""
        ...
