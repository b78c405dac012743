"""What SWF lets one run have: the figures that deciding, checking and the model of SWF share.

Source: https://docs.aws.amazon.com/amazonswf/latest/developerguide/swf-dg-limits.html
"""

from __future__ import annotations

#: Events of a history; SWF closes a run by force when it holds so many.
EVENT_LIMIT = 25_000
#: Activities, timers and children that may be open at a time, of each.
OPEN_LIMIT = 1_000
#: Characters of an input, result, details or control field.
DATA_LIMIT = 32_768
