"""One step under way: events go through here, and so does the rule of who wakes the decider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

from attrs import evolve

from floto.core.engine.run import EngineRun, Heartbeat, Message, Rules, StepOutcome
from floto.core.state.builder import StateBuilder
from floto.core.state.fold import add
from floto.core.state.state import DecisionTasks, Item, Kind, Override, Status
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.limits import EVENT_LIMIT

#: At so many events SWF closes a run by force. Undocumented: whether the closing event is counted.
MAX_EVENTS = EVENT_LIMIT

#: The events that make SWF ask the decider again.
WAKES: frozenset[type] = frozenset(
    {
        e.WorkflowExecutionStarted,
        e.WorkflowExecutionCancelRequested,
        e.WorkflowExecutionSignaled,
        # Refused as UNHANDLED_DECISION these find a decision task scheduled, and add none.
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


def to_millisecond(moment: datetime) -> datetime:
    """SWF keeps time to the millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def opening(item: Item) -> Event:
    """The event that opened an open item; only refused items have none."""
    return cast("Event", item.opened)


class StepContext:
    """A run under construction; every event of a turn has the same time."""

    def __init__(self, run: EngineRun, now: datetime, rules: Rules) -> None:
        last = run.state.last
        #: The time of the clock; the events of the run may be ahead of it.
        self.now = to_millisecond(now)
        self.at = self.now if last is None else max(self.now, last.at)
        self.run = run
        self.rules = rules
        self.draft = StateBuilder(run.state)
        #: The id that the next event will have.
        self.next_id = run.state.last_event_id + 1
        self.events: list[Event] = []
        self.messages: list[Message] = []
        self._batching = False
        self._woken = False

    @property
    def is_open(self) -> bool:
        """Whether the run is still open."""
        return self.draft.closed is None

    @property
    def is_full(self) -> bool:
        """Whether the history is as long as SWF lets it grow."""
        return self.next_id > MAX_EVENTS

    @property
    def started(self) -> e.WorkflowExecutionStarted:
        """What the run was started with."""
        data: e.WorkflowExecutionStarted = self.draft.get("started").data
        return data

    @property
    def decision_tasks(self) -> DecisionTasks:
        """The decision tasks as they stand now."""
        tasks: DecisionTasks = self.draft.get("decision_tasks")
        return tasks

    def open_item(self, event_id: int, kind: Kind) -> Item | None:
        """The open item of a kind that this event opened."""
        key = self.draft.key_of(event_id)
        return self.draft.item(key) if key is not None and key[0] is kind else None

    def item_in_use(self, kind: Kind, id: str) -> Item | None:
        """The open item with this id; ids of closed ones may be used again."""
        item = self.draft.item((kind, id))
        return item if item is not None and item.is_open else None

    def started_item(self, scheduled_event_id: int, kind: Kind) -> Item | None:
        """The activity or Lambda function that this event scheduled, while somebody has it."""
        item = self.open_item(scheduled_event_id, kind)
        return item if item is not None and item.status is Status.STARTED else None

    def append(self, data: Any) -> Event:
        """Write one event, and wake the decider if it is one of those that do."""
        event = Event(self.next_id, self.at, data)
        add(self.draft, event)
        self.events.append(event)
        self.next_id += 1
        if type(data) in WAKES:
            self._wake()
        return event

    def send(self, message: Message) -> None:
        """Send a message once the step is done."""
        self.messages.append(message)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Whatever wakes the decider in here schedules one decision task, at the end."""
        self._batching = True
        yield
        self._batching = False
        if self._woken:
            self._wake()

    def _wake(self) -> None:
        if self._batching:
            self._woken = True
        elif self.is_open and not self.is_full and self.decision_tasks.scheduled is None:
            override: Override | None = self.draft.get("override")
            self.append(
                e.DecisionTaskScheduled(
                    task_list=self.draft.get("task_list") if override is None else override.task_list,
                    task_priority=self.started.task_priority,
                    start_to_close_timeout=self.started.task_start_to_close_timeout,
                    schedule_to_start_timeout=override.schedule_to_start_timeout if override else "NONE",
                )
            )

    def beat(self, item: Item, details: str | None) -> None:
        """Note a heartbeat, which no history shows."""
        id = opening(item).id
        old = self.run.heartbeats.get(id)
        # Whether details survive a later heartbeat without any is undocumented; moto keeps them.
        kept = old.details if old is not None and details is None else details
        self.run = evolve(self.run, heartbeats=self.run.heartbeats.insert(id, Heartbeat(self.at, kept)))
        self.draft.touched[item.key] = None

    def note_context(self, context: str | None) -> None:
        """Keep what the decider attached to its answer."""
        if context is not None:
            self.run = evolve(self.run, execution_context=context)

    def outcome(self, reply: Any) -> StepOutcome:
        """What the step comes to."""
        run, heartbeats = self.run, self.run.heartbeats
        if heartbeats:
            for event in self.events:
                heartbeats = heartbeats.discard(getattr(event.data, "scheduled_event_id", 0) or 0)
        after = EngineRun(run.domain, run.execution, self.draft.state(), heartbeats, run.execution_context)
        return StepOutcome(
            after, tuple(self.events), tuple(self.messages), reply, frozenset(self.draft.touched)
        )
