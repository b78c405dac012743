"""Polls that wait for a task, in the memory of one process."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from typing import Any

from floto.adapters.sqlite.group_commit import Call, Job
from floto.core.engine.stores.records import Place


class Poll(Job):
    """A wish for the next task of a place; ``call`` takes it, and gives None if there is none."""

    def __init__(self, place: Place, call: Call, *, waits: bool) -> None:
        super().__init__(call)
        self.place = place
        #: Whether it stays when there is no task.
        self.waits = waits

    @property
    def task(self) -> Any:
        """The task that was claimed for this poll; None if there is none so far, or none to claim."""
        return self._result


class WaitQueue:
    """The polls that wait at each place, the longest first; each is in here or in one thread's hands."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._polls: dict[Place, dict[Poll, None]] = {}
        self._anyone = threading.Event()
        self._dismissed = False

    def add(self, polls: Iterable[Poll]) -> None:
        """Let polls wait behind the others."""
        for poll in polls:
            with self._lock:
                self._polls.setdefault(poll.place, {})[poll] = None
                if poll.waits and not self._anyone.is_set():
                    self._anyone.set()

    def put_back(self, polls: Iterable[Poll]) -> None:
        """Let polls of a place wait before the others again."""
        with self._lock:
            for poll in polls:
                self._polls[poll.place] = {poll: None, **self._polls.get(poll.place, {})}
                if poll.waits:
                    self._anyone.set()

    def take(self, place: Place) -> Poll | None:
        """Take the first poll of a place out of the line."""
        with self._lock:
            line = self._polls.get(place)
            if not line:
                return None
            poll = next(iter(line))
            self._drop(poll, line)
            return poll

    def remove(self, poll: Poll) -> bool:
        """Take a poll out of the line; False if it is in the hands of another thread."""
        with self._lock:
            line = self._polls.get(poll.place, {})
            if poll not in line:
                return False
            self._drop(poll, line)
            return True

    def _drop(self, poll: Poll, line: dict[Poll, None]) -> None:
        del line[poll]
        if not line:
            del self._polls[poll.place]

    def places(self, among: Collection[Place | None]) -> list[Place]:
        """Where polls wait, of these places; None among them stands for all."""
        with self._lock:
            return [place for place in self._polls if None in among or place in among]

    def fail(self, error: Exception) -> None:
        """Fail every poll that waits."""
        with self._lock:
            polls = [poll for line in self._polls.values() for poll in line]
            self._polls.clear()
        for poll in polls:
            poll.fail(error)
            poll.wake()

    def dismiss(self) -> None:
        """Send everybody away without a task."""
        with self._lock:
            polls = [poll for line in self._polls.values() for poll in line]
            self._polls.clear()
            self._dismissed = True
            self._anyone.set()
        for poll in polls:
            poll.finish(None)
            poll.wake()

    def wait_for_anyone(self) -> None:
        """Return as soon as somebody waits here, and at once when all have been dismissed."""
        with self._lock:
            if not self._polls and not self._dismissed:
                self._anyone.clear()
        self._anyone.wait()
