"""The decisions that start ready tasks, and the context of each task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from floto.core.decide.child_record import with_record
from floto.core.decide.custom_kinds import check_custom
from floto.core.decide.next_step import EndWait, Start, Step, Wait
from floto.core.decide.progress import Progress
from floto.core.decide.update import unreadable
from floto.core.errors import PayloadError, SpecError
from floto.core.payloads import payload
from floto.core.quick_init import maker
from floto.core.spec.activity_timeouts import with_timeouts
from floto.core.spec.kinds import ActivityTask
from floto.core.spec.task_lists import default_child_list, routed
from floto.core.spec.tasks import Given, Task
from floto.core.state.failures import checkpoint_of
from floto.core.state.state import Kind, State
from floto.core.swf.decisions import Decision, StartChildWorkflowExecution
from floto.core.swf.limits import OPEN_LIMIT
from floto.core.swf.reserved_names import CHECKPOINT_PREFIX

_new_given = maker(Given)


def starts(progress: Progress, shared_context: Mapping[str, Any]) -> tuple[list[Decision], dict[str, str]]:
    """Start ready tasks in spec order, as far as SWF's limits allow.

    Args:
        progress: The progress of the run.
        shared_context: The entries that the context of every task has.

    Returns:
        The decisions, and the message of each task that cannot be started, by its id.
    """
    if not progress.steps:
        return [], {}
    room = room_to_open(progress.state)
    group_room = room_in_groups(progress)
    found: list[Decision] = []
    failures: dict[str, str] = {}
    steps, tasks, generator_of = progress.steps, progress.plan.tasks, progress.groups.generator_of
    for position in sorted(steps):
        step = steps[position]
        # A wait before an attempt is not in flight, so it needs no room in its group. Thousands may have no
        # room, so this comes first.
        group = generator_of.get(position) if group_room and isinstance(step, Start) else None
        if group in group_room and group_room[group] <= 0:
            continue
        if isinstance(step, EndWait):
            found.append(step.cancel())
            continue
        task = tasks[position]
        kind = Kind.TIMER if isinstance(step, Wait) else task.key[0]
        if room[kind] <= 0:
            continue
        room[kind] -= 1
        try:
            decision = _decision(task, position, step, progress, shared_context)
        except (PayloadError, SpecError) as error:
            failures[task.id_] = unreadable(error)
            continue
        if decision is not None:
            found.append(decision)
            if group in group_room:
                group_room[group] -= 1
    return found, failures


def room_in_groups(progress: Progress) -> dict[int | None, int]:
    """Return how many more tasks may be in flight, by generator, for those that limit it."""
    if not progress.groups.by_generator:
        return {}
    plan, of = progress.plan, progress.groups.generator_of
    groups = progress.groups.by_generator.items()
    room: dict[int | None, int] = {
        generator: group.limits.max_in_flight
        for generator, group in groups
        if group.limits.max_in_flight is not None
    }
    for key in progress.state.opened.values() if room else ():
        generator = of.get(plan.by_key.get(key, -1))
        if generator in room:
            room[generator] -= 1
    return room


def room_to_open(state: State) -> dict[Kind, int]:
    """Return the number of items of each kind that SWF allows a run to open beside those that are open."""
    return defaultdict(
        lambda: OPEN_LIMIT, {kind: OPEN_LIMIT - count for kind, count in state.open_count.items()}
    )


def _decision(
    task: Task, position: int, step: Step, progress: Progress, shared_context: Mapping[str, Any]
) -> Decision | None:
    if isinstance(step, Wait):
        return step.timer(control=task.id_)
    attempt, checkpoint = _attempt_and_checkpoint(task, progress.state)
    decision = with_timeouts(
        task.start(given_for(position, progress, shared_context)),
        progress.codec.payloads,
        attempt=attempt,
        checkpoint=checkpoint,
        tags=progress.state.start.tag_list or (),
    )
    if isinstance(decision, StartChildWorkflowExecution):
        _check_workflow_id(decision, progress.state)
        decision = _with_kept_record(decision, task, progress)
    _check_lengths(task, decision)
    check_custom(task, decision)
    return routed(decision, progress.state.start)


def _check_workflow_id(decision: StartChildWorkflowExecution, state: State) -> None:
    """Raise ``SpecError`` for a child with the workflow id of its own run, which would wait for itself."""
    own = state.execution
    if own is not None and decision.workflow_id == own.workflow_id:
        raise SpecError((f"its workflow id {own.workflow_id!r} is that of its own run",))


def _with_kept_record(decision: StartChildWorkflowExecution, task: Task, progress: Progress) -> Decision:
    """Return the decision that starts a child, with what a redriven run keeps for it, if that fits."""
    kept = progress.state.markers.get(CHECKPOINT_PREFIX + task.id_) if progress.state.markers else None
    if kept is None:
        return decision
    return with_record(decision, kept.data.details, progress.codec.payloads) or decision


def given_for(position: int, progress: Progress, shared_context: Mapping[str, Any]) -> Given:
    """Return the argument of a task's ``start``.

    Args:
        position: The position of the task.
        progress: The progress of the run.
        shared_context: The entries that the context of every task has.
    """
    state, spec = progress.state, progress.spec
    context = {**shared_context, **progress.results_for(position)}
    return _new_given(
        context=context,
        execution=state.execution,
        decision_task_list=default_child_list(spec.task_list, state.start.task_list.name),
        activity_task_list=spec.default_activity_task_list,
        codec=progress.codec,
        ready_at=_ready_at(position, progress),
        now=state.now,
    )


def _ready_at(position: int, progress: Progress) -> datetime:
    """Return the time at which the last of the requirements was settled that met the join of a task."""
    waits_for_all = progress.waits_for_all(position)
    required = progress.plan.requires[position] if waits_for_all else progress.inputs_of(position)
    ends = [at for each in required if (at := progress.ended_at(each)) is not None]
    return max(ends) if ends else progress.state.begun_at


def _attempt_and_checkpoint(task: Task, state: State) -> tuple[int, str]:
    """Return the number of a task's next attempt, and the details of the last heartbeat of an earlier one.

    1 and '' for tasks that are not floto's activities: no worker of floto would read them.
    """
    if not isinstance(task, ActivityTask):
        return 1, ""
    item = state.items.get(task.key)
    failures = item.failures if item is not None else ()
    checkpoint = checkpoint_of(failures) if failures else ""
    if not checkpoint and state.markers:
        kept = state.markers.get(CHECKPOINT_PREFIX + task.id_)
        checkpoint = "" if kept is None else kept.data.details or ""
    return len(failures) + 1, checkpoint


def _check_lengths(task: Task, decision: Decision | None) -> None:
    """Raise ``PayloadError`` if a field of a task's decision is too long for SWF."""
    for field in ("input", "control"):
        length = len(getattr(decision, field, None) or "")
        if length > payload.LIMIT:
            what = f"the {field} of task {task.id_!r}"
            raise PayloadError(what, f"is {length:,} characters long; SWF takes {payload.LIMIT:,}")
