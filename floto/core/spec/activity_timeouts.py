"""The facts of an activity that its worker gets in the input: time-outs, attempt, checkpoint, scheduled time.

SWF dispatches an activity without its time-outs, so a worker could not know how often it must send a
heartbeat, or when the activity times out. Nor does SWF know which attempt at a task an activity is, or what
the attempt before it had done. So the decider writes the time-outs that a task sets, the attempt number from
2 on, and what an earlier attempt last sent with a heartbeat into the input under a reserved key, which the
worker removes before it calls the activity. Defaults of the registered activity type are not included: the
decider does not know them. In a run that a schedule started, the time for which it did is there too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve, frozen

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.payloads.stored import Payloads, StoredText, dumps_plain
from floto.core.spec.kinds import ActivityTask
from floto.core.swf.decisions import Decision, ScheduleActivityTask
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import SCHEDULED_TAG, TIMEOUTS_KEY

_ATTEMPT, _CHECKPOINT, _SCHEDULED_FOR = "attempt", "checkpoint", "scheduled_for"


@frozen
class Timeouts:
    """The time-outs of one attempt in seconds, as its worker knows them; None if unknown."""

    heartbeat: float | None = None
    start_to_close: float | None = None
    #: Number of the attempt, 2 or more; None for the first, or if unknown.
    attempt: int | None = None
    #: What an earlier attempt last sent with a heartbeat; None if that is nothing.
    checkpoint: str | None = None
    #: The time for which a schedule started the run; None for other runs.
    scheduled_for: datetime | None = None


def with_timeouts(
    decision: Decision | None,
    payloads: Payloads | None = None,
    *,
    attempt: int = 1,
    checkpoint: str = "",
    tags: Sequence[str] = (),
) -> Decision | None:
    """Return a decision with its time-outs, attempt and checkpoint in its input, if it schedules an activity.

    An input that is not a JSON object stays unchanged. An attempt number and a checkpoint that do not fit are
    omitted, because an input that fitted for the first attempt must not fail a later one.

    Args:
        decision: Any decision, or None.
        payloads: The store; None if values are not stored.
        attempt: The number of the attempt, 1 for the first.
        checkpoint: What an earlier attempt last sent with a heartbeat; empty for nothing.
        tags: The tags of the run, which name the time for which a schedule started it.

    Raises:
        PayloadError: if the input is then too long for SWF.
    """
    if not isinstance(decision, ScheduleActivityTask):
        return decision
    has_timeout = decision.heartbeat_timeout or decision.start_to_close_timeout
    if not (has_timeout or tags or checkpoint or attempt > 1):
        return decision
    given = {"heartbeat": decision.heartbeat_timeout, "start_to_close": decision.start_to_close_timeout}
    known: dict[str, int | str] = {
        name: seconds for name, value in given.items() if (seconds := _seconds(value)) is not None
    }
    if tags:
        times = [tag.removeprefix(SCHEDULED_TAG) for tag in tags if tag.startswith(SCHEDULED_TAG)]
        known |= {_SCHEDULED_FOR: times[0]} if times else {}
    added = {**known, _ATTEMPT: attempt} if attempt > 1 else {**known}
    if checkpoint:
        added[_CHECKPOINT] = checkpoint
    if not added or (context := _object(decision.input)) is None:
        return decision
    what = f"the input of task {decision.activity_id!r}"
    try:
        text = dumps_plain({**context, TIMEOUTS_KEY: added}, what, payloads)
    except PayloadError:
        if added == known:
            raise
        return with_timeouts(decision, payloads, tags=tags)
    if isinstance(decision.input, StoredText):
        # Beside the reference, so that the worker knows them before it reads the store.
        text = StoredText.of(text, decision.input.parts)
    return evolve(decision, input=text)


def timeout_warnings(task: Any) -> Iterable[str]:
    """Yield warnings about a heartbeat time-out that has no effect, or that the worker may not know."""
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


def split_timeouts(context: Any) -> tuple[Any, Timeouts]:
    """Return the context without floto's key, and the time-outs under that key."""
    if not isinstance(context, Mapping) or TIMEOUTS_KEY not in context:
        return context, Timeouts()
    return without_timeouts(context), _read(context[TIMEOUTS_KEY])


def without_timeouts(context: Any) -> Any:
    """Return the context of an activity without floto's key."""
    if not isinstance(context, Mapping):
        return context
    return {name: value for name, value in context.items() if name != TIMEOUTS_KEY}


def without_unrecorded(context: Any, recorded: Mapping[str, Any]) -> Any:
    """Return a context without the attempt and the checkpoint, as far as ``recorded`` has none.

    Older versions of floto did not write them, and their histories must replay without a difference.

    Args:
        context: The context as it would be written now.
        recorded: The context as a history has it.
    """
    if not isinstance(context, Mapping) or not isinstance(context.get(TIMEOUTS_KEY), Mapping):
        return context
    then = recorded.get(TIMEOUTS_KEY)
    lacking = {_ATTEMPT, _CHECKPOINT}.difference(then if isinstance(then, Mapping) else ())
    known = {name: value for name, value in context[TIMEOUTS_KEY].items() if name not in lacking}
    return {**context, TIMEOUTS_KEY: known} if known else without_timeouts(context)


def _read(written: Any) -> Timeouts:
    # Other programs may write other values under this key.
    values = written if isinstance(written, Mapping) else {}
    found = {name: values.get(name) for name in ("heartbeat", "start_to_close", _ATTEMPT)}
    numbers = {name: value for name, value in found.items() if type(value) is int and value > 0}
    checkpoint = values.get(_CHECKPOINT)
    return Timeouts(
        **numbers,
        checkpoint=checkpoint if isinstance(checkpoint, str) else None,
        scheduled_for=_moment(values.get(_SCHEDULED_FOR)),
    )


def _moment(written: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(written)
    except (TypeError, ValueError):
        return None


def _object(input: str | None) -> dict[str, Any] | None:
    try:
        value = payload.loads(input)
    except PayloadError:
        return None
    return {} if value is None else value if isinstance(value, dict) else None
