"""Metamorphic invariants: decisions stay the same for irrelevant events, redelivery and another order.

A metamorphic test needs no expected result: it compares the decisions for two related histories.
"""

from __future__ import annotations

import zlib
from typing import Any

from floto.core.decide.decide import decide
from floto.core.state.state import Kind
from floto.core.swf import events as e
from floto.core.swf.decisions import ContinueAsNewWorkflowExecution
from floto.core.swf.history import History
from floto.testing.invariants import variants
from floto.testing.invariants.differences import check_same
from floto.testing.reading.moment import Moment

_MARKER = e.MarkerRecorded(marker_name="noise", decision_task_completed_event_id=1)
_NEWER = e.OtherEvent(type="WorkflowExecutionAdmired", attributes={"by": "everybody"})


def noise_does_not_matter(moment: Moment) -> None:
    """Markers, signals that no task waits for, and unknown event types do not change decisions.

    Except in a run that continues as new: it hands unused signals to the next run.
    """
    length = len(moment.history)
    if length < 2:  # noqa: PLR2004 - before the second event, at the earliest
        return
    name = "noise"
    while any(task.key == (Kind.SIGNAL, name) for task in moment.known.values()):
        name += "!"
    irrelevant: tuple[Any, ...] = (_MARKER, _NEWER)
    if not _continues(moment):
        irrelevant += (e.WorkflowExecutionSignaled(signal_name=name),)
    before = 2 + zlib.crc32(str(length).encode()) % (length - 1)
    when = f"with irrelevant events before event {before}, so that later event ids are shifted"
    _check(moment, variants.with_irrelevant_events(moment.history, before, irrelevant), when)


def lost_decision_tasks_do_not_matter(moment: Moment) -> None:
    """Each decision task that timed out and was scheduled again gets the same decisions."""
    _check(
        moment,
        variants.redelivered(moment.history),
        "with the decision task scheduled again after a time-out",
    )


def order_does_not_matter(moment: Moment) -> None:
    """No order of what went well since the last decision makes a difference.

    Except in a run in which a generator tolerates failures, or needs only some of its tasks.
    """
    if _continues(moment) and len(moment.summary.signals) > 1:
        # Signals go to the next run in order of arrival.
        return
    if moment.depends_on_which_end_first:
        return
    _check(moment, variants.swapped(moment.history), "with two completions swapped")


def _continues(moment: Moment) -> bool:
    return any(isinstance(each, ContinueAsNewWorkflowExecution) for each in moment.decisions)


def _check(moment: Moment, other: History | None, when: str) -> None:
    if other is None:
        return
    check_same(moment.decisions, decide(moment.spec, other, codec=moment.codec), when)
