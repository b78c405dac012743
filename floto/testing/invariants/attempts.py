"""Invariants of attempts: one for each task, one more for each due retry, never two at a time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from floto.core.decide.decide import decide
from floto.testing.invariants import variants
from floto.testing.invariants.differences import difference
from floto.testing.invariants.violation import broken
from floto.testing.reading import oracle
from floto.testing.reading.moment import Moment


def exactly_once(moment: Moment) -> None:
    """At most one attempt at a task is alive, and none is started after one that succeeded."""
    for id_ in moment.started:
        key = moment.known[id_].key
        if moment.summary.in_flight(key):
            broken(f"task {id_!r} is started although it is in flight")
        if moment.summary.completed(key):
            broken(f"task {id_!r} is started although it has completed")
    opened = Counter(key for key in map(oracle.opens, moment.decisions) if key is not None)
    for (kind, id_), times in opened.items():
        if times > 1:
            broken(f"{kind} {id_!r} is started {times} times at once")


def recorded_exactly_once(moment: Moment) -> None:
    """In the history, no attempt at a task was started beside another, or after one that succeeded."""
    summary = moment.summary
    for id_, task in moment.known.items():
        for one, next_ in pairwise(summary.attempts.get(task.key, ())):
            if one.end is None or one.end.id > next_.opened.id:
                broken(f"task {id_!r} was started a second time while it was in flight")
            if one.completed:
                broken(f"task {id_!r} was started once more after it had completed")


def no_id_is_taken(moment: Moment) -> None:
    """SWF never has to refuse an activity or a timer because one of that id is under way."""
    for event in moment.history:
        cause = getattr(event.data, "cause", "")
        if cause in ("ACTIVITY_ID_ALREADY_IN_USE", "TIMER_ID_ALREADY_IN_USE"):
            id_ = getattr(event.data, "activity_id", None) or event.data.timer_id
            for attempt in (each for attempts in moment.summary.attempts.values() for each in attempts):
                end = attempt.end
                alive = attempt.opened.id < event.id and (end is None or end.id > event.id)
                if (
                    alive
                    and attempt.key[1] == id_
                    and attempt.key[0].value in oracle.name(event.data).lower()
                ):
                    broken(f"{attempt.key[0]} {id_!r} was started while it was in flight")


def idempotent(moment: Moment) -> None:
    """Once the decisions have taken effect, and nothing else has happened, there is nothing to decide."""
    after = variants.applied(moment.history, moment.decisions)
    if after is None:
        return
    more = decide(moment.spec, after, codec=moment.codec)
    said = difference((), more)
    if said:
        keys = {task.key: id_ for id_, task in moment.known.items()}
        ids = [keys[key] for key in map(oracle.opens, more) if key in keys]
        who = f"task {ids[0]!r} would be started again: " if ids else ""
        broken(f"{who}with all decisions carried out and nothing new, {said}")
