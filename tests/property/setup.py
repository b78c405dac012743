"""Settings of the property tests: the effort of Hypothesis, and the faults of runs."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from floto import CODEC, DeciderSpec
from floto.testing import Faults

SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
#: Attempts that come to nothing, in any order.
TROUBLE = Faults(fails=0.2, fails_for_good=0.1, times_out=0.1, reorders=0.3, delays_answer=0.1, signals=0.1)


_RULES = ("when", "join", "on_error", "timeout")


def has_rules(spec: DeciderSpec) -> bool:
    """Return True if a task of a spec, of its children or of what its generators return has a rule."""
    text = CODEC.dumps(spec)
    return any(f'"{name}"' in text for name in (*_RULES, "tolerated_failures", "min_successful"))
