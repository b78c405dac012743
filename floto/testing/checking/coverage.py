"""The coverage of the runs of a spec: what they reached, and what they could have reached and never did."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import define, field

from floto.core.decide.next_step import wait_timer_id
from floto.core.engine.decisions.refusal_causes import CAUSES
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.nested_specs import nested_tasks
from floto.core.state.event_rules import RULES
from floto.core.state.fold import fold
from floto.core.state.rule_kinds import Moves, MovesChild, Opens, Refuses
from floto.core.state.state import Kind, Status
from floto.core.swf import decisions as d
from floto.core.swf import events as e
from floto.core.swf.history import History
from floto.core.swf.wire import type_name
from floto.testing.simulation.context import WORKFLOW
from floto.testing.simulation.result import Simulation
from floto.testing.simulation.timeouts import possible_timeouts

#: The decisions about the items of a kind.
_DECIDED: Mapping[Kind, tuple[type, ...]] = {
    Kind.ACTIVITY: (d.ScheduleActivityTask, d.RequestCancelActivityTask),
    Kind.TIMER: (d.StartTimer,),
    Kind.CHILD: (d.StartChildWorkflowExecution, d.RequestCancelExternalWorkflowExecution),
    Kind.LAMBDA: (d.ScheduleLambdaFunction,),
    Kind.EXTERNAL_SIGNAL: (d.SignalExternalWorkflowExecution,),
}
#: The events about the items of a kind, without time-outs, terminations and refusals.
_WRITTEN: Mapping[Kind, tuple[type, ...]] = {
    Kind.ACTIVITY: (
        e.ActivityTaskScheduled,
        e.ActivityTaskStarted,
        e.ActivityTaskCompleted,
        e.ActivityTaskFailed,
        e.ActivityTaskCancelRequested,
        e.ActivityTaskCanceled,
    ),
    Kind.TIMER: (e.TimerStarted, e.TimerFired),
    Kind.CHILD: (
        e.StartChildWorkflowExecutionInitiated,
        e.ChildWorkflowExecutionStarted,
        e.ChildWorkflowExecutionCompleted,
        e.ChildWorkflowExecutionFailed,
        e.ChildWorkflowExecutionCanceled,
        e.RequestCancelExternalWorkflowExecutionInitiated,
        e.ExternalWorkflowExecutionCancelRequested,
    ),
    Kind.LAMBDA: (e.LambdaFunctionScheduled, e.LambdaFunctionStarted, e.LambdaFunctionCompleted),
    Kind.EXTERNAL_SIGNAL: (e.SignalExternalWorkflowExecutionInitiated, e.ExternalWorkflowExecutionSignaled),
}
_EVERY_RUN: tuple[type, ...] = (
    e.WorkflowExecutionStarted,
    e.DecisionTaskScheduled,
    e.DecisionTaskStarted,
    e.DecisionTaskCompleted,
    e.DecisionTaskTimedOut,
    e.WorkflowExecutionSignaled,
    e.WorkflowExecutionCancelRequested,
    e.WorkflowExecutionCompleted,
    e.WorkflowExecutionCanceled,
)
_CLOSES: tuple[type, ...] = (d.CompleteWorkflowExecution, d.CancelWorkflowExecution)
#: The decisions of specs with a value in a field.
_OF_FIELDS: Mapping[str, type] = {
    "on_failure": d.RecordMarker,
    "repeat_workflow": d.ContinueAsNewWorkflowExecution,
}
#: The events of decisions that only some specs can take.
_EVENTS: Mapping[type, type] = {
    d.FailWorkflowExecution: e.WorkflowExecutionFailed,
    d.RecordMarker: e.MarkerRecorded,
    d.ContinueAsNewWorkflowExecution: e.WorkflowExecutionContinuedAsNew,
}
#: Kinds whose items can fail, and be retried after a timer.
_CAN_FAIL = frozenset({Kind.ACTIVITY, Kind.CHILD, Kind.LAMBDA, Kind.EXTERNAL_SIGNAL})
#: The cause for which a close is refused when new events arrived.
_UNHANDLED = "UNHANDLED_DECISION"
_WIDTH = 100
_REFUSALS, _TASKS = "refusals", "tasks"
#: Maximum number of tasks in the row of those that no run started.
_FEW = 20
_HINT = "give outcomes with activities= that lead to them"


#: The kind of the item that a rule changes, and its new status.
_CHANGES: Mapping[type, Callable[[Any], tuple[Kind, Status]]] = {
    Opens: lambda rule: (rule.kind, Status.SCHEDULED),
    Moves: lambda rule: (rule.kind, rule.to),
    MovesChild: lambda rule: (rule.moves.kind, rule.moves.to),
    Refuses: lambda rule: (rule.kind, Status.REFUSED),
}
_MOVED = {
    cls.__name__: _CHANGES[type(rule)](rule) for cls, rule in RULES.items() if type(rule) in _CHANGES
} | {
    "WorkflowExecutionSignaled": (Kind.SIGNAL, Status.COMPLETED),
    "StartChildWorkflowExecutionFailed": (Kind.CHILD, Status.REFUSED),
}


@define
class Coverage:
    """Counts of what simulations reached; ``str`` returns a table."""

    #: Events by their types.
    events: Counter[str] = field(factory=Counter)
    #: Refusals by the decision's name and SWF's cause.
    refusals: Counter[tuple[str, str]] = field(factory=Counter)
    #: Activities that timed out, by the type of time-out.
    timeouts: Counter[str] = field(factory=Counter)
    #: The types of time-out that the activities had.
    ways: set[str] = field(factory=set)
    #: Tasks of main runs by how often they were attempted.
    attempts: Counter[int] = field(factory=Counter)
    #: Runs by how they were closed; None for those that were not.
    closed: Counter[str | None] = field(factory=Counter)
    #: Tasks of specs, without cleanup tasks and undos, and whether any run has started them. Those of
    #: children are named with the workflow type.
    tasks: dict[str, bool] = field(factory=dict)
    _kinds: set[Kind] = field(factory=set)
    _specs: dict[int, DeciderSpec] = field(factory=dict)

    def add(self, simulation: Simulation) -> None:
        """Count what a simulation has reached."""
        specs = simulation.last_specs
        for history in simulation.histories:
            self._read(history)
            if history.execution in specs:
                self._note_started(specs[history.execution], history)
        self.attempts.update(simulation.attempts.values())
        self.closed.update(info.close_status for info in simulation.infos)
        self._know(simulation.spec)
        for step in simulation.steps:
            self._know(step.spec)

    def _note_started(self, spec: DeciderSpec, history: History) -> None:
        type_ = history.start.workflow_type
        of = "" if type_ == WORKFLOW else f" of {type_.name}"
        unseen = [task for task in spec.activity_tasks if not self.tasks.get(f"{task.id_}{of}")]
        # Most tasks have been started by the first runs, so that few histories are folded for this.
        items = fold(history.events).items if unseen else {}
        for task in unseen:
            is_started = task.key in items or (Kind.TIMER, wait_timer_id(task.id_)) in items
            self.tasks[f"{task.id_}{of}"] = is_started

    def _know(self, spec: DeciderSpec) -> None:
        if id(spec) not in self._specs:
            # Keep the spec alive, so that no other gets its id.
            self._specs[id(spec)] = spec
            self._kinds |= {task.key[0] for task in nested_tasks(spec)}

    def _read(self, history: History) -> None:
        for event in history:
            name = type_name(event.data)
            self.events[name] += 1
            cause = getattr(event.data, "cause", None)
            if name.endswith("Failed") and cause:
                self.refusals[name.removesuffix("Failed"), cause] += 1
            if isinstance(event.data, e.ActivityTaskTimedOut):
                self.timeouts[event.data.timeout_type] += 1
            elif isinstance(event.data, e.ActivityTaskScheduled):
                self.ways |= possible_timeouts(event.data).keys()

    @property
    def statuses(self) -> Mapping[Kind, Counter[Status]]:
        """Counts of the items of each kind that reached each status."""
        found: dict[Kind, Counter[Status]] = {}
        for name, count in self.events.items():
            if name in _MOVED:
                kind, status = _MOVED[name]
                found.setdefault(kind, Counter())[status] += count
        return found

    @property
    def never(self) -> Mapping[str, tuple[str, ...]]:
        """Tasks that no run started, and possible events, refusals, time-outs and attempts, by such names."""
        refusals = [each for each in self._possible_refusals() if not self.refusals[each]]
        can_retry = bool(self._all_kinds() & _CAN_FAIL)
        found = {
            _TASKS: tuple(name for name, is_started in self.tasks.items() if not is_started),
            "events": tuple(name for name in self._possible_events() if not self.events[name]),
            _REFUSALS: tuple(f"{name}: {cause}" for name, cause in refusals),
            "timeouts": tuple(name for name in sorted(self.ways) if not self.timeouts[name]),
            "attempts": ("a second attempt",) if can_retry and max(self.attempts, default=0) < 2 else (),  # noqa: PLR2004
        }
        return {what: names for what, names in found.items() if names}

    def _all_kinds(self) -> set[Kind]:
        """Return the kinds of the specs, of their results, and timers where something may be retried."""
        kinds = self._kinds | {kind for kind, _ in (_MOVED[name] for name in self.events if name in _MOVED)}
        return kinds | {Kind.TIMER} if kinds & _CAN_FAIL else kinds

    def _decided(self) -> Iterator[type]:
        for kind in Kind:
            if kind in self._all_kinds():
                yield from _DECIDED.get(kind, ())
        yield from _CLOSES
        if self._all_kinds() & _CAN_FAIL:
            yield d.FailWorkflowExecution
        for field_name, decision in _OF_FIELDS.items():
            if any(getattr(spec, field_name) for spec in self._specs.values()):
                yield decision

    def _possible_events(self) -> Iterable[str]:
        classes = [*_EVERY_RUN]
        for kind in Kind:
            if kind in self._all_kinds():
                classes += _WRITTEN.get(kind, ())
        classes += [e.ActivityTaskTimedOut] if self.ways else []
        classes += [_EVENTS[decision] for decision in self._decided() if decision in _EVENTS]
        return [cls.__name__ for cls in classes]

    def _possible_refusals(self) -> Iterator[tuple[str, str]]:
        for cls in self._decided():
            causes = CAUSES[cls]
            closes = (_UNHANDLED,) if cls in d.CLOSE_DECISIONS else ()
            for cause in (*causes.transient, *causes.permanent, *closes):
                yield cls.__name__, cause

    def __str__(self) -> str:
        """Return a table of what was reached, and a list of what was not."""
        rows = [(str(kind), _counted(statuses)) for kind, statuses in self.statuses.items()]
        rows.append(("attempts", _counted(self.attempts)))
        rows.append(("time-outs", _counted(self.timeouts)))
        rows.append(("refusals", _grouped({key: f" {count:,}" for key, count in self.refusals.items()})))
        rows.append(("runs", _counted(Counter({how or "OPEN": n for how, n in self.closed.items()}))))
        rows.append(("events", f"{sum(self.events.values()):,} of {len(self.events)} types"))
        rows += [self._never(what, names) for what, names in self.never.items()]
        return "\n".join(_row(name, what) for name, what in rows if what)

    def _never(self, what: str, names: tuple[str, ...]) -> tuple[str, str]:
        """Return a row of unreached names; of the many causes of refusals, their number."""
        if what == _TASKS:
            more = f", and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
            return "never started", f"{', '.join(names[:_FEW])}{more} ({_HINT})"
        found = ", ".join(names)
        if what == _REFUSALS:
            found = f"{len(names)} of {len(names) + len(self.refusals)} causes (coverage.never names them)"
        return f"never: {what}", found


def _counted(counter: Counter[str] | Counter[int] | Counter[Status]) -> str:
    return ", ".join(
        f"{name} {count:,}" for name, count in sorted(counter.items(), key=lambda each: str(each[0]))
    )


def _grouped(causes: Mapping[tuple[str, str], str]) -> str:
    """Return causes behind the decisions that were refused."""
    found: dict[str, list[str]] = {}
    for (name, cause), note in sorted(causes.items()):
        found.setdefault(name, []).append(cause + note)
    return "; ".join(f"{name}: {', '.join(each)}" for name, each in found.items())


def _row(name: str, what: str) -> str:
    start = f"{name:<18}"
    return textwrap.fill(
        what, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False
    )
