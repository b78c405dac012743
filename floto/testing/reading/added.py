"""What floto adds to the decision with which a task starts, read a second time."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from floto.core import payload
from floto.core.decisions import Decision, ScheduleActivityTask, StartChildWorkflowExecution
from floto.core.errors import PayloadError
from floto.core.events import WorkflowExecutionStarted
from floto.core.specs import SPEC_KEY
from floto.core.stored import StoredText


def added(decision: Decision | None, start: WorkflowExecutionStarted) -> Decision | None:
    """Return the decision as it is sent: its input says the time-outs; ``floto.run`` has a list."""
    if isinstance(decision, ScheduleActivityTask):
        decision = evolve(decision, input=_with_timeouts(decision))
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


def _with_timeouts(decision: ScheduleActivityTask) -> str | None:
    limits = {"heartbeat": decision.heartbeat_timeout, "start_to_close": decision.start_to_close_timeout}
    told = {name: int(value) for name, value in limits.items() if value not in (None, "NONE")}
    context, behind = _object(decision.input), getattr(decision.input, "parts", None)
    if not told or context is None:
        return decision.input
    what = f"the input of task {decision.activity_id!r}"
    text = payload.dumps_plain({**context, "floto.timeouts": told}, what)
    return text if behind is None else StoredText.of(text, behind)


def _object(text: str | None) -> dict[str, Any] | None:
    try:
        value = payload.loads(text or "{}")
    except PayloadError:
        return None
    return value if isinstance(value, dict) else None
