"""The status of each task of a run: its state in one word, its attempts and its times."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from attrs import frozen

from floto.core.spec.tasks import Task
from floto.core.state.failures import failure_of
from floto.core.state.state import Item, Kind, State, Status
from floto.core.swf.reserved_names import RESERVED_PREFIX

RETRYING, WAITING = "retrying", "waiting"
_STYLES = {
    "running": "cyan",
    "queued": "blue",
    RETRYING: "yellow",
    "completed": "green",
    "canceled": "magenta",
    WAITING: "dim",
}


@frozen
class Row:
    """The status of one task."""

    task: str
    state: str
    attempt: int = 0
    began: datetime | None = None
    ended: datetime | None = None
    problem: str = ""

    def seconds(self, now: datetime) -> float | None:
        """Return the seconds of the latest attempt, up to ``now`` if it runs; None before it starts."""
        return None if self.began is None else max(((self.ended or now) - self.began).total_seconds(), 0)


def rows(tasks: Iterable[Task], state: State) -> list[Row]:
    """Return the status of tasks, in the given order."""
    waits = {
        item.opened.data.control for item in state.items.values() if _is_retry_wait(item) and item.opened
    }
    items = [(task.id_, state.items.get(task.key)) for task in tasks]
    return [Row(id_, WAITING) if item is None else row_of(id_, item, waits) for id_, item in items]


def _is_retry_wait(item: Item) -> bool:
    return item.key[0] is Kind.TIMER and item.key[1].startswith(RESERVED_PREFIX) and item.is_open


def row_of(id_: str, item: Item, waits: Collection[str | None] = ()) -> Row:
    """Return the status of one task.

    Args:
        id_: The id of the task.
        item: Its item in the state of the run.
        waits: Ids of the tasks whose next attempt waits for a timer.
    """
    begun = item.started or item.opened
    return Row(
        id_,
        RETRYING if id_ in waits else _word(item),
        len(item.failures) + (item.is_open or item.status is Status.COMPLETED),
        None
        if begun is None or (item.status is Status.SCHEDULED and item.key[0] is not Kind.TIMER)
        else begun.at,
        None if item.closed is None else item.closed.at,
        failure_of(item.failures[-1]).message
        if item.failures and item.status is not Status.COMPLETED
        else "",
    )


def _word(item: Item) -> str:
    if item.status is Status.STARTED or (item.is_open and item.key[0] is Kind.TIMER):
        return "running"
    return "queued" if item.is_open else str(item.status)


def style_of(state: str) -> str:
    """Return the style of a state on a terminal; every unlisted state is a failure."""
    return _STYLES.get(state, "red")
