"""For tests of what people build on floto: a pair of spec and history, cut to what matters."""

from __future__ import annotations

from floto.testing.counterexample import Counterexample
from floto.testing.likeness import diverges
from floto.testing.shrinking import NothingToShrink, shrink

__all__ = ["Counterexample", "NothingToShrink", "diverges", "shrink"]
