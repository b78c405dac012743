"""Children that a run starts on request: what the daemon and schedules have in common.

Level-triggered, as ``decide`` is: a request is handled by the child whose key has its id, or by a marker with
the problem that there is no child. The run continues as new before its history grows long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from attrs import evolve

from floto.core.decide.closing import MESSAGE_LIMIT
from floto.core.decide.next_step import (
    START,
    Exhausted,
    NextStep,
    NoStep,
    Start,
    Wait,
    next_attempt,
    next_step_of_continuation,
)
from floto.core.decide.starting import room_to_open
from floto.core.errors import HistoryError, SpecError
from floto.core.payloads import payload
from floto.core.spec.decider_spec import ChildWorkflow
from floto.core.spec.task_lists import routed
from floto.core.spec.tasks import Given, TaskCodec
from floto.core.state.failures import failure_of
from floto.core.state.state import Kind, State, Status
from floto.core.swf.decisions import Decision, RecordMarker, StartChildWorkflowExecution
from floto.core.swf.events import Event
from floto.core.swf.field_validation import problems
from floto.core.swf.limits import LATE_EVENTS
from floto.core.swf.reserved_names import NOTE_PREFIX, RENEWAL_TASK
from floto.core.swf.shapes import WorkflowType
from floto.core.visible import shortened

T = TypeVar("T")

#: Default workflow type of the children.
CHILD_TYPE = WorkflowType("floto_child_type", "v1")
#: History length at which pending retries are abandoned so that the run can continue as new.
FULL_EVENTS = LATE_EVENTS


def next_step_of_child(id_: str, state: State) -> NextStep:
    """Return the next step of the child of a request; ``id_`` is the id in its key."""
    item = state.items.get((Kind.CHILD, id_))
    if item is None:
        return START
    if item.status is not Status.REFUSED:
        return NoStep.IN_FLIGHT if item.status is Status.SCHEDULED else NoStep.DONE
    step = next_attempt(item, id_, None, state, need_run_id(state))
    if state.last_event_id >= FULL_EVENTS and step != START:
        return Exhausted(failure_of(item.failures[-1]).message)
    return step


def decisions_for(
    next_steps: Iterable[tuple[T, NextStep]], decide: Callable[[T, NextStep], Decision], state: State
) -> list[Decision]:
    """Return the decisions for requests, as far as SWF's limits allow.

    Args:
        next_steps: The requests, each with its next step.
        decide: Returns the start of a request's child, or the marker of its problem.
        state: The state of the run.
    """
    room = room_to_open(state)
    found: list[Decision] = []
    for request, step in next_steps:
        kind = Kind.TIMER if isinstance(step, Wait) else Kind.CHILD
        if isinstance(step, NoStep) or (not isinstance(step, Exhausted) and room[kind] <= 0):
            continue
        decision = step.timer() if isinstance(step, Wait) else decide(request, step)
        if not isinstance(decision, RecordMarker):
            room[kind] -= 1
        found.append(decision)
    return found


def start_child(
    task: ChildWorkflow,
    context: Mapping[str, Any],
    state: State,
    codec: TaskCodec,
    tags: tuple[str, ...] | None,
) -> StartChildWorkflowExecution:
    """Start the child of a request. Raises ``SpecError`` or ``PayloadError``."""
    raise_problems(task.problems())
    given = Given(
        context=dict(context),
        execution=state.execution,
        decision_task_list=state.start.task_list.name,
        activity_task_list=None,
        codec=codec,
        ready_at=state.begun_at,
        now=state.now,
    )
    started = cast("StartChildWorkflowExecution", routed(task.start(given), state.start))
    decision = evolve(started, tag_list=tags)
    # SWF refuses a response as a whole: one malformed child must not keep the others from starting.
    raise_problems(problems(decision))
    return decision


def raise_problems(found: Iterable[str]) -> None:
    """Raise ``SpecError`` if there are problems."""
    if found := tuple(found):
        raise SpecError(found)


def problem_marker(signal: Event, problem: str) -> RecordMarker:
    """Record why a signal has no effect."""
    details = {"signal": signal.id, "problem": shortened(problem, MESSAGE_LIMIT)}
    return RecordMarker(marker_name=problem_marker_name(signal), details=payload.dumps(details, "a note"))


def problem_marker_name(signal: Event) -> str:
    """Return the name of the marker of a signal that has no effect."""
    return f"{NOTE_PREFIX}{signal.id}"


def recorded_problem(decision: Decision) -> str | None:
    """Return the details of a ``problem_marker``; None for other decisions."""
    if isinstance(decision, RecordMarker) and decision.marker_name.startswith(NOTE_PREFIX):
        return decision.details
    return None


def need_run_id(state: State) -> str:
    """Return the run id. Raises ``HistoryError`` if the history does not name it."""
    if state.execution is None:
        raise HistoryError(None, "the history does not name its execution, which children on request need")
    return state.execution.run_id


def continue_as_new(state: State, continuation: Callable[[], Decision]) -> list[Decision]:
    """Continue as new, after the timer that follows a transient refusal; nothing after a permanent one.

    Args:
        state: The state of the run.
        continuation: Returns the decision; called only if no timer is open before it.
    """
    step = next_step_of_continuation(RENEWAL_TASK, state, state.execution.run_id if state.execution else "")
    if isinstance(step, Wait):
        return [step.timer()]
    return [continuation()] if isinstance(step, Start) else []


def timeout_share(state: State) -> float:
    """Return the share of the run's execution timeout that has passed; 0 if it has none."""
    limit = state.start.execution_start_to_close_timeout or ""
    if not limit.isdecimal() or not int(limit):
        return 0.0
    return (state.now - state.begun_at).total_seconds() / int(limit)
