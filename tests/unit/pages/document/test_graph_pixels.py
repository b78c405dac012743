from __future__ import annotations

from typing import Any

from floto.pages.document.graph_pixels import with_graph_pixels


def plan(boxes: list[dict[str, Any]], *routes: list[list[float]]) -> Any:
    graph = {"boxes": boxes, "routes": [{"points": [*route], "dashed": False} for route in routes]}
    return with_graph_pixels({"graph": graph})["graph"]


def test_boxes_of_layers_and_rows_do_not_overlap() -> None:
    first, below, right = plan(
        [{"task": 0, "x": 0.0, "y": 0.0}, {"task": 1, "x": 0.0, "y": 1.0}, {"group": 0, "x": 1.0, "y": 0.0}]
    )["boxes"]
    assert below["top"] - first["top"] >= 46
    assert right["left"] - first["left"] >= 176
    assert (right["task"], right["group"], first["group"]) == (-1, 0, -1)


def test_arrow_leads_from_the_right_side_of_a_box_to_the_left_side_of_another() -> None:
    graph = plan([{"task": 0, "x": 0.0, "y": 0.0}, {"task": 1, "x": 1.0, "y": 1.0}], [[0.0, 0.0], [1.0, 1.0]])
    start, end = graph["boxes"]
    [route] = graph["routes"]
    assert route["path"].startswith(f"M{start['left'] + 176} {start['top'] + 23}C")
    assert route["path"].endswith(f" {end['left'] - 5} {end['top'] + 23}")
    assert route["to"] == 1


def test_arrow_passes_the_layers_between_straight() -> None:
    route = [[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]
    graph = plan([{"task": 0, "x": 0.0, "y": 0.0}, {"task": 1, "x": 2.0, "y": 0.0}], route)
    assert graph["routes"][0]["path"].count("H") == 1


def test_graph_that_is_too_large_has_no_boxes() -> None:
    assert plan([])["boxes"] == []
