"""What must hold of every decision, over random specs and random runs of them."""

from __future__ import annotations

from hypothesis import given

from floto.testing import Faults, Simulation
from floto.testing.checking.verifying import verify_run
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS, TROUBLE


def check(run: Simulation) -> None:
    """Every invariant holds of every decision and of the run; a failure names the one that does not."""
    assert all(info.close_status for info in run.infos)
    verify_run(run)


@SETTINGS
@given(runs(specs(), faults=Faults()))
def test_the_invariants_hold_where_all_goes_well(run: Simulation) -> None:
    """In turn, with every attempt a success."""
    check(run)


@SETTINGS
@given(runs(specs(), faults=TROUBLE))
def test_the_invariants_hold_whatever_becomes_of_attempts(run: Simulation) -> None:
    """In any order, with failures and time-outs."""
    check(run)


@SETTINGS
@given(runs(specs(), faults=Faults.all(0.1)))
def test_the_invariants_hold_whatever_happens(run: Simulation) -> None:
    """With every fault there is."""
    check(run)


@SETTINGS
@given(runs(specs(), faults=Faults(refuses=0.3, fails=0.1, reorders=0.2)))
def test_the_invariants_hold_whatever_swf_refuses(run: Simulation) -> None:
    """With many refusals."""
    check(run)


@SETTINGS
@given(runs(specs(), faults=Faults(cancels=0.3, fails=0.2, fails_for_good=0.2, reorders=0.2, refuses=0.1)))
def test_the_invariants_hold_while_runs_are_wound_up(run: Simulation) -> None:
    """With cancel requests, and failures for good."""
    check(run)
