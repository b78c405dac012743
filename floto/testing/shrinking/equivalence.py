"""Equivalence of divergences, and histories that are made to agree in everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import evolve, fields_dict

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.replay.decision_diff import DECISION, FILLED_IN, ORDER, Difference, identity, name_of
from floto.core.replay.decision_tasks import DecisionTaskRecord, RecordedOutcome, decision_tasks
from floto.core.replay.recorded_decisions import Recorded
from floto.core.replay.replay import Divergence, Replay, decided_at, replay
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.tasks import TaskCodec
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.history import History

Predicate = Callable[[DeciderSpec, History], bool]
_MISSING = object()


def diverges(spec: DeciderSpec, history: History, codec: TaskCodec = CODEC) -> bool:
    """Return True if a spec decides anything but what a history recorded.

    Args:
        spec: The spec that decides again.
        history: The recorded history.
        codec: Codec that knows your own task kinds and retry strategies.
    """
    return replay(spec, history, codec).divergence is not None


def diverges_like(replayed: Replay, codec: TaskCodec) -> Predicate:
    """Return a predicate for the same divergence, at any step: the same decisions, field and values."""
    wanted = _identity(replayed)

    def is_alike(spec: DeciderSpec, history: History) -> bool:
        return _identity(replay(spec, history, codec)) == wanted

    return is_alike


def _identity(replayed: Replay) -> tuple[Any, ...]:
    """Return the parts of a divergence that stay the same while spec and history get smaller."""
    divergence = replayed.divergence
    if divergence is None:
        return ()
    found = divergence.difference
    if found.field in (DECISION, ORDER):
        earlier = {
            identity(each.decision)
            for step in replayed.steps[: divergence.step - 1]
            for each in step.recorded
        }
        # A second attempt is not equivalent to a first.
        sides = (found.recorded, found.decided)
        return found.field, *(each and (name_of(each), identity(each) in earlier) for each in sides)
    apart = _apart(found.recorded, found.decided)
    return found.field, found.what, (found.recorded, found.decided) if apart is None else apart


def _apart(recorded: Any, decided: Any) -> Mapping[str, tuple[Any, Any]] | None:
    """Return the differences of two JSON objects by key; None where one is not the text of an object."""
    old, new = _object(recorded), _object(decided)
    if old is None or new is None:
        return None
    pairs = {key: (old.get(key, _MISSING), new.get(key, _MISSING)) for key in old | new}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _object(text: Any) -> dict[str, Any] | None:
    if text is None:
        return {}
    try:
        value = payload.loads(text) if isinstance(text, str) else None
    except PayloadError:
        return None
    return value if isinstance(value, dict) else None


def agreeing(spec: DeciderSpec, history: History, divergence: Divergence | None, codec: TaskCodec) -> History:
    """Return the history as the spec would have had it recorded, except for the field that diverges.

    Removing a task changes the inputs of the tasks that required it.
    """
    events = list(history.events)
    kept = None if divergence is None else divergence.difference
    for decision_task, decided in responded_tasks(spec, history, codec):
        now = {identity(decision): decision for decision in decided}
        for each in decision_task.recorded:
            decision = now.get(identity(each.decision))
            if decision is not None:
                place = each.event_id - 1
                events[place] = _agreeing(events[place], each, decision, kept)
    return History(events, history.execution)


def responded_tasks(
    spec: DeciderSpec, history: History, codec: TaskCodec
) -> Iterator[tuple[DecisionTaskRecord, tuple[Decision, ...]]]:
    """Return each decision task of a history that got a response, with the decisions of the spec there.

    The end of the history is not decided, so a spec may raise there.
    """
    responded = [each for each in decision_tasks(history.events) if each.outcome is RecordedOutcome.ANSWERED]
    decided = decided_at(spec, history, [each.started for each in responded], codec)
    return zip(responded, decided, strict=True)


def agrees(spec: DeciderSpec, history: History, codec: TaskCodec) -> bool:
    """Return True if the spec decides all that a history recorded, and so could have made it."""
    return all(
        decision_task.difference_from(decided) is None
        for decision_task, decided in responded_tasks(spec, history, codec)
    )


def _agreeing(event: Event, each: Recorded, now: Decision, kept: Difference | None) -> Event:
    changes: dict[str, Any] = {}
    for name in each.known:
        was, is_ = getattr(each.decision, name), getattr(now, name)
        if was == is_ or (is_ is None and name in FILLED_IN) or name not in fields_dict(type(event.data)):
            continue
        is_kept = kept is not None and (kept.field, kept.what) == (name, name_of(now))
        changes[name] = _merged(was, is_, kept) if kept is not None and is_kept else is_
    return Event(event.id, event.at, evolve(event.data, **changes)) if changes else event


def _merged(was: Any, is_: Any, kept: Difference) -> Any:
    """Return the recorded text with the decided values, except for the keys that diverge."""
    apart, old, new = _apart(kept.recorded, kept.decided), _object(was), _object(is_)
    if apart is None or old is None or new is None:
        return was
    rest = {key: value for key, value in new.items() if key not in apart}
    merged = rest | {key: old[key] for key in apart if key in old}
    return payload.encode(merged, kept.field) if merged else None
