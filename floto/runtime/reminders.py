"""Log lines about a trouble that lasts: the first at once, the next after growing pauses."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

#: Seconds from the first line about a subject to the second; each later pause is twice as long, up to an
#: hour.
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 3600.0
#: Subjects that are remembered; the one that was quiet for longest is forgotten first.
_MOST_SUBJECTS = 1000


class Reminders:
    """Says when it is time for the next line about each of many subjects."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: How often each subject came up, when its next line is due, and the pause after that.
        self._known: OrderedDict[Hashable, tuple[int, float, float]] = OrderedDict()

    def count(self, subject: Hashable) -> int:
        """Count an occurrence; return how many there were if a line is due, else 0."""
        now = self._clock()
        with self._lock:
            number, due, pause = self._known.pop(subject, (0, now, _FIRST_PAUSE))
            number += 1
            is_due = now >= due
            if is_due:
                due, pause = now + pause, min(pause * 2, _LONGEST_PAUSE)
            self._known[subject] = number, due, pause
            while len(self._known) > _MOST_SUBJECTS:
                self._known.popitem(last=False)
        return number if is_due else 0
