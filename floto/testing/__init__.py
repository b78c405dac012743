"""For tests of what people build on floto: simulated runs, and counterexamples cut to what matters."""

from __future__ import annotations

from floto.testing.choices import Choices, Taken
from floto.testing.counterexample import Counterexample
from floto.testing.endings import ActivitiesError
from floto.testing.faults import NONE, Faults
from floto.testing.likeness import diverges
from floto.testing.outcomes import USUAL, Ending, How, Outcome, fails, returns, takes, times_out
from floto.testing.shrinking import NothingToShrink, shrink
from floto.testing.simulation import AttemptKey, Failure, Simulation, Step
from floto.testing.simulator import Simulator, simulate
from floto.testing.stage import Move
from floto.testing.timeouts import NoSuchTimeout

__all__ = [
    "NONE",
    "USUAL",
    "ActivitiesError",
    "AttemptKey",
    "Choices",
    "Counterexample",
    "Ending",
    "Failure",
    "Faults",
    "How",
    "Move",
    "NoSuchTimeout",
    "NothingToShrink",
    "Outcome",
    "Simulation",
    "Simulator",
    "Step",
    "Taken",
    "diverges",
    "fails",
    "returns",
    "shrink",
    "simulate",
    "takes",
    "times_out",
]
