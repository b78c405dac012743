"""The colours of the status of a task, in pictures and on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from floto.core.replay.task_status import TaskStatus


@frozen
class Look:
    """The fill colour in a picture, and the style and the characters on a terminal, the second one ASCII."""

    fill: str
    style: str
    character: str
    plain: str


#: Looks of the spans of a timeline.
SPANS: Mapping[TaskStatus, Look] = {
    TaskStatus.QUEUED: Look("#cbd2d9", "bright_black", "░", "."),
    TaskStatus.RUNNING: Look("#3e8e5a", "green", "█", "="),
    TaskStatus.FAILED: Look("#d64545", "red", "▓", "x"),
    TaskStatus.CANCELED: Look("#7b8794", "magenta", "▒", "/"),
    TaskStatus.RETRYING: Look("#f0b429", "yellow", "┈", "-"),
}
#: The mark of a decision in a timeline of characters.
DECISION = Look("#7b8794", "dim", "╷", "|")


@frozen
class StatusLook:
    """The fill and border colour in a picture, and the style on a terminal."""

    fill: str
    border: str
    style: str


STATUSES: Mapping[TaskStatus, StatusLook] = {
    TaskStatus.WAITING: StatusLook("#f5f7fa", "#9aa5b1", "dim"),
    TaskStatus.DUE: StatusLook("#f5f7fa", "#5a7bd8", "blue"),
    TaskStatus.QUEUED: StatusLook("#e0e8f9", "#5a7bd8", "blue"),
    TaskStatus.RUNNING: StatusLook("#dbeafe", "#2563eb", "cyan"),
    TaskStatus.RETRYING: StatusLook("#fdf0c8", "#d99a0b", "yellow"),
    TaskStatus.DONE: StatusLook("#d8f0df", "#3e8e5a", "green"),
    TaskStatus.FAILED: StatusLook("#fadcd9", "#d64545", "red"),
    TaskStatus.CANCELED: StatusLook("#e4e7eb", "#7b8794", "magenta"),
    TaskStatus.SKIPPED: StatusLook("#e4e7eb", "#9aa5b1", "dim"),
    TaskStatus.RESERVED: StatusLook("#f5f7fa", "#9aa5b1", "dim"),
}
#: Fill and border colour of tasks without a history.
PLAIN = ("#f5f7fa", "#616e7c")


def of_status(status: TaskStatus | None) -> tuple[str, str]:
    """Return the fill and the border colour of a task; None: without a history."""
    return PLAIN if status is None else (STATUSES[status].fill, STATUSES[status].border)
