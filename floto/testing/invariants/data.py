"""Invariants of data flow: a task's context depends on the input, its requirements and itself alone."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from floto.core.decide.decide import decide
from floto.core.errors import FlotoError
from floto.core.payloads import payload
from floto.core.spec.decider_spec import ActivityTask, ChildWorkflow, Generator, Timer
from floto.core.spec.rules.task_rules import rules_of, undo_of
from floto.core.spec.tasks import Given, Task, expands
from floto.core.swf.decisions import (
    Decision,
    FailWorkflowExecution,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.events import ActivityTaskCompleted, ChildWorkflowExecutionCompleted, Event
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import SPEC_KEY
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType
from floto.testing.invariants import variants
from floto.testing.invariants.own_code import is_own
from floto.testing.invariants.violation import broken
from floto.testing.reading import oracle
from floto.testing.reading.added import added
from floto.testing.reading.moment import Moment

_Row = Callable[[Any, Given, dict[str, Any]], Decision]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _list(name: str | None) -> TaskList | None:
    return TaskList(name) if name else None


def _input(context: Mapping[str, Any]) -> str | None:
    return payload.dumps_plain(dict(context), "the input") if context else None


def _activity(task: ActivityTask, given: Given, context: dict[str, Any]) -> Decision:
    own = {} if task.input is None else {"activity_task": task.input}
    return ScheduleActivityTask(
        activity_type=ActivityType(task.name, task.version),
        activity_id=task.id_,
        input=_input({**context, **own}),
        task_list=_list(task.task_list or given.activity_task_list),
        task_priority=_text(task.task_priority),
        schedule_to_start_timeout=_text(task.schedule_to_start_timeout),
        schedule_to_close_timeout=_text(task.schedule_to_close_timeout),
        start_to_close_timeout=_text(task.start_to_close_timeout),
        heartbeat_timeout=_text(task.heartbeat_timeout),
    )


def _timer(task: Timer, given: Given, _context: dict[str, Any]) -> Decision:
    if task.until is not None:
        return task.start(given)
    return StartTimer(timer_id=task.id_, start_to_fire_timeout=str(task.delay_in_seconds))


def _else(own: Any, inherited: Any) -> Any:
    return inherited if own is None else own


def _child(task: ChildWorkflow, given: Given, context: dict[str, Any]) -> Decision:
    own = {} if task.input is None else {"child_workflow_task": task.input}
    if task.spec is not None:
        said = given.codec.unstructure(task.spec)
        # A child's activities use the task list of the parent's, unless its spec names one.
        lists = task.spec.default_activity_task_list or given.activity_task_list
        own[SPEC_KEY] = said if lists is None else {**said, "default_activity_task_list": lists}
    parent = "" if given.execution is None else f"{given.execution.workflow_id}:{task.id_}"
    spec = task.spec
    inherited, limit, policy = (
        (None, None, None) if spec is None else (spec.task_list, spec.execution_timeout, spec.child_policy)
    )
    return StartChildWorkflowExecution(
        workflow_type=WorkflowType(task.workflow_type_name, task.workflow_type_version),
        workflow_id=task.workflow_id or parent,
        control=f"floto.task:{task.id_}",
        input=_input({**context, **own}),
        task_list=_list(task.task_list or inherited or given.decision_task_list),
        task_priority=_text(task.task_priority),
        execution_start_to_close_timeout=_text(_else(task.execution_start_to_close_timeout, limit)),
        task_start_to_close_timeout=_text(task.task_start_to_close_timeout),
        child_policy=_else(task.child_policy, policy),
    )


#: The decisions that start floto's own kinds; user-defined kinds are called.
_ROWS: Mapping[type, _Row] = {
    ActivityTask: _activity,
    Generator: _activity,
    Timer: _timer,
    ChildWorkflow: _child,
}


def data_flow(moment: Moment) -> None:
    """Each task gets the workflow's input, the results of what it requires and its own settings; no more."""
    for id_, decision in moment.started.items():
        task = moment.known[id_]
        row = _ROWS.get(type(task))
        if row is None or id_ not in moment.in_turn.tasks:
            continue
        given = moment.given_to(id_)
        has_store = moment.codec.payloads is not None
        expected = added(row(task, given, given.context), task, moment.summary, has_store=has_store)
        if expected is not None and decision != expected:
            wrong = ", ".join(
                f"{each} {shown(getattr(decision, each, None))}, not {shown(getattr(expected, each))}"
                for each in _field_names(expected)
                if getattr(decision, each, None) != getattr(expected, each)
            )
            broken(f"task {id_!r} is started with {wrong}")


def _field_names(decision: Decision) -> tuple[str, ...]:
    """Return the names of the fields of a decision."""
    return tuple(type(decision).__annotations__)


def results_of_strangers_do_not_matter(moment: Moment) -> None:
    """Another result of a task changes nothing for tasks that do not require it."""
    changed = _to_change(moment)
    # The message of a payload that is too long depends on the length of the results in it, and that of a
    # condition that fails, which a cleanup is given, shows them.
    has_conditions = any(rules_of(task).when for task in moment.known.values())
    if changed is None or moment.expected.faults or (moment.cleaning and has_conditions):
        return
    id_, event = changed
    other = variants.with_result(moment.history, event, json.dumps({"another": "result"}))
    try:
        decisions = decide(moment.spec, other, codec=moment.codec)
    except FlotoError:
        return
    except Exception:
        # A user-defined kind may expect results of a certain form.
        if any(map(is_own, moment.known.values())):
            return
        raise
    if any(isinstance(each, FailWorkflowExecution) for each in decisions):
        # A user-defined kind may be unable to read it.
        return
    started = {oracle.opens(each): each for each in decisions}
    for one, decision in moment.started.items():
        if id_ not in _ancestors(one, moment.known) and started.get(moment.known[one].key) != decision:
            broken(
                f"what task {one!r} is given changes with the result of {id_!r}, which it does not require"
            )


def _to_change(moment: Moment) -> tuple[str, Event] | None:
    """Return a completed task, another one at each decision point, and the event of its completion."""
    ends = [
        (id_, attempt.end)
        for id_, task in moment.known.items()
        if not expands(task)
        for attempt in moment.summary.attempts.get(task.key, ())
        if attempt.completed and attempt.end is not None
        if isinstance(attempt.end.data, ActivityTaskCompleted | ChildWorkflowExecutionCompleted)
    ]
    return (
        ends[zlib.crc32(str(len(moment.history)).encode()) % len(ends)] if ends and moment.started else None
    )


def _ancestors(id_: str, known: Mapping[str, Task]) -> set[str]:
    undone = {undo.id_: task.id_ for task in known.values() if (undo := undo_of(task)) is not None}
    found: set[str] = set()
    waiting = [id_]
    while waiting:
        one = waiting.pop()
        new = {*known[one].requires, *([undone[one]] if one in undone else [])} - found
        found |= new
        waiting += new
    return found
