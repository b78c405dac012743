"""Redelivery of the tasks of a process that crashed, and which of them time out instead.

A task may be the cause of the crash, as an activity that takes all memory. A task that has run at three
crashes is a suspect. A suspect that was the only one of its process times out. If there were several, because
tasks ran beside the cause each time, each is redelivered while no other suspect runs in its process; the next
crash then tells which of them is the cause. Suspects wait for one another for a limited time only, since one
may need the other; so after three more crashes that do not tell, they time out. With several causes, a task
may time out that only ran beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K")

#: Maximum crashes of its owners after which a task is redelivered beside any other.
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
    """Return True if a task times out instead of being redelivered."""
    return redeliveries >= _LOST
