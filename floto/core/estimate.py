"""How many events a run of a spec will write, against the 25,000 that SWF allows."""

from __future__ import annotations

from floto.core.specs import DeciderSpec
from floto.core.state import Kind
from floto.core.tasks import Task

_DECISION = 3
# WorkflowExecutionStarted, the first decision task and the closing event.
_RUN = 1 + _DECISION + 1
# The events of one attempt, and the decision task that its end causes; a child causes two.
_ATTEMPT = {
    Kind.ACTIVITY: 3 + _DECISION,
    Kind.TIMER: 2 + _DECISION,
    Kind.CHILD: 3 + 2 * _DECISION,
    Kind.SIGNAL: 1 + _DECISION,
}


def expected_events(spec: DeciderSpec) -> tuple[int, int]:
    """The events of a run where nothing fails, and of one where every retry is used.

    Tasks that generators will add are not known yet and not counted.
    """
    smooth = [_ATTEMPT.get(task.key[0], _ATTEMPT[Kind.ACTIVITY]) for task in spec.activity_tasks]
    rough = [
        events + _retries(task) * (events + _ATTEMPT[Kind.TIMER])
        for events, task in zip(smooth, spec.activity_tasks, strict=True)
    ]
    return _RUN + sum(smooth), _RUN + sum(rough)


def _retries(task: Task) -> int:
    # A user's own strategy need not say how often it agrees.
    retries = getattr(task.retry_strategy, "retries", 0)
    return max(retries, 0) if isinstance(retries, int) else 0
