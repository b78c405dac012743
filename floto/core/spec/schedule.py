"""A schedule: what is started at which times, and what happens if the run before has not ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from itertools import islice, takewhile
from typing import Any

from attrs import field, frozen

from floto.core.errors import SpecError
from floto.core.fire_times import (
    cron_fires,
    cron_problems,
    every_fires,
    in_words,
    local_fires,
    moment,
    moment_problems,
    zone_problems,
)
from floto.core.payloads import payload
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec, as_spec
from floto.core.spec.field_checks import input_problems
from floto.core.swf.identifiers import id_problems, name_problems, shown
from floto.core.swf.limits import NAME_LIMIT, SECONDS_LIMIT, VERSION_LIMIT
from floto.core.swf.reserved_names import SPEC_KEY
from floto.core.swf.shapes import WorkflowType

#: Form of the time of a fire in a workflow id.
FIRE_FORM = "%Y%m%dT%H%M%SZ"
#: Maximum characters of a schedule's id: the time of a fire and a number follow it in workflow ids.
ID_LIMIT = NAME_LIMIT - 40
#: Minimum of ``catch_up`` in seconds: timers of whole seconds and busy deciders are late.
LEAST_CATCH_UP = 10
#: Type tag of schedules in JSON.
TAG = "floto.Schedule"
_MOMENT, _SECOND = timedelta(microseconds=1), timedelta(seconds=1)


class Overlap(StrEnum):
    """The policy for a fire that comes while a run of the schedule is open."""

    #: The fire starts nothing.
    SKIP = "skip"
    #: The first such fire starts its run when the open one has closed; later ones start nothing.
    BUFFER_ONE = "buffer_one"
    #: All such fires start their runs, one after the other.
    BUFFER_ALL = "buffer_all"
    #: The cancellation of the open run is requested; when it has closed, the latest fire starts its run.
    CANCEL_OTHER = "cancel_other"
    #: The same, with termination.
    TERMINATE_OTHER = "terminate_other"
    #: Every fire starts its run at once.
    ALLOW_ALL = "allow_all"


def _type(value: Any) -> Any:
    return (value.name, value.version) if isinstance(value, WorkflowType) else value


def _times(value: Any) -> Any:
    return value if isinstance(value, str) or not isinstance(value, Iterable) else tuple(map(_text, value))


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


@frozen(kw_only=True)
class Schedule:
    """A workflow or spec that is started at given times. A schedule runs as a workflow of its own.

    Exactly one of ``cron``, ``every`` and ``calendar`` says when it fires. Times are ISO 8601 texts or
    datetimes; those without an offset are of ``time_zone``.

    Args:
        id_: The workflow id of the schedule; those of the runs that it starts begin with it.
        spec: The spec of these runs, passed in their input.
        workflow_type: Their workflow type, a ``WorkflowType`` or name and version; by default that of floto's
            children. Required without a spec.
        input: Their input, a JSON value; with a spec an object. None by default.
        cron: Five fields: minute, hour, day of month, month, day of week.
        every: Seconds between two fires, counted from ``start``, else from 1970-01-01T00:00Z.
        calendar: The times themselves.
        time_zone: The time zone of ``cron`` and of times without an offset, such as ``Europe/Berlin``; by
            default ``UTC``.
        overlap: What happens at a fire while a run is open, see ``Overlap``; by default ``skip``.
        catch_up: A fire that was not decided for more than so many seconds counts as missed and starts
            nothing, at least 10; by default 86,400, a day.
        jitter: Maximum seconds by which a start is delayed, each fire by its own fixed time and never past
            the next fire; 0 by default.
        start: No fire before this time; None by default.
        end: No fire after this time; None by default. A schedule without further fires completes.
        paused: True to begin paused; False by default.
        pause_on_failure: True to pause when a run has failed, timed out or been terminated from outside;
            False by default.
        note: A note for people; None by default.

    Raises:
        SpecError: with every problem.
    """

    id_: str
    spec: DeciderSpec | None = None
    workflow_type: tuple[str, ...] = field(default=(), converter=_type)
    input: Any = field(default=None, converter=payload.freeze)
    cron: str | None = None
    every: int | None = None
    calendar: tuple[str, ...] = field(default=(), converter=_times)
    time_zone: str = "UTC"
    overlap: str = Overlap.SKIP.value
    catch_up: int = 86_400
    jitter: int = 0
    start: str | None = field(default=None, converter=_text)
    end: str | None = field(default=None, converter=_text)
    paused: bool = False
    pause_on_failure: bool = False
    note: str | None = None

    def __attrs_post_init__(self) -> None:
        if found := tuple(self._problems()):
            raise SpecError(found)

    def _problems(self) -> Iterable[str]:
        yield from id_problems("id_", self.id_, ID_LIMIT)
        yield from self._problems_of_runs()
        yield from self._problems_of_times()
        if self.overlap not in [*Overlap]:
            yield f"overlap must be one of {', '.join(Overlap)}, not {shown(self.overlap)}"
        for name, least in (("catch_up", LEAST_CATCH_UP), ("jitter", 0)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= SECONDS_LIMIT:
                yield f"{name} must be an integer from {least} to {SECONDS_LIMIT:,}, not {shown(value)}"
        for name in ("paused", "pause_on_failure"):
            if type(getattr(self, name)) is not bool:
                yield f"{name} must be True or False, not {shown(getattr(self, name))}"
        if not isinstance(self.note, str | None):
            yield f"note must be a string, not {shown(self.note)}"

    def _problems_of_runs(self) -> Iterable[str]:
        kind = self.workflow_type
        if self.spec is None and not kind:
            yield "give the spec or the workflow_type of the runs"
        if self.spec is not None:
            try:
                as_spec(self.spec, "spec")
            except SpecError as error:
                yield from error.problems
            if self.input is not None and (not isinstance(self.input, dict) or SPEC_KEY in self.input):
                yield f"with a spec, input must be an object without {SPEC_KEY}, not {shown(self.input)}"
        if kind and not (isinstance(kind, tuple) and len(kind) == len(("name", "version"))):
            yield f"workflow_type must be a WorkflowType, or name and version, not {shown(kind)}"
        elif kind:
            yield from name_problems("workflow_type", kind[0])
            yield from name_problems("workflow_type", kind[1], VERSION_LIMIT)
        yield from input_problems(self.input)

    def _problems_of_times(self) -> Iterable[str]:
        yield from zone_problems(self.time_zone)
        given = [name for name in ("cron", "every", "calendar") if getattr(self, name) not in (None, ())]
        if len(given) != 1:
            yield f"give exactly one of cron, every and calendar, not {', '.join(given) or 'none'}"
        if self.cron is not None:
            yield from cron_problems(self.cron)
        if self.every is not None and (type(self.every) is not int or not 0 < self.every <= SECONDS_LIMIT):
            yield f"every must be an integer from 1 to {SECONDS_LIMIT:,} (seconds), not {shown(self.every)}"
        if not isinstance(self.calendar, tuple):
            yield f"calendar must be a list of times, not {shown(self.calendar)}"
        else:
            yield from (line for each in self.calendar for line in moment_problems("calendar", each))
        for name in ("start", "end"):
            if getattr(self, name) is not None:
                yield from moment_problems(name, getattr(self, name))

    def fires(self, after: datetime, count: int = 1) -> tuple[datetime, ...]:
        """Return the next fires after a time, in UTC; fewer if there are no more.

        Args:
            after: A time with an offset.
            count: Maximum number of fires.

        Raises:
            ValueError: if ``after`` has no offset.
        """
        return tuple(islice(self.fires_after(after), count))

    def fires_after(self, after: datetime) -> Iterator[datetime]:
        """Yield the fires after a time, in UTC. Raises ``ValueError`` if it has no offset."""
        if after.tzinfo is None:
            msg = f"after must have an offset from UTC, such as {after.isoformat()}+00:00"
            raise ValueError(msg)
        begin = None if self.start is None else moment(self.start, self.time_zone)
        after = after.astimezone(UTC) if begin is None else max(after.astimezone(UTC), begin - _MOMENT)
        if self.every is not None:
            found = every_fires(self.every, begin, after)
        elif self.cron is not None:
            found = cron_fires(self.cron, self.time_zone, after)
        else:
            found = local_fires(self.calendar, self.time_zone, after)
        end = None if self.end is None else moment(self.end, self.time_zone)
        return found if end is None else takewhile(lambda at: at <= end, found)

    def starts_at(self, fire: datetime) -> datetime:
        """Return the time at which the run of a fire is to start: that of the fire, and its jitter."""
        if not self.jitter:
            return fire
        room = self.jitter
        for following in self.fires(fire):
            room = min(room, (following - fire) // _SECOND - 1)
        digest = sha256(f"{self.id_} {fire:{FIRE_FORM}}".encode(errors="backslashreplace")).digest()
        return fire + timedelta(seconds=int.from_bytes(digest[:8], "big") % (max(room, 0) + 1))

    def is_like(self, other: Schedule) -> bool:
        """Return True if another schedule fires at the same times."""
        names = ("cron", "every", "calendar", "time_zone", "start", "end")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    @property
    def words(self) -> str:
        """The times in English."""
        if self.every is not None:
            return f"every {self.every} seconds"
        times = "; ".join(self.calendar) if self.cron is None else in_words(self.cron)
        return f"{times}, {self.time_zone}"

    def to_json(self, codec: Codec | None = None) -> str:
        """Return this schedule as JSON text.

        Args:
            codec: The codec with custom kinds of task; None for floto's own kinds.

        Raises:
            SpecError: if a class is not registered with the codec.
        """
        return with_schedules(codec or CODEC).dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes, codec: Codec | None = None) -> Schedule:
        """Read the JSON text of ``to_json``.

        Args:
            text: The JSON text.
            codec: The codec with custom kinds of task; None for floto's own kinds.

        Raises:
            SpecError: with every problem and its JSON path.
        """
        return as_schedule(with_schedules(codec or CODEC).loads(text))


def as_schedule(value: object) -> Schedule:
    """Return a value that is a schedule. Raises ``SpecError``."""
    if not isinstance(value, Schedule):
        raise SpecError((f"$: must be a {TAG}, not {shown(value)}",))
    return value


#: Reads and writes schedules of floto's own kinds of task.
SCHEDULE_CODEC = CODEC.with_type(TAG, Schedule)


def with_schedules(codec: Codec) -> Codec:
    """Return a codec that reads and writes schedules too."""
    if codec == CODEC and codec.payloads is None:
        return SCHEDULE_CODEC
    return codec if TAG in codec.types else codec.with_type(TAG, Schedule)
