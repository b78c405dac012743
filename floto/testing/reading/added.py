"""A second reading of what floto adds to the decision that starts a task."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from attrs import evolve

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.payloads.stored import StoredText
from floto.core.spec.kinds import ActivityTask
from floto.core.spec.tasks import Task
from floto.core.swf.decisions import Decision, ScheduleActivityTask, StartChildWorkflowExecution
from floto.core.swf.reserved_names import SPEC_KEY
from floto.testing.reading.carried import REDRIVE
from floto.testing.reading.oracle import HistorySummary


def added(
    decision: Decision | None, task: Task, summary: HistorySummary, *, has_store: bool
) -> Decision | None:
    """Return the decision as it is sent: with time-outs, attempt and the task list of ``floto.run``.

    In a redriven run also with what a child keeps of its last run, for which a long context may be stored.
    """
    start = summary.start
    if isinstance(decision, StartChildWorkflowExecution):
        decision = evolve(decision, input=_beside_what_is_kept(decision, task, summary, has_store=has_store))
    # The worker of a user-defined task kind may not be floto's.
    if isinstance(decision, ScheduleActivityTask):
        more = _of_earlier_attempts(task, summary) if isinstance(task, ActivityTask) else {}
        decision = evolve(decision, input=_numbered(decision, more))
    if not start.task_list.name.startswith("floto.run."):
        return decision
    if isinstance(decision, StartChildWorkflowExecution) and not _carries_spec(decision.input):
        return decision
    if isinstance(decision, StartChildWorkflowExecution | ScheduleActivityTask):
        return evolve(decision, task_list=start.task_list)
    return decision


def _beside_what_is_kept(
    decision: StartChildWorkflowExecution, task: Task, summary: HistorySummary, *, has_store: bool
) -> str | None:
    """Return the input of a child with what it keeps of its last run, where that fits."""
    marker = summary.markers.get(f"floto.checkpoint:{task.id_}")
    kept = _object(marker.data.details) if marker is not None else None
    if kept is None or kept.keys() != {"run", "number", "tasks", "signals", "checkpoints"}:
        return decision.input
    what, behind = "the input of a child", getattr(decision.input, "parts", ())
    context = _object(decision.input) or {}
    try:
        text = payload.dumps_plain({**context, REDRIVE: kept}, what)
    except PayloadError:
        if behind or not has_store:
            return decision.input
        whole = payload.plain_text(context, what)
        data = whole.encode()
        name = {"floto.payload": f"sha256:{sha256(data).hexdigest()}", "size": len(data)}
        behind = (whole,)
        try:
            text = payload.dumps_plain({"floto.stored": name, REDRIVE: kept}, what)
        except PayloadError:
            return decision.input
    return StoredText.of(text, behind) if behind else text


def _carries_spec(text: str | None) -> bool:
    behind = getattr(text, "parts", ())
    return any(SPEC_KEY in (_object(each) or {}) for each in (text, *behind))


def _of_earlier_attempts(task: Task, summary: HistorySummary) -> dict[str, Any]:
    """Return the number of the attempt from the second on, and what an earlier one left."""
    failures = summary.failures.get(task.key, [])
    marker = summary.markers.get(f"floto.checkpoint:{task.id_}")
    found: dict[str, Any] = {"attempt": len(failures) + 1} if failures else {}
    texts = ["" if marker is None else marker.data.details]
    for event in failures:
        details = getattr(event.data, "details", None) or ""
        if type(event.data).__name__ == "ActivityTaskFailed":
            _, _, behind = details.partition("\n--- floto.traceback ---\n")
            _, _, details = behind.partition("\n--- floto.checkpoint ---\n")
        elif type(event.data).__name__ != "ActivityTaskTimedOut":
            details = ""
        texts.append(details)
    left = [text for text in texts if text]
    return {**found, "checkpoint": left[-1]} if left else found


def _numbered(decision: ScheduleActivityTask, more: dict[str, Any]) -> str | None:
    """Return the input with what is known of earlier attempts, where it fits."""
    try:
        return _with_timeouts(decision, more)
    except PayloadError:
        return _with_timeouts(decision, {})


def _with_timeouts(decision: ScheduleActivityTask, more: dict[str, Any]) -> str | None:
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
