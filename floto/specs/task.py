"""The kinds of task."""

from __future__ import annotations

from floto.core.spec.decider_spec import ChildWorkflow
from floto.core.spec.kinds import ActivityTask, Generator, Signal, Timer
from floto.core.spec.rules.joins import AtLeast
from floto.core.spec.rules.wait_limits import Result
from floto.core.spec.tasks import Task

__all__ = ["ActivityTask", "AtLeast", "ChildWorkflow", "Generator", "Result", "Signal", "Task", "Timer"]
