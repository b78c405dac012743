"""Who decides what is next."""

from __future__ import annotations

from floto.runtime.daemon import Daemon
from floto.runtime.decider import Decider
from floto.runtime.dynamic import DynamicDecider

__all__ = ["Daemon", "Decider", "DynamicDecider"]
