"""The small records and enums that SWF's events and decisions share."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class ChildPolicy(StrEnum):
    """Treatment of the children of a run that is terminated or times out.

    Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_StartWorkflowExecution.html
    """

    TERMINATE = "TERMINATE"
    REQUEST_CANCEL = "REQUEST_CANCEL"
    ABANDON = "ABANDON"


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

    def __str__(self) -> str:
        """Return the run as commands name it: ``WORKFLOW_ID@RUN_ID``."""
        return f"{self.workflow_id}@{self.run_id}"
