"""The times at which cron expressions, local times and intervals fire: pure functions, in UTC.

``cronsim`` parses the expressions. The fires are computed here, from a date of the time zone and not from the
fire before, so that they never depend on where the computation began. Where a zone skips or repeats local
times, the rules are those of Debian's cron:

- A fixed time (neither its minute nor its hour begins with ``*``, as in ``30 2 * * *``) that the zone skips
  fires once, at the first moment after the gap; one that the zone repeats fires the first time only.
- A wildcard (``*/30 * * * *``) follows the clock on the wall: it does not fire at skipped times, and fires
  each time that a repeated time occurs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import count
from zoneinfo import ZoneInfo

from attrs import frozen
from cronsim import CronSim, CronSimError

from floto.core.swf.identifiers import shown

_FIELDS = 5
#: Beginning of a time to wait for that is a cron expression.
_CRON = "cron "
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
#: Days without a fire after which an expression has none: leap days are 8 years apart at most.
_MOST_DAYS = 366 * 50
#: Years of times that may be given: their neighbours fit into a datetime in every zone.
_YEARS = range(1970, 9000)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cron_problems(text: object) -> Iterable[str]:
    """Yield the problem of a cron expression, if it has one."""
    if not isinstance(text, str) or len(text.split()) != _FIELDS:
        yield f"cron must be 5 fields (minute, hour, day of month, month, day of week), not {shown(text)}"
        return
    try:
        CronSim(text, _EPOCH)
    except (CronSimError, ValueError) as error:
        yield f"cron {shown(text)}: {str(error)[:1].lower()}{str(error)[1:]}"
        return
    if next(cron_fires(text, "UTC", _EPOCH), None) is None:
        yield f"cron {shown(text)} never fires"


def zone_problems(name: object) -> Iterable[str]:
    """Yield the problem of the name of a time zone, if it has one."""
    try:
        ZoneInfo(name)  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError, LookupError):
        yield f"time_zone must be a name such as 'Europe/Berlin', not {shown(name)}"


def cron_fires(text: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Yield the fires of a valid cron expression after a time, in order."""
    tz, first = ZoneInfo(zone), (after.astimezone(ZoneInfo(zone)) - _DAY).date()
    held: list[datetime] = []
    idle = 0
    for day in _days(first):
        found = _fires_of_date(text, zone, day)
        idle = 0 if found else idle + 1
        if idle > _MOST_DAYS:
            return
        if found or held:
            # A zone that sets its clock back at midnight enters a date twice.
            limit = datetime.combine(day + _DAY, time(), tz).astimezone(UTC)
            held = sorted({*held, *found})
            yield from (at for at in held if after < at < limit)
            held = [at for at in held if at >= limit]


def every_fires(seconds: int, anchor: datetime | None, after: datetime) -> Iterator[datetime]:
    """Yield the times ``anchor + n * seconds`` after a time, from the anchor on; without one, from 1970."""
    begin, step = anchor or _EPOCH, timedelta(seconds=seconds)
    first = 0 if after < begin else (after - begin) // step + 1
    for number in count(first):
        yield begin + number * step


def until_problems(text: object, zone: str | None) -> Iterable[str]:
    """Yield the problems of a time to wait for: ``cron`` and an expression, or an ISO 8601 time."""
    if zone is not None:
        yield from zone_problems(zone)
    is_cron = isinstance(text, str) and text.startswith(_CRON)
    yield from cron_problems(str(text)[len(_CRON) :]) if is_cron else moment_problems("until", text)


def until(text: str, zone: str | None, after: datetime) -> datetime:
    """Return a time to wait for that has no problems: the first fire after ``after``, or the time itself."""
    name = zone or "UTC"
    return next(cron_fires(text[len(_CRON) :], name, after)) if text.startswith(_CRON) else moment(text, name)


def local_fires(times: Iterable[str], zone: str, after: datetime) -> Iterator[datetime]:
    """Yield the times of a list of ISO 8601 times after a time, in order."""
    yield from (at for at in sorted({moment(text, zone) for text in times}) if at > after)


def moment(text: str, zone: str) -> datetime:
    """Return an ISO 8601 time in UTC, of a zone unless it has an offset. Raises ``ValueError``."""
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC) if at.tzinfo is not None else _instants(at, ZoneInfo(zone), is_fixed=True)[0]


def moment_problems(name: str, text: object) -> Iterable[str]:
    """Yield the problem of an ISO 8601 time, if it has one."""
    try:
        fits = datetime.fromisoformat(text).year in _YEARS  # type: ignore[arg-type]
    except (TypeError, ValueError):
        fits = False
    if not fits:
        yield f"{name} must be a time in ISO 8601, such as '2026-12-31T23:59', not {shown(text)}"


def in_words(text: str) -> str:
    """Return a valid cron expression in English."""
    words: str = CronSim(text, _EPOCH).explain()
    return words


@frozen
class ClockChange:
    """A fire at a local time that its zone skips or repeats."""

    #: The local time, without an offset.
    local: datetime
    is_skipped: bool
    #: The fires for it, in UTC.
    fires: tuple[datetime, ...]


def clock_changes(text: str, zone: str, after: datetime, until: datetime) -> Iterator[ClockChange]:
    """Yield each local time of a cron expression that its zone skips or repeats between two times."""
    cron, tz = _parsed(text), ZoneInfo(zone)
    for day in _days(after.astimezone(tz).date()):
        if datetime.combine(day, time(), UTC) > until:
            return
        if not _is_even(day, tz) and cron.matches(day):
            for local in cron.times(day):
                offset, later = _offsets(local, tz)
                if offset != later:
                    found = tuple(_instants(local, tz, is_fixed=cron.is_fixed))
                    yield ClockChange(local, is_skipped=offset < later, fires=found)


@frozen(eq=False)
class _Cron:
    """A parsed cron expression."""

    parsed: CronSim
    #: True if its hours and minutes name times, and are not wildcards.
    is_fixed: bool
    clock: tuple[time, ...]

    def matches(self, day: date) -> bool:
        """Return True if it fires on a date."""
        return day.month in self.parsed.months and self.parsed.match_day(day)

    def times(self, day: date) -> Iterable[datetime]:
        """Return its local times on a date that matches."""
        return (datetime.combine(day, at) for at in self.clock)


@lru_cache(maxsize=200)
def _parsed(text: str) -> _Cron:
    parsed = CronSim(text, _EPOCH)
    minute, hour, *_ = text.split()
    clock = [time(each, every) for each in sorted(parsed.hours) for every in sorted(parsed.minutes)]
    return _Cron(parsed, not minute.startswith("*") and not hour.startswith("*"), tuple(clock))


def _days(first: date) -> Iterator[date]:
    try:
        for number in count():
            yield first + number * _DAY
    except OverflowError:
        return


@lru_cache(maxsize=64)
def _fires_of_date(text: str, zone: str, day: date) -> tuple[datetime, ...]:
    cron, tz = _parsed(text), ZoneInfo(zone)
    if not cron.matches(day):
        return ()
    if _is_even(day, tz):
        offset = _offsets(datetime.combine(day, time()), tz)[0]
        return tuple(local.replace(tzinfo=UTC) - offset for local in cron.times(day))
    return tuple(at for local in cron.times(day) for at in _instants(local, tz, is_fixed=cron.is_fixed))


def _is_even(day: date, tz: ZoneInfo) -> bool:
    """Return True if a zone neither skips nor repeats a time of a date."""
    begin, end = (_offsets(datetime.combine(each, time()), tz) for each in (day, day + _DAY))
    return {*begin} == {*end} and len({*begin}) == 1


def _offsets(local: datetime, tz: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Return the offsets from UTC of the first and the second occurrence of a local time."""
    first, second = (local.replace(tzinfo=tz, fold=fold).utcoffset() for fold in (0, 1))
    return first or timedelta(), second or timedelta()


def _instants(local: datetime, tz: ZoneInfo, *, is_fixed: bool) -> list[datetime]:
    """Return the fires for a local time, in UTC."""
    offset, later = _offsets(local, tz)
    first, second = (local.replace(tzinfo=UTC) - each for each in (offset, later))
    if offset == later:
        return [first]
    if offset > later:
        return [first] if is_fixed else [first, second]
    return [_first(lambda at: at.astimezone(tz).utcoffset() == later, second, first)] if is_fixed else []


def _first(holds: Callable[[datetime], bool], low: datetime, high: datetime) -> datetime:
    """Return the first whole second at which a condition holds that holds at ``high`` and not at ``low``."""
    while high - low > _SECOND:
        middle = low + (high - low) // 2 // _SECOND * _SECOND
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
