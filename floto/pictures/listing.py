"""A graph as lines of text: each task with its status and the tasks that it requires."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from floto.core.visible import first_few, visible
from floto.pictures.colours import STATUSES
from floto.pictures.dot import describe
from floto.pictures.graph import Graph, Node

#: Maximum number of required tasks that are named.
_MOST_NAMES = 6


def show(graph: Graph, console: Console) -> None:
    """Print a graph on a console, one line per task."""
    table = Table(box=None, pad_edge=False)
    for name in ("task", "is", "after"):
        table.add_column(name, overflow="fold")
    before: dict[int, list[str]] = {}
    for arrow in graph.arrows:
        before.setdefault(arrow.end, []).append(graph.nodes[arrow.start].id)
    for number, node in enumerate(graph.nodes):
        names = visible(first_few(before.get(number, []), _MOST_NAMES))
        table.add_row(
            _indented(node),
            Text(describe(node), style=STATUSES[node.status].style if node.status else ""),
            Text(f"{names} ({visible(node.rules)})".lstrip() if node.rules else names, style="dim"),
        )
    console.print(table)


def _indented(node: Node) -> Text:
    return Text(f"  {visible(node.id)}" if node.parent else visible(node.id))
