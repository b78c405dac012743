"""Invariants of every decision and of every run, over random specs and random runs of them.

The invariants themselves are the kit's, which users hold against their own specs, too.
"""

from __future__ import annotations

import pytest
from hypothesis import given

from floto.testing import INVARIANTS, RUN_INVARIANTS, Faults, Simulation
from floto.testing.checking.verifying import verify_run
from floto.testing.random_specs import SMALL_VALUES
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS, TROUBLE

#: Faults of the runs. Many faults of one sort lead further than a few of each.
FAULTS = {
    "nothing": Faults(),
    "attempts that come to nothing": TROUBLE,
    "every fault": Faults.all(0.1),
    "refusals": Faults(refuses=0.3, fails=0.1, reorders=0.2),
    "failures for good": Faults(fails=0.2, fails_for_good=0.2, reorders=0.2, refuses=0.1),
    "cancel requests": Faults(cancels=0.3, fails=0.2, fails_for_good=0.1, reorders=0.2, refuses=0.1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_invariants_hold(name: str) -> None:
    """Every invariant, of every decision and of the whole; a failure names the one that does not."""

    @SETTINGS
    @given(runs(specs(), input=SMALL_VALUES, faults=FAULTS[name]))
    def check(run: Simulation) -> None:
        verify_run(run)
        assert all(info.close_status for info in run.infos)

    check()


def test_registered_invariants_equal_the_documented_list() -> None:
    """Each of the 16 of decisions has a function of that number, and so has the law of histories."""
    numbers = {each.number for each in INVARIANTS} | {each.number for each in RUN_INVARIANTS}
    assert numbers == set(range(1, 18))
