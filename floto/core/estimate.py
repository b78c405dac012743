"""How many events a run of a spec will write, against the 25,000 that SWF allows."""

from __future__ import annotations

from floto.core.specs import DeciderSpec
from floto.core.state import Kind
from floto.core.tasks import Task

_DECISION = 3
# WorkflowExecutionStarted, the first decision task and the closing event.
_RUN = 1 + _DECISION + 1
# What a clean-up begins with: a marker, or a cancel request and the decision task that it causes.
_MARKER = 1
_CANCEL = 1 + _DECISION
# The events of one attempt, and the decision task that its end causes; a child causes two.
_ATTEMPT = {
    Kind.ACTIVITY: 3 + _DECISION,
    Kind.TIMER: 2 + _DECISION,
    Kind.CHILD: 3 + 2 * _DECISION,
    Kind.SIGNAL: 1 + _DECISION,
}


def expected_events(spec: DeciderSpec) -> tuple[int, int]:
    """The events of a run where nothing fails, and of one where every retry is used, and the clean-up.

    Tasks that generators will add are not known yet and not counted.
    """
    smooth = sum(map(_attempt, spec.activity_tasks))
    rough = sum(map(_attempts, spec.activity_tasks))
    after_failure = _MARKER + sum(map(_attempts, spec.on_failure)) if spec.on_failure else 0
    after_cancel = _CANCEL + sum(map(_attempts, spec.on_cancel)) if spec.on_cancel else 0
    return _RUN + smooth, _RUN + rough + max(after_failure, after_cancel)


def _attempt(task: Task) -> int:
    return _ATTEMPT.get(task.key[0], _ATTEMPT[Kind.ACTIVITY])


def _attempts(task: Task) -> int:
    return _attempt(task) + _retries(task) * (_attempt(task) + _ATTEMPT[Kind.TIMER])


def _retries(task: Task) -> int:
    # A user's own strategy need not say how often it agrees.
    retries = getattr(task.retry_strategy, "retries", 0)
    return max(retries, 0) if isinstance(retries, int) else 0
