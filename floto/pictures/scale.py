"""Conversion of times to positions on an axis, and of durations to text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from attrs import frozen

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
#: Distances between two ticks, in seconds.
_STEPS = (
    *(base * 10**exponent for exponent in (-3, -2, -1, 0) for base in (1, 2, 5)),
    *(10, 15, 30, 60, 120, 300, 600, 900, 1_800, _HOUR, 7_200, 10_800, 21_600, 43_200),
    *(days * _DAY for days in (1, 2, 5, 10, 30, 60, 120)),
)
_MOST_TICKS = 8


@frozen
class Scale:
    """A linear scale of times on ``length`` pixels or characters."""

    start: datetime
    end: datetime
    length: float

    def place(self, moment: datetime) -> float:
        """Return the position of a time."""
        return self.of_seconds((moment - self.start).total_seconds())

    def of_seconds(self, seconds: float) -> float:
        """Return the position of a time in seconds after the start."""
        whole = (self.end - self.start).total_seconds()
        return self.length * seconds / whole if whole else 0


def ticks(seconds: float) -> Iterator[float]:
    """Yield at most nine round numbers of seconds, from 0 to ``seconds``."""
    step = next((step for step in _STEPS if seconds / step <= _MOST_TICKS), seconds / _MOST_TICKS)
    for number in range(int(seconds / step) + 1):
        yield number * step


def shown_seconds(seconds: float) -> str:
    """Return a duration as text: ``35 ms``, ``2.5 s``, ``3:05 min``, ``2:00:00 h`` or ``3 d 04:00``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    if seconds < _MINUTE:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s"
    days, rest = divmod(round(seconds), _DAY)
    hours, rest = divmod(rest, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    if days:
        return f"{days} d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"
