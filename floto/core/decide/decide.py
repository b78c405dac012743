"""The next decisions of a run: a pure function of a spec and a history.

Level-triggered: a decision starts what should be in flight and is not. Decisions never depend on what
happened since the last one, so a lost decision task, a crashed decider or a refused close needs no code path
of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, overload

from attrs import fields

from floto.core.decide.closing import cancel, complete, fail, fail_at_once
from floto.core.decide.context import workflow_context
from floto.core.decide.phase import RunPhase, phase, run_failures
from floto.core.decide.progress import Progress, begin
from floto.core.decide.starting import starts
from floto.core.errors import PayloadError, SpecError
from floto.core.payloads import payload
from floto.core.payloads.stored import read
from floto.core.spec.decider_spec import CODEC, DeciderSpec, as_spec
from floto.core.spec.tasks import TaskCodec
from floto.core.state.carried_signals import split_signals
from floto.core.state.redriven import awaits_parts, own_value
from floto.core.state.state import Kind, State
from floto.core.swf.decisions import Decision, StartTimer
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.limits import OPEN_LIMIT
from floto.core.swf.reserved_names import MORE_TIMER, SPEC_KEY
from floto.core.swf.wire import decision_to_swf

#: Maximum characters of the decisions in one response; SWF takes requests of 1 MB, the rest is for the frame.
RESPONSE_LIMIT = 900_000
#: Upper bound of the characters of a decision without its ``_long_fields``.
_DECISION_SIZE = 20_000


@overload
def decide(
    spec: DeciderSpec, history: History | Iterable[Event] | State, *, codec: TaskCodec = ...
) -> list[Decision]: ...


@overload
def decide(spec: Progress) -> list[Decision]: ...


def decide(spec: DeciderSpec | Progress, history: Any = None, *, codec: TaskCodec = CODEC) -> list[Decision]:
    """Return the decisions that a spec calls for after a history; an empty list if there are none.

    With a spec and a history (or its state), every task is examined. To follow a run, pass the ``Progress``
    of ``floto.begin`` and ``Progress.observe`` alone: then only the tasks whose items changed are examined.

    Args:
        spec: The spec of the run, or its ``Progress``.
        history: The history of the run, its events or its state; omit it with a ``Progress``.
        codec: Reads generated tasks and stored values; by default floto's own kinds, and no store.

    Raises:
        HistoryError: if the history cannot have happened.
        SpecError: if ``spec`` is not a spec.
        TypeError: if both a ``Progress`` and a history are given.
    """
    if isinstance(spec, Progress):
        if history is not None:
            msg = "a Progress has its history: add events with progress.observe(events)"
            raise TypeError(msg)
        return decisions(spec)
    return decisions(begin(spec, history, codec))


def decisions(progress: Progress) -> list[Decision]:
    """Return the decisions for a progress; equal however the progress was computed."""
    state = progress.state
    if state.started is None or awaits_more(state):
        return []
    return fit_response(_DECISIONS[phase(progress)](progress), state)


def spec_of(input: str | None, codec: TaskCodec = CODEC) -> DeciderSpec | None:
    """Return the spec in the input of a run; None if there is none.

    Raises:
        SpecError: if the input or the spec cannot be read.
        PayloadsNeeded: if the input is stored and ``codec`` has no store.
        PayloadsUnavailable: while the store cannot be reached.
    """
    try:
        value, _ = split_signals(own_value(payload.loads(input)))
        value = read(value, "the workflow's input", codec.payloads)
    except PayloadError as error:
        raise SpecError((str(error),)) from error
    if not isinstance(value, dict) or SPEC_KEY not in value:
        return None
    return as_spec(codec.structure(value[SPEC_KEY]), SPEC_KEY)


def _start_ready(progress: Progress) -> list[Decision]:
    try:
        shared_context = workflow_context(progress.state, progress.codec)
    except PayloadError as error:
        return [fail_at_once("the workflow's input cannot be read", {"workflow": str(error)})]
    found, failures = starts(progress, shared_context)
    return fail(progress, failures) if failures else found


def _fail_run(progress: Progress) -> list[Decision]:
    return fail(progress, run_failures(progress))


#: The decisions of each phase.
_DECISIONS: Mapping[RunPhase, Callable[[Progress], list[Decision]]] = {
    RunPhase.RUNNING: _start_ready,
    RunPhase.COMPLETING: complete,
    RunPhase.FAILING: _fail_run,
    RunPhase.CLEANING_UP: _fail_run,
    RunPhase.CANCELING: cancel,
    RunPhase.CLOSED: lambda _: [],
}


def awaits_more(state: State) -> bool:
    """Return True if a run must not be decided yet.

    That is while the timer of ``fit_response`` is open, and until all parts of what a redriven run keeps have
    arrived, unless its cancellation is requested.
    """
    more = state.items.get((Kind.TIMER, MORE_TIMER))
    return (more is not None and more.is_open) or (state.cancel_requested is None and awaits_parts(state))


def fit_response(found: list[Decision], state: State) -> list[Decision]:
    """Return as many decisions as one response holds, and a timer that wakes the decider for the rest.

    Where SWF permits no further timer, one of the open ones wakes it.
    """
    # Two fast paths, which suffice almost always: an upper bound, then the length of the whole list.
    if sum(map(_size_bound, found)) <= RESPONSE_LIMIT:
        return found
    if len(json.dumps(list(map(decision_to_swf, found)))) <= RESPONSE_LIMIT:
        return found
    size = 0
    for count, decision in enumerate(found):
        size += len(json.dumps(decision_to_swf(decision))) + 2
        if size > RESPONSE_LIMIT:
            return [*found[:count], *_wake_for_rest(found[:count], state)]
    return found


def _wake_for_rest(found: list[Decision], state: State) -> list[Decision]:
    timers = state.open_count.get(Kind.TIMER, 0) + sum(isinstance(each, StartTimer) for each in found)
    return [StartTimer(timer_id=MORE_TIMER, start_to_fire_timeout="0")] if timers < OPEN_LIMIT else []


def _size_bound(decision: Any) -> int:
    """Return an upper bound of a decision's length: JSON may escape one character as 12."""
    size = _DECISION_SIZE
    for name in _long_fields(decision.__class__):
        size += 12 * len(getattr(decision, name) or "")
    return size


@cache
def _long_fields(decision: Any) -> tuple[str, ...]:
    long = ("input", "result", "details", "control")
    return tuple(field.name for field in fields(decision) if field.name in long)
