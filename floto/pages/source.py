"""The port of the pages: the calls and actions that they need of a service.

The pages call its methods in threads, and never wait for one in the event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from attrs import field, frozen

from floto.core.replay.redrive.redrive_plan import Redrive
from floto.core.replay.saved_history import Saved
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.pollers import Live
from floto.core.swf.shapes import WorkflowExecution
from floto.pages.runs import RunRow


@frozen
class Pace:
    """The pace at which a service is read while a page is open. All values are in seconds."""

    #: Time between two refreshes.
    every: float
    #: Time for the histories of open runs in each refresh.
    histories: float
    #: Time by which the listings of the service may be late.
    lag: float
    #: Time between two refreshes without a sign of a change; pollers come and go without one.
    idle: float


@frozen(kw_only=True)
class ScheduleRow:
    """A schedule in the list of schedules."""

    id_: str
    run_id: str
    words: str
    state: str
    is_paused: bool
    #: The next fires, in the time zone of the schedule.
    next: tuple[str, ...] = ()
    last: str = ""


@frozen(kw_only=True)
class Act:
    """An action on a service: the name of its command, the run or schedule, and its further values."""

    name: str
    domain: str
    #: Workflow id of the run, or id of the schedule; empty to start a run.
    workflow_id: str = ""
    run_id: str = ""
    values: Mapping[str, str] = field(factory=dict)


class Source(Protocol):
    """A service; every method may raise ``FlotoError``."""

    @property
    def domain(self) -> str:
        """The domain that is shown if no other is chosen."""
        ...

    @property
    def name(self) -> str:
        """The name of the service, for the head of the page."""
        ...

    @property
    def codec(self) -> Codec:
        """Reads specs and generated tasks."""
        ...

    @property
    def pace(self) -> Pace:
        """The pace at which the service is read."""
        ...

    def domains(self) -> Sequence[str]:
        """Return the registered domains, sorted."""
        ...

    def version(self) -> object:
        """Return a value that differs after every change; None if only the listings can tell."""
        ...

    def open_runs(self, domain: str) -> Iterable[RunRow]:
        """Yield the open runs, the newest first."""
        ...

    def closed_runs(self, domain: str, since: int | None) -> Iterable[RunRow]:
        """Yield the closed runs, the newest first, or those that closed since a time in milliseconds."""
        ...

    def live(self) -> Live | None:
        """Return the pollers and backlogs; None if the service does not report pollers."""
        ...

    def find(self, domain: str, workflow_id: str, run_id: str) -> tuple[str, RunRow] | None:
        """Return a run and its domain, which may be another one; with no run id, the latest run."""
        ...

    def history(self, domain: str, run: WorkflowExecution) -> tuple[Event, ...]:
        """Return the events of a run."""
        ...

    def events_since(self, domain: str, run: WorkflowExecution, known: Event) -> tuple[Event, ...] | None:
        """Return the events of a run that follow a known one; None if its history has not that event.

        A service that was restored from a backup has other histories of the same runs.
        """
        ...

    def spec_of(self, history: History) -> DeciderSpec | None:
        """Return the spec of a run; None if the run carries none and none is known for it."""
        ...

    def help(self, domain: str, history: History) -> Sequence[tuple[str, Sequence[str]]]:
        """Return what an open run waits for, now, that a command helps with: a sentence and the commands."""
        ...

    def saved(self, data: bytes) -> Saved:
        """Read a saved history. Raises ``HistoryError``."""
        ...

    def types(self, domain: str) -> Sequence[tuple[str, str]]:
        """Return names and versions of the registered workflow types, at most some hundred."""
        ...

    def schedules(self, domain: str) -> Sequence[ScheduleRow]:
        """Return the open schedules, by id."""
        ...

    def command(self, act: Act) -> str:
        """Return the command line that does the same as an action."""
        ...

    def plan(self, act: Act) -> Redrive:
        """Return what a redrive would keep and run."""
        ...

    def do(self, act: Act) -> tuple[str, str]:
        """Carry out an action; return the workflow id and the run id of the run that it concerns."""
        ...
