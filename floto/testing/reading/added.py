"""A second reading of what floto adds to the decision that starts a task."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.payloads.stored import StoredText
from floto.core.spec.kinds import ActivityTask
from floto.core.spec.tasks import Task
from floto.core.swf.decisions import Decision, ScheduleActivityTask, StartChildWorkflowExecution
from floto.core.swf.reserved_names import SPEC_KEY
from floto.testing.reading.oracle import HistorySummary


def added(decision: Decision | None, task: Task, summary: HistorySummary) -> Decision | None:
    """Return the decision as it is sent: with time-outs, attempt and the task list of ``floto.run``."""
    start = summary.start
    # The worker of a user-defined task kind may not be floto's.
    attempt = len(summary.failures.get(task.key, ())) + 1 if isinstance(task, ActivityTask) else 1
    if isinstance(decision, ScheduleActivityTask):
        decision = evolve(decision, input=_numbered(decision, attempt))
    if not start.task_list.name.startswith("floto.run."):
        return decision
    if isinstance(decision, StartChildWorkflowExecution) and not _carries_spec(decision.input):
        return decision
    if isinstance(decision, StartChildWorkflowExecution | ScheduleActivityTask):
        return evolve(decision, task_list=start.task_list)
    return decision


def _carries_spec(text: str | None) -> bool:
    behind = getattr(text, "parts", ())
    return any(SPEC_KEY in (_object(each) or {}) for each in (text, *behind))


def _numbered(decision: ScheduleActivityTask, attempt: int) -> str | None:
    """Return the input with the attempt from the second on, where it fits."""
    try:
        return _with_timeouts(decision, {"attempt": attempt} if attempt > 1 else {})
    except PayloadError:
        return _with_timeouts(decision, {})


def _with_timeouts(decision: ScheduleActivityTask, more: dict[str, int]) -> str | None:
    limits = {"heartbeat": decision.heartbeat_timeout, "start_to_close": decision.start_to_close_timeout}
    limited = {name: int(value) for name, value in limits.items() if value not in (None, "NONE")} | more
    context, behind = _object(decision.input), getattr(decision.input, "parts", None)
    if not limited or context is None:
        return decision.input
    what = f"the input of task {decision.activity_id!r}"
    text = payload.dumps_plain({**context, "floto.timeouts": limited}, what)
    return text if behind is None else StoredText.of(text, behind)


def _object(text: str | None) -> dict[str, Any] | None:
    try:
        value = payload.loads(text or "{}")
    except PayloadError:
        return None
    return value if isinstance(value, dict) else None
