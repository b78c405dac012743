"""Runs of every situation, and the invariants of the kit after each, until one breaks or time is up."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from floto.testing import Choices, Simulation, Simulator
from floto.testing.invariants import INVARIANTS, RUN_INVARIANTS
from floto.testing.reading.moment import Moment
from tests.mutation.situations import Arguments, turns

#: Seconds of the processor that one run and its checks may take.
PATIENCE = 20
#: Finds fault with specs, and those at the limits are at fault on purpose.
_OF_THE_SPEC = {"generators_fit", "payloads_fit", "waits_end_before_the_run"}
_INVARIANTS = tuple(each for each in INVARIANTS if each.name not in _OF_THE_SPEC)
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


def examine(seconds: float, module: str = "") -> dict[str, Any]:
    """Return the first violation of a mutant of a module, and the number of runs before it.

    The situations are tried in turn, again and again.

    Seconds are those of the processor, so that a loaded machine gives no other verdict.
    """
    end = time.process_time() + seconds
    signal.signal(signal.SIGPROF, _hang)
    runs = 0
    rounds = ((number, *turn) for number in itertools.count() for turn in turns(module))
    for number, situation, share in rounds:
        until = min(end, time.process_time() + share)
        over, more = _turn(situation, number, until)
        runs += more
        if over.by is not None or time.process_time() >= end:
            break
    return {"by": over.by, "what": over.what, "runs": runs}


def _turn(situation: st.SearchStrategy[Arguments], number: int, until: float) -> tuple[OverError, int]:
    runs = 0

    @seed(number)
    @_SETTINGS
    @given(situation)
    def look(arguments: Arguments) -> None:
        nonlocal runs
        if time.process_time() > until:
            raise OverError
        runs += 1
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        _check(arguments)
        signal.setitimer(signal.ITIMER_PROF, 0)

    try:
        look()
    except OverError as over:
        return over, runs
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return OverError(), runs


def _hang(*_: Any) -> None:
    by, what = "hang", f"no end after {PATIENCE} seconds"
    raise OverError(by, what)


def _simulated(seed: int = 0, script: Sequence[int] | None = None, **given: Any) -> Simulation:
    """Without a look at names: of random specs, not all have what the activities are given for."""
    return Simulator(choices=Choices.of(seed, script), **given).run()


def _check(arguments: Arguments) -> None:
    name = ""
    try:
        simulation = _simulated(**arguments)
        for step in simulation.steps:
            moment = Moment(step.spec, step.history, step.decisions)
            for invariant in _INVARIANTS:
                name = invariant.name
                invariant.holds(moment)
        for run_invariant in RUN_INVARIANTS if "patience" not in arguments else ():
            name = run_invariant.name
            run_invariant.holds(simulation)
    except AssertionError as error:
        by, what = "invariant", f"{name}: {error}"
        raise OverError(by, what) from None
    except Exception as error:  # noqa: BLE001 - whatever a mutant makes of floto
        by, what = "crash", f"{name}: {type(error).__name__}: {error}"
        raise OverError(by, what) from None
