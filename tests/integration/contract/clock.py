"""A clock that only moves when a test moves it, and timers that go by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

T0 = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """The time of a service, wound by hand."""

    def __init__(self) -> None:
        self.now = T0
        self.alarms: list[Alarm] = []

    def __call__(self) -> datetime:
        return self.now

    def timestamp(self) -> float:
        """The same in epoch seconds."""
        return self.now.timestamp()

    def advance(self, seconds: float) -> None:
        """Let time pass, and ring what is due by then."""
        self.now += timedelta(seconds=seconds)
        for alarm in sorted(self.alarms, key=lambda alarm: alarm.due):
            if alarm.due <= self.now:
                alarm.cancel()
                alarm.ring()

    def timer(self, seconds: float, function: Callable[..., object], args: Sequence[Any] = ()) -> Alarm:
        """A replacement of ``threading.Timer`` on this clock."""
        return Alarm(self, self.now + timedelta(seconds=seconds), lambda: function(*args))


class Alarm:
    """One call to come, with the methods of ``threading.Timer``."""

    def __init__(self, clock: Clock, due: datetime, ring: Callable[[], object]) -> None:
        self._clock, self.due, self.ring = clock, due, ring

    def start(self) -> None:
        self._clock.alarms.append(self)

    def cancel(self) -> None:
        self._clock.alarms.remove(self)

    def is_alive(self) -> bool:
        return self in self._clock.alarms
