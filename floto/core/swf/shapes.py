"""The small records that SWF nests in its events and decisions."""

from __future__ import annotations

from attrs import frozen


@frozen
class ActivityType:
    """Names an activity and the version of its contract."""

    name: str
    version: str


@frozen
class WorkflowType:
    """Names a workflow and the version of its contract."""

    name: str
    version: str


@frozen
class TaskList:
    """Names a queue on which deciders or workers poll."""

    name: str


@frozen
class WorkflowExecution:
    """Names one run: the workflow id people chose and the run id the service chose."""

    workflow_id: str
    run_id: str
