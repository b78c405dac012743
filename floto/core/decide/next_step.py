"""The next step of one task: an attempt, a wait before it, none, or its failure.

Which retries follow a failed attempt is decided here too. The requirements of the task do not count here:
``update.py`` takes a step only once they are met.
"""

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
    """Start an attempt."""


@frozen
class Wait:
    """Start a timer; the attempt follows when it fires."""

    timer_id: str
    seconds: int

    def timer(self, control: str | None = None) -> StartTimer:
        """Start the timer."""
        return StartTimer(timer_id=self.timer_id, start_to_fire_timeout=str(self.seconds), control=control)


@frozen
class EndWait:
    """Cancel the timer of a wait that has ended before its time."""

    timer_id: str

    def cancel(self) -> CancelTimer:
        """Cancel the timer."""
        return CancelTimer(timer_id=self.timer_id)


@frozen
class Exhausted:
    """The task has failed: no further attempt follows."""

    message: str


class NoStep(Enum):
    """No decision is needed for a task, and the reason."""

    #: An attempt, or the timer before it, is open.
    IN_FLIGHT = "in flight"
    #: The task has completed.
    DONE = "done"
    #: Its wait has timed out, and its ``on_timeout`` skips it then.
    SKIPPED = "skipped"


#: A step that takes a decision.
Step = Start | Wait | EndWait
NextStep = Step | Exhausted | NoStep
START = Start()
# For each task that is examined: the look-up of an enum's member takes six times as long as that of a name.
IN_FLIGHT, DONE = NoStep.IN_FLIGHT, NoStep.DONE
_COMPLETED = Status.COMPLETED


def next_step(task: Task, state: State, seed: str) -> NextStep:
    """Return the next step of a task; its requirements are not considered."""
    item = state.items.get(task.key)
    if item is None:
        return START
    status = item.status
    if status is _COMPLETED:
        return DONE
    if status in OPEN:
        return IN_FLIGHT
    return next_attempt(item, task.id_, task.retry_strategy, state, seed)


def next_step_of_wait(task: Task, limit: WaitLimit, state: State) -> NextStep:
    """Return the next step of a task that waits for a limited time; its requirements are not considered."""
    timer_id = wait_timer_id(task.id_)
    is_timed_out = timed_out(task, limit, state) is not None
    if not is_timed_out and state.is_completed(task.key):
        return EndWait(timer_id) if state.is_open((Kind.TIMER, timer_id)) else NoStep.DONE
    step = _start_after(timer_id, limit.seconds, state, "time-out")
    if not is_timed_out:
        return step
    if isinstance(step, Exhausted):
        return step
    if limit.on_timeout == "fail":
        return Exhausted(limit.message)
    return NoStep.SKIPPED if limit.on_timeout == "skip" else NoStep.DONE


def timed_out(task: Task, limit: WaitLimit, state: State) -> Event | None:
    """Return the event that ended the wait of a task: its timer fired, or SWF finally refused the timer.

    None if there is no such event, or if the task completed before it: a signal that arrives after the
    time-out changes nothing.
    """
    timer_id = wait_timer_id(task.id_)
    timer = state.items.get((Kind.TIMER, timer_id))
    if timer is None or timer.closed is None:
        return None
    if isinstance(_start_after(timer_id, limit.seconds, state), Wait):
        return None
    item = state.items.get(task.key)
    is_in_time = item is not None and item.closed is not None and item.closed.id < timer.closed.id
    return None if is_in_time else timer.closed


def next_step_of_continuation(id_: str, state: State, seed: str) -> NextStep:
    """Return the next step of a run that is to continue as new; ``id_`` names its retry timers."""
    refused = state.items.get((Kind.CONTINUE_AS_NEW, ""))
    return START if refused is None else next_attempt(refused, id_, None, state, seed)


def next_attempt(item: Item, id_: str, strategy: RetryStrategy | None, state: State, seed: str) -> NextStep:
    """Return the next step after a failed attempt; a wait is a timer of SWF, so it survives crashes.

    Args:
        item: The item of the task, whose latest attempt has failed or was refused.
        id_: The id of the task, which names its retry timers.
        strategy: The retry strategy of the task; refusals are retried by floto's own strategies instead.
        state: The state of the run.
        seed: The seed of the jitter.
    """
    failures = tuple(map(failure_of, item.failures))
    last = failures[-1]
    if last.status is not Status.REFUSED:
        counted = tuple(failure for failure in failures if failure.status is not Status.REFUSED)
    elif last.passes:
        strategy, counted = _backoff(item.key[0], last), _trailing_refusals(failures)
    else:
        return Exhausted(last.message)
    delay = None if strategy is None else strategy.delay(Retry(task_id=id_, seed=seed, failures=counted))
    if delay is None:
        return Exhausted(last.message)
    if type(delay) not in (int, float) or not 0 <= delay < math.inf:
        problem = f"its retry strategy returned {shown(delay)}; it must return seconds (0 or more) or None"
        return Exhausted(f"{last.message}; {problem}: {shown(strategy)}")
    seconds = min(math.ceil(delay), RUN_SECONDS_LIMIT)
    return _start_after(retry_timer_id(id_, len(failures)), seconds, state) if seconds else START


def retry_timer_id(id_: str, failures: int) -> str:
    """Return the id of the timer before the attempt that follows so many failed ones."""
    return f"{RETRY_PREFIX}{id_}:{failures}"


def wait_timer_id(id_: str) -> str:
    """Return the id of the timer of a task that waits for a limited time."""
    return f"{WAIT_PREFIX}{id_}"


def task_of_timer(timer_id: str) -> str | None:
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


def _start_after(timer_id: str, seconds: int, state: State, what: str = "retry") -> NextStep:
    """Return the start of an attempt once a timer has fired; before, the timer's own next step."""
    timer = state.items.get((Kind.TIMER, timer_id))
    if timer is not None and timer.is_open:
        return NoStep.IN_FLIGHT
    if timer is not None and timer.status is Status.COMPLETED:
        return START
    return wait_for(timer_id, seconds, state, what)


def wait_for(timer_id: str, seconds: int, state: State, what: str = "retry") -> Wait | Exhausted:
    """Return the start of a timer that is not open; ``Exhausted`` if SWF has refused it too often.

    Args:
        timer_id: The id of the timer.
        seconds: Seconds until it fires.
        state: The state of the run.
        what: What the wait is for, in the message of the failure.
    """
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
