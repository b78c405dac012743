"""The kinds of task."""

from __future__ import annotations

from floto.core.kinds import ActivityTask, Generator, Signal, Timer
from floto.core.specs import ChildWorkflow
from floto.core.tasks import Task

__all__ = ["ActivityTask", "ChildWorkflow", "Generator", "Signal", "Task", "Timer"]
