"""The decider and the worker of one ``floto.run``."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.deciders.decider import Decider
from floto.runtime.workers.worker import ActivityWorker

log = logging.getLogger("floto")

#: Seconds that ``floto.run`` waits for activities which still run when its result is there, and seconds
#: until it says that it waits.
_LEAVE_SECONDS, _QUIET_SECONDS = 10.0, 1.0
#: Seconds that a thread gets to end which only waits for its poll. A poll that takes longer is held by a
#: service, for up to a minute; closing the service ends it.
_POLL_SECONDS = 0.5
_LOOK_SECONDS = 0.05


class Supervisor:
    """Deciders and workers, each in a thread of its own."""

    def __init__(self, members: Sequence[Decider | ActivityWorker]) -> None:
        self._members = members
        # Daemon threads: a second Ctrl-C does not wait for what they run.
        self._threads = [threading.Thread(target=self._run, args=(each,), daemon=True) for each in members]
        self._errors: SimpleQueue[Exception] = SimpleQueue()

    def start(self) -> None:
        """Start every member."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Stop every member and wait until each has finished what it does."""
        for member in self._members:
            member.stop()
        log.warning("interrupted: finishing what runs; interrupt again to stop at once")
        self._ended(math.inf)

    def leave(self, closed: WorkflowExecution | None = None) -> None:
        """Stop every member, ask the activities of a closed run to stop, and wait some seconds for them."""
        for member in self._members:
            member.stop()
            if closed is not None and isinstance(member, ActivityWorker):
                member.drop(closed)
        if self._ended(_QUIET_SECONDS):
            return
        if busy := self._busy():
            log.warning("waiting for %d %s", busy, "activity" if busy == 1 else "activities")
        if not self._ended(_LEAVE_SECONDS - _QUIET_SECONDS) and (busy := self._busy()):
            log.warning("not waiting any longer; what still runs (%d) may lose its result", busy)

    def _ended(self, seconds: float) -> bool:
        """Wait until every member has ended, or only waits for a poll that its service holds."""
        now = time.monotonic()
        end, idle_at = now + seconds, now + _POLL_SECONDS
        alive = [thread for thread in self._threads if thread.is_alive()]
        while alive and now < min(end, idle_at):
            alive[0].join(min(_LOOK_SECONDS, end - now))
            now = time.monotonic()
            if any(member.is_busy for member in self._members):
                idle_at = now + _POLL_SECONDS
            alive = [thread for thread in alive if thread.is_alive()]
        return not alive or now >= idle_at

    def _busy(self) -> int:
        return sum(len(member.running) for member in self._members if isinstance(member, ActivityWorker))

    def fail(self, error: Exception) -> None:
        """Keep an error for the next ``check``."""
        self._errors.put(error)

    def check(self) -> None:
        """Raise the first error that stopped a member or a decision."""
        try:
            raise self._errors.get_nowait()
        except Empty:
            return

    def _run(self, member: Decider | ActivityWorker) -> None:
        try:
            member.run()
        except Exception as error:  # noqa: BLE001 - it is raised again where the caller waits
            self.fail(error)
