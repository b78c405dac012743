"""Limits of the time that a task waits for something from outside, such as a signal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import field, frozen

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.spec.tasks import NO_RESULT
from floto.core.swf.identifiers import shown
from floto.core.swf.limits import SECONDS_LIMIT

_WORDS = ("fail", "skip")


@frozen
class Result:
    """The result of a task whose time is up: ``on_timeout=Result({"approved": False})``."""

    value: Any = field(converter=payload.freeze)


#: ``fail``, ``skip`` or ``Result(value)``.
OnTimeout = str | Result


@frozen
class WaitLimit:
    """The limit of a wait, from the moment at which all requirements of the task are met.

    The member ``wait_limit`` of a task whose ``start`` returns None has this type.

    Args:
        seconds: Seconds until the task times out.
        on_timeout: ``fail``: the task fails. ``skip``: it is skipped. ``Result(value)``: it completes with
            this result.
    """

    seconds: int
    on_timeout: OnTimeout = "fail"

    @property
    def result(self) -> Any:
        """The result of a task that has timed out; ``NO_RESULT`` if it has none."""
        return self.on_timeout.value if isinstance(self.on_timeout, Result) else NO_RESULT

    @property
    def message(self) -> str:
        """The message of a task that has timed out."""
        return f"timed out after {self.seconds} seconds"


def wait_limit_of(task: Any) -> WaitLimit | None:
    """Return the limit of a task's wait; None if there is none."""
    found = getattr(task, "wait_limit", None)
    # A user's own kind may have a member of this name for something else.
    return found if isinstance(found, WaitLimit) else None


def wait_limit_problems(timeout: Any, on_timeout: Any) -> Iterable[str]:
    """Yield the problems of the time-out of a wait, one line each."""
    if timeout is not None and not _is_seconds(timeout):
        most = f"from 0 to {SECONDS_LIMIT:,}, or None"
        yield f"timeout must be an integer number of seconds {most}, not {shown(timeout)}"
    yield from _on_timeout_problems(on_timeout)
    if timeout is None and on_timeout != _WORDS[0]:
        yield "on_timeout has no effect without timeout"


def limit_problems(limit: WaitLimit) -> Iterable[str]:
    """Yield the problems of the fields of a limit, one line each."""
    if not _is_seconds(limit.seconds):
        most = f"from 0 to {SECONDS_LIMIT:,}"
        yield f"seconds must be an integer {most}, not {shown(limit.seconds)}"
    yield from _on_timeout_problems(limit.on_timeout)


def _is_seconds(value: Any) -> bool:
    return type(value) is int and 0 <= value <= SECONDS_LIMIT


def _on_timeout_problems(on_timeout: Any) -> Iterable[str]:
    if isinstance(on_timeout, Result):
        try:
            payload.dumps(on_timeout.value, "the result of on_timeout")
        except PayloadError as error:
            yield str(error)
    elif not (isinstance(on_timeout, str) and on_timeout in _WORDS):
        yield f"on_timeout must be 'fail', 'skip' or Result(value), not {shown(on_timeout)}"
