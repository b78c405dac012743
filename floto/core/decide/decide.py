"""What to do next: a pure function of a spec and a history.

Level-triggered: the decisions are what should be in flight, less what is in flight. They
never depend on what happened since the last decision, so a lost decision task, a crashed
decider or a refused close needs no path of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, overload

from attrs import fields

from floto.core.decide.closing import cancel, complete, fail, failed, noted_failures
from floto.core.decide.progress import Progress, begin
from floto.core.decide.starting import starts, workflow_context
from floto.core.errors import PayloadError, SpecError
from floto.core.payloads import payload
from floto.core.payloads.stored import read
from floto.core.spec.decider_spec import CODEC, SPEC_KEY, DeciderSpec
from floto.core.spec.tasks import TaskCodec
from floto.core.state.carried_signals import split
from floto.core.state.state import Kind, State
from floto.core.swf.decisions import Decision, StartTimer
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.wire import decision_to_swf

#: Characters of one response to SWF, which takes 1 MB; the rest is room for what surrounds them.
RESPONSE_LIMIT = 900_000
_DECISION_SIZE = 20_000
#: A timer of 0 seconds that asks for another decision, where one response cannot hold all.
MORE_TIMER = "floto.more"


@overload
def decide(
    spec: DeciderSpec, history: History | Iterable[Event] | State, *, codec: TaskCodec = ...
) -> list[Decision]: ...


@overload
def decide(spec: Progress) -> list[Decision]: ...


def decide(spec: DeciderSpec | Progress, history: Any = None, *, codec: TaskCodec = CODEC) -> list[Decision]:
    """Return the decisions that a spec calls for after a history; none when nothing is to be decided.

    A spec and a history (or its state) are looked at task by task, each time. Who follows a run gives the
    ``Progress`` that ``floto.begin`` and ``Progress.observe`` carry forward, alone: then only the tasks whose
    items moved since are looked at.

    Raises:
        HistoryError: for a history that cannot have happened.
        SpecError: where a retry strategy answers what is no delay.
    """
    if isinstance(spec, Progress):
        if history is not None:
            msg = "a Progress has its history: add events with progress.observe(events)"
            raise TypeError(msg)
        return decisions(spec)
    return decisions(begin(spec, history, codec))


def decisions(progress: Progress) -> list[Decision]:
    """The decisions that are called for now, the same whether progress was carried forward or not."""
    state = progress.state
    more = state.items.get((Kind.TIMER, MORE_TIMER))
    if state.started is None or state.closed is not None or (more is not None and more.is_open):
        return []
    noted = noted_failures(state)
    if noted is not None:
        # A clean-up that has begun is finished, whatever is asked for meanwhile.
        return fitting(fail(progress, noted))
    if state.cancel_requested is not None:
        return fitting(cancel(progress))
    if progress.exhausted:
        return fitting(fail(progress, progress.failures))
    if len(progress.done) == len(progress.plan.tasks):
        return fitting(complete(progress))
    return fitting(_go_on(progress))


def spec_of(input: str | None, codec: TaskCodec = CODEC) -> DeciderSpec | None:
    """Return the spec that a run carries in its input, None if it carries none.

    Raises ``SpecError`` where it cannot be read, ``PayloadsNeeded`` where it is stored and ``codec`` has no
    store, and ``PayloadsUnavailable`` while the store cannot be reached.
    """
    try:
        value, _ = split(payload.loads(input))
        value = read(value, "the workflow's input", codec.payloads)
    except PayloadError as error:
        raise SpecError((str(error),)) from error
    if not isinstance(value, dict) or SPEC_KEY not in value:
        return None
    spec = codec.structure(value[SPEC_KEY])
    if not isinstance(spec, DeciderSpec):
        raise SpecError((f"{SPEC_KEY} must be a DeciderSpec, not a {type(spec).__name__}",))
    return spec


def _go_on(progress: Progress) -> list[Decision]:
    try:
        given = workflow_context(progress.state, progress.codec)
    except PayloadError as error:
        return [failed("the workflow's input cannot be read", {"workflow": str(error)})]
    found, failures = starts(progress, given)
    return fail(progress, failures) if failures else found


def fitting(found: list[Decision]) -> list[Decision]:
    """As many decisions as one response holds, and a timer that asks for the rest."""
    if sum(map(_most, found)) <= RESPONSE_LIMIT:
        return found
    # All at once takes less time than each by itself, and is mostly all there is to do.
    if len(json.dumps(list(map(decision_to_swf, found)))) <= RESPONSE_LIMIT:
        return found
    size = 0
    for count, decision in enumerate(found):
        size += len(json.dumps(decision_to_swf(decision))) + 2
        if size > RESPONSE_LIMIT:
            return [*found[:count], StartTimer(timer_id=MORE_TIMER, start_to_fire_timeout="0")]
    return found


def _most(decision: Any) -> int:
    """The most characters a decision can take: JSON writes some as a pair of six."""
    texts = [getattr(decision, name) for name in _long_fields(decision.__class__)]
    return _DECISION_SIZE + 12 * sum(len(text) for text in texts if text)


@cache
def _long_fields(decision: Any) -> tuple[str, ...]:
    long = ("input", "result", "details", "control")
    return tuple(field.name for field in fields(decision) if field.name in long)
