"""Who decides what is next."""

from __future__ import annotations

from floto.runtime.daemon import Daemon
from floto.runtime.decider import Decider
from floto.runtime.dynamic import DynamicDecider
from floto.runtime.separate import CannotSeparate

__all__ = ["CannotSeparate", "Daemon", "Decider", "DynamicDecider"]
