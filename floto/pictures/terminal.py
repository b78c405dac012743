"""A timeline in characters, as wide as the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from io import StringIO
from itertools import groupby

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from floto.core.replay.task_status import TaskStatus
from floto.core.replay.timeline import Lane, Timeline
from floto.core.visible import moment_text, shorten_middle, visible
from floto.pictures.colours import DECISION, SPANS, STATUSES, Look
from floto.pictures.scale import Scale, shown_seconds, ticks

_LONGEST_LABEL = 32
_NARROWEST = 20
#: Characters of a line for the duration, the note and the space between the columns.
_BESIDE = 30
#: Of several spans at one character, the one with the highest weight is shown.
_WEIGHT: Mapping[TaskStatus, int] = {
    TaskStatus.FAILED: 4,
    TaskStatus.CANCELED: 3,
    TaskStatus.RUNNING: 2,
    TaskStatus.RETRYING: 1,
    TaskStatus.QUEUED: 0,
}
#: Statuses that the note behind a bar does not name.
_UNNAMED = (TaskStatus.DONE, TaskStatus.RUNNING, TaskStatus.QUEUED)

#: Returns the character of a look that the console can show.
_Character = Callable[[Look], str]


def show(timeline: Timeline, title: str, console: Console) -> None:
    """Print a timeline on a console, in ASCII where its encoding has no other characters for sure."""
    is_ascii = console.options.ascii_only
    character: _Character = (lambda look: look.plain) if is_ascii else (lambda look: look.character)
    labels = [shorten_middle(visible(lane.name), _LONGEST_LABEL, "…") for lane in timeline.lanes]
    width = max(console.width - max(map(len, labels), default=0) - _BESIDE, _NARROWEST)
    scale = Scale(timeline.start, timeline.end, width - 1)
    console.print(_head(timeline, title), soft_wrap=True)
    console.print(_chart(timeline, labels, scale, character))
    console.print(_legend(character))


def text(timeline: Timeline, title: str, width: int = 100) -> str:
    """Return a timeline in plain characters, ``width`` of them per line, for messages."""
    console = Console(file=StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        show(timeline, title, console)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _head(timeline: Timeline, title: str) -> Text:
    how = timeline.closed or "open"
    started = moment_text(timeline.start)
    return Text.assemble(
        (visible(title), "bold"), f"  {how}, started {started}, {shown_seconds(timeline.seconds)}"
    )


def _chart(timeline: Timeline, labels: Iterable[str], scale: Scale, character: _Character) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row("", _axis(timeline, scale), "")
    decisions = _decisions(timeline, scale, character(DECISION))
    table.add_row(Text("decisions", style="dim"), decisions, str(len(timeline.decisions)))
    for lane, label in zip(timeline.lanes, labels, strict=True):
        table.add_row(Text(label), _bar(lane, scale, character), _note(lane))
    return table


def _axis(timeline: Timeline, scale: Scale) -> Text:
    line = " " * (int(scale.length) + 1)
    for seconds in ticks(timeline.seconds):
        place, text = int(scale.of_seconds(seconds)), f"|{shown_seconds(seconds)}"
        # A truncated label would show another number.
        if place + len(text) <= len(line) and not line[place:].strip():
            line = line[:place] + text + line[place + len(text) :]
    return Text(line, style="dim")


def _decisions(timeline: Timeline, scale: Scale, mark: str) -> Text:
    marks = {_cell(moment, scale) for moment in timeline.decisions}
    line = "".join(mark if place in marks else " " for place in range(int(scale.length) + 1))
    return Text(line, style=DECISION.style)


def _bar(lane: Lane, scale: Scale, character: _Character) -> Text:
    cells: dict[int, TaskStatus] = {}
    for span in sorted(lane.spans, key=lambda span: _WEIGHT[span.status]):
        first, last = _cell(span.start, scale), _cell(span.end, scale)
        # The last character belongs to the next span, unless it is the only one.
        cells |= dict.fromkeys(range(first, max(last, first + 1)), span.status)
    text = Text()
    for status, places in groupby(cells.get(place) for place in range(max(cells, default=-1) + 1)):
        look = None if status is None else SPANS.get(status)
        text.append((character(look) if look else " ") * len(list(places)), style=look.style if look else "")
    return text


def _note(lane: Lane) -> Text:
    start = min((span.start for span in lane.spans), default=None)
    end = max((span.end for span in lane.spans), default=None)
    took = shown_seconds((end - start).total_seconds()) if start and end else ""
    tries = f", {len(lane.attempts)} attempts" if len(lane.attempts) > 1 else ""
    if lane.status in _UNNAMED:
        return Text(f"{took}{tries}", style="dim")
    return Text(f"{took}{tries} {lane.status}", style=STATUSES[lane.status].style)


def _cell(moment: datetime, scale: Scale) -> int:
    return int(scale.place(moment))


def _legend(character: _Character) -> Text:
    parts = [(f"{character(look)} {status}  ", look.style) for status, look in SPANS.items()]
    return Text.assemble(*parts, (f"{character(DECISION)} decision", DECISION.style))
