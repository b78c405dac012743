"""Random specs, random runs of them, and every invariant of the kit, until one breaks or time is up."""

from __future__ import annotations

import signal
import time
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from floto import DeciderSpec
from floto.testing import Faults, simulate, specs
from floto.testing.invariants import INVARIANTS, RUN_INVARIANTS
from floto.testing.moment import Moment

#: Seconds that one run and its checks may take.
PATIENCE = 20
_SETTINGS = settings(
    max_examples=10**6,
    database=None,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class OverError(BaseException):
    """Enough is known; nothing that is for errors may catch it."""

    def __init__(self, by: str | None = None, what: str = "") -> None:
        self.by, self.what = by, what


def examine(seconds: float) -> dict[str, Any]:
    """What breaks first, and after how many runs."""
    runs = 0
    end = time.monotonic() + seconds
    signal.signal(signal.SIGALRM, _hang)

    @seed(0)
    @_SETTINGS
    @given(specs(), st.integers(0, 2**32), st.sampled_from([0.02, 0.1, 0.3]))
    def look(spec: DeciderSpec, number: int, rate: float) -> None:
        nonlocal runs
        if time.monotonic() > end:
            raise OverError
        runs += 1
        signal.alarm(PATIENCE)
        _check(spec, number, Faults.all(rate))
        signal.alarm(0)

    over = OverError()
    try:
        look()
    except OverError as error:
        over = error
    return {"by": over.by, "what": over.what, "runs": runs}


def _hang(*_: Any) -> None:
    by, what = "hang", f"no end after {PATIENCE} seconds"
    raise OverError(by, what)


def _check(spec: DeciderSpec, number: int, faults: Faults) -> None:
    try:
        simulation = simulate(spec, seed=number, faults=faults)
        for step in simulation.steps:
            moment = Moment(step.spec, step.history, step.decisions)
            for invariant in INVARIANTS:
                invariant.holds(moment)
        for run_invariant in RUN_INVARIANTS:
            run_invariant.holds(simulation)
    except AssertionError as error:
        raise OverError("invariant", str(error)) from None
    except Exception as error:
        raise OverError("crash", f"{type(error).__name__}: {error}") from None
