"""The state of a run as frozen data; ``floto.core.state.fold`` computes it from a history.

The decider, the embedded engine, replay and the progress display all read the same
``State``.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NoReturn

from attrs import frozen
from rpds import HashTrieMap

from floto.core.errors import HistoryError
from floto.core.quick_init import quick_init
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
    """The kind of an ``Item``."""

    ACTIVITY = "activity"
    TIMER = "timer"
    CHILD = "child"
    LAMBDA = "lambda"
    #: A signal or a cancel request sent to another execution.
    EXTERNAL_SIGNAL = "external signal"
    EXTERNAL_CANCEL = "external cancel"
    #: SWF's refusal to continue the run as new; its id is empty.
    CONTINUE_AS_NEW = "continue as new"
    #: A received signal, completed by its first arrival; its id is the signal's name.
    SIGNAL = "signal"
    #: A marker that SWF refused to record; its id is the marker's name.
    MARKER = "marker"

    # ``Enum.__hash__`` is implemented in Python; items are keyed by ``Kind``, so use ``str``'s C hash.
    __hash__ = str.__hash__


class Status(StrEnum):
    """The status of the latest attempt of an ``Item``."""

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


@quick_init
@frozen(weakref_slot=False)
class Item:
    """One activity, timer, child, ...: its latest attempt and the events that ended earlier ones."""

    key: Key
    status: Status
    #: The event that opened the latest attempt; None if SWF refused it.
    opened: Event | None
    started: Event | None = None
    #: The event that closed the latest attempt.
    closed: Event | None = None
    #: The closing events of all attempts that failed or were refused, the latest last.
    failures: tuple[Event, ...] = ()
    #: The latest granted cancel request for this attempt, or the first refused one if none was granted.
    cancel: Event | None = None

    @property
    def is_open(self) -> bool:
        """True if the latest attempt is open."""
        return self.status in OPEN


@frozen
class Origin:
    """The event of an earlier run by which a kept task of a redriven run completed."""

    run_id: str
    event_id: int
    #: Digest of the decision that would have started the task at ``at``.
    digest: str
    #: Time of the event.
    at: datetime

    def __str__(self) -> str:
        """Return the origin as words."""
        run = f"run {self.run_id}" if self.run_id else "the run before"
        return f"kept from {run}, event {self.event_id}"


@frozen(kw_only=True)
class KeptItem(Item):
    """The item of a task that a redriven run keeps; it completed with the start of the run."""

    origin: Origin


@quick_init
@frozen(weakref_slot=False)
class DecisionTasks:
    """The decision tasks of a run: at most one started, and at most one scheduled after it."""

    scheduled: Event[DecisionTaskScheduled] | None = None
    started: Event[DecisionTaskStarted] | None = None
    #: The id of the DecisionTaskStarted that the last response belongs to; 0 before the first.
    previous_started: int = 0
    #: When the last started one ended.
    ended_at: datetime | None = None

    def waits_since(self, scheduled: Event) -> datetime:
        """Return since when a scheduled one waits: it cannot be dispatched while another one is started."""
        return scheduled.at if self.ended_at is None else max(scheduled.at, self.ended_at)


@frozen
class Override:
    """A temporary decision task list set by a decider; the next decision task that times out removes it."""

    task_list: TaskList
    schedule_to_start_timeout: str


_NO_KEYS: HashTrieMap[int, Key] = HashTrieMap()
_NO_EVENTS: HashTrieMap[int, Event] = HashTrieMap()


@quick_init
@frozen(weakref_slot=False)
class State:
    """The state of a run after a history; immutable, and versions share their data."""

    execution: WorkflowExecution | None = None
    started: Event[WorkflowExecutionStarted] | None = None
    closed: Event | None = None
    items: HashTrieMap[Key, Item] = HashTrieMap()
    #: The key of each open attempt, by the id of the event that opened it.
    opened: HashTrieMap[int, Key] = _NO_KEYS
    open_count: HashTrieMap[Kind, int] = HashTrieMap()
    #: The ChildWorkflowExecutionStarted of each running child, by the id of the event that initiated it.
    children: HashTrieMap[int, Event] = _NO_EVENTS
    signals: HashTrieMap[str, tuple[Event[WorkflowExecutionSignaled], ...]] = HashTrieMap()
    #: The latest marker of each name.
    markers: HashTrieMap[str, Event[MarkerRecorded]] = HashTrieMap()
    cancel_requested: Event | None = None
    decision_tasks: DecisionTasks = DecisionTasks()
    #: The task list of decision tasks, unless there is an override.
    task_list: TaskList | None = None
    override: Override | None = None
    last: Event | None = None

    @property
    def start(self) -> WorkflowExecutionStarted:
        """The start of the run; raises ``HistoryError`` for an empty history."""
        return (self.started or _missing()).data

    def is_open(self, key: Key) -> bool:
        """Return True if a key has an item whose latest attempt is open."""
        item = self.items.get(key)
        return item is not None and item.is_open

    def is_completed(self, key: Key) -> bool:
        """Return True if a key has an item that has completed."""
        item = self.items.get(key)
        return item is not None and item.status is Status.COMPLETED

    @property
    def begun_at(self) -> datetime:
        """The time at which the run started; raises ``HistoryError`` for an empty history."""
        return (self.started or _missing()).at

    @property
    def now(self) -> datetime:
        """The time of the last event; raises ``HistoryError`` for an empty history."""
        return (self.last or _missing()).at

    @property
    def last_event_id(self) -> int:
        """The id of the last event; 0 for an empty history."""
        return 0 if self.last is None else self.last.id


def _missing() -> NoReturn:
    raise HistoryError(None, "the history is empty; it has no WorkflowExecutionStarted")


EMPTY = State()
