"""Simulated workers: they claim activities, send heartbeats and respond, or fail to."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from attrs import define

from floto.core.engine.stores.records import priority_of
from floto.core.errors import UnknownResource
from floto.core.payloads import payload
from floto.core.spec.tasks import Task
from floto.core.swf.events import ActivityTaskScheduled, Event
from floto.core.swf.limits import REASON_LIMIT
from floto.core.swf.shapes import WorkflowExecution
from floto.testing.simulation.context import MOMENT, Move, SimulationContext, new_move
from floto.testing.simulation.endings import Endings
from floto.testing.simulation.outcomes import SUCCESS, Ending, How
from floto.testing.simulation.result import AttemptKey
from floto.testing.simulation.timeouts import WorkerBehavior, behavior_for, seconds

#: A point in time that is never reached.
_NEVER = datetime.max.replace(tzinfo=UTC)


@define(eq=False)
class SimulatedAttempt:
    """One attempt at an activity, from its scheduling on."""

    key: AttemptKey
    execution: WorkflowExecution
    scheduled_id: int
    scheduled: ActivityTaskScheduled
    #: How it ends; None until its function was called.
    ending: Ending | None
    behavior: WorkerBehavior
    #: What a generator returns by default; None if the task is not a generator.
    default_tasks: Sequence[Task] | None
    token: str = ""
    #: When its worker responds.
    ends_at: datetime = _NEVER
    #: Deadline of the next heartbeat.
    heartbeat_by: datetime = _NEVER
    #: True if its cancellation was requested; its worker learns that from a heartbeat.
    is_cancel_requested: bool = False


class Workers:
    """The workers of all task lists."""

    def __init__(self, context: SimulationContext, endings: Endings) -> None:
        self._context, self._endings = context, endings
        #: Unclaimed attempts in order of dispatch.
        self._waiting: list[SimulatedAttempt] = []
        self._claimed: list[SimulatedAttempt] = []

    def schedule(
        self,
        key: AttemptKey,
        execution: WorkflowExecution,
        event: Event,
        default_tasks: Sequence[Task] | None,
    ) -> None:
        """Add a scheduled activity; how this attempt ends is decided here."""
        data: ActivityTaskScheduled = event.data
        ending = self._endings.of_activity(key, data)
        behavior = WorkerBehavior.RESPOND if ending is None else behavior_for(ending, data)
        attempt = SimulatedAttempt(key, execution, event.id, data, ending, behavior, default_tasks)
        if behavior is not WorkerBehavior.NEVER_CLAIM:
            insort(self._waiting, attempt, key=_urgency)

    def request_cancel(self, execution: WorkflowExecution, activity_id: str) -> None:
        """Record that cancellation of an activity was requested."""
        for attempt in self._claimed:
            if attempt.execution == execution and attempt.scheduled.activity_id == activity_id:
                attempt.is_cancel_requested = True

    def moves(self) -> Iterator[Move]:
        """Yield what workers can do now: claim tasks, then respond."""
        world, now = self._context.world, self._context.now
        for attempt in tuple(self._waiting):
            if world.is_claimable(attempt.execution, attempt.scheduled_id):
                yield new_move("take", attempt, self._claim)
            else:
                self._waiting.remove(attempt)
        for attempt in self._claimed:
            if attempt.ends_at <= now:
                yield new_move("end", attempt, self._end)

    def to_respond(self) -> set[tuple[str, int]]:
        """Return the attempts whose workers will respond, by run id and scheduled event id."""
        return {
            (each.execution.run_id, each.scheduled_id)
            for each in (*self._waiting, *self._claimed)
            if each.behavior is WorkerBehavior.RESPOND
        }

    def next_end(self) -> datetime | None:
        """Return when the next response is due after now, or None."""
        now = self._context.now
        return min((each.ends_at for each in self._claimed if now < each.ends_at < _NEVER), default=None)

    def _claim(self, attempt: SimulatedAttempt) -> None:
        self._waiting.remove(attempt)
        task = self._context.world.claim_activity(attempt.execution, attempt.scheduled_id, self._context.now)
        if task is None or attempt.behavior is WorkerBehavior.CRASH:
            return
        attempt.token = task.token
        if attempt.ending is None:
            attempt.ending = self._endings.call(attempt.key, task)
        self._begin_work(attempt, attempt.ending)

    def _begin_work(self, attempt: SimulatedAttempt, ending: Ending) -> None:
        now, beat = self._context.now, seconds(attempt.scheduled.heartbeat_timeout)
        if attempt.behavior is WorkerBehavior.RESPOND_LATE:
            attempt.ends_at = now + timedelta(seconds=beat or 0) + MOMENT
        elif attempt.behavior is WorkerBehavior.RESPOND:
            attempt.ends_at = now + timedelta(seconds=ending.seconds)
        self._schedule_heartbeat(attempt)
        if attempt.ends_at < _NEVER or attempt.heartbeat_by < _NEVER:
            self._claimed.append(attempt)

    def _end(self, attempt: SimulatedAttempt) -> None:
        self._claimed.remove(attempt)
        try:
            self._report(attempt, attempt.ending or SUCCESS)
        except UnknownResource:
            # It timed out, or its run has closed.
            return

    def _report(self, attempt: SimulatedAttempt, ending: Ending) -> None:
        world, now, token = self._context.world, self._context.now, attempt.token
        if attempt.is_cancel_requested:
            world.cancel_activity(token, "as asked", now)
        elif ending.how is How.FAILS:
            reason, details = ending.reason[:REASON_LIMIT], ending.details[: payload.LIMIT]
            world.fail_activity(token, reason, details, now)
        else:
            text = self._endings.text(
                ending, attempt.key.task_id, attempt.scheduled.input, attempt.default_tasks
            )
            world.complete_activity(token, text, now)

    def heartbeat_until(self, until: datetime) -> None:
        """Send each heartbeat that is due until then, just before its time-out."""
        while (
            attempt := min(self._claimed, key=_heartbeat_by, default=None)
        ) and attempt.heartbeat_by <= until:
            at = attempt.heartbeat_by - MOMENT
            if at < self._context.now:
                # The time-out is shorter than the duration of any action, so no heartbeat can prevent it.
                attempt.heartbeat_by = _NEVER
            else:
                self._context.now = at
                self._heartbeat(attempt)

    def _heartbeat(self, attempt: SimulatedAttempt) -> None:
        world, now = self._context.world, self._context.now
        try:
            asked = world.heartbeat(attempt.token, None, now)
        except UnknownResource:
            self._claimed.remove(attempt)
            return
        if asked and attempt.behavior is WorkerBehavior.RESPOND:
            self._claimed.remove(attempt)
            world.cancel_activity(attempt.token, "as asked", now)
        else:
            self._schedule_heartbeat(attempt)

    def _schedule_heartbeat(self, attempt: SimulatedAttempt) -> None:
        span = seconds(attempt.scheduled.heartbeat_timeout)
        if span is not None and attempt.behavior in (WorkerBehavior.RESPOND, WorkerBehavior.HANG):
            attempt.heartbeat_by = self._context.now + timedelta(seconds=span)


def _urgency(attempt: SimulatedAttempt) -> int:
    return -priority_of(attempt.scheduled)


def _heartbeat_by(attempt: SimulatedAttempt) -> datetime:
    return attempt.heartbeat_by
