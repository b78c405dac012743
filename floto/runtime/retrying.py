"""Retry service calls that failed: one table of policies, with full-jitter exponential backoff.

| policy | caller | retried errors | until |
|---|---|---|---|
| ``LOOP`` | ``floto.run``, deciders, daemons | ``ServiceUnavailable`` | stopped |
| ``AT_START`` | the same, at first | ``ServiceUnavailable`` | stopped; 30 s, unless ``Throttled`` |
| ``POLL`` | polls of deciders and workers | all but ``ServiceGone`` | stopped |
| ``POLL_ALONE`` | those of ``floto.run`` | as ``POLL``, but not missing permissions | stopped |
| ``REPORT`` | workers | all but ``ServiceGone``, "no such task", "malformed" | 1 h; 10 s if stopped |
| ``READ`` | commands that change nothing | ``ServiceUnavailable``, not ``NotListening`` | 30 s |
| ``WRITE`` | other commands, ``floto.connect`` | ``NotCarriedOut``, not ``NotListening`` | 30 s |
| ``STORE`` | deciders, with payload stores | ``PayloadsUnavailable`` | stopped; the caller's limit |
| ``STORE`` | workers, with payload stores | ``PayloadsUnavailable`` | the caller's limit; 10 s if stopped |

A permanent error (a ``ServiceError`` of no subclass: the service is closed) is retried four times at most.
The adapters classify errors; ``floto.adapters.aws_errors`` has the table for AWS. It makes credentials or
permissions that are withdrawn after a successful call transient, so that every loop survives them. At the
first call they are a mistake of configuration: ``floto.run`` and commands end with the error. Polls and
reports retry even then, because ending would leave a task list without a poller, or lose a result that may
have taken a day to compute. The task list of ``floto.run`` has no other poller, which it would wait for.

The wait before the n-th retry is random, up to 2^n times the first. For an unavailable service it is at most
4 s, and at most as long as the service has been unavailable, so that a service that recovers is used soon.
Throttled calls wait up to 1 s at first and up to 30 s later, to reduce the load. No wait is longer than the
time that is left.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from attrs import evolve, frozen
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from floto.call_deadline import deadline_in
from floto.core.errors import (
    NotCarriedOut,
    NotListening,
    NotPermitted,
    PayloadsUnavailable,
    ServiceError,
    ServiceFault,
    ServiceGone,
    ServiceUnavailable,
    Throttled,
    Unauthenticated,
    UnknownResource,
)
from floto.core.visible import shorten_middle
from floto.runtime.shutdown import StopFlag
from floto.trouble_log import trouble_log_of

P = ParamSpec("P")
T = TypeVar("T")

#: Upper limits, in seconds, of the first wait and of every wait: for an unavailable and for a busy service.
_FIRST_WAIT, _LONGEST_AWAY = 0.2, 4.0
_FIRST_BUSY, _LONGEST_WAIT = 1.0, 30.0
_LONGEST_MESSAGE = 200
#: Attempts of a call that fails with a permanent error.
_PERMANENT_ERROR_ATTEMPTS = 5
#: Seconds for which a report, and the response to a decision task, is retried after a stop.
_LAST_REPORT_SECONDS, _LAST_RESPONSE_SECONDS = 10.0, 5.0
#: Seconds for the last attempt of a command, and after a stop, perhaps over a new connection.
_LAST_READ_SECONDS, _LAST_ATTEMPT_SECONDS = 1.0, 3.0
#: Minimum seconds from the start of an empty poll to the next one.
_IDLE_SECONDS = 0.1
#: SWF's histories and listings are eventually consistent: seconds to read again, and between two reads.
LAG_SECONDS, REREAD_SECONDS = 10.0, 1.0
#: Codes of faults about the content of a request, which another attempt does not change.
MALFORMED = frozenset({"ValidationException", "ParamValidationError"})
#: Characters of SWF's message in the details of a failure: well below every limit of SWF.
_REFUSAL_LIMIT = 4_000


def rereads(wait: Callable[[float], object]) -> Iterator[None]:
    """Yield at once and then every ``REREAD_SECONDS``, for ``LAG_SECONDS`` or until ``wait`` returns True."""
    end = time.monotonic() + LAG_SECONDS
    yield
    while time.monotonic() < end and not wait(REREAD_SECONDS):
        yield


def is_permanent(error: BaseException | None) -> bool:
    """Return True for an error that is neither a fault nor transient: the service is closed or broken."""
    return isinstance(error, ServiceError) and not isinstance(error, (ServiceFault, ServiceUnavailable))


def is_malformed(error: BaseException | None) -> bool:
    """Return True if the service refused the content of a request, as it would again."""
    return isinstance(error, ServiceFault) and error.code in MALFORMED


def refusal(fault: ServiceFault) -> str:
    """Return the service's message about a refused request, for the details of a failure."""
    return shorten_middle(str(fault).encode("ascii", "backslashreplace").decode(), _REFUSAL_LIMIT)


def brief(error: BaseException | None) -> str:
    """Return the message of an error in one short line, for logs: some error responses are whole pages."""
    return " ".join(str(error).split())[:_LONGEST_MESSAGE]


@frozen
class Policy:
    """The errors after which a call is retried, and for how long."""

    errors: type[ServiceError]
    excluded: tuple[type[ServiceError], ...] = ()
    #: Seconds from the first attempt after which the last error is raised.
    seconds: float = math.inf
    #: Errors to which ``seconds`` does not apply.
    unlimited: type[ServiceError] | tuple[()] = ()
    #: True to retry malformed requests too.
    malformed: bool = True

    def repeats(self, error: BaseException) -> bool:
        """Return True if a call that failed with this error is retried while time is left."""
        is_excluded = isinstance(error, self.excluded) or (is_malformed(error) and not self.malformed)
        return isinstance(error, self.errors) and not is_excluded

    def seconds_left(self, state: RetryCallState) -> float:
        """Return the seconds that are left for another attempt."""
        if is_permanent(_error(state)) and state.attempt_number >= _PERMANENT_ERROR_ATTEMPTS:
            return 0
        if isinstance(_error(state), self.unlimited):
            return math.inf
        return self.seconds - (state.seconds_since_start or 0)


LOOP = Policy(ServiceUnavailable)
AT_START = Policy(ServiceUnavailable, seconds=30, unlimited=Throttled)
POLL = Policy(ServiceError, excluded=(ServiceGone,))
POLL_ALONE = evolve(POLL, excluded=(ServiceGone, NotPermitted, Unauthenticated))
REPORT = Policy(ServiceError, excluded=(UnknownResource, ServiceGone), seconds=3600, malformed=False)
READ = Policy(ServiceUnavailable, excluded=(NotListening,), seconds=30)
WRITE = Policy(NotCarriedOut, excluded=(NotListening,), seconds=30)
STORE = Policy(PayloadsUnavailable)


def persist(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Retry a call until it succeeds or ``stop`` is set.

    Raises ``ServiceUnavailable`` only after a stop, and every other error at once.
    """
    return _call_with(LOOP, stop, partial(call, *args, **kwargs))


def persist_after_stop(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Retry a call that finishes a claimed task: as ``persist`` does, and for 5 s after a stop."""
    return _last_call_with(LOOP, stop, partial(call, *args, **kwargs), _LAST_RESPONSE_SECONDS)


def persist_at_start(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Retry the first call of a loop as ``persist`` does: the address of the service may be wrong.

    Raises ``ServiceUnavailable`` also after 30 seconds, unless the call is throttled.
    """
    return _call_with(AT_START, stop, partial(call, *args, **kwargs))


def retry_read(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Retry an idempotent call of a command for up to 30 seconds while the service is busy or unavailable.

    Raises ``NotListening`` at once, and ``ServiceUnavailable`` after 30 seconds.
    """
    with deadline_in(READ.seconds + _LAST_READ_SECONDS):
        return _call_with(READ, StopFlag(), partial(call, *args, **kwargs))


def retry_write(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Retry a call that is not idempotent for up to 30 seconds, only after errors that mean it had no effect.

    Raises ``NotListening``, and every ``ServiceError`` that is not ``NotCarriedOut``, at once.
    """
    return _call_with(WRITE, StopFlag(), partial(call, *args, **kwargs))


def retry_store(stop: StopFlag, seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Retry a call while a payload store is unavailable, for at most ``seconds`` or until stopped.

    Raises ``PayloadsUnavailable`` after that, and every other error at once.
    """
    return _call_with(evolve(STORE, seconds=seconds), stop, partial(call, *args, **kwargs))


def poll(stop: StopFlag, call: Callable[P, T | None], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Retry a poll until it succeeds; return its task, or None if there is none or after a stop.

    Raises ``ServiceGone`` at once, and a permanent ``ServiceError`` after five attempts.
    """
    return _poll_with(POLL, stop, partial(call, *args, **kwargs))


def poll_alone(stop: StopFlag, call: Callable[P, T | None], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Retry a poll of a task list that has no other poller: as ``poll``, but not without permission.

    Raises ``NotPermitted`` and ``Unauthenticated`` at once, too.
    """
    return _poll_with(POLL_ALONE, stop, partial(call, *args, **kwargs))


def _poll_with(policy: Policy, stop: StopFlag, call: partial[T | None]) -> T | None:
    began = time.monotonic()
    try:
        task = _call_with(policy, stop, call)
    except ServiceError:
        if stop.is_set():
            return None
        raise
    if task is None:
        # A service that does not hold polls, such as one that is closing, must not be polled in a busy loop.
        stop.wait(_IDLE_SECONDS - (time.monotonic() - began))
    return task


def report(stop: StopFlag, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Retry the report of a task's outcome: faults that are not about the task itself may be transient.

    Raises ``ServiceError`` if the task or the service is gone, if the report is malformed, or after an hour.
    After a stop, it is retried for ten seconds from the stop, or from the first attempt if that was later; an
    attempt under way at the stop may take longer.
    """
    return _last_call_with(REPORT, stop, partial(call, *args, **kwargs), _LAST_REPORT_SECONDS)


def retry_payload(
    stop: StopFlag, seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Retry to read or store a value of a claimed task, for at most ``seconds``; after a stop as ``report``.

    Raises ``PayloadsUnavailable`` after that, and every other error at once.
    """
    policy = evolve(STORE, seconds=seconds)
    return _last_call_with(policy, stop, partial(call, *args, **kwargs), _LAST_REPORT_SECONDS)


def _last_call_with(policy: Policy, stop: StopFlag, call: partial[T], seconds: float) -> T:
    """Retry a call by a policy; after a stop, for ``seconds`` from the stop or from the first attempt.

    One attempt begins after the stop in any case; it fails some seconds after they are over.
    """
    left = seconds
    if not stop.is_set():
        began = time.monotonic()
        try:
            return _call_with(policy, stop, call)
        except ServiceError as error:
            if not stop.is_set() or not policy.repeats(error):
                raise
            # An attempt that hung may have used all of it; its result must not be lost for that.
            left = max(left - min(stop.age, time.monotonic() - began), 0)
    # The last attempt begins when no time is left.
    with deadline_in(left + _LAST_ATTEMPT_SECONDS):
        return _call_with(evolve(policy, seconds=left), StopFlag(), call)


def _call_with(policy: Policy, stop: StopFlag, call: partial[T]) -> T:
    began = time.monotonic()
    try:
        return call()
    except ServiceError as error:
        failed = [error]
    policy = evolve(policy, seconds=policy.seconds - (time.monotonic() - began))

    # Setting up tenacity takes longer than most calls, so make the first attempt without it.
    @wraps(call.func)
    def repeated() -> T:
        if failed:
            raise failed.pop()
        return call()

    retrying = Retrying(
        retry=retry_if_exception(policy.repeats),
        wait=lambda state: min(_wait(state), policy.seconds_left(state)),
        stop=lambda state: stop.is_set() or policy.seconds_left(state) <= 0,
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
    """Log a failed attempt, with the rate limit of ``TroubleLog`` over all threads that use the service."""
    call: Any = getattr(state.fn, "__wrapped__", state.fn)
    message = "%s failed (%s); attempt %d in %.1f s"
    number, wait = state.attempt_number + 1, state.upcoming_sleep
    trouble_log_of(call).failed(_name(call), message, _name(call), brief(_error(state)), number, wait)


def _name(call: Callable[..., object]) -> str:
    return getattr(call, "__name__", "call")


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
