"""Where the nodes of a graph go: layers from left to right, with as few crossings as can be had.

The layers are found by ``fast-sugiyama`` (extra ``pictures``), after K. Sugiyama, S. Tagawa and
M. Toda, Methods for Visual Understanding of Hierarchical System Structures, 1981.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from attrs import define, frozen

from floto.core.errors import FlotoError
from floto.pictures.graph import Arrow, Graph

#: How far apart the layouter puts things; ours to scale.
_SPACING = 100
#: How much of a row the bend of an arrow takes.
_BEND = 0.6
#: Tasks that nothing is connected with stand in rows of so many.
_LOOSE_IN_A_ROW = 6

#: Arrows of a graph, and tasks and bends together, that are laid out: some four seconds' work. The time grows
#: faster than their number, and nobody can read more in a picture.
MOST_ARROWS, MOST_POINTS = 20_000, 40_000

Point = tuple[float, float]


@define
class NoLayout(FlotoError):
    """The library that lays graphs out is not installed."""

    def __str__(self) -> str:
        """What to do."""
        return "pictures of graphs take more than floto brings: pip install 'floto[pictures]'"


@define
class TooLarge(FlotoError):
    """A graph that is too large to be laid out as a picture."""

    tasks: int
    arrows: int
    #: Places where arrows pass layers between their ends.
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
    """Places in units: x counts layers, y counts rows."""

    nodes: tuple[Point, ...]
    #: The way of each arrow, in the order of the graph's.
    ways: tuple[tuple[Point, ...], ...]

    @property
    def size(self) -> Point:
        """The largest x and y there are."""
        points = [*self.nodes, *(point for way in self.ways for point in way)]
        return max((x for x, _ in points), default=0), max((y for _, y in points), default=0)


@frozen
class _Component:
    """What is connected: places of its nodes and of the bends of its arrows, and the steps between them."""

    places: Mapping[int, Point]
    steps: Mapping[int, Sequence[int]]
    #: Which node of the graph a number stands for; a bend stands for none.
    nodes: Mapping[int, int]


def lay_out(graph: Graph) -> Layout:
    """Place a graph's nodes.

    Raises ``TooLarge`` before a layout that would take too long, and ``NoLayout`` where the extra is not
    installed.
    """
    _check_size(graph)
    places: dict[int, Point] = {}
    ways: dict[tuple[int, int], tuple[Point, ...]] = {}
    top = 0.0
    for nodes, arrows in _connected(graph):
        component = _component(nodes, arrows)
        for number, node in component.nodes.items():
            places[node] = _below(component.places[number], top)
            ways |= {
                (node, end): tuple(_below(place, top) for place in way)
                for end, way in _ways(component, number)
            }
        top += max(y for _, y in component.places.values()) + 1
    loose = [number for number in range(len(graph.nodes)) if number not in places]
    for count, number in enumerate(loose):
        places[number] = (count % _LOOSE_IN_A_ROW, top + count // _LOOSE_IN_A_ROW)
    return Layout(
        tuple(places[number] for number in range(len(graph.nodes))),
        tuple(ways[arrow.start, arrow.end] for arrow in graph.arrows),
    )


def _check_size(graph: Graph) -> None:
    tasks, arrows = len(graph.nodes), len(graph.arrows)
    layer = _layers(graph)
    bends = sum(max(layer[arrow.end] - layer[arrow.start] - 1, 0) for arrow in graph.arrows)
    if arrows > MOST_ARROWS or tasks + bends > MOST_POINTS:
        raise TooLarge(tasks, arrows, bends)


def _layers(graph: Graph) -> list[int]:
    """Return the layer of each node: one behind the last of those that lead to it."""
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
    """The nodes and arrows of each part that nothing connects with the others."""
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
        from fast_sugiyama import from_edges  # noqa: PLC0415 - only the extra brings it
    except ModuleNotFoundError:
        raise NoLayout from None
    # It numbers the bends from behind the last node of a part on, and takes all nodes for one series.
    # So each part is laid out alone, and its nodes have the first numbers.
    number = {node: count for count, node in enumerate(nodes)}
    edges = [(number[arrow.start], number[arrow.end]) for arrow in arrows]
    [(positions, _width, _height, bent)] = from_edges(
        edges, vertex_spacing=_SPACING, dummy_vertices=True, ranking_type="up", check_layout=False
    )
    steps: dict[int, list[int]] = {}
    for start, end in bent or ():
        steps.setdefault(int(start), []).append(int(end))
    places = _compact(_turned([(int(name), place) for name, place in positions]), len(nodes))
    return _Component(places, steps, dict(enumerate(nodes)))


def _turned(positions: Sequence[tuple[int, Point]]) -> Mapping[int, Point]:
    """From layers below one another to layers beside one another."""
    layers = sorted({y for _, (_, y) in positions}, reverse=True)
    layer = {y: number for number, y in enumerate(layers)}
    lowest = min(x for _, (x, _) in positions)
    return {number: (float(layer[y]), (x - lowest) / _SPACING) for number, (x, y) in positions}


def _compact(places: Mapping[int, Point], nodes: int) -> Mapping[int, Point]:
    """Take out the rows that no layer needs: large graphs are mostly those.

    What was level with one another or above one another stays so.
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


def _ways(component: _Component, start: int) -> Iterator[tuple[int, tuple[Point, ...]]]:
    """From a node over the bends of each arrow to the node at its end."""
    for step in component.steps.get(start, ()):
        way = [start, step]
        while way[-1] not in component.nodes:
            (onward,) = component.steps[way[-1]]
            way.append(onward)
        yield component.nodes[way[-1]], tuple(component.places[number] for number in way)
