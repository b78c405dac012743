"""An oracle for cron: it steps through every minute of a time zone, and shares no code with floto.

``python -m tests.cron_oracle [HOURS]`` compares ten years of 30 expressions in every time zone; zones whose
clocks showed the same in these years are compared once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

EXPRESSIONS = (
    *("* * * * *", "*/7 * * * *", "0 * * * *", "15,45 * * * *", "*/30 2 * * *", "*/20 0-3 * * *"),
    *("0 2 * * *", "30 2 * * *", "15 1 * * *", "0 0 * * *", "30 0 * * *", "59 23 * * *", "0,30 2,3 * * *"),
    *("5 */2 * * *", "10 1-4/3 * * *", "0 2 * * SUN", "30 1 * * 7", "0 9 * * MON-FRI", "20 2 29 2 *"),
    *("0 12 1 * *", "0 2 31 * *", "45 2 L * *", "0 6 * * MON#1", "0 6 * * 5L", "0 0 13 * FRI"),
    *("0 0 */10 * MON", "30 2 * 3,10,11 SUN", "0 3 1-7 * */2", "1 0 1 1 *", "50 23 28-31 JAN,MAR *"),
)
BEGIN, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAMES = {name: number for names in (_WEEKDAYS, _MONTHS) for number, name in enumerate(names)}
_MINUTE = timedelta(minutes=1)


def _numbers(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = low if span == "*" else _number(first)
        end = high if span == "*" or (step and not last) else _number(last or first)
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


def _number(text: str) -> int:
    return _NAMES[text] if text in _NAMES else int(text)


def _day_fits(expression: str, day: date) -> bool:
    _, _, in_month, month, in_week = expression.split()
    if month != "*" and day.month not in _numbers(month, 1, 12):
        return False
    last = (day + timedelta(days=1)).month != day.month
    fits_month = last if in_month == "L" else day.day in _numbers(in_month, 1, 31)
    number = day.isoweekday()
    if "#" in in_week:
        name, nth = in_week.split("#")
        fits_week = number == _number(name) and (day.day - 1) // 7 + 1 == int(nth)
    elif in_week.endswith("L"):
        fits_week = number == int(in_week[:-1]) and (day + timedelta(days=7)).month != day.month
    else:
        fits_week = bool({number, number % 7} & _numbers(in_week, 0, 7))
    both = in_month.startswith("*") or in_week.startswith("*")
    return (fits_month and fits_week) if both else (fits_month or fits_week)


def _is_fixed(expression: str) -> bool:
    minute, hour, *_ = expression.split()
    return not minute.startswith("*") and not hour.startswith("*")


class Oracle:
    """The fires of several expressions in one time zone, by a walk through its minutes."""

    def __init__(self, expressions: Sequence[str]) -> None:
        self.expressions = expressions
        self._fixed = sum(1 << at for at, each in enumerate(expressions) if _is_fixed(each))
        self._clock = [self._of_clock(minute) for minute in range(24 * 60)]
        self._dates: dict[date, int] = {}

    def _of_clock(self, minute: int) -> int:
        found = 0
        for at, expression in enumerate(self.expressions):
            minutes, hours, *_ = expression.split()
            fits = minute % 60 in _numbers(minutes, 0, 59) and minute // 60 in _numbers(hours, 0, 23)
            found |= fits << at
        return found

    def _matching(self, local: datetime) -> int:
        day = local.date()
        if day not in self._dates:
            self._dates[day] = sum(_day_fits(each, day) << at for at, each in enumerate(self.expressions))
        return self._dates[day] & self._clock[local.hour * 60 + local.minute]

    def fires(self, zone: str, begin: datetime, end: datetime) -> list[list[datetime]]:
        """Return the fires of each expression from ``begin`` on and before ``end``."""
        tz = ZoneInfo(zone)
        found: list[list[datetime]] = [[] for _ in self.expressions]
        now = begin - timedelta(days=3)
        # The clock on the wall, and the latest time that it has shown.
        latest = now.astimezone(tz).replace(tzinfo=None) - _MINUTE
        while now < end:
            wall = now.astimezone(tz).replace(tzinfo=None)
            fits = self._matching(wall)
            if wall <= latest:
                fits &= ~self._fixed
            else:
                skipped = latest + _MINUTE
                while skipped < wall:
                    fits |= self._matching(skipped) & self._fixed
                    skipped += _MINUTE
                latest = wall
            if fits and now >= begin:
                for at in range(len(self.expressions)):
                    if fits >> at & 1:
                        found[at].append(now)
            now += _MINUTE
        return found


def differences(
    zone: str, expressions: Sequence[str], begin: datetime, end: datetime
) -> Iterable[tuple[str, datetime]]:
    """Yield each expression that floto and the oracle read differently, and the first differing fire."""
    from floto.core.fire_times import cron_fires  # noqa: PLC0415 - the oracle above knows nothing of it

    for expression, expected in zip(expressions, Oracle(expressions).fires(zone, begin, end), strict=True):
        fires = cron_fires(expression, zone, begin - timedelta(microseconds=1))
        for want in [*expected, None]:
            got = next(fires, None)
            if (want is None and (got is None or got >= end)) or got == want:
                continue
            yield expression, min(each for each in (got, want) if each is not None)
            break


def distinct_zones(begin: datetime, end: datetime) -> dict[str, list[str]]:
    """Return the zones by one of those whose clocks show the same at every quarter of an hour."""
    found: dict[object, list[str]] = {}
    for name in sorted(available_timezones()):
        tz, now = ZoneInfo(name), begin - timedelta(days=4)
        changes: list[tuple[datetime, timedelta | None]] = []
        while now < end + timedelta(days=2):
            offset = now.astimezone(tz).utcoffset()
            if not changes or changes[-1][1] != offset:
                changes.append((now, offset))
            now += timedelta(minutes=15)
        found.setdefault(tuple(changes), []).append(name)
    return {names[0]: names for names in found.values()}


def main() -> int:
    """Compare every zone, for so many hours at most; print what was compared."""
    until = time.monotonic() + 3600 * float(sys.argv[1] if len(sys.argv) > 1 else 24)
    zones = distinct_zones(BEGIN, END)
    done = failed = named = 0
    for zone, names in zones.items():
        if time.monotonic() > until:
            break
        for expression, at in differences(zone, EXPRESSIONS, BEGIN, END):
            failed += 1
            print(f"{zone}: {expression!r} differs from {at.isoformat()} on")
        done, named = done + 1, named + len(names)
    print(
        f"{done} of {len(zones)} clocks, which are those of {named} of {sum(map(len, zones.values()))} zones,"
        f" {len(EXPRESSIONS)} expressions, {BEGIN.year} to {END.year - 1}: {failed} differences"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
