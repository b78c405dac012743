"""The values that floto uses where a caller names none, the same for every service. Times are in seconds."""

from __future__ import annotations

DEFAULT_DOMAIN = "floto"
DEFAULT_TASK_LIST = "floto"
#: Days for which a domain that floto registers keeps closed runs.
RETENTION_DAYS = 30

#: Of the workflow types that floto registers: a year for a run, a minute for a decision task.
EXECUTION_SECONDS, DECISION_SECONDS = "31536000", "60"
CHILD_POLICY = "TERMINATE"
#: Of the activity types that floto registers: no limit but that of heartbeats, which workers send by
#: themselves: the task of a crashed worker times out after ten minutes at most.
ACTIVITY_SECONDS, HEARTBEAT_SECONDS = "NONE", "600"
