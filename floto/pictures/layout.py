"""The positions of the nodes of a graph: layers from left to right, with few crossings.

``fast-sugiyama`` (extra ``pictures``) finds the layers, after K. Sugiyama, S. Tagawa and
M. Toda, Methods for Visual Understanding of Hierarchical System Structures, 1981.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from attrs import define, frozen

from floto.core.errors import FlotoError
from floto.core.view.arrows import Arrow
from floto.pictures.graph import Graph

#: The distance of nodes that the library is to use.
_SPACING = 100
#: The height of an arrow's bend in rows.
_BEND = 0.6
#: Tasks without arrows per row.
_ISOLATED_PER_ROW = 6

#: Maximum arrows of a graph, and maximum tasks and bends together: a layout of some four seconds. The time
#: grows faster than their number, and a larger picture is unreadable.
MOST_ARROWS, MOST_POINTS = 20_000, 40_000

Point = tuple[float, float]


@define
class NoLayout(FlotoError):
    """The library that lays graphs out is not installed."""

    def __str__(self) -> str:
        """Return what to do."""
        return "a picture of a graph needs an extra package: pip install 'floto[pictures]'"


@define
class TooLarge(FlotoError):
    """A graph that is too large to be laid out as a picture."""

    tasks: int
    arrows: int
    #: Points at which arrows pass layers between their ends.
    bends: int

    def __str__(self) -> str:
        """Return how large the graph is, what the limit is and what to do."""
        return (
            f"a graph of {self.tasks:,} tasks, {self.arrows:,} arrows and {self.bends:,} bends is too large "
            f"for a picture; at most {MOST_ARROWS:,} arrows, and {MOST_POINTS:,} tasks and bends, are drawn: "
            "write it for Graphviz (-o FILE.dot), or list it (leave out -o)"
        )


@frozen
class Layout:
    """The points of a layout: x in layers, y in rows."""

    nodes: tuple[Point, ...]
    #: The points of each arrow, in the order of the graph's arrows.
    routes: tuple[tuple[Point, ...], ...]

    @property
    def size(self) -> Point:
        """The maximum x and the maximum y."""
        points = [*self.nodes, *(point for route in self.routes for point in route)]
        return max((x for x, _ in points), default=0), max((y for _, y in points), default=0)


@frozen
class _Component:
    """A connected component: the points of its nodes and bends, and the segments between them."""

    places: Mapping[int, Point]
    segments: Mapping[int, Sequence[int]]
    #: The node of the graph for each number of a node; bends have numbers, too, and are missing here.
    nodes: Mapping[int, int]


def lay_out(graph: Graph) -> Layout:
    """Return the layout of a graph.

    Args:
        graph: The graph.

    Raises:
        TooLarge: if the layout would take too long.
        NoLayout: if the extra ``pictures`` is not installed.
    """
    _check_size(graph)
    places: dict[int, Point] = {}
    routes: dict[tuple[int, int], tuple[Point, ...]] = {}
    top = 0.0
    for nodes, arrows in _connected(graph):
        component = _component(nodes, arrows)
        for number, node in component.nodes.items():
            places[node] = _below(component.places[number], top)
            routes |= {
                (node, end): tuple(_below(place, top) for place in route)
                for end, route in _routes(component, number)
            }
        top += max(y for _, y in component.places.values()) + 1
    isolated = [number for number in range(len(graph.nodes)) if number not in places]
    for count, number in enumerate(isolated):
        places[number] = (count % _ISOLATED_PER_ROW, top + count // _ISOLATED_PER_ROW)
    return Layout(
        tuple(places[number] for number in range(len(graph.nodes))),
        tuple(routes[arrow.start, arrow.end] for arrow in graph.arrows),
    )


def _check_size(graph: Graph) -> None:
    tasks, arrows = len(graph.nodes), len(graph.arrows)
    layer = _layers(graph)
    bends = sum(max(layer[arrow.end] - layer[arrow.start] - 1, 0) for arrow in graph.arrows)
    if arrows > MOST_ARROWS or tasks + bends > MOST_POINTS:
        raise TooLarge(tasks, arrows, bends)


def _layers(graph: Graph) -> list[int]:
    """Return the layer of each node: one after the last of the nodes with an arrow to it."""
    layer, missing = [0] * len(graph.nodes), [0] * len(graph.nodes)
    after: list[list[int]] = [[] for _ in graph.nodes]
    for arrow in graph.arrows:
        after[arrow.start].append(arrow.end)
        missing[arrow.end] += 1
    todo = [number for number, count in enumerate(missing) if not count]
    while todo:
        number = todo.pop()
        for end in after[number]:
            layer[end] = max(layer[end], layer[number] + 1)
            missing[end] -= 1
            if not missing[end]:
                todo.append(end)
    return layer


def _below(place: Point, top: float) -> Point:
    return place[0], place[1] + top


def _connected(graph: Graph) -> Iterator[tuple[list[int], list[Arrow]]]:
    """Yield the nodes and arrows of each connected component."""
    beside: dict[int, list[Arrow]] = {}
    for arrow in graph.arrows:
        beside.setdefault(arrow.start, []).append(arrow)
        beside.setdefault(arrow.end, []).append(arrow)
    seen: set[int] = set()
    for first in beside:
        if first in seen:
            continue
        nodes, arrows, todo = [first], dict[Arrow, None](), [first]
        seen.add(first)
        while todo:
            for arrow in beside[todo.pop()]:
                arrows[arrow] = None
                new = {arrow.start, arrow.end} - seen
                seen |= new
                nodes += new
                todo += new
        yield sorted(nodes), list(arrows)


def _component(nodes: Sequence[int], arrows: Sequence[Arrow]) -> _Component:
    try:
        from fast_sugiyama import from_edges  # noqa: PLC0415 - only the extra installs it
    except ModuleNotFoundError:
        raise NoLayout from None
    # The library numbers the bends from the last node of a component on, and expects nodes without gaps.
    # So each component is laid out alone, and its nodes have the first numbers.
    number = {node: count for count, node in enumerate(nodes)}
    edges = [(number[arrow.start], number[arrow.end]) for arrow in arrows]
    [(positions, _width, _height, bent)] = from_edges(
        edges, vertex_spacing=_SPACING, dummy_vertices=True, ranking_type="up", check_layout=False
    )
    segments: dict[int, list[int]] = {}
    for start, end in bent or ():
        segments.setdefault(int(start), []).append(int(end))
    places = _compact(_turned([(int(name), place) for name, place in positions]), len(nodes))
    return _Component(places, segments, dict(enumerate(nodes)))


def _turned(positions: Sequence[tuple[int, Point]]) -> Mapping[int, Point]:
    """Return the points of a layout from top to bottom as one from left to right."""
    layers = sorted({y for _, (_, y) in positions}, reverse=True)
    layer = {y: number for number, y in enumerate(layers)}
    lowest = min(x for _, (x, _) in positions)
    return {number: (float(layer[y]), (x - lowest) / _SPACING) for number, (x, y) in positions}


def _compact(places: Mapping[int, Point], nodes: int) -> Mapping[int, Point]:
    """Remove the rows that no layer needs, of which large graphs mostly consist.

    Points of one row stay in one row, and points above others stay above them.
    """
    moved: dict[int, Point] = {}
    free: dict[float, float] = {}
    row = 0.0
    for _, level in groupby(
        sorted(places, key=lambda number: places[number][1]), lambda number: places[number][1]
    ):
        here = list(level)
        row = max([row, *(free.get(places[number][0], 0.0) for number in here)])
        for number in here:
            layer = places[number][0]
            moved[number] = (layer, row)
            free[layer] = row + (1 if number < nodes else _BEND)
    return moved


def _routes(component: _Component, start: int) -> Iterator[tuple[int, tuple[Point, ...]]]:
    """Yield, for each arrow of a node, the node at its end and its points, with all bends."""
    for segment in component.segments.get(start, ()):
        route = [start, segment]
        while route[-1] not in component.nodes:
            (onward,) = component.segments[route[-1]]
            route.append(onward)
        yield component.nodes[route[-1]], tuple(component.places[number] for number in route)
