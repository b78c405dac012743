"""Fixtures shared by all tests, and the Hypothesis profile."""

from __future__ import annotations

import os

import pytest
from hypothesis import Phase, settings

from tests.runs import activities, leaving, service

__all__ = ["activities", "leaving", "service"]

#: For ``tests/seeded_bugs.py``: a counterexample need not be small.
settings.register_profile("no-shrink", phases=(Phase.explicit, Phase.generate))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three times as many workers as processors: most tests wait, for timers, polls and processes."""
    return 3 * (os.cpu_count() or 1)
