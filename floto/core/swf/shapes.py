"""The small records that SWF nests in its events and decisions."""

from __future__ import annotations

from attrs import frozen


@frozen
class ActivityType:
    """The name and version of an activity type."""

    name: str
    version: str


@frozen
class WorkflowType:
    """The name and version of a workflow type."""

    name: str
    version: str


@frozen
class TaskList:
    """The name of a task list, from which deciders or workers poll tasks."""

    name: str


@frozen
class WorkflowExecution:
    """A run: the workflow id of the user, and the run id of the service."""

    workflow_id: str
    run_id: str
