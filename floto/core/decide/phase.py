"""The phase of a run: what its next decision is about."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from floto.core.decide.progress import Progress
from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.state.state import State
from floto.core.swf.reserved_names import FAILURES_MARKER


class RunPhase(StrEnum):
    """Phase of a run."""

    #: Ready tasks are started.
    RUNNING = "running"
    #: All tasks are done.
    COMPLETING = "completing"
    #: A task has failed.
    FAILING = "failing"
    #: The failures are recorded. The cleanup runs to its end, also if cancellation is requested.
    CLEANING_UP = "cleaning up"
    #: Cancellation was requested; the cleanup runs, then the run is canceled.
    CANCELING = "canceling"
    CLOSED = "closed"

    # ``Enum.__hash__`` is implemented in Python; phases are keys, so use the C hash of ``str``.
    __hash__ = str.__hash__


def phase(progress: Progress) -> RunPhase:
    """Return the phase of a run."""
    state = progress.state
    if state.closed is not None:
        return RunPhase.CLOSED
    if noted_failures(state) is not None:
        return RunPhase.CLEANING_UP
    if state.cancel_requested is not None:
        return RunPhase.CANCELING
    if progress.exhausted:
        return RunPhase.FAILING
    return RunPhase.COMPLETING if len(progress.outcomes) == len(progress.plan.tasks) else RunPhase.RUNNING


def run_failures(progress: Progress) -> Mapping[str, str]:
    """Return the failures for which a run fails or cleans up: the recorded ones, else those of its tasks."""
    noted = noted_failures(progress.state)
    return progress.failures if noted is None else noted


def noted_failures(state: State) -> dict[str, str] | None:
    """Return the failures that the cleanup of a run began with; None if it has not begun."""
    marker = state.markers.get(FAILURES_MARKER)
    if marker is None:
        return None
    try:
        noted = payload.loads(marker.data.details)
    except PayloadError:
        return None
    # Other programs may record a marker of this name.
    written = isinstance(noted, dict) and all(isinstance(each, str) for each in noted.values())
    return noted if written else None
