"""Mutable unit of work of one ``step``: appends events and schedules decision tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import evolve

from floto.core.engine.changed_keys import ChangedKeys
from floto.core.engine.registration.registered_types import RegisteredType
from floto.core.engine.run import EngineRules, EngineRun, Heartbeat, Message, StepOutcome
from floto.core.quick_init import maker
from floto.core.state.builder import StateBuilder
from floto.core.state.fold import add
from floto.core.state.state import DecisionTasks, Item, Key, Kind, Status
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.limits import EVENT_LIMIT
from floto.core.swf.shapes import ActivityType, WorkflowType

#: History length at which SWF terminates a run. Undocumented: whether the closing event counts.
MAX_EVENTS = EVENT_LIMIT

#: Events after which SWF schedules a decision task.
WAKES: frozenset[type] = frozenset(
    {
        e.WorkflowExecutionStarted,
        e.WorkflowExecutionCancelRequested,
        e.WorkflowExecutionSignaled,
        # After UNHANDLED_DECISION a decision task is already scheduled, so these add none.
        e.CompleteWorkflowExecutionFailed,
        e.FailWorkflowExecutionFailed,
        e.CancelWorkflowExecutionFailed,
        e.ContinueAsNewWorkflowExecutionFailed,
        e.DecisionTaskTimedOut,
        e.ScheduleActivityTaskFailed,
        e.ActivityTaskCompleted,
        e.ActivityTaskFailed,
        e.ActivityTaskTimedOut,
        e.ActivityTaskCanceled,
        e.RequestCancelActivityTaskFailed,
        e.RecordMarkerFailed,
        e.StartTimerFailed,
        e.TimerFired,
        e.CancelTimerFailed,
        e.StartChildWorkflowExecutionFailed,
        e.ChildWorkflowExecutionStarted,
        e.ChildWorkflowExecutionCompleted,
        e.ChildWorkflowExecutionFailed,
        e.ChildWorkflowExecutionTimedOut,
        e.ChildWorkflowExecutionCanceled,
        e.ChildWorkflowExecutionTerminated,
        e.SignalExternalWorkflowExecutionFailed,
        e.ExternalWorkflowExecutionSignaled,
        e.RequestCancelExternalWorkflowExecutionFailed,
        e.ExternalWorkflowExecutionCancelRequested,
        e.ScheduleLambdaFunctionFailed,
        e.StartLambdaFunctionFailed,
        e.LambdaFunctionCompleted,
        e.LambdaFunctionFailed,
        e.LambdaFunctionTimedOut,
    }
)

_new_event, _new_task = maker(Event), maker(e.DecisionTaskScheduled)
_new_keys, _new_run, _new_outcome = maker(ChangedKeys), maker(EngineRun), maker(StepOutcome)


def to_millisecond(moment: datetime) -> datetime:
    """Truncate a time to milliseconds, the resolution of SWF."""
    beyond = moment.microsecond % 1000
    return moment.replace(microsecond=moment.microsecond - beyond) if beyond else moment


def opening(item: Item) -> Event:
    """Return the event that opened an open item; only refused items have none."""
    return item.opened  # type: ignore[return-value]  # a call of ``cast`` takes as long as this function


class StepContext:
    """Mutable state of one step; all events of a step have the same time."""

    def __init__(self, run: EngineRun, now: datetime, rules: EngineRules) -> None:
        last = run.state.last
        #: Time of the clock; the events of the run may be ahead of it.
        self.now = self.at = to_millisecond(now)
        #: Id of the next event.
        self.next_id = 1
        if last is not None:
            self.next_id = last.id + 1
            self.at = max(self.at, last.at)
        self.run = run
        self.rules = rules
        self.draft = StateBuilder(run.state)
        self.events: list[Event] = []
        self.messages: list[Message] = []
        self._changed = run.changed
        #: The keys of the items that changed before a decision task was started in this step.
        self._touched_before: dict[Key, None] = {}
        self._batching = False
        self._woken = False

    @property
    def is_open(self) -> bool:
        """Return True if the run is open."""
        return self.draft.closed is None

    @property
    def is_full(self) -> bool:
        """Return True if the history has SWF's maximum length."""
        return self.next_id > MAX_EVENTS

    @property
    def started(self) -> e.WorkflowExecutionStarted:
        """Attributes of the first event of the run."""
        started: Event[e.WorkflowExecutionStarted] = self.draft.started  # type: ignore[assignment]  # as above
        return started.data

    @property
    def decision_tasks(self) -> DecisionTasks:
        """Scheduled and started decision task of the run."""
        return self.draft.decision_tasks

    def registered(self, type_: ActivityType | WorkflowType) -> RegisteredType | None:
        """Return a registered type of the run's domain."""
        return self.rules.registered(self.run.domain, type_)

    def open_item(self, event_id: int, kind: Kind) -> Item | None:
        """Return the open item of this kind that the event opened."""
        key = self.draft.key_of(event_id)
        return self.draft.item(key) if key is not None and key[0] is kind else None

    def item_in_use(self, kind: Kind, id: str) -> Item | None:
        """Return the open item with this id; ids of closed items may be reused."""
        item = self.draft.item((kind, id))
        return item if item is not None and item.is_open else None

    def started_item(self, scheduled_event_id: int, kind: Kind) -> Item | None:
        """Return the activity or Lambda function that this event scheduled, if it is started."""
        item = self.open_item(scheduled_event_id, kind)
        return item if item is not None and item.status is Status.STARTED else None

    def append(self, data: Any) -> Event:
        """Append an event, and schedule a decision task if its type is in ``WAKES``."""
        event = _new_event(self.next_id, self.at, data)
        add(self.draft, event)
        self.events.append(event)
        self.next_id += 1
        if type(data) in WAKES:
            self._wake()
        return event

    def send(self, message: Message) -> None:
        """Queue a message, to be delivered after the step."""
        self.messages.append(message)

    def begin_batch(self) -> None:
        """Schedule no decision task until ``end_batch``."""
        self._batching, self._woken = True, False

    def end_batch(self) -> None:
        """Schedule at most one decision task for all events since ``begin_batch``."""
        self._batching = False
        if self._woken:
            self._wake()

    def _wake(self) -> None:
        draft = self.draft
        if self._batching:
            self._woken = True
        elif draft.closed is None and draft.decision_tasks.scheduled is None and not self.is_full:
            override, started = draft.override, self.started
            self.append(
                _new_task(
                    task_list=(override or draft).task_list,  # type: ignore[arg-type]  # the start set it
                    task_priority=started.task_priority,
                    start_to_close_timeout=started.task_start_to_close_timeout,
                    schedule_to_start_timeout=override.schedule_to_start_timeout if override else "NONE",
                )
            )

    def beat(self, item: Item, details: str | None) -> None:
        """Record a heartbeat; heartbeats are not in the history."""
        id = opening(item).id
        old = self.run.heartbeats.get(id)
        # SWF does not document whether a heartbeat without details clears earlier ones; moto keeps them.
        kept = old.details if old is not None and details is None else details
        self.run = evolve(self.run, heartbeats=self.run.heartbeats.insert(id, Heartbeat(self.at, kept)))
        self.draft.touched[item.key] = None

    def note_context(self, context: str | None) -> None:
        """Record the ``executionContext`` of a response."""
        if context is not None:
            self.run = evolve(self.run, execution_context=context)

    def note_decision_start(self, started: Event) -> None:
        """Record that a decider knows all changes before this event."""
        self._changed = _new_keys(started.id)
        self._touched_before = self.draft.touched
        self.draft.touched = {}

    def changed_keys(self) -> ChangedKeys:
        """Return the keys that changed since a decider has seen the run."""
        keys = tuple(self.draft.touched)
        return self._changed.after(keys, self.next_id - 1) if keys else self._changed

    def outcome(self, reply: Any) -> StepOutcome:
        """Return the outcome of the step."""
        run, heartbeats = self.run, self.run.heartbeats
        if heartbeats:
            for event in self.events:
                heartbeats = heartbeats.discard(getattr(event.data, "scheduled_event_id", 0) or 0)
        after = _new_run(
            run.domain,
            run.execution,
            self.draft.state(),
            heartbeats,
            run.execution_context,
            self.changed_keys(),
        )
        touched = self.draft.touched
        if self._touched_before:
            touched = {**self._touched_before, **touched}
        return _new_outcome(after, tuple(self.events), tuple(self.messages), reply, tuple(touched))
