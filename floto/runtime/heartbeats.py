"""One thread that says of every running activity that it is alive."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from floto.runtime.activities import RunningActivity
from floto.runtime.stopping import StopFlag
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: A beat that failed is sent again within this many seconds: at random, or a busy service gets all at once.
_AGAIN = 5.0


class Heartbeats:
    """Sends a heartbeat every ``interval`` seconds for each activity being watched; never, if it is 0."""

    def __init__(self, interval: float) -> None:
        self._troubles = TroubleLog(log)
        self._interval = interval
        self._due: dict[RunningActivity, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send heartbeats while the block runs."""
        stop = StopFlag()
        if self._interval > 0:
            threading.Thread(target=self._loop, args=(stop,), name="floto-heartbeats", daemon=True).start()
        try:
            yield
        finally:
            stop.set()

    @contextmanager
    def watching(self, activity: RunningActivity) -> Iterator[None]:
        """Send heartbeats for an activity while the block runs."""
        with self._lock:
            self._due[activity] = time.monotonic() + self._interval
        try:
            yield
        finally:
            with self._lock:
                del self._due[activity]

    def _loop(self, stop: StopFlag) -> None:
        # Whatever is added during a pause is due after it: no pause is longer than the interval.
        while not stop.wait(self._pause()):
            for activity in self._ripe():
                self._beat(activity)

    def _pause(self) -> float:
        with self._lock:
            first = min(self._due.values(), default=None)
        return self._interval if first is None else min(self._interval, first - time.monotonic())

    def _ripe(self) -> list[RunningActivity]:
        now = time.monotonic()
        with self._lock:
            return [activity for activity, due in self._due.items() if due <= now]

    def _beat(self, activity: RunningActivity) -> None:
        wait = self._interval
        try:
            if not activity.beat():
                wait = min(wait, random.uniform(0, _AGAIN))  # noqa: S311 - nothing secret
        except Exception as error:  # noqa: BLE001 - the beats of other activities go on
            message = "activity %s: heartbeat failed"
            self._troubles.failed(activity.id, message, activity.id, level=logging.ERROR, error=error)
        if activity.gone:
            wait = math.inf
        with self._lock:
            if activity in self._due:
                self._due[activity] = time.monotonic() + wait
