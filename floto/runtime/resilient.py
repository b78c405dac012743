"""Service calls that fail in passing are made again, with full-jitter exponential backoff."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from floto.core.errors import (
    PayloadsUnavailable,
    ServiceError,
    ServiceFault,
    ServiceGone,
    ServiceUnavailable,
    Throttled,
    UnknownResource,
    Unreachable,
)
from floto.runtime.stopping import StopFlag
from floto.trouble_log import trouble_log_of

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds between attempts: the first wait, and the longest, of a service that is busy or of one that is
#: away. What comes back is used again soon; a service that asks to be asked less is.
_FIRST_WAIT, _LONGEST_WAIT, _LONGEST_AWAY = 0.2, 30.0, 4.0
#: A service that was never reached is tried for so long: its address may be wrong.
_REACH_SECONDS = 20.0
_LONGEST_MESSAGE = 200
#: When stopped, what is left of a task is tried for so long.
_LAST_SECONDS = 5.0
#: A service that is closed is asked so many times before its callers give up.
_LAST_ATTEMPTS = 5
#: A report is tried for so long: what took a day to work out is worth an hour.
_REPORT_SECONDS = 3600.0
#: A report that fails is tried for so many seconds after the stop, or after it began if that is later.
_LAST_REPORT_SECONDS = 10.0
#: An empty poll that took less than this is not made again before.
_IDLE_SECONDS = 0.1
#: Codes of refusals of what a request says, which another attempt does not change.
MALFORMED = frozenset({"ValidationException", "ParamValidationError"})


def persist(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call until the service answers it, or until ``stop`` is set.

    Raises ``ServiceUnavailable`` only when stopped, and every other error at once.
    """
    return _made(partial(call, *args, **kwargs), stop, _in_passing, lambda _state: stop.is_set())


def conclude(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``persist`` for a task in hand: when stopped, it is worth some seconds more."""
    try:
        return persist(stop, call, *args, **kwargs)
    except ServiceUnavailable:

        def is_over(state: RetryCallState) -> bool:
            return (state.seconds_since_start or 0) >= _LAST_SECONDS

        return _made(partial(call, *args, **kwargs), StopFlag(), _in_passing, is_over)


def reach(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``persist`` for the first call of all; raises ``ServiceUnavailable`` if nobody answers for a while."""

    def is_over(state: RetryCallState) -> bool:
        is_there = isinstance(state.outcome and state.outcome.exception(), Throttled)
        return stop.is_set() or (not is_there and (state.seconds_since_start or 0) >= _REACH_SECONDS)

    return _made(partial(call, *args, **kwargs), stop, _in_passing, is_over)


def inquire(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call that changes nothing, or the same again, for a command that a person waits for.

    It is made again for up to 20 seconds while the service is busy. Raises ``Unreachable`` at once where no
    connection can be made, and ``ServiceUnavailable`` after that time.
    """

    def is_over(state: RetryCallState) -> bool:
        is_nobody = isinstance(state.outcome and state.outcome.exception(), Unreachable)
        return is_nobody or (state.seconds_since_start or 0) >= _REACH_SECONDS

    return _made(partial(call, *args, **kwargs), StopFlag(), _in_passing, is_over)


def outlast(stop: StopFlag, seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call again while a store of payloads cannot be reached, for so many seconds or until stopped.

    Raises ``PayloadsUnavailable`` after that, and every other error at once.
    """

    def is_over(state: RetryCallState) -> bool:
        return stop.is_set() or (state.seconds_since_start or 0) >= seconds

    return _made(partial(call, *args, **kwargs), stop, _is_away, is_over)


def poll(stop: StopFlag, call: Callable[P, T | None], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Poll until the service answers; None when stopped.

    A poll that is refused is made again too: a poller that ends at the first fault leaves
    its task list to nobody. Raises ``ServiceError`` when the service is closed for good, and ``ServiceGone``
    at once.
    """
    began = time.monotonic()
    try:
        task = _made(
            partial(call, *args, **kwargs), stop, _any, lambda state: stop.is_set() or _is_last(state)
        )
    except ServiceError:
        if stop.is_set():
            return None
        raise
    if task is None:
        # A service that answers at once, such as one being closed, must not be asked as fast.
        stop.wait(_IDLE_SECONDS - (time.monotonic() - began))
    return task


def report(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Tell the service what came of a task: refusals that are not about the task itself may pass.

    Raises ``ServiceError`` when the task or the service is gone, the report malformed or an hour over; when
    stopped, 10 seconds.
    """
    reporting, began = partial(call, *args, **kwargs), time.monotonic()

    def is_interrupted(state: RetryCallState) -> bool:
        return stop.is_set() or _is_last(state) or time.monotonic() - began >= _REPORT_SECONDS

    def is_over(state: RetryCallState) -> bool:
        return _is_last(state) or min(stop.age, time.monotonic() - began) >= _LAST_REPORT_SECONDS

    try:
        return _made(reporting, stop, _may_be_told_later, is_interrupted)
    except ServiceError as error:
        if not stop.is_set() or not _may_be_told_later(error):
            raise
    return _made(reporting, StopFlag(), _may_be_told_later, is_over)


def final(error: BaseException | None) -> bool:
    """Whether the service neither refused this call nor was busy: it is closed, or broken."""
    return isinstance(error, ServiceError) and not isinstance(error, (ServiceFault, ServiceUnavailable))


def is_malformed(error: BaseException | None) -> bool:
    """Return True if the service refused what a request says: it would refuse it again."""
    return isinstance(error, ServiceFault) and error.code in MALFORMED


def _in_passing(error: BaseException) -> bool:
    return isinstance(error, ServiceUnavailable)


def _is_away(error: BaseException) -> bool:
    return isinstance(error, PayloadsUnavailable)


def _any(error: BaseException) -> bool:
    return isinstance(error, ServiceError) and not isinstance(error, ServiceGone)


def _may_be_told_later(error: BaseException) -> bool:
    if isinstance(error, ServiceFault):
        return not isinstance(error, UnknownResource) and not is_malformed(error)
    return _any(error)


def _is_last(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    return final(error) and state.attempt_number >= _LAST_ATTEMPTS


def _made(
    call: partial[T],
    stop: StopFlag,
    again: Callable[[BaseException], bool],
    is_over: Callable[[RetryCallState], bool],
) -> T:
    try:
        return call()
    except ServiceError as error:
        failed = [error]

    # What retries takes longer to set up than most calls take: only those that failed pay for it.
    @wraps(call.func)
    def repeated() -> T:
        if failed:
            raise failed.pop()
        return call()

    retrying = Retrying(
        retry=retry_if_exception(again),
        wait=_wait,
        stop=is_over,
        sleep=lambda seconds: _sleep(stop, seconds),
        before_sleep=_warn,
        reraise=True,
    )
    result = retrying(repeated)
    trouble_log_of(call.func).over(_name(call.func))
    return result


def _wait(state: RetryCallState) -> float:
    """Full jitter, and never longer than it has failed already: a second without a service costs no more."""
    is_busy = isinstance(state.outcome and state.outcome.exception(), Throttled)
    most = _LONGEST_WAIT if is_busy else min(_LONGEST_AWAY, _LONGEST_WAIT)
    longest = min(max(state.seconds_since_start or 0, _FIRST_WAIT), most)
    return wait_random_exponential(multiplier=_FIRST_WAIT, max=longest)(state)


def _sleep(stop: StopFlag, seconds: float) -> None:
    stop.wait(seconds)


def _warn(state: RetryCallState) -> None:
    """Log a failed attempt; of many, of all threads that use the service, only some (see ``TroubleLog``)."""
    error = state.outcome.exception() if state.outcome else None
    call: Any = getattr(state.fn, "__wrapped__", state.fn)
    # One line: some answers are whole pages.
    what = " ".join(str(error).split())[:_LONGEST_MESSAGE]
    message = "%s failed (%s); attempt %d in %.1f s"
    number, wait = state.attempt_number + 1, state.upcoming_sleep
    trouble_log_of(call).failed(_name(call), message, _name(call), what, number, wait)


def _name(call: Callable[..., object]) -> str:
    return getattr(call, "__name__", "call")
