"""The activity whose function a simulation calls: ``floto.current()`` reads it from here.

``floto.current()`` belongs to the runtime, which a simulation does not know. So the simulation leaves the
task here, and the runtime makes of it what its workers make of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from attrs import define

from floto.core.swf.service import PolledActivityTask


@define(eq=False)
class SimulatedActivity:
    """An activity task whose function is called in a simulation."""

    task: PolledActivityTask
    #: What the function last sent with a heartbeat; empty if that is nothing.
    details: str = ""

    def record(self, _token: str, details: str | None) -> bool:
        """Record a heartbeat; return False, because no cancel request arrives during the call."""
        self.details = self.details if details is None else details
        return False


_CALLED: ContextVar[SimulatedActivity | None] = ContextVar("floto_simulated_activity", default=None)


def simulated_activity() -> SimulatedActivity | None:
    """Return the activity whose function a simulation calls in this context; None outside of simulations."""
    return _CALLED.get()


@contextmanager
def calling(activity: SimulatedActivity) -> Iterator[None]:
    """Make an activity the one whose function is called during the block."""
    mark = _CALLED.set(activity)
    try:
        yield
    finally:
        _CALLED.reset(mark)
