"""A picture of a graph of tasks: layers from left to right, coloured by status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from floto.core.visible import shorten_middle, visible
from floto.pictures.colours import of_status
from floto.pictures.dot import describe
from floto.pictures.graph import Graph, Node
from floto.pictures.layout import Point, lay_out
from floto.pictures.svg import CHARACTER, Drawing, hint

_HEIGHT, _ROW, _GAP = 38.0, 50.0, 56.0
_EDGE, _TOP = 16.0, 56.0
_LONGEST_LABEL = 30
_NARROWEST = 110.0
_ARROW = "#9aa5b1"
#: The side of an arrowhead in pixels.
_TIP = 5.0


def draw(graph: Graph, title: str) -> tuple[Drawing, float, float]:
    """Draw a graph; return the picture, its width and its height in pixels.

    Args:
        graph: The graph.
        title: The title above the picture.

    Raises:
        NoLayout: if the extra ``pictures`` is not installed.
        TooLarge: if the layout would take too long.
    """
    layout = lay_out(graph)
    labels = [shorten_middle(visible(node.id), _LONGEST_LABEL, "…") for node in graph.nodes]
    notes = [describe(node) for node in graph.nodes]
    width = max([_NARROWEST, *(CHARACTER * len(text) + 20 for text in (*labels, *notes))])
    drawing = Drawing(title)
    drawing.text(_EDGE, 22, shorten_middle(visible(title), 120, "…"), class_="strong")
    drawing.text(_EDGE, 40, _counts(graph.nodes), class_="small")

    def place(point: Point) -> Point:
        return _EDGE + point[0] * (width + _GAP), _TOP + point[1] * _ROW

    for arrow, route in zip(graph.arrows, layout.routes, strict=True):
        _draw_route(drawing, [place(point) for point in route], width, dashed=arrow.generated)
    for node, label, point in zip(graph.nodes, labels, layout.nodes, strict=True):
        _draw_node(drawing, node, label, place(point), width)
    right, bottom = place(layout.size)
    return drawing, right + width + _EDGE, bottom + _HEIGHT + _EDGE


def _counts(nodes: Sequence[Node]) -> str:
    counts = Counter(node.status for node in nodes if node.status)
    return ", ".join([f"{len(nodes)} tasks", *(f"{count} {status}" for status, count in counts.items())])


def _draw_node(drawing: Drawing, node: Node, label: str, place: Point, width: float) -> None:
    x, y = place
    fill, border = of_status(node.status)
    box = drawing.box(x, y, width, _HEIGHT, rx=6, fill=fill, stroke=border)
    rules = f"\n{visible(node.rules)}" if node.rules else ""
    hint(box, f"{visible(node.id)}\n{describe(node)}{rules}")
    drawing.text(x + 10, y + 16, label)
    drawing.text(x + 10, y + 30, describe(node), class_="small")


def _draw_route(drawing: Drawing, route: Sequence[Point], width: float, *, dashed: bool) -> None:
    """Draw an arrow from the right side of a box to the left side of another, straight through layers."""
    middle = [(x, y + _HEIGHT / 2) for x, y in route]
    x, y = middle[0][0] + width, middle[0][1]
    parts = [f"M{x:.1f} {y:.1f}"]
    for end_x, end_y in middle[1:]:
        bend = (x + end_x) / 2
        parts.append(f"C{bend:.1f} {y:.1f} {bend:.1f} {end_y:.1f} {end_x:.1f} {end_y:.1f}")
        parts.append(f"H{end_x + width:.1f}")
        x, y = end_x + width, end_y
    # The last segment would cross the box that the arrow ends at; draw the arrowhead instead.
    parts[-1] = f"m-{_TIP} -{_TIP / 2} l{_TIP} {_TIP / 2} l-{_TIP} {_TIP / 2}"
    look = {"stroke_dasharray": "4 3"} if dashed else {}
    drawing.path(" ".join(parts), stroke=_ARROW, stroke_width=1.2, **look)
