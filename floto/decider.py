"""Deciders and daemons: the loops that respond to decision tasks."""

from __future__ import annotations

from floto.runtime.deciders.daemon import Daemon
from floto.runtime.deciders.decider import Decider
from floto.runtime.deciders.decider_process import CannotSeparate
from floto.runtime.deciders.dynamic import DynamicDecider

__all__ = ["CannotSeparate", "Daemon", "Decider", "DynamicDecider"]
