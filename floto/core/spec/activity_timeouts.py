"""The time-outs of an activity and the number of its attempt, where its worker can read them.

SWF hands out an activity without its time-outs, so a worker cannot know how often it must send a heartbeat,
or when nobody waits for the result any more. Nor does SWF know which attempt at a task an activity is. The
decider writes the time-outs that a task sets itself into the input, and the attempt from the second on, under
a key of floto's own, which the worker takes out before the activity sees its context. A default of the
registered activity type is not among them: the decider does not know it either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.payloads.stored import Payloads, StoredText, dumps_plain
from floto.core.spec.kinds import ActivityTask
from floto.core.swf.decisions import Decision, ScheduleActivityTask
from floto.core.swf.identifiers import shown

#: The key in the context of an activity: an object of ``heartbeat`` and ``start_to_close``, in seconds, and
#: of ``attempt``.
TIMEOUTS_KEY = "floto.timeouts"
_ATTEMPT = "attempt"


@frozen
class Timeouts:
    """What a worker knows of the time-outs of one attempt, in seconds; None: no such time-out is known."""

    heartbeat: float | None = None
    start_to_close: float | None = None
    #: 2 or more; None for the first attempt, or if the decider did not say.
    attempt: int | None = None


def with_timeouts(
    decision: Decision | None, payloads: Payloads | None = None, *, attempt: int = 1
) -> Decision | None:
    """Return a decision whose input says its time-outs and attempt, if it schedules an activity.

    An input that is not a JSON object is left as it is: its worker is not floto's, or cannot know. An attempt
    for which there is no room is left out, because what fitted the first time must not fail the task later.

    Raises:
        PayloadError: if the input is then longer than SWF takes.
    """
    if not isinstance(decision, ScheduleActivityTask):
        return decision
    given = {"heartbeat": decision.heartbeat_timeout, "start_to_close": decision.start_to_close_timeout}
    known = {name: seconds for name, value in given.items() if (seconds := _seconds(value)) is not None}
    numbered = {**known, _ATTEMPT: attempt} if attempt > 1 else known
    context = _object(decision.input) if numbered else None
    if context is None:
        return decision
    what = f"the input of task {decision.activity_id!r}"
    try:
        text = dumps_plain({**context, TIMEOUTS_KEY: numbered}, what, payloads)
    except PayloadError:
        if attempt == 1:
            raise
        return with_timeouts(decision, payloads)
    if isinstance(decision.input, StoredText):
        # Beside the reference, so that the worker knows them before it has read the store.
        text = StoredText.of(text, decision.input.parts)
    return evolve(decision, input=text)


def timeout_warnings(task: Any) -> Iterable[str]:
    """Yield what is doubtful about the heartbeat time-out of a task: that it cannot help, or not be kept."""
    heartbeat, limit = (
        _seconds(getattr(task, name, None)) for name in ("heartbeat_timeout", "start_to_close_timeout")
    )
    if heartbeat is None:
        return
    if limit is not None and heartbeat >= limit:
        yield (
            f"task {shown(task.id_)}: its heartbeat_timeout of {heartbeat} s is no shorter than its "
            f"start_to_close_timeout of {limit} s, which ends it first"
        )
    if not isinstance(task, ActivityTask):
        yield (
            f"task {shown(task.id_)}: the worker learns its heartbeat_timeout of {heartbeat} s only if the "
            "input of the activity is a JSON object; else it sends a heartbeat every 120 s"
        )


def _seconds(value: Any) -> int | None:
    return int(value) if value is not None and str(value).isdecimal() else None


def split(context: Any) -> tuple[Any, Timeouts]:
    """Return the context as the activity sees it, and what it said of time-outs."""
    if not isinstance(context, Mapping) or TIMEOUTS_KEY not in context:
        return context, Timeouts()
    return without_timeouts(context), _read(context[TIMEOUTS_KEY])


def without_timeouts(context: Any) -> Any:
    """Return the context of an activity without floto's key."""
    if not isinstance(context, Mapping):
        return context
    return {name: value for name, value in context.items() if name != TIMEOUTS_KEY}


def without_attempt(context: Any) -> Any:
    """Return the context of an activity as it would be for a first attempt."""
    if not isinstance(context, Mapping) or not isinstance(context.get(TIMEOUTS_KEY), Mapping):
        return context
    known = {name: value for name, value in context[TIMEOUTS_KEY].items() if name != _ATTEMPT}
    return {**context, TIMEOUTS_KEY: known} if known else without_timeouts(context)


def _read(said: Any) -> Timeouts:
    # Another decider may write what it likes.
    values = said if isinstance(said, Mapping) else {}
    found = {name: values.get(name) for name in ("heartbeat", "start_to_close", _ATTEMPT)}
    return Timeouts(**{name: value for name, value in found.items() if type(value) is int and value > 0})


def _object(input: str | None) -> dict[str, Any] | None:
    try:
        value = payload.loads(input)
    except PayloadError:
        return None
    return {} if value is None else value if isinstance(value, dict) else None
