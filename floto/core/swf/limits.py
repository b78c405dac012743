"""SWF's limits, shared by the decider, the checks, the runtime and the embedded engine.

Each number stands here and nowhere else in the package. Sources:
https://docs.aws.amazon.com/amazonswf/latest/developerguide/swf-dg-limits.html for runs, domains, accounts and
pages, https://docs.aws.amazon.com/amazonswf/latest/apireference/API_Operations.html and its pages for the
lengths and ranges of members; a link is given where a limit stands elsewhere.
"""

from __future__ import annotations

#: Maximum events of a history; SWF terminates a run that reaches it.
EVENT_LIMIT = 25_000
#: Events from which a run is near its limit: floto warns, and no longer retries activities that were given
#: back.
LATE_EVENTS = EVENT_LIMIT * 4 // 5
#: Maximum open activities of a run; the same for timers and for children.
OPEN_LIMIT = 1_000
#: Maximum seconds of a run.
RUN_SECONDS_LIMIT = 31_536_000
#: Maximum, and default, timeout of a Lambda function in seconds:
#: https://docs.aws.amazon.com/amazonswf/latest/developerguide/lambda-task.html
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
#: Seconds for which SWF holds a poll without a task:
#: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_PollForActivityTask.html
POLL_SECONDS = 60.0
#: Maximum events, types or runs of a page.
PAGE_LIMIT = 1_000

#: Maximum characters of an input, result, details or control field.
DATA_LIMIT = 32_768
#: Maximum characters of the details of a heartbeat:
#: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_RecordActivityTaskHeartbeat.html
HEARTBEAT_LIMIT = 2_048
#: Maximum characters of an id, and of the name of a type, task list, domain, signal or marker.
NAME_LIMIT = 256
#: Maximum characters of the version of a type.
VERSION_LIMIT = 64
#: Maximum characters of a run id.
RUN_ID_LIMIT = 64
#: Maximum characters of the name of a Lambda function.
FUNCTION_NAME_LIMIT = 64
#: Maximum characters of the reason of a failure or a termination.
REASON_LIMIT = 256
#: Maximum characters of the identity of a decider or a worker.
IDENTITY_LIMIT = 256
#: Maximum characters of the description of a type or a domain.
DESCRIPTION_LIMIT = 1_024
#: Maximum characters of an ARN.
ARN_LIMIT = 1_600
#: Maximum characters of a task token.
TASK_TOKEN_LIMIT = 1_024
#: Maximum characters of a page token.
PAGE_TOKEN_LIMIT = 2_048
#: Maximum tags of a run, and characters of each.
RUN_TAG_LIMIT, TAG_LENGTH_LIMIT = 5, 256
#: Maximum tags of a domain, and characters of their keys and values.
TAG_LIMIT, TAG_KEY_LIMIT, TAG_VALUE_LIMIT = 50, 128, 256
#: Maximum digits of a time-out, a timer or a retention, and the number that they can express.
NUMBER_DIGITS = 8
SECONDS_LIMIT = 10**NUMBER_DIGITS - 1
#: The 32-bit integers: every task priority, and every integer of a request.
INT32 = range(-(2**31), 2**31)
