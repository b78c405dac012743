"""What SWF lets a run, domain or account have: figures that deciding, checking and the model of SWF share.

Source: https://docs.aws.amazon.com/amazonswf/latest/developerguide/swf-dg-limits.html
"""

from __future__ import annotations

#: Events of a history; SWF closes a run by force when it holds so many.
EVENT_LIMIT = 25_000
#: Events from which on a run has little room left: floto warns, and offers no task again that was given back.
LATE_EVENTS = EVENT_LIMIT * 4 // 5
#: Activities, timers and children of a run that may be open at a time, of each.
OPEN_LIMIT = 1_000
#: Characters of an input, result, details or control field.
DATA_LIMIT = 32_768
#: Seconds that a Lambda function may take, and takes at most if nothing is said.
LAMBDA_LIMIT = 900
#: Days that closed runs are kept.
RETENTION_LIMIT = 90
#: Domains of an account, deprecated ones included.
DOMAIN_LIMIT = 100
#: Activity types and workflow types of a domain, of each, deprecated ones included.
TYPE_LIMIT = 10_000
#: Open runs of a domain, children included.
OPEN_RUN_LIMIT = 100_000
#: Polls that wait on one task list.
POLLER_LIMIT = 1_000
#: Tags of a domain.
TAG_LIMIT = 50
#: Events, types or runs of one page.
PAGE_LIMIT = 1_000
