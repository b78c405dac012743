"""Test support for specs: simulated runs, invariants, Hypothesis strategies and minimal counterexamples."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from floto.testing.checking.shrink import NothingToShrink, shrink
from floto.testing.printing.counterexample import Counterexample
from floto.testing.shrinking.equivalence import diverges
from floto.testing.simulation.choices import Choices, Taken
from floto.testing.simulation.context import Move
from floto.testing.simulation.faults import NONE, Faults
from floto.testing.simulation.outcomes import (
    USUAL,
    ActivitiesError,
    Ending,
    How,
    Outcome,
    fails,
    returns,
    takes,
    times_out,
)
from floto.testing.simulation.result import AttemptKey, Failure, Simulation
from floto.testing.simulation.result import SimulatedStep as Step
from floto.testing.simulation.simulator import Simulator, simulate
from floto.testing.simulation.timeouts import NoSuchTimeout

if TYPE_CHECKING:
    from floto.testing.checking.check import Report, check
    from floto.testing.checking.coverage import Coverage
    from floto.testing.checking.minimized_violation import MinimizedViolation
    from floto.testing.checking.verifying import verify_run
    from floto.testing.invariants import INVARIANTS, RUN_INVARIANTS, verify
    from floto.testing.invariants.violation import Invariant, RunInvariant, Violation, invariant
    from floto.testing.reading.moment import Moment
    from floto.testing.stateful import machine
    from floto.testing.strategies import histories, json_values, retry_strategies, runs, specs

#: Names whose modules import all invariants: loaded when they are first used.
_LAZY = {
    "Coverage": "floto.testing.checking.coverage",
    "MinimizedViolation": "floto.testing.checking.minimized_violation",
    "INVARIANTS": "floto.testing.invariants",
    "Invariant": "floto.testing.invariants.violation",
    "Moment": "floto.testing.reading.moment",
    "RUN_INVARIANTS": "floto.testing.invariants",
    "Report": "floto.testing.checking.check",
    "RunInvariant": "floto.testing.invariants.violation",
    "Violation": "floto.testing.invariants.violation",
    "check": "floto.testing.checking.check",
    "invariant": "floto.testing.invariants.violation",
    "verify": "floto.testing.invariants",
    "verify_run": "floto.testing.checking.verifying",
}
#: Names that need Hypothesis, which the extra ``testing`` installs.
_BY_HYPOTHESIS = {
    "histories": "floto.testing.strategies",
    "json_values": "floto.testing.strategies",
    "machine": "floto.testing.stateful",
    "retry_strategies": "floto.testing.strategies",
    "runs": "floto.testing.strategies",
    "specs": "floto.testing.strategies",
}

__all__ = [
    "INVARIANTS",
    "NONE",
    "RUN_INVARIANTS",
    "USUAL",
    "ActivitiesError",
    "AttemptKey",
    "Choices",
    "Counterexample",
    "Coverage",
    "Ending",
    "Failure",
    "Faults",
    "How",
    "Invariant",
    "MinimizedViolation",
    "Moment",
    "Move",
    "NoSuchTimeout",
    "NothingToShrink",
    "Outcome",
    "Report",
    "RunInvariant",
    "Simulation",
    "Simulator",
    "Step",
    "Taken",
    "Violation",
    "check",
    "diverges",
    "fails",
    "histories",
    "invariant",
    "json_values",
    "machine",
    "retry_strategies",
    "returns",
    "runs",
    "shrink",
    "simulate",
    "specs",
    "takes",
    "times_out",
    "verify",
    "verify_run",
]


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name) or _BY_HYPOTHESIS.get(name)
    if module is None:
        msg = f"module 'floto.testing' has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        msg = f"floto.testing.{name} needs hypothesis: pip install 'floto[testing]'"
        raise ImportError(msg, name="hypothesis") from None


def __dir__() -> list[str]:
    return sorted(__all__)
