"""The errors that floto raises.

``SpecError`` means that a declaration is invalid, ``HistoryError`` that a history cannot have happened,
``ServiceError`` that the service refused a call or could not be reached, and a ``WorkflowError`` that a run
closed without a result.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import define, field

from floto.core.visible import visible


def _texts(problems: Iterable[str]) -> tuple[str, ...]:
    return tuple(problems)


class FlotoError(Exception):
    """The base class of floto's errors."""


@define
class SpecError(FlotoError):
    """An invalid spec; ``problems`` lists every problem."""

    problems: tuple[str, ...] = field(converter=_texts)

    def __str__(self) -> str:
        """Return one problem per line."""
        return "\n".join(map(visible, self.problems))


class Unwritable(SpecError):
    """A spec with an object whose class can have no tag, so that no codec can write it."""


@define
class HistoryError(FlotoError):
    """An impossible history; ``event_id`` is the contradicting event, or None."""

    event_id: int | None
    problem: str

    def __str__(self) -> str:
        """Return the event, if there is one, and the problem."""
        problem = visible(self.problem)
        return problem if self.event_id is None else f"event {self.event_id}: {problem}"


@define
class PayloadError(FlotoError):
    """A value that cannot be passed through SWF; ``what`` names the value."""

    what: str
    problem: str

    def __str__(self) -> str:
        """Return the name of the value and the problem."""
        return visible(f"{self.what} {self.problem}")


class StoreUnavailable(PayloadError):
    """A store of payloads that cannot be reached; the same call may succeed later."""


@define
class PayloadsNeeded(FlotoError):
    """A reference to a stored value without a store to read it from."""

    what: str
    reference: str

    def __str__(self) -> str:
        """Return the name of the value, its reference, and the ways to pass a store."""
        return (
            f"{self.what} refers to a stored value, {self.reference}; give the store that holds it: "
            "payloads=DirectoryStore(PATH) or S3Store(BUCKET), --payloads on the command line, or "
            "codec=CODEC.with_payloads(store)"
        )


class ServiceError(FlotoError):
    """A call that the service refused, or that did not reach it."""


class ServiceGone(ServiceError):
    """A service that is unusable for the rest of this process: every later call fails too."""


@define
class ServiceFault(ServiceError):
    """A call that the service refused; ``code`` is SWF's name of the error."""

    code: str
    message: str

    def __str__(self) -> str:
        """Return SWF's code and message."""
        return visible(f"{self.code}: {self.message}" if self.message else self.code)


@define
class UnknownResource(ServiceFault):
    """A call that concerns a run, task or type which does not exist, or no longer."""


@define
class ServiceUnavailable(ServiceError):
    """A call that the service could not carry out; the same call may succeed later."""

    problem: str

    def __str__(self) -> str:
        """Return the problem."""
        return visible(self.problem)


class PayloadsUnavailable(ServiceUnavailable):
    """A decision that needs a stored value from a store which cannot be reached."""


@define
class OutcomeUnknown(ServiceUnavailable):
    """A call that may have been carried out, because its response was lost; ``remedy`` says what to do."""

    remedy: str

    def __str__(self) -> str:
        """Return the problem and what to do."""
        return visible(f"{self.problem}; the call may have been carried out: {self.remedy}")


class NotCarriedOut(ServiceUnavailable):
    """A call without effect: not sent, or refused unread; the same call may succeed later."""


class Throttled(NotCarriedOut):
    """A call that the service refused because there are too many."""


class Unreachable(NotCarriedOut):
    """A failed connection to the service."""


class NotListening(Unreachable):
    """A failed connection to an address of this machine, where no program listens."""


class Unauthenticated(ServiceFault):
    """A call with missing, expired or wrong credentials.

    The error is permanent at the first call; later it is transient, until the credentials are refreshed or a
    person logs in again.
    """


class NotPermitted(ServiceFault):
    """A call whose credentials do not permit the operation.

    The error is permanent at the first call of an operation; later it is transient, while a policy is being
    changed.
    """


class WorkflowError(FlotoError):
    """A run that closed without a result."""


@define
class WorkflowFailed(WorkflowError):
    """A run that failed.

    ``failures`` maps the id of each failed task to its message, and ``results`` the id of each task that
    completed before to its result.
    """

    workflow_id: str
    run_id: str
    reason: str
    failures: dict[str, str]
    results: dict[str, Any] = field(factory=dict, repr=False)

    def __str__(self) -> str:
        """Return one failed task per line, or the reason if no task failed."""
        if not self.failures:
            return visible(f"workflow {self.workflow_id!r} failed: {self.reason or 'no reason was given'}")
        lines = [f"  {visible(task)}: {visible(message)}" for task, message in self.failures.items()]
        return "\n".join([f"workflow {self.workflow_id!r} failed:", *lines])


@define
class WorkflowEnded(WorkflowError):
    """A run that was canceled, terminated or timed out; ``how`` is SWF's close status."""

    workflow_id: str
    run_id: str
    how: str
    details: str = ""

    def __str__(self) -> str:
        """Return the close status, and the details if there are any."""
        text = f"workflow {self.workflow_id!r} ended {self.how}"
        return visible(f"{text}: {self.details}") if self.details else text
