"""Every error floto raises on purpose.

``SpecError`` means the caller's declaration is wrong, ``HistoryError`` that a history
cannot have happened, ``ServiceError`` that the service said no or could not be reached,
and the ``Workflow...`` errors that a run ended without a result.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from floto.core.visible import visible


def _texts(problems: Iterable[str]) -> tuple[str, ...]:
    return tuple(problems)


class FlotoError(Exception):
    """The base of all of floto's errors."""


@define
class SpecError(FlotoError):
    """A spec that cannot work; ``problems`` lists everything that is wrong with it."""

    problems: tuple[str, ...] = field(converter=_texts)

    def __str__(self) -> str:
        """Return one problem per line."""
        return "\n".join(map(visible, self.problems))


@define
class HistoryError(FlotoError):
    """A history that cannot have happened, and the event where that shows."""

    event_id: int | None
    problem: str

    def __str__(self) -> str:
        """Name the event, where there is one, and what is wrong with it."""
        problem = visible(self.problem)
        return problem if self.event_id is None else f"event {self.event_id}: {problem}"


@define
class PayloadError(FlotoError):
    """A value that cannot travel through SWF, and which one it was."""

    what: str
    problem: str

    def __str__(self) -> str:
        """Name the value and what is wrong with it."""
        return visible(f"{self.what} {self.problem}")


class StoreUnavailable(PayloadError):
    """A store of payloads cannot be reached now; the same call may succeed later."""


@define
class PayloadsNeeded(FlotoError):
    """A history refers to a stored value, and no store was given to read it from."""

    what: str
    reference: str

    def __str__(self) -> str:
        """Name what refers to a stored value, and say how to give the store."""
        return (
            f"{self.what} refers to a stored value, {self.reference}; give the store that holds it: "
            "payloads=DirectoryStore(PATH) or S3Store(BUCKET), --payloads on the command line, or "
            "codec=CODEC.with_payloads(store)"
        )


class ServiceError(FlotoError):
    """The service refused a call, or could not be reached."""


class ServiceGone(ServiceError):
    """The service is gone for as long as this process lives: every later call fails as well."""


@define
class ServiceFault(ServiceError):
    """The service understood the call and refused it; ``code`` is SWF's own name for why."""

    code: str
    message: str

    def __str__(self) -> str:
        """SWF's code and message."""
        return visible(f"{self.code}: {self.message}" if self.message else self.code)


@define
class UnknownResource(ServiceFault):
    """What the call was about is not there, or not there any more."""


@define
class ServiceUnavailable(ServiceError):
    """The service could not answer now; the same call may succeed later."""

    problem: str

    def __str__(self) -> str:
        """Return what stood in the way."""
        return visible(self.problem)


class PayloadsUnavailable(ServiceUnavailable):
    """A decision needs a stored value, and the store cannot be reached now."""


class NotCarriedOut(ServiceUnavailable):
    """The call was not sent, or the service refused it unread; the same call may succeed later."""


class Throttled(NotCarriedOut):
    """The service is there, and asks to be asked less."""


class Unreachable(NotCarriedOut):
    """No connection could be made."""


class NotListening(Unreachable):
    """No connection could be made to an address of this machine: no program listens there."""


class Unauthenticated(ServiceFault):
    """The credentials of a call are missing, expired or wrong.

    At the first call that is a mistake; later it is transient, until they are refreshed or a person logs in
    again.
    """


class NotPermitted(ServiceFault):
    """The credentials of a call are right, and do not permit the operation.

    At the first call of an operation that is a mistake; later it is transient, while a policy is being
    changed.
    """


class WorkflowError(FlotoError):
    """A run ended without a result."""


@define
class WorkflowFailed(WorkflowError):
    """A run failed; ``failures`` maps the id of each failed task to its message."""

    workflow_id: str
    run_id: str
    reason: str
    failures: dict[str, str]

    def __str__(self) -> str:
        """One failed task per line, or the reason where no task is to blame."""
        if not self.failures:
            return visible(f"workflow {self.workflow_id!r} failed: {self.reason or 'no reason was given'}")
        lines = [f"  {visible(task)}: {visible(message)}" for task, message in self.failures.items()]
        return "\n".join([f"workflow {self.workflow_id!r} failed:", *lines])


@define
class WorkflowEnded(WorkflowError):
    """A run was canceled, terminated or timed out; ``how`` is SWF's close status."""

    workflow_id: str
    run_id: str
    how: str
    details: str = ""

    def __str__(self) -> str:
        """How the run ended, and the details where there are any."""
        text = f"workflow {self.workflow_id!r} ended {self.how}"
        return visible(f"{text}: {self.details}") if self.details else text
