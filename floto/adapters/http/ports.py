"""What the application asks of whatever carries SWF's operations out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from floto.core.engine.api.call import Request, Response
from floto.core.engine.stores.records import Place
from floto.core.swf.pollers import Live
from floto.core.swf.shapes import ActivityType


class Operations(Protocol):
    """SWF's operations by its own names, for many threads; a poll is one attempt, and waited for elsewhere.

    Every method may raise ``ServiceFault``, ``ServiceUnavailable`` and ``ServiceError``.
    """

    def call(self, operation: str, request: Request, region: str = ...) -> Response:
        """Carry out an operation that does not wait, on the domains of a region."""
        ...

    def attempt(self, operation: str, request: Request, region: str = ...) -> Response | None:
        """Carry out a poll; None at once if there is no task."""
        ...

    def check(self) -> None:
        """Read from the database itself, past every cache; raises an error if it cannot be read."""
        ...

    def give_back(self, token: str) -> None:
        """Let a task be polled again by the same token, uncounted: its client left before it got the task."""
        ...

    def place(self, operation: str, request: Request, region: str = ...) -> Place | None:
        """Where the task waits that a checked request polls for; None if it does not poll for a new one."""
        ...

    def saw(self, place: Place, identity: str, serves: tuple[ActivityType, ...] | None) -> None:
        """Note who polls a place; ``serves`` is what it says it can run."""
        ...

    def live(self, region: str) -> Live:
        """What waits on every task list of a region's domains, and who polls."""
        ...

    def has_work(self, place: Place) -> bool:
        """Whether a task waits at a place; nothing is written."""
        ...

    def listen(self, told: Callable[[], None]) -> None:
        """Have ``told`` called, in whatever thread, when there may be work."""
        ...

    def look(self) -> bool:
        """Whether another process may have made work, or something is due that an attempt would settle."""
        ...
