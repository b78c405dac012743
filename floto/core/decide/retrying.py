"""The decision that one task needs: its first attempt, its next attempt when a retry is due, or none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

from attrs import frozen

from floto.core.spec.retry import NO_RETRY, NOT_SERVED_BACKOFF, REFUSED, REFUSED_TIMER, Retry, RetryStrategy
from floto.core.spec.rules.wait_limits import WaitLimit
from floto.core.spec.tasks import Task
from floto.core.state.failures import Failure, failure_of
from floto.core.state.state import OPEN, Item, Kind, State, Status
from floto.core.swf.decisions import CancelTimer, StartTimer
from floto.core.swf.events import Event
from floto.core.swf.identifiers import shown
from floto.core.swf.limits import LATE_EVENTS, RUN_SECONDS_LIMIT
from floto.core.swf.reserved_names import NOT_SERVED, RETRY_PREFIX, WAIT_PREFIX


@frozen
class Start:
    """The next decision starts an attempt."""


@frozen
class Wait:
    """The next decision starts a timer, and the attempt follows when it fires."""

    timer_id: str
    seconds: int

    def timer(self, control: str | None = None) -> StartTimer:
        """Start the timer."""
        return StartTimer(timer_id=self.timer_id, start_to_fire_timeout=str(self.seconds), control=control)


@frozen
class EndWait:
    """The next decision cancels the timer of a wait that has ended before its time."""

    timer_id: str

    def cancel(self) -> CancelTimer:
        """Cancel the timer."""
        return CancelTimer(timer_id=self.timer_id)


@frozen
class Exhausted:
    """The task has failed: no further attempt follows."""

    message: str


class Rest(Enum):
    """No decision is needed for a task."""

    IN_FLIGHT = "in flight"
    DONE = "done"
    SKIPPED = "skipped"


Step = Start | Wait | EndWait
Look = Step | Exhausted | Rest
START = Start()
# For each task that is examined: the look-up of an enum's member takes six times as long as that of a name.
IN_FLIGHT, DONE = Rest.IN_FLIGHT, Rest.DONE
_COMPLETED = Status.COMPLETED


def look_at(task: Task, state: State, seed: str) -> Look:
    """Return the decision that one task needs, its requirements aside."""
    item = state.items.get(task.key)
    if item is None:
        return START
    status = item.status
    if status is _COMPLETED:
        return DONE
    if status in OPEN:
        return IN_FLIGHT
    return next_attempt(item, task.id_, task.retry_strategy, state, seed)


def look_at_waiting(task: Task, limit: WaitLimit, state: State) -> Look:
    """Return the decision that a task needs which waits for a limited time, its requirements aside."""
    if timed_out(task, limit, state) is None:
        if not state.is_completed(task.key):
            return _wait(wait_timer_id(task.id_), limit.seconds, state, "time-out")
        timer = state.items.get((Kind.TIMER, wait_timer_id(task.id_)))
        return Rest.DONE if timer is None or not timer.is_open else EndWait(wait_timer_id(task.id_))
    look = _wait(wait_timer_id(task.id_), limit.seconds, state, "time-out")
    if isinstance(look, Exhausted):
        return look
    if limit.on_timeout == "fail":
        return Exhausted(limit.message)
    return Rest.SKIPPED if limit.on_timeout == "skip" else Rest.DONE


def timed_out(task: Task, limit: WaitLimit, state: State) -> Event | None:
    """Return the event by which the wait of a task timed out, or cannot; None if it has not.

    What comes first in the history counts: a signal that arrives after the time-out changes nothing.
    """
    timer = state.items.get((Kind.TIMER, wait_timer_id(task.id_)))
    if timer is None or timer.closed is None:
        return None
    if isinstance(_wait(wait_timer_id(task.id_), limit.seconds, state), Wait):
        return None
    item = state.items.get(task.key)
    is_late = item is not None and item.closed is not None and item.closed.id < timer.closed.id
    return None if is_late else timer.closed


def look_at_continuation(id_: str, state: State, seed: str) -> Look:
    """Return what follows for a run that is to be continued as new; ``id_`` names its retry timers."""
    refused = state.items.get((Kind.CONTINUE_AS_NEW, ""))
    return START if refused is None else next_attempt(refused, id_, None, state, seed)


def next_attempt(item: Item, id_: str, strategy: RetryStrategy | None, state: State, seed: str) -> Look:
    """Return what follows a failed attempt; a wait is a timer of SWF, so it survives crashes."""
    failures = tuple(map(failure_of, item.failures))
    last = failures[-1]
    if last.status is not Status.REFUSED:
        asked, counted = (
            strategy,
            tuple(failure for failure in failures if failure.status is not Status.REFUSED),
        )
    elif last.passes:
        asked, counted = _backoff(item.key[0], last), _trailing_refusals(failures)
    else:
        return Exhausted(last.message)
    delay = None if asked is None else asked.delay(Retry(task_id=id_, seed=seed, failures=counted))
    if delay is None:
        return Exhausted(last.message)
    if type(delay) not in (int, float) or not 0 <= delay < math.inf:
        problem = f"its retry strategy returned {shown(delay)}; it must return seconds (0 or more) or None"
        return Exhausted(f"{last.message}; {problem}: {shown(asked)}")
    seconds = min(math.ceil(delay), RUN_SECONDS_LIMIT)
    return _wait(retry_timer_id(id_, len(failures)), seconds, state) if seconds else START


def retry_timer_id(id_: str, failures: int) -> str:
    """Return the id of the timer before the attempt that follows so many failed ones."""
    return f"{RETRY_PREFIX}{id_}:{failures}"


def wait_timer_id(id_: str) -> str:
    """Return the id of the timer of a task that waits for a limited time."""
    return f"{WAIT_PREFIX}{id_}"


def waiting_for(timer_id: str) -> str | None:
    """Return the id of the task that a timer of floto's own belongs to; None for other timers."""
    if timer_id.startswith(WAIT_PREFIX):
        return timer_id.removeprefix(WAIT_PREFIX)
    if timer_id.startswith(RETRY_PREFIX):
        return timer_id.removeprefix(RETRY_PREFIX).rpartition(":")[0]
    return None


def _backoff(kind: Kind, refusal: Failure) -> RetryStrategy:
    """Return the retry strategy after a transient refusal."""
    if kind is Kind.TIMER:
        return REFUSED_TIMER
    if refusal.reason != NOT_SERVED:
        return REFUSED
    # Activities that workers give back add events: fail the task before SWF terminates the run at its limit.
    return NOT_SERVED_BACKOFF if refusal.event_id < LATE_EVENTS else NO_RETRY


def _trailing_refusals(failures: Sequence[Failure]) -> tuple[Failure, ...]:
    first = len(failures)
    while first and failures[first - 1].status is Status.REFUSED:
        first -= 1
    return tuple(failures[first:])


def _wait(timer_id: str, seconds: int, state: State, what: str = "retry") -> Look:
    timer = state.items.get((Kind.TIMER, timer_id))
    if timer is not None and timer.is_open:
        return Rest.IN_FLIGHT
    if timer is not None and timer.status is Status.COMPLETED:
        return START
    return wait_for(timer_id, seconds, state, what)


def wait_for(timer_id: str, seconds: int, state: State, what: str = "retry") -> Wait | Exhausted:
    """Return the start of a timer that is not open; exhausted if SWF has refused it too often."""
    timer = state.items.get((Kind.TIMER, timer_id))
    if timer is None or timer.status is Status.COMPLETED:
        return Wait(timer_id, seconds)
    # SWF refused the timer. Backing off would need another timer, so try at once.
    failures = tuple(map(failure_of, timer.failures))
    again = REFUSED_TIMER.delay(Retry(task_id=timer_id, seed="", failures=failures))
    final = failures[-1].status is Status.REFUSED and not failures[-1].passes
    if final or again is None:
        return Exhausted(f"the wait for its {what}: {failures[-1].message}")
    return Wait(timer_id, seconds)
