"""SWF's simple API: register, start, signal and end."""

from __future__ import annotations

from floto.core.spec.registrations import ActivityType, WorkflowType
from floto.runtime.api import Domains, Swf

__all__ = ["ActivityType", "Domains", "Swf", "WorkflowType"]
