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

#: After the workflow closes: seconds to wait for running activities, and seconds before logging the wait.
_STOP_SECONDS, _QUIET_SECONDS = 10.0, 1.0
#: Seconds to wait for a thread that is polling. A poll that takes longer is held by the service for up to a
#: minute; closing the service ends it.
_POLL_SECONDS = 0.5
_JOIN_SECONDS = 0.05


class Supervisor:
    """Runs deciders and workers, each in a thread of its own."""

    def __init__(self, members: Sequence[Decider | ActivityWorker]) -> None:
        self._members = members
        # Daemon threads: a second Ctrl-C must not wait for running activities.
        self._threads = [threading.Thread(target=self._run, args=(each,), daemon=True) for each in members]
        self._errors: SimpleQueue[Exception] = SimpleQueue()

    def start(self) -> None:
        """Start every member."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Stop every member and wait, without a time limit, until each has finished its tasks."""
        for member in self._members:
            member.stop()
        log.warning("interrupted: finishing running activities; interrupt again to stop at once")
        self._wait_ended(math.inf)

    def stop(self, closed: WorkflowExecution | None = None) -> None:
        """Stop every member, cancel the activities of a closed run, and wait up to ten seconds."""
        for member in self._members:
            member.stop()
            if closed is not None and isinstance(member, ActivityWorker):
                member.drop(closed)
        if self._wait_ended(_QUIET_SECONDS):
            return
        if busy := self._busy():
            log.warning("waiting for %d %s", busy, "activity" if busy == 1 else "activities")
        if not self._wait_ended(_STOP_SECONDS - _QUIET_SECONDS) and (busy := self._busy()):
            log.warning("not waiting any longer; results of %d running activities may be lost", busy)

    def _wait_ended(self, seconds: float) -> bool:
        """Wait until every member has ended or is only polling; return False after ``seconds``."""
        now = time.monotonic()
        end, idle_at = now + seconds, now + _POLL_SECONDS
        alive = [thread for thread in self._threads if thread.is_alive()]
        while alive and now < min(end, idle_at):
            alive[0].join(min(_JOIN_SECONDS, end - now))
            now = time.monotonic()
            if any(member.is_busy for member in self._members):
                idle_at = now + _POLL_SECONDS
            alive = [thread for thread in alive if thread.is_alive()]
        return not alive or now >= idle_at

    def _busy(self) -> int:
        return sum(len(member.running) for member in self._members if isinstance(member, ActivityWorker))

    def fail(self, error: Exception) -> None:
        """Record an error for the next ``check``; may be called in any thread."""
        self._errors.put(error)

    def check(self) -> None:
        """Raise the first recorded error, if any."""
        try:
            raise self._errors.get_nowait()
        except Empty:
            return

    def _run(self, member: Decider | ActivityWorker) -> None:
        try:
            member.run()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self.fail(error)
