"""SWF's limits of runs, domains and accounts, shared by the decider, the checks and the embedded engine.

Source: https://docs.aws.amazon.com/amazonswf/latest/developerguide/swf-dg-limits.html
"""

from __future__ import annotations

#: Maximum events of a history; SWF terminates a run that reaches it.
EVENT_LIMIT = 25_000
#: Events from which a run is near its limit: floto warns, and no longer retries activities that were given
#: back.
LATE_EVENTS = EVENT_LIMIT * 4 // 5
#: Maximum open activities of a run; the same for timers and for children.
OPEN_LIMIT = 1_000
#: Maximum characters of an input, result, details or control field.
DATA_LIMIT = 32_768
#: Maximum, and default, timeout of a Lambda function in seconds.
LAMBDA_LIMIT = 900
#: Maximum retention of closed runs in days.
RETENTION_LIMIT = 90
#: Maximum domains of an account, including deprecated ones.
DOMAIN_LIMIT = 100
#: Maximum activity types of a domain, including deprecated ones; the same for workflow types.
TYPE_LIMIT = 10_000
#: Maximum open runs of a domain, including children.
OPEN_RUN_LIMIT = 100_000
#: Maximum pending polls of a task list.
POLLER_LIMIT = 1_000
#: Maximum tags of a domain.
TAG_LIMIT = 50
#: Maximum events, types or runs of a page.
PAGE_LIMIT = 1_000
