"""Repeating service calls that failed: one table of policies, with full-jitter exponential backoff.

| policy | caller | repeats | until |
|---|---|---|---|
| ``LOOP`` | ``floto.run``, deciders, daemons | ``ServiceUnavailable`` | stopped |
| ``LAST`` | those, with a task in hand, when stopped | ``ServiceUnavailable`` | 5 s |
| ``FIRST`` | those, at their start | ``ServiceUnavailable`` | stopped; 30 s, unless ``Throttled`` |
| ``POLL`` | polls of deciders and workers | all but ``ServiceGone`` | stopped |
| ``REPORT`` | workers, with an outcome | all but that, "no such task", "malformed" | 1 h; 10 s if stopped |
| ``READ`` | commands that change nothing | ``ServiceUnavailable``, not ``NotListening`` | 30 s |
| ``WRITE`` | other commands, ``floto.connect`` | ``NotCarriedOut``, not ``NotListening`` | 30 s |
| ``STORE`` | stores of payloads | ``PayloadsUnavailable`` | stopped; as the caller says |

A service that is closed for good (a ``ServiceError`` of no subclass) is called five times at most. Which
error is of which class is the business of the adapters; ``floto.adapters.aws_errors`` has the table for AWS.
By it, credentials or permissions that are withdrawn after a good answer are transient, so all loops agree to
survive them. At the first call they are a mistake: ``floto.run`` and commands end with it, and a person
reads why. Polls and reports survive that, too, as ending would leave a task list to nobody, or lose what
took a day to work out.

The wait before the n-th repetition is random, up to 2^n times the first. A service that is away is asked at
most 4 s later, and never longer than it has been away: what comes back is used again soon. Throttled calls
wait up to 1 s at first and up to 30 s later: what asks to be asked less is. No wait is longer than the time
that is left.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from attrs import evolve, frozen
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from floto.core.errors import (
    NotCarriedOut,
    NotListening,
    PayloadsUnavailable,
    ServiceError,
    ServiceFault,
    ServiceGone,
    ServiceUnavailable,
    Throttled,
    UnknownResource,
)
from floto.runtime.shutdown import StopFlag
from floto.trouble_log import trouble_log_of

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds: the most of the first and of any wait, for a service that is away and for one that is busy.
_FIRST_WAIT, _LONGEST_AWAY = 0.2, 4.0
_FIRST_BUSY, _LONGEST_WAIT = 1.0, 30.0
_LONGEST_MESSAGE = 200
#: Attempts at a service that is closed.
_LAST_ATTEMPTS = 5
#: Seconds for which a report is repeated after a stop.
_LAST_REPORT_SECONDS = 10.0
#: Seconds: an empty poll that took less than this is not repeated before.
_IDLE_SECONDS = 0.1
#: Codes of refusals of what a request says, which another attempt does not change.
MALFORMED = frozenset({"ValidationException", "ParamValidationError"})


def final(error: BaseException | None) -> bool:
    """Return True if the service neither refused this call nor was busy: it is closed, or broken."""
    return isinstance(error, ServiceError) and not isinstance(error, (ServiceFault, ServiceUnavailable))


def is_malformed(error: BaseException | None) -> bool:
    """Return True if the service refused what a request says: it would refuse it again."""
    return isinstance(error, ServiceFault) and error.code in MALFORMED


@frozen
class Policy:
    """Which errors of a call are repeated, and for how long."""

    errors: type[ServiceError]
    excluded: tuple[type[ServiceError], ...] = ()
    #: Seconds after which the last error is raised.
    seconds: float = math.inf
    #: Errors for which ``seconds`` do not count.
    unlimited: type[ServiceError] | tuple[()] = ()
    malformed: bool = True

    def repeats(self, error: BaseException) -> bool:
        """Return True if a call that failed so is made again while time is left."""
        is_excluded = isinstance(error, self.excluded) or (is_malformed(error) and not self.malformed)
        return isinstance(error, self.errors) and not is_excluded

    def left(self, state: RetryCallState) -> float:
        """Return the seconds that are left for another attempt."""
        if final(_error(state)) and state.attempt_number >= _LAST_ATTEMPTS:
            return 0
        if isinstance(_error(state), self.unlimited):
            return math.inf
        return self.seconds - (state.seconds_since_start or 0)


LOOP = Policy(ServiceUnavailable)
LAST = Policy(ServiceUnavailable, seconds=5)
FIRST = Policy(ServiceUnavailable, seconds=30, unlimited=Throttled)
POLL = Policy(ServiceError, excluded=(ServiceGone,))
REPORT = Policy(ServiceError, excluded=(UnknownResource, ServiceGone), seconds=3600, malformed=False)
READ = Policy(ServiceUnavailable, excluded=(NotListening,), seconds=30)
WRITE = Policy(NotCarriedOut, excluded=(NotListening,), seconds=30)
STORE = Policy(PayloadsUnavailable)


def persist(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call until the service answers it, or until ``stop`` is set.

    Raises ``ServiceUnavailable`` only when stopped, and every other error at once.
    """
    return _made(LOOP, stop, partial(call, *args, **kwargs))


def conclude(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``persist`` for a task in hand: when stopped, it is worth five seconds more."""
    try:
        return persist(stop, call, *args, **kwargs)
    except ServiceUnavailable:
        return _made(LAST, StopFlag(), partial(call, *args, **kwargs))


def reach(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``persist`` for the first call of all, whose address may be wrong.

    Raises ``ServiceUnavailable`` also after 30 seconds, unless the call is throttled.
    """
    return _made(FIRST, stop, partial(call, *args, **kwargs))


def inquire(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call that changes nothing, or the same again, for a command that a person waits for.

    It is repeated for up to 30 seconds while the service is busy or away. Raises ``NotListening`` at once,
    and ``ServiceUnavailable`` after that time.
    """
    return _made(READ, StopFlag(), partial(call, *args, **kwargs))


def once(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call that must not be carried out twice; repeat it, for up to 30 seconds, only if it was not.

    Raises ``NotListening``, and every ``ServiceError`` that is not ``NotCarriedOut``, at once.
    """
    return _made(WRITE, StopFlag(), partial(call, *args, **kwargs))


def outlast(stop: StopFlag, seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call again while a store of payloads cannot be reached, for so many seconds or until stopped.

    Raises ``PayloadsUnavailable`` after that, and every other error at once.
    """
    return _made(evolve(STORE, seconds=seconds), stop, partial(call, *args, **kwargs))


def poll(stop: StopFlag, call: Callable[P, T | None], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Poll until the service answers; None when stopped.

    Raises ``ServiceError`` when the service is closed for good, and ``ServiceGone`` at once.
    """
    began = time.monotonic()
    try:
        task = _made(POLL, stop, partial(call, *args, **kwargs))
    except ServiceError:
        if stop.is_set():
            return None
        raise
    if task is None:
        # A service that answers at once, such as one being closed, must not be asked as fast.
        stop.wait(_IDLE_SECONDS - (time.monotonic() - began))
    return task


def report(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Report the outcome of a task: refusals that are not about the task itself may be transient.

    Raises ``ServiceError`` when the task or the service is gone, the report malformed, or an hour over. When
    stopped, it is repeated for ten seconds from the stop, or from the first attempt if that was later.
    """
    reporting, began = partial(call, *args, **kwargs), time.monotonic()
    try:
        return _made(REPORT, stop, reporting)
    except ServiceError as error:
        if not stop.is_set() or not REPORT.repeats(error):
            raise
    spent = min(stop.age, time.monotonic() - began)
    return _made(evolve(REPORT, seconds=_LAST_REPORT_SECONDS - spent), StopFlag(), reporting)


def _made(policy: Policy, stop: StopFlag, call: partial[T]) -> T:
    try:
        return call()
    except ServiceError as error:
        failed = [error]

    # tenacity takes longer to set up than most calls take: only those that failed pay for it.
    @wraps(call.func)
    def repeated() -> T:
        if failed:
            raise failed.pop()
        return call()

    retrying = Retrying(
        retry=retry_if_exception(policy.repeats),
        wait=lambda state: min(_wait(state), policy.left(state)),
        stop=lambda state: stop.is_set() or policy.left(state) <= 0,
        sleep=lambda seconds: _sleep(stop, seconds),
        before_sleep=_warn,
        reraise=True,
    )
    result = retrying(repeated)
    trouble_log_of(call.func).over(_name(call.func))
    return result


def _wait(state: RetryCallState) -> float:
    if isinstance(_error(state), Throttled):
        return wait_random_exponential(multiplier=_FIRST_BUSY, max=_LONGEST_WAIT)(state)
    longest = min(max(state.seconds_since_start or 0, _FIRST_WAIT), _LONGEST_AWAY, _LONGEST_WAIT)
    return wait_random_exponential(multiplier=_FIRST_WAIT, max=longest)(state)


def _sleep(stop: StopFlag, seconds: float) -> None:
    stop.wait(seconds)


def _warn(state: RetryCallState) -> None:
    """Log a failed attempt; of many, of all threads that use the service, only some (see ``TroubleLog``)."""
    call: Any = getattr(state.fn, "__wrapped__", state.fn)
    # One line: some answers are whole pages.
    what = " ".join(str(_error(state)).split())[:_LONGEST_MESSAGE]
    message = "%s failed (%s); attempt %d in %.1f s"
    number, wait = state.attempt_number + 1, state.upcoming_sleep
    trouble_log_of(call).failed(_name(call), message, _name(call), what, number, wait)


def _name(call: Callable[..., object]) -> str:
    return getattr(call, "__name__", "call")


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
