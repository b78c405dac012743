"""The outcomes of the attempts at a task, as users declare them: ``fails(2)``, ``takes(minutes=5)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

from attrs import evolve, field, frozen

from floto.core.engine.deadlines import LONGEST_RUN
from floto.core.errors import FlotoError
from floto.core.swf.limits import EVENT_LIMIT


class ActivitiesError(FlotoError, TypeError):
    """An entry of ``activities`` is not one that a task can have, or names no task."""


class How(StrEnum):
    """The ways in which an attempt ends."""

    SUCCEEDS = "succeeds"
    FAILS = "fails"
    TIMES_OUT = "times out"

    def __repr__(self) -> str:
        return f"How.{self.name}"


class Usual:
    """The type of ``USUAL``."""

    def __repr__(self) -> str:
        return "USUAL"


#: In place of a result: the default result of this kind of task.
USUAL = Usual()


@frozen(kw_only=True)
class Ending:
    """The end of one attempt, and the seconds of work before it."""

    how: How = How.SUCCEEDS
    value: Any = USUAL
    reason: str = ""
    details: str = ""
    #: The type of the time-out; None for the one that comes first.
    timeout_type: str | None = None
    seconds: float = 0
    #: The heartbeats are lost, the attempt times out, and its worker responds too late.
    is_late: bool = False


@frozen(repr=False)
class Outcome:
    """The ends of the attempts at a task: the first ones one by one, all later ones alike."""

    first: tuple[Ending, ...]
    last: Ending
    #: The call that made it.
    code: str = field(eq=False)

    def __repr__(self) -> str:
        return self.code

    def ending(self, attempt: int) -> Ending:
        """Return how an attempt ends; the first attempt is 1."""
        return self.first[attempt - 1] if attempt <= len(self.first) else self.last


SUCCESS = Ending()
_SUCCEEDS = Outcome((), SUCCESS, "returns()")
_TIMEOUTS = ("SCHEDULE_TO_START", "SCHEDULE_TO_CLOSE", "START_TO_CLOSE", "HEARTBEAT")


def returns(value: Any = None) -> Outcome:
    """Let each attempt succeed with this value.

    Args:
        value: The result, a JSON value.
    """
    return Outcome((), Ending(value=value), _call("returns", [repr(value)]))


def fails(
    times: int | None = 1, reason: str = "Failure", details: str = "", then: Outcome | None = None
) -> Outcome:
    """Let the first attempts fail.

    Args:
        times: How many attempts fail; None for all.
        reason: The reason of the failure: for an activity, the type of the exception.
        details: The details of the failure: for an activity, the message of the exception.
        then: The outcome of the attempts after that; by default they succeed.

    Raises:
        ValueError: ``times`` is negative or too large, or is None and ``then`` is given.
        ActivitiesError: ``then`` is not an outcome.
    """
    ending = Ending(how=How.FAILS, reason=reason, details=details)
    given = [repr(times), *_given(reason=(reason, "Failure"), details=(details, ""), then=(then, None))]
    return _times(times, ending, then, _call("fails", given))


def times_out(times: int | None = 1, timeout_type: str | None = None, then: Outcome | None = None) -> Outcome:
    """Let the first attempts time out.

    A task without that time-out raises ``NoSuchTimeout`` in the simulation.

    Args:
        times: How many attempts time out; None for all.
        timeout_type: SCHEDULE_TO_START (no worker claims the task), START_TO_CLOSE or SCHEDULE_TO_CLOSE (the
            worker sends heartbeats and never responds), HEARTBEAT (the worker crashes), or None for the first
            of the task's time-outs.
        then: The outcome of the attempts after that; by default they succeed.

    Raises:
        ValueError: ``timeout_type`` is unknown, or ``times`` is invalid as for ``fails``.
        ActivitiesError: ``then`` is not an outcome.
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
    """Let each attempt take some virtual time.

    Args:
        days: Days of work, added to the others.
        hours: Hours of work.
        minutes: Minutes of work.
        seconds: Seconds of work.
        then: How the attempts end after that; by default they succeed.

    Raises:
        ValueError: The sum is negative or more than a year.
        ActivitiesError: ``then`` is not an outcome.
    """
    lasts = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not 0 <= lasts <= LONGEST_RUN.total_seconds():
        msg = f"an attempt takes from 0 seconds to a year, not {lasts!r} seconds"
        raise ValueError(msg)
    after = _following("takes", then)
    given = _given(
        days=(days, 0), hours=(hours, 0), minutes=(minutes, 0), seconds=(seconds, 0), then=(then, None)
    )
    return Outcome(
        tuple(_longer(ending, lasts) for ending in after.first),
        _longer(after.last, lasts),
        _call("takes", given),
    )


def _following(name: str, then: Outcome | None) -> Outcome:
    """Return the outcome of the attempts after the first ones: by default they succeed."""
    if then is not None and not isinstance(then, Outcome):
        msg = f"then of {name}() must be an outcome such as returns(1), not {then!r:.80}"
        raise ActivitiesError(msg)
    return then or _SUCCEEDS


def _longer(ending: Ending, seconds: float) -> Ending:
    return evolve(ending, seconds=ending.seconds + seconds)


def _times(times: int | None, ending: Ending, then: Outcome | None, code: str) -> Outcome:
    if times is None:
        if then is not None:
            msg = "times=None is for all attempts: nothing can follow, leave out then"
            raise ValueError(msg)
        return Outcome((), ending, code)
    if type(times) is not int or not 0 <= times <= EVENT_LIMIT:
        msg = f"times must be an integer from 0 to {EVENT_LIMIT:,}, or None for all, not {times!r}"
        raise ValueError(msg)
    after = _following("fails" if ending.how is How.FAILS else "times_out", then)
    return Outcome((*(ending,) * times, *after.first), after.last, code)


def _given(**values: tuple[Any, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, (value, default) in values.items() if value != default]


def _call(name: str, given: Iterable[str]) -> str:
    return f"{name}({', '.join(given)})"


#: What a user declares for a task: its outcome, or the function that does its work.
Activity = Outcome | Callable[..., Any]
