"""A picture of a timeline: a lane per task, decisions as ticks above the lanes."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from floto.core.replay.task_status import FAILURES, TaskStatus
from floto.core.replay.timeline import Lane, Span, Timeline
from floto.core.visible import moment_text, shorten_middle, visible
from floto.pictures.colours import SPANS
from floto.pictures.scale import Scale, shown_seconds, ticks
from floto.pictures.svg import CHARACTER, Drawing, hint

_LANE, _BAR = 22.0, 14.0
_TOP, _BOTTOM, _EDGE = 74.0, 40.0, 16.0
_CHART = 900.0
_LONGEST_LABEL = 44
#: Minimum width of a span, so that one without duration is visible.
_NARROWEST = 1.5
#: Spans of waiting, which are thinner than those of running.
_THIN = (TaskStatus.RETRYING, TaskStatus.QUEUED)
_GRID, _TICK = "#e4e7eb", "#7b8794"


@frozen
class _Chart:
    timeline: Timeline
    drawing: Drawing
    left: float
    scale: Scale

    @property
    def bottom(self) -> float:
        return _TOP + _LANE * len(self.timeline.lanes)

    def x(self, moment: datetime) -> float:
        return self.left + self.scale.place(moment)


def draw(timeline: Timeline, title: str) -> tuple[Drawing, float, float]:
    """Draw a timeline; return the picture, its width and its height in pixels.

    Args:
        timeline: The timeline.
        title: The title above the picture.
    """
    labels = [shorten_middle(visible(lane.name), _LONGEST_LABEL, "…") for lane in timeline.lanes]
    left = _EDGE + CHARACTER * max(map(len, labels), default=0) + 12
    chart = _Chart(timeline, Drawing(title), left, Scale(timeline.start, timeline.end, _CHART))
    _write_head(chart, title)
    _draw_axis(chart)
    for number, (lane, label) in enumerate(zip(timeline.lanes, labels, strict=True)):
        _draw_lane(chart, lane, label, _TOP + _LANE * number)
    _draw_legend(chart)
    return chart.drawing, left + _CHART + 90, chart.bottom + _BOTTOM


def _write_head(chart: _Chart, title: str) -> None:
    timeline = chart.timeline
    how = timeline.closed or "open"
    chart.drawing.text(_EDGE, 22, shorten_middle(visible(title), 120, "…"), class_="strong")
    started = f"started {moment_text(timeline.start)}"
    chart.drawing.text(_EDGE, 40, f"{how} · {started} · {shown_seconds(timeline.seconds)}", class_="small")


def _draw_axis(chart: _Chart) -> None:
    drawing, timeline = chart.drawing, chart.timeline
    for seconds in ticks(timeline.seconds):
        x = chart.left + chart.scale.of_seconds(seconds)
        drawing.line(x, _TOP - 6, x, chart.bottom, stroke=_GRID)
        drawing.text(x, _TOP - 20, shown_seconds(seconds), class_="small", text_anchor="middle")
    for moment in timeline.decisions:
        x = chart.x(moment)
        tick = drawing.line(x, _TOP - 14, x, _TOP - 7, stroke=_TICK, stroke_width=1)
        hint(tick, f"decision {_when(moment, timeline)}")


def _draw_lane(chart: _Chart, lane: Lane, label: str, y: float) -> None:
    base = y + _LANE / 2 + 4
    name = chart.drawing.text(chart.left - 8, base, label, text_anchor="end")
    hint(name, visible(f"{lane.key[0]} {lane.name}: {lane.status}"))
    # Spans of running are drawn last, over the waiting ones, so that a short failure is visible.
    for span in sorted(lane.spans, key=lambda span: span.status not in _THIN):
        _draw_span(chart, lane, span, y + (_LANE - _BAR) / 2)
    if lane.spans:
        end = max(chart.x(span.end) for span in lane.spans)
        chart.drawing.text(end + 6, base, _note(lane), class_="small")


def _draw_span(chart: _Chart, lane: Lane, span: Span, y: float) -> None:
    x, end = chart.x(span.start), chart.x(span.end)
    height = _BAR / 2 if span.status in _THIN else _BAR
    box = chart.drawing.box(
        x, y + (_BAR - height) / 2, max(end - x, _NARROWEST), height, rx=2, fill=SPANS[span.status].fill
    )
    took = shown_seconds((span.end - span.start).total_seconds())
    hint(box, f"{visible(lane.name)}: {span.status}, {took}, {_when(span.start, chart.timeline)}")


def _when(moment: datetime, timeline: Timeline) -> str:
    """Return the time of a moment, and the exact time since the start."""
    after = shown_seconds((moment - timeline.start).total_seconds())
    return f"at {moment_text(moment)}, {after} after the start"


def _note(lane: Lane) -> str:
    spent = sum(
        (span.end - span.start).total_seconds()
        for span in lane.spans
        if span.status in (TaskStatus.RUNNING, *FAILURES)
    )
    count = f" · {len(lane.attempts)} attempts" if len(lane.attempts) > 1 else ""
    return f"{shown_seconds(spent)}{count}"


def _draw_legend(chart: _Chart) -> None:
    x, y = chart.left, chart.bottom + 24
    for status, look in SPANS.items():
        chart.drawing.box(x, y - 9, 14, 9, rx=2, fill=look.fill)
        chart.drawing.text(x + 19, y, status, class_="small")
        x += 40 + CHARACTER * len(status)
    chart.drawing.line(x + 7, y - 9, x + 7, y, stroke=_TICK)
    chart.drawing.text(x + 19, y, "decision", class_="small")
