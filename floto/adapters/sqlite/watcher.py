"""The thread that looks for commits of other processes, and for due deadlines."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread
from time import monotonic

from floto.adapters.operations import WATCH_SECONDS
from floto.adapters.sqlite.batches import Batches
from floto.adapters.sqlite.storage.database import Database
from floto.adapters.sqlite.wait_queue import WaitQueue
from floto.core.errors import ServiceError, ServiceUnavailable
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: Seconds between looks for a process that others wake when they leave tasks.
_LISTEN_SECONDS = 0.1


class Watcher:
    """Looks while polls are pending, or always; its thread starts with the first poll.

    Args:
        database: The open file.
        batches: Executes the batches, each of which looks, too.
        wait_queue: The pending polls.
        look: Executes a batch.
        due_in: Returns the seconds until the next deadline.
    """

    def __init__(
        self,
        database: Database,
        batches: Batches,
        wait_queue: WaitQueue,
        look: Callable[[], object],
        due_in: Callable[[], float],
    ) -> None:
        self._database, self._batches, self._wait_queue = database, batches, wait_queue
        self._look, self._due_in = look, due_in
        self._troubles = TroubleLog(log)
        self._thread: Thread | None = None
        self._needs_polls = True
        self._lock, self._closed = Lock(), Event()

    def watch_always(self) -> None:
        """Look also while no poll is pending."""
        self._needs_polls = False
        self.start()

    def start(self) -> None:
        """Start the thread, unless it has started or is closed.

        Raises:
            ServiceUnavailable: if no thread can be started now.
        """
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._closed.is_set():
                    thread = Thread(target=self._watch, name="floto-watch", daemon=True)
                    try:
                        thread.start()
                    except RuntimeError as error:
                        msg = f"no thread to look for tasks in ({error})"
                        raise ServiceUnavailable(msg) from error
                    self._thread = thread

    def close(self) -> None:
        """End the thread; the wait queue is dismissed."""
        with self._lock:
            self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._closed.is_set():
            is_woken = self._wait_for_others()
            if self._needs_polls:
                self._wait_queue.wait_for_poll()
            # Every batch checks, too.
            if is_woken or monotonic() - self._batches.executed_at >= WATCH_SECONDS:
                self._try_to_look()

    def _try_to_look(self) -> None:
        """Look; after an error, go on, or no poll would be served any more."""
        what = "looking for new tasks"
        try:
            self._look()
            self._troubles.over(what)
        except ServiceUnavailable as error:
            self._troubles.failed(what, "cannot look for new tasks, retrying: %s", error)
        except ServiceError:
            # A permanent error fails the polls themselves.
            pass
        except Exception as error:  # noqa: BLE001 - as above
            message = "cannot look for new tasks, retrying: %r"
            self._troubles.failed(what, message, error, level=logging.ERROR, error=error)

    def _wait_for_others(self) -> bool:
        """Wait until another process has left tasks, or it is time to look; return True if one has."""
        wakeups, began = self._database.wakeups, monotonic()
        seconds = WATCH_SECONDS
        if wakeups.is_listening:
            seconds = min(max(self._due_in(), WATCH_SECONDS), _LISTEN_SECONDS)
        is_woken = wakeups.wait(seconds)
        # Without a socket, or after an error of it, this is the wait.
        return is_woken or self._closed.wait(max(began + seconds - monotonic(), 0))
