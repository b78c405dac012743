"""Records of runs, and the filters and positions of listings.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_WorkflowExecutionInfo.html
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from attrs import frozen

from floto.core.engine.tokens import TaskKind
from floto.core.quick_init import quick_init
from floto.core.swf.events import ActivityTaskScheduled, Event
from floto.core.swf.service import ExecutionInfo
from floto.core.swf.shapes import WorkflowExecution


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class Record:
    """Data of one run, open or closed, for listings and descriptions."""

    #: Sequence number of the start, unique in a store.
    number: int
    domain: str
    info: ExecutionInfo
    parent: WorkflowExecution | None = None
    tags: tuple[str, ...] = ()
    cancel_requested: bool = False
    #: Latest ``executionContext`` of a response.
    execution_context: str | None = None
    #: Time at which its latest activity was scheduled.
    activity_at: datetime | None = None


def priority_of(scheduled: Any) -> int:
    """Return the priority of a task, by the attributes of the event that scheduled it; by default 0."""
    return int(scheduled.task_priority or 0)


def last_scheduled(events: Iterable[Event]) -> datetime | None:
    """Return the time at which the events of one step scheduled an activity; None if they did not."""
    for event in events:
        if type(event.data) is ActivityTaskScheduled:
            return event.at
    return None


@frozen(kw_only=True)
class ListingQuery:
    """Filter and order of a listing of runs; a field that is None does not restrict it."""

    domain: str
    is_closed: bool
    #: Inclusive, like ``latest``.
    oldest: datetime
    latest: datetime | None = None
    ordered_by: Literal["started_at", "closed_at"] = "started_at"
    newest_first: bool = True
    workflow_id: str | None = None
    type_name: str | None = None
    type_version: str | None = None
    tag: str | None = None
    close_status: str | None = None

    def has(self, record: Record) -> bool:
        """Return True if a run belongs to the listing."""
        info, at = record.info, self.moment(record)
        return (
            record.domain == self.domain
            and (info.close_status is not None) == self.is_closed
            and at is not None
            and self.oldest <= at
            and (self.latest is None or at <= self.latest)
            and self.workflow_id in (None, info.execution.workflow_id)
            and self.type_name in (None, info.workflow_type.name)
            and self.type_version in (None, info.workflow_type.version)
            and self.close_status in (None, info.close_status)
            and (self.tag is None or self.tag in record.tags)
        )

    def moment(self, record: Record) -> datetime | None:
        """Return the time of a run by which the listing is ordered."""
        return record.info.started_at if self.ordered_by == "started_at" else record.info.closed_at


@frozen
class Position:
    """Position in a listing: that of the last run of a page."""

    at: datetime
    number: int


class TaskQueue(NamedTuple):
    """A task queue: one task list of one kind of task in one domain.

    Queues are keyed by it, so it is a tuple, whose hash is implemented in C.
    """

    domain: str
    kind: TaskKind
    task_list: str


@lru_cache(maxsize=512)
def task_queue_of(domain: str, kind: TaskKind, task_list: str) -> TaskQueue:
    """Return a task queue; most steps name the same ones, so they are cached."""
    return TaskQueue(domain, kind, task_list)
