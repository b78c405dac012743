"""Invariants of SWF's limits on decisions and timers."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

from floto.core.state.state import Kind
from floto.core.swf import wire
from floto.core.swf.decisions import Decision, StartTimer
from floto.core.swf.field_validation import problems
from floto.core.swf.limits import DATA_LIMIT, NAME_LIMIT, OPEN_LIMIT
from floto.testing.invariants.violation import broken
from floto.testing.reading import oracle
from floto.testing.reading.moment import Moment

#: Maximum size of a request to SWF, in bytes.
_REQUEST = 1_000_000
_LONG = ("input", "result", "details", "control")
_SHORT = ("activity_id", "timer_id", "workflow_id", "reason", "marker_name", "signal_name", "id")


def decisions_fit(moment: Moment) -> None:
    """No field of a decision is malformed, and no response as a whole is longer than SWF takes."""
    for decision in moment.decisions:
        for limit, fields in ((DATA_LIMIT, _LONG), (NAME_LIMIT, _SHORT)):
            for field in fields:
                length = len(getattr(decision, field, None) or "")
                if length > limit:
                    broken(f"{_who(decision)}: {field} is {length:,} characters long; SWF takes {limit:,}")
        for problem in problems(decision):
            broken(f"SWF refuses {_who(decision)}: {problem}")
    size = sum(len(json.dumps(wire.decision_to_swf(decision))) + 2 for decision in moment.decisions)
    if size > _REQUEST:
        broken(f"the decisions are {size:,} characters long together; SWF takes {_REQUEST:,}")


def _who(decision: Decision) -> str:
    opened = oracle.opens(decision)
    return oracle.name(decision) if opened is None else f"{oracle.name(decision)} of {opened[1]!r}"


def no_more_is_open_than_swf_allows(moment: Moment) -> None:
    """Of activities, timers and children, no more are started than SWF lets be open."""
    kinds = Counter(attempt.key[0] for attempt in moment.summary.under_way())
    kinds.update(key[0] for key in map(oracle.opens, moment.decisions) if key)
    for kind in (Kind.ACTIVITY, Kind.TIMER, Kind.CHILD):
        if kinds[kind] > OPEN_LIMIT:
            broken(f"{kinds[kind]:,} of kind {kind} would be open; SWF allows {OPEN_LIMIT:,}")


def no_more_is_in_flight_than_a_generator_allows(moment: Moment) -> None:
    """Of the tasks that a generator returned, no more are in flight at once than its ``max_in_flight``."""
    open_ = {attempt.key for attempt in moment.summary.under_way()} | set(map(oracle.opens, moment.decisions))
    for id_, returned in moment.expanded.returned.items():
        most = getattr(moment.known[id_], "max_in_flight", None)
        in_flight = sum(task.key in open_ for task in returned)
        if most is not None and in_flight > most:
            broken(f"{in_flight} tasks of {id_!r} would be in flight; max_in_flight is {most}")


def waits_end_before_the_run(moment: Moment) -> None:
    """No timer, of a task or of a retry, ends after the run has timed out."""
    began = moment.summary.began
    limit = None if began is None else began.data.execution_start_to_close_timeout
    if began is None or limit in (None, "NONE"):
        return
    end, now = began.at + timedelta(seconds=int(limit)), moment.history.events[-1].at
    for decision in moment.decisions:
        if (
            isinstance(decision, StartTimer)
            and now + timedelta(seconds=int(decision.start_to_fire_timeout)) > end
        ):
            id_ = decision.timer_id
            what = f"task {id_!r} waits"
            if id_.startswith(oracle.RETRY):
                what = f"task {id_.removeprefix(oracle.RETRY).rpartition(':')[0]!r} waits for its retry"
            if id_.startswith(oracle.WAIT):
                what = f"task {id_.removeprefix(oracle.WAIT)!r} waits"
            broken(
                f"{what} for {decision.start_to_fire_timeout} seconds, and the run times out before that, "
                f"{limit} seconds after it began: wait for less, or give the run more time"
            )


def payloads_fit(moment: Moment) -> None:
    """No run fails because a task cannot be given what it needs, or its result cannot be recorded."""
    faults = {id_: text for id_, text in moment.expected.faults.items() if id_ not in moment.expanded.broken}
    for id_, text in faults.items():
        broken(f"task {id_!r}: the run fails although no attempt did: {text}")
