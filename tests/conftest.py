"""What all tests share: a Hypothesis profile that only says yes or no, and fixtures to run workflows with."""

from __future__ import annotations

from hypothesis import Phase, settings

from tests.runs import activities, leaving, service

__all__ = ["activities", "leaving", "service"]

#: For ``tests/seeded_bugs.py``: a counterexample need not be small.
settings.register_profile("no-shrink", phases=(Phase.explicit, Phase.generate))
