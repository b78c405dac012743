"""What a history adds up to, as frozen data; ``floto.core.state.fold`` says how it gets there.

The decider, the model of SWF, replay and the progress display all read the same
``State``.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from attrs import frozen
from rpds import HashTrieMap

from floto.core.errors import HistoryError
from floto.core.swf.events import (
    DecisionTaskScheduled,
    DecisionTaskStarted,
    Event,
    MarkerRecorded,
    WorkflowExecutionSignaled,
    WorkflowExecutionStarted,
)
from floto.core.swf.shapes import TaskList, WorkflowExecution


class Kind(StrEnum):
    """What an ``Item`` is."""

    ACTIVITY = "activity"
    TIMER = "timer"
    CHILD = "child"
    LAMBDA = "lambda"
    #: A signal or a cancel request sent to another execution.
    EXTERNAL_SIGNAL = "external signal"
    EXTERNAL_CANCEL = "external cancel"
    #: What SWF answered to the run's wish to continue as new; its id is empty.
    CONTINUE_AS_NEW = "continue as new"
    #: A signal that arrived here, completed by its first arrival; its id is the signal's name.
    SIGNAL = "signal"
    #: A marker that SWF refused to record; its id is the marker's name.
    MARKER = "marker"

    # That of an enum is written in Python, and each look at an item asks for it.
    __hash__ = str.__hash__


class Status(StrEnum):
    """Where the latest attempt of an ``Item`` stands."""

    SCHEDULED = "scheduled"
    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    REFUSED = "refused"


OPEN = (Status.SCHEDULED, Status.STARTED)

Key = tuple[Kind, str]

#: What floto starts in other executions carries its task's id in ``control`` behind this text.
TASK_CONTROL = "floto.task:"


@frozen
class Item:
    """One activity, timer, child, ...: its latest attempt and the events that ended earlier ones."""

    key: Key
    status: Status
    #: The event that opened the latest attempt; None where SWF refused to open any.
    opened: Event | None
    started: Event | None = None
    #: The event that closed the latest attempt.
    closed: Event | None = None
    #: The closing events of all attempts that failed or were refused, the latest last.
    failures: tuple[Event, ...] = ()
    #: The latest request to stop this attempt that was granted, or the first refused while none was.
    cancel: Event | None = None

    @property
    def is_open(self) -> bool:
        """Whether the latest attempt is still under way."""
        return self.status in OPEN


@frozen
class DecisionTasks:
    """The decision tasks of a run: at most one started, at most one scheduled (behind it)."""

    scheduled: Event[DecisionTaskScheduled] | None = None
    started: Event[DecisionTaskStarted] | None = None
    #: The id of the DecisionTaskStarted that a decider last answered; 0 before that.
    previous_started: int = 0
    #: When the last started one ended: before that, one scheduled behind it could not be handed out.
    ended_at: datetime | None = None


@frozen
class Override:
    """A task list that a decider chose on trial: the first decision task that times out ends it."""

    task_list: TaskList
    schedule_to_start_timeout: str


_NO_KEYS: HashTrieMap[int, Key] = HashTrieMap()
_NO_EVENTS: HashTrieMap[int, Event] = HashTrieMap()


@frozen
class State:
    """What a history adds up to; immutable, and cheap to keep for every decision of a run."""

    execution: WorkflowExecution | None = None
    started: Event[WorkflowExecutionStarted] | None = None
    closed: Event | None = None
    items: HashTrieMap[Key, Item] = HashTrieMap()
    #: The event that opened each open item, by id.
    opened: HashTrieMap[int, Key] = _NO_KEYS
    open_count: HashTrieMap[Kind, int] = HashTrieMap()
    #: The ChildWorkflowExecutionStarted of each running child, by the id of the event that initiated it.
    children: HashTrieMap[int, Event] = _NO_EVENTS
    signals: HashTrieMap[str, tuple[Event[WorkflowExecutionSignaled], ...]] = HashTrieMap()
    #: The latest marker of each name.
    markers: HashTrieMap[str, Event[MarkerRecorded]] = HashTrieMap()
    cancel_requested: Event | None = None
    decision_tasks: DecisionTasks = DecisionTasks()
    #: Where decision tasks are scheduled, unless there is an override.
    task_list: TaskList | None = None
    override: Override | None = None
    last: Event | None = None

    @property
    def start(self) -> WorkflowExecutionStarted:
        """How the run began; raises ``HistoryError`` for an empty history."""
        if self.started is None:
            raise HistoryError(None, "this history is empty; it has no WorkflowExecutionStarted")
        data: WorkflowExecutionStarted = self.started.data
        return data

    def is_completed(self, key: Key) -> bool:
        """Whether the item of a key is there and has completed."""
        item = self.items.get(key)
        return item is not None and item.status is Status.COMPLETED

    @property
    def last_event_id(self) -> int:
        """The id of the last event; 0 for an empty history."""
        return 0 if self.last is None else self.last.id


EMPTY = State()
