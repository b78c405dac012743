"""The workers of a simulation: they take activities, send heartbeats and answer, or do not."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from attrs import define

from floto.core.errors import UnknownResource
from floto.core.payloads import payload
from floto.core.swf.events import ActivityTaskScheduled, Event
from floto.core.swf.shapes import WorkflowExecution
from floto.testing.simulation.context import MOMENT, Move, Stage
from floto.testing.simulation.endings import Endings
from floto.testing.simulation.outcomes import SUCCESS, Ending, How
from floto.testing.simulation.result import AttemptKey
from floto.testing.simulation.timeouts import Manner, manner_of, seconds

#: A moment that does not come.
_NEVER = datetime.max.replace(tzinfo=UTC)
_REASON_LIMIT = 256


@define(eq=False)
class Attempt:
    """One attempt at an activity, from when it was scheduled."""

    key: AttemptKey
    execution: WorkflowExecution
    scheduled_id: int
    scheduled: ActivityTaskScheduled
    #: How it ends; None where a function that is still to be called decides that.
    ending: Ending | None
    manner: Manner
    #: Whether its result is more tasks.
    grows: bool
    token: str = ""
    #: When its worker answers.
    ends_at: datetime = _NEVER
    #: When its worker must have sent a heartbeat.
    beats_by: datetime = _NEVER
    #: Whether it was asked to stop, which its worker hears of with a heartbeat.
    is_asked_to_stop: bool = False


class Workers:
    """All workers of all task lists."""

    def __init__(self, stage: Stage, endings: Endings) -> None:
        self._stage, self._endings = stage, endings
        #: In the order in which they would be handed out.
        self._waiting: list[Attempt] = []
        self._held: list[Attempt] = []

    def schedule(self, key: AttemptKey, execution: WorkflowExecution, event: Event, *, grows: bool) -> None:
        """Note that an activity was scheduled; how this attempt ends is settled here."""
        data: ActivityTaskScheduled = event.data
        ending = self._endings.of_activity(key, data)
        manner = Manner.ANSWER if ending is None else manner_of(ending, data)
        attempt = Attempt(key, execution, event.id, data, ending, manner, grows)
        if manner is not Manner.STAY_AWAY:
            insort(self._waiting, attempt, key=_urgency)

    def ask_to_stop(self, execution: WorkflowExecution, activity_id: str) -> None:
        """Note that an activity was asked to stop."""
        for attempt in self._held:
            if attempt.execution == execution and attempt.scheduled.activity_id == activity_id:
                attempt.is_asked_to_stop = True

    def moves(self) -> Iterator[Move]:
        """What workers can do now: take what waits, then answer."""
        world, now = self._stage.world, self._stage.now
        for attempt in tuple(self._waiting):
            if world.is_waiting(attempt.execution, attempt.scheduled_id):
                yield Move("take", attempt, self._take)
            else:
                self._waiting.remove(attempt)
        for attempt in self._held:
            if attempt.ends_at <= now:
                yield Move("end", attempt, self._end)

    def to_answer(self) -> set[tuple[str, int]]:
        """The attempts that will be answered, in time if nobody dawdles: by run and scheduling event."""
        return {
            (each.execution.run_id, each.scheduled_id)
            for each in (*self._waiting, *self._held)
            if each.manner is Manner.ANSWER
        }

    def next_end(self) -> datetime | None:
        """When the next answer comes that does not come now."""
        now = self._stage.now
        return min((each.ends_at for each in self._held if now < each.ends_at < _NEVER), default=None)

    def _take(self, attempt: Attempt) -> None:
        self._waiting.remove(attempt)
        task = self._stage.world.claim_activity(attempt.execution, attempt.scheduled_id, self._stage.now)
        if task is None or attempt.manner is Manner.DIE:
            return
        attempt.token = task.token
        if attempt.ending is None:
            type_name = attempt.scheduled.activity_type.name
            attempt.ending = self._endings.called(attempt.key, type_name, task.input)
        self._hold(attempt, attempt.ending)

    def _hold(self, attempt: Attempt, ending: Ending) -> None:
        now, beat = self._stage.now, seconds(attempt.scheduled.heartbeat_timeout)
        if attempt.manner is Manner.ANSWER_LATE:
            attempt.ends_at = now + timedelta(seconds=beat or 0) + MOMENT
        elif attempt.manner is Manner.ANSWER:
            attempt.ends_at = now + timedelta(seconds=ending.seconds)
        self._beaten(attempt)
        if attempt.ends_at < _NEVER or attempt.beats_by < _NEVER:
            self._held.append(attempt)

    def _end(self, attempt: Attempt) -> None:
        self._held.remove(attempt)
        # It may have timed out, or its run may be over.
        with suppress(UnknownResource):
            self._report(attempt, attempt.ending or SUCCESS)

    def _report(self, attempt: Attempt, ending: Ending) -> None:
        world, now, token = self._stage.world, self._stage.now, attempt.token
        if attempt.is_asked_to_stop:
            world.cancel_activity(token, "as asked", now)
        elif ending.how is How.FAILS:
            reason, details = ending.reason[:_REASON_LIMIT], ending.details[: payload.LIMIT]
            world.fail_activity(token, reason, details, now)
        else:
            text = self._endings.text(
                ending, attempt.key.task_id, attempt.scheduled.input, grows=attempt.grows
            )
            world.complete_activity(token, text, now)

    def beat_until(self, until: datetime) -> None:
        """Send each heartbeat just before it would be missed."""
        while (attempt := min(self._held, key=_beats_by, default=None)) and attempt.beats_by <= until:
            at = attempt.beats_by - MOMENT
            if at < self._stage.now:
                # The time-out is shorter than what takes no time: no worker could help it.
                attempt.beats_by = _NEVER
            else:
                self._stage.now = at
                self._beat(attempt)

    def _beat(self, attempt: Attempt) -> None:
        world, now = self._stage.world, self._stage.now
        try:
            asked = world.heartbeat(attempt.token, None, now)
        except UnknownResource:
            self._held.remove(attempt)
            return
        if asked and attempt.manner is Manner.ANSWER:
            self._held.remove(attempt)
            world.cancel_activity(attempt.token, "as asked", now)
        else:
            self._beaten(attempt)

    def _beaten(self, attempt: Attempt) -> None:
        span = seconds(attempt.scheduled.heartbeat_timeout)
        if span is not None and attempt.manner in (Manner.ANSWER, Manner.HANG):
            attempt.beats_by = self._stage.now + timedelta(seconds=span)


def _urgency(attempt: Attempt) -> int:
    return -int(attempt.scheduled.task_priority or 0)


def _beats_by(attempt: Attempt) -> datetime:
    return attempt.beats_by
