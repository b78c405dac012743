"""Invariants of determinism: the same spec and history give the same decisions, in any process."""

from __future__ import annotations

import json
from typing import Any

from floto.core.decide.decide import decide
from floto.core.errors import SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.history import History
from floto.testing.invariants.differences import check_same
from floto.testing.invariants.own_code import is_own
from floto.testing.invariants.purity import call_and_watch
from floto.testing.invariants.violation import broken
from floto.testing.reading.identity_cache import cached_by_identity
from floto.testing.reading.moment import Moment

#: Round trips cost more than deciding: check one decision point in so many.
_ONE_IN = 4


def recorded_decisions_are_made_again(moment: Moment) -> None:
    """Deciding on the same history once more gives the same decisions."""
    check_same(moment.decisions, decide(moment.spec, moment.history, codec=moment.codec), "decided once more")


def nothing_outside_is_looked_at(moment: Moment) -> None:
    """Deciding reads no clock, no random numbers and no file, and changes nothing."""
    before = repr(moment.spec)
    if _has_own(moment.spec):
        _, looked = call_and_watch(lambda: decide(moment.spec, moment.history, codec=moment.codec))
        if looked is not None:
            broken(f"deciding reads {looked}, so that it is not deterministic")
    if repr(moment.spec) != before or before != _first_seen(moment.spec):
        broken("deciding changed the spec: tasks and strategies must be frozen")


def the_history_is_left_as_it_was(moment: Moment) -> None:
    """Deciding changes nothing in the history."""
    if moment.is_one_in(_ONE_IN):
        before = repr(moment.history)
        decide(moment.spec, moment.history, codec=moment.codec)
        if repr(moment.history) != before:
            broken("deciding changed the history: events must be left as they are")


@cached_by_identity
def _has_own(spec: DeciderSpec) -> bool:
    return any(map(is_own, (*spec.all_tasks, *(task.retry_strategy for task in spec.all_tasks))))


@cached_by_identity
def _first_seen(spec: DeciderSpec) -> str:
    return repr(spec)


def json_keeps_the_spec(moment: Moment) -> None:
    """Each spec read back from JSON, its keys in any order, equals itself and decides the same."""
    for again in _rewritten(moment.spec, moment.codec) if moment.is_one_in(_ONE_IN) else ():
        if again != moment.spec:
            broken(f"the spec differs after a round trip through JSON: {again}")
        decisions = decide(again, moment.history, codec=moment.codec)
        check_same(moment.decisions, decisions, "after a round trip of the spec through JSON")


@cached_by_identity
def _rewritten(spec: DeciderSpec, codec: Codec) -> tuple[DeciderSpec, ...]:
    """Return the spec as read back from JSON; nothing where the codec does not know all its classes."""
    try:
        text = spec.to_json(codec)
    except SpecError:
        return ()
    return (DeciderSpec.from_json(json.dumps(_backwards(json.loads(text))), codec),)


def _backwards(value: Any) -> Any:
    """Return the same JSON with the keys of every object in reverse order."""
    if isinstance(value, dict):
        return {key: _backwards(value[key]) for key in reversed(value)}
    return [_backwards(item) for item in value] if isinstance(value, list) else value


def pages_come_in_any_order(moment: Moment) -> None:
    """Each history read back from its SWF events in reverse order is decided the same."""
    if not moment.is_one_in(_ONE_IN):
        return
    raw = moment.history.to_swf()
    again = History.from_swf(reversed(raw), moment.history.execution)
    if again != moment.history:
        broken("the history differs after a round trip through SWF's events")
    decisions = decide(moment.spec, again, codec=moment.codec)
    check_same(moment.decisions, decisions, "with the history's pages in reverse order")
