"""Redelivery of the tasks of a process that crashed, and which of them time out instead.

One of them may be its cause, as an activity that takes all memory. A task that has run at three crashes is a
suspect. If it is the only one of its process, it times out. If there are others, as tasks that ran beside the
cause each time, it is started again without another suspect beside it; then the next crash tells which of
them it is. So a task does not time out because it ran beside the one cause of crashes; with several causes it
may. Suspects wait for one another for a limited time only, since one may need the other; so after three more
crashes that tell nothing, they time out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K")

#: Crashes after which a task is started again, whatever runs beside it.
MAX_REDELIVERIES = 2
_LOST = MAX_REDELIVERIES + 4


def after_crash(tasks: Mapping[K, int]) -> dict[K, int]:
    """Return the new redeliveries of the tasks of a process that crashed, by those before."""
    suspects = [key for key, redeliveries in tasks.items() if redeliveries >= MAX_REDELIVERIES]
    counted = {key: redeliveries + 1 for key, redeliveries in tasks.items()}
    return counted | {suspects[0]: _LOST} if len(suspects) == 1 else counted


def is_suspect(redeliveries: int) -> bool:
    """Return True if a task must not run beside another suspect of its process."""
    return MAX_REDELIVERIES < redeliveries < _LOST


def is_lost(redeliveries: int) -> bool:
    """Return True if a task times out instead of being started again."""
    return redeliveries >= _LOST
