"""The embedded engine as a service: what it does in one commit takes several calls elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from attrs import frozen

from floto.core.engine.changed_keys import ChangedKeys
from floto.core.state.state import State
from floto.core.swf.decisions import Decision
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask, ReportsActivities, Service


def _nothing() -> None:
    """Do nothing."""


@frozen
class Decided:
    """The decisions for a decision task, and functions to call when they are committed."""

    decisions: Sequence[Decision]
    #: Called at once, by the thread that commits.
    on_commit: Callable[[], None]
    #: Called by the thread that polls, within a second; without delay if the decisions do more than to
    #: schedule activities.
    report: Callable[[], None] = _nothing


class DecidesAtOnce(Protocol):
    """Decides in the transaction that claims a decision task."""

    @property
    def is_stopped(self) -> bool:
        """True if no other task is to be claimed: the poll then returns None; read by any thread."""
        ...

    def decide(self, task: PolledDecisionTask, state: State, changed: ChangedKeys) -> Decided | None:
        """Return the decisions for a task; None to leave it to the thread that polls.

        The thread that commits calls this, and all others wait for it: it is quick, executes no code of users
        and calls no service. An exception counts as None.

        Args:
            task: The task, with the latest events, at least since the start of the previous one that got a
                response.
            state: The state after the whole history, which the engine has.
            changed: The keys of the items that changed lately.
        """
        ...


#: Returns the task that was claimed with a report, or None; raises the error of the report.
NextTask = Callable[[], PolledActivityTask | None]


@runtime_checkable
class EmbeddedService(Service, Protocol):
    """A service in this process, which can do in one commit what takes several calls elsewhere."""

    def poll_and_decide(
        self, task_list: str, identity: str, wait: float, decider: DecidesAtOnce
    ) -> PolledDecisionTask | None:
        """Poll for decision tasks and decide at once; return a task that is left to the caller, or None."""
        ...

    def begin_report(  # noqa: PLR0913 - the last two say which thread commits
        self,
        report: Callable[[ReportsActivities, str], None],
        token: str,
        poll_as: tuple[str, str],
        done: Callable[[NextTask], None],
        *,
        leads: bool,
        lead_in: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """Report the outcome of an activity, and claim the next task of a task list if there is one.

        Args:
            report: Called with an object that reports, and the token.
            token: The token of the activity's task.
            poll_as: The task list of the next task, and the identity of the worker.
            done: Called once, in any thread, after the commit or a failure, with a function that returns the
                next task or None, or raises the error. ``done`` must not call the service.
            leads: Commit in this thread, if no other thread does; otherwise this returns at once.
            lead_in: Makes a call later, in a free thread, which commits if no other does; default: in a
                thread of the service.
        """
        ...

    def give_back(self, token: str) -> None:
        """Let a claimed task be claimed again, with the same token."""
        ...

    def end_polls(self, task_list: str) -> None:
        """End the polls of this process that wait for a task of a task list, without a task."""
        ...


def embedded(service: Service) -> EmbeddedService | None:
    """Return the service if its calls may be combined, else None.

    A proxy that forwards every attribute is not an embedded service: combined calls would bypass it.
    """
    is_proxy = not hasattr(type(service), "poll_and_decide")
    return None if is_proxy or not isinstance(service, EmbeddedService) else service
