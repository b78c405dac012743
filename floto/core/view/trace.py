"""A run as a trace: spans that show where its time went, for tools that read OpenTelemetry's traces.

The spans are derived from the history, and their ids are hashes of the run id and of event ids. So nothing is
recorded while the run is open, a run of any age has a trace, and the trace of a history is always the same.

A run is the root, with a span for each task below it. An activity or a Lambda function has two spans for each
attempt: the wait for a worker, and its execution; a child has one. A child is a run with a trace of its own:
the two are connected by links, because the history of a grandchild does not name the run that began it all.
Values of inputs and results are not in a trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from attrs import frozen

from floto.core.errors import HistoryError
from floto.core.replay.task_status import TaskStatus, started_statuses
from floto.core.replay.timeline import shown_items
from floto.core.state.attempts import AttemptEvents, attempt_events
from floto.core.state.failures import Failure
from floto.core.state.fold import state_of
from floto.core.state.redriven import redriven_of
from floto.core.state.state import Item, KeptItem, Kind, State, Status
from floto.core.swf import events as e
from floto.core.swf.closing_events import CLOSING_EVENTS, CloseStatus, reason_of
from floto.core.swf.events import Event
from floto.core.swf.history import History, as_history
from floto.core.swf.shapes import WorkflowExecution
from floto.core.view.trace_context import SpanContext, span_of_event, span_of_run, span_of_task
from floto.core.visible import shorten_middle

#: Names of the spans of an attempt.
WAIT, ATTEMPT = "wait for a worker", "attempt"
#: Kinds of tasks that wait for a worker.
_WORK = (Kind.ACTIVITY, Kind.LAMBDA)
#: Characters of the message of a failure.
_MESSAGE_LIMIT = 2_000
_BAD_ENDS = (CloseStatus.FAILED, CloseStatus.TERMINATED, CloseStatus.TIMED_OUT)


@frozen(kw_only=True)
class TraceSpan:
    """One span of a trace."""

    context: SpanContext
    #: The span of which this one is a part; None for that of the run.
    parent: SpanContext | None
    name: str
    start: datetime
    #: Time of the last event of the history if this has not ended.
    end: datetime
    attributes: Mapping[str, str | int]
    #: Why this failed; None if it did not.
    error: str | None = None
    #: Spans of other runs.
    links: tuple[SpanContext, ...] = ()


def trace(history: History) -> tuple[TraceSpan, ...]:
    """Return the spans of a run, each after its parent, that of the run first.

    Args:
        history: The history of a run, open or closed, with its ``execution``.

    Raises:
        HistoryError: The history is empty, cannot have happened, or does not name its run.
    """
    state = state_of(as_history(history))
    if state.started is None:
        raise HistoryError(None, "this history is empty; there is nothing to show")
    if history.execution is None or not history.execution.run_id:
        raise HistoryError(None, "this history does not name its run, so its trace has no id")
    return tuple(_Trace(history, state, history.execution).spans())


@frozen
class _Trace:
    history: History
    state: State
    run: WorkflowExecution

    def spans(self) -> Iterator[TraceSpan]:
        """Yield the span of the run, then those of each task."""
        yield self._run()
        statuses = started_statuses(self.state)
        # The order of the items is another one in each process.
        tasks = [(item, tuple(attempt_events(item, self.history.events))) for item in shown_items(self.state)]
        for item, tried in sorted(tasks, key=lambda task: (self._begun_at(task[1]), task[0].key)):
            yield self._task(item, statuses[item.key], tried)
            if item.key[0] in (*_WORK, Kind.CHILD):
                for attempt in tried:
                    yield from self._attempt(item, attempt)

    def _run(self) -> TraceSpan:
        start, closed = self.state.start, self.state.closed
        status = "" if closed is None else CLOSING_EVENTS[type(closed.data)].status
        error = None
        if closed is not None and status in _BAD_ENDS:
            error = reason_of(closed.data) or str(status)
        return TraceSpan(
            context=span_of_run(self.run.run_id),
            parent=None,
            name=start.workflow_type.name,
            start=self.state.begun_at,
            end=self.state.now,
            attributes={
                "floto.workflow_id": self.run.workflow_id,
                "floto.run_id": self.run.run_id,
                "floto.workflow_type": start.workflow_type.name,
                "floto.workflow_version": start.workflow_type.version,
                "floto.status": str(status) or "OPEN",
            },
            error=error,
            links=tuple(self._runs_before()),
        )

    def _runs_before(self) -> Iterator[SpanContext]:
        """Yield what this run goes on from: the task of its parent, and runs before it."""
        start, kept = self.state.start, redriven_of(self.state)
        parent = start.parent_workflow_execution
        if parent is not None:
            yield span_of_event(parent.run_id, start.parent_initiated_event_id or 0)
        if start.continued_execution_run_id:
            yield span_of_run(start.continued_execution_run_id)
        if kept is not None and kept.run_id:
            yield span_of_run(kept.run_id)

    def _task(self, item: Item, status: TaskStatus, tried: tuple[AttemptEvents, ...]) -> TraceSpan:
        kind, id_ = item.key
        failure = tried[-1].failure if tried and status is TaskStatus.FAILED else None
        begun_at = self._begun_at(tried)
        attributes = {"floto.task": id_, "floto.kind": str(kind), "floto.status": str(status)}
        if isinstance(item, KeptItem):
            attributes["floto.kept"] = str(item.origin)
        return TraceSpan(
            context=span_of_task(self.run.run_id, kind, id_),
            parent=span_of_run(self.run.run_id),
            name=_type_name(kind, tried),
            start=begun_at,
            end=self.state.now if item.is_open else max(_moments(tried), default=begun_at),
            attributes={**attributes, "floto.attempts": len(tried)},
            error=_error(failure),
        )

    def _begun_at(self, tried: Sequence[AttemptEvents]) -> datetime:
        return min(_moments(tried), default=self.state.begun_at)

    def _attempt(self, item: Item, attempt: AttemptEvents) -> Iterator[TraceSpan]:
        """Yield the spans of an attempt; none for that of another run, whose task this run keeps."""
        opened, started, ended = attempt.opened, attempt.started, attempt.ended
        if isinstance(item, KeptItem):
            return
        if opened is not None and item.key[0] in _WORK:
            yield self._part(item, WAIT, opened, started or ended, None if started else attempt)
            if started is not None:
                yield self._part(item, ATTEMPT, started, ended, attempt)
        else:
            # An attempt that SWF refused has no other event than that.
            begun = opened or ended
            if begun is not None:
                yield self._part(item, ATTEMPT, begun, ended, attempt)

    def _part(
        self, item: Item, name: str, begun: Event, ended: Event | None, attempt: AttemptEvents | None
    ) -> TraceSpan:
        """Return a span of an attempt; with its outcome, if that is given."""
        attributes: dict[str, str | int] = {"floto.event_id": begun.id}
        failure: Failure | None = None
        links: tuple[SpanContext, ...] = ()
        if attempt is not None:
            attributes |= {"floto.attempt": attempt.number, "floto.status": str(attempt.status)}
            failure, links = attempt.failure, tuple(_child(attempt.started))
        if worker := getattr(begun.data, "identity", None):
            attributes["floto.worker"] = worker
        return TraceSpan(
            context=span_of_event(self.run.run_id, begun.id),
            parent=span_of_task(self.run.run_id, *item.key),
            name=name,
            start=begun.at,
            end=self.state.now if ended is None else ended.at,
            attributes=attributes,
            error=_error(failure),
            links=links,
        )


def _error(failure: Failure | None) -> str | None:
    """Return the message of a failure; None for a cancellation, which is none."""
    if failure is None or failure.status is Status.CANCELED:
        return None
    return shorten_middle(failure.message, _MESSAGE_LIMIT)


def _child(started: Event | None) -> Iterator[SpanContext]:
    """Yield the span of a child's run, by the event that says it has started."""
    if started is not None and isinstance(started.data, e.ChildWorkflowExecutionStarted):
        yield span_of_run(started.data.workflow_execution.run_id)


def _moments(tried: Sequence[AttemptEvents]) -> list[datetime]:
    events = (event for attempt in tried for event in (attempt.opened, attempt.started, attempt.ended))
    return [event.at for event in events if event is not None]


def _type_name(kind: Kind, tried: Sequence[AttemptEvents]) -> str:
    """Return the name of a task's type, of which there are few, unlike ids; its kind if it has no type."""
    events = (event for attempt in tried for event in (attempt.opened, attempt.ended) if event is not None)
    for data in (event.data for event in events):
        type_ = getattr(data, "activity_type", None) or getattr(data, "workflow_type", None)
        name = getattr(data, "name", None) if kind is Kind.LAMBDA else getattr(type_, "name", None)
        if isinstance(name, str):
            return name
    return str(kind)
