"""What the attempts at a task come to, where somebody says so: ``fails(2)``, ``takes(minutes=5)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

from attrs import evolve, field, frozen

from floto.core.engine.deadlines import LONGEST_RUN
from floto.core.swf.limits import EVENT_LIMIT


class How(StrEnum):
    """How an attempt ends."""

    SUCCEEDS = "succeeds"
    FAILS = "fails"
    TIMES_OUT = "times out"

    def __repr__(self) -> str:
        return f"How.{self.name}"


class Usual:
    """The type of ``USUAL``."""

    def __repr__(self) -> str:
        return "USUAL"


#: In place of a result: whatever tasks of this kind return where nobody says what.
USUAL = Usual()


@frozen(kw_only=True)
class Ending:
    """How one attempt ends, and after how many seconds of work."""

    how: How = How.SUCCEEDS
    value: Any = USUAL
    reason: str = ""
    details: str = ""
    #: Which time-out; None for the one that comes first.
    timeout_type: str | None = None
    seconds: float = 0
    #: It times out because heartbeats got lost, and is answered all the same, too late.
    is_late: bool = False


@frozen(repr=False)
class Outcome:
    """How the attempts at a task end: the first ones one by one, then all others alike."""

    first: tuple[Ending, ...]
    last: Ending
    #: The call that made it.
    code: str = field(eq=False)

    def __repr__(self) -> str:
        return self.code

    def ending(self, attempt: int) -> Ending:
        """How an attempt ends; the first is 1."""
        return self.first[attempt - 1] if attempt <= len(self.first) else self.last


SUCCESS = Ending()
_SUCCEEDS = Outcome((), SUCCESS, "returns()")
_TIMEOUTS = ("SCHEDULE_TO_START", "SCHEDULE_TO_CLOSE", "START_TO_CLOSE", "HEARTBEAT")


def returns(value: Any = None) -> Outcome:
    """Each attempt succeeds with this value, which must be one that JSON can hold."""
    return Outcome((), Ending(value=value), _call("returns", [repr(value)]))


def fails(
    times: int | None = 1, reason: str = "Failure", details: str = "", then: Outcome | None = None
) -> Outcome:
    """The first attempts fail, ``times=None`` for all; what follows is as ``then`` says, or succeeds."""
    ending = Ending(how=How.FAILS, reason=reason, details=details)
    given = [repr(times), *_given(reason=(reason, "Failure"), details=(details, ""), then=(then, None))]
    return _times(times, ending, then, _call("fails", given))


def times_out(times: int | None = 1, timeout_type: str | None = None, then: Outcome | None = None) -> Outcome:
    """The first attempts time out, ``times=None`` for all; what follows is as ``then`` says, or succeeds.

    ``timeout_type`` is SCHEDULE_TO_START (nobody takes the task), START_TO_CLOSE or SCHEDULE_TO_CLOSE
    (it is taken and never answered, while heartbeats go on), HEARTBEAT (it is taken, and never heard of
    again), or None for the one of the task's time-outs that comes first. A task that has no such
    time-out is a ``NoSuchTimeout`` when it comes to that.
    """
    if timeout_type is not None and timeout_type not in _TIMEOUTS:
        msg = f"timeout_type must be one of {', '.join(_TIMEOUTS)}, or None, not {timeout_type!r}"
        raise ValueError(msg)
    ending = Ending(how=How.TIMES_OUT, timeout_type=timeout_type)
    given = [repr(times), *_given(timeout_type=(timeout_type, None), then=(then, None))]
    return _times(times, ending, then, _call("times_out", given))


def takes(
    *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0, then: Outcome | None = None
) -> Outcome:
    """Each attempt takes so long, and ends as ``then`` says, or succeeds."""
    lasts = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not 0 <= lasts <= LONGEST_RUN.total_seconds():
        msg = f"an attempt takes from 0 seconds to a year, not {lasts!r} seconds"
        raise ValueError(msg)
    after = then or _SUCCEEDS
    given = _given(
        days=(days, 0), hours=(hours, 0), minutes=(minutes, 0), seconds=(seconds, 0), then=(then, None)
    )
    return Outcome(
        tuple(_longer(ending, lasts) for ending in after.first),
        _longer(after.last, lasts),
        _call("takes", given),
    )


def _longer(ending: Ending, seconds: float) -> Ending:
    return evolve(ending, seconds=ending.seconds + seconds)


def _times(times: int | None, ending: Ending, then: Outcome | None, code: str) -> Outcome:
    if times is None:
        if then is not None:
            msg = "times=None is for all attempts: nothing can follow, leave out then"
            raise ValueError(msg)
        return Outcome((), ending, code)
    if type(times) is not int or not 0 <= times <= EVENT_LIMIT:
        msg = f"times must be a whole number from 0 to {EVENT_LIMIT:,}, or None for all, not {times!r}"
        raise ValueError(msg)
    after = then or _SUCCEEDS
    return Outcome((*(ending,) * times, *after.first), after.last, code)


def _given(**values: tuple[Any, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, (value, default) in values.items() if value != default]


def _call(name: str, given: Iterable[str]) -> str:
    return f"{name}({', '.join(given)})"


#: What a user may say of a task: how it ends, or the function that does its work.
Activity = Outcome | Callable[..., Any]
