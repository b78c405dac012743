"""The colours of phases and task states, in pictures and on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from floto.core.replay.timeline import Phase


@frozen
class Look:
    """The fill colour in a picture, and the style and the characters on a terminal, the second one ASCII."""

    fill: str
    style: str
    character: str
    plain: str


PHASES: Mapping[Phase, Look] = {
    Phase.QUEUED: Look("#cbd2d9", "bright_black", "░", "."),
    Phase.RUNNING: Look("#3e8e5a", "green", "█", "="),
    Phase.FAILED: Look("#d64545", "red", "▓", "x"),
    Phase.CANCELED: Look("#7b8794", "magenta", "▒", "/"),
    Phase.RETRY_WAIT: Look("#f0b429", "yellow", "┈", "-"),
}
#: The mark of a decision in a timeline of characters.
DECISION = Look("#7b8794", "dim", "╷", "|")

#: Fill and border colour of each state in ``pictures.task_status``.
STATES: Mapping[str, tuple[str, str]] = {
    "waiting": ("#f5f7fa", "#9aa5b1"),
    "queued": ("#e0e8f9", "#5a7bd8"),
    "running": ("#dbeafe", "#2563eb"),
    "retrying": ("#fdf0c8", "#d99a0b"),
    "completed": ("#d8f0df", "#3e8e5a"),
    "canceled": ("#e4e7eb", "#7b8794"),
}
#: Fill and border colour of all other states, which are failures.
BROKEN = ("#fadcd9", "#d64545")
#: Fill and border colour of tasks without a history.
PLAIN = ("#f5f7fa", "#616e7c")


def of_state(state: str | None) -> tuple[str, str]:
    """Return the fill and the border colour of a task in a state; None: without a history."""
    return PLAIN if state is None else STATES.get(state, BROKEN)
