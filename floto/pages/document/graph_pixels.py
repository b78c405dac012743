"""The boxes and arrows of a graph in pixels, for the script of the run page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: The size of a box, the room between layers, the height of a row, and the room around all.
_WIDTH, _HEIGHT, _ACROSS, _DOWN, _EDGE = 176, 46, 64, 60, 20
_TIP = 5

Document = Mapping[str, Any]
Point = tuple[float, float]


def with_graph_pixels(document: Document) -> dict[str, Any]:
    """Return a document whose graph is in pixels.

    Its boxes are ``{"task", "group", "left", "top"}`` with a task or a group of -1, and its routes ``{"path",
    "head", "left", "top", "w", "h", "dashed", "to"}``: two paths of SVG, their extent, and the number of the
    box at their end.
    """
    graph = document["graph"]
    numbers = {(box["x"], box["y"]): number for number, box in enumerate(graph["boxes"])}
    boxes = [_box(box) for box in graph["boxes"]]
    routes = [
        {
            "to": numbers.get(tuple(route["points"][-1]), -1),
            "dashed": route["dashed"],
            **_route(route["points"]),
        }
        for route in graph["routes"]
    ]
    size = {
        "width": max((box["left"] for box in boxes), default=0) + _WIDTH + _EDGE,
        "height": max((box["top"] for box in boxes), default=0) + _HEIGHT + _EDGE,
    }
    return {**document, "graph": {**graph, **size, "boxes": boxes, "routes": routes}}


def _place(x: float, y: float) -> tuple[int, int]:
    return round(_EDGE + x * (_WIDTH + _ACROSS)), round(_EDGE + y * _DOWN)


def _box(box: Mapping[str, Any]) -> dict[str, Any]:
    left, top = _place(box["x"], box["y"])
    return {"task": box.get("task", -1), "group": box.get("group", -1), "left": left, "top": top}


def _route(points: Sequence[Point]) -> dict[str, Any]:
    """Return the path of an arrow, which passes the layers between its ends straight, and its head."""
    places = [(x, y + _HEIGHT // 2) for x, y in (_place(*point) for point in points)]
    (first, y), tops = places[0], [y for _, y in places]
    x = first + _WIDTH
    parts = [f"M{x} {y}"]
    for number, (end_x, end_y) in enumerate(places[1:], start=2):
        last = number == len(places)
        bend = (x + end_x) // 2
        parts.append(f"C{bend} {y} {bend} {end_y} {end_x - _TIP * last} {end_y}")
        x, y = end_x + _WIDTH * (not last), end_y
        if not last:
            parts.append(f"H{x}")
    extent = {"left": first, "top": min(tops) - _TIP, "w": x - first, "h": max(tops) - min(tops) + 2 * _TIP}
    return {"path": "".join(parts), "head": f"M{x - 8} {y - 4}l8 4l-8 4z", **extent}
