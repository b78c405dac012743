"""The kinds of task."""

from __future__ import annotations

from floto.core.specs import ActivityTask, ChildWorkflow, Generator, Timer
from floto.core.tasks import Task

__all__ = ["ActivityTask", "ChildWorkflow", "Generator", "Task", "Timer"]
