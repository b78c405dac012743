"""Values that change with the events of a history, as intervals."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Generic, TypeVar

from attrs import define, field, frozen

from floto.core.replay.task_status import TaskStatus
from floto.core.replay.why_waiting import Condition
from floto.core.spec.rules.wait_limits import WaitLimit
from floto.core.spec.tasks import Task
from floto.core.state.state import Item, Key, Kind

V = TypeVar("V")
#: The name of a track of conditions that several tasks share.
Shared = tuple[str, int] | tuple[str, str]


@define
class Track(Generic[V]):
    """A value by the event from which it holds; each interval lasts until the next one begins."""

    begins: list[int] = field(factory=list)
    values: list[V] = field(factory=list)

    def set(self, event_id: int, value: V) -> None:
        """Set the value from an event on, which is not before the last one."""
        if self.values and self.values[-1] == value:
            return
        if self.begins and self.begins[-1] == event_id:
            self.begins.pop()
            self.values.pop()
            self.set(event_id, value)
            return
        self.begins.append(event_id)
        self.values.append(value)

    @property
    def last(self) -> V | None:
        """The value of the last interval; None if there is none."""
        return self.values[-1] if self.values else None

    def at(self, event_id: int) -> V | None:
        """Return the value after an event; None before the first interval."""
        place = bisect_right(self.begins, event_id)
        return self.values[place - 1] if place else None

    def __iter__(self) -> Iterator[tuple[int, V]]:
        return zip(self.begins, self.values, strict=True)


@frozen
class Why:
    """The conditions of a task in one interval."""

    own: tuple[Condition, ...] = ()
    #: Names of the tracks of further conditions.
    shared: tuple[Shared, ...] = ()
    #: Whether each required task that is not over is a condition, too.
    by_requirements: bool = False


NO_REASON = Why()


@frozen
class TaskEnd:
    """What a task ended with: the item of one that completed, or the message of one that failed."""

    item: Item | None = None
    message: str | None = None
    #: The limit of the wait of a task that completed when its time was up.
    over: WaitLimit | None = None


NO_OUTCOME = TaskEnd()


@define
class TaskTrack:
    """One task at every moment of a run."""

    id: str
    key: Key
    #: None without a spec.
    task: Task | None
    statuses: Track[TaskStatus | None] = field(factory=Track[TaskStatus | None])
    whys: Track[Why] = field(factory=Track[Why])
    outcomes: Track[TaskEnd] = field(factory=Track[TaskEnd])
    #: Ids of the required tasks.
    requires: tuple[str, ...] = ()
    #: Name of its activity, workflow or function type; empty if it has none, or none is known.
    type_name: str = ""

    @property
    def kind_name(self) -> str:
        """Name of the class of the task; that of the kind of its item without a spec."""
        return type(self.task).__name__ if self.task else str(self.key[0])


SharedTracks = dict[Shared, Track[tuple[Condition, ...]]]


@define
class Board:
    """The tasks of a run so far, and which of them have which status now."""

    #: By id, in the order in which they came.
    tasks: dict[str, TaskTrack] = field(factory=dict)
    shared: SharedTracks = field(factory=dict)
    #: The task that each event is about, by event id.
    subjects: dict[int, str] = field(factory=dict)
    #: Ids by status and kind, the one that has had the status for longest first.
    groups: dict[TaskStatus, dict[Kind, dict[str, None]]] = field(factory=dict)
    #: Ids of the cleanup tasks, which ``done`` and ``planned`` do not count.
    apart: set[str] = field(factory=set)
    #: Number of the tasks that are done, and of all tasks.
    done: int = 0
    planned: int = 0
    #: Changes with each status and each condition.
    version: int = 0

    def set(
        self, event_id: int, track: TaskTrack, status: TaskStatus | None, why: Why, outcome: TaskEnd
    ) -> None:
        """Set what holds for a task from an event on; None: the run does not have it."""
        self.version += 1
        self.tasks.setdefault(track.id, track)
        before, kind = track.statuses.last, track.key[0]
        if before is not status:
            if before is not None:
                del self.groups[before][kind][track.id]
            if status is not None:
                self.groups.setdefault(status, {}).setdefault(kind, {})[track.id] = None
            if track.id not in self.apart:
                self.done += (status is TaskStatus.DONE) - (before is TaskStatus.DONE)
                self.planned += (status is not None) - (before is not None)
            track.statuses.set(event_id, status)
        track.whys.set(event_id, why)
        track.outcomes.set(event_id, outcome)

    def share(self, event_id: int, name: Shared, conditions: Iterable[Condition]) -> None:
        """Set what several tasks wait for from an event on."""
        self.shared.setdefault(name, Track()).set(event_id, tuple(conditions))

    def ids(self, status: TaskStatus, *kinds: Kind) -> Iterator[str]:
        """Yield the tasks that have a status now, of all kinds if none is given."""
        found = self.groups.get(status, {})
        return chain.from_iterable(found.get(kind, ()) for kind in kinds or found)

    def count(self, status: TaskStatus, *kinds: Kind) -> int:
        """Return the number of tasks that have a status now, of all kinds if none is given."""
        found = self.groups.get(status, {})
        return sum(len(found[kind]) for kind in kinds or found if kind in found)
